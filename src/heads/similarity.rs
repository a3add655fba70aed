//! How alike vectors are, and how they are stored small.

use half::{bf16, f16};

use super::Item;
use crate::kernels::selection::best;

/// How two vectors are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Similarity {
    /// The cosine of the angle between them; 0 where one of them is zero.
    #[default]
    Cosine,
    /// The dot product.
    Dot,
}

/// The type in which vectors are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorType {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit floats with the exponents of 32-bit ones.
    Bf16,
    /// `round(127 x / max |x|)`: a vector is its integers times `max |x| / 127`.
    I8,
}

impl VectorType {
    /// Bytes of a number.
    #[must_use]
    pub const fn n_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::I8 => 1,
        }
    }

    /// The bytes of `vector`, appended to `out`, and by what its numbers are to be multiplied.
    pub fn store(self, vector: &[f32], out: &mut Vec<u8>) -> f32 {
        match self {
            Self::F32 => out.extend(vector.iter().flat_map(|x| x.to_ne_bytes())),
            Self::F16 => out.extend(vector.iter().flat_map(|x| f16::from_f32(*x).to_ne_bytes())),
            Self::Bf16 => out.extend(vector.iter().flat_map(|x| bf16::from_f32(*x).to_ne_bytes())),
            Self::I8 => {
                let most = vector.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                let scale = if most > 0.0 { most / 127.0 } else { 1.0 };
                let quantized = |x: &f32| (x / scale).round().clamp(-127.0, 127.0) as i8;
                out.extend(vector.iter().map(|x| quantized(x).to_ne_bytes()[0]));
                return scale;
            }
        }
        1.0
    }
}

impl Similarity {
    /// How alike `a` and `b` are, summed in f64.
    #[must_use]
    pub fn of(self, a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        match self {
            Self::Dot => dot(a, b) as f32,
            Self::Cosine => {
                let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
                // A vector that holds no numbers is like none.
                if lengths == 0.0 { 0.0 } else { (dot(a, b) / lengths) as f32 }
            }
        }
    }
}

/// Candidates by score, best first: their indices and scores.
pub(crate) fn ranking(scores: &[f32], top_k: usize) -> Vec<Item> {
    let item = |(id, score)| Item { id: id as i64, score, ..Item::default() };
    best(scores.iter().copied().enumerate(), top_k).into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cosine_and_dot_of_two_vectors() {
        assert_eq!(Similarity::Dot.of(&[1.0, 2.0], &[3.0, -4.0]), -5.0);
        assert!((Similarity::Cosine.of(&[3.0, 0.0], &[5.0, 5.0]) - 0.5_f32.sqrt()).abs() < 1e-7);
        assert_eq!(Similarity::Cosine.of(&[0.0], &[1.0]), 0.0);
        assert!(Similarity::Cosine.of(&[f32::NAN], &[1.0]).is_nan());
    }

    proptest! {
        #[test]
        fn what_is_stored_small_is_near_to_what_it_was(vector in proptest::collection::vec(-5.0_f32..5.0, 1..50)) {
            let most = vector.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let mut bytes = Vec::new();
            let scale = VectorType::I8.store(&vector, &mut bytes);
            for (x, byte) in vector.iter().zip(&bytes) {
                let back = f32::from(i8::from_ne_bytes([*byte])) * scale;
                prop_assert!((back - x).abs() <= most / 127.0 * 0.5001 + 1e-7);
            }
            bytes.clear();
            prop_assert_eq!(VectorType::F16.store(&vector, &mut bytes), 1.0);
            prop_assert_eq!(bytes.len(), vector.len() * VectorType::F16.n_bytes());
            for (x, pair) in vector.iter().zip(bytes.chunks_exact(2)) {
                prop_assert!((f16::from_ne_bytes([pair[0], pair[1]]).to_f32() - x).abs() <= x.abs() / 1024.0 + 1e-4);
            }
        }
    }
}
