//! What is done to numbers one by one, and to rows as a whole, between products.
//!
//! All of it is plain loops without branches, of which compilers make vector instructions, in the same order everywhere.

use super::exponential::{exp, multiply_add};
use crate::architecture::Activation;

/// Numbers that are summed side by side.
const LANES: usize = 16;

/// `x / 2 * (1 + erf(x / sqrt 2))`.
///
/// `erfc(t) = e^(-t p(t))` for `t >= 0`, with a polynomial `p` that was fitted by weighted least squares on `[0, 4]`; the result is
/// right to 3e-7.
#[inline(always)]
fn gelu<const FUSED: bool>(x: f32) -> f32 {
    const P: [f32; 7] =
        [-3.213_033_5e-4, 1.073_888e-3, 4.669_704_4e-4, -1.952_014_3e-2, 1.028_887_5e-1, 6.366_048_5e-1, 1.128_379_7];
    let t = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let mut p = 3.293_344e-5;
    for coefficient in P {
        p = multiply_add::<FUSED>(p, t, coefficient);
    }
    // Beyond, the polynomial says nothing, and the function is 0 or x.
    let tail = if t > 3.96 { 0.0 } else { exp::<FUSED>(-(t * p)) };
    let half = 0.5 * x * tail;
    if x > 0.0 { x - half } else { half }
}

/// The same, right to 6e-5: enough where the result is rounded to 16 or 8 bits.
///
/// The error function is a polynomial that was fitted on `[-4.2, 4.2]` by weighted least squares, and is 1 or -1 at the ends.
#[inline(always)]
fn rounded_gelu<const FUSED: bool>(x: f32) -> f32 {
    const END: f32 = 4.2;
    const P: [f32; 8] = [
        -9.994_178e-9,
        4.268_856e-7,
        -1.078_385_1e-5,
        1.816_355_2e-4,
        -2.183_934_1e-3,
        1.951_638_6e-2,
        -1.324_974_8e-1,
        7.976_985_7e-1,
    ];
    let t = if x > END { END } else { x };
    let t = if t < -END { -END } else { t };
    let square = t * t;
    let mut p = 1.039_140_4e-10;
    for coefficient in P {
        p = multiply_add::<FUSED>(p, square, coefficient);
    }
    let half = 0.5 * x;
    multiply_add::<FUSED>(half, t * p, half)
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, which is `x / (1 + e^(-2 u))`.
#[inline(always)]
fn gelu_tanh<const FUSED: bool>(x: f32) -> f32 {
    const ROOT: f32 = 0.797_884_6;
    let u = 2.0 * ROOT * multiply_add::<FUSED>(0.044_715 * x * x, x, x);
    let tail = exp::<FUSED>(-u.abs());
    let share = 1.0 / (1.0 + tail);
    if u > 0.0 { x * share } else { x * (tail * share) }
}

/// Applies a function to each number; with `is_rounded` as exactly as is left of it in 16 bits.
#[inline(always)]
pub(super) fn activate<const FUSED: bool>(activation: Activation, is_rounded: bool, values: &mut [f32]) {
    match activation {
        Activation::Relu => {
            for x in values {
                *x = if *x > 0.0 || x.is_nan() { *x } else { 0.0 };
            }
        }
        Activation::Gelu if is_rounded => {
            for x in values {
                *x = rounded_gelu::<FUSED>(*x);
            }
        }
        Activation::Gelu => {
            for x in values {
                *x = gelu::<FUSED>(*x);
            }
        }
        Activation::GeluTanh => {
            for x in values {
                *x = gelu_tanh::<FUSED>(*x);
            }
        }
    }
}

/// Adds up sixteen numbers, always in the same order.
#[inline(always)]
pub(super) fn total(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The sum of `f` over a row.
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += f(*x));
    }
    rest.iter().fold(total(sums), |sum, x| sum + f(*x))
}

/// `scale * (x - mean) / sqrt(variance + epsilon) + shift` of a row.
#[inline(always)]
pub(super) fn normalize<const FUSED: bool>(row: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) {
    let n = row.len() as f32;
    let mean = sum(row, |x| x) / n;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / n;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    for (x, (scale, shift)) in row.iter_mut().zip(scale.iter().zip(shift)) {
        *x = multiply_add::<FUSED>((*x - mean) * inverse, *scale, *shift);
    }
}

/// Replaces scores by what their probabilities are proportional to, at most 1; gives by what it is to be multiplied.
#[inline(always)]
pub(super) fn exponentials<const FUSED: bool>(scores: &mut [f32]) -> f32 {
    let most = super::exponential::largest(scores);
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp::<FUSED>(chunk[lane] - most);
            sums[lane] += chunk[lane];
        }
    }
    let mut all = total(sums);
    for score in rest {
        *score = exp::<FUSED>(*score - most);
        all += *score;
    }
    1.0 / all
}

/// Replaces scores by their probabilities.
#[inline(always)]
pub(super) fn softmax<const FUSED: bool>(scores: &mut [f32]) {
    let scale = exponentials::<FUSED>(scores);
    for score in scores {
        *score *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `erf` by its series and, far out, as 1, to 2e-9.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        if x.abs() > 4.3 {
            return x.signum();
        }
        while term.abs() > 1e-17 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn activations_are_those_of_their_definitions() {
        let (mut worst, mut worst_rounded, mut worst_tanh) = (0.0_f64, 0.0_f64, 0.0_f64);
        for step in -80_000..80_000 {
            let x = step as f32 * 1e-4;
            let wide = f64::from(x);
            let wanted = 0.5 * wide * (1.0 + erf(wide * std::f64::consts::FRAC_1_SQRT_2));
            let u = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044_715 * wide.powi(3));
            let wanted_tanh = 0.5 * wide * (1.0 + u.tanh());
            for (gelu, tanh) in [(gelu::<false>(x), gelu_tanh::<false>(x)), (gelu::<true>(x), gelu_tanh::<true>(x))] {
                worst = worst.max((f64::from(gelu) - wanted).abs());
                for rounded in [rounded_gelu::<false>(x), rounded_gelu::<true>(x)] {
                    worst_rounded = worst_rounded.max((f64::from(rounded) - wanted).abs());
                }
                worst_tanh = worst_tanh.max((f64::from(tanh) - wanted_tanh).abs());
            }
        }
        assert!(worst < 6e-7 && worst_rounded < 6e-5 && worst_tanh < 1e-6, "{worst} {worst_rounded} {worst_tanh}");
        assert!(rounded_gelu::<true>(f32::NAN).is_nan() && rounded_gelu::<true>(1e6) > 0.999_99e6);
        assert!(rounded_gelu::<true>(-1e3).abs() < 5e-3);
        for activation in [Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
            let mut values = [1e6, -1e6, 1e30, f32::NAN, 0.0, -1e30];
            activate::<true>(activation, false, &mut values);
            assert_eq!((values[0], values[1], values[2], values[4]), (1e6, 0.0, 1e30, 0.0), "{activation:?}");
            assert!(values[3].is_nan() && values[5] == 0.0, "{activation:?} {values:?}");
        }
    }

    proptest! {
        #[test]
        fn rows_are_normalized_and_weighted_as_defined(row in proptest::collection::vec(-9.0_f32..9.0, 1..80)) {
            let n = row.len() as f64;
            let wide: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
            let mean = wide.iter().sum::<f64>() / n;
            let deviation = (wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + 1e-5).sqrt();
            let (scale, shift): (Vec<f32>, Vec<f32>) = (0..row.len()).map(|i| (1.0 + i as f32, i as f32)).unzip();
            let mut normed = row.clone();
            normalize::<true>(&mut normed, &scale, &shift, 1e-5);
            for (i, x) in normed.iter().enumerate() {
                let wanted = (wide[i] - mean) / deviation * (1.0 + i as f64) + i as f64;
                prop_assert!((f64::from(*x) - wanted).abs() < 2e-4 * (1.0 + wanted.abs()), "{x}, not {wanted}");
            }
            let all: f64 = wide.iter().map(|x| x.exp()).sum();
            let mut weights = row.clone();
            softmax::<true>(&mut weights);
            for (weight, x) in weights.iter().zip(&wide) {
                prop_assert!((f64::from(*weight) - x.exp() / all).abs() < 1e-6);
            }
        }
    }
}
