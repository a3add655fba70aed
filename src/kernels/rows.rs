//! Rows of `f32`, laid out for products: some rows at a time (a tile), step after step ([`Layout`]).
//!
//! A step has four bytes for every row of its tile, as a panel has for every output: one number as `f32`, two as `bf16`, four as `u8`.
//! Rows of `u8` have a scale and a zero each, `number = scale * (stored - zero)`: what a row becomes depends on nothing but itself.

use super::matrix::Format;
use super::{InstructionSet, Shared, vectorized};

/// Rows of a tile at most, of any instruction set.
pub(super) const MOST_ROWS: usize = 32;

/// How rows lie: a tile is `[groups][rows][steps of a group]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) format: Format,
    /// Rows of a tile, which go through a panel together; the last may have fewer.
    pub(super) tile_rows: usize,
    /// Steps of a row that lie together, 1 or [`LANES`]; zeros fill up the last group.
    group: usize,
}

impl Layout {
    pub(super) fn new(set: InstructionSet, format: Format) -> Self {
        let (tile_rows, group) = match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Amx if format != Format::F32 => (super::amx::TILE_ROWS, super::amx::REGISTER_STEPS),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 | InstructionSet::Avx512Vnni | InstructionSet::Avx512Bf16 | InstructionSet::Amx => {
                (12, 1)
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 | InstructionSet::Avx2Vnni => (3, 1),
            InstructionSet::Portable => (4, 1),
        };
        Self { format, tile_rows, group }
    }

    /// Units of a row of so many numbers.
    pub(super) fn row_units(&self, width: usize) -> usize {
        self.format.n_steps(width).next_multiple_of(self.group)
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
        let place = Place { group: self.group, n_rows, number };
        match self.format {
            Format::F32 => fill_f32(set, row, tile, place),
            Format::Bf16 => fill_bf16(set, row, tile, place),
            Format::Int8 => return fill_int8(set, row, tile, place),
        }
        RowScale::default()
    }
}

/// Where a row lies in a tile.
#[derive(Clone, Copy)]
struct Place {
    group: usize,
    n_rows: usize,
    number: usize,
}

impl Place {
    /// Writes some steps of the row, from number `first` on, a multiple of [`LANES`].
    #[inline(always)]
    fn put(self, tile: &mut [u32], first: usize, steps: &[u32; LANES]) {
        if self.group == LANES {
            if let Some(to) = tile.as_chunks_mut::<LANES>().0.get_mut(first / LANES * self.n_rows + self.number) {
                *to = *steps;
            }
        } else {
            let columns = tile.chunks_exact_mut(self.n_rows).skip(first);
            columns.zip(steps).for_each(|(column, step)| column[self.number] = *step);
        }
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

vectorized!(fn fill_f32(row: &[f32], tile: &mut [u32], place: Place) = put_f32);
vectorized!(fn fill_bf16(row: &[f32], tile: &mut [u32], place: Place) = put_bf16);
vectorized!(fn fill_int8(row: &[f32], tile: &mut [u32], place: Place) -> RowScale = put_int8);

/// Numbers, or steps, that are worked on at a time.
const LANES: usize = 16;

/// Calls `stored` for each sixteen steps of a row, the last filled up with zeros, and puts them where they belong.
#[inline(always)]
fn put_row<const NUMBERS: usize>(
    row: &[f32],
    tile: &mut [u32],
    place: Place,
    stored: impl Fn(&[f32; NUMBERS]) -> [u32; LANES],
) {
    let (chunks, rest) = row.as_chunks::<NUMBERS>();
    for (number, chunk) in chunks.iter().enumerate() {
        place.put(tile, number * LANES, &stored(chunk));
    }
    if !rest.is_empty() {
        let mut last = [0.0; NUMBERS];
        last[..rest.len()].copy_from_slice(rest);
        place.put(tile, chunks.len() * LANES, &stored(&last));
    }
}

#[inline(always)]
fn put_f32<const FUSED: bool>(row: &[f32], tile: &mut [u32], place: Place) {
    put_row::<LANES>(row, tile, place, |chunk| chunk.map(f32::to_bits));
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
fn put_bf16<const FUSED: bool>(row: &[f32], tile: &mut [u32], place: Place) {
    put_row::<{ 2 * LANES }>(row, tile, place, |chunk| {
        let mut bits = [0_u16; 2 * LANES];
        bits.iter_mut().zip(chunk).for_each(|(bits, x)| *bits = to_bf16(*x) as u16);
        let mut steps = [0; LANES];
        let pairs = bits.as_chunks::<2>().0;
        steps.iter_mut().zip(pairs).for_each(|(step, two)| *step = u32::from(two[0]) | u32::from(two[1]) << 16);
        steps
    });
}

#[inline(always)]
fn put_int8<const FUSED: bool>(row: &[f32], tile: &mut [u32], place: Place) -> RowScale {
    /// Added to a number below 2^22, it leaves the rounded number in the low bits.
    const ROUNDER: f32 = 12_582_912.0;
    let (least, most) = range(row);
    let width = most - least;
    let (scale, inverse) = if width > 0.0 { (width / 255.0, 255.0 / width) } else { (width, 0.0) };
    let zero = (-least * inverse).round_ties_even();
    let quantize = |x: f32| ((x * inverse + zero).clamp(0.0, 255.0) + ROUNDER).to_bits() as u8;
    put_row::<{ 4 * LANES }>(row, tile, place, |chunk| {
        let mut stored = [0_u8; 4 * LANES];
        stored.iter_mut().zip(chunk).for_each(|(stored, x)| *stored = quantize(*x));
        let mut steps = [0; LANES];
        steps.iter_mut().zip(stored.as_chunks::<4>().0).for_each(|(step, four)| *step = u32::from_le_bytes(*four));
        steps
    });
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
                        let place = (step / layout.group * in_tile + row - first) * layout.group + step % layout.group;
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
