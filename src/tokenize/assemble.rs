//! Content tokens in, encoding out: truncation and the frame of special tokens.
//!
//! Single: `[CLS] text [SEP]`; pair: `[CLS] text [SEP] pair [SEP]`. The references cut differently; each rule is stated
//! at its function as lengths to keep, which makes it testable without texts.

use super::encoding::{ADDED_TOKEN, EncodeOptions, Encoding, Pieces, Span, Truncation};
use super::vocab::Vocab;
use super::{SpecialIds, Texts};
use crate::error::{Error, Result};
use crate::model_dir::tokenizer::{BertVariant, Scheme, TokenizerSpec};
use std::path::Path;

/// Special tokens of a model and its way to put texts between them.
#[derive(Debug)]
pub(super) struct Frame {
    /// Ids of all special tokens.
    pub(super) ids: SpecialIds,
    /// Id for unknown words.
    pub(super) unk: i64,
    cls: i64,
    sep: i64,
    scheme: Scheme,
}

impl Frame {
    /// Finds the special tokens in `vocab`, read from `path`.
    pub(super) fn new(vocab: &Vocab, path: &Path, spec: &TokenizerSpec) -> Result<Self> {
        let required = |name: &str| {
            vocab.id(name).ok_or_else(|| Error::model(path, format!("the vocabulary has no special token {name}")))
        };
        let (cls, sep, unk, pad) =
            (required(&spec.cls)?, required(&spec.sep)?, required(&spec.unk)?, required(&spec.pad)?);
        let mask = spec.mask.as_deref().and_then(|name| vocab.id(name));
        let ids = SpecialIds { cls: Some(cls), sep: Some(sep), pad: Some(pad), unk: Some(unk), mask };
        Ok(Self { ids, unk, cls, sep, scheme: spec.scheme })
    }

    /// Whether a pair with this text is a pair at all: the fast tokenizer takes an empty string for none.
    pub(super) fn keeps_pair_text(&self, pair: &str) -> bool {
        !(pair.is_empty() && self.scheme == Scheme::Bert(BertVariant::HfFast))
    }

    /// Truncates and adds special tokens.
    pub(super) fn assemble(
        &self,
        mut first: Pieces,
        mut second: Option<Pieces>,
        options: &EncodeOptions,
    ) -> Result<Encoding> {
        let n_before = first.len() + second.as_ref().map_or(0, Pieces::len);
        if let Some(n_tokens) = options.seed_truncate_to {
            if self.scheme != Scheme::Ernie {
                return Err(Error::argument("seed_truncate_to is for tokenizer scheme ernie only"));
            }
            self.cut(&mut first, &mut second, |len_1, len_2| seed_rule(len_1, len_2, n_tokens));
        }
        if self.scheme == Scheme::Ernie {
            // The reference gives no second `[SEP]` to a pair without tokens.
            second = second.filter(|pair| pair.len() > 0);
        }
        if let Some(max_tokens) = options.max_tokens {
            self.limit(&mut first, &mut second, max_tokens, options)?;
        }
        let n_after = first.len() + second.as_ref().map_or(0, Pieces::len);
        let mut encoding = self.join(first, second, options.add_special_tokens);
        encoding.n_truncated_tokens = n_before - n_after;
        Ok(encoding)
    }

    /// Holds the sequence to `max_tokens`.
    fn limit(
        &self,
        first: &mut Pieces,
        second: &mut Option<Pieces>,
        max_tokens: usize,
        options: &EncodeOptions,
    ) -> Result<()> {
        let texts = if second.is_some() { Texts::Pair } else { Texts::Single };
        let n_added = if options.add_special_tokens { 2 + usize::from(texts == Texts::Pair) } else { 0 };
        let n_content = first.len() + second.as_ref().map_or(0, Pieces::len);
        let budget = content_budget(max_tokens, n_added)?;
        if n_content <= budget {
            return Ok(());
        }
        if options.truncation == Truncation::Error {
            return Err(too_long(texts, n_content + n_added, max_tokens));
        }
        let scheme = self.scheme;
        self.cut(first, second, |len_1, len_2| match scheme {
            Scheme::Ernie => {
                let (len_1, len_2) = seed_rule(len_1, len_2, budget);
                longest_first_rule(len_1, len_2, budget)
            }
            Scheme::Bert(BertVariant::HfSlow) => slow_rule(len_1, len_2, budget),
            Scheme::Bert(BertVariant::PaddleNlp) => longest_first_rule(len_1, len_2, budget),
            Scheme::Bert(BertVariant::HfFast) | Scheme::TokenizerJson => fast_rule(len_1, len_2, budget),
        });
        if self.scheme == Scheme::Ernie {
            *second = second.take().filter(|pair| pair.len() > 0);
        }
        Ok(())
    }

    /// Cuts both texts to the lengths that `rule` gives for theirs; a single text is cut to what fits.
    fn cut(&self, first: &mut Pieces, second: &mut Option<Pieces>, rule: impl Fn(usize, usize) -> (usize, usize)) {
        let (len_1, len_2) = rule(first.len(), second.as_ref().map_or(0, Pieces::len));
        first.truncate(len_1);
        if let Some(second) = second {
            second.truncate(len_2);
        }
    }

    fn join(&self, first: Pieces, second: Option<Pieces>, add_special_tokens: bool) -> Encoding {
        let n_tokens = first.len() + second.as_ref().map_or(0, Pieces::len) + 3;
        let mut encoding = Encoding::with_capacity(n_tokens);
        if add_special_tokens {
            encoding.push_added(self.cls, 0);
        }
        encoding.append(first, 0);
        if add_special_tokens {
            encoding.push_added(self.sep, 0);
        }
        if let Some(second) = second {
            encoding.append(second, 1);
            if add_special_tokens {
                encoding.push_added(self.sep, 1);
            }
        }
        encoding.attention_mask.resize(encoding.input_ids.len(), 1);
        encoding
    }
}

impl Encoding {
    fn push_added(&mut self, id: i64, type_id: i64) {
        self.input_ids.push(id);
        self.token_type_ids.push(type_id);
        self.offsets.push(Span::default());
        self.sequence.push(ADDED_TOKEN);
    }

    /// Appends the tokens of the text (0) or the pair (1).
    fn append(&mut self, pieces: Pieces, sequence: u8) {
        self.input_ids.extend_from_slice(&pieces.ids);
        self.offsets.extend_from_slice(&pieces.spans);
        self.token_type_ids.resize(self.input_ids.len(), i64::from(sequence));
        self.sequence.resize(self.input_ids.len(), sequence);
    }
}

/// Tokens left for the texts.
pub(super) fn content_budget(max_tokens: usize, n_added: usize) -> Result<usize> {
    max_tokens
        .checked_sub(n_added)
        .ok_or_else(|| Error::argument(format!("max_tokens {max_tokens} has no room for the {n_added} special tokens")))
}

/// The error for a sequence of `n_tokens`.
pub(super) fn too_long(texts: Texts, n_tokens: usize, max_tokens: usize) -> Error {
    let what = match texts {
        Texts::Single => "the text",
        Texts::Pair => "the text with its pair",
    };
    Error::TextTooLong { what: what.into(), n_tokens, max_tokens }
}

/// `truncate` of paddle-ernie, whose results are ends of Python slices: a negative one counts from the back. It can keep
/// more than `budget` tokens, and can empty the first text.
fn seed_rule(len_1: usize, len_2: usize, budget: usize) -> (usize, usize) {
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

/// PaddleNLP: one token after another is taken from the longer text, from the second if both are equally long.
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

/// `truncate_sequences` of transformers.
fn slow_rule(len_1: usize, len_2: usize, budget: usize) -> (usize, usize) {
    longest_first_rule(len_1, len_2, budget)
}

/// `truncate_encodings` of the tokenizers crate: a tie cuts the first text, an odd token goes to the longer one.
pub(super) fn fast_rule(len_1: usize, len_2: usize, budget: usize) -> (usize, usize) {
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
        assert_eq!(slow_rule(17, 17, 13), (7, 6));
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
            for rule in [seed_rule, longest_first_rule, slow_rule, fast_rule] {
                let (kept_1, kept_2) = rule(len_1, len_2, budget);
                prop_assert!(kept_1 <= len_1 && kept_2 <= len_2);
                if len_1 + len_2 <= budget {
                    prop_assert_eq!((kept_1, kept_2), (len_1, len_2));
                }
            }
            for rule in [longest_first_rule, slow_rule, fast_rule] {
                let (kept_1, kept_2) = rule(len_1, len_2, budget);
                prop_assert_eq!(kept_1 + kept_2, budget.min(len_1 + len_2));
            }
        }
    }
}
