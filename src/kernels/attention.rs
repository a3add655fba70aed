//! Two tokens of each row that look at keys and values where these lie in a cache, and at themselves.
//!
//! The rule is that of ERNIE-GEN's step: a row feeds `[previous, next]`. `previous` sees the row's entries of the cache and itself, `next`
//! sees the same, `previous` and itself. A row's entries are named by their numbers, so that rows share those that are the
//! same, and nothing is moved when a row becomes another's continuation. Numbers beyond the cache's are tokens of this run: a row may follow
//! another that is fed with it, and gets the same bits as if that one's tokens were in the cache.
//!
//! Reference: `AttentionLayer` of `modeling_ernie.py` in PaddlePaddle/ERNIE 3b9d92f: queries are scaled before the product.

use super::exponential::multiply_add;
use super::pointwise::{softmax, total};
use super::{InstructionSet, Shared, vectorized};

/// The cache, and what rows see of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cache<'a> {
    /// `[entries, entry size]`.
    pub(crate) numbers: &'a [f32],
    pub(crate) entry_size: usize,
    /// Where the layer's keys begin in an entry; its values follow.
    pub(crate) layer_begin: usize,
    /// The entries that rows see, row after row; those beyond the cache's number are tokens of the run, from its first on.
    pub(crate) entries: &'a [i64],
    /// One past the last of each row.
    pub(crate) row_ends: &'a [i64],
}

impl Cache<'_> {
    /// The entries of a row.
    fn row(&self, row: usize) -> Option<&[i64]> {
        let end = |row: usize| self.row_ends.get(row).and_then(|end| usize::try_from(*end).ok());
        let begin = if row == 0 { 0 } else { end(row - 1)? };
        self.entries.get(begin..end(row)?)
    }

    /// Entries of the cache.
    #[inline(always)]
    fn n_entries(&self) -> usize {
        self.numbers.len() / self.entry_size.max(1)
    }

    /// Whether there are two tokens for each row, all rows have entries, these are in the cache or the run, and the layer's keys and values in
    /// them.
    pub(super) fn fits(&self, n_tokens: usize, layer_size: usize) -> bool {
        let Some(n_entries) = self.n_entries().checked_add(n_tokens) else { return false };
        self.row_ends.len().checked_mul(2) == Some(n_tokens)
            && self.layer_begin.checked_add(layer_size).is_some_and(|end| end <= self.entry_size)
            && (0..self.row_ends.len()).all(|row| self.row(row).is_some())
            && self.entries.iter().all(|entry| usize::try_from(*entry).is_ok_and(|entry| entry < n_entries))
    }
}

/// What a layer's attention reads.
#[derive(Clone, Copy)]
pub(super) struct CachedAttention<'a> {
    pub(super) n_heads: usize,
    pub(super) query_head_size: usize,
    pub(super) value_head_size: usize,
    /// `[rows * 2, heads * query head]`.
    pub(super) queries: &'a [f32],
    /// The same of keys.
    pub(super) keys: &'a [f32],
    /// `[rows * 2, heads * value head]`.
    pub(super) values: &'a [f32],
    pub(super) cache: Cache<'a>,
}

impl CachedAttention<'_> {
    fn key_width(&self) -> usize {
        self.n_heads * self.query_head_size
    }

    fn value_width(&self) -> usize {
        self.n_heads * self.value_head_size
    }

    /// The head's key, then its value, of an entry; `n_entries` are in the cache.
    #[inline(always)]
    fn entry(&self, entry: i64, head: usize, n_entries: usize) -> (&[f32], &[f32]) {
        let (key, value) = (head * self.query_head_size, head * self.value_head_size);
        let (keys, values) = match (entry as usize).checked_sub(n_entries) {
            None => {
                let begin = entry as usize * self.cache.entry_size + self.cache.layer_begin;
                (&self.cache.numbers[begin..], &self.cache.numbers[begin + self.key_width()..])
            }
            Some(token) => (&self.keys[token * self.key_width()..], &self.values[token * self.value_width()..]),
        };
        (&keys[key..key + self.query_head_size], &values[value..value + self.value_head_size])
    }

    /// Mixes values for both tokens of a row; a part is a head of a row. `mixed` is `[rows * 2, heads * value head]`.
    ///
    /// # Safety
    /// - The cache fits, and nobody else uses this part of what is mixed.
    pub(super) unsafe fn run_part(&self, set: InstructionSet, part: usize, mixed: Shared<'_, f32>) {
        let (row, head) = (part / self.n_heads, part % self.n_heads);
        let place = |token: usize| (row * 2 + token) * self.value_width() + head * self.value_head_size;
        // SAFETY: places of this part, by the caller's obligation.
        let mixed = [0, 1].map(|token| unsafe { mixed.part(place(token), self.value_head_size) });
        let mut weights = [Vec::new(), Vec::new()];
        attend(set, Head { work: self, row, head, weights: &mut weights, mixed });
    }
}

vectorized!(fn attend(head: Head<'_>) = attend_head);

#[inline(always)]
fn attend_head<const FUSED: bool>(head: Head<'_>) {
    head.attend::<FUSED>();
}

/// By how many entries keys are asked for before they are read.
const AHEAD: usize = 8;

/// One head of the two tokens of a row.
struct Head<'a> {
    work: &'a CachedAttention<'a>,
    row: usize,
    head: usize,
    /// Room for what each token's values are weighted by.
    weights: &'a mut [Vec<f32>; 2],
    /// What each token gets.
    mixed: [&'a mut [f32]; 2],
}

impl Head<'_> {
    #[inline(always)]
    fn attend<const FUSED: bool>(self) {
        let Self { work, row, head, weights: [weights_0, weights_1], mixed: [first, second] } = self;
        let (key_size, value_size) = (work.query_head_size, work.value_head_size);
        let scale = 1.0 / (key_size as f32).sqrt();
        let [query_0, query_1] = own(work.queries, row, work.key_width(), head * key_size, key_size);
        let [key_0, key_1] = own(work.keys, row, work.key_width(), head * key_size, key_size);
        let [value_0, value_1] = own(work.values, row, work.value_width(), head * value_size, value_size);
        let (entries, n_entries) = (work.cache.row(row).unwrap_or_default(), work.cache.n_entries());
        weights_0.clear();
        weights_1.clear();
        for (number, entry) in entries.iter().enumerate() {
            // Entries lie far apart: they are asked for some time before they are needed.
            let ahead = entries.get(number + AHEAD).map_or(&[][..], |entry| work.entry(*entry, head, n_entries).0);
            let (key, value) = work.entry(*entry, head, n_entries);
            super::prefetch_all(ahead);
            super::prefetch_all(value);
            weights_0.push(dot::<FUSED>(query_0, key) * scale);
            weights_1.push(dot::<FUSED>(query_1, key) * scale);
        }
        weights_0.push(dot::<FUSED>(query_0, key_0) * scale);
        weights_1.push(dot::<FUSED>(query_1, key_0) * scale);
        weights_1.push(dot::<FUSED>(query_1, key_1) * scale);
        softmax::<FUSED>(weights_0);
        softmax::<FUSED>(weights_1);
        first.fill(0.0);
        second.fill(0.0);
        for ((entry, weight_0), weight_1) in entries.iter().zip(&*weights_0).zip(&*weights_1) {
            let (_, value) = work.entry(*entry, head, n_entries);
            add::<FUSED>(first, *weight_0, value);
            add::<FUSED>(second, *weight_1, value);
        }
        let n_seen = entries.len();
        add::<FUSED>(first, weights_0[n_seen], value_0);
        add::<FUSED>(second, weights_1[n_seen], value_0);
        add::<FUSED>(second, weights_1[n_seen + 1], value_1);
    }
}

/// A head's part of what the two tokens of a row have themselves.
#[inline(always)]
fn own(all: &[f32], row: usize, width: usize, begin: usize, len: usize) -> [&[f32]; 2] {
    [0, 1].map(|token| {
        let begin = (row * 2 + token) * width + begin;
        &all[begin..begin + len]
    })
}

#[inline(always)]
fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] = multiply_add::<FUSED>(a[lane], b[lane], sums[lane]);
        }
    }
    a_rest.iter().zip(b_rest).fold(total(sums), |sum, (a, b)| multiply_add::<FUSED>(*a, *b, sum))
}

#[inline(always)]
fn add<const FUSED: bool>(sum: &mut [f32], weight: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum = multiply_add::<FUSED>(weight, *value, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::numbers;
    use super::*;
    use proptest::prelude::*;

    fn attend_all(set: InstructionSet, work: &CachedAttention<'_>) -> Vec<f32> {
        let mut mixed = vec![f32::NAN; work.values.len()];
        for part in 0..work.cache.row_ends.len() * work.n_heads {
            // SAFETY: one thread.
            unsafe { work.run_part(set, part, Shared::new(&mut mixed)) };
        }
        mixed
    }

    /// The definition, in double precision.
    fn naive(work: &CachedAttention<'_>) -> Vec<f64> {
        let mut all = Vec::new();
        let mut begin = 0;
        for (row, end) in work.cache.row_ends.iter().enumerate() {
            let entries = &work.cache.entries[begin..*end as usize];
            begin = *end as usize;
            for token in 0..2 {
                for head in 0..work.n_heads {
                    let mut seen: Vec<(&[f32], &[f32])> =
                        entries.iter().map(|entry| work.entry(*entry, head, work.cache.n_entries())).collect();
                    for own in 0..=token {
                        let key = (row * 2 + own) * work.key_width() + head * work.query_head_size;
                        let value = (row * 2 + own) * work.value_width() + head * work.value_head_size;
                        let key = &work.keys[key..key + work.query_head_size];
                        seen.push((key, &work.values[value..value + work.value_head_size]));
                    }
                    let query = (row * 2 + token) * work.key_width() + head * work.query_head_size;
                    let query = &work.queries[query..query + work.query_head_size];
                    let score = |key: &[f32]| {
                        let dot: f64 = query.iter().zip(key).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                        (dot / (work.query_head_size as f64).sqrt()).exp()
                    };
                    let weights: Vec<f64> = seen.iter().map(|(key, _)| score(key)).collect();
                    let sum: f64 = weights.iter().sum();
                    for at in 0..work.value_head_size {
                        all.push(weights.iter().zip(&seen).map(|(w, (_, value))| w / sum * f64::from(value[at])).sum());
                    }
                }
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn tokens_see_their_entries_and_what_is_before_them(
            n_heads in 1_usize..4, query_head_size in 1_usize..40, value_head_size in 1_usize..40,
            rows in proptest::collection::vec(proptest::collection::vec(0_i64..9, 0..12), 1..5),
        ) {
            let (key_width, value_width) = (n_heads * query_head_size, n_heads * value_head_size);
            let (layer_begin, entry_size) = (3, 3 + key_width + value_width + 2);
            let n_rows = rows.len();
            let cache = numbers(9 * entry_size, 1);
            let (queries, keys, values) =
                (numbers(n_rows * 2 * key_width, 2), numbers(n_rows * 2 * key_width, 3), numbers(n_rows * 2 * value_width, 4));
            let entries: Vec<i64> = rows.concat();
            let row_ends: Vec<i64> = (1..=n_rows).map(|n| rows[..n].iter().map(Vec::len).sum::<usize>() as i64).collect();
            let work = CachedAttention {
                n_heads, query_head_size, value_head_size, queries: &queries, keys: &keys, values: &values,
                cache: Cache { numbers: &cache, entry_size, layer_begin, entries: &entries, row_ends: &row_ends },
            };
            prop_assert!(work.cache.fits(n_rows * 2, key_width + value_width));
            let wanted = naive(&work);
            // The naive order is token, head; that of the output too.
            for set in InstructionSet::all() {
                let output = attend_all(set, &work);
                for (at, (given, wanted)) in output.iter().zip(&wanted).enumerate() {
                    prop_assert!((f64::from(*given) - wanted).abs() < 1e-5, "{set:?} {at}: {given}, not {wanted}");
                }
                // The first row alone gives the same bits.
                let alone = CachedAttention {
                    queries: &queries[..2 * key_width], keys: &keys[..2 * key_width], values: &values[..2 * value_width],
                    cache: Cache { entries: &rows[0], row_ends: &row_ends[..1], ..work.cache }, ..work
                };
                prop_assert_eq!(&attend_all(set, &alone)[..], &output[..2 * value_width]);
            }
        }

        #[test]
        fn tokens_of_the_run_are_seen_as_if_they_were_in_the_cache(
            n_heads in 1_usize..4, query_head_size in 1_usize..40, value_head_size in 1_usize..40,
            n_seen in 0_usize..9, n_rows in 1_usize..6,
        ) {
            let (key_width, value_width) = (n_heads * query_head_size, n_heads * value_head_size);
            let (layer_begin, entry_size) = (2, 2 + key_width + value_width);
            let cache = numbers(9 * entry_size, 1);
            let (queries, keys, values) =
                (numbers(n_rows * 2 * key_width, 2), numbers(n_rows * 2 * key_width, 3), numbers(n_rows * 2 * value_width, 4));
            // Each row sees some entries, and the first token of all rows before it.
            let (mut entries, mut row_ends) = (Vec::new(), Vec::new());
            for row in 0..n_rows {
                entries.extend((0..n_seen as i64).chain((0..row).map(|before| 9 + 2 * before as i64)));
                row_ends.push(entries.len() as i64);
            }
            let sizes = CachedAttention {
                n_heads, query_head_size, value_head_size, queries: &queries, keys: &keys, values: &values,
                cache: Cache { numbers: &cache, entry_size, layer_begin, entries: &entries, row_ends: &row_ends },
            };
            prop_assert!(sizes.cache.fits(n_rows * 2, key_width + value_width));
            for set in InstructionSet::all() {
                let together = attend_all(set, &sizes);
                let mut grown = cache.clone();
                for row in 0..n_rows {
                    let tokens = |all: &'_ [f32], width: usize| all[row * 2 * width..(row + 1) * 2 * width].to_vec();
                    let (queries, keys, values) = (tokens(&queries, key_width), tokens(&keys, key_width), tokens(&values, value_width));
                    let entries: Vec<i64> = (0..n_seen as i64).chain(9..9 + row as i64).collect();
                    let alone = CachedAttention {
                        queries: &queries, keys: &keys, values: &values,
                        cache: Cache { numbers: &grown, entries: &entries, row_ends: &[entries.len() as i64], ..sizes.cache }, ..sizes
                    };
                    prop_assert_eq!(&attend_all(set, &alone)[..], &together[row * 2 * value_width..(row + 1) * 2 * value_width]);
                    grown.extend([0.0; 2]);
                    grown.extend(&keys[..key_width]);
                    grown.extend(&values[..value_width]);
                }
            }
        }
    }

    #[test]
    fn entries_that_do_not_exist_are_refused() {
        let cache = Cache { numbers: &[0.0; 8], entry_size: 4, layer_begin: 0, entries: &[0, 1], row_ends: &[2] };
        assert!(cache.fits(2, 4) && !cache.fits(4, 4) && !cache.fits(2, 5));
        // Two are in the cache, two are the tokens of the run.
        assert!(
            Cache { entries: &[0, 3], ..cache }.fits(2, 4)
                && !Cache { entries: &[0, 4], ..cache }.fits(2, 4)
                && !Cache { entries: &[-1], row_ends: &[1], ..cache }.fits(2, 4)
        );
        assert!(!Cache { row_ends: &[3], ..cache }.fits(2, 4) && !Cache { layer_begin: 1, ..cache }.fits(2, 4));
        assert!(!Cache { row_ends: &[1, 0], ..cache }.fits(4, 4));
    }
}
