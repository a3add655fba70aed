//! Encodings -> padded rows, and which row belongs to which text.
//!
//! In: encodings in the caller's order and a [`Policy`]. Out: [`Run`]s, each a set of texts of similar length that go
//! through the graph together, and the [`Rows`] of one run. Texts are sorted by length so that little is padding; the
//! members of a run carry their index, which restores the caller's order.
//!
//! This is the layout of foreign graphs; [`rows`] is that of graphs that this library builds itself. [`context`] tells
//! which of several windows of a text speaks for a token.

pub(crate) mod context;
pub(crate) mod rows;

use crate::tokenize::Encoding;

/// What may share a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Texts in one run at most, at least 1.
    pub(crate) max_rows: usize,
    /// Tokens in one run at most, padding included; a longer text runs alone.
    pub(crate) max_tokens: usize,
    /// The graph takes exactly so many rows.
    pub(crate) fixed_rows: Option<usize>,
    /// The graph takes exactly so many tokens a row.
    pub(crate) fixed_tokens: Option<usize>,
    /// Only texts of the same length share a run: the graph cannot be told what is padding.
    pub(crate) equal_lengths: bool,
}

/// Texts that go through the graph together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Indices of the texts, a row each.
    pub(crate) members: Vec<usize>,
    /// Rows given to the graph, at least as many as members.
    pub(crate) n_rows: usize,
    /// Tokens a row.
    pub(crate) n_tokens: usize,
}

/// Groups texts of these lengths into runs.
pub(crate) fn plan(lengths: &[usize], policy: &Policy) -> Vec<Run> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| (lengths[*index], *index));
    let mut runs: Vec<Run> = Vec::new();
    for index in order {
        let length = policy.fixed_tokens.unwrap_or(lengths[index]);
        match runs.last_mut() {
            Some(run) if fits(run, length, policy) => {
                run.members.push(index);
                run.n_tokens = length;
            }
            _ => runs.push(Run { members: vec![index], n_rows: 1, n_tokens: length }),
        }
    }
    for run in &mut runs {
        run.n_rows = policy.fixed_rows.unwrap_or(run.members.len());
    }
    runs
}

/// Whether a text of `length`, no shorter than those of the run, may join it.
fn fits(run: &Run, length: usize, policy: &Policy) -> bool {
    let n_rows = run.members.len() + 1;
    let same = !policy.equal_lengths || run.n_tokens == length;
    match policy.fixed_rows {
        Some(fixed) => same && n_rows <= fixed.min(policy.max_rows),
        None => same && n_rows <= policy.max_rows && n_rows.saturating_mul(length) <= policy.max_tokens,
    }
}

/// The padded inputs of one run, each `[n_rows, n_tokens]` row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) input_ids: Vec<i64>,
    pub(crate) token_type_ids: Vec<i64>,
    /// 1 for tokens, 0 for padding.
    pub(crate) attention_mask: Vec<i64>,
    /// 0, 1, 2, ... in every row.
    pub(crate) position_ids: Vec<i64>,
}

impl Rows {
    /// Lays out the members of `run`. Rows without a member repeat the first one, so that every row is a real text.
    pub(crate) fn new(run: &Run, encodings: &[Encoding], pad_id: i64) -> Self {
        let size = run.n_rows * run.n_tokens;
        let mut rows = Self {
            input_ids: Vec::with_capacity(size),
            token_type_ids: Vec::with_capacity(size),
            attention_mask: Vec::with_capacity(size),
            position_ids: Vec::with_capacity(size),
        };
        let first = run.members.first().copied();
        for row in 0..run.n_rows {
            if let Some(index) = run.members.get(row).copied().or(first) {
                rows.push(&encodings[index], run.n_tokens, pad_id);
            }
        }
        rows
    }

    fn push(&mut self, encoding: &Encoding, n_tokens: usize, pad_id: i64) {
        let padding = n_tokens.saturating_sub(encoding.input_ids.len());
        let append = |target: &mut Vec<i64>, values: &[i64], fill: i64| {
            target.extend_from_slice(values);
            target.extend(std::iter::repeat_n(fill, padding));
        };
        append(&mut self.input_ids, &encoding.input_ids, pad_id);
        append(&mut self.token_type_ids, &encoding.token_type_ids, 0);
        append(&mut self.attention_mask, &encoding.attention_mask, 0);
        self.position_ids.extend(0..n_tokens as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Policy =
        Policy { max_rows: 4, max_tokens: 64, fixed_rows: None, fixed_tokens: None, equal_lengths: false };

    proptest! {
        #[test]
        fn every_text_is_in_exactly_one_run_and_budgets_hold(
            lengths in proptest::collection::vec(1usize..100, 0..60), equal_lengths: bool, fixed in 0usize..4, max_rows in 1usize..5
        ) {
            let policy = Policy { equal_lengths, fixed_rows: (fixed > 0).then_some(fixed), max_rows, ..POLICY };
            let runs = plan(&lengths, &policy);
            let mut seen: Vec<usize> = runs.iter().flat_map(|r| r.members.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for run in &runs {
                let longest = run.members.iter().map(|i| lengths[*i]).max().unwrap_or(0);
                prop_assert_eq!(run.n_tokens, longest);
                if let Some(fixed) = policy.fixed_rows {
                    prop_assert_eq!(run.n_rows, fixed);
                    prop_assert!(run.members.len() <= fixed.min(policy.max_rows));
                } else {
                    prop_assert!(run.members.len() <= max_rows && (run.members.len() == 1 || run.n_rows * run.n_tokens <= 64));
                }
                prop_assert!(!equal_lengths || run.members.iter().all(|i| lengths[*i] == longest));
            }
        }
    }

    fn encoding(ids: &[i64]) -> Encoding {
        Encoding {
            input_ids: ids.to_vec(),
            token_type_ids: vec![1; ids.len()],
            attention_mask: vec![1; ids.len()],
            ..Encoding::default()
        }
    }

    #[test]
    fn rows_are_padded_masked_and_filled_up() {
        let encodings = [encoding(&[5, 6]), encoding(&[7])];
        let run = Run { members: vec![1, 0], n_rows: 3, n_tokens: 3 };
        let rows = Rows::new(&run, &encodings, 9);
        assert_eq!(rows.input_ids, [7, 9, 9, 5, 6, 9, 7, 9, 9]);
        assert_eq!(rows.attention_mask, [1, 0, 0, 1, 1, 0, 1, 0, 0]);
        assert_eq!(rows.token_type_ids, [1, 0, 0, 1, 1, 0, 1, 0, 0]);
        assert_eq!(rows.position_ids, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }
}
