//! Rows of `f32`, laid out for products: some rows at a time (a tile), step after step ([`Layout`]).
//!
//! A step has four bytes for every row of its tile, as a panel has for every output: one number as `f32`, two as `bf16`, four as `u8`.
//! Rows of `u8` have a scale and a zero each, `number = scale * (stored - zero)`: what a row becomes depends on nothing but itself.

use super::matrix::Format;
use super::{InstructionSet, Shared, vectorized};

/// Rows of a tile at most, of any instruction set.
pub(super) const MOST_ROWS: usize = 32;

/// How rows lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) format: Format,
    /// Rows of a tile, which go through a panel together; the last may have fewer.
    pub(super) tile_rows: usize,
    /// Whether a tile is `[rows][steps]`, the steps filled up with zeros to a multiple of this number. Otherwise it is `[steps][rows]`: with
    /// as many streams as rows the processor would run out of registers and cache lines.
    whole_rows: Option<usize>,
}

impl Layout {
    pub(super) fn new(set: InstructionSet, format: Format) -> Self {
        let (tile_rows, whole_rows) = match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Amx if format != Format::F32 => (super::amx::TILE_ROWS, Some(super::amx::REGISTER_ROWS)),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 | InstructionSet::Avx512Vnni | InstructionSet::Avx512Bf16 | InstructionSet::Amx => {
                (12, None)
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 | InstructionSet::Avx2Vnni => (3, None),
            InstructionSet::Portable => (4, None),
        };
        Self { format, tile_rows, whole_rows }
    }

    /// Units of a row of so many numbers.
    pub(super) fn row_units(&self, width: usize) -> usize {
        let n_steps = self.format.n_steps(width);
        self.whole_rows.map_or(n_steps, |multiple| n_steps.next_multiple_of(multiple))
    }

    /// Writes row `number` of a tile of `n_rows`.
    pub(super) fn fill_row(
        &self,
        set: InstructionSet,
        row: &[f32],
        tile: &mut [u32],
        n_rows: usize,
        number: usize,
    ) -> RowScale {
        if self.whole_rows.is_none() {
            return fill_row(set, self.format, row, tile, n_rows, number);
        }
        let n_units = self.row_units(row.len());
        let units = &mut tile[number * n_units..(number + 1) * n_units];
        units[self.format.n_steps(row.len())..].fill(0);
        fill_row(set, self.format, row, units, 1, 0)
    }
}

/// What the numbers of a row are stored by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RowScale {
    pub(super) scale: f32,
    pub(super) zero: i32,
}

/// Rows in tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles<'a> {
    pub(super) layout: Layout,
    /// Numbers of a row.
    pub(super) width: usize,
    pub(super) n_rows: usize,
    pub(super) units: Shared<'a, u32>,
    pub(super) scales: Shared<'a, RowScale>,
}

impl<'a> Tiles<'a> {
    pub(super) fn n_tiles(&self) -> usize {
        self.n_rows.div_ceil(self.layout.tile_rows)
    }

    pub(super) fn n_steps(&self) -> usize {
        self.layout.format.n_steps(self.width)
    }

    pub(super) fn row_units(&self) -> usize {
        self.layout.row_units(self.width)
    }

    /// The rows of a tile.
    pub(super) fn rows_of(&self, tile: usize) -> std::ops::Range<usize> {
        let first = tile * self.layout.tile_rows;
        first..(first + self.layout.tile_rows).min(self.n_rows)
    }

    /// Some rows, from the first of a tile on.
    pub(super) fn some(&self, first: usize, n_rows: usize) -> Self {
        let of_row = self.row_units();
        let (units, scales) = (self.units.some(first * of_row, n_rows * of_row), self.scales.some(first, n_rows));
        Self { n_rows, units, scales, ..*self }
    }

    /// Fills a tile; `row` gives each of its rows.
    ///
    /// # Safety
    /// - Nobody else uses this tile.
    pub(super) unsafe fn fill(&self, set: InstructionSet, tile: usize, row: impl Fn(usize) -> &'a [f32]) {
        let rows = self.rows_of(tile);
        let n_rows = rows.len();
        let (units, scales) = unsafe {
            // SAFETY: the caller's obligation.
            (
                self.units.part(rows.start * self.row_units(), n_rows * self.row_units()),
                self.scales.part(rows.start, n_rows),
            )
        };
        for (number, (index, scale)) in rows.zip(scales).enumerate() {
            let row = row(index);
            *scale = self.layout.fill_row(set, row, units, n_rows, number);
        }
    }
}

/// Writes row `number` of a tile of `n_rows`, step after step.
fn fill_row(
    set: InstructionSet,
    format: Format,
    row: &[f32],
    units: &mut [u32],
    n_rows: usize,
    number: usize,
) -> RowScale {
    match format {
        Format::F32 => fill_f32(set, row, units, n_rows, number),
        Format::Bf16 => fill_bf16(set, row, units, n_rows, number),
        Format::Int8 => return fill_int8(set, row, units, n_rows, number),
    }
    RowScale::default()
}

vectorized!(fn fill_f32(row: &[f32], units: &mut [u32], n_rows: usize, number: usize) = put_f32);
vectorized!(fn fill_bf16(row: &[f32], units: &mut [u32], n_rows: usize, number: usize) = put_bf16);
vectorized!(fn fill_int8(row: &[f32], units: &mut [u32], n_rows: usize, number: usize) -> RowScale = put_int8);

/// Numbers that are worked on at a time.
const LANES: usize = 16;

#[inline(always)]
fn put_f32<const FUSED: bool>(row: &[f32], units: &mut [u32], n_rows: usize, number: usize) {
    for (step, from) in units.chunks_exact_mut(n_rows).zip(row) {
        step[number] = from.to_bits();
    }
}

/// The nearest `bf16`, as its bits; what is no number stays none.
#[inline(always)]
fn to_bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

/// Two numbers as bf16, the first in the low bits.
#[inline(always)]
pub(super) fn pair(first: f32, second: f32) -> u32 {
    to_bf16(first) | to_bf16(second) << 16
}

#[inline(always)]
fn put_bf16<const FUSED: bool>(row: &[f32], units: &mut [u32], n_rows: usize, number: usize) {
    let mut steps = units.chunks_exact_mut(n_rows);
    let (chunks, rest) = row.as_chunks::<{ 2 * LANES }>();
    for chunk in chunks {
        let mut bits = [0_u16; 2 * LANES];
        for (bits, x) in bits.iter_mut().zip(chunk) {
            *bits = to_bf16(*x) as u16;
        }
        for (two, step) in bits.as_chunks::<2>().0.iter().zip(&mut steps) {
            step[number] = u32::from(two[0]) | u32::from(two[1]) << 16;
        }
    }
    for (two, step) in rest.chunks(2).zip(steps) {
        step[number] = pair(two[0], two.get(1).copied().unwrap_or(0.0));
    }
}

#[inline(always)]
fn put_int8<const FUSED: bool>(row: &[f32], units: &mut [u32], n_rows: usize, number: usize) -> RowScale {
    /// Added to a number below 2^22, it leaves the rounded number in the low bits.
    const ROUNDER: f32 = 12_582_912.0;
    let (least, most) = range(row);
    let width = most - least;
    let (scale, inverse) = if width > 0.0 { (width / 255.0, 255.0 / width) } else { (width, 0.0) };
    let zero = (-least * inverse).round_ties_even();
    let quantize = |x: f32| ((x * inverse + zero).clamp(0.0, 255.0) + ROUNDER).to_bits() as u8;
    let mut steps = units.chunks_exact_mut(n_rows);
    let (chunks, rest) = row.as_chunks::<{ 4 * LANES }>();
    for chunk in chunks {
        let mut stored = [0_u8; 4 * LANES];
        for (stored, x) in stored.iter_mut().zip(chunk) {
            *stored = quantize(*x);
        }
        for (four, step) in stored.as_chunks::<4>().0.iter().zip(&mut steps) {
            step[number] = u32::from_le_bytes(*four);
        }
    }
    for (four, step) in rest.chunks(4).zip(steps) {
        step[number] = four.iter().rev().fold(0, |unit, x| unit << 8 | u32::from(quantize(*x)));
    }
    RowScale { scale, zero: zero as i32 }
}

/// The least and the largest of a row and 0; NaN where any is infinite or no number.
#[inline(always)]
fn range(row: &[f32]) -> (f32, f32) {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let (mut least, mut most, mut bits) = ([0.0_f32; LANES], [0.0_f32; LANES], [0_u32; LANES]);
    for chunk in chunks {
        for lane in 0..LANES {
            let x = chunk[lane];
            least[lane] = if x < least[lane] { x } else { least[lane] };
            most[lane] = if x > most[lane] { x } else { most[lane] };
            bits[lane] = bits[lane].max(x.to_bits() & 0x7fff_ffff);
        }
    }
    let least = least.iter().chain(rest).fold(0.0_f32, |a, b| a.min(*b));
    let most = most.iter().chain(rest).fold(0.0_f32, |a, b| a.max(*b));
    let bits = bits.into_iter().chain(rest.iter().map(|x| x.to_bits() & 0x7fff_ffff)).max().unwrap_or(0);
    if bits < f32::INFINITY.to_bits() { (least, most) } else { (f32::NAN, f32::NAN) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;
    use proptest::prelude::*;

    fn filled(set: InstructionSet, layout: Layout, width: usize, all: &[f32]) -> (Vec<u32>, Vec<RowScale>) {
        let n_rows = all.len() / width;
        let mut units = vec![7_u32; n_rows * layout.row_units(width)];
        let mut scales = vec![RowScale::default(); n_rows];
        let tiles = Tiles { layout, width, n_rows, units: Shared::new(&mut units), scales: Shared::new(&mut scales) };
        for tile in 0..tiles.n_tiles() {
            // SAFETY: one thread.
            unsafe { tiles.fill(set, tile, |row| &all[row * width..(row + 1) * width]) };
        }
        (units, scales)
    }

    proptest! {
        #[test]
        fn stored_rows_are_the_rows(width in 1_usize..150, n_rows in 1_usize..70, seed in 0_usize..99) {
            let all: Vec<f32> = (0..width * n_rows).map(|i| ((i * 37 + seed * 11) as f32).sin() * (i % 5) as f32).collect();
            for (set, format) in InstructionSet::all().into_iter().flat_map(|set| Format::ALL.map(|f| (set, f))) {
                let layout = Layout::new(set, format);
                let (units, scales) = filled(set, layout, width, &all);
                let (n_steps, tile_rows) = (layout.row_units(width), layout.tile_rows);
                for row in 0..n_rows {
                    let first = row / tile_rows * tile_rows;
                    let in_tile = tile_rows.min(n_rows - first);
                    for column in 0..n_steps * format.group() {
                        let step = column / format.group();
                        let place = match layout.whole_rows {
                            Some(_) => (row - first) * n_steps + step,
                            None => step * in_tile + row - first,
                        };
                        let unit = units[first * n_steps + place];
                        let inner = column % format.group();
                        let wanted = if column < width { all[row * width + column] } else { 0.0 };
                        let (given, allowed) = match format {
                            Format::F32 => (f32::from_bits(unit), 0.0),
                            Format::Bf16 => {
                                prop_assert_eq!((unit >> (16 * inner)) as u16, bf16::from_f32(wanted).to_bits());
                                continue;
                            }
                            Format::Int8 if column >= width => continue,
                            Format::Int8 => {
                                let stored = (unit >> (8 * inner) & 0xff) as i32;
                                (scales[row].scale * (stored - scales[row].zero) as f32, scales[row].scale * 1.01)
                            }
                        };
                        prop_assert!((given - wanted).abs() <= allowed, "{set:?} {format:?} [{row}][{column}]: {given}, not {wanted}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_one_number_keep_it_and_what_is_no_number_stays_none() {
        for set in InstructionSet::all() {
            for x in [0.0_f32, 3.0, -2.0] {
                let (units, scales) = filled(set, Layout::new(set, Format::Int8), 4, &[x; 4]);
                let given = scales[0].scale * ((units[0] & 0xff) as i32 - scales[0].zero) as f32;
                assert!((given - x).abs() < 1e-6, "{given}, not {x}");
            }
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let (_, scales) =
                    filled(set, Layout::new(set, Format::Int8), 20, &[&[1.0; 17][..], &[bad, 1.0, 2.0]].concat());
                assert!(scales[0].scale.is_nan());
                let (units, _) = filled(set, Layout::new(set, Format::Bf16), 1, &[bad]);
                assert!(!bf16::from_bits(units[0] as u16).is_finite());
            }
        }
    }
}
