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

/// Entries that are worked on at a time.
const BLOCK: usize = 4;
/// By how many blocks keys are asked for before they are read.
const BLOCKS_AHEAD: usize = 2;

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
        weights_0.reserve(entries.len() + 1);
        weights_1.reserve(entries.len() + 2);
        let (blocks, rest) = entries.as_chunks::<BLOCK>();
        for (number, block) in blocks.iter().enumerate() {
            // Entries lie far apart: they are asked for some time before they are needed.
            for entry in blocks.get(number + BLOCKS_AHEAD).into_iter().flatten() {
                super::prefetch_all(work.entry(*entry, head, n_entries).0);
            }
            let block = block.map(|entry| work.entry(entry, head, n_entries));
            block.iter().for_each(|(_, value)| super::prefetch_all(value));
            let [dots_0, dots_1] = dots::<FUSED>([query_0, query_1], block.map(|(key, _)| key));
            weights_0.extend_from_slice(&dots_0.map(|dot| dot * scale));
            weights_1.extend_from_slice(&dots_1.map(|dot| dot * scale));
        }
        for entry in rest {
            let (key, _) = work.entry(*entry, head, n_entries);
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
        let weights = weights_0.as_chunks::<BLOCK>().0.iter().zip(weights_1.as_chunks::<BLOCK>().0);
        for (block, (weights_0, weights_1)) in blocks.iter().zip(weights) {
            let values = block.map(|entry| work.entry(entry, head, n_entries).1);
            add_all::<FUSED>(first, *weights_0, values);
            add_all::<FUSED>(second, *weights_1, values);
        }
        for (number, entry) in rest.iter().enumerate() {
            let (number, (_, value)) = (blocks.len() * BLOCK + number, work.entry(*entry, head, n_entries));
            add::<FUSED>(first, weights_0[number], value);
            add::<FUSED>(second, weights_1[number], value);
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

/// Numbers that are summed side by side.
const LANES: usize = 16;

/// Products of two rows' numbers, summed in lanes, without what is behind the last full sixteen.
#[inline(always)]
fn lane_sums<const FUSED: bool>(a: &[f32], b: &[f32]) -> [f32; LANES] {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] = multiply_add::<FUSED>(a[lane], b[lane], sums[lane]);
        }
    }
    sums
}

/// Adds what is behind the last full sixteen.
#[inline(always)]
fn add_rest<const FUSED: bool>(sum: f32, a: &[f32], b: &[f32]) -> f32 {
    let rest = a.as_chunks::<LANES>().1.iter().zip(b.as_chunks::<LANES>().1);
    rest.fold(sum, |sum, (a, b)| multiply_add::<FUSED>(*a, *b, sum))
}

#[inline(always)]
fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    add_rest::<FUSED>(total(lane_sums::<FUSED>(a, b)), a, b)
}

/// What [`dot`] gives for each query and key, to the last bit.
#[inline(always)]
fn dots<const FUSED: bool>(queries: [&[f32]; 2], keys: [&[f32]; BLOCK]) -> [[f32; BLOCK]; 2] {
    let of = |number: usize| lane_sums::<FUSED>(queries[number / BLOCK], keys[number % BLOCK]);
    let pairs = [[of(0), of(1)], [of(2), of(3)], [of(4), of(5)], [of(6), of(7)]];
    let [first, second, third, fourth] = pairs.map(|[a, b]| halved::<8>(&a, &b));
    let sums = halved::<2>(&halved::<4>(&first, &second), &halved::<4>(&third, &fourth));
    let mut all = [[0.0; BLOCK]; 2];
    for (number, dot) in all.as_flattened_mut().iter_mut().enumerate() {
        let sum = sums[2 * number] + sums[2 * number + 1];
        *dot = add_rest::<FUSED>(sum, queries[number / BLOCK], keys[number % BLOCK]);
    }
    all
}

/// Adds the second half of each group of `2 * HALF` numbers to the first: groups of `HALF`, those of `a` and then those of `b`.
#[inline(always)]
fn halved<const HALF: usize>(a: &[f32; LANES], b: &[f32; LANES]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for (place, sum) in sums.iter_mut().enumerate() {
        let from = if place < LANES / 2 { a } else { b };
        let place = place % (LANES / 2);
        let first = place / HALF * 2 * HALF + place % HALF;
        *sum = from[first] + from[first + HALF];
    }
    sums
}

#[inline(always)]
fn add<const FUSED: bool>(sum: &mut [f32], weight: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum = multiply_add::<FUSED>(weight, *value, *sum);
    }
}

/// The same with several, one after another.
#[inline(always)]
fn add_all<const FUSED: bool>(sum: &mut [f32], weights: [f32; BLOCK], values: [&[f32]; BLOCK]) {
    let n = sum.len();
    let values = values.map(|values| &values[..n]);
    for (place, sum) in sum.iter_mut().enumerate() {
        let mut all = *sum;
        for number in 0..BLOCK {
            all = multiply_add::<FUSED>(weights[number], values[number][place], all);
        }
        *sum = all;
    }
}

#[cfg(test)]
mod tests;
