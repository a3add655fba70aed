//! Whether the threads of a session can be had.
//!
//! ONNX Runtime waits for ever where the operating system refuses it a thread: it joins those that it has before it tells
//! them to stop. So their number is tried out before.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread::Builder;

use crate::error::{Error, Result};

/// What a thread takes of the addresses by default on Linux.
const STACK_BYTES: usize = 8 << 20;

/// Starts as many threads as a session with `n_threads` does besides the caller's, all at the same time, and ends them.
///
/// # Errors
/// - [`Error::Runtime`]: the operating system refuses one.
pub(super) fn check(n_threads: usize) -> Result<()> {
    let (sender, receiver) = channel::<()>();
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let sender = sender;
        for started in 1..n_threads {
            // Each waits until the sender is gone.
            let wait = || drop(receiver.lock().map(|receiver| receiver.recv()));
            if let Err(source) = Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, wait) {
                drop(sender);
                let context =
                    format!("{n_threads} threads (option threads): the system refuses number {}", started + 1);
                return Err(Error::Runtime { context, source: Some(source.into()) });
            }
        }
        drop(sender);
        Ok(())
    })
}
