//! `rows x weights + bias`, and what follows it at once: an activation, or another row added.
//!
//! `output[row][o] = f(sum over i of row[i] * weight[i][o] + bias[o]) + residual[row][o]`, summed in the order of the inputs. Every
//! number depends on its own row only. A part of the work is one panel and some tiles of rows: the panel is read from memory
//! once and stays in cache while the tiles go through it.

use super::crew::Crew;
use super::matrix::{Format, Matrix, PANEL_WIDTH};
use super::pointwise::activate;
use super::rows::{Layout, MOST_ROWS, RowScale, Tiles};
use super::{InstructionSet, Shared, Spread, vectorized};
use crate::architecture::Activation;

/// Rows of a part at most, where rows are short; fewer where they are long, so that parts take about as long.
const PART_ROWS: usize = 48;
const SHORT_ROW: usize = 1024;

/// A product to be made.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) matrix: Matrix<'a>,
    /// `[outputs]`.
    pub(super) bias: &'a [f32],
    pub(super) activation: Option<Activation>,
    /// Added at the end, where it is given: a row of `[outputs]` for each row.
    pub(super) residual: Option<Residual<'a>>,
    /// `[rows, outputs]`.
    pub(super) output: Shared<'a, f32>,
}

impl Product<'_> {
    /// Asks for what is read and written at the end, so that it is there then.
    #[inline(always)]
    fn prefetch(&self, row: usize, first: usize) {
        let width = self.matrix.n_outputs;
        let last = (first + PANEL_WIDTH).min(width) - 1;
        for column in [first, last] {
            super::prefetch(&self.output, row * width + column);
            if let Some(residual) = &self.residual {
                let row = residual.of.map_or(row, |of| of[row] as usize);
                super::prefetch(&residual.rows, row * width + column);
            }
        }
    }
}

/// Rows that are added.
#[derive(Clone, Copy)]
pub(super) struct Residual<'a> {
    /// `[rows, outputs]`.
    pub(super) rows: Shared<'a, f32>,
    /// Which row belongs to each; without it they are the same.
    pub(super) of: Option<&'a [i64]>,
}

/// The sums of a tile: `[rows][32]`, integers of `i8` as their bits.
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [[f32; PANEL_WIDTH]; MOST_ROWS]);

impl Sums {
    pub(super) const ZERO: Self = Self([[0.0; PANEL_WIDTH]; MOST_ROWS]);
}

/// What a few rows and one panel need. Pointers are those of slices that were checked.
#[derive(Clone, Copy)]
pub(super) struct TileWork {
    /// As [`Layout`] says.
    pub(super) rows: *const u32,
    /// `[steps][32][4 bytes]`.
    pub(super) panel: *const u8,
    pub(super) n_steps: usize,
    /// As many bytes as the panel has, which are asked for on the way; null where none are.
    pub(super) ahead: *const u8,
}

/// How products of the same rows fall into parts.
#[derive(Clone, Copy)]
pub(super) struct Division {
    tiles_of_part: usize,
    n_groups: usize,
    /// One past the last panel of each product.
    panel_ends: [usize; 3],
}

impl Division {
    pub(super) fn new(n_rows: usize, tile_rows: usize, width: usize, products: &[Matrix<'_>]) -> Self {
        let most = if width > SHORT_ROW { PART_ROWS / 2 } else { PART_ROWS };
        let tiles_of_part = most.div_ceil(tile_rows);
        let (mut end, mut panel_ends) = (0, [0; 3]);
        for (number, panel_end) in panel_ends.iter_mut().enumerate() {
            end += products.get(number).map_or(0, Matrix::n_panels);
            *panel_end = end;
        }
        Self { tiles_of_part, n_groups: n_rows.div_ceil(tile_rows).div_ceil(tiles_of_part), panel_ends }
    }

    /// The product and its panel that a part belongs to.
    fn panel_of(&self, part: usize) -> Option<(usize, usize)> {
        let panel = part / self.n_groups.max(1);
        let number = self.panel_ends.iter().position(|end| panel < *end)?;
        let first = number.checked_sub(1).map_or(0, |before| self.panel_ends[before]);
        Some((number, panel - first))
    }

    pub(super) fn n_parts(&self) -> usize {
        self.panel_ends[2] * self.n_groups
    }
}

/// Makes one part of products of the same rows, and asks for the weights of part `ahead` meanwhile; those beyond the last part are of
/// `next`, the product that follows.
///
/// # Safety
/// - Rows and residuals are complete, and nobody else uses this part of the outputs; the processor has `set`.
pub(super) unsafe fn run_part(
    set: InstructionSet,
    tiles: &Tiles<'_>,
    products: &[Product<'_>],
    division: &Division,
    part: usize,
    ahead: usize,
    next: Option<Matrix<'_>>,
) {
    let Some((number, panel)) = division.panel_of(part) else { return };
    let (product, group) = (&products[number], part % division.n_groups);
    let mut ahead = match division.panel_of(ahead) {
        Some(place) if place == (number, panel) => None,
        Some((number, panel)) => Some(products[number].matrix.panel(panel)),
        None => next.and_then(|next| next.find_panel(ahead - division.n_parts())),
    };
    let first = panel * PANEL_WIDTH;
    let n_columns = PANEL_WIDTH.min(product.matrix.n_outputs - first);
    let mut finish = Finish {
        first,
        n_columns,
        bias: [0.0; PANEL_WIDTH],
        scales: [1.0; PANEL_WIDTH],
        column_sums: [0; PANEL_WIDTH],
        product,
    };
    finish.bias[..n_columns].copy_from_slice(&product.bias[first..first + n_columns]);
    let weights = product.matrix.panel(panel);
    let lanes = weights.scales.as_chunks::<4>().0.iter().zip(weights.sums.as_chunks::<4>().0).enumerate();
    for (lane, (scale, sum)) in lanes {
        finish.scales[lane] = f32::from_le_bytes(*scale);
        finish.column_sums[lane] = i32::from_le_bytes(*sum);
    }
    let mut sums = Sums::ZERO;
    let mut multiplier = Multiplier::new(set, tiles.layout.format);
    let begin = group * division.tiles_of_part;
    for tile in begin..(begin + division.tiles_of_part).min(tiles.n_tiles()) {
        let rows = tiles.rows_of(tile);
        let n_rows = rows.len();
        // SAFETY: complete, by the caller's obligation.
        let (units, scales) = unsafe {
            let units = tiles.units.read(rows.start * tiles.row_units(), n_rows * tiles.row_units());
            let n_scales = if tiles.layout.format == Format::Int8 { n_rows } else { 0 };
            (units, tiles.scales.read(rows.start, n_scales))
        };
        for row in rows.clone() {
            product.prefetch(row, first);
        }
        let ahead = ahead.take().map_or(std::ptr::null(), |panel| panel.steps.as_ptr());
        let work = TileWork { rows: units.as_ptr(), panel: weights.steps.as_ptr(), n_steps: tiles.n_steps(), ahead };
        // SAFETY: a tile of so many rows, and a panel of so many steps.
        unsafe { multiplier.multiply(work, n_rows, &mut sums) };
        // SAFETY: columns of this part, and complete residuals.
        unsafe { finish_tile(set, &finish, rows.start, n_rows, scales, &mut sums) };
    }
}

/// Multiplies tiles of rows by panels, one after another on one thread.
pub(super) struct Multiplier {
    set: InstructionSet,
    format: Format,
    #[cfg(target_arch = "x86_64")]
    registers: super::amx::Registers,
}

impl Multiplier {
    pub(super) fn new(set: InstructionSet, format: Format) -> Self {
        #[cfg(target_arch = "x86_64")]
        let registers = super::amx::Registers::default();
        Self {
            set,
            format,
            #[cfg(target_arch = "x86_64")]
            registers,
        }
    }

    /// Sums of a tile's rows.
    ///
    /// # Safety
    /// - `work.rows` begins `n_rows` rows of `n_steps` steps, from 1 to those of a tile, as [`Layout`] says, `work.panel` as many steps of
    ///   32; the processor has the set.
    pub(super) unsafe fn multiply(&mut self, work: TileWork, n_rows: usize, sums: &mut Sums) {
        // SAFETY: the caller's obligation.
        unsafe {
            match self.set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Amx if self.format != Format::F32 => {
                    self.registers.multiply(self.format, work, n_rows, sums);
                }
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512
                | InstructionSet::Avx512Vnni
                | InstructionSet::Avx512Bf16
                | InstructionSet::Amx => super::x86::avx512(self.set, self.format, work, n_rows, sums),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 | InstructionSet::Avx2Vnni => {
                    super::x86::avx2(self.set, self.format, work, n_rows, sums);
                }
                InstructionSet::Portable => super::portable::multiply(self.format, work, n_rows, sums),
            }
        }
    }
}

/// What follows the sums of a panel.
struct Finish<'a> {
    first: usize,
    n_columns: usize,
    bias: [f32; PANEL_WIDTH],
    scales: [f32; PANEL_WIDTH],
    column_sums: [i32; PANEL_WIDTH],
    product: &'a Product<'a>,
}

vectorized!(unsafe fn finish_tile(finish: &Finish<'_>, first_row: usize, n_rows: usize, scales: &[RowScale], sums: &mut Sums) = finish_rows);

/// # Safety
/// - Nobody else uses these columns of the output; residuals are complete.
#[inline(always)]
unsafe fn finish_rows<const FUSED: bool>(
    finish: &Finish<'_>,
    first_row: usize,
    n_rows: usize,
    scales: &[RowScale],
    sums: &mut Sums,
) {
    let product = finish.product;
    let width = product.matrix.n_outputs;
    let sums = &mut sums.0[..n_rows];
    for (number, sums) in sums.iter_mut().enumerate() {
        match scales.get(number) {
            Some(RowScale { scale, zero }) => {
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let of_zero = zero.wrapping_mul(finish.column_sums[lane]);
                    let exact = sum.to_bits().cast_signed().wrapping_sub(of_zero);
                    *sum = exact as f32 * (scale * finish.scales[lane]) + finish.bias[lane];
                }
            }
            None => {
                for (sum, bias) in sums.iter_mut().zip(&finish.bias) {
                    *sum += bias;
                }
            }
        }
    }
    // All rows at once: what the function needs stays in registers.
    if let Some(activation) = product.activation {
        activate::<FUSED>(activation, product.matrix.format != Format::F32, sums.as_flattened_mut());
    }
    for (number, sums) in sums.iter().enumerate() {
        let row = first_row + number;
        // SAFETY: columns of this part, by the caller's obligation.
        let output = unsafe { product.output.part(row * width + finish.first, finish.n_columns) };
        let mut residual: &[f32] = &[];
        if let Some(rows) = &product.residual {
            let row = rows.of.map_or(row, |of| of[row] as usize);
            // SAFETY: complete, by the caller's obligation.
            residual = unsafe { rows.rows.read(row * width + finish.first, finish.n_columns) };
        }
        match (<&mut [f32; PANEL_WIDTH]>::try_from(&mut *output), <&[f32; PANEL_WIDTH]>::try_from(residual)) {
            (Ok(output), Ok(residual)) => {
                for lane in 0..PANEL_WIDTH {
                    output[lane] = sums[lane] + residual[lane];
                }
            }
            (Ok(output), Err(_)) => *output = *sums,
            (Err(_), _) => {
                for (lane, to) in output.iter_mut().enumerate() {
                    *to = sums[lane] + residual.get(lane).copied().unwrap_or(0.0);
                }
            }
        }
    }
}

/// A layer of [`multiply`].
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a> {
    pub(crate) weights: Matrix<'a>,
    /// `[outputs]`.
    pub(crate) bias: &'a [f32],
}

/// Multiplies `input`, `[rows, inputs]`, by each of up to three `layers` into its output, `[rows, outputs]`; `false` where lengths do
/// not fit, and nothing was done.
pub(crate) fn multiply(
    set: InstructionSet,
    input: &[f32],
    layers: &[Linear<'_>],
    outputs: &mut [&mut [f32]],
    n_threads: usize,
    spread: &Spread<'_>,
) -> bool {
    let Some(first) = layers.first() else { return false };
    let (width, format) = (first.weights.n_inputs, first.weights.format);
    let n_rows = input.len() / width.max(1);
    let fits = |(layer, output): (&Linear<'_>, &&mut [f32])| {
        (layer.weights.n_inputs, layer.weights.format) == (width, format)
            && layer.bias.len() == layer.weights.n_outputs
            && n_rows.checked_mul(layer.weights.n_outputs) == Some(output.len())
    };
    if layers.len() != outputs.len() || layers.len() > 3 || input.len() != n_rows * width {
        return false;
    }
    if !layers.iter().zip(outputs.iter()).all(fits) {
        return false;
    }
    let layout = Layout::new(set, format);
    let mut units = vec![0; n_rows * layout.row_units(width)];
    let mut scales = vec![RowScale::default(); n_rows];
    let tiles = Tiles { layout, width, n_rows, units: Shared::new(&mut units), scales: Shared::new(&mut scales) };
    let products = layers.iter().zip(outputs).map(|(layer, output)| Product {
        matrix: layer.weights,
        bias: layer.bias,
        activation: None,
        residual: None,
        output: Shared::new(output),
    });
    let products: Vec<Product<'_>> = products.collect();
    let matrices: Vec<Matrix<'_>> = layers.iter().map(|layer| layer.weights).collect();
    let division = Division::new(n_rows, layout.tile_rows, width, &matrices);
    let crew = Crew::new([tiles.n_tiles(), division.n_parts()]);
    let work = || {
        let mut member = crew.join();
        // SAFETY: a tile is filled by whoever takes it.
        if member.phase(|tile| unsafe { tiles.fill(set, tile, |row| &input[row * width..(row + 1) * width]) }) {
            // SAFETY: rows are complete; a part is made by whoever takes it.
            member.phase_ahead(|part, ahead| unsafe { run_part(set, &tiles, &products, &division, part, ahead, None) });
        }
    };
    super::spread_over(crew.most_parts().min(n_threads), spread, &work);
    true
}

#[cfg(test)]
mod tests;
