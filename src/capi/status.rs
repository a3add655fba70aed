//! `ernie_status`: what a failed call returns.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};

use super::boundary::infallible;
use crate::error::Error;

/// Success: the status pointer is NULL.
pub const ERNIE_OK: i32 = 0;
/// A NULL pointer, unknown option, value out of range, or tensor that does not fit the graph.
pub const ERNIE_ERROR_INVALID_ARGUMENT: i32 = 1;
/// A text is not UTF-8; the message names its index and the byte.
pub const ERNIE_ERROR_INVALID_UTF8: i32 = 2;
/// A file or directory is not there.
pub const ERNIE_ERROR_NOT_FOUND: i32 = 3;
/// The operating system refused to read a file.
pub const ERNIE_ERROR_IO: i32 = 4;
/// A file of the model is broken or contradicts another.
pub const ERNIE_ERROR_INVALID_MODEL: i32 = 5;
/// The model or the request cannot be run faithfully; the message says why.
pub const ERNIE_ERROR_UNSUPPORTED: i32 = 6;
/// A text has too many tokens and must not be cut.
pub const ERNIE_ERROR_TEXT_TOO_LONG: i32 = 7;
/// The caller's buffer is too small; nothing was written.
pub const ERNIE_ERROR_BUFFER_TOO_SMALL: i32 = 8;
/// No usable ONNX Runtime was found; the message names what was tried.
pub const ERNIE_ERROR_RUNTIME_MISSING: i32 = 9;
/// The execution provider asked for cannot be used here.
pub const ERNIE_ERROR_PROVIDER_UNAVAILABLE: i32 = 10;
/// ONNX Runtime failed while running a graph.
pub const ERNIE_ERROR_RUNTIME: i32 = 11;
/// Memory could not be had.
pub const ERNIE_ERROR_OUT_OF_MEMORY: i32 = 12;
/// The call was cancelled by `ernie_cancel_signal`.
pub const ERNIE_ERROR_CANCELLED: i32 = 13;
/// A bug in this library, caught before it reached the caller.
pub const ERNIE_ERROR_INTERNAL: i32 = 14;
/// As many calls wait for the model as option `max_queue` allows; the same call may succeed later.
pub const ERNIE_ERROR_BUSY: i32 = 15;

/// What a failed call returns: a code and a message. NULL is success. The caller frees it.
#[derive(Debug)]
pub struct ernie_status {
    code: i32,
    message: Cow<'static, CStr>,
}

/// Given out when memory is short: making a status must not need any.
static OUT_OF_MEMORY: ernie_status =
    ernie_status { code: ERNIE_ERROR_OUT_OF_MEMORY, message: Cow::Borrowed(c"out of memory") };

pub(super) fn code_of(error: &Error) -> i32 {
    match error {
        Error::InvalidArgument(_) => ERNIE_ERROR_INVALID_ARGUMENT,
        Error::InvalidUtf8 { .. } => ERNIE_ERROR_INVALID_UTF8,
        Error::NotFound { .. } => ERNIE_ERROR_NOT_FOUND,
        Error::Io { .. } => ERNIE_ERROR_IO,
        Error::InvalidModel { .. } => ERNIE_ERROR_INVALID_MODEL,
        Error::Unsupported(_) => ERNIE_ERROR_UNSUPPORTED,
        Error::TextTooLong { .. } => ERNIE_ERROR_TEXT_TOO_LONG,
        Error::BufferTooSmall { .. } => ERNIE_ERROR_BUFFER_TOO_SMALL,
        Error::RuntimeMissing(_) => ERNIE_ERROR_RUNTIME_MISSING,
        Error::ProviderUnavailable { .. } => ERNIE_ERROR_PROVIDER_UNAVAILABLE,
        Error::Runtime { .. } => ERNIE_ERROR_RUNTIME,
        Error::OutOfMemory => ERNIE_ERROR_OUT_OF_MEMORY,
        Error::Cancelled => ERNIE_ERROR_CANCELLED,
        Error::Internal(_) => ERNIE_ERROR_INTERNAL,
        Error::Busy { .. } => ERNIE_ERROR_BUSY,
    }
}

/// `text` without NUL bytes, NUL-terminated.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text).or_else(|_| CString::new(text.replace('\0', "\\0"))).unwrap_or_default()
}

/// The shared status, which needs no memory.
pub(super) fn without_memory() -> *mut ernie_status {
    (&raw const OUT_OF_MEMORY).cast_mut()
}

/// A status on the heap for `error`; the shared one when memory is short.
pub(super) fn from_error(error: &Error) -> *mut ernie_status {
    if matches!(error, Error::OutOfMemory) {
        return without_memory();
    }
    Box::into_raw(Box::new(ernie_status { code: code_of(error), message: Cow::Owned(c_string(&error.report())) }))
}

/// The code of a status: `ERNIE_OK` for NULL, else one of `ERNIE_ERROR_...`. Codes keep their meaning for ever.
///
/// # Safety
/// - `status` is NULL or a live status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_status_code(status: *const ernie_status) -> i32 {
    // SAFETY: the caller's obligation.
    infallible(ERNIE_ERROR_INTERNAL, || unsafe { status.as_ref() }.map_or(ERNIE_OK, |s| s.code))
}

/// The message of a status, with its causes: what is wrong and where. UTF-8, NUL-terminated, never NULL; it lives as
/// long as the status. The empty string for NULL.
///
/// # Safety
/// - `status` is NULL or a live status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_status_message(status: *const ernie_status) -> *const c_char {
    // SAFETY: the caller's obligation.
    infallible(c"".as_ptr(), || unsafe { status.as_ref() }.map_or(c"".as_ptr(), |s| s.message.as_ptr()))
}

/// The name of a code: `"INVALID_ARGUMENT"` for `ERNIE_ERROR_INVALID_ARGUMENT`, `"OK"`, `"UNKNOWN"` for numbers that
/// are no code. A static string.
#[unsafe(no_mangle)]
pub extern "C" fn ernie_status_code_name(code: i32) -> *const c_char {
    let name = match code {
        ERNIE_OK => c"OK",
        ERNIE_ERROR_INVALID_ARGUMENT => c"INVALID_ARGUMENT",
        ERNIE_ERROR_INVALID_UTF8 => c"INVALID_UTF8",
        ERNIE_ERROR_NOT_FOUND => c"NOT_FOUND",
        ERNIE_ERROR_IO => c"IO",
        ERNIE_ERROR_INVALID_MODEL => c"INVALID_MODEL",
        ERNIE_ERROR_UNSUPPORTED => c"UNSUPPORTED",
        ERNIE_ERROR_TEXT_TOO_LONG => c"TEXT_TOO_LONG",
        ERNIE_ERROR_BUFFER_TOO_SMALL => c"BUFFER_TOO_SMALL",
        ERNIE_ERROR_RUNTIME_MISSING => c"RUNTIME_MISSING",
        ERNIE_ERROR_PROVIDER_UNAVAILABLE => c"PROVIDER_UNAVAILABLE",
        ERNIE_ERROR_RUNTIME => c"RUNTIME",
        ERNIE_ERROR_OUT_OF_MEMORY => c"OUT_OF_MEMORY",
        ERNIE_ERROR_CANCELLED => c"CANCELLED",
        ERNIE_ERROR_INTERNAL => c"INTERNAL",
        ERNIE_ERROR_BUSY => c"BUSY",
        _ => c"UNKNOWN",
    };
    name.as_ptr()
}

/// Frees a status. NULL is allowed.
///
/// # Safety
/// - `status` is NULL or a status that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_status_free(status: *mut ernie_status) {
    infallible((), || {
        if !status.is_null() && !std::ptr::eq(status, &raw const OUT_OF_MEMORY) {
            // SAFETY: made by `Box::into_raw` in `from_error`, as the shared one is excluded.
            drop(unsafe { Box::from_raw(status) });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let name = |code| {
            // SAFETY: names are static strings.
            unsafe { CStr::from_ptr(ernie_status_code_name(code)) }.to_owned()
        };
        let names: std::collections::HashSet<CString> = (0..=ERNIE_ERROR_BUSY).map(name).collect();
        assert_eq!(names.len(), 16);
        assert!(!names.contains(c"UNKNOWN") && name(-1).as_c_str() == c"UNKNOWN");
    }

    #[test]
    fn the_shared_status_survives_its_free() {
        for _ in 0..2 {
            let status = from_error(&Error::OutOfMemory);
            // SAFETY: the status is live; freeing the shared one does nothing.
            unsafe {
                assert_eq!(ernie_status_code(status), ERNIE_ERROR_OUT_OF_MEMORY);
                ernie_status_free(status);
            }
        }
    }
}
