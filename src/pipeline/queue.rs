//! Where the calls of a model wait for one of its sessions.

use std::sync::Arc;
use std::time::Duration;

use super::packed::{PackedOutputs, PackedWork};
use crate::options::Options;
use crate::scheduler::{Line, Scheduler};

/// The queue of one session. All of a model's count those who wait together.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) line: Arc<Line>,
    pub(super) scheduler: Scheduler<Arc<PackedWork>, PackedOutputs>,
}

impl Queue {
    /// The queue of a model's first session.
    pub(super) fn new(options: &Options) -> Self {
        Self::with_line(Arc::new(Line::new(options.max_queue)), options)
    }

    /// That of another of its sessions.
    pub(super) fn beside(&self, options: &Options) -> Self {
        Self::with_line(Arc::clone(&self.line), options)
    }

    fn with_line(line: Arc<Line>, options: &Options) -> Self {
        let scheduler = Scheduler::new(Arc::clone(&line), Duration::from_micros(options.max_wait_us));
        Self { line, scheduler }
    }
}
