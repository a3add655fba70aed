//! Runs of many threads -> runs of one session, one after another, those of several callers together where they fit.
//!
//! In: from each caller one run at a time, and an engine that runs one or several. Out: the outputs, shared by all whose
//! runs went together, and the place of the caller's run among them.
//!
//! There is no thread here. Who finds the session idle leads: it runs its own run, which nobody copied or queued. Who finds
//! it busy waits in line. When a leader is done, the first in line leads the next run and takes those behind it with it, in
//! their order, as long as they fit ([`Load`]). So an idle session adds no latency, a busy one is shared, and nobody waits for
//! more than the runs before its place: who comes back with another run stands at the end again.
//!
//! What holds:
//! - A leader hands over when it is done, whether it succeeded, failed, panicked or was cancelled ([`Baton`]).
//! - A joined run that fails says nothing about whose fault it is: each of its callers gets its own run alone ([`Riders`]).
//! - Who waits can leave at any time; a leader copes with riders that are gone.
//! - Callers that shared a run often come back together. The next leader gives them a moment, a fraction of the time that
//!   they just shared, because leading a run without them would have them wait for it, for ever in two groups by turns.
//!
//! The limit of those who wait, and their number, is [`Line`]'s.

mod baton;
mod line;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use baton::{Baton, Riders};
pub use line::Admission;
pub(crate) use line::{Line, Place};

/// How often a caller that can be cancelled looks whether it was: a signal handler can wake nobody.
const CANCEL_INTERVAL: Duration = Duration::from_millis(2);

/// Of the time that a shared run took, this part at most is waited for those who shared it.
const RETURN_PART: u32 = 16;

/// How much is in a run.
pub(crate) trait Load: Copy {
    /// Both together, where they may share a run.
    fn with(self, more: Self) -> Option<Self>;

    /// Whether nothing could join.
    fn is_full(self) -> bool;
}

/// What may share a run with others.
pub(crate) trait Joins {
    /// How much is in it.
    type Load: Load;

    /// How much is in it.
    fn load(&self) -> Self::Load;
}

/// What a caller is given while it waits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Caller<'a> {
    pub(crate) cancel: Option<&'a Cancel>,
    pub(crate) admission: Admission,
}

impl Caller<'_> {
    /// The same caller after so many runs: who was let in once is.
    pub(crate) fn after(self, n_runs: usize) -> Self {
        let admission = if n_runs == 0 { self.admission } else { Admission::Granted };
        Self { admission, ..self }
    }

    fn check(self) -> Result<()> {
        if self.cancel.is_some_and(Cancel::is_signalled) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// The outputs of a run, and which of its runs is the caller's.
#[derive(Debug)]
pub(crate) struct Share<O> {
    pub(crate) outputs: Arc<O>,
    pub(crate) place: usize,
}

/// The runs of one session.
#[derive(Debug)]
pub(crate) struct Scheduler<R, O> {
    state: Mutex<State<R, O>>,
    /// Tells a leader that waits for more callers that there are some.
    arrived: Condvar,
    line: Arc<Line>,
    max_wait: Duration,
}

#[derive(Debug)]
struct State<R, O> {
    /// Somebody leads, or was told to.
    is_led: bool,
    /// Those in line, without who leads.
    waiting: VecDeque<Waiting<R, O>>,
    /// A leader waits until so many are in line.
    wake_at: Option<usize>,
    last: Option<Last>,
}

/// A place in line.
#[derive(Debug)]
struct Waiting<R, O> {
    entry: Arc<Entry<R, O>>,
    /// Whether it may share a run.
    joins: bool,
    /// What counts it, where it is to be counted.
    _place: Option<Place>,
}

/// The last run: how many callers shared it, how long it took, when it ended.
#[derive(Clone, Copy, Debug)]
struct Last {
    n_callers: usize,
    took: Duration,
    ended: Instant,
}

/// A caller that waits.
#[derive(Debug)]
struct Entry<R, O> {
    /// `None`: it wants the session to itself.
    run: Option<R>,
    admission: Admission,
    status: Mutex<Status<O>>,
    changed: Condvar,
}

/// What became of a caller that waits. It changes with the state locked, but for the end of a run.
#[derive(Debug)]
enum Status<O> {
    /// It is in line.
    Waits,
    /// It leads.
    Leads,
    /// Its run is part of another's.
    Rides,
    /// That run is done.
    Done(Arc<O>, usize),
    /// It has gone.
    Left,
}

/// What waiting ends with.
enum Called<O> {
    Leads,
    Shares(Share<O>),
}

impl<R: Joins, O> Scheduler<R, O> {
    /// A session's queue; `max_wait` is what a leader whose run is not full waits for more callers, even where none is expected.
    pub(crate) fn new(line: Arc<Line>, max_wait: Duration) -> Self {
        let state = State { is_led: false, waiting: VecDeque::new(), wake_at: None, last: None };
        Self { state: Mutex::new(state), arrived: Condvar::new(), line, max_wait }
    }

    /// Has `run` run by `engine`, in this thread or, with others, in that of another caller.
    ///
    /// # Errors
    /// - [`Error::Busy`]: too many wait already.
    /// - [`Error::Cancelled`]: the caller was cancelled before its run began, or while another led it.
    /// - The engine's, of this run alone.
    pub(crate) fn run(
        &self,
        run: R,
        caller: Caller<'_>,
        engine: &mut dyn FnMut(&[&R]) -> Result<O>,
    ) -> Result<Share<O>> {
        let mut state = self.lock();
        if !state.is_led {
            state.is_led = true;
            return self.lead(state, &run, caller, engine);
        }
        let entry = self.queue(state, Some(run), caller)?;
        match (self.wait(&entry, caller)?, &entry.run) {
            (Called::Shares(share), _) => Ok(share),
            (Called::Leads, Some(run)) => self.lead(self.lock(), run, caller, engine),
            (Called::Leads, None) => self.by_itself(caller, || Err(Error::Internal("a run is lost".into()))),
        }
    }

    /// Does `work` when it is the caller's turn, and nobody with it.
    ///
    /// # Errors
    /// - [`Error::Busy`], [`Error::Cancelled`]: as [`Self::run`].
    /// - Those of `work`.
    pub(crate) fn alone<T>(&self, caller: Caller<'_>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut state = self.lock();
        if state.is_led {
            let entry = self.queue(state, None, caller)?;
            // Nobody takes a caller without a run with it.
            self.wait(&entry, caller)?;
        } else {
            state.is_led = true;
            drop(state);
        }
        self.by_itself(caller, work)
    }

    fn by_itself<T>(&self, caller: Caller<'_>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _baton = Baton(self);
        caller.check()?;
        work()
    }

    fn lock(&self) -> MutexGuard<'_, State<R, O>> {
        // No caller's code runs while it is locked: what it holds is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stands at the end of the line.
    fn queue(
        &self,
        mut state: MutexGuard<'_, State<R, O>>,
        run: Option<R>,
        caller: Caller<'_>,
    ) -> Result<Arc<Entry<R, O>>> {
        let admission = caller.admission;
        let place = self.line.enter(admission)?;
        let entry = Arc::new(Entry { run, admission, status: Mutex::new(Status::Waits), changed: Condvar::new() });
        state.waiting.push_back(Waiting { entry: Arc::clone(&entry), joins: entry.run.is_some(), _place: place });
        let wakes = state.wake_at.is_some_and(|n| state.waiting.len() >= n);
        drop(state);
        if wakes {
            self.arrived.notify_one();
        }
        Ok(entry)
    }

    /// Waits until the caller leads, or its run was part of another's.
    fn wait(&self, entry: &Arc<Entry<R, O>>, caller: Caller<'_>) -> Result<Called<O>> {
        let mut status = entry.lock();
        loop {
            match &*status {
                Status::Leads => return Ok(Called::Leads),
                Status::Done(outputs, place) => {
                    return Ok(Called::Shares(Share { outputs: Arc::clone(outputs), place: *place }));
                }
                Status::Waits | Status::Rides | Status::Left => {}
            }
            if caller.cancel.is_none() {
                status = entry.changed.wait(status).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if let Err(cancelled) = caller.check() {
                drop(status);
                self.leave(entry);
                return Err(cancelled);
            }
            let waited = entry.changed.wait_timeout(status, CANCEL_INTERVAL);
            status = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Leaves, wherever the entry is by now.
    fn leave(&self, entry: &Arc<Entry<R, O>>) {
        let mut state = self.lock();
        if let Some(place) = state.waiting.iter().position(|waiting| Arc::ptr_eq(&waiting.entry, entry)) {
            state.waiting.remove(place);
            return;
        }
        let was = std::mem::replace(&mut *entry.lock(), Status::Left);
        drop(state);
        if matches!(was, Status::Leads) {
            drop(Baton(self));
        }
    }

    fn lead(
        &self,
        state: MutexGuard<'_, State<R, O>>,
        run: &R,
        caller: Caller<'_>,
        engine: &mut dyn FnMut(&[&R]) -> Result<O>,
    ) -> Result<Share<O>> {
        let baton = Baton(self);
        let mut riders = Riders { scheduler: self, entries: Vec::new(), joins: true };
        self.gather(state, run.load(), caller, &mut riders.entries)?;
        let begun = Instant::now();
        if !riders.entries.is_empty() {
            riders.joins = false;
            let runs: Vec<&R> = std::iter::once(run).chain(riders.runs()).collect();
            // Whatever a joined run ends with, each caller is to have what its own run gives.
            let joined = catch_unwind(AssertUnwindSafe(|| engine(&runs)));
            if let Ok(Ok(outputs)) = joined {
                let (outputs, n_callers) = (Arc::new(outputs), runs.len());
                self.ended(n_callers, begun);
                riders.deliver(&outputs);
                drop(baton);
                return Ok(Share { outputs, place: 0 });
            }
            log::debug!("a run of {} callers failed: each runs alone", runs.len());
        }
        drop(riders);
        let outputs = engine(&[run])?;
        self.ended(1, begun);
        Ok(Share { outputs: Arc::new(outputs), place: 0 })
    }

    fn ended(&self, n_callers: usize, begun: Instant) {
        let ended = Instant::now();
        self.lock().last = Some(Last { n_callers, took: ended - begun, ended });
    }

    /// Takes those who are first in line and fit, after a moment for those who may come.
    fn gather(
        &self,
        mut state: MutexGuard<'_, State<R, O>>,
        mut load: R::Load,
        caller: Caller<'_>,
        taken: &mut Vec<Arc<Entry<R, O>>>,
    ) -> Result<()> {
        let (n_wanted, until) = self.patience(&state);
        loop {
            caller.check()?;
            let is_full = self.take(&mut state, &mut load, taken);
            if is_full || taken.len() >= n_wanted {
                return Ok(());
            }
            let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(());
            }
            let interval = if caller.cancel.is_some() { left.min(CANCEL_INTERVAL) } else { left };
            // Where nobody knows how many come, each is looked at.
            state.wake_at = Some(n_wanted.checked_sub(taken.len()).filter(|_| n_wanted < usize::MAX).unwrap_or(1));
            state = self.arrived.wait_timeout(state, interval).unwrap_or_else(PoisonError::into_inner).0;
            state.wake_at = None;
        }
    }

    /// For how many others a leader waits, and until when.
    fn patience(&self, state: &State<R, O>) -> (usize, Option<Instant>) {
        if !self.max_wait.is_zero() {
            return (usize::MAX, Instant::now().checked_add(self.max_wait));
        }
        match state.last {
            Some(Last { n_callers, took, ended }) if n_callers > 1 => {
                (n_callers - 1, ended.checked_add(took / RETURN_PART))
            }
            _ => (0, None),
        }
    }

    /// Takes those who fit; whether nobody else could.
    fn take(&self, state: &mut State<R, O>, load: &mut R::Load, taken: &mut Vec<Arc<Entry<R, O>>>) -> bool {
        while let Some(first) = state.waiting.front() {
            let run = first.entry.run.as_ref().filter(|_| first.joins);
            let Some(both) = run.and_then(|run| load.with(run.load())) else { return true };
            *load = both;
            if let Some(Waiting { entry, .. }) = state.waiting.pop_front() {
                *entry.lock() = Status::Rides;
                taken.push(entry);
            }
        }
        load.is_full()
    }
}

impl<R, O> Entry<R, O> {
    fn lock(&self) -> MutexGuard<'_, Status<O>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
