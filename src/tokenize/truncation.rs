//! How much of two texts is kept, in numbers of tokens: truncation by the rules of the references, and windows.

use super::Texts;
use super::encoding::{DEFAULT_DOC_STRIDE, EncodeOptions, Truncation};
use crate::error::{Error, Result};
use crate::model_dir::tokenizer::{BertVariant, Scheme};
use std::ops::Range;

/// Tokens of all windows of a text that are never too many.
const MAX_WINDOWS_TOKENS: usize = 1 << 22;
/// Beyond them: how many times the tokens of the text.
const MAX_WINDOWS_RATIO: usize = 16;

/// How many content tokens two texts have, or keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lengths {
    /// Of the text.
    pub(super) first: usize,
    /// Of the pair, if there is one.
    pub(super) second: Option<usize>,
}

/// What [`Lengths::limit`] gives.
#[derive(Debug)]
pub(super) enum Limited {
    /// Both are cut to these lengths.
    Kept(Lengths),
    /// Nothing is cut.
    Windows(Windows),
}

impl Lengths {
    pub(super) fn texts(self) -> Texts {
        if self.second.is_some() { Texts::Pair } else { Texts::Single }
    }

    fn sum(self) -> usize {
        self.first + self.second.unwrap_or(0)
    }

    /// What is left where a sequence has room for `max_tokens`, of which `n_added` are special.
    ///
    /// # Errors
    /// * [`Error::InvalidArgument`]: no room for the special tokens, or a stride of 0.
    /// * [`Error::TextTooLong`]: and it must not be cut, or that would leave nothing of what may be.
    pub(super) fn limit(
        self,
        max_tokens: usize,
        n_added: usize,
        options: &EncodeOptions,
        scheme: Scheme,
    ) -> Result<Limited> {
        let budget = max_tokens.checked_sub(n_added).ok_or_else(|| {
            Error::argument(format!("max_tokens {max_tokens} has no room for the {n_added} special tokens"))
        })?;
        if options.truncation == Truncation::Windows && options.doc_stride == Some(0) {
            return Err(Error::argument("doc_stride is 0, windows must move"));
        }
        if self.sum() <= budget {
            return Ok(Limited::Kept(self));
        }
        let longer = |what: &str, n_content: usize| Error::TextTooLong {
            what: what.into(),
            n_tokens: n_content.saturating_add(n_added),
            max_tokens,
        };
        let too_long = |what: &str| longer(what, self.sum());
        let (len_1, len_2) = (self.first, self.second.unwrap_or(0));
        let (kept_1, kept_2) = match (options.truncation, self.second) {
            (Truncation::Error, None) => return Err(too_long("the text")),
            (Truncation::Error, Some(_)) => return Err(too_long("the text with its pair")),
            (Truncation::Windows, None) if budget == 0 => return Err(too_long("the text")),
            (Truncation::Windows, None) => return Windows::of(self, budget, options.doc_stride).bounded(),
            (Truncation::Windows, Some(_)) => {
                let room = budget.checked_sub(len_1).filter(|&room| room > 0);
                let room = room.ok_or_else(|| longer("the text with one token of its pair", len_1 + 1))?;
                return Windows::of(self, room, options.doc_stride).bounded();
            }
            (Truncation::OnlySecond, None) => return Err(too_long("the text, which may not be cut,")),
            (_, None) => (budget, 0),
            (Truncation::OnlyFirst, Some(_)) => match budget.checked_sub(len_2).filter(|&len| len > 0) {
                Some(kept) => (kept, len_2),
                None => return Err(longer("one token of the text with its pair, which may not be cut,", len_2 + 1)),
            },
            (Truncation::OnlySecond, Some(_)) => match budget.checked_sub(len_1).filter(|&len| len > 0) {
                Some(kept) => (len_1, kept),
                None => return Err(longer("the text, which may not be cut, with one token of its pair", len_1 + 1)),
            },
            (Truncation::Truncate, Some(_)) if scheme.is_seed() => {
                let (len_1, len_2) = seed_rule(len_1, len_2, budget);
                longest_first_rule(len_1, len_2, budget)
            }
            (Truncation::Truncate | Truncation::LongestFirst, Some(_)) => match scheme {
                Scheme::Bert(BertVariant::HfFast) | Scheme::TokenizerJson => fast_rule(len_1, len_2, budget),
                _ => longest_first_rule(len_1, len_2, budget),
            },
        };
        Ok(Limited::Kept(Self { first: kept_1, second: self.second.map(|_| kept_2) }))
    }
}

/// Windows of the pair, or of the text where there is no pair; one where everything fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// What all windows together hold.
    pub(super) last: Lengths,
    /// Tokens of a window of the text that is cut.
    room: usize,
    /// Where the next window begins.
    step: usize,
}

impl Windows {
    pub(super) fn one(lengths: Lengths) -> Self {
        Self { last: lengths, room: usize::MAX, step: usize::MAX }
    }

    fn of(lengths: Lengths, room: usize, doc_stride: Option<usize>) -> Self {
        let step = doc_stride.unwrap_or_else(|| DEFAULT_DOC_STRIDE.min(room.div_ceil(2)));
        Self { last: lengths, room, step: step.min(room) }
    }

    /// These windows, if all of them together are no multiple of the text that nobody can want.
    fn bounded(self) -> Result<Limited> {
        let kept = self.last.sum() - self.windowed();
        let n_tokens = self.len().saturating_mul(self.room + kept);
        if n_tokens > MAX_WINDOWS_TOKENS && n_tokens / MAX_WINDOWS_RATIO > self.last.sum() {
            return Err(Error::argument(format!(
                "{} windows of {} tokens, moved by {}, are more than {MAX_WINDOWS_RATIO} times the text: a larger doc_stride or \
                 max_tokens gives fewer",
                self.len(),
                self.room + kept,
                self.step
            )));
        }
        Ok(Limited::Windows(self))
    }

    pub(super) fn is_one(&self) -> bool {
        self.room == usize::MAX
    }

    fn windowed(&self) -> usize {
        self.last.second.unwrap_or(self.last.first)
    }

    /// Where a window begins in the text that is cut.
    pub(super) fn first_token(&self, window: usize) -> usize {
        window.saturating_mul(self.step)
    }

    pub(super) fn len(&self) -> usize {
        1 + self.windowed().saturating_sub(self.room).div_ceil(self.step)
    }

    /// The tokens of the text and of the pair in a window.
    pub(super) fn ranges(&self, window: usize) -> (Range<usize>, Option<Range<usize>>) {
        let begin = self.first_token(window);
        let range = begin..begin.saturating_add(self.room).min(self.windowed());
        match self.last.second {
            Some(_) => (0..self.last.first, Some(range)),
            None => (range, None),
        }
    }
}

/// `truncate` of paddle-ernie, whose results are ends of Python slices: a negative one counts from the back. It can keep
/// more than `budget` tokens, and can empty the first text.
pub(super) fn seed_rule(len_1: usize, len_2: usize, budget: usize) -> (usize, usize) {
    let signed = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let (n_1, n_2, budget) = (signed(len_1), signed(len_2), signed(budget));
    let half = budget / 2;
    let (end_1, end_2) = if n_1 > n_2 {
        (half.max(budget.saturating_sub(n_2)), half.min(n_2))
    } else {
        (half.min(budget.saturating_sub(n_1)), half.max(budget.saturating_sub(n_1)))
    };
    (slice_len(len_1, end_1), slice_len(len_2, end_2))
}

/// Length of `[0; len][:end]` in Python.
fn slice_len(len: usize, end: i64) -> usize {
    match usize::try_from(end) {
        Ok(end) => end.min(len),
        Err(_) => len.saturating_sub(usize::try_from(end.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

/// PaddleNLP and `truncate_sequences` of transformers: one token after another is taken from the longer text, from the second if both are equally long.
fn longest_first_rule(len_1: usize, len_2: usize, budget: usize) -> (usize, usize) {
    let excess = (len_1 + len_2).saturating_sub(budget);
    let difference = len_1.abs_diff(len_2);
    if excess <= difference {
        return if len_1 > len_2 { (len_1 - excess, len_2) } else { (len_1, len_2 - excess) };
    }
    let equal = len_1.min(len_2);
    let rest = excess - difference;
    (equal.saturating_sub(rest / 2), equal.saturating_sub(rest - rest / 2))
}

/// `truncate_encodings` of the tokenizers crate: a tie cuts the first text, an odd token goes to the longer one.
fn fast_rule(len_1: usize, len_2: usize, budget: usize) -> (usize, usize) {
    if len_1 + len_2 <= budget {
        return (len_1, len_2);
    }
    let swapped = len_1 > len_2;
    let (shorter, longer) = if swapped { (len_2, len_1) } else { (len_1, len_2) };
    let mut shorter_end = shorter;
    let mut longer_end = longer.min(shorter.max(budget.saturating_sub(shorter)));
    if shorter_end + longer_end > budget {
        shorter_end = budget / 2;
        longer_end = shorter_end + budget % 2;
    }
    if swapped { (longer_end, shorter_end) } else { (shorter_end, longer_end) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_seed_rule_is_that_of_its_reference() {
        assert_eq!(seed_rule(40, 40, 32), (32, 16));
        assert_eq!(seed_rule(17, 17, 32), (15, 16));
        assert_eq!(seed_rule(33, 32, 32), (16, 16));
        assert_eq!(seed_rule(32, 33, 32), (0, 16));
        assert_eq!(seed_rule(70, 100, 32), (32, 16));
        assert_eq!(seed_rule(5, 100, 32), (5, 27));
        assert_eq!(seed_rule(40, 0, 32), (32, 0));
    }

    #[test]
    fn ties_differ_between_the_references() {
        assert_eq!(fast_rule(17, 17, 13), (6, 7));
        assert_eq!(longest_first_rule(17, 17, 13), (7, 6));
    }

    fn one_by_one(mut len_1: usize, mut len_2: usize, budget: usize) -> (usize, usize) {
        while len_1 + len_2 > budget {
            if len_1 > len_2 { len_1 -= 1 } else { len_2 -= 1 }
        }
        (len_1, len_2)
    }

    proptest! {
        #[test]
        fn cutting_at_once_equals_cutting_one_by_one(len_1 in 0..90_usize, len_2 in 0..90_usize, budget in 0..100_usize) {
            prop_assert_eq!(longest_first_rule(len_1, len_2, budget), one_by_one(len_1, len_2, budget));
        }

        #[test]
        fn no_rule_keeps_more_than_there_is(len_1 in 0..90_usize, len_2 in 0..90_usize, budget in 0..100_usize) {
            for rule in [seed_rule, longest_first_rule, fast_rule] {
                let (kept_1, kept_2) = rule(len_1, len_2, budget);
                prop_assert!(kept_1 <= len_1 && kept_2 <= len_2);
                if len_1 + len_2 <= budget {
                    prop_assert_eq!((kept_1, kept_2), (len_1, len_2));
                }
            }
            for rule in [longest_first_rule, fast_rule] {
                let (kept_1, kept_2) = rule(len_1, len_2, budget);
                prop_assert_eq!(kept_1 + kept_2, budget.min(len_1 + len_2));
            }
        }
    }
}
