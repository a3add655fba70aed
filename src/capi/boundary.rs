//! The one place where panics stop and where pointers of the caller are looked at first.

use std::any::Any;
use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr::NonNull;

use super::status::{self, ernie_status};
use crate::error::{Error, Result};
use crate::panics;

/// Runs `work`; an error or a panic becomes a status, and is logged.
pub(super) fn fallible(work: impl FnOnce() -> Result<()>) -> *mut ernie_status {
    // Making the status is guarded like the work itself: it formats foreign errors.
    let outcome = guarded(|| match work() {
        Ok(()) => std::ptr::null_mut(),
        Err(error) => logged(&error),
    });
    let panicked = |message| guarded(|| logged(&Error::Internal(message)));
    outcome.or_else(panicked).unwrap_or_else(|_| status::without_memory())
}

fn logged(error: &Error) -> *mut ernie_status {
    log::error!("{}", error.report());
    status::from_error(error)
}

/// Runs `work`, which has no way to report; a panic gives `fallback`.
pub(super) fn infallible<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    guarded(work).unwrap_or(fallback)
}

/// Runs `work` and turns a panic into its message. The panic's report goes to the log, not to the terminal.
fn guarded<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    panics::install_hook();
    panics::with_inside(true, || {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
            let message = message_of(panic.as_ref());
            // A payload may panic again when it is dropped; the one of that panic is kept for ever.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                std::mem::forget(again);
            }
            message
        })
    })
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

/// The value behind a handle.
///
/// # Safety
/// - `handle` is NULL or points to a live `T` that nobody changes during `'a`.
pub(super) unsafe fn handle<'a, T>(handle: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller's obligation.
    unsafe { handle.as_ref() }.ok_or_else(|| null(name))
}

/// The handle behind a pointer, to be changed.
///
/// # Safety
/// - `handle` is NULL or points to a live `T` that nobody else uses during `'a`.
pub(super) unsafe fn handle_mut<'a, T>(handle: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's obligation.
    unsafe { handle.as_mut() }.ok_or_else(|| null(name))
}

/// The caller's place for an output, which may hold anything before it is written.
pub(super) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Writes the output.
    pub(super) fn write(self, value: T) {
        // SAFETY: not NULL and aligned, as `out` checked; writable, as its caller promised.
        unsafe { self.0.write(value) }
    }
}

/// The place for an output.
///
/// # Safety
/// - `out` is NULL or points to memory for a `T` that nobody else uses until it is written.
pub(super) unsafe fn out<T>(out: *mut T, name: &str) -> Result<Out<T>> {
    let place = NonNull::new(out).ok_or_else(|| null(name))?;
    if !place.is_aligned() {
        return Err(Error::argument(format!("{name} is not aligned to {} bytes", align_of::<T>())));
    }
    Ok(Out(place))
}

/// `length` elements at `data`; NULL is allowed for none.
///
/// # Safety
/// - `data` is NULL or points to `length` initialised elements that nobody changes during `'a`.
pub(super) unsafe fn slice<'a, T>(data: *const T, length: usize, name: &str) -> Result<&'a [T]> {
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(name));
    }
    if !data.is_aligned() {
        return Err(Error::argument(format!("{name} is not aligned to {} bytes", align_of::<T>())));
    }
    if length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Error::argument(format!("{name} cannot have {length} elements")));
    }
    // SAFETY: not NULL, aligned, of a possible size; the rest is the caller's obligation.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

/// Writes all of `values` to the caller's array; NULL is allowed for none.
///
/// # Safety
/// - `out` is NULL or points to memory for as many elements, which nobody else uses.
pub(super) unsafe fn write_all<T: Copy>(out: *mut T, values: &[T], name: &str) -> Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    // SAFETY: the caller's obligation; the place itself is not written.
    unsafe { self::out(out, name) }?;
    // SAFETY: not NULL and aligned, as checked; writable for so many elements, as the caller promised; ours are elsewhere.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), out, values.len()) };
    Ok(())
}

/// A NUL-terminated string that must be UTF-8.
///
/// # Safety
/// - `text` is NULL or a NUL-terminated string that nobody changes during `'a`.
pub(super) unsafe fn c_str<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL; the rest is the caller's obligation.
    let bytes = unsafe { CStr::from_ptr(text) };
    bytes.to_str().map_err(|e| Error::InvalidUtf8 { what: name.to_owned(), byte_offset: e.valid_up_to() })
}

/// A path: the bytes up to the NUL, as the operating system takes them.
///
/// # Safety
/// - As [`c_str`].
pub(super) unsafe fn path<'a>(text: *const c_char, name: &str) -> Result<&'a Path> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL; the rest is the caller's obligation.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    if bytes.is_empty() {
        return Err(Error::argument(format!("{name} is empty")));
    }
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// A struct that begins with its own size as the caller's header had it. Fields that the caller's header does not know
/// are zero; fields that this library does not know must be.
///
/// # Safety
/// - `T` is a C struct of integers that begins with the `u32` of its size, for which all bits zero is a value.
/// - `value` is not NULL and points to as many readable bytes as that size says.
pub(super) unsafe fn sized_input<T: Copy>(value: *const T, name: &str) -> Result<T> {
    // SAFETY: the caller's obligation.
    let size = unsafe { value.cast::<u32>().read_unaligned() } as usize;
    check_size::<T>(size, name)?;
    // SAFETY: the caller's obligation.
    let tail = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) }.get(size_of::<T>()..).unwrap_or(&[]);
    if tail.iter().any(|byte| *byte != 0) {
        return Err(Error::argument(format!("{name} has fields that this version of libernie does not know")));
    }
    let mut copy = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: both sides have at least so many bytes; all bits zero, partly overwritten by the caller's, is a value.
    unsafe {
        std::ptr::copy_nonoverlapping(value.cast::<u8>(), copy.as_mut_ptr().cast(), size.min(size_of::<T>()));
        Ok(copy.assume_init())
    }
}

/// Writes `filled` to a struct of the caller that begins with its size, as far as the caller's header knows it. The
/// size itself stays as the caller set it.
///
/// # Safety
/// - As [`sized_input`], and `out` is writable or NULL.
pub(super) unsafe fn sized_output<T: Copy>(out: *mut T, filled: T, name: &str) -> Result<()> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's obligation.
    let size = unsafe { out.cast::<u32>().read_unaligned() } as usize;
    check_size::<T>(size, name)?;
    let (skip, n_bytes) = (size_of::<u32>(), size.min(size_of::<T>()) - size_of::<u32>());
    // SAFETY: both sides have at least so many bytes; they do not overlap, as `filled` is ours.
    unsafe {
        let source = (&raw const filled).cast::<u8>().add(skip);
        std::ptr::copy_nonoverlapping(source, out.cast::<u8>().add(skip), n_bytes);
    }
    Ok(())
}

/// A size that is none at all is a struct that was not initialised.
fn check_size<T>(size: usize, name: &str) -> Result<()> {
    const LARGEST: usize = 4096;
    if (size_of::<u32>()..=LARGEST).contains(&size) && size.is_multiple_of(size_of::<u32>()) {
        return Ok(());
    }
    Err(Error::argument(format!("{name}.struct_size is {size}, set it to sizeof ({} here)", size_of::<T>())))
}

fn null(name: &str) -> Error {
    Error::argument(format!("{name} is NULL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error() {
        let status = fallible(|| panic!("broken {}", 7));
        // SAFETY: the status was just made and is freed once.
        unsafe {
            assert_eq!(status::ernie_status_code(status), status::ERNIE_ERROR_INTERNAL);
            let message = CStr::from_ptr(status::ernie_status_message(status)).to_str().unwrap();
            assert!(message.contains("broken 7"), "{message}");
            status::ernie_status_free(status);
        }
        assert_eq!(infallible(3, || panic!("again")), 3);
    }
}
