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

/// Log of the sum of exponentials, in f64.
pub(crate) fn log_sum_exp(logits: &[f32]) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(*x - most).exp()).sum();
    f64::from(most) + sum.ln()
}

/// `exp(x_i - max) / sum`, summed in f64.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(*x - most).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| (e / sum) as f32).collect()
}

/// The `n` largest, best first, ties by index; what is no number comes last.
pub(crate) fn best(scores: impl Iterator<Item = (usize, f32)>, n: usize) -> Vec<(usize, f32)> {
    let mut all: Vec<(usize, f32)> = scores.collect();
    let order = |a: &(usize, f32), b: &(usize, f32)| {
        a.1.is_nan().cmp(&b.1.is_nan()).then(b.1.total_cmp(&a.1)).then(a.0.cmp(&b.0))
    };
    if n == 0 {
        return Vec::new();
    }
    if n < all.len() {
        all.select_nth_unstable_by(n - 1, order);
        all.truncate(n);
    }
    all.sort_unstable_by(order);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_comes_last() {
        let scores = [f32::NAN, 1.0, -f32::NAN, f32::NEG_INFINITY];
        let order: Vec<usize> = best(scores.into_iter().enumerate(), 4).into_iter().map(|(index, _)| index).collect();
        assert_eq!(order[..2], [1, 3]);
    }

    proptest! {
        #[test]
        fn softmax_sums_to_one_and_keeps_the_order(logits in proptest::collection::vec(-50.0_f32..50.0, 1..20)) {
            let scores = softmax(&logits);
            prop_assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            for i in 0..logits.len() {
                for j in 0..logits.len() {
                    prop_assert!(logits[i] <= logits[j] || scores[i] >= scores[j]);
                }
                let log_probability = f64::from(logits[i]) - log_sum_exp(&logits);
                prop_assert!((log_probability.exp() - f64::from(scores[i])).abs() < 1e-6);
            }
        }

        #[test]
        fn the_best_are_the_first_of_all_in_order(scores in proptest::collection::vec(-3_i8..3, 0..40), n in 0_usize..50) {
            let all = || scores.iter().map(|s| f32::from(*s)).enumerate();
            let mut sorted: Vec<(usize, f32)> = all().collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            sorted.truncate(n);
            prop_assert_eq!(best(all(), n), sorted);
        }
    }
}
