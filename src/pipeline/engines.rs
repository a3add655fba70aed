//! The sessions of a model, one for each device, and who works with which.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::queue::Queue;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::scheduler::Line;
use crate::session::Session;

/// A session and those who wait for it.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) session: Session,
    pub(super) queue: Queue,
    /// Runs that were given to it and are not done.
    n_runs: AtomicUsize,
}

/// All of a model's, at least one.
#[derive(Debug)]
pub(super) struct Engines {
    first: Engine,
    others: Vec<Engine>,
}

impl Engines {
    /// One for each device of `options`, which `open` opens by the options of that device.
    ///
    /// # Errors
    /// - Those of `open`.
    pub(super) fn open(options: &Options, open: impl Fn(&Options) -> Result<Session>) -> Result<Self> {
        let engine = |session: Session, queue: Queue| Engine { session, queue, n_runs: AtomicUsize::new(0) };
        let of_each = options.of_each_device();
        let (first, others) = of_each.split_first().ok_or_else(|| Error::Internal("no device".into()))?;
        let first = engine(open(first)?, Queue::new(options));
        let others = others.iter().map(|device| Ok(engine(open(device)?, first.queue.beside(options))));
        let others = others.collect::<Result<_>>()?;
        Ok(Self { first, others })
    }

    /// The first: all have the same graph.
    pub(super) fn first(&self) -> &Engine {
        &self.first
    }

    /// Those who wait for any.
    pub(super) fn line(&self) -> &Arc<Line> {
        &self.first.queue.line
    }

    pub(super) fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// Does `work` with the engine that has the least to do, the first of equals.
    pub(super) fn with_least<T>(&self, work: impl FnOnce(&Engine) -> T) -> T {
        struct Done<'a>(&'a AtomicUsize);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let n_runs = |engine: &&Engine| engine.n_runs.load(Ordering::Relaxed);
        let engine = std::iter::once(&self.first).chain(&self.others).min_by_key(n_runs).unwrap_or(&self.first);
        engine.n_runs.fetch_add(1, Ordering::Relaxed);
        let _done = Done(&engine.n_runs);
        work(engine)
    }

    /// Makes each run, by `make` with its number, and hands it to `take` in this thread, in any order; as many at a time as there are
    /// engines. After an error no more are begun.
    ///
    /// # Errors
    /// - The first of `make`'s and `take`'s.
    pub(super) fn run_all<R: Sync, O: Send>(
        &self,
        runs: &[R],
        make: impl Fn(usize, &R) -> Result<O> + Sync,
        take: impl FnMut(O) -> Result<()>,
    ) -> Result<()> {
        crate::parallel::stream(self.len(), runs, make, take)
    }
}
