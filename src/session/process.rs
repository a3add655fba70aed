//! The dynamic loader and the environment of this process. One of the rooms where `unsafe` lives.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ort::sys::OrtApiBase;

fn path_from(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the loader's names are NUL-terminated strings that live as long as the object they name, which is
    // longer than this copy takes.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    (!bytes.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(bytes)))
}

/// The file that holds the code at `address`.
fn object_of(address: *const c_void) -> Option<PathBuf> {
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: `dladdr` accepts any address and only writes to `info`.
    let found = unsafe { libc::dladdr(address, &raw mut info) };
    if found == 0 {
        return None;
    }
    path_from(info.dli_fname)
}

/// The directories of the file that holds this library (`libernie.so`, or the program it is linked into): the one it
/// was found in and, where that is a link, the one it lies in.
pub(super) fn own_directories() -> Vec<PathBuf> {
    let here: fn() -> Vec<PathBuf> = own_directories;
    let Some(found) = object_of(here as *const c_void) else { return Vec::new() };
    let mut directories: Vec<PathBuf> = [std::path::absolute(&found).ok(), found.canonicalize().ok()]
        .into_iter()
        .flatten()
        .filter_map(|path| path.parent().map(Path::to_path_buf))
        .collect();
    directories.dedup();
    directories
}

/// The files of this process whose name begins with `prefix`.
pub(super) fn loaded_objects(prefix: &str) -> Vec<PathBuf> {
    unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
        // SAFETY: `data` is the vector given to `dl_iterate_phdr` below, and `info` is valid during the call.
        let (paths, name) = unsafe { (&mut *data.cast::<Vec<PathBuf>>(), (*info).dlpi_name) };
        paths.extend(path_from(name));
        0
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    // SAFETY: `visit` has the signature asked for and uses `data` only as the vector it is; it does not unwind, as
    // growing the vector aborts on lack of memory.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut paths).cast()) };
    let begins = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix));
    paths.into_iter().filter(begins).collect()
}

type GetApiBase = unsafe extern "C" fn() -> *const OrtApiBase;

/// An ONNX Runtime library that stays open, and what it says of itself.
pub(super) struct RuntimeLibrary {
    /// The file.
    pub(super) path: PathBuf,
    /// `1.28.0` and the like.
    pub(super) version: String,
}

/// Opens `name`, a path or a name for the loader to find, and asks it for its version. The library stays open, as
/// the environment of a runtime lives to the end of the process.
///
/// # Errors
/// What the loader says, or that the file is no ONNX Runtime.
pub(super) fn open_runtime(name: &Path) -> Result<RuntimeLibrary, String> {
    // A pipe would block the loader for ever. Bare names are looked for by the loader itself.
    if name.components().count() > 1 && name.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err("not a regular file".to_owned());
    }
    let c_name = CString::new(name.as_os_str().as_bytes()).map_err(|_| "the path holds a NUL byte".to_owned())?;
    // SAFETY: the name is NUL-terminated. Opening a library runs its initialisers, which is what is asked for.
    let handle = unsafe { libc::dlopen(c_name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the handle is open and the symbol's name is NUL-terminated.
    let symbol = unsafe { libc::dlsym(handle, c"OrtGetApiBase".as_ptr()) };
    match runtime_of(symbol) {
        Some(runtime) => Ok(runtime),
        None => {
            // SAFETY: the handle was opened above and nothing of it is kept.
            unsafe { libc::dlclose(handle) };
            Err("not an ONNX Runtime library: no OrtGetApiBase".to_owned())
        }
    }
}

/// Opens the library at `path`, which stays.
///
/// # Errors
/// What the loader says.
pub(super) fn open_library(path: &Path) -> Result<(), String> {
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(format!("{} is not a regular file", path.display()));
    }
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| "the path holds a NUL byte".to_owned())?;
    // SAFETY: the name is NUL-terminated. Opening a library runs its initialisers, which is what is asked for.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    if handle.is_null() { Err(last_error()) } else { Ok(()) }
}

fn runtime_of(symbol: *mut c_void) -> Option<RuntimeLibrary> {
    if symbol.is_null() {
        return None;
    }
    // SAFETY: a symbol of this name is the documented entry point of ONNX Runtime, with this signature.
    let get_api_base = unsafe { std::mem::transmute::<*mut c_void, GetApiBase>(symbol) };
    // SAFETY: the function takes nothing and returns a static table or NULL.
    let base = unsafe { get_api_base().as_ref() }?;
    // SAFETY: the table's function returns a static NUL-terminated string.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) }.to_str().ok()?.to_owned();
    Some(RuntimeLibrary { path: object_of(symbol)?.canonicalize().ok()?, version })
}

fn last_error() -> String {
    // SAFETY: `dlerror` returns NULL or a string that is valid until the next call on this thread.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the loader gives no reason".to_owned();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Sets the variable that stops releases from 1.29 on from sending usage data.
pub(super) fn disable_telemetry() {
    const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";
    if std::env::var_os(VARIABLE).is_none_or(|value| value != "1") {
        // SAFETY: the variable is set once, before the runtime starts a thread of its own. A program whose other
        // threads use the environment through C at this very moment must set the variable itself before; the header
        // says so.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}
