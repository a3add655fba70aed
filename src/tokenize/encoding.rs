//! The plain data of this stage: what a caller may ask for and what an encoded text is.

use crate::error::{Error, Result};
use std::ops::Range;

/// A half-open range of bytes of the caller's text.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub begin: usize,
    /// Offset after the last byte.
    pub end: usize,
}

/// Value of [`Encoding::sequence`] for tokens that come from neither text.
pub const ADDED_TOKEN: u8 = 255;

/// What truncation cut from the end of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truncated {
    /// Tokens that were cut, 0 when nothing was.
    pub n_tokens: usize,
    /// The bytes of the text that they cover; `0..0` when nothing was cut.
    pub span: Span,
}

/// One text, or one text and its pair, as a model takes it. All vectors have one entry per token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, special tokens included.
    pub input_ids: Vec<i64>,
    /// 0 for the text with its special tokens, 1 for the pair with its `[SEP]`.
    pub token_type_ids: Vec<i64>,
    /// 1 for every token; padding is added by whoever makes batches.
    pub attention_mask: Vec<i64>,
    /// Bytes of the text or pair that each token covers, on character boundaries and never going back; `0..0` for
    /// added tokens.
    pub offsets: Vec<Span>,
    /// Where each token is from: 0 the text, 1 the pair, [`ADDED_TOKEN`] neither.
    pub sequence: Vec<u8>,
    /// What truncation cut from the text and from the pair. Windows cut nothing: another one has it.
    pub truncated: [Truncated; 2],
    /// Which text of a call this is of, 0 where there is only one.
    pub input: usize,
    /// Which window of its text this is, from 0.
    pub window: usize,
    /// How many windows the text has; 1 unless it was too long and [`Truncation::Windows`] was asked for.
    pub n_windows: usize,
    /// How many tokens of the text that is cut into windows (the pair, where there is one) come before this window.
    pub first_token: usize,
}

impl Default for Encoding {
    /// No tokens.
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Encoding {
    /// An encoding without tokens, with room for `n_tokens`.
    pub(crate) fn with_capacity(n_tokens: usize) -> Self {
        Self {
            input_ids: Vec::with_capacity(n_tokens),
            token_type_ids: Vec::with_capacity(n_tokens),
            attention_mask: Vec::with_capacity(n_tokens),
            offsets: Vec::with_capacity(n_tokens),
            sequence: Vec::with_capacity(n_tokens),
            truncated: [Truncated::default(); 2],
            input: 0,
            window: 0,
            n_windows: 1,
            first_token: 0,
        }
    }

    /// Tokens of the text and pair that truncation cut, 0 when nothing was.
    #[must_use]
    pub fn n_truncated_tokens(&self) -> usize {
        self.truncated.iter().map(|truncated| truncated.n_tokens).sum()
    }

    /// The fragment of a text that tokens cover: which text (0 the text, 1 the pair) and its bytes. Added tokens count for
    /// nothing; `None` where there are no others.
    ///
    /// # Errors
    /// * [`Error::InvalidArgument`]: the range is not in the encoding, or holds tokens of both texts.
    pub fn fragment(&self, tokens: Range<usize>) -> Result<Option<(u8, Span)>> {
        let Some(sequences) = self.sequence.get(tokens.clone()) else {
            return Err(Error::argument(format!(
                "tokens {}..{} are not a range of the {} there are",
                tokens.start,
                tokens.end,
                self.len()
            )));
        };
        let mut found: Option<(u8, Span)> = None;
        for (&sequence, span) in sequences.iter().zip(&self.offsets[tokens]) {
            if sequence == ADDED_TOKEN {
                continue;
            }
            match &mut found {
                None => found = Some((sequence, *span)),
                Some((known, covered)) if *known == sequence => {
                    *covered = Span { begin: covered.begin.min(span.begin), end: covered.end.max(span.end) };
                }
                Some(_) => return Err(Error::argument("the tokens are of both the text and its pair")),
            }
        }
        Ok(found)
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.input_ids.len()
    }

    /// Whether there is no token at all, which only happens without special tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input_ids.is_empty()
    }
}

/// What to do with a text that has more tokens than allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// Cut it, by the rule of its scheme.
    #[default]
    Truncate,
    /// Refuse it with [`Error::TextTooLong`].
    Error,
    /// Cut the longer of text and pair until both fit; in case of a tie as the reference of the scheme does.
    LongestFirst,
    /// Cut the text, never the pair.
    OnlyFirst,
    /// Cut the pair, never the text.
    OnlySecond,
    /// Cut nothing: give windows of the pair, or of the text where there is no pair, each with all of the other.
    Windows,
}

/// What `[MASK]`, `[SEP]` and the like mean when they stand in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialTokensInText {
    /// They are those tokens, as in the reference implementations.
    #[default]
    Recognize,
    /// They are text like any other: no token of a text is a special token, except the one for unknown words.
    Plain,
}

/// What [`decode`](super::Tokenizer::decode) does with special tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialTokensInDecoded {
    /// Leave them out.
    #[default]
    Skip,
    /// Write their names.
    Keep,
    /// Ids are what a generator wrote: end at the first `[SEP]`, write `[PAD]` and `[UNK]` as nothing and the others by
    /// their names, as the reference script of ERNIE-GEN does.
    Generated,
}

/// How [`encode`](super::Tokenizer::encode) encodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Most tokens of the whole sequence, special tokens included; no limit when `None`.
    pub max_tokens: Option<usize>,
    /// What happens to longer texts.
    pub truncation: Truncation,
    /// Whether special tokens are recognised inside the texts.
    pub special_tokens_in_text: SpecialTokensInText,
    /// Whether `[CLS]` and `[SEP]` are added.
    pub add_special_tokens: bool,
    /// `truncate_to` of the 2021 tokenizer, reproduced exactly, oddities included: it counts content tokens only and
    /// may keep more than it says. Only schemes `ernie` and `ernie-tiny` have it; [`max_tokens`](Self::max_tokens) holds
    /// besides.
    pub seed_truncate_to: Option<usize>,
    /// With [`Truncation::Windows`]: by how many tokens a window begins after the one before, at least 1. Windows never
    /// leave a gap: they move by their own length at most. `None` is [`DEFAULT_DOC_STRIDE`], but at most half a window.
    pub doc_stride: Option<usize>,
}

/// By how many tokens windows move in the reference scripts.
pub const DEFAULT_DOC_STRIDE: usize = 128;

impl Default for EncodeOptions {
    /// No limit, special tokens recognised and added.
    fn default() -> Self {
        Self {
            max_tokens: None,
            truncation: Truncation::default(),
            special_tokens_in_text: SpecialTokensInText::default(),
            add_special_tokens: true,
            seed_truncate_to: None,
            doc_stride: None,
        }
    }
}

/// The content tokens of one text before special tokens are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Token ids.
    pub ids: Vec<i64>,
    /// The bytes of the text that each covers.
    pub spans: Vec<Span>,
}

impl Pieces {
    /// No tokens, with room for about as many as `text` has.
    pub(crate) fn with_capacity_for(text: &str) -> Self {
        let n_tokens = text.len() / 3 + 1;
        Self { ids: Vec::with_capacity(n_tokens), spans: Vec::with_capacity(n_tokens) }
    }

    /// Appends a token.
    pub(crate) fn push(&mut self, id: i64, begin: usize, end: usize) {
        self.ids.push(id);
        self.spans.push(Span { begin, end });
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Appends the tokens of a text that begins at byte `offset` of this one.
    pub fn append(&mut self, other: &Self, offset: usize) {
        self.ids.extend_from_slice(&other.ids);
        let moved = |span: &Span| Span { begin: span.begin + offset, end: span.end + offset };
        self.spans.extend(other.spans.iter().map(moved));
    }

    /// The first `n_tokens` tokens.
    #[must_use]
    pub fn first(&self, n_tokens: usize) -> Self {
        let n_tokens = n_tokens.min(self.len());
        Self { ids: self.ids[..n_tokens].to_vec(), spans: self.spans[..n_tokens].to_vec() }
    }

    /// What is cut where the first `n_tokens` are kept.
    pub(crate) fn truncated(&self, n_tokens: usize) -> Truncated {
        truncated(self.spans.get(n_tokens..).unwrap_or_default())
    }
}

/// What is cut with tokens that cover these bytes.
pub(crate) fn truncated(spans: &[Span]) -> Truncated {
    let begin = spans.first().map_or(0, |span| span.begin);
    let end = spans.iter().map(|span| span.end).max().unwrap_or(0);
    Truncated { n_tokens: spans.len(), span: Span { begin, end } }
}
