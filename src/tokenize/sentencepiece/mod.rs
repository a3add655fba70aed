//! SentencePiece models of type unigram: text in, pieces with their places out.
//!
//! Reference: the `sentencepiece` library 0.2.3 (`SentencePieceProcessor::Encode`), whose arithmetic is followed to the
//! last bit: which of two nearly equal segmentations wins depends on the order and the width of its sums.
//!
//! Rooms: `model` reads the file, `charsmap` is its normalisation rules, `normalize` applies them, `unigram` finds the
//! best segmentation.

mod charsmap;
mod model;
mod normalize;
mod unigram;

use super::alignment::Alignment;
use crate::bounded_file;
use crate::error::{Error, Result};
use normalize::Normalizer;
use std::path::Path;
use unigram::{Best, Unigram};

/// What stands for a blank, and for the beginning of a text.
pub(super) const SPACE_SYMBOL: &str = "\u{2581}";

/// Largest model read; that of XLM-R and ERNIE-M has 5 MB.
const MAX_MODEL_BYTES: u64 = 64 << 20;

/// A piece of a text: `begin..end` of the normalised text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The piece's number in the model, `None` for a stretch of unknown characters.
    pub(super) id: Option<u32>,
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// A model, opened.
#[derive(Debug)]
pub(super) struct SentencePiece {
    normalizer: Normalizer,
    unigram: Unigram,
}

/// What [`SentencePiece::encode`] gives, and memory kept from text to text.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The text as the model sees it.
    pub(super) normalized: String,
    /// Where its bytes come from.
    pub(super) alignment: Alignment,
    /// Its pieces.
    pub(super) pieces: Vec<Piece>,
    best: Vec<Best>,
}

impl Encoded {
    /// A piece as the model sees it.
    pub(super) fn text(&self, piece: &Piece) -> &str {
        &self.normalized[piece.begin..piece.end]
    }
}

impl SentencePiece {
    /// Reads the model in `path`. `visit` gets every piece that a text can be cut into, in the order of their numbers.
    ///
    /// # Errors
    /// * [`Error::NotFound`], [`Error::Io`], [`Error::InvalidModel`]: not there, not readable, broken.
    /// * [`Error::Unsupported`]: of another type than unigram.
    pub(super) fn open(path: &Path, visit: impl FnMut(&str)) -> Result<Self> {
        let bytes = bounded_file::read(path, MAX_MODEL_BYTES)?;
        Self::parse(path, &bytes, visit)
    }

    /// The number of pieces of the model in `path`, of every kind.
    ///
    /// # Errors
    /// * [`Error::NotFound`], [`Error::Io`], [`Error::InvalidModel`]: not there, not readable, broken.
    pub(super) fn n_pieces(path: &Path) -> Result<usize> {
        let bytes = bounded_file::read(path, MAX_MODEL_BYTES)?;
        model::parse(&bytes).map(|model| model.pieces.len()).map_err(|reason| Error::model(path, reason))
    }

    /// The model in `bytes`; `path` is for messages.
    pub(super) fn parse(path: &Path, bytes: &[u8], mut visit: impl FnMut(&str)) -> Result<Self> {
        let model = model::parse(bytes).map_err(|reason| Error::model(path, reason))?;
        if let Some(kind) = model.other_type() {
            let reason = format!("{}: a SentencePiece model of type {kind}, not unigram", path.display());
            return Err(Error::Unsupported(reason));
        }
        let normalizer = Normalizer::new(&model).map_err(|reason| Error::model(path, reason))?;
        let unigram = Unigram::new(&model).map_err(|reason| Error::model(path, reason))?;
        model.pieces.iter().for_each(|piece| visit(piece.text));
        Ok(Self { normalizer, unigram })
    }

    /// Cuts `text` into pieces. Offsets of `encoded.alignment` are bytes of `text`.
    pub(super) fn encode(&self, text: &str, encoded: &mut Encoded) {
        let Encoded { normalized, alignment, pieces, best } = encoded;
        self.normalizer.normalize(text, normalized, alignment);
        self.unigram.cut(normalized, best, pieces);
    }
}

#[cfg(test)]
pub(super) mod tests;
