//! Logits of start and end of a passage's windows -> answers, best first.
//!
//! Reference: `make_results` of `demo/mrc/mrc_metrics.py` of paddle-ernie, which is BERT's for SQuAD: the best starts and
//! ends of each window are paired; a start counts in the window alone that shows most around it.

use std::ops::Range;

use crate::kernels::selection::best;

/// What the model said of one window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) start: Vec<f32>,
    pub(crate) end: Vec<f32>,
    /// The tokens that are of the passage.
    pub(crate) passage: Range<usize>,
    /// Those of them that this window shows best, by their place in `passage`; all where that does not matter.
    pub(crate) owned: Range<usize>,
}

/// How answers are chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Starts and ends of a window that are paired.
    pub(crate) n_best: usize,
    /// Tokens of an answer at most.
    pub(crate) max_answer_tokens: usize,
}

/// A pair of a start and an end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) window: usize,
    /// First and last token, of the window.
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) start_logit: f32,
    pub(crate) end_logit: f32,
}

impl Candidate {
    pub(crate) fn score(&self) -> f32 {
        self.start_logit + self.end_logit
    }
}

/// All pairs that can be answers, best first; equals as the reference finds them.
pub(crate) fn candidates(windows: &[Window], rules: Rules) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (number, window) in windows.iter().enumerate() {
        let of = |logits: &[f32]| best(logits.iter().copied().enumerate(), rules.n_best);
        let ends = of(&window.end);
        for (first, start_logit) in of(&window.start) {
            let place = first.checked_sub(window.passage.start);
            if !window.passage.contains(&first) || !place.is_some_and(|place| window.owned.contains(&place)) {
                continue;
            }
            let fits =
                |last: usize| window.passage.contains(&last) && last >= first && last - first < rules.max_answer_tokens;
            let pairs = ends.iter().filter(|(last, _)| fits(*last));
            all.extend(pairs.map(|&(last, end_logit)| Candidate {
                window: number,
                first,
                last,
                start_logit,
                end_logit,
            }));
        }
    }
    all.sort_by(|a, b| b.score().total_cmp(&a.score()));
    all
}

/// The score of no answer: the lowest that a window gives its first token.
pub(crate) fn no_answer_score(windows: &[Window]) -> Option<f32> {
    let scores = windows.iter().filter_map(|window| Some(window.start.first()? + window.end.first()?));
    scores.reduce(f32::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: &[f32], end: &[f32], passage: Range<usize>) -> Window {
        let owned = 0..passage.len();
        Window { start: start.to_vec(), end: end.to_vec(), passage, owned }
    }

    #[test]
    fn the_best_pair_in_the_passage_comes_first() {
        let windows = [
            window(&[9.0, 9.0, 1.0, 3.0, 0.0], &[9.0, 9.0, 5.0, 2.0, 9.0], 2..4),
            window(&[0.0, 0.0, 4.0, 0.0, 0.0], &[0.0, 0.0, 0.0, 4.0, 0.0], 2..4),
        ];
        let found = candidates(&windows, Rules { n_best: 5, max_answer_tokens: 2 });
        let spans: Vec<_> = found.iter().map(|c| (c.window, c.first, c.last, c.score())).collect();
        assert_eq!(
            spans,
            [(1, 2, 3, 8.0), (0, 2, 2, 6.0), (0, 3, 3, 5.0), (1, 2, 2, 4.0), (1, 3, 3, 4.0), (0, 2, 3, 3.0)]
        );
        assert_eq!(no_answer_score(&windows), Some(0.0));
    }

    #[test]
    fn long_answers_and_starts_that_another_window_shows_better_are_left_out() {
        let mut one = window(&[0.0, 2.0, 1.0], &[0.0, 1.0, 2.0], 1..3);
        let spans = |window: &Window, n| {
            let found = candidates(std::slice::from_ref(window), Rules { n_best: 9, max_answer_tokens: n });
            found.iter().map(|c| (c.first, c.last)).collect::<Vec<_>>()
        };
        assert_eq!(spans(&one, 2), [(1, 2), (1, 1), (2, 2)]);
        assert_eq!(spans(&one, 1), [(1, 1), (2, 2)]);
        one.owned = 1..2;
        assert_eq!(spans(&one, 2), [(2, 2)]);
        assert_eq!(no_answer_score(&[]), None);
    }
}
