//! What ends calls from another thread.

use std::sync::atomic::{AtomicBool, Ordering};

/// Ends calls that were given it: while they wait for their turn, or before their next run of the graph. Once signalled it
/// stays so.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// Ends the calls. Takes no lock and no memory: a signal handler may do it.
    pub fn signal(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was signalled.
    #[must_use]
    pub fn is_signalled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
