//! Text in, token ids out.
//!
//! Goes in: a text, or a text and its pair, as UTF-8. Comes out: an [`Encoding`] (ids, type ids, byte offsets), and the
//! way back from ids to text. Which [`Scheme`] a model uses is part of the model and is found by
//! [`model_dir::tokenizer`](crate::model_dir::tokenizer), not here. Padding and batches are not here either.
//!
//! Rooms: `vocab` reads `vocab.txt`, `trie` and `wordpiece` cut words into pieces, `special` finds special tokens in a
//! text; `ernie`, `bert`, `ernie_tiny` and `ernie_m` are the schemes of our own, the last two over `sentencepiece` models
//! and `ernie_tiny` over `jieba` (the only place naming the `jieba-rs` crate); `json` runs `tokenizer.json` files (the only
//! place naming the `tokenizers` crate); `truncation` decides what is kept, `assemble` cuts and adds special tokens,
//! `decode` is the way back; `whole_words` tells which tokens make a word; `case` and `unicode` know characters, `alignment` and `places` lead normalised text back to the
//! caller's, `text_units` counts in code points or UTF-16.
//!
//! Invariants: offsets are bytes of the caller's text, on character boundaries, and do not go back; the cost is
//! linear in the length of a text; a [`Tokenizer`] is immutable and can be used by any number of threads.

mod alignment;
mod assemble;
mod bert;
mod case;
mod decode;
mod encoding;
mod ernie;
mod ernie_m;
mod ernie_tiny;
mod final_text;
#[cfg(feature = "test-hooks")]
pub(crate) mod hooks;
#[cfg(feature = "ernie-tiny")]
mod jieba;
#[cfg(not(feature = "ernie-tiny"))]
#[path = "no_jieba.rs"]
mod jieba;
mod json;
mod nfc;
mod places;
mod sentencepiece;
mod special;
mod text_units;
mod trie;
mod truncation;
mod unicode;
#[rustfmt::skip]
mod unicode_tables;
mod vocab;
mod whole_words;
mod wordpiece;
mod words;

pub use encoding::{
    ADDED_TOKEN, DEFAULT_DOC_STRIDE, EncodeOptions, Encoding, Pieces, Span, SpecialTokensInDecoded,
    SpecialTokensInText, Truncated, Truncation,
};

pub use final_text::FinalText;
pub use text_units::{TextUnit, convert_spans};

use crate::error::{Error, Result};
use crate::model_dir::tokenizer::{Scheme, TokenizerSpec};
use assemble::Frame;
use vocab::Vocab;

/// Turns texts into ids and back. Immutable, `Send + Sync`; share it in an `Arc`.
#[derive(Debug)]
pub struct Tokenizer {
    scheme: Scheme,
    engine: Engine,
}

/// The scheme at work.
#[derive(Debug)]
enum Engine {
    Own(Box<Own>),
    Json(Box<json::JsonTokenizer>),
}

/// A scheme of our own: a vocabulary, the way to cut texts, the frame of special tokens.
#[derive(Debug)]
struct Own {
    vocab: Vocab,
    cutter: Cutter,
    frame: Frame,
    lowercases: bool,
}

/// How a text becomes pieces.
#[derive(Debug)]
enum Cutter {
    Ernie(Box<ernie::ErnieCutter>),
    Bert(Box<bert::BertCutter>),
    ErnieTiny(Box<ernie_tiny::ErnieTinyCutter>),
    ErnieM(Box<ernie_m::ErnieMCutter>),
}

impl Cutter {
    fn cut(&self, text: &str, special: SpecialTokensInText, vocab: &Vocab) -> Pieces {
        match self {
            Self::Ernie(cutter) => cutter.cut(text, special),
            Self::Bert(cutter) => cutter.cut(text, special),
            Self::ErnieTiny(cutter) => cutter.cut(text, vocab),
            Self::ErnieM(cutter) => cutter.cut(text, special, vocab),
        }
    }
}

impl Tokenizer {
    /// Reads the files that `spec` names.
    ///
    /// # Errors
    /// * [`Error::NotFound`], [`Error::Io`]: a file is not there or cannot be read.
    /// * [`Error::InvalidModel`]: a file is broken, or the vocabulary lacks a special token.
    pub fn open(spec: &TokenizerSpec) -> Result<Self> {
        let engine = match spec.scheme {
            Scheme::TokenizerJson => Engine::Json(Box::new(json::JsonTokenizer::open(spec)?)),
            _ => Engine::Own(Box::new(Own::open(spec)?)),
        };
        Ok(Self { scheme: spec.scheme, engine })
    }

    /// Encodes a text, or a text and its pair.
    ///
    /// # Errors
    /// * [`Error::TextTooLong`]: the text has too many tokens and truncation is [`Truncation::Error`].
    /// * [`Error::InvalidArgument`]: `max_tokens` has no room for the special tokens, `seed_truncate_to` is given to
    ///   another scheme than `ernie` and `ernie-tiny`, or truncation is [`Truncation::Windows`].
    /// * [`Error::Unsupported`]: the `tokenizer.json` cannot treat special tokens as plain text.
    pub fn encode(&self, text: &str, pair: Option<&str>, options: &EncodeOptions) -> Result<Encoding> {
        if options.truncation == Truncation::Windows {
            return Err(Error::argument("truncation windows gives several encodings, this wants one"));
        }
        let mut one = Vec::with_capacity(1);
        self.encode_windows(text, pair, options, &mut one)?;
        one.pop().ok_or_else(|| Error::Internal("no encoding".into()))
    }

    /// Encodes a text, or a text and its pair, and appends to `out` what it gives: one encoding, or its windows in order
    /// where truncation is [`Truncation::Windows`]. After an error nothing was appended.
    ///
    /// # Errors
    /// * [`Error::TextTooLong`]: the text has too many tokens and must not be cut, or what must not be cut leaves no room
    ///   for the rest.
    /// * [`Error::InvalidArgument`], [`Error::Unsupported`]: as [`encode`](Self::encode), and a stride of 0.
    pub fn encode_windows(
        &self,
        text: &str,
        pair: Option<&str>,
        options: &EncodeOptions,
        out: &mut Vec<Encoding>,
    ) -> Result<()> {
        let special = options.special_tokens_in_text;
        let first = self.cut(text, special)?;
        let second = pair.map(|pair| self.cut_pair(pair, special)).transpose()?.flatten();
        self.assemble(&first, second.as_ref(), options, out)
    }

    /// The same of a pair; `None` where an empty one counts as none, as in the fast tokenizers.
    ///
    /// # Errors
    /// * Those of [`cut`](Self::cut).
    pub fn cut_pair(&self, pair: &str, special_tokens_in_text: SpecialTokensInText) -> Result<Option<Pieces>> {
        match self.keeps_pair_text(pair) {
            true => self.cut(pair, special_tokens_in_text).map(Some),
            false => Ok(None),
        }
    }

    /// The content tokens of one text, which any number of encodings may be made of.
    ///
    /// # Errors
    /// * [`Error::Unsupported`]: the `tokenizer.json` cannot treat special tokens as plain text.
    pub fn cut(&self, text: &str, special_tokens_in_text: SpecialTokensInText) -> Result<Pieces> {
        match &self.engine {
            Engine::Own(own) => Ok(own.cut(text, special_tokens_in_text)),
            Engine::Json(json) => json.cut(text, special_tokens_in_text),
        }
    }

    /// Truncates the tokens of a text and its pair, adds special tokens and appends to `out` what that gives: one encoding,
    /// or windows. After an error nothing was appended.
    ///
    /// # Errors
    /// * Those of [`encode_windows`](Self::encode_windows).
    pub fn assemble(
        &self,
        first: &Pieces,
        second: Option<&Pieces>,
        options: &EncodeOptions,
        out: &mut Vec<Encoding>,
    ) -> Result<()> {
        let n_before = out.len();
        let done = match &self.engine {
            Engine::Own(own) => own.frame.assemble(first, second, options, out),
            Engine::Json(json) => json.assemble(first, second, options, out),
        };
        done.inspect_err(|_| out.truncate(n_before))
    }

    /// Whether a pair with this text is a pair at all: the fast tokenizers take an empty string for none.
    fn keeps_pair_text(&self, pair: &str) -> bool {
        match &self.engine {
            Engine::Own(own) => own.frame.keeps_pair_text(pair),
            Engine::Json(_) => json::JsonTokenizer::keeps_pair_text(pair),
        }
    }

    /// Writes ids as text: pieces beginning with `##` are joined to what is before them, the rest is separated by
    /// blanks; a `tokenizer.json` has a rule of its own.
    ///
    /// # Errors
    /// * [`Error::InvalidArgument`]: an id is outside the vocabulary; the message names it and its index.
    pub fn decode(&self, ids: &[i64], special_tokens: SpecialTokensInDecoded) -> Result<String> {
        match &self.engine {
            Engine::Own(own) => decode::decode(&own.vocab, &own.frame, self.scheme, ids, special_tokens),
            Engine::Json(json) => json.decode(ids, special_tokens),
        }
    }

    /// Number of ids: one more than the largest.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        match &self.engine {
            Engine::Own(own) => own.vocab.len(),
            Engine::Json(json) => json.vocab_size(),
        }
    }

    /// The tokens with these ids.
    ///
    /// # Errors
    /// * [`Error::InvalidArgument`]: an id is outside the vocabulary; the message names it and its index.
    pub fn tokens(&self, ids: &[i64]) -> Result<Vec<String>> {
        let token = |(index, &id)| self.token(id).ok_or_else(|| outside_vocabulary(index, id, self.vocab_size()));
        ids.iter().enumerate().map(token).collect()
    }

    /// The token with this id.
    #[must_use]
    pub fn token(&self, id: i64) -> Option<String> {
        match &self.engine {
            Engine::Own(own) => own.vocab.token(id).map(str::to_owned),
            Engine::Json(json) => json.token(id),
        }
    }

    /// The id of this token.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<i64> {
        match &self.engine {
            Engine::Own(own) => own.vocab.id(token),
            Engine::Json(json) => json.id(token),
        }
    }

    /// Ids of the special tokens.
    #[must_use]
    pub fn special_ids(&self) -> SpecialIds {
        match &self.engine {
            Engine::Own(own) => own.frame.ids,
            Engine::Json(json) => json.special_ids(),
        }
    }

    /// Number of special tokens added to one text, or to a text and its pair.
    #[must_use]
    pub fn n_added_tokens(&self, texts: Texts) -> usize {
        match &self.engine {
            Engine::Own(own) => own.frame.n_added_tokens(texts),
            Engine::Json(json) => json.n_added_tokens(texts),
        }
    }

    /// Whether words of ASCII letters are lower-cased; `false` where a `tokenizer.json` decides.
    #[must_use]
    pub fn lowercases(&self) -> bool {
        match &self.engine {
            Engine::Own(own) => own.lowercases,
            Engine::Json(_) => false,
        }
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}

/// How many texts an encoding is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// A text alone.
    Single,
    /// A text and its pair.
    Pair,
}

/// Ids of the special tokens, `None` where a vocabulary has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// `[CLS]`.
    pub cls: Option<i64>,
    /// `[SEP]`.
    pub sep: Option<i64>,
    /// `[PAD]`.
    pub pad: Option<i64>,
    /// `[UNK]`.
    pub unk: Option<i64>,
    /// `[MASK]`.
    pub mask: Option<i64>,
}

impl SpecialIds {
    /// Those that there are, but for that of unknown words.
    fn known(&self) -> impl Iterator<Item = i64> {
        [self.cls, self.sep, self.pad, self.mask].into_iter().flatten()
    }
}

impl Own {
    fn open(spec: &TokenizerSpec) -> Result<Self> {
        let path = spec.vocab_path.as_deref().ok_or_else(|| Error::NotFound {
            path: spec.dir.join("vocab.txt"),
            what: format!("scheme {} needs this vocabulary", spec.scheme.name()),
        })?;
        let vocab = Vocab::read(path, spec)?;
        let frame = Frame::new(&vocab, path, spec)?;
        let cutter = match spec.scheme {
            Scheme::Bert(variant) => Cutter::Bert(Box::new(bert::BertCutter::new(variant, &vocab, spec, frame.unk))),
            Scheme::ErnieTiny => {
                let model = spec.sentencepiece_path()?;
                let cutter = ernie_tiny::ErnieTinyCutter::open(model, &vocab, spec, frame.unk)?;
                Cutter::ErnieTiny(Box::new(cutter))
            }
            Scheme::ErnieM(variant) => {
                let model = spec.sentencepiece_path()?;
                let cutter = ernie_m::ErnieMCutter::open(variant, model, &vocab, spec, frame.unk)?;
                Cutter::ErnieM(Box::new(cutter))
            }
            Scheme::Ernie | Scheme::TokenizerJson => {
                Cutter::Ernie(Box::new(ernie::ErnieCutter::new(&vocab, spec, frame.unk)))
            }
        };
        Ok(Self { vocab, cutter, frame, lowercases: spec.lowercase })
    }

    fn cut(&self, text: &str, special: SpecialTokensInText) -> Pieces {
        let mut pieces = self.cutter.cut(text, special, &self.vocab);
        if special == SpecialTokensInText::Plain {
            special::remove_from_plain(&mut pieces.ids, &self.frame.all_special, self.frame.unk);
        }
        pieces
    }
}

/// The error for an id that no token has.
fn outside_vocabulary(index: usize, id: i64, vocab_size: usize) -> Error {
    Error::argument(format!("ids[{index}] = {id} is outside the vocabulary of {vocab_size} tokens"))
}

#[cfg(test)]
mod tests;
