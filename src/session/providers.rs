//! Execution providers: what of them can be had, and how a session gets the one that is asked for.
//!
//! A runtime lists the providers that it was built with; whether one works is known when its library, and those of the device, were
//! loaded, and a session was made. Nothing here falls back to another provider in silence.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::ep::{ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProvider, OpenVINO, TensorRT};
use ort::session::builder::SessionBuilder;

use super::{process, runtime};
use crate::error::{Error, Result, Source};
use crate::options::{Options, Provider};

/// What libraries of devices are called up to their version, in the order of their needs.
const LIBRARIES: &[&str] = &[
    "libcudart.so.",
    "libnvJitLink.so.",
    "libnvrtc.so.",
    "libcublasLt.so.",
    "libcublas.so.",
    "libcurand.so.",
    "libcufft.so.",
    "libcudnn_graph.so.",
    "libcudnn_ops.so.",
    "libcudnn_heuristic.so.",
    "libcudnn_adv.so.",
    "libcudnn_cnn.so.",
    "libcudnn_engines_precompiled.so.",
    "libcudnn_engines_runtime_compiled.so.",
    "libcudnn.so.",
    "libnvinfer.so.",
    "libnvinfer_plugin.so.",
    "libnvonnxparser.so.",
];

/// Registers the provider asked for; a provider that cannot be had is an error, never a quiet change to the CPU. `engines` is where it keeps
/// what it compiled.
///
/// # Errors
/// - [`Error::ProviderUnavailable`].
/// - [`Error::InvalidArgument`]: a folder of libraries is not there.
pub(super) fn register(builder: &mut SessionBuilder, options: &Options, engines: Option<&Path>) -> Result<()> {
    let provider = options.provider;
    if provider == Provider::Cpu {
        return Ok(());
    }
    if let (Some(folders), Provider::Cuda | Provider::TensorRt) = (&options.provider_libraries, provider) {
        load_libraries(folders, provider)?;
    }
    let engines = engines.map(|path| path.to_string_lossy().into_owned());
    match provider {
        Provider::Cpu => Ok(()),
        Provider::Cuda => register_one(builder, provider, &cuda(options)),
        Provider::TensorRt => {
            let mut tensor_rt = TensorRT::default().with_device_id(options.device_id());
            if let Some(engines) = engines {
                tensor_rt = tensor_rt.with_engine_cache(true).with_engine_cache_path(&engines);
                tensor_rt = tensor_rt.with_timing_cache(true).with_timing_cache_path(&engines);
            }
            register_one(builder, provider, &tensor_rt)?;
            register_one(builder, provider, &cuda(options))
        }
        Provider::OpenVino => {
            let mut open_vino = OpenVINO::default().with_device_type("CPU");
            if options.n_threads > 0 {
                open_vino = open_vino.with_num_threads(options.n_threads);
            }
            // f32 is asked for, and f32 it shall be: where it has faster instructions it would use bf16.
            let open_vino = open_vino.with_arbitrary_config("precision", "FP32");
            register_one(builder, provider, &open_vino)
        }
    }
}

fn cuda(options: &Options) -> CUDA {
    // TF32 has 10 bits where f32 has 23.
    let cuda = CUDA::default().with_device_id(options.device_id()).with_tf32(false);
    match options.device_memory_mb {
        0 => cuda,
        megabytes => cuda.with_memory_limit(megabytes << 20),
    }
}

fn register_one<E: ExecutionProvider>(builder: &mut SessionBuilder, provider: Provider, ep: &E) -> Result<()> {
    let loaded = runtime::loaded().map(ToString::to_string).unwrap_or_default();
    match E::is_available() {
        Ok(true) => {}
        Ok(false) => return Err(unavailable(provider, format!("{loaded} was built without {}", E::NAME), None)),
        Err(e) => return Err(unavailable(provider, format!("{loaded} does not list its providers"), Some(e.into()))),
    }
    ep.register(builder).map_err(|e| unavailable(provider, format!("{loaded} cannot load {}", E::NAME), Some(e.into())))
}

/// That a provider cannot be used.
pub(super) fn unavailable(provider: Provider, reason: String, source: Option<Source>) -> Error {
    Error::ProviderUnavailable { provider: provider.name().to_owned(), reason, source }
}

/// Loads the libraries in `folders`, each once a process; they stay.
fn load_libraries(folders: &str, provider: Provider) -> Result<()> {
    static LOADED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut all = Vec::new();
    for folder in folders.split(':').filter(|folder| !folder.is_empty()) {
        let folder = Path::new(folder);
        if !folder.is_dir() {
            return Err(Error::argument(format!("option provider_libraries: no folder {}", folder.display())));
        }
        all.extend(library_folders(folder));
    }
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    for name in LIBRARIES {
        let found = all.iter().find_map(|folder| newest(folder, name));
        let Some(path) = found.filter(|path| !loaded.contains(path)) else { continue };
        process::open_library(&path).map_err(|said| unavailable(provider, said, None))?;
        loaded.push(path);
    }
    Ok(())
}

/// The file in `folder` that is called `name` and the highest version.
fn newest(folder: &Path, name: &str) -> Option<PathBuf> {
    let version = |path: &PathBuf| -> Option<Vec<u64>> {
        path.file_name()?.to_str()?.strip_prefix(name)?.split('.').map(|part| part.parse().ok()).collect()
    };
    entries(folder).into_iter().filter(|path| version(path).is_some()).max_by_key(version)
}

/// A folder and those in which pip's packages keep libraries.
fn library_folders(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned(), folder.join("lib")];
    for inner in entries(folder).into_iter().filter(|path| path.is_dir()) {
        all.push(inner.join("lib"));
        all.extend(entries(&inner).into_iter().filter(|path| path.is_dir()).map(|path| path.join("lib")));
    }
    all.retain(|path| path.is_dir());
    all
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    all.sort();
    all
}

/// All that decides what is compiled of `model`: another key, another engine.
pub(super) fn engine_key(options: &Options, model: &[u8], runtime: &str) -> String {
    format!(
        "graph {:016x}, {} bytes\nprovider {} device {}\nONNX Runtime {runtime}\nlibernie {}\n",
        hash(model),
        model.len(),
        options.provider.name(),
        options.device_id(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The folder in `cache` of what is compiled for `key`, which is made where there is none. What else lies under its name is left alone.
///
/// # Errors
/// - [`Error::InvalidArgument`]: no directory, or nothing can be written where nothing is kept yet.
pub(super) fn engine_folder(cache: &str, key: &str) -> Result<PathBuf> {
    const KEY_FILE: &str = "made-for.txt";
    /// Folders of other keys by the same hash, and things that are no folders of ours, that are passed over.
    const MOST_TRIES: u64 = 16;
    let cache = Path::new(cache);
    if !cache.is_dir() {
        return Err(Error::argument(format!("option engine_cache: no directory {}", cache.display())));
    }
    let failed = |path: &Path, e: std::io::Error| {
        Error::argument(format!("option engine_cache: {} cannot be used: {e}", path.display()))
    };
    for number in 0..MOST_TRIES {
        let folder = cache.join(format!("{:016x}", hash(key.as_bytes()).wrapping_add(number)));
        match std::fs::create_dir(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(&folder, e)),
            _ if !folder.is_dir() => continue,
            _ => {}
        }
        let file = folder.join(KEY_FILE);
        if !file.exists() && entries(&folder).is_empty() {
            write_new(&folder, &file, key).map_err(|e| failed(&folder, e))?;
        }
        if holds(&file, key) {
            return Ok(folder);
        }
    }
    Err(Error::argument(format!("option engine_cache: {} is full of what is not of libernie", cache.display())))
}

/// Writes a file that is whole as soon as it is there: two processes may come at the same time, with the same text.
fn write_new(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut part = tempfile::Builder::new().prefix(".").tempfile_in(folder)?;
    std::io::Write::write_all(&mut part, text.as_bytes())?;
    let mut permissions = part.as_file().metadata()?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    part.as_file().set_permissions(permissions)?;
    part.persist(path).map(drop).map_err(|e| e.error)
}

/// Whether the regular file at `path` holds `text` and no more.
fn holds(path: &Path, text: &str) -> bool {
    let fits = path.metadata().is_ok_and(|m| m.is_file() && m.len() == text.len() as u64);
    fits && std::fs::read(path).is_ok_and(|found| found == text.as_bytes())
}

/// FNV-1a: the same in every process and release.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_of_different_keys_never_share_a_folder() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().to_str().unwrap();
        let first = engine_folder(path, "one").unwrap();
        assert_eq!(engine_folder(path, "one").unwrap(), first);
        assert_ne!(engine_folder(path, "two").unwrap(), first);
        // As if two keys had one hash; and what is no file of ours, a pipe among it, is passed over.
        std::fs::write(first.join("made-for.txt"), "another").unwrap();
        let second = engine_folder(path, "one").unwrap();
        assert_ne!(second, first);
        assert_eq!(engine_folder(path, "one").unwrap(), second);
        std::fs::remove_file(second.join("made-for.txt")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(second.join("made-for.txt")).status().unwrap().success());
        let third = engine_folder(path, "one").unwrap();
        assert!(third != first && third != second);
        std::fs::remove_file(third.join("made-for.txt")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", third.join("made-for.txt")).unwrap();
        assert!(engine_folder(path, "one").unwrap() > third);
        // One that is there is used although nothing can be written.
        let made = engine_folder(path, "two").unwrap();
        std::fs::write(made.join("x.engine"), "x").unwrap();
        assert_eq!(engine_folder(path, "two").unwrap(), made);
        let missing = engine_folder("/nonexistent/engines", "one").unwrap_err().to_string();
        assert!(missing.contains("engine_cache") && missing.contains("/nonexistent/engines"), "{missing}");
        let file = cache.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(engine_folder(file.to_str().unwrap(), "one").is_err());
    }

    #[test]
    fn engines_are_known_by_all_that_decides_over_them() {
        let options = Options { provider: Provider::TensorRt, ..Options::default() };
        let key = engine_key(&options, b"graph", "1.28.0");
        assert_eq!(engine_key(&options, b"graph", "1.28.0"), key);
        let device = Options { device_ids: vec![1], ..options.clone() };
        for other in [
            engine_key(&options, b"grapg", "1.28.0"),
            engine_key(&options, b"graph", "1.28.1"),
            engine_key(&device, b"graph", "1.28.0"),
        ] {
            assert_ne!(other, key);
        }
    }

    #[test]
    fn the_highest_version_of_a_library_is_taken() {
        let root = tempfile::tempdir().unwrap();
        for name in ["libcudart.so.9", "libcudart.so.13", "libcudart.so.12.4", "libcudart.so.14.bak", "libcudart.so."] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        assert_eq!(newest(root.path(), "libcudart.so."), Some(root.path().join("libcudart.so.13")));
        assert_eq!(newest(root.path(), "libcublas.so."), None);
    }

    #[test]
    fn folders_of_pip_packages_are_found() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["lib", "cublas/lib", "deep/cu13/lib", "empty"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let found = library_folders(root.path());
        for folder in ["lib", "cublas/lib", "deep/cu13/lib"] {
            assert!(found.contains(&root.path().join(folder)), "{folder}: {found:?}");
        }
        assert!(!found.contains(&root.path().join("empty/lib")));
    }

    #[test]
    fn a_library_that_cannot_be_loaded_is_named_with_the_words_of_the_loader() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("libcudart.so.13"), "no library").unwrap();
        let said = load_libraries(root.path().to_str().unwrap(), Provider::Cuda).unwrap_err().to_string();
        assert!(said.contains("libcudart.so.13") && said.contains("cuda"), "{said}");
        let said = load_libraries("/nonexistent/nvidia", Provider::Cuda).unwrap_err().to_string();
        assert!(said.contains("provider_libraries") && said.contains("/nonexistent/nvidia"), "{said}");
    }
}
