//! Probabilities of start and end -> spans.
//!
//! Reference: `get_span` of `paddlenlp/utils/tools.py` (2.8.1): places above the threshold are walked in order; every
//! end takes the last start at or before it that no end took, an end without a start is left out.

/// A span of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) start_probability: f32,
    pub(crate) end_probability: f32,
}

impl Span {
    /// The probability of the whole.
    pub(crate) fn score(&self) -> f32 {
        (f64::from(self.start_probability) * f64::from(self.end_probability)) as f32
    }
}

/// Pairs starts and ends above `threshold`, in the order of their ends.
pub(crate) fn spans(start: &[f32], end: &[f32], threshold: f32) -> Vec<Span> {
    let above = |probabilities: &[f32]| -> Vec<(usize, f32)> {
        probabilities.iter().copied().enumerate().filter(|(_, p)| *p > threshold).collect()
    };
    let (starts, ends) = (above(start), above(end));
    let mut found: Vec<Span> = Vec::new();
    let (mut at_start, mut at_end) = (0, 0);
    while let (Some(&(first, start_probability)), Some(&(last, end_probability))) =
        (starts.get(at_start), ends.get(at_end))
    {
        if first > last {
            at_end += 1;
            continue;
        }
        let span = Span { first, last, start_probability, end_probability };
        match found.last_mut().filter(|known| known.last == last) {
            Some(known) => *known = span,
            None => found.push(span),
        }
        at_start += 1;
        at_end += usize::from(first == last);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(starts: &[usize], ends: &[usize]) -> Vec<(usize, usize)> {
        let probabilities = |places: &[usize]| {
            let mut all = vec![0.1; 12];
            places.iter().for_each(|place| all[*place] = 0.9);
            all
        };
        spans(&probabilities(starts), &probabilities(ends), 0.5).iter().map(|span| (span.first, span.last)).collect()
    }

    #[test]
    fn an_end_takes_the_nearest_start_before_it() {
        assert_eq!(pairs(&[1, 3], &[5]), [(3, 5)]);
        assert_eq!(pairs(&[1], &[3, 5]), [(1, 3)]);
        assert_eq!(pairs(&[2, 6], &[1, 2, 4, 9]), [(2, 2), (6, 9)]);
        assert_eq!(pairs(&[4], &[2]), []);
    }

    proptest! {
        /// The reference, word for word.
        #[test]
        fn spans_are_those_of_the_reference(starts in proptest::collection::btree_set(0_usize..12, 0..12),
                                            ends in proptest::collection::btree_set(0_usize..12, 0..12)) {
            let (starts, ends): (Vec<usize>, Vec<usize>) = (starts.into_iter().collect(), ends.into_iter().collect());
            let (mut i, mut j) = (0, 0);
            let mut couples = std::collections::BTreeMap::new();
            while i < starts.len() && j < ends.len() {
                if starts[i] == ends[j] {
                    couples.insert(ends[j], starts[i]);
                    i += 1;
                    j += 1;
                } else if starts[i] < ends[j] {
                    couples.insert(ends[j], starts[i]);
                    i += 1;
                } else {
                    j += 1;
                }
            }
            let wanted: Vec<(usize, usize)> = couples.into_iter().map(|(end, start)| (start, end)).collect();
            prop_assert_eq!(pairs(&starts, &ends), wanted);
        }
    }
}
