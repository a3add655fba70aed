//! Content tokens in, encoding out: truncation and the frame of special tokens.
//!
//! Single: `[CLS] text [SEP]`; pair: `[CLS] text [SEP] pair [SEP]`. How much is kept is decided in `truncation`.

use super::encoding::{ADDED_TOKEN, EncodeOptions, Encoding, Pieces, Span, Truncated, Truncation};
use super::truncation::{Lengths, Limited, Windows, seed_rule};
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
    /// Ids of all tokens that a configuration calls special, but for the unknown one. Sorted.
    pub(super) all_special: Vec<i64>,
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
        let added = spec.added_tokens.iter().filter(|token| token.special);
        let added = added.flat_map(|token| [Some(token.id), vocab.id(&token.content)]).flatten();
        let additional = spec.additional_special.iter().filter_map(|name| vocab.id(name));
        let mut all_special: Vec<i64> = ids.known().chain(added).chain(additional).filter(|&id| id != unk).collect();
        all_special.sort_unstable();
        Ok(Self { ids, all_special, unk, cls, sep, scheme: spec.scheme })
    }

    /// Whether a pair with this text is a pair at all: the fast tokenizer takes an empty string for none.
    pub(super) fn keeps_pair_text(&self, pair: &str) -> bool {
        !(pair.is_empty() && self.scheme == Scheme::Bert(BertVariant::HfFast))
    }

    /// Number of special tokens added to one text, or to a text and its pair.
    pub(super) fn n_added_tokens(&self, texts: Texts) -> usize {
        match texts {
            Texts::Single => 2,
            Texts::Pair if matches!(self.scheme, Scheme::ErnieM(_)) => 4,
            Texts::Pair => 3,
        }
    }

    /// Truncates and adds special tokens. Appends one encoding, or one for each window.
    pub(super) fn assemble(
        &self,
        first: &Pieces,
        second: Option<&Pieces>,
        options: &EncodeOptions,
        out: &mut Vec<Encoding>,
    ) -> Result<()> {
        let mut kept = Lengths { first: first.len(), second: second.map(Pieces::len) };
        let is_seed = self.scheme.is_seed();
        if let Some(n_tokens) = options.seed_truncate_to {
            if !is_seed {
                return Err(seed_only());
            }
            if options.truncation != Truncation::Truncate {
                return Err(Error::argument("seed_truncate_to is a rule of its own: truncation must be truncate"));
            }
            let (len_1, len_2) = seed_rule(kept.first, kept.second.unwrap_or(0), n_tokens);
            kept = Lengths { first: len_1, second: kept.second.map(|_| len_2) };
        }
        // The reference gives no second `[SEP]` to a pair without tokens.
        let drop_empty = |kept: Lengths| Lengths { second: kept.second.filter(|&len| len > 0 || !is_seed), ..kept };
        kept = drop_empty(kept);
        let mut windows = Windows::one(kept);
        if let Some(max_tokens) = options.max_tokens {
            let n_added = if options.add_special_tokens { self.n_added_tokens(kept.texts()) } else { 0 };
            match kept.limit(max_tokens, n_added, options, self.scheme)? {
                Limited::Kept(lengths) => windows = Windows::one(drop_empty(lengths)),
                Limited::Windows(found) => windows = found,
            }
        }
        let truncated = match windows.is_one() {
            true => [first.truncated(windows.last.first), cut_of(second, windows.last.second)],
            false => [first.truncated(kept.first), cut_of(second, kept.second)],
        };
        let n_windows = windows.len();
        for window in 0..n_windows {
            let (range_1, range_2) = windows.ranges(window);
            let mut encoding = self.join(
                (&first.ids[range_1.clone()], &first.spans[range_1]),
                second.zip(range_2).map(|(second, range)| (&second.ids[range.clone()], &second.spans[range])),
                options.add_special_tokens,
            );
            (encoding.truncated, encoding.window, encoding.n_windows) = (truncated, window, n_windows);
            encoding.first_token = windows.first_token(window);
            out.push(encoding);
        }
        Ok(())
    }

    fn join(&self, first: Part<'_>, second: Option<Part<'_>>, add_special_tokens: bool) -> Encoding {
        let n_tokens = first.0.len() + second.map_or(0, |(ids, _)| ids.len()) + 4;
        let mut encoding = Encoding::with_capacity(n_tokens);
        if add_special_tokens {
            encoding.push_added(self.cls, 0);
        }
        encoding.append(first, 0);
        // ERNIE-M has no token types; its tokenizer counts all behind the text to the pair.
        let double_sep = matches!(self.scheme, Scheme::ErnieM(_)) && second.is_some();
        if add_special_tokens {
            encoding.push_added(self.sep, i64::from(double_sep));
        }
        if let Some(second) = second {
            if add_special_tokens && double_sep {
                encoding.push_added(self.sep, 1);
            }
            encoding.append(second, 1);
            if add_special_tokens {
                encoding.push_added(self.sep, 1);
            }
        }
        encoding.attention_mask.resize(encoding.input_ids.len(), 1);
        encoding
    }
}

/// Ids of a text's tokens and what they cover.
type Part<'a> = (&'a [i64], &'a [Span]);

fn cut_of(pieces: Option<&Pieces>, kept: Option<usize>) -> Truncated {
    pieces.map_or_else(Truncated::default, |pieces| pieces.truncated(kept.unwrap_or(0)))
}

impl Encoding {
    fn push_added(&mut self, id: i64, type_id: i64) {
        self.input_ids.push(id);
        self.token_type_ids.push(type_id);
        self.offsets.push(Span::default());
        self.sequence.push(ADDED_TOKEN);
    }

    /// Appends the tokens of the text (0) or the pair (1).
    fn append(&mut self, (ids, spans): Part<'_>, sequence: u8) {
        self.input_ids.extend_from_slice(ids);
        self.offsets.extend_from_slice(spans);
        self.token_type_ids.resize(self.input_ids.len(), i64::from(sequence));
        self.sequence.resize(self.input_ids.len(), sequence);
    }
}

/// The error for `seed_truncate_to` with a scheme that has no such rule.
pub(super) fn seed_only() -> Error {
    Error::argument("seed_truncate_to is for tokenizer schemes ernie and ernie-tiny only")
}
