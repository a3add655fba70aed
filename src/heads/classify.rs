//! Logits of one text -> labels with scores.

use super::Item;
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
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    order.truncate(top_k);
    order.into_iter().map(|id| Item { id: id as i64, score: scores[id], text: label(id), begin: 0, end: 0 }).collect()
}

/// `exp(x_i - max) / sum`, summed in f64.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(*x - most).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| (e / sum) as f32).collect()
}

fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(x)).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn softmax_sums_to_one_and_keeps_the_order(logits in proptest::collection::vec(-50.0_f32..50.0, 1..20)) {
            let scores = softmax(&logits);
            prop_assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            for i in 0..logits.len() {
                for j in 0..logits.len() {
                    prop_assert!(logits[i] <= logits[j] || scores[i] >= scores[j]);
                }
            }
        }
    }
}
