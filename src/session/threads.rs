//! Whether the threads of a session can be had.
//!
//! ONNX Runtime waits for ever where the operating system refuses it a thread: it joins those that it has before it tells
//! them to stop. So their number is tried out before, with plain threads of the system: those of the standard library end
//! the process where there is no memory for the stack of their signals. One of the rooms where `unsafe` lives.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// What threads wait at: it is locked until all are started.
type Gate = Mutex<()>;

/// Starts as many threads as a session with `n_threads` does besides the caller's, all at the same time, and ends them.
///
/// # Errors
/// - [`Error::Runtime`]: the operating system refuses one.
/// - [`Error::OutOfMemory`]: there is no room for the list of them.
pub(super) fn check(n_threads: usize) -> Result<()> {
    let mut threads: Vec<libc::pthread_t> = Vec::new();
    threads.try_reserve_exact(n_threads.saturating_sub(1)).map_err(|_| Error::OutOfMemory)?;
    let gate = Gate::default();
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let mut refusal = None;
    for _ in 1..n_threads {
        match start(&gate) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                refusal = Some(error);
                break;
            }
        }
    }
    drop(closed);
    let n_started = threads.len();
    for thread in threads {
        // SAFETY: it was started just now, is neither detached nor joined yet, and ends, as its gate is open.
        unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
    }
    let Some(source) = refusal else { return Ok(()) };
    let context = format!("{n_threads} threads (option threads): the system refuses number {}", n_started + 2);
    Err(Error::Runtime { context, source: Some(source.into()) })
}

/// Starts a thread that ends when the gate opens; it has the attributes that those of ONNX Runtime have. It must be joined
/// before `gate` is gone.
fn start(gate: &Gate) -> std::io::Result<libc::pthread_t> {
    let mut thread = MaybeUninit::uninit();
    let given = std::ptr::from_ref(gate).cast_mut().cast();
    // SAFETY: NULL asks for the default attributes; `pass` takes the gate that it is given, which outlives the thread.
    let code = unsafe { libc::pthread_create(thread.as_mut_ptr(), std::ptr::null(), pass, given) };
    match code {
        // SAFETY: it was written, as the call succeeded.
        0 => Ok(unsafe { thread.assume_init() }),
        code => Err(std::io::Error::from_raw_os_error(code)),
    }
}

extern "C" fn pass(gate: *mut c_void) -> *mut c_void {
    // SAFETY: the gate that `start` gave; it is there until this thread is joined.
    let gate = unsafe { &*gate.cast::<Gate>() };
    drop(gate.lock());
    std::ptr::null_mut()
}
