//! Attention over texts that lie one after another: a token sees all tokens of its own text, and nothing else.
//!
//! A part of the work is a head of some queries of one text. The head's keys and values are packed as weights are, so that scores
//! and what they mix are products of tiles of queries.
//!
//! What a mask hides is not out of sight: -10000 is added to its scores, as the references do, so that a text of hidden tokens only
//! is as if none was hidden.

use super::matrix::{Format, PANEL_WIDTH};
use super::pointwise::softmax;
use super::product::{Sums, TileWork, multiply_tile, tile_rows};
use super::rows::MOST_ROWS;
use super::scratch::{Scratch, ScratchSize};
use super::{InstructionSet, Shared, vectorized};

/// Added to the scores of hidden tokens.
const HIDDEN: f32 = -10000.0;

/// Texts in a list of tokens, and which of them are seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'a> {
    /// One past the last token of each text.
    pub(crate) ends: &'a [i64],
    /// For each token 0 where it is hidden; none is hidden without it.
    pub(crate) mask: Option<&'a [i64]>,
    /// Whether hidden tokens see as little as they are seen.
    pub(crate) hides_queries: bool,
    /// The tokens whose attention is wanted, in order; all without it.
    pub(crate) wanted: Option<&'a [i64]>,
}

/// Some queries of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    /// The text's tokens.
    first: usize,
    n_tokens: usize,
    /// Where the queries lie among those wanted.
    first_query: usize,
    n_queries: usize,
}

/// Attention to be made.
pub(super) struct TextAttention<'a> {
    pub(super) set: InstructionSet,
    pub(super) n_heads: usize,
    pub(super) query_head_size: usize,
    pub(super) value_head_size: usize,
    pub(super) texts: Texts<'a>,
    blocks: Vec<Block>,
}

/// Where its numbers lie.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a> {
    /// `[tokens, heads * query head]`.
    pub(super) queries: Shared<'a, f32>,
    /// The same.
    pub(super) keys: Shared<'a, f32>,
    /// `[tokens, heads * value head]`.
    pub(super) values: Shared<'a, f32>,
    /// `[wanted, heads * value head]`.
    pub(super) mixed: Shared<'a, f32>,
}

/// What a thread needs for itself.
pub(super) struct Room<'a> {
    keys: &'a mut [f32],
    values: &'a mut [f32],
    tile: &'a mut [f32],
    scores: &'a mut [f32],
}

impl Texts<'_> {
    /// Whether texts follow one another, and all numbers are those of tokens.
    pub(super) fn fits(&self, n_tokens: usize) -> bool {
        let mut before = 0;
        let in_order = self.ends.iter().all(|end| {
            let follows = *end >= before;
            before = *end;
            follows
        });
        let ends = in_order && before == n_tokens as i64;
        let wanted = self.wanted.is_none_or(|wanted| {
            wanted.is_sorted() && wanted.iter().all(|token| usize::try_from(*token).is_ok_and(|token| token < n_tokens))
        });
        ends && wanted && self.mask.is_none_or(|mask| mask.len() == n_tokens)
    }

    fn blocks(&self, block_queries: usize) -> Vec<Block> {
        let (mut blocks, mut first, mut first_query) = (Vec::new(), 0, 0);
        for end in self.ends {
            let end = *end as usize;
            let n_queries = self.wanted.map_or(end - first, |wanted| {
                wanted[first_query..].iter().take_while(|token| (**token as usize) < end).count()
            });
            for begin in (0..n_queries).step_by(block_queries) {
                blocks.push(Block {
                    first,
                    n_tokens: end - first,
                    first_query: first_query + begin,
                    n_queries: block_queries.min(n_queries - begin),
                });
            }
            first = end;
            first_query += n_queries;
        }
        blocks
    }
}

impl<'a> TextAttention<'a> {
    /// `texts` must fit; `n_threads` decides how finely the work is cut, not what it gives.
    pub(super) fn new(
        set: InstructionSet,
        [n_heads, query_head_size, value_head_size]: [usize; 3],
        texts: Texts<'a>,
        n_threads: usize,
    ) -> Self {
        // Every block packs its text's keys and values: there are no more than keep all threads busy.
        let n_queries = texts.wanted.map_or(texts.ends.last().map_or(0, |end| *end as usize), <[i64]>::len);
        let tile_rows = tile_rows(set);
        let wanted_blocks = (n_threads * 4).div_ceil(n_heads.max(1));
        let block_queries = n_queries.div_ceil(wanted_blocks.max(1)).next_multiple_of(tile_rows).max(8 * tile_rows);
        Self { set, n_heads, query_head_size, value_head_size, texts, blocks: texts.blocks(block_queries) }
    }

    pub(super) fn n_parts(&self) -> usize {
        self.blocks.len() * self.n_heads
    }

    fn longest(&self) -> usize {
        self.blocks.iter().map(|block| block.n_tokens).max().unwrap_or(0)
    }

    /// Lengths of a thread's keys, values, tile and scores.
    fn room(&self) -> [usize; 4] {
        let longest = self.longest();
        let seen = longest.next_multiple_of(PANEL_WIDTH);
        [
            seen * self.query_head_size,
            self.value_head_size.next_multiple_of(PANEL_WIDTH) * longest,
            MOST_ROWS * longest.max(self.query_head_size),
            MOST_ROWS * seen,
        ]
    }

    /// What so many threads need.
    pub(super) fn add_size(&self, size: ScratchSize, n_threads: usize) -> ScratchSize {
        (0..n_threads).fold(size, |size, _| self.room().into_iter().fold(size, ScratchSize::and::<f32>))
    }

    /// Room for a thread.
    pub(super) fn take_room(&self, scratch: &mut Scratch<'a>) -> Option<[Shared<'a, f32>; 4]> {
        let [keys, values, tile, scores] = self.room();
        Some([scratch.take(keys)?, scratch.take(values)?, scratch.take(tile)?, scratch.take(scores)?])
    }

    /// Makes one part.
    ///
    /// # Safety
    /// - Queries, keys and values are complete; nobody else uses this part of what is mixed, or the room.
    pub(super) unsafe fn run_part(&self, heads: &Heads<'_>, part: usize, room: &[Shared<'_, f32>; 4]) {
        let (block, head) = (self.blocks[part / self.n_heads], part % self.n_heads);
        let (key_width, value_width) = (self.n_heads * self.query_head_size, self.n_heads * self.value_head_size);
        // SAFETY: a room of one's own; of the whole length that it was given.
        let [keys, values, tile, scores] = room.map(|piece| unsafe { piece.part(0, piece.len) });
        let mut room = Room { keys, values, tile, scores };
        // SAFETY: complete, by the caller's obligation.
        let (all_queries, all_keys, all_values) = unsafe {
            let of = |width: usize| (block.first * width, block.n_tokens * width);
            let ((key, n_keys), (value, n_values)) = (of(key_width), of(value_width));
            (heads.queries.read(key, n_keys), heads.keys.read(key, n_keys), heads.values.read(value, n_values))
        };
        let begin = head * self.query_head_size;
        pack_keys(self.set, all_keys, key_width, begin, self.query_head_size, room.keys);
        let begin_value = head * self.value_head_size;
        pack_values(self.set, all_values, value_width, begin_value, self.value_head_size, room.values);
        let tile_rows = tile_rows(self.set);
        for first in (0..block.n_queries).step_by(tile_rows) {
            let n_rows = tile_rows.min(block.n_queries - first);
            let mut tokens = [0; MOST_ROWS];
            for (number, token) in tokens[..n_rows].iter_mut().enumerate() {
                let query = block.first_query + first + number;
                *token = self.texts.wanted.map_or(query, |wanted| wanted[query] as usize) - block.first;
                let row = &all_queries[*token * key_width + begin..][..self.query_head_size];
                room.tile.iter_mut().skip(number).step_by(n_rows).zip(row).for_each(|(to, from)| *to = *from);
            }
            self.score(&mut room, block, &tokens[..n_rows]);
            let mut mixed: [&mut [f32]; MOST_ROWS] = std::array::from_fn(|_| &mut [][..]);
            for (number, mixed) in mixed[..n_rows].iter_mut().enumerate() {
                let row = (block.first_query + first + number) * value_width + begin_value;
                // SAFETY: this part's, by the caller's obligation.
                *mixed = unsafe { heads.mixed.part(row, self.value_head_size) };
            }
            self.mix(&mut room, block.n_tokens, &mut mixed[..n_rows]);
        }
    }

    /// Makes weights of a tile of queries: `[tokens][rows]` in the room's tile.
    fn score(&self, room: &mut Room<'_>, block: Block, tokens: &[usize]) {
        let (n_rows, n_seen) = (tokens.len(), block.n_tokens);
        let stride = n_seen.next_multiple_of(PANEL_WIDTH);
        let scale = 1.0 / (self.query_head_size as f32).sqrt();
        let mut sums = Sums::ZERO;
        for (panel, keys) in
            room.keys.chunks_exact(PANEL_WIDTH * self.query_head_size).take(stride / PANEL_WIDTH).enumerate()
        {
            let work = TileWork {
                rows: room.tile.as_ptr().cast(),
                panel: keys.as_ptr().cast(),
                n_steps: self.query_head_size,
            };
            // SAFETY: the tile holds a step of all rows for every number of a head, the panel one of 32 keys.
            unsafe { multiply_tile(self.set, Format::F32, work, n_rows, &mut sums) };
            for (row, sums) in sums.0[..n_rows].iter().enumerate() {
                let to = &mut room.scores[row * stride + panel * PANEL_WIDTH..][..PANEL_WIDTH];
                to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum * scale);
            }
        }
        for (row, token) in tokens.iter().enumerate() {
            let scores = &mut room.scores[row * stride..][..n_seen];
            if let Some(mask) = self.texts.mask {
                let mask = &mask[block.first..block.first + n_seen];
                let hides_all = self.texts.hides_queries && mask[*token] == 0;
                let hidden = |seen: &i64| if hides_all || *seen == 0 { HIDDEN } else { 0.0 };
                scores.iter_mut().zip(mask).for_each(|(score, seen)| *score += hidden(seen));
            }
            weigh(self.set, scores);
            room.tile.iter_mut().skip(row).step_by(n_rows).zip(scores).for_each(|(to, from)| *to = *from);
        }
    }

    /// Mixes values by the weights of a tile.
    fn mix(&self, room: &mut Room<'_>, n_seen: usize, mixed: &mut [&mut [f32]]) {
        let mut sums = Sums::ZERO;
        for (panel, values) in room.values.chunks_exact(PANEL_WIDTH * n_seen.max(1)).enumerate() {
            let first = panel * PANEL_WIDTH;
            if first >= self.value_head_size {
                break;
            }
            let work = TileWork { rows: room.tile.as_ptr().cast(), panel: values.as_ptr().cast(), n_steps: n_seen };
            // SAFETY: the tile holds a step of all rows for every token, the panel one of 32 numbers.
            unsafe { multiply_tile(self.set, Format::F32, work, mixed.len(), &mut sums) };
            for (mixed, sums) in mixed.iter_mut().zip(&sums.0) {
                mixed[first..].iter_mut().zip(sums).for_each(|(to, sum)| *to = *sum);
            }
        }
    }
}

vectorized!(fn weigh(scores: &mut [f32]) = softmax);
vectorized!(fn pack_keys(all: &[f32], width: usize, begin: usize, size: usize, panels: &mut [f32]) = keys_in_panels);
vectorized!(fn pack_values(all: &[f32], width: usize, begin: usize, size: usize, panels: &mut [f32]) = values_in_panels);

/// Keys as panels of 32: `[panels][numbers][32]`; what fills the last up is zero.
#[inline(always)]
fn keys_in_panels<const FUSED: bool>(all: &[f32], width: usize, begin: usize, size: usize, panels: &mut [f32]) {
    for (panel, keys) in panels.chunks_exact_mut(PANEL_WIDTH * size).zip(all.chunks(PANEL_WIDTH * width)) {
        let n_keys = keys.len() / width;
        if n_keys < PANEL_WIDTH {
            panel.fill(0.0);
        }
        for (lane, key) in keys.chunks_exact(width).enumerate() {
            let key = &key[begin..begin + size];
            panel.iter_mut().skip(lane).step_by(PANEL_WIDTH).zip(key).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Values as panels of 32 numbers of a head: `[panels][tokens][32]`.
#[inline(always)]
fn values_in_panels<const FUSED: bool>(all: &[f32], width: usize, begin: usize, size: usize, panels: &mut [f32]) {
    let n_tokens = all.len() / width;
    for (number, panel) in panels.chunks_exact_mut((PANEL_WIDTH * n_tokens).max(1)).enumerate() {
        let first = number * PANEL_WIDTH;
        if first >= size {
            break;
        }
        let n = PANEL_WIDTH.min(size - first);
        for (to, value) in panel.as_chunks_mut::<PANEL_WIDTH>().0.iter_mut().zip(all.chunks_exact(width)) {
            let value = &value[begin + first..begin + first + n];
            match <&[f32; PANEL_WIDTH]>::try_from(value) {
                Ok(value) => *to = *value,
                Err(_) => {
                    *to = [0.0; PANEL_WIDTH];
                    to[..n].copy_from_slice(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::numbers;
    use super::*;
    use proptest::prelude::*;

    fn attend(
        set: InstructionSet,
        sizes: [usize; 3],
        texts: Texts<'_>,
        [q, k, v]: [&[f32]; 3],
        n_threads: usize,
    ) -> Vec<f32> {
        let attention = TextAttention::new(set, sizes, texts, n_threads);
        let n_wanted = texts.wanted.map_or(q.len() / (sizes[0] * sizes[1]), <[i64]>::len);
        let mut mixed = vec![f32::NAN; n_wanted * sizes[0] * sizes[2]];
        let mut memory = vec![0_u8; attention.add_size(ScratchSize::default(), 1).n_bytes()];
        let room = attention.take_room(&mut Scratch::new(&mut memory)).unwrap();
        let heads = Heads {
            queries: Shared::constant(q),
            keys: Shared::constant(k),
            values: Shared::constant(v),
            mixed: Shared::new(&mut mixed),
        };
        for part in 0..attention.n_parts() {
            // SAFETY: one thread.
            unsafe { attention.run_part(&heads, part, &room) };
        }
        mixed
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn tokens_see_their_own_text(
            lengths in proptest::collection::vec(0_usize..70, 1..5), n_heads in 1_usize..4, query_size in 1_usize..40,
            value_size in 1_usize..70, masking in 0..3, choosing in any::<bool>(),
        ) {
            let n: usize = lengths.iter().sum();
            let sizes = [n_heads, query_size, value_size];
            let (key_width, value_width) = (n_heads * query_size, n_heads * value_size);
            let (q, k, v) = (numbers(n * key_width, 1), numbers(n * key_width, 2), numbers(n * value_width, 3));
            let ends: Vec<i64> = lengths.iter().scan(0, |sum, n| { *sum += *n as i64; Some(*sum) }).collect();
            let mask: Vec<i64> = (0..n).map(|i| i64::from(i % 5 != 2)).collect();
            let some: Vec<i64> = (0..n as i64).filter(|i| i % 3 == 0).collect();
            let texts = Texts {
                ends: &ends, mask: (masking > 0).then_some(&mask), hides_queries: masking == 2, wanted: choosing.then_some(&some),
            };
            prop_assert!(texts.fits(n));
            let all: Vec<i64> = (0..n as i64).collect();
            for set in InstructionSet::all() {
                let mixed = attend(set, sizes, texts, [&q, &k, &v], 1);
                prop_assert_eq!(&attend(set, sizes, texts, [&q, &k, &v], 64), &mixed);
                for (number, token) in texts.wanted.unwrap_or(&all).iter().enumerate() {
                    let end = *ends.iter().find(|end| token < end).unwrap() as usize;
                    let text = ends.iter().filter(|end| *end <= token).max().map_or(0, |end| *end as usize)..end;
                    let token = *token as usize;
                    for head in 0..n_heads {
                        let score = |other: usize| {
                            let at = |row: usize, i: usize| row * key_width + head * query_size + i;
                            let dot: f64 = (0..query_size).map(|i| f64::from(q[at(token, i)]) * f64::from(k[at(other, i)])).sum();
                            let hides_all = masking == 2 && mask[token] == 0;
                            let hidden = masking > 0 && (hides_all || mask[other] == 0);
                            dot / (query_size as f64).sqrt() - if hidden { 10000.0 } else { 0.0 }
                        };
                        let scores: Vec<f64> = text.clone().map(score).collect();
                        let most = scores.iter().copied().fold(f64::MIN, f64::max);
                        let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
                        let all: f64 = weights.iter().sum();
                        for i in 0..value_size {
                            let at = |row: usize| row * value_width + head * value_size + i;
                            let wanted: f64 = text.clone().zip(&weights).map(|(row, w)| w / all * f64::from(v[at(row)])).sum();
                            let given = f64::from(mixed[number * value_width + head * value_size + i]);
                            // Scores near -10000 have steps of a thousandth.
                            let allowed = if masking == 2 { 2e-3 } else { 1e-5 };
                            prop_assert!((given - wanted).abs() < allowed, "{set:?} {token} {head} {i}: {given}, not {wanted}");
                        }
                    }
                }
                // The last text alone gives the same bits.
                let first = ends.len().checked_sub(2).map_or(0, |before| ends[before] as usize);
                if masking == 0 && !choosing {
                    let alone = Texts { ends: &[(n - first) as i64], ..texts };
                    let of = |all: &'_ [f32], width: usize| all[first * width..].to_vec();
                    let (q, k, v) = (of(&q, key_width), of(&k, key_width), of(&v, value_width));
                    prop_assert_eq!(&attend(set, sizes, alone, [&q, &k, &v], 1)[..], &mixed[first * value_width..]);
                }
            }
        }
    }

    #[test]
    fn texts_that_are_not_there_do_not_fit() {
        let texts = Texts { ends: &[2, 5], mask: None, hides_queries: false, wanted: None };
        assert!(texts.fits(5) && !texts.fits(6) && !texts.fits(4));
        assert!(!Texts { ends: &[5, 2], ..texts }.fits(2) && !Texts { ends: &[-1, 5], ..texts }.fits(5));
        assert!(!Texts { mask: Some(&[1; 4]), ..texts }.fits(5));
        assert!(!Texts { wanted: Some(&[5]), ..texts }.fits(5) && !Texts { wanted: Some(&[3, 1]), ..texts }.fits(5));
        assert!(Texts { ends: &[], ..texts }.fits(0));
    }
}
