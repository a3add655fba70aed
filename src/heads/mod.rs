//! What a graph gave for a text -> what the caller asked for.
//!
//! In: plain slices of one text. Out: vectors ([`embed`]), labelled scores ([`classify`]), labels of words and entities
//! ([`tag`]), answers ([`answer`]), words behind `[MASK]` ([`fill_mask`]), spans that a prompt names ([`extract`], by a
//! [`schema`]), and how alike vectors are ([`similarity`]).

pub(crate) mod answer;
pub(crate) mod classify;
pub(crate) mod embed;
pub(crate) mod extract;
pub(crate) mod fill_mask;
pub(crate) mod schema;
pub(crate) mod similarity;
pub(crate) mod tag;

/// One finding: a label, an entity, an answer, a word.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The label's id, or the token's, or the candidate's index, or the number of the schema's node.
    pub id: i64,
    /// Probability, or the raw value of a regression.
    pub score: f32,
    /// What kind of finding it is: a label's name, an entity's type, a node of the schema; empty where there is none.
    pub label: String,
    /// What was found: the characters of the text, the token, the candidate; of a classification the label's name.
    pub text: String,
    /// First byte in the caller's text.
    pub begin: usize,
    /// One past the last byte in the caller's text.
    pub end: usize,
    /// Which text `begin` and `end` count in: 0 the text, 1 the pair.
    pub sequence: u32,
    /// Which of several things that were asked it answers: the number of the `[MASK]`.
    pub group: u32,
    /// The item of the same list that this one belongs to.
    pub parent: Option<usize>,
    /// What the model says of the first token: a logit of reading comprehension, a probability of extraction.
    pub begin_score: f32,
    /// The same of the last token.
    pub end_score: f32,
}

/// `exp(x_i - max) / sum`, summed in f64.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(*x - most).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| (e / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn softmax_sums_to_one_and_keeps_the_order(logits in proptest::collection::vec(-50.0_f32..50.0, 1..20)) {
            let scores = softmax(&logits);
            prop_assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            for i in 0..logits.len() {
                for j in 0..logits.len() {
                    prop_assert!(logits[i] <= logits[j] || scores[i] >= scores[j]);
                }
                let log_probability = f64::from(logits[i]) - crate::kernels::exponential::log_sum_exp(&logits);
                prop_assert!((log_probability.exp() - f64::from(scores[i])).abs() < 1e-6);
            }
        }
    }
}
