//! Those who wait for a model: how many there are, and how many there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// How a call stands in line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// It may be refused because too many wait already.
    #[default]
    Limited,
    /// It was let in before, and what it asks for now is another part of that: it is not refused.
    Granted,
    /// The same, and who made it keeps a place for it all the time: it is not counted again.
    Held,
}

/// The callers that wait for a model, in all its queues.
#[derive(Debug, Default)]
pub(crate) struct Line {
    n_waiting: AtomicUsize,
    most: AtomicUsize,
    limit: Option<usize>,
}

/// A place in line, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Line>);

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

    /// A place for a call, where it needs one.
    ///
    /// # Errors
    /// - [`Error::Busy`]: there are as many as there may be.
    pub(super) fn enter(self: &Arc<Self>, admission: Admission) -> Result<Option<Place>> {
        match admission {
            Admission::Limited => self.place().map(Some),
            Admission::Granted | Admission::Held => Ok(self.enter_again(admission)),
        }
    }

    /// A place, if there is one.
    ///
    /// # Errors
    /// - [`Error::Busy`]: there are as many as there may be.
    pub(crate) fn place(self: &Arc<Self>) -> Result<Place> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let one_more = |n: usize| (n < limit).then_some(n + 1);
        match self.n_waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(before) => Ok(self.counted(before)),
            Err(n_waiting) => Err(Error::Busy { n_waiting, limit }),
        }
    }

    fn place_without_limit(self: &Arc<Self>) -> Place {
        let before = self.n_waiting.fetch_add(1, Ordering::Relaxed);
        self.counted(before)
    }

    fn counted(self: &Arc<Self>, before: usize) -> Place {
        self.most.fetch_max(before + 1, Ordering::Relaxed);
        Place(Arc::clone(self))
    }

    /// A place for a call that gave up its own, and comes back.
    pub(super) fn enter_again(self: &Arc<Self>, admission: Admission) -> Option<Place> {
        (admission != Admission::Held).then(|| self.place_without_limit())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.n_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
