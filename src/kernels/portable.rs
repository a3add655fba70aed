//! Sums of tiles with what every processor has.

use super::PORTABLE_FUSES;
use super::exponential::multiply_add;
use super::matrix::{Format, PANEL_WIDTH};
use super::product::{Sums, TileWork};

/// Sums of a tile's rows.
///
/// # Safety
/// - `work.rows` begins `n_steps` steps of `n_rows` rows, from 1 to 4, `work.panel` as many of 32.
pub(super) unsafe fn multiply(format: Format, work: TileWork, n_rows: usize, sums: &mut Sums) {
    // SAFETY: the caller's obligation.
    unsafe {
        match n_rows {
            1 => tile::<1>(format, work, sums),
            2 => tile::<2>(format, work, sums),
            3 => tile::<3>(format, work, sums),
            _ => tile::<4>(format, work, sums),
        }
    }
}

/// # Safety
/// - As [`multiply`], with `ROWS` rows.
unsafe fn tile<const ROWS: usize>(format: Format, work: TileWork, sums: &mut Sums) {
    // SAFETY: the caller's obligation.
    let steps = (0..work.n_steps).map(|step| unsafe {
        let weights = &*work.panel.add(step * PANEL_WIDTH * 4).cast::<[[u8; 4]; PANEL_WIDTH]>();
        (weights, &*work.rows.add(step * ROWS).cast::<[u32; ROWS]>())
    });
    match format {
        Format::F32 => {
            let mut totals = [[0.0_f32; PANEL_WIDTH]; ROWS];
            for (weights, rows) in steps {
                for (totals, row) in totals.iter_mut().zip(rows) {
                    let x = f32::from_bits(*row);
                    for (total, weight) in totals.iter_mut().zip(weights) {
                        *total = multiply_add::<PORTABLE_FUSES>(x, f32::from_le_bytes(*weight), *total);
                    }
                }
            }
            sums.0[..ROWS].copy_from_slice(&totals);
        }
        Format::Bf16 => {
            let mut totals = [[0.0_f32; PANEL_WIDTH]; ROWS];
            for (weights, rows) in steps {
                for (totals, row) in totals.iter_mut().zip(rows) {
                    let (even, odd) = (f32::from_bits(row << 16), f32::from_bits(row & 0xffff_0000));
                    for (total, weight) in totals.iter_mut().zip(weights) {
                        let weight = u32::from_le_bytes(*weight);
                        let first = multiply_add::<PORTABLE_FUSES>(even, f32::from_bits(weight << 16), *total);
                        *total = multiply_add::<PORTABLE_FUSES>(odd, f32::from_bits(weight & 0xffff_0000), first);
                    }
                }
            }
            sums.0[..ROWS].copy_from_slice(&totals);
        }
        Format::Int8 => {
            let mut totals = [[0_i32; PANEL_WIDTH]; ROWS];
            for (weights, rows) in steps {
                for (totals, row) in totals.iter_mut().zip(rows) {
                    let row = row.to_le_bytes().map(i32::from);
                    for (total, weight) in totals.iter_mut().zip(weights) {
                        let terms = row.iter().zip(weight).map(|(x, weight)| x * i32::from(weight.cast_signed()));
                        *total += terms.sum::<i32>();
                    }
                }
            }
            let bits = totals.map(|totals| totals.map(|total| f32::from_bits(total.cast_unsigned())));
            sums.0[..ROWS].copy_from_slice(&bits);
        }
    }
}
