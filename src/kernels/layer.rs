//! A layer of an encoder: attention and feed-forward network, each with its residual and LayerNorm, in phases that all threads go
//! through together.
//!
//! Tokens are one list of rows. What a token sees is its text ([`Sight::Texts`]), or entries of a cache and the token before it
//! ([`Sight::Cache`]). Where only some tokens are wanted of the last layer, everything behind the attention is made for those alone.

mod memory;

use super::attention::{Cache, CachedAttention};
use super::crew::{Crew, Member};
use super::matrix::Matrix;
use super::pointwise::normalize;
use super::product::{Division, Linear, Product, Residual, run_part};
use super::rows::Tiles;
use super::scratch::Scratch;
use super::texts::{TextAttention, Texts};
use super::{InstructionSet, Shared, Spread, vectorized};
use crate::architecture::Activation;
use memory::Memory;

/// Rows that go through the feed-forward network at a time: what lies between its products stays in cache. A multiple of all tiles.
const CHUNK_ROWS: usize = 288;

/// Weights of a LayerNorm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm<'a> {
    /// `[width]`.
    pub(crate) scale: &'a [f32],
    /// `[width]`.
    pub(crate) shift: &'a [f32],
}

/// A layer and its weights.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a> {
    pub(crate) n_heads: usize,
    pub(crate) query_head_size: usize,
    pub(crate) value_head_size: usize,
    pub(crate) activation: Activation,
    pub(crate) epsilon: f32,
    /// Of queries, keys and values.
    pub(crate) projections: [Linear<'a>; 3],
    pub(crate) attention_output: Linear<'a>,
    pub(crate) attention_norm: Norm<'a>,
    pub(crate) ffn_in: Linear<'a>,
    pub(crate) ffn_out: Linear<'a>,
    pub(crate) ffn_norm: Norm<'a>,
}

/// What tokens see.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight<'a> {
    /// All tokens of their text.
    Texts(Texts<'a>),
    /// Entries of a cache: tokens come in pairs, of which the second sees the first too.
    Cache(Cache<'a>),
}

/// What a layer takes and gives.
pub(crate) struct LayerTensors<'a> {
    /// `[tokens, width]`.
    pub(crate) input: &'a [f32],
    /// `[tokens, heads * query head]`.
    pub(crate) keys: &'a mut [f32],
    /// `[tokens, heads * value head]`.
    pub(crate) values: &'a mut [f32],
    /// `[wanted tokens, width]`.
    pub(crate) output: &'a mut [f32],
    /// As much as [`LayerRun::scratch_size`] says.
    pub(crate) scratch: &'a mut [u8],
}

/// A layer that is to be run over some tokens.
pub(crate) struct LayerRun<'a> {
    set: InstructionSet,
    layer: Layer<'a>,
    n_tokens: usize,
    /// Tokens that go on behind the attention; all without it.
    wanted: Option<&'a [i64]>,
    attention: Attention<'a>,
    n_threads: usize,
}

enum Attention<'a> {
    Texts(TextAttention<'a>),
    Cache(Cache<'a>),
}

impl<'a> LayerRun<'a> {
    /// `None` where the sizes of the layer do not fit, or what is seen is not there.
    pub(crate) fn new(
        set: InstructionSet,
        layer: Layer<'a>,
        sight: Sight<'a>,
        wanted: Option<&'a [i64]>,
        n_tokens: usize,
        n_threads: usize,
    ) -> Option<Self> {
        let sizes = [layer.n_heads, layer.query_head_size, layer.value_head_size];
        if !layer.fits() || wanted.is_some_and(|all| all.iter().any(|token| *token < 0 || *token >= n_tokens as i64)) {
            return None;
        }
        let format = layer.ffn_in.weights.format;
        let attention = match sight {
            Sight::Texts(texts) => {
                let texts = Texts { wanted, ..texts };
                texts
                    .fits(n_tokens)
                    .then(|| Attention::Texts(TextAttention::new(set, sizes, texts, format, n_threads)))?
            }
            Sight::Cache(cache) => {
                let fits = cache.fits(n_tokens, layer.key_width() + layer.value_width());
                fits.then_some(Attention::Cache(cache))?
            }
        };
        Some(Self { set, layer, n_tokens, wanted, attention, n_threads: n_threads.max(1) })
    }

    /// Tokens that the layer gives.
    pub(crate) fn n_wanted(&self) -> usize {
        self.wanted.map_or(self.n_tokens, <[i64]>::len)
    }

    /// Tokens whose attention is made.
    fn n_attended(&self) -> usize {
        match self.attention {
            Attention::Texts(_) => self.n_wanted(),
            Attention::Cache(_) => self.n_tokens,
        }
    }

    /// Runs the layer; `false` where a tensor has another length than it should, and nothing was done.
    pub(crate) fn run(&'a self, tensors: LayerTensors<'a>, spread: &Spread<'_>) -> bool {
        let LayerTensors { input, keys, values, output, scratch } = tensors;
        let (layer, n_tokens, n_wanted) = (&self.layer, self.n_tokens, self.n_wanted());
        let fits = input.len() == n_tokens * layer.width()
            && keys.len() == n_tokens * layer.key_width()
            && values.len() == n_tokens * layer.value_width()
            && output.len() == n_wanted * layer.width();
        if !fits {
            return false;
        }
        let Some(memory) = self.memory(input, keys, values, output, &mut Scratch::new(scratch)) else { return false };
        let tile_rows = self.layout().tile_rows;
        let division = |n_rows: usize, linears: &[Linear<'_>]| {
            let matrices: Vec<Matrix<'_>> = linears.iter().map(|linear| linear.weights).collect();
            Division::new(n_rows, tile_rows, linears[0].weights.n_inputs, &matrices)
        };
        let plan = Plan {
            projections: division(n_tokens, &layer.projections),
            attention_output: division(n_wanted, &[layer.attention_output]),
            chunks: (0..n_wanted)
                .step_by(CHUNK_ROWS)
                .map(|first| {
                    let n_rows = CHUNK_ROWS.min(n_wanted - first);
                    Chunk {
                        first,
                        n_rows,
                        ffn_in: division(n_rows, &[layer.ffn_in]),
                        ffn_out: division(n_rows, &[layer.ffn_out]),
                    }
                })
                .collect(),
        };
        let n_attention = match &self.attention {
            Attention::Texts(texts) => texts.n_parts(),
            Attention::Cache(cache) => cache.row_ends.len() * layer.n_heads,
        };
        let n_wanted_tiles = n_wanted.div_ceil(tile_rows);
        let before = [
            n_tokens.div_ceil(tile_rows),
            plan.projections.n_parts(),
            n_attention,
            n_wanted_tiles,
            plan.attention_output.n_parts(),
            n_wanted_tiles,
        ];
        let of_chunk =
            |chunk: &Chunk| [chunk.ffn_in.n_parts(), chunk.n_rows.div_ceil(tile_rows), chunk.ffn_out.n_parts()];
        let crew = Crew::new(before.into_iter().chain(plan.chunks.iter().flat_map(of_chunk)).chain([n_wanted_tiles]));
        let work = || {
            // Where a phase is never done, another thread says so.
            let _ = self.work(&mut crew.join(), &memory, &plan);
        };
        super::spread_over(self.n_threads.min(crew.most_parts()), spread, &work);
        true
    }

    /// What every thread does. A part of a phase is made by whoever takes it, and reads what earlier phases have completed.
    fn work(&self, member: &mut Member<'_>, memory: &Memory<'a>, plan: &Plan) -> Option<()> {
        fn row<'a>(all: &Shared<'a, f32>, width: usize, row: usize) -> &'a [f32] {
            // SAFETY: complete, as are all rows that a phase reads.
            unsafe { all.read(row * width, width) }
        }
        let (set, layer) = (self.set, &self.layer);
        let done = |is_done: bool| is_done.then_some(());
        let width = layer.width();
        let Memory { input, heads, middle, inner, output, .. } = memory;
        // SAFETY: in all phases, each part is made once.
        done(member.phase(|tile| unsafe { memory.input_tiles.fill(set, tile, |index| row(input, width, index)) }))?;
        let product = |linear: Linear<'a>, output| Product {
            matrix: linear.weights,
            bias: linear.bias,
            activation: None,
            residual: None,
            output,
        };
        let outputs = [heads.queries, heads.keys, heads.values];
        let projections = [0, 1, 2].map(|number| product(layer.projections[number], outputs[number]));
        let input_tiles = &memory.input_tiles;
        // SAFETY: as above.
        done(member.phase_ahead(|part, ahead| unsafe {
            run_part(
                set,
                input_tiles,
                &projections,
                &plan.projections,
                part,
                ahead,
                Some(layer.attention_output.weights),
            )
        }))?;
        done(self.attend(member, memory))?;
        let attended_row = |index: usize| match (&self.attention, self.wanted) {
            (Attention::Cache(_), Some(wanted)) => wanted[index] as usize,
            _ => index,
        };
        let fill = |tile: usize| {
            let of = |index| row(&heads.mixed, layer.value_width(), attended_row(index));
            // SAFETY: as above.
            unsafe { memory.attended_tiles.fill(set, tile, of) };
        };
        done(member.phase(fill))?;
        let residual = Some(Residual { rows: *input, of: self.wanted });
        let attention_output = [Product { residual, ..product(layer.attention_output, *middle) }];
        let attended = &memory.attended_tiles;
        // SAFETY: as above.
        done(member.phase_ahead(|part, ahead| unsafe {
            run_part(set, attended, &attention_output, &plan.attention_output, part, ahead, Some(layer.ffn_in.weights))
        }))?;
        let norm_middle = |tile: usize| {
            self.normalize_tile(&memory.middle_tiles, tile, layer.attention_norm, *middle);
            // SAFETY: as above; the rows were normed by this thread.
            unsafe { memory.middle_tiles.fill(set, tile, |index| row(middle, width, index)) };
        };
        done(member.phase(norm_middle))?;
        for chunk in &plan.chunks {
            let tiles = memory.middle_tiles.some(chunk.first, chunk.n_rows);
            let inner_tiles = Tiles { n_rows: chunk.n_rows, ..memory.inner_tiles };
            let ffn_in = [Product { activation: Some(layer.activation), ..product(layer.ffn_in, *inner) }];
            // SAFETY: as above.
            done(member.phase_ahead(|part, ahead| unsafe {
                run_part(set, &tiles, &ffn_in, &chunk.ffn_in, part, ahead, Some(layer.ffn_out.weights))
            }))?;
            let of = |index| row(inner, layer.ffn_in.weights.n_outputs, index);
            // SAFETY: as above.
            done(member.phase(|tile| unsafe { inner_tiles.fill(set, tile, of) }))?;
            let rows = |all: &Shared<'a, f32>| all.some(chunk.first * width, chunk.n_rows * width);
            let residual = Some(Residual { rows: rows(middle), of: None });
            let ffn_out = [Product { residual, ..product(layer.ffn_out, rows(output)) }];
            // SAFETY: as above.
            done(member.phase_ahead(|part, ahead| unsafe {
                run_part(set, &inner_tiles, &ffn_out, &chunk.ffn_out, part, ahead, None)
            }))?;
        }
        done(member.phase(|tile| self.normalize_tile(&memory.middle_tiles, tile, layer.ffn_norm, *output)))
    }

    /// The phase of attention.
    fn attend(&self, member: &mut Member<'_>, memory: &Memory<'a>) -> bool {
        let (layer, heads) = (&self.layer, &memory.heads);
        match &self.attention {
            Attention::Texts(texts) => {
                // Whoever has no room of its own leaves the parts to others.
                let Some(room) = memory.rooms.get(member.number) else { return member.pass() };
                // SAFETY: each part is made once, each room is one thread's.
                member.phase(|part| unsafe { texts.run_part(heads, part, room) })
            }
            Attention::Cache(cache) => {
                // SAFETY: complete since the phase before.
                let of = |all: &Shared<'a, f32>| unsafe { all.read(0, all.len) };
                let work = CachedAttention {
                    n_heads: layer.n_heads,
                    query_head_size: layer.query_head_size,
                    value_head_size: layer.value_head_size,
                    queries: of(&heads.queries),
                    keys: of(&heads.keys),
                    values: of(&heads.values),
                    cache: *cache,
                };
                // SAFETY: each part is made once.
                member.phase(|part| unsafe { work.run_part(self.set, part, heads.mixed) })
            }
        }
    }

    /// Norms the rows of a tile where they lie.
    fn normalize_tile(&self, tiles: &Tiles<'_>, tile: usize, norm: Norm<'_>, all: Shared<'_, f32>) {
        let width = self.layer.width();
        let rows = tiles.rows_of(tile);
        // SAFETY: rows of a part that is made once, complete since the phase before.
        let rows = unsafe { all.part(rows.start * width, rows.len() * width) };
        for row in rows.chunks_exact_mut(width) {
            normalize_row(self.set, row, norm.scale, norm.shift, self.layer.epsilon);
        }
    }
}

vectorized!(fn normalize_row(row: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) = normalize);

/// How phases fall into parts.
struct Plan {
    projections: Division,
    attention_output: Division,
    chunks: Vec<Chunk>,
}

/// Rows that go through the feed-forward network together.
struct Chunk {
    first: usize,
    n_rows: usize,
    ffn_in: Division,
    ffn_out: Division,
}

impl Layer<'_> {
    fn width(&self) -> usize {
        self.projections[0].weights.n_inputs
    }

    fn key_width(&self) -> usize {
        self.n_heads * self.query_head_size
    }

    fn value_width(&self) -> usize {
        self.n_heads * self.value_head_size
    }

    /// Whether weights belong to one layer.
    fn fits(&self) -> bool {
        let width = self.width();
        let inner = self.ffn_in.weights.n_outputs;
        let format = self.ffn_in.weights.format;
        let is = |linear: &Linear<'_>, n_inputs: usize, n_outputs: usize| {
            let weights = &linear.weights;
            (weights.n_inputs, weights.n_outputs, weights.format) == (n_inputs, n_outputs, format)
                && linear.bias.len() == n_outputs
        };
        let is_norm = |norm: &Norm<'_>| norm.scale.len() == width && norm.shift.len() == width;
        let [query, key, value] = &self.projections;
        self.key_width() > 0
            && self.value_width() > 0
            && is(query, width, self.key_width())
            && is(key, width, self.key_width())
            && is(value, width, self.value_width())
            && is(&self.attention_output, self.value_width(), width)
            && is(&self.ffn_in, width, inner)
            && is(&self.ffn_out, inner, width)
            && is_norm(&self.attention_norm)
            && is_norm(&self.ffn_norm)
    }
}

#[cfg(test)]
mod tests;
