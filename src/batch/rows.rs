//! Encodings -> one flat list of tokens, for graphs of this library, and where a graph wants them, rows for its attention.
//!
//! In: encodings in the caller's order and a budget. Out: [`PackedRun`]s: texts one after another without padding. Operators of
//! this library need no more. For ONNX Runtime's attention each text has a row of its own ([`RowPlaces`]); texts of similar length
//! share a run, so that rows waste little. Tokens carry where their text lies, which restores the caller's order.
//!
//! A row is as long as the longest text of its run, rounded up to [`ROW_QUANTUM`]. A text begins at the start of its row,
//! so that sums over its tokens are made in the same order whatever stands in other rows, or behind it: a text alone and
//! in any batch gives the same numbers to the last bit.

use crate::architecture::Architecture;
use crate::options::AttentionMask;
use crate::tokenize::Encoding;

/// Rows have a multiple of this number of tokens: what the runtime's softmax takes at a time at most (four vectors of
/// sixteen), so that no token of a text is part of a remainder in one run and not in another.
pub(crate) const ROW_QUANTUM: usize = 64;

/// How much goes into a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Texts in one run at most, at least 1.
    pub(crate) max_texts: usize,
    /// Tokens in one run at most; a longer text runs alone.
    pub(crate) max_tokens: usize,
    /// Whether attention is over rows, each as long as the longest text.
    pub(crate) has_rows: bool,
}

impl Budget {
    /// Whether so many texts, of so many tokens together, the longest of `longest`, may share a run.
    pub(crate) fn holds(&self, n_texts: usize, n_tokens: usize, longest: usize) -> bool {
        let n_slots = n_texts.saturating_mul(longest.next_multiple_of(ROW_QUANTUM));
        // Attention over rows that are mostly empty would cost more than another run.
        n_texts <= self.max_texts
            && n_tokens <= self.max_tokens
            && (!self.has_rows || n_slots <= self.max_tokens.saturating_mul(2).max(n_texts * ROW_QUANTUM))
    }
}

/// Where a text lies in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The text's index in the caller's order.
    pub(crate) index: usize,
    /// Its first token in the flat list.
    pub(crate) first_token: usize,
    /// The number of its tokens.
    pub(crate) n_tokens: usize,
}

/// Texts that go through the graph together, a row each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackedRun {
    /// The texts, in the order of the rows.
    pub(crate) texts: Vec<Placed>,
    /// Tokens in the flat list.
    pub(crate) n_tokens: usize,
    /// Tokens of a row.
    pub(crate) n_row_tokens: usize,
}

impl PackedRun {
    /// Whether a text of `n_tokens`, no shorter than those here, may join.
    fn takes(&self, n_tokens: usize, budget: &Budget) -> bool {
        budget.holds(self.texts.len() + 1, self.n_tokens.saturating_add(n_tokens), n_tokens)
    }

    fn push(&mut self, index: usize, n_tokens: usize) {
        self.texts.push(Placed { index, first_token: self.n_tokens, n_tokens });
        self.n_tokens += n_tokens;
        self.n_row_tokens = self.n_row_tokens.max(n_tokens.next_multiple_of(ROW_QUANTUM));
    }
}

/// Packs texts of these lengths into runs, shortest first.
pub(crate) fn pack(lengths: &[usize], budget: &Budget) -> Vec<PackedRun> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| (lengths[*index], *index));
    let mut runs: Vec<PackedRun> = Vec::new();
    for index in order {
        let joins = runs.last().is_some_and(|run| run.takes(lengths[index], budget));
        if !joins {
            runs.push(PackedRun::default());
        }
        if let Some(run) = runs.last_mut() {
            run.push(index, lengths[index]);
        }
    }
    runs
}

/// The tokens of one run and where they lie in its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackedRows {
    /// `[tokens]`.
    pub(crate) input_ids: Vec<i64>,
    /// `[tokens]`.
    pub(crate) token_type_ids: Vec<i64>,
    /// `[tokens]`, as rows of the position embedding.
    pub(crate) position_ids: Vec<i64>,
    /// `[tokens]`.
    pub(crate) task_type_ids: Vec<i64>,
    /// `[tokens]`: 1 for a token that is attended to, 0 for one that is masked.
    pub(crate) token_mask: Vec<i64>,
    /// `[texts]`: one past each text's last token.
    pub(crate) text_ends: Vec<i64>,
}

/// Where the tokens of a run lie in rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowPlaces {
    /// `[tokens]`: the place of each token in the rows, counted through all of them.
    pub(crate) slots: Vec<i64>,
    /// `[texts, row tokens]`: the token in each place; 0 where there is none.
    pub(crate) row_tokens: Vec<i64>,
    /// `[texts, row tokens]`: 1 for a token that is attended to, 0 for one that is masked, -1 where there is none.
    pub(crate) attention_mask: Vec<i64>,
}

impl RowPlaces {
    /// Places of the tokens of `run`, which are `rows`.
    pub(crate) fn new(run: &PackedRun, rows: &PackedRows) -> Self {
        let n_slots = run.texts.len() * run.n_row_tokens;
        let slots = Vec::with_capacity(run.n_tokens);
        let mut places = Self { slots, row_tokens: vec![0; n_slots], attention_mask: vec![-1; n_slots] };
        for (row, text) in run.texts.iter().enumerate() {
            for number in 0..text.n_tokens {
                let (slot, token) = (row * run.n_row_tokens + number, text.first_token + number);
                places.slots.push(slot as i64);
                places.row_tokens[slot] = token as i64;
                places.attention_mask[slot] = rows.token_mask[token];
            }
        }
        places
    }
}

/// One token's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) id: i64,
    pub(crate) type_id: i64,
    /// The row of the position embedding.
    pub(crate) position: i64,
    pub(crate) task_id: i64,
    pub(crate) is_masked: bool,
}

impl PackedRows {
    /// Lays out the texts of `run`; `token` gives the numbers of a text's token.
    pub(crate) fn new(run: &PackedRun, token: impl Fn(&Placed, usize) -> Token) -> Self {
        let list = || Vec::with_capacity(run.n_tokens);
        let mut rows = Self {
            input_ids: list(),
            token_type_ids: list(),
            position_ids: list(),
            task_type_ids: list(),
            token_mask: list(),
            text_ends: Vec::with_capacity(run.texts.len()),
        };
        for text in &run.texts {
            for number in 0..text.n_tokens {
                let Token { id, type_id, position, task_id, is_masked } = token(text, number);
                rows.input_ids.push(id);
                rows.token_type_ids.push(type_id);
                rows.position_ids.push(position);
                rows.task_type_ids.push(task_id);
                rows.token_mask.push(i64::from(!is_masked));
            }
            rows.text_ends.push((text.first_token + text.n_tokens) as i64);
        }
        rows
    }

    /// The numbers of token `at` of the flat list.
    fn token(&self, at: usize) -> Token {
        Token {
            id: self.input_ids[at],
            type_id: self.token_type_ids[at],
            position: self.position_ids[at],
            task_id: self.task_type_ids[at],
            is_masked: self.token_mask[at] == 0,
        }
    }

    /// Lays out encodings by the rules of `architecture`.
    pub(crate) fn of_encodings(
        run: &PackedRun,
        encodings: &[Encoding],
        architecture: &Architecture,
        attention_mask: AttentionMask,
    ) -> Self {
        let masked_id = architecture.text_mask_rule.masked_id().filter(|_| attention_mask == AttentionMask::Reference);
        Self::new(run, |text, number| {
            let encoding = &encodings[text.index];
            let id = encoding.input_ids[number];
            Token {
                id,
                type_id: encoding.token_type_ids.get(number).copied().unwrap_or(0),
                position: (number + architecture.position_offset) as i64,
                task_id: architecture.task_id as i64,
                is_masked: masked_id == Some(id),
            }
        })
    }
}

/// Several runs as one: their texts one after another, [`Placed::index`] counting through all of them. What was made of each text
/// alone stays as it is, what tells where it lies is made anew.
pub(crate) fn join(parts: &[(&PackedRun, &PackedRows)]) -> (PackedRun, PackedRows) {
    let mut run = PackedRun::default();
    // Of each text, the rows that it lies in, and its first token there.
    let mut sources = Vec::new();
    for (part, rows) in parts {
        for text in &part.texts {
            run.push(sources.len(), text.n_tokens);
            sources.push((*rows, text.first_token));
        }
    }
    let rows = PackedRows::new(&run, |text, number| {
        let (rows, first_token) = sources[text.index];
        rows.token(first_token + number)
    });
    (run, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_is_in_one_run_and_budgets_hold(
            lengths in proptest::collection::vec(1usize..300, 0..80), max_texts in 1usize..9, max_tokens in 1usize..900,
        ) {
            let budget = Budget { max_texts, max_tokens, has_rows: true };
            let mut seen = vec![0; lengths.len()];
            for run in pack(&lengths, &budget) {
                let mut next = 0;
                for text in &run.texts {
                    seen[text.index] += 1;
                    prop_assert_eq!((text.first_token, text.n_tokens), (next, lengths[text.index]));
                    next += text.n_tokens;
                }
                prop_assert_eq!(next, run.n_tokens);
                prop_assert!(run.texts.len() == 1 || run.texts.len() <= max_texts && run.n_tokens <= max_tokens);
                let longest = run.texts.iter().map(|text| text.n_tokens).max().unwrap();
                prop_assert!(run.n_row_tokens >= longest && run.n_row_tokens < longest + ROW_QUANTUM);
            }
            prop_assert!(seen.iter().all(|n| *n == 1));
        }

        #[test]
        fn slots_and_row_tokens_are_each_other_s_inverse(lengths in proptest::collection::vec(1usize..100, 1..20)) {
            for run in pack(&lengths, &Budget { max_texts: 8, max_tokens: 400, has_rows: true }) {
                let token = |number: usize| Token { id: 7, type_id: 0, position: 0, task_id: 0, is_masked: number % 3 == 1 };
                let rows = PackedRows::new(&run, |_, number| token(number));
                let places = RowPlaces::new(&run, &rows);
                prop_assert_eq!(places.slots.len(), run.n_tokens);
                for (number, slot) in places.slots.iter().enumerate() {
                    prop_assert_eq!(places.row_tokens[*slot as usize], number as i64);
                    prop_assert_eq!(places.attention_mask[*slot as usize], rows.token_mask[number]);
                }
                prop_assert_eq!(places.attention_mask.iter().filter(|m| **m >= 0).count(), run.n_tokens);
                for text in &run.texts {
                    let mask = &rows.token_mask[text.first_token..text.first_token + text.n_tokens];
                    prop_assert!(mask.iter().enumerate().all(|(number, seen)| *seen == i64::from(number % 3 != 1)));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn joined_runs_are_the_run_of_all_their_texts(lengths in proptest::collection::vec(1usize..100, 1..20)) {
            let token = |text: usize, number: usize| Token {
                id: (text * 1000 + number) as i64,
                type_id: (text % 2) as i64,
                position: number as i64 + 2,
                task_id: 3,
                is_masked: (text + number).is_multiple_of(7),
            };
            let budget = Budget { max_texts: 3, max_tokens: 150, has_rows: true };
            let runs = pack(&lengths, &budget);
            let rows: Vec<PackedRows> =
                runs.iter().map(|run| PackedRows::new(run, |text, number| token(text.index, number))).collect();
            let parts: Vec<_> = runs.iter().zip(&rows).collect();
            let (run, rows) = join(&parts);
            let order: Vec<usize> = runs.iter().flat_map(|run| run.texts.iter().map(|text| text.index)).collect();
            let mut whole = PackedRun::default();
            order.iter().enumerate().for_each(|(place, index)| whole.push(place, lengths[*index]));
            prop_assert_eq!(&rows, &PackedRows::new(&whole, |text, number| token(order[text.index], number)));
            prop_assert_eq!(run, whole);
        }
    }

    #[test]
    fn texts_of_one_length_share_a_run_and_a_long_one_does_not_widen_their_rows() {
        let runs = pack(&[3, 5, 2, 512], &Budget { max_texts: 32, max_tokens: 600, has_rows: true });
        assert_eq!(runs.iter().map(|run| run.texts.len()).collect::<Vec<_>>(), [3, 1]);
        assert_eq!((runs[0].n_tokens, runs[0].n_row_tokens, runs[1].n_row_tokens), (10, 64, 512));
    }
}
