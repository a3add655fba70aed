//! Arithmetic of our own, where ONNX Runtime has no operator for it or a slow one: plain slices in, plain slices out.
//!
//! [`linear`] multiplies a few rows by weights that were packed once ([`panels`]), [`attention`] lets tokens look at keys and
//! values that stay where they are, [`exponential`] is what both and the heads share, [`selection`] finds the few best. Nothing here knows of
//! graphs; `session` makes operators of it.
//!
//! Every result depends on its own row only: a row alone and the same row among any others give the same numbers to the last
//! bit, whatever the number of threads. [`InstructionSet`] says which instructions are used; all of them are tested against the same
//! naive oracles. This is one of the rooms where `unsafe` lives.

pub(crate) mod attention;
pub(crate) mod exponential;
pub(crate) mod linear;
pub(crate) mod panels;
pub(crate) mod selection;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::atomic::{AtomicUsize, Ordering};

/// The domain of the operators that kernels are.
pub(crate) const OPERATOR_DOMAIN: &str = "libernie";

/// The instructions that kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstructionSet {
    /// AVX-512 with fused multiplication and addition.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with fused multiplication and addition.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Those that every processor of the target has.
    Portable,
}

impl InstructionSet {
    /// The best that this processor has.
    pub(crate) fn best() -> Self {
        Self::all().last().copied().unwrap_or(Self::Portable)
    }

    /// All that this processor has, the best last.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let fuses = std::arch::is_x86_feature_detected!("fma");
            if fuses && std::arch::is_x86_feature_detected!("avx2") {
                all.push(Self::Avx2);
            }
            if fuses && std::arch::is_x86_feature_detected!("avx512f") {
                all.push(Self::Avx512);
            }
        }
        all
    }
}

/// Whether every processor of the target multiplies and adds in one rounding.
const PORTABLE_FUSES: bool = cfg!(target_arch = "aarch64");

/// Runs a piece of work a number of times, on as many threads as there are, and returns when all are done.
pub(crate) type Spread<'a> = dyn Fn(usize, &(dyn Fn() + Sync)) + 'a;

/// Work that is cut into numbered parts, each of which is taken once by whichever thread comes first.
struct Parts {
    next: AtomicUsize,
    n_parts: usize,
}

impl Parts {
    fn new(n_parts: usize) -> Self {
        Self { next: AtomicUsize::new(0), n_parts }
    }

    fn take(&self) -> Option<usize> {
        // Stops counting at the end, so that it can never begin again.
        if self.next.load(Ordering::Relaxed) >= self.n_parts {
            return None;
        }
        let part = self.next.fetch_add(1, Ordering::Relaxed);
        (part < self.n_parts).then_some(part)
    }
}

/// Memory that several threads write to, each to places of its own.
#[derive(Clone, Copy)]
struct Shared<'a> {
    start: *mut f32,
    len: usize,
    memory: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: writers are told apart by `Shared::part`'s obligation.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn new(memory: &'a mut [f32]) -> Self {
        Self { start: memory.as_mut_ptr(), len: memory.len(), memory: std::marker::PhantomData }
    }

    /// `len` elements from `begin`; none where the memory is shorter.
    ///
    /// # Safety
    /// - No part that overlaps is in use.
    #[expect(clippy::mut_from_ref, reason = "parts are told apart by the caller")]
    unsafe fn part(&self, begin: usize, len: usize) -> &mut [f32] {
        match begin.checked_add(len) {
            // SAFETY: within the memory that was borrowed; not shared by the caller's obligation.
            Some(end) if end <= self.len => unsafe { std::slice::from_raw_parts_mut(self.start.add(begin), len) },
            _ => &mut [],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_taken_once_by_many_threads() {
        let parts = Parts::new(1000);
        let taken: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(part) = parts.take() {
                        taken[part].fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(taken.iter().all(|n| n.load(Ordering::Relaxed) == 1) && parts.take().is_none());
    }
}
