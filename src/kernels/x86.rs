//! Sums of tiles with the vector instructions of x86-64.

use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512bh, __m512i, _MM_HINT_T1, _mm_prefetch, _mm256_add_epi32, _mm256_and_si256,
    _mm256_broadcast_ss, _mm256_castsi256_ps, _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_slli_epi16, _mm256_slli_epi32, _mm256_srai_epi16, _mm256_srli_epi16, _mm256_storeu_ps,
    _mm512_and_si512, _mm512_castsi512_ps, _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32,
    _mm512_storeu_ps,
};

use super::InstructionSet;
use super::matrix::{Format, PANEL_WIDTH};
use super::product::{Sums, TileWork};

/// Calls a function of a number of rows that is known when it is compiled.
macro_rules! by_rows {
    ($n_rows:expr, $function:ident($work:ident, $sums:ident), $($rows:literal)*) => {
        match $n_rows {
            $($rows => $function::<$rows>($work, $sums),)*
            _ => unreachable!("rows of a tile"),
        }
    };
}

/// Sums of a tile's rows.
///
/// # Safety
/// - `work.rows` begins `n_steps` steps of `n_rows` rows, from 1 to 12, `work.panel` as many of 32; the processor has `set`, one with
///   AVX-512.
pub(super) unsafe fn avx512(set: InstructionSet, format: Format, work: TileWork, n_rows: usize, sums: &mut Sums) {
    let (has_vnni, has_bf16) = match set {
        InstructionSet::Avx512Bf16 | InstructionSet::Amx => (true, true),
        InstructionSet::Avx512Vnni => (true, false),
        _ => (false, false),
    };
    // SAFETY: the caller's obligation.
    unsafe {
        match format {
            Format::F32 => by_rows!(n_rows, f32_avx512(work, sums), 1 2 3 4 5 6 7 8 9 10 11 12),
            Format::Bf16 if has_bf16 => by_rows!(n_rows, bf16_avx512(work, sums), 1 2 3 4 5 6 7 8 9 10 11 12),
            Format::Bf16 => by_rows!(n_rows, bf16_as_f32_avx512(work, sums), 1 2 3 4 5 6 7 8 9 10 11 12),
            Format::Int8 if has_vnni => by_rows!(n_rows, int8_avx512(work, sums), 1 2 3 4 5 6 7 8 9 10 11 12),
            // Every processor with AVX-512 has AVX2.
            Format::Int8 => by_rows!(n_rows, int8_avx2(work, sums), 1 2 3 4 5 6 7 8 9 10 11 12),
        }
    }
}

/// The same, of at most 3 rows and a processor with AVX2 and FMA.
///
/// # Safety
/// - As [`avx512`].
pub(super) unsafe fn avx2(set: InstructionSet, format: Format, work: TileWork, n_rows: usize, sums: &mut Sums) {
    // SAFETY: the caller's obligation.
    unsafe {
        match format {
            Format::F32 => by_rows!(n_rows, f32_avx2(work, sums), 1 2 3),
            Format::Bf16 => by_rows!(n_rows, bf16_avx2(work, sums), 1 2 3),
            Format::Int8 if set == InstructionSet::Avx2Vnni => by_rows!(n_rows, int8_avx2_vnni(work, sums), 1 2 3),
            Format::Int8 => by_rows!(n_rows, int8_avx2(work, sums), 1 2 3),
        }
    }
}

/// The unit of a row in a step.
///
/// # Safety
/// - There is such a step and row.
#[inline(always)]
unsafe fn unit<const ROWS: usize>(work: TileWork, step: usize, row: usize) -> i32 {
    // SAFETY: the caller's obligation.
    unsafe { (*work.rows.add(step * ROWS + row)).cast_signed() }
}

/// Asks for a step of what is wanted next.
#[inline(always)]
fn ask_ahead(work: TileWork, step: usize) {
    if !work.ahead.is_null() {
        let lines = work.ahead.wrapping_add(step * PANEL_WIDTH * 4);
        // SAFETY: nothing is read.
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(lines.cast());
            _mm_prefetch::<_MM_HINT_T1>(lines.wrapping_add(64).cast());
        }
    }
}

/// Writes a row's sums.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_avx512(sums: &mut Sums, row: usize, halves: [__m512; 2]) {
    let to = sums.0[row].as_mut_ptr();
    // SAFETY: an array of 32 floats.
    unsafe {
        _mm512_storeu_ps(to, halves[0]);
        _mm512_storeu_ps(to.add(16), halves[1]);
    }
}

/// The halves of a step of the panel.
///
/// # Safety
/// - There is such a step.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn halves(work: TileWork, step: usize) -> [__m512i; 2] {
    // SAFETY: 128 bytes, by the caller's obligation.
    unsafe {
        let panel = work.panel.add(step * PANEL_WIDTH * 4).cast::<__m512i>();
        [_mm512_loadu_si512(panel), _mm512_loadu_si512(panel.add(1))]
    }
}

/// # Safety
/// - As [`avx512`], with `ROWS` rows.
#[target_feature(enable = "avx512f")]
unsafe fn f32_avx512<const ROWS: usize>(work: TileWork, sums: &mut Sums) {
    let mut totals = [[_mm512_setzero_ps(); 2]; ROWS];
    for step in 0..work.n_steps {
        ask_ahead(work, step);
        // SAFETY: 128 bytes of the panel.
        let weights = unsafe {
            let panel = work.panel.add(step * PANEL_WIDTH * 4).cast::<f32>();
            [_mm512_loadu_ps(panel), _mm512_loadu_ps(panel.add(16))]
        };
        for (row, total) in totals.iter_mut().enumerate() {
            // SAFETY: a row of the step.
            let x = _mm512_set1_ps(unsafe { *work.rows.cast::<f32>().add(step * ROWS + row) });
            total[0] = _mm512_fmadd_ps(x, weights[0], total[0]);
            total[1] = _mm512_fmadd_ps(x, weights[1], total[1]);
        }
    }
    for (row, total) in totals.into_iter().enumerate() {
        store_avx512(sums, row, total);
    }
}

/// Bytes as pairs of bf16.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn pairs(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes without a meaning of their own.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) }
}

/// # Safety
/// - As [`avx512`], with `ROWS` rows; the processor has the products of bf16.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn bf16_avx512<const ROWS: usize>(work: TileWork, sums: &mut Sums) {
    let mut totals = [[_mm512_setzero_ps(); 2]; ROWS];
    for step in 0..work.n_steps {
        ask_ahead(work, step);
        // SAFETY: a step of the panel.
        let [first, second] = unsafe { halves(work, step) };
        let weights = [pairs(first), pairs(second)];
        for (row, total) in totals.iter_mut().enumerate() {
            // SAFETY: a row of the step.
            let x = pairs(_mm512_set1_epi32(unsafe { unit::<ROWS>(work, step, row) }));
            total[0] = _mm512_dpbf16_ps(total[0], x, weights[0]);
            total[1] = _mm512_dpbf16_ps(total[1], x, weights[1]);
        }
    }
    for (row, total) in totals.into_iter().enumerate() {
        store_avx512(sums, row, total);
    }
}

/// # Safety
/// - As [`avx512`], with `ROWS` rows.
#[target_feature(enable = "avx512f")]
unsafe fn bf16_as_f32_avx512<const ROWS: usize>(work: TileWork, sums: &mut Sums) {
    let high = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
    let mut totals = [[_mm512_setzero_ps(); 2]; ROWS];
    for step in 0..work.n_steps {
        ask_ahead(work, step);
        // SAFETY: a step of the panel.
        let weights = unsafe { halves(work, step) };
        let even = [0, 1].map(|half| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(weights[half])));
        let odd = [0, 1].map(|half| _mm512_castsi512_ps(_mm512_and_si512(weights[half], high)));
        for (row, total) in totals.iter_mut().enumerate() {
            // SAFETY: a row of the step.
            let bits = unsafe { unit::<ROWS>(work, step, row) }.cast_unsigned();
            let first = _mm512_set1_ps(f32::from_bits(bits << 16));
            let second = _mm512_set1_ps(f32::from_bits(bits & 0xffff_0000));
            for half in 0..2 {
                total[half] = _mm512_fmadd_ps(first, even[half], total[half]);
                total[half] = _mm512_fmadd_ps(second, odd[half], total[half]);
            }
        }
    }
    for (row, total) in totals.into_iter().enumerate() {
        store_avx512(sums, row, total);
    }
}

/// # Safety
/// - As [`avx512`], with `ROWS` rows; the processor has the products of bytes.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn int8_avx512<const ROWS: usize>(work: TileWork, sums: &mut Sums) {
    let mut totals = [[_mm512_setzero_si512(); 2]; ROWS];
    for step in 0..work.n_steps {
        ask_ahead(work, step);
        // SAFETY: a step of the panel.
        let weights = unsafe { halves(work, step) };
        for (row, total) in totals.iter_mut().enumerate() {
            // SAFETY: a row of the step.
            let x = _mm512_set1_epi32(unsafe { unit::<ROWS>(work, step, row) });
            total[0] = _mm512_dpbusd_epi32(total[0], x, weights[0]);
            total[1] = _mm512_dpbusd_epi32(total[1], x, weights[1]);
        }
    }
    for (row, total) in totals.into_iter().enumerate() {
        store_avx512(sums, row, [_mm512_castsi512_ps(total[0]), _mm512_castsi512_ps(total[1])]);
    }
}

/// Writes a quarter of a row's sums.
#[inline]
#[target_feature(enable = "avx2")]
fn store_avx2(sums: &mut Sums, row: usize, number: usize, quarter: __m256) {
    if let Some(to) = sums.0[row].as_chunks_mut::<8>().0.get_mut(number) {
        // SAFETY: an array of 8 floats.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), quarter) };
    }
}

/// A quarter of a step of the panel.
///
/// # Safety
/// - There is such a step.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn quarter(work: TileWork, step: usize, number: usize) -> __m256i {
    // SAFETY: 32 bytes, by the caller's obligation.
    unsafe { _mm256_loadu_si256(work.panel.add(step * PANEL_WIDTH * 4 + 32 * number).cast()) }
}

/// # Safety
/// - As [`avx2`], with `ROWS` rows.
#[target_feature(enable = "avx2,fma")]
unsafe fn f32_avx2<const ROWS: usize>(work: TileWork, sums: &mut Sums) {
    let mut totals = [[_mm256_setzero_ps(); 4]; ROWS];
    for step in 0..work.n_steps {
        for number in 0..4 {
            // SAFETY: a step of the panel.
            let weights = unsafe { _mm256_loadu_ps(work.panel.cast::<f32>().add(step * PANEL_WIDTH + 8 * number)) };
            for (row, total) in totals.iter_mut().enumerate() {
                // SAFETY: a row of the step.
                let x = _mm256_broadcast_ss(unsafe { &*work.rows.cast::<f32>().add(step * ROWS + row) });
                total[number] = _mm256_fmadd_ps(x, weights, total[number]);
            }
        }
    }
    for (row, totals) in totals.into_iter().enumerate() {
        for (number, total) in totals.into_iter().enumerate() {
            store_avx2(sums, row, number, total);
        }
    }
}

/// # Safety
/// - As [`avx2`], with `ROWS` rows.
#[target_feature(enable = "avx2,fma")]
unsafe fn bf16_avx2<const ROWS: usize>(work: TileWork, sums: &mut Sums) {
    let high = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
    let mut totals = [[_mm256_setzero_ps(); 4]; ROWS];
    for step in 0..work.n_steps {
        for number in 0..4 {
            // SAFETY: a step of the panel.
            let weights = unsafe { quarter(work, step, number) };
            let even = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(weights));
            let odd = _mm256_castsi256_ps(_mm256_and_si256(weights, high));
            for (row, total) in totals.iter_mut().enumerate() {
                // SAFETY: a row of the step.
                let x = _mm256_set1_epi32(unsafe { unit::<ROWS>(work, step, row) });
                let first = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(x));
                total[number] = _mm256_fmadd_ps(first, even, total[number]);
                total[number] = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(x, high)), odd, total[number]);
            }
        }
    }
    for (row, totals) in totals.into_iter().enumerate() {
        for (number, total) in totals.into_iter().enumerate() {
            store_avx2(sums, row, number, total);
        }
    }
}

/// Products of bytes without an instruction for them: bytes become 16 bits, whose products are added in pairs. The instruction that
/// multiplies bytes as they are would saturate.
///
/// # Safety
/// - As [`avx2`], with `ROWS` rows.
#[target_feature(enable = "avx2")]
unsafe fn int8_avx2<const ROWS: usize>(work: TileWork, sums: &mut Sums) {
    let low = _mm256_set1_epi16(0x00ff);
    for number in 0..4 {
        let mut totals = [_mm256_setzero_si256(); ROWS];
        for step in 0..work.n_steps {
            // SAFETY: a step of the panel.
            let weights = unsafe { quarter(work, step, number) };
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
            let odd = _mm256_srai_epi16::<8>(weights);
            for (row, total) in totals.iter_mut().enumerate() {
                // SAFETY: a row of the step.
                let x = _mm256_set1_epi32(unsafe { unit::<ROWS>(work, step, row) });
                let first = _mm256_madd_epi16(_mm256_and_si256(x, low), even);
                let second = _mm256_madd_epi16(_mm256_srli_epi16::<8>(x), odd);
                *total = _mm256_add_epi32(*total, _mm256_add_epi32(first, second));
            }
        }
        for (row, total) in totals.into_iter().enumerate() {
            store_avx2(sums, row, number, _mm256_castsi256_ps(total));
        }
    }
}

/// # Safety
/// - As [`avx2`], with `ROWS` rows; the processor has the products of bytes.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn int8_avx2_vnni<const ROWS: usize>(work: TileWork, sums: &mut Sums) {
    let mut totals = [[_mm256_setzero_si256(); 4]; ROWS];
    for step in 0..work.n_steps {
        for number in 0..4 {
            // SAFETY: a step of the panel.
            let weights = unsafe { quarter(work, step, number) };
            for (row, total) in totals.iter_mut().enumerate() {
                // SAFETY: a row of the step.
                let x = _mm256_set1_epi32(unsafe { unit::<ROWS>(work, step, row) });
                total[number] = _mm256_dpbusd_avx_epi32(total[number], x, weights);
            }
        }
    }
    for (row, totals) in totals.into_iter().enumerate() {
        for (number, total) in totals.into_iter().enumerate() {
            store_avx2(sums, row, number, _mm256_castsi256_ps(total));
        }
    }
}
