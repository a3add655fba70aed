//! Logits over the vocabulary -> the likeliest words.

use crate::kernels::exponential::log_sum_exp;
use crate::kernels::selection::best;

/// A word with its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) id: usize,
    pub(crate) log_probability: f32,
}

/// The likeliest words among those that `counts`; probabilities are of the whole vocabulary.
pub(crate) fn top(logits: &[f32], top_k: usize, counts: impl Fn(usize) -> bool) -> Vec<Word> {
    let sum = log_sum_exp(logits);
    let words = logits.iter().copied().enumerate().filter(|(id, _)| counts(*id));
    let word = |(id, logit): (usize, f32)| Word { id, log_probability: (f64::from(logit) - sum) as f32 };
    best(words, top_k).into_iter().map(word).collect()
}

/// A place of a word: its logits, and what their probabilities are measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    logits: &'a [f32],
    log_sum: f64,
}

impl<'a> Place<'a> {
    pub(crate) fn new(logits: &'a [f32]) -> Self {
        Self { logits, log_sum: log_sum_exp(logits) }
    }
}

/// Mean and sum of the log probabilities of a candidate's tokens, each in a place of its own.
pub(crate) fn candidate(places: &[Place<'_>], ids: &[usize]) -> Option<(f32, f32)> {
    let mut sum = 0.0;
    for (place, id) in places.iter().zip(ids) {
        sum += f64::from(*place.logits.get(*id)?) - place.log_sum;
    }
    Some(((sum / ids.len().max(1) as f64) as f32, sum as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_chosen_among_those_that_count_with_their_share_of_all() {
        let logits = [0.0, 3.0_f32.ln(), 0.0, 1.0_f32.ln()];
        let words = top(&logits, 2, |id| id != 1);
        assert_eq!(words.iter().map(|word| word.id).collect::<Vec<_>>(), [0, 2]);
        assert!((words[0].log_probability.exp() - 1.0 / 6.0).abs() < 1e-6);
    }

    #[test]
    fn a_candidate_of_several_tokens_has_the_mean_of_their_log_probabilities() {
        let rows: [&[f32]; 2] = [&[0.0, 0.0], &[0.0, 3.0_f32.ln()]];
        let places = rows.map(Place::new);
        let (mean, sum) = candidate(&places, &[0, 1]).unwrap();
        assert!((sum - (0.5_f32 * 0.75).ln()).abs() < 1e-6 && (mean - sum / 2.0).abs() < 1e-6);
        assert_eq!(candidate(&places, &[0, 7]), None);
    }
}
