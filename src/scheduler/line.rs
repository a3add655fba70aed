//! Those who wait for a model: how many there are, and how many there may be.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Whether a caller may be told that too many wait already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    #[default]
    Limited,
    /// It was let in before: what it asks for now is another part of that.
    Granted,
}

/// The callers that wait for a model, in all its queues.
#[derive(Debug, Default)]
pub(crate) struct Line {
    n_waiting: AtomicUsize,
    most: AtomicUsize,
    limit: Option<usize>,
}

impl Line {
    /// A line of at most `limit` callers.
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Callers that wait now.
    pub(crate) fn n_waiting(&self) -> usize {
        self.n_waiting.load(Ordering::Relaxed)
    }

    /// The most that waited at a time.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Takes a place at the end.
    ///
    /// # Errors
    /// - [`Error::Busy`]: there are as many as there may be.
    pub(crate) fn enter(&self, admission: Admission) -> Result<()> {
        let limit = self.limit.filter(|_| admission == Admission::Limited).unwrap_or(usize::MAX);
        let one_more = |n: usize| (n < limit).then_some(n + 1);
        match self.n_waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(before) => {
                self.most.fetch_max(before + 1, Ordering::Relaxed);
                Ok(())
            }
            Err(n_waiting) => Err(Error::Busy { n_waiting, limit }),
        }
    }

    /// Takes a place that was given up before.
    pub(crate) fn come_back(&self) {
        let before = self.n_waiting.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(before + 1, Ordering::Relaxed);
    }

    /// Gives up a place.
    pub(crate) fn leave(&self) {
        self.n_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
