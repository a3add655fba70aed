//! `ernie_cancel`: ends calls from another thread.

use std::sync::Arc;

use super::boundary::infallible;
use crate::pipeline::Cancel;

/// Ends the calls that it was given to (`ernie_call.cancel`): they return `ERNIE_ERROR_CANCELLED`. Once signalled it stays so.
#[derive(Debug)]
pub struct ernie_cancel {
    pub(super) cancel: Arc<Cancel>,
}

/// A handle that is not signalled. The caller frees it. NULL where memory cannot be had.
#[unsafe(no_mangle)]
pub extern "C" fn ernie_cancel_new() -> *mut ernie_cancel {
    infallible(std::ptr::null_mut(), || Box::into_raw(Box::new(ernie_cancel { cancel: Arc::default() })))
}

/// Ends the calls that have this handle: those that wait for their turn at once (within milliseconds), the others before their next
/// run of the graph, of generation before the next word. Calls that begin later end at once; a call that has returned stays as it is. NULL is allowed. May be called from any thread at any time, also from a
/// signal handler.
///
/// # Safety
/// - `cancel` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_cancel_signal(cancel: *const ernie_cancel) {
    // Nothing here can panic, and nothing allocates.
    // SAFETY: the caller's obligation.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.cancel.signal();
    }
}

/// 1 where it was signalled, else 0; 0 for NULL.
///
/// # Safety
/// - `cancel` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_cancel_is_signalled(cancel: *const ernie_cancel) -> i32 {
    // SAFETY: the caller's obligation.
    unsafe { cancel.as_ref() }.map_or(0, |cancel| i32::from(cancel.cancel.is_signalled()))
}

/// Frees a handle. NULL is allowed. Calls that were given it must have returned; asynchronous ones may be under way.
///
/// # Safety
/// - `cancel` is NULL or was not freed yet, and nobody uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_cancel_free(cancel: *mut ernie_cancel) {
    infallible((), || {
        if !cancel.is_null() {
            // SAFETY: made by `Box::into_raw` in `ernie_cancel_new`; the rest is the caller's obligation.
            drop(unsafe { Box::from_raw(cancel) });
        }
    });
}
