//! Elements that a file holds in another order than rows: which bytes a view of a buffer touches, and the elements of a
//! view, row-major, in memory of their own.
//!
//! Views are of `torch.Tensor` (offset and a step per dimension) and of numpy's Fortran order. What a file may make this
//! library allocate is limited by a [`Budget`] in proportion to the file.

use std::ops::Range;

/// Bytes that every file may cause to be owned, however small it is.
const FREE_BYTES: usize = 16 << 20;

/// Copies of its own length that a file may cause to be owned.
const MAX_COPIES: usize = 4;

/// Elements of a buffer: the first, and for each dimension their number and the step to the next.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The first element.
    pub(super) offset: usize,
    /// The dimensions.
    pub(super) shape: Vec<usize>,
    /// The step of each dimension, in elements.
    pub(super) stride: Vec<usize>,
}

impl View {
    /// All elements of a buffer that has its first dimension's elements side by side.
    pub(super) fn fortran(shape: &[usize]) -> Option<Self> {
        let mut stride = Vec::with_capacity(shape.len());
        let mut step = 1_usize;
        for n in shape {
            stride.push(step);
            step = step.checked_mul(*n)?;
        }
        Some(Self { offset: 0, shape: shape.to_vec(), stride })
    }

    /// The number of elements; `None` where no memory could hold them.
    fn n_elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |product, n| product.checked_mul(*n))
    }

    /// From the first to the last element that is touched; `None` where an index overflows.
    pub(super) fn extent(&self) -> Option<Range<usize>> {
        if self.n_elements()? == 0 {
            return Some(self.offset..self.offset);
        }
        let steps = self.shape.iter().zip(&self.stride);
        let last = steps
            .into_iter()
            .try_fold(self.offset, |at, (n, step)| at.checked_add(n.checked_sub(1)?.checked_mul(*step)?))?;
        Some(self.offset..last.checked_add(1)?)
    }

    /// Whether the elements are row-major already.
    pub(super) fn is_row_major(&self) -> bool {
        let mut expected = 1_usize;
        for (n, step) in self.shape.iter().zip(&self.stride).rev() {
            // The step of a dimension of one element is never taken.
            if *n != 1 && *step != expected {
                return self.n_elements() == Some(0);
            }
            expected = expected.saturating_mul(*n);
        }
        true
    }

    /// Copies the elements of `element_bytes` bytes each to the end of `out`; `None` where `buffer` does not hold one of
    /// them. As many bytes as `out` has capacity for are written at most.
    pub(super) fn gather(&self, buffer: &[u8], element_bytes: usize, out: &mut Vec<u8>) -> Option<()> {
        let n_elements = self.n_elements()?;
        let mut index = vec![0_usize; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..n_elements {
            let start = at.checked_mul(element_bytes)?;
            let element = buffer.get(start..start.checked_add(element_bytes)?)?;
            if out.capacity() - out.len() < element_bytes {
                return None;
            }
            out.extend_from_slice(element);
            let dimensions = index.iter_mut().zip(self.shape.iter().zip(&self.stride));
            for (i, (n, step)) in dimensions.rev() {
                *i += 1;
                if *i < *n {
                    at = at.checked_add(*step)?;
                    break;
                }
                // Back to the first element of this dimension; the one before it goes on.
                at = at.checked_sub((*n - 1).checked_mul(*step)?)?;
                *i = 0;
            }
        }
        Some(())
    }
}

/// Bytes that may still be owned for a file.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// What a file of this length may cause: some copies of itself, since every honest file holds its elements once.
    pub(super) fn new(file_bytes: usize) -> Self {
        Self(file_bytes.saturating_mul(MAX_COPIES).saturating_add(FREE_BYTES))
    }

    /// Spends `n_bytes`; `None` where that is more than is left.
    pub(super) fn spend(&mut self, n_bytes: usize) -> Option<()> {
        self.0 = self.0.checked_sub(n_bytes)?;
        Some(())
    }

    /// An empty buffer for `n_bytes`, spent; `None` where that is more than is left or than there is memory.
    pub(super) fn buffer(&mut self, n_bytes: usize) -> Option<Vec<u8>> {
        self.spend(n_bytes)?;
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(n_bytes).ok()?;
        Some(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(view: &View, buffer: &[u8], element_bytes: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(view.n_elements()? * element_bytes);
        view.gather(buffer, element_bytes, &mut out)?;
        Some(out)
    }

    #[test]
    fn a_fortran_view_gives_rows() {
        let view = View::fortran(&[2, 3]).unwrap();
        assert_eq!(view.stride, [1, 2]);
        assert_eq!(gathered(&view, &[0, 10, 1, 11, 2, 12], 1).unwrap(), [0, 1, 2, 10, 11, 12]);
        let wide = [0, 0, 10, 10, 1, 1, 11, 11, 2, 2, 12, 12];
        assert_eq!(gathered(&view, &wide, 2).unwrap(), [0, 0, 1, 1, 2, 2, 10, 10, 11, 11, 12, 12]);
        let cube = View::fortran(&[2, 2, 2]).unwrap();
        assert_eq!(gathered(&cube, &[0, 1, 2, 3, 4, 5, 6, 7], 1).unwrap(), [0, 4, 2, 6, 1, 5, 3, 7]);
    }

    #[test]
    fn only_row_major_views_are_row_major() {
        let view = |shape: &[usize], stride: &[usize]| View { offset: 1, shape: shape.into(), stride: stride.into() };
        for (shape, stride, is_row_major) in [
            (&[2, 3][..], &[3, 1][..], true),
            (&[2, 3], &[1, 2], false),
            (&[1, 3], &[77, 1], true),
            (&[3, 1], &[1, 77], true),
            (&[3, 2], &[0, 1], false),
            (&[], &[], true),
            (&[0, 5], &[9, 9], true),
        ] {
            assert_eq!(view(shape, stride).is_row_major(), is_row_major, "{shape:?} {stride:?}");
        }
    }

    #[test]
    fn an_extent_ends_with_the_last_element_and_never_overflows() {
        let view = |shape: &[usize], stride: &[usize]| View { offset: 5, shape: shape.into(), stride: stride.into() };
        assert_eq!(view(&[2, 3], &[3, 1]).extent(), Some(5..11));
        assert_eq!(view(&[2, 3], &[1, 2]).extent(), Some(5..11));
        assert_eq!(view(&[4], &[0]).extent(), Some(5..6));
        assert_eq!(view(&[0, 4], &[4, 1]).extent(), Some(5..5));
        assert_eq!(view(&[], &[]).extent(), Some(5..6));
        for (shape, stride) in [([usize::MAX, 2], [1, 1]), ([2, 2], [usize::MAX, 1]), ([1 << 40, 1], [1 << 40, 1])] {
            assert_eq!(view(&shape, &stride).extent(), None);
        }
    }

    #[test]
    fn nothing_is_read_behind_a_buffer_or_written_behind_a_capacity() {
        let view = View { offset: 0, shape: vec![3], stride: vec![2] };
        assert_eq!(gathered(&view, &[1, 2, 3, 4], 1), None);
        assert_eq!(gathered(&view, &[1, 2, 3, 4, 5], 1).unwrap(), [1, 3, 5]);
        assert_eq!(view.gather(&[1, 2, 3, 4, 5], 1, &mut Vec::new()), None);
    }

    #[test]
    fn a_budget_is_spent_once() {
        let mut budget = Budget::new(0);
        assert!(budget.buffer(FREE_BYTES + 1).is_none());
        assert!(budget.buffer(FREE_BYTES).is_some());
        assert!(budget.buffer(1).is_none());
    }
}
