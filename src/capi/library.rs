//! The library itself: version, log, ONNX Runtime.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, Once, PoisonError};

use super::boundary::{self, fallible, infallible};
use super::status::{c_string, ernie_status};
use crate::error::Error;
use crate::runtime;

/// No messages.
pub const ERNIE_LOG_OFF: i32 = 0;
/// Errors, also those that calls report by status.
pub const ERNIE_LOG_ERROR: i32 = 1;
/// What deserves a look.
pub const ERNIE_LOG_WARN: i32 = 2;
/// What was loaded and from where.
pub const ERNIE_LOG_INFO: i32 = 3;
/// Details, ONNX Runtime's information included.
pub const ERNIE_LOG_DEBUG: i32 = 4;
/// Everything.
pub const ERNIE_LOG_TRACE: i32 = 5;

/// Receives log messages. `level` is one of `ERNIE_LOG_...`; `target` says which part speaks (`onnxruntime`,
/// `ernie::...`); both strings are NUL-terminated UTF-8 and live only during the call. Called from any thread, also
/// from several at once; it must not unwind or call this library.
pub type ernie_log_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, level: i32, target: *const c_char, message: *const c_char)>;

/// The version of the library as a number: `major * 10000 + minor * 100 + patch`, as `ERNIE_VERSION_NUMBER` is that
/// of the header.
#[unsafe(no_mangle)]
pub extern "C" fn ernie_version() -> u32 {
    let part = |text: &str| text.parse::<u32>().unwrap_or(0);
    part(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
        + part(env!("CARGO_PKG_VERSION_MINOR")) * 100
        + part(env!("CARGO_PKG_VERSION_PATCH"))
}

/// How the library was built: version, target, oldest ONNX Runtime. A static string.
#[unsafe(no_mangle)]
pub extern "C" fn ernie_build_info() -> *const c_char {
    static TEXT: std::sync::LazyLock<std::ffi::CString> = std::sync::LazyLock::new(|| {
        c_string(&format!(
            "libernie {} for {}, ONNX Runtime 1.{} or newer",
            env!("CARGO_PKG_VERSION"),
            env!("ERNIE_BUILD_TARGET"),
            runtime::OLDEST_MINOR_VERSION
        ))
    });
    infallible(c"".as_ptr(), || TEXT.as_ptr())
}

/// The ONNX Runtime in use, as `ONNX Runtime 1.28.0 at /path`. The empty string before one was loaded. A static
/// string, the same once one is loaded.
#[unsafe(no_mangle)]
pub extern "C" fn ernie_runtime_info() -> *const c_char {
    static TEXT: once_cell::sync::OnceCell<std::ffi::CString> = once_cell::sync::OnceCell::new();
    infallible(c"".as_ptr(), || match runtime::loaded() {
        Some(loaded) => TEXT.get_or_init(|| c_string(&loaded.to_string())).as_ptr(),
        None => c"".as_ptr(),
    })
}

/// Loads ONNX Runtime from `path`: the library, or a directory that holds `libonnxruntime.so.1`. Optional: opening a
/// model searches `ERNIE_ORT_PATH`, a runtime already in the process, the directory of libernie.so, and the system.
/// A process has one runtime; loading the same again is no error.
///
/// Errors: `RUNTIME_MISSING` (cannot be loaded, or too old), `INVALID_ARGUMENT` (another one is in use).
///
/// Loading sets the environment variable `ORT_DISABLE_TELEMETRY` of the process to 1, unless it is: a program whose
/// other threads use the environment at that moment sets it before.
///
/// # Safety
/// - `path` is NULL or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_runtime_load(path: *const c_char) -> *mut ernie_status {
    // SAFETY: the caller's obligation.
    fallible(|| runtime::load(unsafe { boundary::path(path, "path") }?))
}

struct Callback {
    function: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
    user: *mut c_void,
}

// SAFETY: the caller promises that the function may be called from any thread with this pointer.
unsafe impl Send for Callback {}
// SAFETY: as above; the pointer is only handed on.
unsafe impl Sync for Callback {}

static CALLBACK: Mutex<Option<Arc<Callback>>> = Mutex::new(None);

/// Hands log records to the callback; the lock is not held while it runs.
struct Forward;

impl log::Log for Forward {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let callback = CALLBACK.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(callback) = callback {
            let (target, message) = (c_string(record.target()), c_string(&record.args().to_string()));
            // SAFETY: the caller of `ernie_set_log_callback` promised that the function may be called so.
            unsafe {
                (callback.function)(callback.user, record.level() as i32, target.as_ptr(), message.as_ptr());
            }
        }
    }

    fn flush(&self) {}
}

/// Sends messages up to `level` (`ERNIE_LOG_...`) to `callback`, those of ONNX Runtime included; NULL sends none.
/// Without a callback the library is silent. The callback set before may still be running in other threads when this
/// returns: what `user` points to must outlive their calls.
///
/// Errors: `INVALID_ARGUMENT` (no such level).
///
/// # Safety
/// - `callback` is NULL or may be called with `user` from any thread until another one is set and calls have ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_set_log_callback(
    callback: ernie_log_fn,
    user: *mut c_void,
    level: i32,
) -> *mut ernie_status {
    fallible(|| {
        static ONCE: Once = Once::new();
        let filter = match level {
            ERNIE_LOG_OFF => log::LevelFilter::Off,
            ERNIE_LOG_ERROR => log::LevelFilter::Error,
            ERNIE_LOG_WARN => log::LevelFilter::Warn,
            ERNIE_LOG_INFO => log::LevelFilter::Info,
            ERNIE_LOG_DEBUG => log::LevelFilter::Debug,
            ERNIE_LOG_TRACE => log::LevelFilter::Trace,
            other => return Err(Error::argument(format!("level is {other}, the log levels are 0 to 5"))),
        };
        // In a Rust program that has a logger of its own, that one stays.
        ONCE.call_once(|| drop(log::set_logger(&Forward)));
        *CALLBACK.lock().unwrap_or_else(PoisonError::into_inner) =
            callback.map(|function| Arc::new(Callback { function, user }));
        log::set_max_level(if callback.is_some() { filter } else { log::LevelFilter::Off });
        runtime::follow_log_level();
        Ok(())
    })
}
