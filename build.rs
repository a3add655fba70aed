//! Link arguments of the shared library, and facts of the build for `ernie_build_info`.

fn main() {
    // Rust sets no SONAME; the major version of the ABI is 0. The runtime's threads and this library's static data
    // live as long as the process, so it must not be unloaded.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libernie.so.0");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-env=ERNIE_BUILD_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo:rerun-if-changed=build.rs");
}
