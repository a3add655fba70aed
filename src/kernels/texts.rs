//! Attention over texts that lie one after another: a token sees all tokens of its own text, and nothing else.
//!
//! A part of the work is a head of some queries of one text. The head's keys and values are packed as weights are, so that scores
//! and what they mix are products of tiles of queries.
//!
//! What a mask hides is not out of sight: -10000 is added to its scores, as the references do, so that a text of hidden tokens only
//! is as if none was hidden.

use super::matrix::{Format, PANEL_WIDTH};
use super::pointwise::exponentials;
use super::product::{Multiplier, Sums, TileWork};
use super::rows::{Layout, MOST_ROWS, pair};
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
    /// Of both products.
    layout: Layout,
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
    keys: &'a mut [u32],
    values: &'a mut [u32],
    tile: &'a mut [u32],
    scores: &'a mut [u32],
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
    /// `texts` must fit. Where layers are not multiplied as `f32` and the processor has products of bf16, these are too. `n_threads` decides
    /// how finely the work is cut, not what it gives.
    pub(super) fn new(
        set: InstructionSet,
        [n_heads, query_head_size, value_head_size]: [usize; 3],
        texts: Texts<'a>,
        format: Format,
        n_threads: usize,
    ) -> Self {
        let format = if format == Format::F32 || !has_bf16(set) { Format::F32 } else { Format::Bf16 };
        // Every block packs its text's keys and values: there are no more than keep all threads busy.
        let n_queries = texts.wanted.map_or(texts.ends.last().map_or(0, |end| *end as usize), <[i64]>::len);
        let layout = Layout::new(set, format);
        let tile_rows = layout.tile_rows;
        let wanted_blocks = (n_threads * 4).div_ceil(n_heads.max(1));
        let block_queries = n_queries
            .div_ceil(wanted_blocks.max(1))
            .next_multiple_of(tile_rows)
            .max((96_usize).next_multiple_of(tile_rows));
        Self { set, n_heads, query_head_size, value_head_size, texts, layout, blocks: texts.blocks(block_queries) }
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
            seen * self.layout.format.n_steps(self.query_head_size),
            self.value_head_size.next_multiple_of(PANEL_WIDTH) * self.layout.row_units(longest),
            MOST_ROWS * seen.max(self.layout.row_units(self.query_head_size)),
            MOST_ROWS * seen,
        ]
    }

    /// What so many threads need.
    pub(super) fn add_size(&self, size: ScratchSize, n_threads: usize) -> ScratchSize {
        (0..n_threads).fold(size, |size, _| self.room().into_iter().fold(size, ScratchSize::and::<u32>))
    }

    /// Room for a thread.
    pub(super) fn take_room(&self, scratch: &mut Scratch<'a>) -> Option<[Shared<'a, u32>; 4]> {
        let [keys, values, tile, scores] = self.room();
        Some([scratch.take(keys)?, scratch.take(values)?, scratch.take(tile)?, scratch.take(scores)?])
    }

    /// Makes one part.
    ///
    /// # Safety
    /// - Queries, keys and values are complete; nobody else uses this part of what is mixed, or the room.
    pub(super) unsafe fn run_part(&self, heads: &Heads<'_>, part: usize, room: &[Shared<'_, u32>; 4]) {
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
        let keys = HeadRows { all: all_keys, width: key_width, begin, size: self.query_head_size };
        pack_keys(self.set, keys, self.layout.format, room.keys);
        let begin_value = head * self.value_head_size;
        let values = HeadRows { all: all_values, width: value_width, begin: begin_value, size: self.value_head_size };
        pack_values(self.set, values, self.layout, room.values);
        let tile_rows = self.layout.tile_rows;
        let mut multiplier = Multiplier::new(self.set, self.layout.format);
        for first in (0..block.n_queries).step_by(tile_rows) {
            let n_rows = tile_rows.min(block.n_queries - first);
            let mut tokens = [0; MOST_ROWS];
            for (number, token) in tokens[..n_rows].iter_mut().enumerate() {
                let query = block.first_query + first + number;
                *token = self.texts.wanted.map_or(query, |wanted| wanted[query] as usize) - block.first;
                let row = &all_queries[*token * key_width + begin..][..self.query_head_size];
                self.layout.fill_row(self.set, row, room.tile, n_rows, number);
            }
            let inverses = self.score(&mut multiplier, &mut room, block, &tokens[..n_rows]);
            let mut mixed: [&mut [f32]; MOST_ROWS] = std::array::from_fn(|_| &mut [][..]);
            for (number, mixed) in mixed[..n_rows].iter_mut().enumerate() {
                let row = (block.first_query + first + number) * value_width + begin_value;
                // SAFETY: this part's, by the caller's obligation.
                *mixed = unsafe { heads.mixed.part(row, self.value_head_size) };
            }
            self.mix(&mut multiplier, &mut room, block.n_tokens, &inverses, &mut mixed[..n_rows]);
        }
    }

    /// Makes weights of a tile of queries, in the room's tile, and by what their mixtures are to be multiplied.
    fn score(
        &self,
        multiplier: &mut Multiplier,
        room: &mut Room<'_>,
        block: Block,
        tokens: &[usize],
    ) -> [f32; MOST_ROWS] {
        let (n_rows, n_seen) = (tokens.len(), block.n_tokens);
        let stride = n_seen.next_multiple_of(PANEL_WIDTH);
        let scale = 1.0 / (self.query_head_size as f32).sqrt();
        let mut sums = Sums::ZERO;
        let n_steps = self.layout.format.n_steps(self.query_head_size);
        for (panel, keys) in room.keys.chunks_exact(PANEL_WIDTH * n_steps).take(stride / PANEL_WIDTH).enumerate() {
            let work =
                TileWork { rows: room.tile.as_ptr(), panel: keys.as_ptr().cast(), n_steps, ahead: std::ptr::null() };
            // SAFETY: the tile holds so many steps of all rows, the panel as many of 32 keys.
            unsafe { multiplier.multiply(work, n_rows, &mut sums) };
            for (row, sums) in sums.0[..n_rows].iter().enumerate() {
                let to = &mut room.scores[row * stride + panel * PANEL_WIDTH..][..PANEL_WIDTH];
                to.iter_mut().zip(sums).for_each(|(to, sum)| *to = (sum * scale).to_bits());
            }
        }
        let mut inverses = [1.0; MOST_ROWS];
        for (row, token) in tokens.iter().enumerate() {
            let scores = as_floats(&mut room.scores[row * stride..][..stride]);
            // Whole vectors are weighed: what fills them up weighs nothing.
            scores[n_seen..].fill(f32::NEG_INFINITY);
            if let Some(mask) = self.texts.mask {
                let mask = &mask[block.first..block.first + n_seen];
                let hides_all = self.texts.hides_queries && mask[*token] == 0;
                let hidden = |seen: &i64| if hides_all || *seen == 0 { HIDDEN } else { 0.0 };
                scores.iter_mut().zip(mask).for_each(|(score, seen)| *score += hidden(seen));
            }
            inverses[row] = weigh(self.set, scores);
            self.layout.fill_row(self.set, scores, room.tile, n_rows, row);
        }
        inverses
    }

    /// Mixes values by the weights of a tile.
    fn mix(
        &self,
        multiplier: &mut Multiplier,
        room: &mut Room<'_>,
        n_seen: usize,
        inverses: &[f32; MOST_ROWS],
        mixed: &mut [&mut [f32]],
    ) {
        let mut sums = Sums::ZERO;
        let n_steps = self.layout.row_units(n_seen);
        for (panel, values) in room.values.chunks_exact(PANEL_WIDTH * n_steps.max(1)).enumerate() {
            let first = panel * PANEL_WIDTH;
            if first >= self.value_head_size {
                break;
            }
            let work =
                TileWork { rows: room.tile.as_ptr(), panel: values.as_ptr().cast(), n_steps, ahead: std::ptr::null() };
            // SAFETY: the tile holds so many steps of all rows, the panel as many of 32 numbers.
            unsafe { multiplier.multiply(work, mixed.len(), &mut sums) };
            for (mixed, (sums, inverse)) in mixed.iter_mut().zip(sums.0.iter().zip(inverses)) {
                mixed[first..].iter_mut().zip(sums).for_each(|(to, sum)| *to = sum * inverse);
            }
        }
    }
}

vectorized!(fn weigh(scores: &mut [f32]) -> f32 = exponentials);
vectorized!(fn pack_keys(keys: HeadRows<'_>, format: Format, panels: &mut [u32]) = keys_in_panels);
vectorized!(fn pack_values(values: HeadRows<'_>, layout: Layout, panels: &mut [u32]) = values_in_panels);

/// Whether products of bf16 are faster than those of `f32`.
fn has_bf16(set: InstructionSet) -> bool {
    match set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512Bf16 | InstructionSet::Amx => true,
        _ => false,
    }
}

fn as_floats(units: &mut [u32]) -> &mut [f32] {
    // SAFETY: of the same size and alignment; any bits are a value of either.
    unsafe { std::slice::from_raw_parts_mut(units.as_mut_ptr().cast(), units.len()) }
}

/// One head's part of all rows of a text.
#[derive(Clone, Copy)]
struct HeadRows<'a> {
    all: &'a [f32],
    /// Of all heads.
    width: usize,
    begin: usize,
    size: usize,
}

/// Keys as panels of 32: `[panels][steps][32]`; what fills the last up is zero.
#[inline(always)]
fn keys_in_panels<const FUSED: bool>(keys: HeadRows<'_>, format: Format, panels: &mut [u32]) {
    let HeadRows { all, width, begin, size } = keys;
    let n_steps = format.n_steps(size);
    for (panel, keys) in panels.chunks_exact_mut(PANEL_WIDTH * n_steps).zip(all.chunks(PANEL_WIDTH * width)) {
        if keys.len() < PANEL_WIDTH * width {
            panel.fill(0);
        }
        for (lane, key) in keys.chunks_exact(width).enumerate() {
            let key = &key[begin..begin + size];
            let steps = panel.as_chunks_mut::<PANEL_WIDTH>().0;
            if format == Format::F32 {
                for (step, from) in steps.iter_mut().zip(key) {
                    step[lane] = from.to_bits();
                }
            } else {
                let (pairs, rest) = key.as_chunks::<2>();
                for (step, from) in steps.iter_mut().zip(pairs) {
                    step[lane] = pair(from[0], from[1]);
                }
                if let ([last], Some(step)) = (rest, steps.get_mut(pairs.len())) {
                    step[lane] = pair(*last, 0.0);
                }
            }
        }
    }
}

/// Values as panels of 32 numbers of a head: `[panels][steps][32]`, with as many steps as rows have units.
#[inline(always)]
fn values_in_panels<const FUSED: bool>(values: HeadRows<'_>, layout: Layout, panels: &mut [u32]) {
    const ZEROS: [f32; PANEL_WIDTH] = [0.0; PANEL_WIDTH];
    let HeadRows { all, width, begin, size } = values;
    let n_steps = layout.row_units(all.len() / width);
    for (number, panel) in panels.chunks_exact_mut((PANEL_WIDTH * n_steps).max(1)).enumerate() {
        let first = number * PANEL_WIDTH;
        if first >= size {
            break;
        }
        let n = PANEL_WIDTH.min(size - first);
        let part = |row: &[f32]| {
            let mut part = ZEROS;
            let value = &row[begin + first..begin + first + n];
            match <&[f32; PANEL_WIDTH]>::try_from(value) {
                Ok(value) => part = *value,
                Err(_) => part[..n].copy_from_slice(value),
            }
            part
        };
        let (steps, filled_up) =
            panel.as_chunks_mut::<PANEL_WIDTH>().0.split_at_mut(layout.format.n_steps(all.len() / width));
        filled_up.as_flattened_mut().fill(0);
        let steps = steps.iter_mut();
        if layout.format == Format::F32 {
            for (to, value) in steps.zip(all.chunks_exact(width)) {
                let value = part(value);
                for lane in 0..PANEL_WIDTH {
                    to[lane] = value[lane].to_bits();
                }
            }
        } else {
            for (to, values) in steps.zip(all.chunks(2 * width)) {
                let even = part(&values[..width]);
                let odd = if values.len() > width { part(&values[width..]) } else { ZEROS };
                for lane in 0..PANEL_WIDTH {
                    to[lane] = pair(even[lane], odd[lane]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
