//! The plain data of this stage: what a caller may ask for and what an encoded text is.

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

/// One text, or one text and its pair, as a model takes it. All vectors have one entry per token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Tokens of the text and pair that truncation cut, 0 when nothing was.
    pub n_truncated_tokens: usize,
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
            n_truncated_tokens: 0,
        }
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
    /// Refuse it with [`Error::TextTooLong`](crate::error::Error::TextTooLong).
    Error,
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
    /// may keep more than it says. Only scheme `ernie` has it; [`max_tokens`](Self::max_tokens) holds besides.
    pub seed_truncate_to: Option<usize>,
}

impl Default for EncodeOptions {
    /// No limit, special tokens recognised and added.
    fn default() -> Self {
        Self {
            max_tokens: None,
            truncation: Truncation::default(),
            special_tokens_in_text: SpecialTokensInText::default(),
            add_special_tokens: true,
            seed_truncate_to: None,
        }
    }
}

/// The content tokens of one text before special tokens are added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    /// Token ids.
    pub(crate) ids: Vec<i64>,
    /// What each covers.
    pub(crate) spans: Vec<Span>,
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
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Keeps the first `n_tokens`.
    pub(crate) fn truncate(&mut self, n_tokens: usize) {
        self.ids.truncate(n_tokens);
        self.spans.truncate(n_tokens);
    }
}
