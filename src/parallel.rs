//! One thing after another is made of each of many, by a few threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
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
}
