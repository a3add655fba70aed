//! Jobs -> threads that do them.
//!
//! In: jobs, from any thread. They are begun in their order, by as many threads as there are jobs, up to a number. Threads are
//! started when they are needed, and end after a while without work or when the [`Workers`] are dropped; nobody waits for that.
//! Jobs that were taken are done in any case.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use crate::error::{Error, Result};

/// What a thread without work waits for some.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// Something to do.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Threads that do jobs.
#[derive(Debug)]
pub(crate) struct Workers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Tells threads that there is a job, or that there will be none.
    changed: Condvar,
    max_threads: usize,
    idle_time: Duration,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    n_threads: usize,
    /// Threads that wait for a job, those that were told of one and are not awake yet included.
    n_idle: usize,
    is_closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { jobs, n_threads, n_idle, is_closed } = self;
        write!(f, "{} jobs, {n_threads} threads, {n_idle} idle, closed: {is_closed}", jobs.len())
    }
}

impl Workers {
    /// Up to `max_threads` threads, none of which is started yet.
    pub(crate) fn new(max_threads: usize) -> Self {
        Self::with_idle_time(max_threads, IDLE_TIME)
    }

    fn with_idle_time(max_threads: usize, idle_time: Duration) -> Self {
        let state = Mutex::new(State::default());
        Self(Arc::new(Shared { state, changed: Condvar::new(), max_threads: max_threads.max(1), idle_time }))
    }

    /// Takes a job. It must not panic: where it does, nobody hears of it.
    ///
    /// # Errors
    /// - [`Error::Runtime`]: there is no thread, and the system refuses one. The job is dropped.
    pub(crate) fn submit(&self, job: Job) -> Result<()> {
        let mut state = self.0.lock();
        if state.n_idle <= state.jobs.len() && state.n_threads < self.0.max_threads {
            let shared = Arc::clone(&self.0);
            match Builder::new().name("ernie-async".into()).spawn(move || shared.work()) {
                Ok(_) => state.n_threads += 1,
                // Those that there are do it.
                Err(error) if state.n_threads > 0 => log::warn!("the system refuses a thread: {error}"),
                Err(source) => {
                    let context = "the system refuses a thread for asynchronous calls".into();
                    return Err(Error::Runtime { context, source: Some(source.into()) });
                }
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs while it is locked: what it holds is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does until there is nothing to do.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
                    // It may panic again when it is dropped.
                    std::mem::forget(panic);
                }
                state = self.lock();
                continue;
            }
            if state.is_closed {
                break;
            }
            state.n_idle += 1;
            let (guard, waited) =
                self.changed.wait_timeout(state, self.idle_time).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.n_idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.n_threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    fn until(workers: &Workers, holds: impl Fn(&State) -> bool) {
        let begun = Instant::now();
        while !holds(&workers.0.lock()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", workers.0.lock());
            std::thread::yield_now();
        }
    }

    #[test]
    fn jobs_are_done_by_as_many_threads_as_there_may_be() {
        let workers = Workers::new(3);
        assert_eq!(workers.0.lock().n_threads, 0);
        let (done, all_done) = channel();
        for job in 0..50 {
            let done = done.clone();
            let work = move || {
                std::thread::sleep(Duration::from_millis(1));
                done.send((job, std::thread::current().id())).unwrap();
            };
            workers.submit(Box::new(work)).unwrap();
        }
        drop(done);
        let all: Vec<_> = all_done.iter().collect();
        let (jobs, threads): (HashSet<_>, HashSet<_>) = all.iter().copied().unzip();
        assert_eq!((all.len(), jobs.len(), threads.len()), (50, 50, 3));
    }

    #[test]
    fn a_thread_that_is_idle_takes_the_next_job_and_ends_after_a_while() {
        let workers = Workers::with_idle_time(8, Duration::from_millis(50));
        let (done, all_done) = channel();
        let mut threads = HashSet::new();
        for _ in 0..5 {
            let done = done.clone();
            workers.submit(Box::new(move || done.send(std::thread::current().id()).unwrap())).unwrap();
            threads.insert(all_done.recv().unwrap());
            until(&workers, |state| state.n_idle == state.n_threads);
        }
        assert!(threads.len() < 5);
        until(&workers, |state| state.n_threads == 0);
        workers.submit(Box::new(move || done.send(std::thread::current().id()).unwrap())).unwrap();
        all_done.recv().unwrap();
    }

    #[test]
    fn jobs_that_were_taken_are_done_though_the_workers_are_gone_or_a_job_panics() {
        let workers = Workers::new(1);
        let (shared, (done, all_done)) = (Arc::clone(&workers.0), channel());
        for job in 0..10 {
            let done = done.clone();
            workers
                .submit(Box::new(move || {
                    done.send(job).unwrap();
                    assert!(job != 4, "a bad job");
                }))
                .unwrap();
        }
        drop((workers, done));
        assert_eq!(all_done.iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        until(&Workers(shared), |state| state.n_threads == 0);
    }
}
