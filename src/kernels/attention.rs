//! Two tokens of each row that look at keys and values where these lie in a cache, and at themselves.
//!
//! The rule is that of ERNIE-GEN's step: a row feeds `[previous, next]`. `previous` sees the row's entries of the cache and itself, `next`
//! sees the same, `previous` and itself. A row's entries are named by their numbers, so that rows share those that are the
//! same, and nothing is moved when a row becomes another's continuation.
//!
//! Reference: `AttentionLayer` of `modeling_ernie.py` in PaddlePaddle/ERNIE 3b9d92f: queries are scaled before the product.

use super::exponential::{multiply_add, softmax};
use super::{InstructionSet, PORTABLE_FUSES, Parts, Shared, Spread};

/// What a layer's attention reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedAttention<'a> {
    pub(crate) n_heads: usize,
    pub(crate) query_head_size: usize,
    pub(crate) value_head_size: usize,
    /// `[rows * 2, heads * query head]`.
    pub(crate) queries: &'a [f32],
    /// The same of keys.
    pub(crate) keys: &'a [f32],
    /// `[rows * 2, heads * value head]`.
    pub(crate) values: &'a [f32],
    /// `[entries, entry size]`.
    pub(crate) cache: &'a [f32],
    pub(crate) entry_size: usize,
    /// Where the layer's keys begin in an entry; its values follow.
    pub(crate) layer_begin: usize,
    /// The entries that rows see, row after row.
    pub(crate) entries: &'a [i64],
    /// One past the last of each row.
    pub(crate) row_ends: &'a [i64],
}

impl CachedAttention<'_> {
    fn key_width(&self) -> usize {
        self.n_heads * self.query_head_size
    }

    fn value_width(&self) -> usize {
        self.n_heads * self.value_head_size
    }

    /// The entries of a row.
    fn row(&self, row: usize) -> Option<&[i64]> {
        let end = |row: usize| self.row_ends.get(row).and_then(|end| usize::try_from(*end).ok());
        let begin = if row == 0 { 0 } else { end(row - 1)? };
        self.entries.get(begin..end(row)?)
    }

    fn check(&self, output: &[f32]) -> bool {
        self.lengths().is_some_and(|(n_queries, n_values, end)| {
            self.queries.len() == n_queries
                && self.keys.len() == n_queries
                && self.values.len() == n_values
                && output.len() == n_values
                && end <= self.entry_size
        }) && self.has_entries()
    }

    /// What queries and values must be long, and where the layer's part of an entry ends; `None` where nothing can be so long, or
    /// nothing is there.
    fn lengths(&self) -> Option<(usize, usize, usize)> {
        let key_width = self.n_heads.checked_mul(self.query_head_size).filter(|width| *width > 0)?;
        let value_width = self.n_heads.checked_mul(self.value_head_size).filter(|width| *width > 0)?;
        let n_tokens = self.row_ends.len().checked_mul(2)?;
        let end = self.layer_begin.checked_add(key_width)?.checked_add(value_width)?;
        Some((n_tokens.checked_mul(key_width)?, n_tokens.checked_mul(value_width)?, end))
    }

    /// Whether rows have entries, and these are in the cache.
    fn has_entries(&self) -> bool {
        let n_entries = self.cache.len() / self.entry_size.max(1);
        (0..self.row_ends.len()).all(|row| self.row(row).is_some())
            && self.entries.iter().all(|entry| usize::try_from(*entry).is_ok_and(|entry| entry < n_entries))
    }

    /// The head's key, then its value, of an entry.
    #[inline(always)]
    fn entry(&self, entry: i64, head: usize) -> (&[f32], &[f32]) {
        let begin = entry as usize * self.entry_size + self.layer_begin;
        let key = begin + head * self.query_head_size;
        let value = begin + self.key_width() + head * self.value_head_size;
        (&self.cache[key..key + self.query_head_size], &self.cache[value..value + self.value_head_size])
    }
}

/// Mixes values for every token, `[rows * 2, heads * value head]`; `false` where lengths do not fit, and nothing was done.
pub(crate) fn attend(
    set: InstructionSet,
    work: &CachedAttention<'_>,
    output: &mut [f32],
    n_threads: usize,
    spread: &Spread<'_>,
) -> bool {
    if !work.check(output) {
        return false;
    }
    let output = Shared::new(output);
    let parts = Parts::new(work.row_ends.len() * work.n_heads);
    let run = || {
        let mut weights = [Vec::new(), Vec::new()];
        while let Some(part) = parts.take() {
            let (row, head) = (part / work.n_heads, part % work.n_heads);
            let place = |token: usize| (row * 2 + token) * work.value_width() + head * work.value_head_size;
            // SAFETY: each head of each row is taken once, and writes to its own places.
            let mixed = [0, 1].map(|token| unsafe { output.part(place(token), work.value_head_size) });
            let head = Head { work, row, head, weights: &mut weights, mixed };
            // SAFETY: the set is one that the processor has.
            unsafe {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => attend_avx512(head),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => attend_avx2(head),
                    InstructionSet::Portable => head.attend::<PORTABLE_FUSES>(),
                }
            }
        }
    };
    let n_workers = n_threads.min(parts.n_parts);
    if n_workers > 1 {
        spread(n_workers, &run);
    }
    run();
    true
}

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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
fn attend_avx512(head: Head<'_>) {
    head.attend::<true>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn attend_avx2(head: Head<'_>) {
    head.attend::<true>();
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
        let entries = work.row(row).unwrap_or_default();
        weights_0.clear();
        weights_1.clear();
        for entry in entries {
            let (key, _) = work.entry(*entry, head);
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
            let (_, value) = work.entry(*entry, head);
            add::<FUSED>(first, *weight_0, value);
            add::<FUSED>(second, *weight_1, value);
        }
        let n_entries = entries.len();
        add::<FUSED>(first, weights_0[n_entries], value_0);
        add::<FUSED>(second, weights_1[n_entries], value_0);
        add::<FUSED>(second, weights_1[n_entries + 1], value_1);
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
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    a_rest.iter().zip(b_rest).fold(sums[0], |sum, (a, b)| multiply_add::<FUSED>(*a, *b, sum))
}

#[inline(always)]
fn add<const FUSED: bool>(sum: &mut [f32], weight: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum = multiply_add::<FUSED>(weight, *value, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 + seed * 101) as f32 * 0.7).sin()).collect()
    }

    fn on_threads(n: usize, work: &(dyn Fn() + Sync)) {
        std::thread::scope(|scope| (0..n).for_each(|_| drop(scope.spawn(work))));
    }

    /// The definition, in double precision.
    fn naive(work: &CachedAttention<'_>) -> Vec<f64> {
        let mut all = Vec::new();
        let mut begin = 0;
        for (row, end) in work.row_ends.iter().enumerate() {
            let entries = &work.entries[begin..*end as usize];
            begin = *end as usize;
            for token in 0..2 {
                for head in 0..work.n_heads {
                    let mut seen: Vec<(&[f32], &[f32])> =
                        entries.iter().map(|entry| work.entry(*entry, head)).collect();
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
                n_heads, query_head_size, value_head_size, queries: &queries, keys: &keys, values: &values, cache: &cache,
                entry_size, layer_begin, entries: &entries, row_ends: &row_ends,
            };
            let wanted = naive(&work);
            // The naive order is token, head; that of the output too.
            for set in InstructionSet::all() {
                let mut output = vec![f32::NAN; values.len()];
                prop_assert!(attend(set, &work, &mut output, 2, &on_threads));
                for (at, (given, wanted)) in output.iter().zip(&wanted).enumerate() {
                    prop_assert!((f64::from(*given) - wanted).abs() < 1e-5, "{set:?} {at}: {given}, not {wanted}");
                }
                // The first row alone gives the same bits.
                let alone = CachedAttention {
                    queries: &queries[..2 * key_width], keys: &keys[..2 * key_width], values: &values[..2 * value_width],
                    entries: &rows[0], row_ends: &row_ends[..1], ..work
                };
                let mut first = vec![0.0; 2 * value_width];
                prop_assert!(attend(set, &alone, &mut first, 1, &on_threads));
                prop_assert_eq!(&first[..], &output[..2 * value_width]);
            }
        }
    }

    #[test]
    fn entries_that_do_not_exist_are_refused() {
        let (queries, keys, values, cache) = ([0.0; 4], [0.0; 4], [0.0; 4], [0.0; 8]);
        let work = CachedAttention {
            n_heads: 1,
            query_head_size: 2,
            value_head_size: 2,
            queries: &queries,
            keys: &keys,
            values: &values,
            cache: &cache,
            entry_size: 4,
            layer_begin: 0,
            entries: &[0, 1],
            row_ends: &[2],
        };
        let refused = |work: CachedAttention<'_>| !attend(InstructionSet::best(), &work, &mut [0.0; 4], 1, &on_threads);
        assert!(!refused(work));
        assert!(
            refused(CachedAttention { entries: &[0, 2], ..work })
                && refused(CachedAttention { entries: &[-1], row_ends: &[1], ..work })
        );
        assert!(
            refused(CachedAttention { row_ends: &[3], ..work }) && refused(CachedAttention { layer_begin: 1, ..work })
        );
        assert!(
            refused(CachedAttention { row_ends: &[1, 0], ..work }) && refused(CachedAttention { queries: &[], ..work })
        );
    }
}
