//! The sessions of a model, one for each device, and who works with which.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use super::queue::Queue;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::panics;
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
        mut take: impl FnMut(O) -> Result<()>,
    ) -> Result<()> {
        let n_threads = self.len().min(runs.len());
        if n_threads <= 1 {
            return runs.iter().enumerate().try_for_each(|(number, run)| take(make(number, run)?));
        }
        let next = AtomicUsize::new(0);
        let (sender, made) = sync_channel(n_threads);
        std::thread::scope(|scope| {
            for _ in 0..n_threads {
                let (sender, next, make) = (sender.clone(), &next, &make);
                let work = move || {
                    while let Some((number, run)) = numbered(runs, next) {
                        let made = catch_unwind(AssertUnwindSafe(|| make(number, run)));
                        let made = made.unwrap_or_else(|_| Err(Error::Internal("a run panicked".into())));
                        if sender.send(made).is_err() {
                            break;
                        }
                    }
                };
                // A thread that cannot be had leaves its share to the others.
                drop(std::thread::Builder::new().spawn_scoped(scope, || panics::with_inside(true, work)));
            }
            drop(sender);
            let mut outcome = made.iter().try_for_each(|made| take(made?));
            // Where there are no threads at all, and nothing else is left to do.
            while let (Ok(()), Some((number, run))) = (&outcome, numbered(runs, &next)) {
                outcome = make(number, run).and_then(&mut take);
            }
            next.store(runs.len(), Ordering::Relaxed);
            drop(made);
            outcome
        })
    }
}

/// The next run, and its number.
fn numbered<'a, R>(runs: &'a [R], next: &AtomicUsize) -> Option<(usize, &'a R)> {
    let number = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < runs.len()).then_some(n + 1));
    let number = number.ok()?;
    Some((number, runs.get(number)?))
}
