//! Memory that is given once and cut into pieces.

use super::Shared;

/// Where pieces begin: a cache line.
const ALIGNMENT: usize = 64;

/// What is left of the memory.
pub(crate) struct Scratch<'a> {
    rest: &'a mut [u8],
}

/// Adds up what pieces take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScratchSize(usize);

impl ScratchSize {
    /// With room for `n` elements more.
    pub(crate) fn and<T>(self, n: usize) -> Self {
        let bytes = n.saturating_mul(size_of::<T>()).saturating_add(ALIGNMENT);
        Self(self.0.saturating_add(bytes))
    }

    /// Bytes.
    pub(crate) fn n_bytes(self) -> usize {
        self.0
    }
}

impl<'a> Scratch<'a> {
    pub(crate) fn new(memory: &'a mut [u8]) -> Self {
        Self { rest: memory }
    }

    /// Room for `n` numbers, whose values are any; `None` where there is too little left.
    pub(super) fn take<T: Plain>(&mut self, n: usize) -> Option<Shared<'a, T>> {
        let skipped = self.rest.as_ptr().align_offset(ALIGNMENT);
        let n_bytes = n.checked_mul(size_of::<T>())?;
        let rest = std::mem::take(&mut self.rest);
        let (_, rest) = rest.split_at_mut_checked(skipped)?;
        let (piece, rest) = rest.split_at_mut_checked(n_bytes)?;
        self.rest = rest;
        Some(Shared { start: piece.as_mut_ptr().cast(), len: n, memory: std::marker::PhantomData })
    }
}

/// Numbers, of which any bits are one.
///
/// # Safety
/// - All bits are values, alignment is at most 64.
pub(super) unsafe trait Plain {}

// SAFETY: any bits are a value.
unsafe impl Plain for f32 {}
// SAFETY: any bits are a value.
unsafe impl Plain for u32 {}
// SAFETY: a float and an integer.
unsafe impl Plain for super::rows::RowScale {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_overlap_and_fit_their_size() {
        let size = ScratchSize::default().and::<f32>(5).and::<u32>(0).and::<f32>(100);
        let mut memory = vec![0_u8; size.n_bytes()];
        let mut scratch = Scratch::new(&mut memory[..]);
        let (a, b, c) =
            (scratch.take::<f32>(5).unwrap(), scratch.take::<u32>(0).unwrap(), scratch.take::<f32>(100).unwrap());
        assert!(a.start.align_offset(64) == 0 && c.start.align_offset(64) == 0 && b.len == 0);
        assert!(c.start as usize - a.start as usize >= 20);
        assert!(scratch.take::<f32>(1 << 20).is_none() && Scratch::new(&mut []).take::<f32>(usize::MAX).is_none());
    }
}
