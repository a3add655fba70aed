//! Scheme `ernie-tiny`: words by jieba, then SentencePiece pieces of each word.
//!
//! Reference: `ErnieTinyTokenizer` in `ernie/tokenizing_ernie.py` of PaddlePaddle/ERNIE 3b9d92f. The text is lower-cased
//! whole; special tokens written in it are text like any other; ids are those of the pieces' texts in `vocab.txt`.

use super::alignment::{Alignment, Cursor};
use super::case::{FinalSigma, lower};
use super::encoding::Pieces;
use super::jieba::Segmenter;
use super::places::Places;
use super::sentencepiece::{Encoded, SentencePiece};
use super::vocab::Vocab;
use crate::error::Result;
use crate::model_dir::tokenizer::TokenizerSpec;
use std::path::Path;

/// Cuts texts as described above.
#[derive(Debug)]
pub(super) struct ErnieTinyCutter {
    segmenter: Segmenter,
    model: SentencePiece,
    /// By piece: its id in `vocab.txt`.
    ids: Vec<i32>,
    unk: i64,
    lowercase: bool,
}

impl ErnieTinyCutter {
    /// A cutter with the SentencePiece model in `path`.
    pub(super) fn open(path: &Path, vocab: &Vocab, spec: &TokenizerSpec, unk: i64) -> Result<Self> {
        let mut ids = Vec::new();
        let model = SentencePiece::open(path, |piece| ids.push(vocab.id(piece).unwrap_or(unk) as i32))?;
        Ok(Self { segmenter: Segmenter::new()?, model, ids, unk, lowercase: spec.lowercase })
    }

    /// The tokens of `text`.
    pub(super) fn cut(&self, text: &str, vocab: &Vocab) -> Pieces {
        let mut out = Pieces::with_capacity_for(text);
        let (mut lowered, mut alignment) = (String::new(), Alignment::default());
        let text = match self.lowercase {
            true => {
                lower(text, FinalSigma::Known, &mut lowered, &mut alignment);
                &lowered
            }
            false => text,
        };
        let mut encoded = Encoded::default();
        let mut cursor = Cursor::default();
        self.segmenter.words(text, |word| {
            self.model.encode(&text[word.clone()], &mut encoded);
            let lowered = self.lowercase.then_some(&alignment);
            let cursors = [Cursor::default(), cursor];
            let mut places = Places { encoded: &encoded, lowered, within: word.start, offset: 0, cursors };
            for piece in &encoded.pieces {
                let id = match piece.id {
                    Some(id) => i64::from(self.ids[id as usize]),
                    None => vocab.id(encoded.text(piece)).unwrap_or(self.unk),
                };
                places.push(id, piece, &mut out);
            }
            cursor = places.cursors[1];
        });
        out
    }
}
