//! Keys and values of tokens, in one block of memory: an entry for each token, with the numbers of all layers.
//!
//! `[entries, entry size]`; entries are handed out by number and given back, and never move between numbers. What texts hold of them
//! is counted in a [`Gauge`]; what is only tried is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Bytes that caches take now, and took at most.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    now: AtomicU64,
    most: AtomicU64,
}

impl Gauge {
    fn add(&self, n_bytes: u64) {
        let now = self.now.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

/// Entries of one call.
#[derive(Debug)]
pub(crate) struct Cache {
    entry_size: usize,
    numbers: Vec<f32>,
    n_entries: usize,
    free: Vec<usize>,
    /// Entries that texts hold.
    n_held: usize,
    gauge: Arc<Gauge>,
}

impl Cache {
    pub(crate) fn new(entry_size: usize, gauge: Arc<Gauge>) -> Self {
        Self { entry_size, numbers: Vec::new(), n_entries: 0, free: Vec::new(), n_held: 0, gauge }
    }

    /// Entries that hold anything yet; their numbers are those of the caller to write.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`]: nothing was taken.
    pub(crate) fn take(&mut self, n: usize) -> Result<Vec<usize>> {
        let n_new = n.saturating_sub(self.free.len());
        if n_new > 0 {
            let n_floats = n_new.checked_mul(self.entry_size).ok_or(Error::OutOfMemory)?;
            // Room beyond what is asked for costs addresses only: nothing is written there.
            let reserved = self.numbers.try_reserve(n_floats).or_else(|_| self.numbers.try_reserve_exact(n_floats));
            reserved.map_err(|_| Error::OutOfMemory)?;
            self.numbers.resize(self.numbers.len() + n_floats, 0.0);
            self.free.extend((self.n_entries..self.n_entries + n_new).rev());
            self.n_entries += n_new;
        }
        let taken = self.free.split_off(self.free.len() - n);
        Ok(taken.into_iter().rev().collect())
    }

    /// Counts so many of the entries taken as those of texts.
    pub(crate) fn hold(&mut self, n: usize) {
        self.n_held += n;
        self.gauge.add(self.n_bytes(n));
    }

    /// Gives entries back that texts held.
    pub(crate) fn give_back(&mut self, entries: impl IntoIterator<Item = usize>) {
        let before = self.free.len();
        self.discard(entries);
        self.release(self.free.len() - before);
    }

    /// Gives entries back that no text held.
    pub(crate) fn discard(&mut self, entries: impl IntoIterator<Item = usize>) {
        self.free.extend(entries);
    }

    fn release(&mut self, n: usize) {
        self.n_held -= n;
        self.gauge.now.fetch_sub(self.n_bytes(n), Ordering::Relaxed);
    }

    fn n_bytes(&self, n: usize) -> u64 {
        (n * self.entry_size * size_of::<f32>()) as u64
    }

    /// Writes some numbers of an entry.
    pub(crate) fn write(&mut self, entry: usize, begin: usize, numbers: &[f32]) {
        let begin = entry * self.entry_size + begin;
        if let Some(place) = self.numbers.get_mut(begin..begin + numbers.len()) {
            place.copy_from_slice(numbers);
        }
    }

    /// All numbers, `[entries, entry size]`.
    pub(crate) fn numbers(&self) -> &[f32] {
        &self.numbers
    }

    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.n_entries, self.entry_size]
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.release(self.n_held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_used_again_and_what_they_take_is_counted() {
        let gauge = Arc::new(Gauge::default());
        let mut cache = Cache::new(3, gauge.clone());
        let first = cache.take(4).unwrap();
        assert_eq!(gauge.now(), 0);
        cache.hold(4);
        cache.write(first[2], 1, &[5.0, 6.0]);
        assert_eq!((cache.shape(), gauge.now()), ([4, 3], 4 * 3 * 4));
        assert_eq!(cache.numbers()[first[2] * 3..first[2] * 3 + 3], [0.0, 5.0, 6.0]);
        cache.give_back(first[..3].iter().copied());
        let mut second = cache.take(5).unwrap();
        cache.hold(5);
        assert_eq!((cache.shape(), gauge.now(), gauge.most()), ([6, 3], 6 * 3 * 4, 6 * 3 * 4));
        let tried = cache.take(2).unwrap();
        cache.discard(tried);
        assert_eq!((cache.shape(), gauge.now()), ([8, 3], 6 * 3 * 4));
        second.push(first[3]);
        second.sort_unstable();
        assert_eq!(second, [0, 1, 2, 3, 4, 5]);
        drop(cache);
        assert_eq!((gauge.now(), gauge.most()), (0, 72));
        assert!(Cache::new(usize::MAX / 2, gauge.clone()).take(9).is_err() && gauge.now() == 0);
    }
}
