//! Finding and loading ONNX Runtime, once a process.
//!
//! The search: the path given to [`load`]; `ERNIE_ORT_PATH`; a runtime already in the process; the directory of
//! libernie.so (or of the program it is linked into), `../lib` and `../lib64` beside it; the system's library path. What the
//! caller names must work: no other runtime is taken in its place. Failures are retried by the next call.
//!
//! A runtime, once loaded, stays for the rest of the process: ONNX Runtime allows one environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use once_cell::sync::OnceCell;
use ort::environment::Environment;
use ort::logging::LogLevel;

use super::{process, runtime_error};
use crate::error::{Error, Result};

/// The oldest release that works: the minor version of the C interface in use.
pub const OLDEST_MINOR_VERSION: u32 = ort::MINOR_VERSION;
const FILE_NAMES: &[&str] = &["libonnxruntime.so.1", "libonnxruntime.so"];

/// The runtime of this process.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The library's file.
    pub path: PathBuf,
    /// Its version: `1.28.0`.
    pub version: String,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ONNX Runtime {} at {}", self.version, self.path.display())
    }
}

static ENVIRONMENT: OnceCell<(Loaded, Environment)> = OnceCell::new();

/// The runtime in use; `None` before the first model was opened.
pub fn loaded() -> Option<&'static Loaded> {
    ENVIRONMENT.get().map(|(loaded, _)| loaded)
}

/// Loads the runtime at `path` (a library, or a directory that holds one).
///
/// # Errors
/// - [`Error::RuntimeMissing`]: it cannot be loaded or is too old.
/// - [`Error::InvalidArgument`]: another runtime is already in use.
pub fn load(path: &Path) -> Result<()> {
    let candidate = file_in(path);
    let (loaded, _) = ENVIRONMENT.get_or_try_init(|| create(&candidate).map_err(missing))?;
    let same = |a: &Path, b: &Path| a.canonicalize().ok() == b.canonicalize().ok();
    if same(&loaded.path, &candidate) {
        return Ok(());
    }
    Err(Error::argument(format!("{loaded} is already in use; a process has one runtime")))
}

/// The process's environment, created by the search described above when there is none.
pub(super) fn environment() -> Result<&'static Environment> {
    ENVIRONMENT.get_or_try_init(search).map(|(_, environment)| environment)
}

fn missing(reason: Failure) -> Error {
    match reason {
        Failure::Unusable(text) => Error::RuntimeMissing(text),
        Failure::Broken(error) => error,
    }
}

fn file_in(path: &Path) -> PathBuf {
    if path.is_dir() {
        let found = FILE_NAMES.iter().map(|name| path.join(name)).find(|file| file.exists());
        return found.unwrap_or_else(|| path.join(FILE_NAMES[0]));
    }
    path.to_owned()
}

fn search() -> Result<(Loaded, Environment)> {
    if let Some(path) = std::env::var_os("ERNIE_ORT_PATH").filter(|p| !p.is_empty()) {
        return create(&file_in(Path::new(&path))).map_err(|failure| match failure {
            Failure::Unusable(text) => Error::RuntimeMissing(format!("ERNIE_ORT_PATH names {text}")),
            Failure::Broken(error) => error,
        });
    }
    let mut tried = Vec::new();
    for candidate in candidates() {
        match create(&candidate) {
            Ok(found) => return Ok(found),
            Err(Failure::Unusable(text)) => tried.push(text),
            Err(Failure::Broken(error)) => return Err(error),
        }
    }
    Err(Error::RuntimeMissing(format!(
        "tried {}; set ERNIE_ORT_PATH or put libonnxruntime.so.1 (1.{OLDEST_MINOR_VERSION} or newer) beside libernie.so",
        tried.join("; ")
    )))
}

fn candidates() -> Vec<PathBuf> {
    let mut list = process::loaded_objects("libonnxruntime.so");
    for own in process::own_directories() {
        for dir in [own.clone(), own.join("../lib"), own.join("../lib64")] {
            list.extend(FILE_NAMES.iter().map(|name| dir.join(name)).filter(|file| file.exists()));
        }
    }
    list.extend(FILE_NAMES.iter().map(PathBuf::from));
    list
}

/// Why a candidate was not taken.
enum Failure {
    /// It cannot be loaded or is too old: another one may do.
    Unusable(String),
    /// It was loaded and failed: no other can be tried in this process.
    Broken(Error),
}

fn create(candidate: &Path) -> std::result::Result<(Loaded, Environment), Failure> {
    let unusable = |reason: String| Failure::Unusable(format!("{} ({reason})", candidate.display()));
    let library = process::open_runtime(candidate).map_err(unusable)?;
    let minor: u32 = library.version.split('.').nth(1).and_then(|part| part.parse().ok()).unwrap_or(0);
    if minor < OLDEST_MINOR_VERSION {
        let reason = format!("version {}, older than 1.{OLDEST_MINOR_VERSION}", library.version);
        return Err(unusable(reason));
    }
    let loaded = Loaded { path: library.path, version: library.version };
    let builder = ort::init_from(&loaded.path).map_err(|e| unusable(e.to_string()))?;
    process::disable_telemetry();
    let environment = builder
        .with_name("ernie")
        .with_telemetry(false)
        .with_logger(Arc::new(forward_log))
        .build()
        .map_err(|e| Failure::Broken(runtime_error(&format!("{loaded} cannot be started"), e)))?;
    environment.set_log_level(log_level());
    log::info!("{loaded}");
    Ok((loaded, environment))
}

/// The runtime's level for the level that the program's logger wants.
fn log_level() -> LogLevel {
    match log::max_level() {
        log::LevelFilter::Off => LogLevel::Fatal,
        log::LevelFilter::Error => LogLevel::Error,
        log::LevelFilter::Warn => LogLevel::Warning,
        log::LevelFilter::Info => LogLevel::Info,
        log::LevelFilter::Debug | log::LevelFilter::Trace => LogLevel::Verbose,
    }
}

/// Makes the runtime log what the program's logger wants now.
pub(crate) fn follow_log_level() {
    if let Some((_, environment)) = ENVIRONMENT.get() {
        environment.set_log_level(log_level());
    }
}

fn forward_log(level: LogLevel, category: &str, _id: &str, location: &str, message: &str) {
    let level = match level {
        LogLevel::Verbose => log::Level::Trace,
        LogLevel::Info => log::Level::Debug,
        LogLevel::Warning => log::Level::Warn,
        LogLevel::Error | LogLevel::Fatal => log::Level::Error,
    };
    log::log!(target: "onnxruntime", level, "{message} [{category} {location}]");
}

/// The environment itself, for benchmarks that compare with ONNX Runtime's own interface.
///
/// # Errors
/// - [`Error::RuntimeMissing`]: no usable ONNX Runtime.
#[doc(hidden)]
pub fn environment_for_benches() -> Result<Environment> {
    environment().cloned()
}
