//! One thing after another is made of each of many, by a few threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::panics;

/// Threads beyond these find no more memory bandwidth.
const MAX_THREADS: usize = 4;

/// What `make` makes of each item, in their order. An item is dropped as soon as `make` is done with it.
///
/// # Errors
/// - The first of `make`'s, in the order of the items.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, make: impl Fn(T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let n_threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let slots: Vec<Mutex<Option<Result<R>>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(item), Some(slot)) = (items.get(index), slots.get(index)) else { break };
            let item = item.lock().unwrap_or_else(PoisonError::into_inner).take();
            let made = item.map(&make);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = made;
        }
    };
    // What panics leaves what it had in hand unmade.
    let guarded = || drop(panics::with_inside(true, || catch_unwind(AssertUnwindSafe(work))));
    std::thread::scope(|scope| {
        for _ in 1..n_threads {
            // A thread that cannot be had leaves its share to the others.
            drop(std::thread::Builder::new().spawn_scoped(scope, guarded));
        }
        guarded();
    });
    let lost = || Err(Error::Internal("one of many was not made".into()));
    let made = slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    made.map(|made| made.unwrap_or_else(lost)).collect()
}

/// Makes something of each item, by `make` with its number, and hands it to `take` in this thread, in any order; `n_threads` at a time, the
/// calling thread alone where that is 1. After an error no more are begun.
///
/// # Errors
/// - The first of `make`'s and `take`'s; [`Error::Internal`]: another thread panicked.
pub(crate) fn stream<T: Sync, R: Send>(
    n_threads: usize,
    items: &[T],
    make: impl Fn(usize, &T) -> Result<R> + Sync,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let n_threads = n_threads.min(items.len());
    let next = AtomicUsize::new(0);
    let numbered = || {
        let number = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < items.len()).then_some(n + 1));
        number.ok().and_then(|number| Some((number, items.get(number)?)))
    };
    let (sender, made) = sync_channel(n_threads);
    std::thread::scope(|scope| {
        let spawned = if n_threads > 1 { n_threads } else { 0 };
        for _ in 0..spawned {
            let (sender, numbered, make) = (sender.clone(), &numbered, &make);
            let work = move || {
                while let Some((number, item)) = numbered() {
                    let made = catch_unwind(AssertUnwindSafe(|| make(number, item)));
                    let made = made.unwrap_or_else(|_| Err(Error::Internal("one of many panicked".into())));
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
        // What nobody else makes.
        while let (Ok(()), Some((number, item))) = (&outcome, numbered()) {
            outcome = make(number, item).and_then(&mut take);
        }
        next.store(items.len(), Ordering::Relaxed);
        drop(made);
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_the_first_error_is_told() {
        let doubled = map((0..100).collect(), |n: usize| Ok(2 * n)).unwrap();
        assert_eq!(doubled, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
        let failing = |n: usize| if n % 40 == 39 { Err(Error::argument(n.to_string())) } else { Ok(n) };
        assert!(map((0..100).collect(), failing).unwrap_err().to_string().contains("39"));
        assert!(map(Vec::new(), failing).unwrap().is_empty());
        let panicking = |n: usize| if n == 7 { std::panic::resume_unwind(Box::new("seven")) } else { Ok(n) };
        assert!(matches!(map((0..100).collect(), panicking), Err(Error::Internal(_))));
    }

    #[test]
    fn everything_is_taken_once_and_nothing_after_an_error() {
        for n_threads in [1, 3, 200] {
            let items: Vec<usize> = (0..100).collect();
            let mut taken = Vec::new();
            let keep = |made| {
                taken.push(made);
                Ok(())
            };
            stream(n_threads, &items, |number, item| Ok(number + item), keep).unwrap();
            taken.sort_unstable();
            assert_eq!(taken, items.iter().map(|n| 2 * n).collect::<Vec<_>>());
            let n_made = AtomicUsize::new(0);
            let count = |_: usize, n: &usize| {
                n_made.fetch_add(1, Ordering::Relaxed);
                Ok(*n)
            };
            let refuse = |n: usize| if n == 5 { Err(Error::argument("five".to_owned())) } else { Ok(()) };
            assert!(stream(n_threads, &items, count, refuse).unwrap_err().to_string().contains("five"));
            assert!(n_threads > 50 || n_made.into_inner() < 50, "{n_threads}");
            let fail = |_: usize, n: &usize| if *n > 2 { Err(Error::argument("made".to_owned())) } else { Ok(*n) };
            assert!(stream(n_threads, &items, fail, |_| Ok(())).unwrap_err().to_string().contains("made"));
            stream(n_threads, &[], fail, |_| Ok(())).unwrap();
        }
        let panicking =
            |_: usize, n: &usize| if *n == 7 { std::panic::resume_unwind(Box::new("seven")) } else { Ok(*n) };
        let outcome = stream(2, &(0..100).collect::<Vec<_>>(), panicking, |_| Ok(()));
        assert!(matches!(outcome, Err(Error::Internal(_))));
    }
}
