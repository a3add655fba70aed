//! `e^x` for numbers that are not above 0, and what the heads make of it: the logarithm of a sum.
//!
//! The polynomial is that of Cephes' `expf` (Stephen Moshier, `exp.c`): relative error below 2e-7. It has no branches, so that
//! compilers make vector instructions of loops over it, and is computed in the same order everywhere.

/// `a * b + c`, in one rounding where the processor does that.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x` for `x <= 0`; 0 below -87, where the result would lose bits.
#[inline(always)]
pub(super) fn exp<const FUSED: bool>(x: f32) -> f32 {
    const ROUNDER: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let is_tiny = x < -87.0;
    let x = if is_tiny { -87.0 } else { x };
    // The sum's low bits are the rounded quotient.
    let shifted = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUNDER);
    let whole = shifted - ROUNDER;
    let rest = multiply_add::<FUSED>(whole, -LN2_HIGH, x);
    let rest = multiply_add::<FUSED>(whole, -LN2_LOW, rest);
    let mut sum = 1.987_569_2e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        sum = multiply_add::<FUSED>(sum, rest, coefficient);
    }
    let fraction = multiply_add::<FUSED>(sum, rest * rest, rest) + 1.0;
    let scaled = f32::from_bits(fraction.to_bits().wrapping_add(shifted.to_bits() << 23));
    if is_tiny { 0.0 } else { scaled }
}

/// The largest of numbers, which are not NaN; -infinity of none.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (most, value) in most.iter_mut().zip(chunk) {
            *most = if *value > *most { *value } else { *most };
        }
    }
    most.iter().chain(rest).fold(f32::NEG_INFINITY, |most, value| if *value > most { *value } else { most })
}

/// The logarithm of the sum of `e^x` over all numbers, none of which is NaN or +infinity; -infinity where all are -infinity.
pub(crate) fn log_sum_exp(values: &[f32]) -> f64 {
    let most = largest(values);
    if most == f32::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let mut total = 0.0_f64;
    // Lanes are emptied before they grow so large that small numbers are lost.
    for block in values.chunks(LANES * 64) {
        let (chunks, rest) = block.as_chunks::<LANES>();
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += exp::<false>(*value - most);
            }
        }
        total += rest.iter().map(|value| f64::from(exp::<false>(*value - most))).sum::<f64>();
        total += sums.iter().map(|sum| f64::from(*sum)).sum::<f64>();
        sums = [0.0; LANES];
    }
    f64::from(most) + total.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_exponential_is_right_to_the_last_bits() {
        for step in 0..87_000 {
            let x = -(step as f32) * 1e-3;
            for value in [exp::<false>(x), exp::<true>(x)] {
                let wanted = f64::from(x).exp();
                let error = (f64::from(value) - wanted).abs() / wanted;
                assert!(error < 2e-7, "exp({x}) = {value}, not {wanted}");
            }
        }
        assert_eq!((exp::<false>(0.0), exp::<true>(0.0)), (1.0, 1.0));
        assert_eq!((exp::<false>(-1e9), exp::<false>(f32::NEG_INFINITY)), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn sums_are_those_of_double_precision(values in proptest::collection::vec(-60.0_f32..60.0, 1..3000)) {
            let most = values.iter().copied().fold(f32::MIN, f32::max);
            let wanted: f64 = values.iter().map(|x| (f64::from(*x) - f64::from(most)).exp()).sum::<f64>().ln() + f64::from(most);
            prop_assert!((log_sum_exp(&values) - wanted).abs() < 1e-6 * (1.0 + wanted.abs()));
        }
    }

    #[test]
    fn forbidden_numbers_add_nothing() {
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY; 3]), f64::NEG_INFINITY);
        assert!((log_sum_exp(&[f32::NEG_INFINITY, 2.0]) - 2.0).abs() < 1e-9);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    }
}
