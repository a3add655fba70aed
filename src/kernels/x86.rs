//! Rows of a panel with the vector instructions of x86-64.

use std::arch::x86_64::{
    _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::linear::{MOST_ROWS, Panel};
use super::panels::PANEL_WIDTH;

/// Sums of a tile's rows.
///
/// # Safety
/// - `panel.input` begins a tile of `n_rows` rows, from 1 to 12, `panel.weights` `n_inputs` rows of 32; the processor has AVX-512F.
pub(super) unsafe fn rows_avx512(panel: Panel, n_rows: usize, sums: &mut [[f32; PANEL_WIDTH]; MOST_ROWS]) {
    // SAFETY: the caller's obligation.
    unsafe {
        match n_rows {
            1 => tile_avx512::<1>(panel, sums),
            2 => tile_avx512::<2>(panel, sums),
            3 => tile_avx512::<3>(panel, sums),
            4 => tile_avx512::<4>(panel, sums),
            5 => tile_avx512::<5>(panel, sums),
            6 => tile_avx512::<6>(panel, sums),
            7 => tile_avx512::<7>(panel, sums),
            8 => tile_avx512::<8>(panel, sums),
            9 => tile_avx512::<9>(panel, sums),
            10 => tile_avx512::<10>(panel, sums),
            11 => tile_avx512::<11>(panel, sums),
            _ => tile_avx512::<12>(panel, sums),
        }
    }
}

/// # Safety
/// - As [`rows_avx512`], with `ROWS` rows.
#[target_feature(enable = "avx512f")]
unsafe fn tile_avx512<const ROWS: usize>(panel: Panel, sums: &mut [[f32; PANEL_WIDTH]; MOST_ROWS]) {
    let mut totals = [[_mm512_setzero_ps(); 2]; ROWS];
    for i in 0..panel.n_inputs {
        // SAFETY: row `i` of the panel has 32 weights.
        let weights = unsafe {
            let row = panel.weights.add(i * PANEL_WIDTH);
            [_mm512_loadu_ps(row), _mm512_loadu_ps(row.add(16))]
        };
        for (row, total) in totals.iter_mut().enumerate() {
            // SAFETY: row `i` of the tile has `ROWS` numbers.
            let x = _mm512_set1_ps(unsafe { *panel.input.add(i * ROWS + row) });
            total[0] = _mm512_fmadd_ps(x, weights[0], total[0]);
            total[1] = _mm512_fmadd_ps(x, weights[1], total[1]);
        }
    }
    for (sums, total) in sums.iter_mut().zip(&totals) {
        // SAFETY: an array of 32 floats.
        unsafe {
            _mm512_storeu_ps(sums.as_mut_ptr(), total[0]);
            _mm512_storeu_ps(sums.as_mut_ptr().add(16), total[1]);
        }
    }
}

/// Sums of a tile's rows.
///
/// # Safety
/// - As [`rows_avx512`], with 3 rows at most, of a processor that has AVX2 and FMA.
pub(super) unsafe fn rows_avx2(panel: Panel, n_rows: usize, sums: &mut [[f32; PANEL_WIDTH]; MOST_ROWS]) {
    // SAFETY: the caller's obligation.
    unsafe {
        match n_rows {
            1 => tile_avx2::<1>(panel, sums),
            2 => tile_avx2::<2>(panel, sums),
            _ => tile_avx2::<3>(panel, sums),
        }
    }
}

/// # Safety
/// - As [`rows_avx2`], with `ROWS` rows.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_avx2<const ROWS: usize>(panel: Panel, sums: &mut [[f32; PANEL_WIDTH]; MOST_ROWS]) {
    let mut totals = [[_mm256_setzero_ps(); 4]; ROWS];
    for i in 0..panel.n_inputs {
        for quarter in 0..4 {
            // SAFETY: row `i` of the panel has 32 weights.
            let weights = unsafe { _mm256_loadu_ps(panel.weights.add(i * PANEL_WIDTH + 8 * quarter)) };
            for (row, total) in totals.iter_mut().enumerate() {
                // SAFETY: row `i` of the tile has `ROWS` numbers.
                let x = _mm256_broadcast_ss(unsafe { &*panel.input.add(i * ROWS + row) });
                total[quarter] = _mm256_fmadd_ps(x, weights, total[quarter]);
            }
        }
    }
    for (sums, total) in sums.iter_mut().zip(&totals) {
        for (quarter, total) in total.iter().enumerate() {
            // SAFETY: an array of 32 floats.
            unsafe { _mm256_storeu_ps(sums.as_mut_ptr().add(8 * quarter), *total) };
        }
    }
}
