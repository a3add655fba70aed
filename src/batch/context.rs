//! Overlapping windows of a text -> the window that shows most around each of its tokens.

use std::ops::Range;

/// For each of `n_tokens` the window with most context: the smaller number of tokens to either side counts, then the
/// window's length, then which comes first (`_check_is_max_context` of BERT and paddle-ernie). `windows` are in order and
/// cover all tokens.
pub(crate) fn windows_of_tokens(windows: &[Range<usize>], n_tokens: usize) -> Vec<usize> {
    let mut first = 0;
    let best_of = |token: usize| {
        while windows.get(first).is_some_and(|window| window.end <= token) {
            first += 1;
        }
        let candidates = windows.iter().enumerate().skip(first).take_while(|(_, window)| window.start <= token);
        let score = |window: &Range<usize>| {
            let context = (token - window.start).min(window.end.saturating_sub(token + 1));
            context as f64 + 0.01 * window.len() as f64
        };
        let mut best = (first, f64::NEG_INFINITY);
        for (number, window) in candidates.filter(|(_, window)| window.contains(&token)) {
            if score(window) > best.1 {
                best = (number, score(window));
            }
        }
        best.0
    };
    (0..n_tokens).map(best_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_go_to_the_window_that_shows_most_around_them() {
        assert_eq!(windows_of_tokens(&[0..4, 2..6], 6), [0, 0, 0, 1, 1, 1]);
        assert_eq!(windows_of_tokens(&[0..6, 3..8], 8), [0, 0, 0, 0, 0, 1, 1, 1]);
        assert_eq!(windows_of_tokens(std::slice::from_ref(&(0..3)), 3), [0, 0, 0]);
        assert_eq!(windows_of_tokens(&[], 0), [0_usize; 0]);
    }

    proptest! {
        #[test]
        fn every_token_is_in_its_window_and_windows_own_runs(room in 1_usize..9, step in 1_usize..9, n in 1_usize..60) {
            let step = step.min(room);
            let n_windows = 1 + n.saturating_sub(room).div_ceil(step);
            let windows: Vec<Range<usize>> = (0..n_windows).map(|w| w * step..(w * step + room).min(n)).collect();
            let found = windows_of_tokens(&windows, n);
            for (token, window) in found.iter().enumerate() {
                prop_assert!(windows[*window].contains(&token));
            }
            prop_assert!(found.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }
}
