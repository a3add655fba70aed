//! For tests and fuzzers: stages that the library only uses together.

use super::alignment::Cursor;
use super::encoding::Span;
use super::jieba::Segmenter;
use super::sentencepiece::{Encoded, SentencePiece};
use crate::error::{Error, Result};
use std::ops::Range;
use std::path::Path;

/// The pieces of a text, each as the model sees it, with the bytes of the text that it comes from.
#[expect(unreachable_pub, reason = "named by the public `fuzz`")]
pub type PiecesOf = Box<dyn Fn(&str) -> Result<Vec<(String, Range<usize>)>>>;

/// The pieces of texts by the SentencePiece model in `bytes`. [`Error::Internal`] where a piece lies outside the text or
/// before the one before it.
pub(crate) fn sentencepiece(path: &Path, bytes: &[u8]) -> Result<PiecesOf> {
    let model = SentencePiece::parse(path, bytes, |_| ())?;
    Ok(Box::new(move |text| {
        let mut encoded = Encoded::default();
        model.encode(text, &mut encoded);
        let mut cursor = Cursor::default();
        let mut last = Span::default();
        let mut pieces = Vec::with_capacity(encoded.pieces.len());
        for piece in &encoded.pieces {
            let span = encoded.alignment.span(&mut cursor, piece.begin, piece.end);
            let is_lawful =
                text.get(span.begin..span.end).is_some() && span.begin >= last.begin && span.end >= last.end;
            let seen = encoded.normalized.get(piece.begin..piece.end).filter(|_| is_lawful);
            let seen = seen.ok_or_else(|| Error::Internal(format!("piece {piece:?} at {span:?} of {text:?}")))?;
            last = span;
            pieces.push((seen.to_owned(), span.begin..span.end));
        }
        Ok(pieces)
    }))
}

/// The words of texts as jieba cuts them.
pub(crate) fn jieba() -> Box<dyn Fn(&str) -> Vec<Range<usize>>> {
    let segmenter = Segmenter::new();
    Box::new(move |text| {
        let mut words = Vec::new();
        segmenter.words(text, |word| words.push(word));
        words
    })
}
