//! Logits of one text -> labels with scores.

use super::{Item, softmax};
use crate::kernels::selection::best;
use crate::options::Problem;

/// What the scores of a classifier with `n_labels` labels mean when nobody says: one label is a regression, as the
/// references train it.
pub(crate) fn default_problem(n_labels: usize) -> Problem {
    if n_labels == 1 { Problem::Regression } else { Problem::SingleLabel }
}

/// Scores of `logits`, best first (ties: lower id first); at most `top_k` items. `label` names an id.
pub(crate) fn items(logits: &[f32], problem: Problem, top_k: usize, label: impl Fn(usize) -> String) -> Vec<Item> {
    let scores = match problem {
        Problem::SingleLabel => softmax(logits),
        Problem::MultiLabel => logits.iter().map(|x| sigmoid(*x)).collect(),
        Problem::Regression => logits.to_vec(),
    };
    let best = best(scores.iter().copied().enumerate(), top_k);
    best.into_iter().map(|(id, score)| item(id, score, label(id))).collect()
}

fn item(id: usize, score: f32, label: String) -> Item {
    Item { id: id as i64, score, text: label.clone(), label, ..Item::default() }
}

/// How well a pair fits, of a head that scores pairs: the probability of label 1 of two, the value of one.
pub(crate) fn pair_score(logits: &[f32], problem: Problem) -> Option<f32> {
    match (logits, problem) {
        ([value], Problem::MultiLabel) => Some(sigmoid(*value)),
        ([value], _) => Some(*value),
        ([_, value], Problem::MultiLabel) => Some(sigmoid(*value)),
        ([_, _], _) => softmax(logits).get(1).copied(),
        _ => None,
    }
}

fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(x)).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: usize) -> String {
        format!("L{id}")
    }

    #[test]
    fn the_best_label_comes_first() {
        let items = items(&[0.0, 2.0_f32.ln(), 0.0], Problem::SingleLabel, 2, name);
        assert_eq!(items.iter().map(|i| i.id).collect::<Vec<_>>(), [1, 0]);
        assert!((items[0].score - 0.5).abs() < 1e-6 && items[0].text == "L1");
    }

    #[test]
    fn extreme_logits_give_finite_scores() {
        for problem in [Problem::SingleLabel, Problem::MultiLabel] {
            let items = items(&[-1e30, 1e30, 0.0], problem, 9, name);
            assert!(items.iter().all(|i| i.score.is_finite()), "{items:?}");
        }
    }

    #[test]
    fn a_regression_keeps_the_raw_value() {
        assert_eq!(items(&[3.25], default_problem(1), 9, name)[0].score, 3.25);
    }
}
