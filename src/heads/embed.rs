//! Token vectors of one text -> one vector.

use crate::error::{Error, Result};

/// How one vector is made of a text's token vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// The model's own pooler where it has one, else the first token.
    #[default]
    Default,
    /// The model's own pooler: `tanh(W h + b)` of the first token.
    Pooler,
    /// The vector of the first token, `[CLS]`.
    Cls,
    /// The mean over all tokens, `[CLS]` and `[SEP]` included.
    Mean,
    /// The largest value of every dimension over all tokens.
    Max,
}

/// What is done to the length of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Normalize {
    /// Nothing.
    #[default]
    None,
    /// Divided by their Euclidean length; a zero vector stays zero.
    L2,
}

/// Pools `tokens`, row-major `[n_tokens, hidden_size]` without padding; `pooler` is the model's own vector.
///
/// # Errors
/// - [`Error::Unsupported`]: the graph lacks the output that this pooling needs.
pub(crate) fn pool(pooling: Pooling, tokens: Option<(&[f32], usize)>, pooler: Option<&[f32]>) -> Result<Vec<f32>> {
    let need_tokens = || {
        tokens.filter(|(data, width)| *width > 0 && !data.is_empty()).ok_or_else(|| {
            Error::Unsupported("this model's graph gives no token vectors, which this pooling needs".into())
        })
    };
    Ok(match (pooling, pooler) {
        (Pooling::Default | Pooling::Pooler, Some(vector)) => vector.to_vec(),
        (Pooling::Pooler, None) => {
            return Err(Error::Unsupported("this model's graph gives no pooler output".into()));
        }
        (Pooling::Default | Pooling::Cls, _) => need_tokens().map(|(data, width)| data[..width].to_vec())?,
        (Pooling::Mean, _) => need_tokens().map(|(data, width)| mean(data, width))?,
        (Pooling::Max, _) => need_tokens().map(|(data, width)| max(data, width))?,
    })
}

/// The mean of vectors of one width.
pub(crate) fn average<'a>(vectors: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let (data, n_vectors) = vectors.fold((Vec::new(), 0_usize), |(mut data, n), vector| {
        data.extend_from_slice(vector);
        (data, n + 1)
    });
    let width = data.len() / n_vectors.max(1);
    if width == 0 { Vec::new() } else { mean(&data, width) }
}

/// The vector with the length asked for.
pub(crate) fn normalized(mut vector: Vec<f32>, normalize: Normalize) -> Vec<f32> {
    if normalize == Normalize::L2 {
        normalize_l2(&mut vector);
    }
    vector
}

fn mean(data: &[f32], width: usize) -> Vec<f32> {
    // Sums in f64: the order of the tokens then has no visible influence.
    let mut sums = vec![0.0_f64; width];
    for row in data.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let n_rows = (data.len() / width) as f64;
    sums.into_iter().map(|sum| (sum / n_rows) as f32).collect()
}

fn max(data: &[f32], width: usize) -> Vec<f32> {
    let mut largest = vec![f32::NEG_INFINITY; width];
    for row in data.chunks_exact(width) {
        largest.iter_mut().zip(row).for_each(|(most, x)| *most = most.max(*x));
    }
    largest
}

fn normalize_l2(vector: &mut [f32]) {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: &[f32] = &[1.0, -2.0, 3.0, 4.0];

    #[test]
    fn poolings_of_two_tokens() {
        let pooled = |pooling| pool(pooling, Some((TOKENS, 2)), Some(&[9.0, 9.0])).unwrap();
        assert_eq!(pooled(Pooling::Cls), [1.0, -2.0]);
        assert_eq!(pooled(Pooling::Mean), [2.0, 1.0]);
        assert_eq!(pooled(Pooling::Max), [3.0, 4.0]);
        assert_eq!(pooled(Pooling::Default), [9.0, 9.0]);
        assert_eq!(pool(Pooling::Default, Some((TOKENS, 2)), None).unwrap().len(), 2);
        assert_eq!(average([[1.0_f32, 2.0].as_slice(), &[3.0, 6.0]].into_iter()), [2.0, 4.0]);
    }

    #[test]
    fn a_missing_output_is_refused() {
        assert!(pool(Pooling::Pooler, Some((TOKENS, 2)), None).is_err());
        assert!(pool(Pooling::Mean, None, Some(&[1.0])).is_err());
    }

    #[test]
    fn normalised_vectors_have_length_one_and_zero_stays_zero() {
        assert_eq!(normalized(vec![3.0, 4.0], Normalize::L2), [0.6, 0.8]);
        assert_eq!(normalized(vec![3.0, 4.0], Normalize::None), [3.0, 4.0]);
        assert_eq!(normalized(vec![0.0, 0.0], Normalize::L2), [0.0, 0.0]);
    }
}
