mod faults;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, ScopedJoinHandle, scope};

use super::*;

/// Texts in one run of the fake engine at most.
const MOST: usize = 8;

/// A run of so many texts; what it gives is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fake {
    name: usize,
    n_texts: usize,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Fails,
    Panics,
}

impl Fake {
    fn new(name: usize, n_texts: usize) -> Self {
        Self { name, n_texts, fault: Fault::None }
    }
}

#[derive(Clone, Copy)]
struct Texts(usize);

impl Load for Texts {
    fn with(self, more: Self) -> Option<Self> {
        (self.0 + more.0 <= MOST).then_some(Self(self.0 + more.0))
    }

    fn is_full(self) -> bool {
        self.0 >= MOST
    }
}

impl Joins for Fake {
    type Load = Texts;

    fn load(&self) -> Texts {
        Texts(self.n_texts)
    }
}

type Names = Vec<usize>;
type FakeScheduler = Scheduler<Fake, Names>;

/// A session that tells which runs went together, and that no two run at the same time.
#[derive(Default)]
struct Engine {
    is_running: AtomicBool,
    together: Mutex<Vec<Names>>,
}

impl Engine {
    fn run(&self, runs: &[&Fake]) -> Result<Names> {
        assert!(!self.is_running.swap(true, Ordering::AcqRel), "two runs at a time");
        let names: Names = runs.iter().map(|run| run.name).collect();
        self.together.lock().unwrap_or_else(PoisonError::into_inner).push(names.clone());
        self.is_running.store(false, Ordering::Release);
        assert!(!runs.iter().any(|run| run.fault == Fault::Panics), "a bad run");
        match runs.iter().find(|run| run.fault == Fault::Fails) {
            Some(bad) => Err(Error::argument(format!("run {} is bad", bad.name))),
            None => Ok(names),
        }
    }

    fn together(&self) -> Vec<Names> {
        self.together.lock().unwrap().clone()
    }
}

fn scheduler() -> FakeScheduler {
    Scheduler::new(Arc::default(), Duration::ZERO)
}

/// What the scheduler gave to the caller of `run`.
fn give(scheduler: &FakeScheduler, engine: &Engine, run: Fake, caller: Caller<'_>) -> Result<usize> {
    let share = scheduler.run(run, caller, &mut |runs| engine.run(runs))?;
    Ok(share.outputs[share.place])
}

/// Keeps the session until it is told not to.
struct Blocker<'scope> {
    release: Sender<()>,
    thread: ScopedJoinHandle<'scope, ()>,
}

impl<'scope> Blocker<'scope> {
    fn start<'env>(scope: &'scope Scope<'scope, 'env>, scheduler: &'env FakeScheduler) -> Self {
        let (release, released): (Sender<()>, Receiver<()>) = channel();
        let (begun, has_begun) = channel();
        let work = move || {
            begun.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        };
        let thread = scope.spawn(|| scheduler.alone(Caller::default(), work).unwrap());
        has_begun.recv().unwrap();
        Self { release, thread }
    }

    fn end(self) {
        self.release.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Waits until so many are in line; what hangs is a failure.
fn until_waiting(scheduler: &FakeScheduler, n: usize) {
    let begun = Instant::now();
    while scheduler.line.n_waiting() != n {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} wait, not {n}", scheduler.line.n_waiting());
        std::thread::yield_now();
    }
}

fn assert_idle(scheduler: &FakeScheduler) {
    let state = scheduler.lock();
    assert!(!state.is_led && state.waiting.is_empty() && scheduler.line.n_waiting() == 0);
}

#[test]
fn an_idle_session_runs_in_the_caller_s_thread_at_once() {
    let (scheduler, caller) = (scheduler(), std::thread::current().id());
    for name in 0..3 {
        let mut n_runs = 0;
        let share = scheduler.run(Fake::new(name, 1), Caller::default(), &mut |runs| {
            n_runs += 1;
            assert_eq!((runs.len(), std::thread::current().id()), (1, caller));
            Ok(vec![runs[0].name])
        });
        let share = share.unwrap();
        assert_eq!((share.place, n_runs, Arc::try_unwrap(share.outputs).unwrap()), (0, 1, vec![name]));
    }
    assert_eq!(scheduler.line.most(), 0);
    assert_idle(&scheduler);
}

#[test]
fn those_who_wait_share_runs_in_their_order_as_far_as_they_fit() {
    let (scheduler, engine) = (scheduler(), Engine::default());
    scope(|scope| {
        let blocker = Blocker::start(scope, &scheduler);
        // 3 + 3 fit, 4 more do not; who fits behind them does not pass them by.
        let callers: Vec<_> = [3, 3, 4, 2, 2, 8, 1]
            .into_iter()
            .enumerate()
            .map(|(name, n_texts)| {
                let (scheduler, engine) = (&scheduler, &engine);
                let caller = scope.spawn(move || give(scheduler, engine, Fake::new(name, n_texts), Caller::default()));
                until_waiting(scheduler, name + 1);
                caller
            })
            .collect();
        blocker.end();
        for (name, caller) in callers.into_iter().enumerate() {
            assert_eq!(caller.join().unwrap().unwrap(), name);
        }
    });
    assert_eq!(engine.together(), [vec![0, 1], vec![2, 3, 4], vec![5], vec![6]]);
    assert_eq!(scheduler.line.most(), 7);
    assert_idle(&scheduler);
}

#[test]
fn who_has_many_runs_lets_each_of_the_others_in_between() {
    let (scheduler, engine) = (scheduler(), Engine::default());
    let last = 24;
    scope(|scope| {
        let blocker = Blocker::start(scope, &scheduler);
        let many: Vec<_> = [10, 20]
            .into_iter()
            .enumerate()
            .map(|(before, first)| {
                let (scheduler, engine) = (&scheduler, &engine);
                let runs = move || {
                    for name in first..first + 5 {
                        let mut patient = |runs: &[&Fake]| {
                            // A run takes longer than coming back does.
                            until_waiting(scheduler, usize::from(name != last));
                            engine.run(runs)
                        };
                        scheduler.run(Fake::new(name, MOST), Caller::default(), &mut patient).unwrap();
                    }
                };
                let caller = scope.spawn(runs);
                until_waiting(scheduler, before + 1);
                caller
            })
            .collect();
        blocker.end();
        many.into_iter().for_each(|caller| caller.join().unwrap());
    });
    assert_eq!(engine.together().concat(), [10, 20, 11, 21, 12, 22, 13, 23, 14, last]);
}

#[test]
fn a_full_line_is_told_at_once_and_those_who_are_in_are_not_asked_again() {
    let scheduler: FakeScheduler = Scheduler::new(Arc::new(Line::new(Some(2))), Duration::ZERO);
    let engine = Engine::default();
    let granted = Caller { admission: Admission::Granted, ..Caller::default() };
    scope(|scope| {
        let blocker = Blocker::start(scope, &scheduler);
        let callers: Vec<_> = (0..2)
            .map(|name| {
                let (scheduler, engine) = (&scheduler, &engine);
                let caller = scope.spawn(move || give(scheduler, engine, Fake::new(name, 1), Caller::default()));
                until_waiting(scheduler, name + 1);
                caller
            })
            .collect();
        let refused = give(&scheduler, &engine, Fake::new(9, 1), Caller::default()).unwrap_err();
        assert!(matches!(refused, Error::Busy { n_waiting: 2, limit: 2 }), "{refused}");
        assert!(matches!(scheduler.alone(Caller::default(), || Ok(())), Err(Error::Busy { .. })));
        let again = scope.spawn(|| give(&scheduler, &engine, Fake::new(3, 1), granted));
        until_waiting(&scheduler, 3);
        blocker.end();
        callers.into_iter().for_each(|caller| assert!(caller.join().unwrap().is_ok()));
        assert_eq!(again.join().unwrap().unwrap(), 3);
    });
    assert_idle(&scheduler);
}

#[test]
fn a_leader_waits_for_more_until_its_run_is_full() {
    let wait = Duration::from_secs(30);
    let scheduler: FakeScheduler = Scheduler::new(Arc::default(), wait);
    let engine = Engine::default();
    let begun = Instant::now();
    scope(|scope| {
        let first = scope.spawn(|| give(&scheduler, &engine, Fake::new(0, 4), Caller::default()));
        while scheduler.lock().wake_at.is_none() {
            std::thread::yield_now();
        }
        let second = scope.spawn(|| give(&scheduler, &engine, Fake::new(1, 4), Caller::default()));
        assert_eq!((first.join().unwrap().unwrap(), second.join().unwrap().unwrap()), (0, 1));
    });
    assert_eq!(give(&scheduler, &engine, Fake::new(2, MOST), Caller::default()).unwrap(), 2);
    assert_eq!(engine.together(), [vec![0, 1], vec![2]]);
    assert!(begun.elapsed() < wait);
}

#[test]
fn a_leader_waits_no_longer_than_it_may_and_not_once_it_is_cancelled() {
    let scheduler: FakeScheduler = Scheduler::new(Arc::default(), Duration::from_millis(10));
    let engine = Engine::default();
    let begun = Instant::now();
    assert_eq!(give(&scheduler, &engine, Fake::new(0, 1), Caller::default()).unwrap(), 0);
    assert!(begun.elapsed() >= Duration::from_millis(10));
    let scheduler: FakeScheduler = Scheduler::new(Arc::default(), Duration::from_secs(30));
    let cancel = Cancel::default();
    let caller = Caller { cancel: Some(&cancel), ..Caller::default() };
    scope(|scope| {
        let waits = scope.spawn(|| give(&scheduler, &engine, Fake::new(1, 1), caller));
        while scheduler.lock().wake_at.is_none() {
            std::thread::yield_now();
        }
        cancel.signal();
        assert!(matches!(waits.join().unwrap(), Err(Error::Cancelled)));
    });
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_idle(&scheduler);
}

#[test]
fn those_who_shared_a_run_are_waited_for_a_part_of_its_time_and_nobody_else() {
    let scheduler = scheduler();
    let ended = Instant::now();
    let last = |n_callers| Some(Last { n_callers, took: Duration::from_millis(32), ended });
    let mut state = scheduler.lock();
    assert_eq!(scheduler.patience(&state), (0, None));
    state.last = last(1);
    assert_eq!(scheduler.patience(&state), (0, None));
    state.last = last(5);
    assert_eq!(scheduler.patience(&state), (4, Some(ended + Duration::from_millis(2))));
}

#[test]
fn who_wants_the_session_alone_has_its_turn_in_order() {
    let (scheduler, engine) = (scheduler(), Engine::default());
    scope(|scope| {
        let blocker = Blocker::start(scope, &scheduler);
        let mut callers = Vec::new();
        for name in 0..5 {
            let (scheduler, engine) = (&scheduler, &engine);
            callers.push(scope.spawn(move || match name {
                2 => scheduler.alone(Caller::default(), || engine.run(&[&Fake::new(2, 1)])).map(|names| names[0]),
                _ => give(scheduler, engine, Fake::new(name, 1), Caller::default()),
            }));
            until_waiting(scheduler, name + 1);
        }
        blocker.end();
        for (name, caller) in callers.into_iter().enumerate() {
            assert_eq!(caller.join().unwrap().unwrap(), name);
        }
    });
    assert_eq!(engine.together(), [vec![0, 1], vec![2], vec![3, 4]]);
}
