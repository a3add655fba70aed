//! Threads that go through phases of work together.
//!
//! Every thread runs the same program. A phase falls into numbered parts, each of which is taken once by whoever comes first; a
//! phase ends for everybody when its last part is done. Threads may come late, or not at all: the parts are then done by
//! the others, so nobody waits for a thread that the system does not run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Phases of work, in order.
#[derive(Debug)]
pub(super) struct Crew {
    phases: Vec<Phase>,
    /// A thread has panicked in the middle of a part, which will never be done.
    is_broken: AtomicBool,
    n_members: AtomicUsize,
}

/// On a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Phase {
    next: AtomicUsize,
    n_done: AtomicUsize,
    n_parts: usize,
}

/// What a thread knows itself by.
pub(super) struct Member<'a> {
    crew: &'a Crew,
    /// From 0, in the order of coming.
    pub(super) number: usize,
    next_phase: usize,
}

impl Crew {
    /// Phases with so many parts each.
    pub(super) fn new(n_parts: impl IntoIterator<Item = usize>) -> Self {
        let phase = |n_parts| Phase { next: AtomicUsize::new(0), n_done: AtomicUsize::new(0), n_parts };
        Self {
            phases: n_parts.into_iter().map(phase).collect(),
            is_broken: AtomicBool::new(false),
            n_members: AtomicUsize::new(0),
        }
    }

    /// A thread comes.
    pub(super) fn join(&self) -> Member<'_> {
        Member { crew: self, number: self.n_members.fetch_add(1, Ordering::Relaxed), next_phase: 0 }
    }

    /// The most parts of a phase: more threads have nothing to do.
    pub(super) fn most_parts(&self) -> usize {
        self.phases.iter().map(|phase| phase.n_parts).max().unwrap_or(0)
    }
}

impl Member<'_> {
    /// Takes part in the next phase until it is done; `false` where it never will be.
    pub(super) fn phase(&mut self, mut work: impl FnMut(usize)) -> bool {
        self.phase_ahead(|part, _| work(part))
    }

    /// The same; with each part `work` gets the one that this thread will probably do next, which may be beyond the last.
    pub(super) fn phase_ahead(&mut self, mut work: impl FnMut(usize, usize)) -> bool {
        let Some(phase) = self.crew.phases.get(self.next_phase) else { return false };
        self.next_phase += 1;
        while let Some(part) = phase.take() {
            let guard = BreakOnDrop(&self.crew.is_broken);
            // The others take one each before this thread comes again.
            let n_others = self.crew.n_members.load(Ordering::Relaxed).saturating_sub(1);
            work(part, phase.next.load(Ordering::Relaxed).saturating_add(n_others));
            std::mem::forget(guard);
            phase.n_done.fetch_add(1, Ordering::Release);
        }
        phase.wait(&self.crew.is_broken)
    }

    /// Waits for the next phase without taking part; `false` where it never will be done.
    pub(super) fn pass(&mut self) -> bool {
        self.next_phase += 1;
        self.crew.phases.get(self.next_phase - 1).is_some_and(|phase| phase.wait(&self.crew.is_broken))
    }
}

impl Phase {
    fn take(&self) -> Option<usize> {
        // Stops counting at the end, so that it can never begin again.
        if self.next.load(Ordering::Relaxed) >= self.n_parts {
            return None;
        }
        let part = self.next.fetch_add(1, Ordering::Relaxed);
        (part < self.n_parts).then_some(part)
    }

    fn wait(&self, is_broken: &AtomicBool) -> bool {
        // Long enough for the parts of others, which are short; then a thread that was put aside may be the one that has one.
        const SPINS: usize = 4096;
        let mut n_spins = 0;
        while self.n_done.load(Ordering::Acquire) < self.n_parts {
            if is_broken.load(Ordering::Acquire) {
                return false;
            }
            n_spins += 1;
            if n_spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        !is_broken.load(Ordering::Acquire)
    }
}

struct BreakOnDrop<'a>(&'a AtomicBool);

impl Drop for BreakOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn every_part_is_done_once_and_phases_follow_one_another() {
        let crew = Crew::new([1000, 0, 7]);
        let done: Vec<AtomicUsize> = (0..1007).map(|_| AtomicUsize::new(0)).collect();
        let sum = |range: std::ops::Range<usize>| done[range].iter().map(|n| n.load(Ordering::Relaxed)).sum::<usize>();
        let work = || {
            let mut member = crew.join();
            assert!(member.phase(|part| _ = done[part].fetch_add(1, Ordering::Relaxed)));
            assert_eq!(sum(0..1000), 1000);
            assert!(member.phase(|_| unreachable!()));
            assert!(member.phase(|part| _ = done[1000 + part].fetch_add(1, Ordering::Relaxed)));
            assert_eq!(sum(0..1007), 1007);
            assert!(!member.phase(|_| ()));
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
        // One that comes when all is done.
        work();
        assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        assert_eq!((crew.join().number, crew.most_parts()), (5, 1000));
    }

    #[test]
    fn nobody_waits_for_a_part_that_panicked() {
        let crew = Crew::new([8, 8]);
        let work = || {
            let mut member = crew.join();
            let first = member.phase(|part| assert_ne!(part, 3));
            assert!(!first || !member.phase(|_| ()));
        };
        let outcomes: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..3).map(|_| scope.spawn(|| catch_unwind(AssertUnwindSafe(work)).is_err())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|panicked| **panicked).count(), 1);
    }
}
