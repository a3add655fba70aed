//! Where the numbers of a layer lie while it runs.

use super::super::Shared;
use super::super::rows::{Layout, RowScale, Tiles};
use super::super::scratch::{Scratch, ScratchSize};
use super::super::texts::{Heads, TextAttention};
use super::{Attention, CHUNK_ROWS, LayerRun};

/// Where everything lies.
pub(super) struct Memory<'a> {
    pub(super) input: Shared<'a, f32>,
    pub(super) input_tiles: Tiles<'a>,
    /// In the same place, as the next.
    pub(super) attended_tiles: Tiles<'a>,
    pub(super) middle_tiles: Tiles<'a>,
    pub(super) inner_tiles: Tiles<'a>,
    pub(super) heads: Heads<'a>,
    pub(super) middle: Shared<'a, f32>,
    pub(super) inner: Shared<'a, f32>,
    pub(super) output: Shared<'a, f32>,
    pub(super) rooms: Vec<[Shared<'a, u32>; 4]>,
}

impl<'a> LayerRun<'a> {
    /// Threads that can have a part of the attention at the same time.
    fn n_rooms(&self, texts: &TextAttention<'_>) -> usize {
        texts.n_parts().clamp(1, self.n_threads + 1)
    }

    /// How rows lie before they are multiplied.
    pub(super) fn layout(&self) -> Layout {
        Layout::new(self.set, self.layer.ffn_in.weights.format)
    }

    pub(super) fn chunk_rows(&self) -> usize {
        self.n_wanted().min(CHUNK_ROWS)
    }

    /// The most rows of the layer's own width, or the values', that are laid out for a product, and their units.
    fn laid_out(&self) -> (usize, usize) {
        let units = |n_rows, width| n_rows * self.layout().row_units(width);
        let (width, n_wanted) = (self.layer.width(), self.n_wanted());
        let n_units = units(self.n_tokens, width).max(units(n_wanted, self.layer.value_width()));
        (self.n_tokens.max(n_wanted), n_units.max(units(n_wanted, width)))
    }

    /// Bytes that a run needs besides its tensors.
    pub(crate) fn scratch_size(&self) -> usize {
        let layer = &self.layer;
        let (n_rows, n_units) = self.laid_out();
        let inner = layer.ffn_in.weights.n_outputs;
        let size = ScratchSize::default()
            .and::<u32>(n_units)
            .and::<RowScale>(n_rows)
            .and::<u32>(self.chunk_rows() * self.layout().row_units(inner))
            .and::<RowScale>(self.chunk_rows())
            .and::<f32>(self.n_tokens * layer.key_width())
            .and::<f32>(self.n_attended() * layer.value_width())
            .and::<f32>(self.n_wanted() * layer.width())
            .and::<f32>(self.chunk_rows() * inner);
        match &self.attention {
            Attention::Texts(texts) => texts.add_size(size, self.n_rooms(texts)).n_bytes(),
            Attention::Cache(_) => size.n_bytes(),
        }
    }

    pub(super) fn memory(
        &'a self,
        input: &'a [f32],
        keys: &'a mut [f32],
        values: &'a mut [f32],
        output: &'a mut [f32],
        scratch: &mut Scratch<'a>,
    ) -> Option<Memory<'a>> {
        let layer = &self.layer;
        let (n_rows, n_units) = self.laid_out();
        let inner_width = layer.ffn_in.weights.n_outputs;
        let chunk_rows = self.chunk_rows();
        let (units, scales) = (scratch.take(n_units)?, scratch.take(n_rows)?);
        let inner_units = scratch.take(chunk_rows * self.layout().row_units(inner_width))?;
        let inner_scales = scratch.take(chunk_rows)?;
        let queries = scratch.take(self.n_tokens * layer.key_width())?;
        let attended = scratch.take(self.n_attended() * layer.value_width())?;
        let middle = scratch.take(self.n_wanted() * layer.width())?;
        let inner = scratch.take(chunk_rows * inner_width)?;
        let rooms = match &self.attention {
            Attention::Texts(texts) => {
                (0..self.n_rooms(texts)).map(|_| texts.take_room(scratch)).collect::<Option<_>>()?
            }
            Attention::Cache(_) => Vec::new(),
        };
        let tiles = |width: usize, n_rows: usize| Tiles { layout: self.layout(), width, n_rows, units, scales };
        Some(Memory {
            input: Shared::constant(input),
            input_tiles: tiles(layer.width(), self.n_tokens),
            attended_tiles: tiles(layer.value_width(), self.n_wanted()),
            middle_tiles: tiles(layer.width(), self.n_wanted()),
            inner_tiles: Tiles { units: inner_units, scales: inner_scales, ..tiles(inner_width, chunk_rows) },
            heads: Heads { queries, keys: Shared::new(keys), values: Shared::new(values), mixed: attended },
            middle,
            inner,
            output: Shared::new(output),
            rooms,
        })
    }
}
