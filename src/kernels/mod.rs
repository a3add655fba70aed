//! Arithmetic of our own, where ONNX Runtime has no operator for it or a slow one: plain slices in, plain slices out.
//!
//! [`layer`] is a whole layer of an encoder over texts without padding. It is made of products by weights that were packed once
//! ([`matrix`], [`rows`], [`product`]), of attention that never leaves a text ([`texts`]) or that looks into a cache ([`attention`]),
//! and of what is done to single numbers and rows ([`pointwise`], [`exponential`]); threads go through it together ([`crew`]).
//! [`selection`] finds the few best of many. Nothing here knows of graphs; `session` makes operators of it.
//!
//! Every result depends on its own row or text only: alone and among any others it is the same to the last bit, whatever
//! the number of threads. [`InstructionSet`] says which instructions are used; all of them are tested against the same
//! naive oracles. This is one of the rooms where `unsafe` lives.

#[cfg(target_arch = "x86_64")]
mod amx;
pub(crate) mod attention;
mod crew;
pub(crate) mod exponential;
pub(crate) mod layer;
pub(crate) mod matrix;
mod pointwise;
mod portable;
pub(crate) mod product;
mod rows;
pub(crate) mod scratch;
pub(crate) mod selection;
pub(crate) mod texts;
#[cfg(target_arch = "x86_64")]
mod x86;

/// The domain of the operators that kernels are.
pub(crate) const OPERATOR_DOMAIN: &str = "libernie";

/// The instructions that kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstructionSet {
    /// Those that every processor of the target has.
    Portable,
    /// AVX2 with fused multiplication and addition.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The same with products of bytes.
    #[cfg(target_arch = "x86_64")]
    Avx2Vnni,
    /// AVX-512 (F, BW, DQ, VL).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same with products of bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// The same with products of bf16 too.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// The same with registers for matrices of bytes and of bf16.
    #[cfg(target_arch = "x86_64")]
    Amx,
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
            use std::arch::is_x86_feature_detected as has;
            let has_avx2 = has!("fma") && has!("avx2");
            let has_avx512 = has_avx2 && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
            let has_vnni = has_avx512 && has!("avx512vnni");
            let sets = [
                (Self::Avx2, has_avx2),
                (Self::Avx2Vnni, has_avx2 && has!("avxvnni")),
                (Self::Avx512, has_avx512),
                (Self::Avx512Vnni, has_vnni),
                (Self::Avx512Bf16, has_vnni && has!("avx512bf16")),
                (Self::Amx, has_vnni && has!("avx512bf16") && amx::is_there()),
            ];
            all.extend(sets.into_iter().filter(|(_, has)| *has).map(|(set, _)| set));
        }
        all
    }
}

/// Whether every processor of the target multiplies and adds in one rounding.
const PORTABLE_FUSES: bool = cfg!(target_arch = "aarch64");

/// Makes a function for every instruction set of a generic one, `fn body<const FUSED: bool>`, which is inlined into it.
macro_rules! vectorized {
    (fn $name:ident($($argument:ident: $ty:ty),*) $(-> $result:ty)? = $body:ident) => {
        fn $name(set: InstructionSet, $($argument: $ty),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512($($argument: $ty),*) $(-> $result)? { $body::<true>($($argument),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $ty),*) $(-> $result)? { $body::<true>($($argument),*) }
            match set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512
                | InstructionSet::Avx512Vnni
                | InstructionSet::Avx512Bf16
                | InstructionSet::Amx => {
                    // SAFETY: a set that the processor has.
                    unsafe { avx512($($argument),*) }
                }
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                InstructionSet::Avx2 | InstructionSet::Avx2Vnni => unsafe { avx2($($argument),*) },
                InstructionSet::Portable => $body::<{ super::PORTABLE_FUSES }>($($argument),*),
            }
        }
    };
    (unsafe fn $name:ident($($argument:ident: $ty:ty),*) = $body:ident) => {
        /// # Safety
        /// - That of the function that it is made of.
        unsafe fn $name(set: InstructionSet, $($argument: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            // SAFETY: the caller's obligation.
            unsafe fn avx512($($argument: $ty),*) { unsafe { $body::<true>($($argument),*) } }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            // SAFETY: the caller's obligation.
            unsafe fn avx2($($argument: $ty),*) { unsafe { $body::<true>($($argument),*) } }
            // SAFETY: the caller's obligation; a set that the processor has.
            unsafe {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512
                | InstructionSet::Avx512Vnni
                | InstructionSet::Avx512Bf16
                | InstructionSet::Amx => avx512($($argument),*),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 | InstructionSet::Avx2Vnni => avx2($($argument),*),
                    InstructionSet::Portable => $body::<{ super::PORTABLE_FUSES }>($($argument),*),
                }
            }
        }
    };
}
use vectorized;

/// Runs a piece of work a number of times, on as many threads as there are, and returns when all are done.
pub(crate) type Spread<'a> = dyn Fn(usize, &(dyn Fn() + Sync)) + 'a;

/// Runs `work` on up to `n_threads` threads, this one among them.
fn spread_over(n_threads: usize, spread: &Spread<'_>, work: &(dyn Fn() + Sync)) {
    if n_threads > 1 {
        spread(n_threads, work);
    }
    // Whatever the threads left.
    work();
}

/// Asks for the cache line of an element.
#[inline(always)]
fn prefetch<T>(memory: &Shared<'_, T>, index: usize) {
    #[cfg(target_arch = "x86_64")]
    if index < memory.len {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: an address of the memory; nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(memory.start.add(index).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (memory, index);
}

/// Asks for all cache lines of a slice.
#[inline(always)]
fn prefetch_all(values: &[f32]) {
    for line in values.chunks(16) {
        prefetch(&Shared::constant(line), 0);
    }
}

/// Memory that several threads use, each places of its own.
#[derive(Debug)]
struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    memory: std::marker::PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: users are told apart by the obligations of `Shared::part` and `Shared::read`.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    fn new(memory: &'a mut [T]) -> Self {
        Self { start: memory.as_mut_ptr(), len: memory.len(), memory: std::marker::PhantomData }
    }

    /// Memory that is only read.
    fn constant(memory: &'a [T]) -> Self {
        Self { start: memory.as_ptr().cast_mut(), len: memory.len(), memory: std::marker::PhantomData }
    }

    /// `len` elements from `begin`, for the same users; none where the memory is shorter.
    fn some(&self, begin: usize, len: usize) -> Self {
        match begin.checked_add(len) {
            // SAFETY: within the memory that was borrowed.
            Some(end) if end <= self.len => Self { start: unsafe { self.start.add(begin) }, len, ..*self },
            _ => Self { len: 0, ..*self },
        }
    }

    /// `len` elements from `begin`, to be written; none where the memory is shorter.
    ///
    /// # Safety
    /// - No part that overlaps is in use, and the memory is not constant.
    unsafe fn part(&self, begin: usize, len: usize) -> &'a mut [T] {
        match begin.checked_add(len) {
            // SAFETY: within the memory that was borrowed; not shared by the caller's obligation.
            Some(end) if end <= self.len => unsafe { std::slice::from_raw_parts_mut(self.start.add(begin), len) },
            _ => &mut [],
        }
    }

    /// `len` elements from `begin`; none where the memory is shorter.
    ///
    /// # Safety
    /// - Nobody writes to them.
    unsafe fn read(&self, begin: usize, len: usize) -> &'a [T] {
        match begin.checked_add(len) {
            // SAFETY: within the memory that was borrowed; not written to by the caller's obligation.
            Some(end) if end <= self.len => unsafe { std::slice::from_raw_parts(self.start.add(begin), len) },
            _ => &[],
        }
    }
}

#[cfg(test)]
mod testing {
    /// Numbers between -1 and 1 that look random.
    pub(super) fn numbers(n: usize, seed: usize) -> Vec<f32> {
        let mut state = (seed as u32).wrapping_mul(747_796_405).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    pub(super) fn on_threads(n: usize, work: &(dyn Fn() + Sync)) {
        std::thread::scope(|scope| (0..n).for_each(|_| drop(scope.spawn(work))));
    }
}
