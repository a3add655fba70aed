//! The few largest of many numbers.

use std::cmp::Ordering;

/// Up to this number is kept in order while numbers are looked at; more are found by partition.
pub(crate) const FEW: usize = 128;

fn order(a: &(usize, f32), b: &(usize, f32)) -> Ordering {
    a.1.is_nan().cmp(&b.1.is_nan()).then(b.1.total_cmp(&a.1)).then(a.0.cmp(&b.0))
}

/// The `n` largest, best first, ties by index; what is no number comes last.
pub(crate) fn best(scores: impl Iterator<Item = (usize, f32)>, n: usize) -> Vec<(usize, f32)> {
    if n == 0 {
        return Vec::new();
    }
    if n <= FEW {
        return few_best(scores, n);
    }
    let mut all: Vec<(usize, f32)> = scores.collect();
    if n < all.len() {
        all.select_nth_unstable_by(n - 1, order);
        all.truncate(n);
    }
    all.sort_unstable_by(order);
    all
}

fn few_best(scores: impl Iterator<Item = (usize, f32)>, n: usize) -> Vec<(usize, f32)> {
    let mut best: Vec<(usize, f32)> = Vec::with_capacity(n + 1);
    for score in scores {
        let is_beaten = best.len() == n && best.last().is_some_and(|last| order(last, &score) == Ordering::Less);
        if !is_beaten {
            best.insert(best.partition_point(|other| order(other, &score) == Ordering::Less), score);
            best.truncate(n);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_comes_last() {
        let scores = [f32::NAN, 1.0, -f32::NAN, f32::NEG_INFINITY];
        for n in [4, FEW + 1] {
            let order: Vec<usize> =
                best(scores.into_iter().enumerate(), n).into_iter().map(|(index, _)| index).collect();
            assert_eq!(order[..2], [1, 3]);
        }
    }

    proptest! {
        #[test]
        fn the_best_are_the_first_of_all_in_order(
            scores in proptest::collection::vec(-9_i8..9, 0..400), n in 0_usize..300,
        ) {
            let all = || scores.iter().map(|s| if *s == -9 { f32::NEG_INFINITY } else { f32::from(*s) }).enumerate();
            let mut sorted: Vec<(usize, f32)> = all().collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            sorted.truncate(n);
            prop_assert_eq!(best(all(), n), sorted);
        }
    }
}
