//! Scheme `ernie-m`: SentencePiece, then pieces are split at ideographs, some punctuation and digits.
//!
//! References: `ErnieMTokenizer` of PaddleNLP 2.8.1 and of transformers 4.57, with their base classes: special tokens are
//! cut out of the text first; ids are those of the split pieces' texts in `vocab.txt`.

use super::alignment::Alignment;
use super::case::{FinalSigma, lower};
use super::encoding::Pieces;
use super::places::Places;
use super::sentencepiece::{Encoded, Piece, SPACE_SYMBOL, SentencePiece};
use super::special::{Search, SpecialTokens};
use super::vocab::Vocab;
use super::{SpecialTokensInText, unicode, unicode_tables};
use crate::error::Result;
use crate::model_dir::tokenizer::{ErnieMVariant, TokenizerSpec};
use std::path::Path;

/// Size of the table of characters; the rest of Unicode is looked up.
const N_TABLED: u32 = 0x1_0000;
/// In the table of pieces: has to be split.
const SPLIT: i32 = -1;

/// Cuts texts as described above.
#[derive(Debug)]
pub(super) struct ErnieMCutter {
    variant: ErnieMVariant,
    model: SentencePiece,
    /// Ids of the pieces that are split into themselves, else `SPLIT`.
    ids: Vec<i32>,
    /// Ids of words of one character, for the first 65,536.
    singles: Vec<i32>,
    /// The id of the mark for a blank alone.
    space: i64,
    special: SpecialTokens,
    unk: i64,
    lowercase: bool,
}

impl ErnieMCutter {
    /// A cutter with the SentencePiece model in `path`.
    pub(super) fn open(
        variant: ErnieMVariant,
        path: &Path,
        vocab: &Vocab,
        spec: &TokenizerSpec,
        unk: i64,
    ) -> Result<Self> {
        let mut ids = Vec::new();
        let model = SentencePiece::open(path, |piece| {
            let mut parts = 0;
            split(piece, |begin, end| parts += if (begin, end) == (0, piece.len()) { 1 } else { 2 });
            ids.push(match parts {
                1 => vocab.id(piece).unwrap_or(unk) as i32,
                _ => SPLIT,
            });
        })?;
        let special = SpecialTokens::new(vocab, spec, Search::LowerCased);
        let space = vocab.id(SPACE_SYMBOL).unwrap_or(unk);
        let single = |c: char| vocab.id(c.encode_utf8(&mut [0; 4])).unwrap_or(unk) as i32;
        let singles = (0..N_TABLED).map(|code| char::from_u32(code).map_or(unk as i32, single)).collect();
        Ok(Self { variant, model, ids, singles, space, special, unk, lowercase: spec.lowercase })
    }

    /// The tokens of `text`.
    pub(super) fn cut(&self, text: &str, special: SpecialTokensInText, vocab: &Vocab) -> Pieces {
        let mut out = Pieces::with_capacity_for(text);
        let mut scratch = Scratch::default();
        let mut at = 0;
        if special == SpecialTokensInText::Recognize {
            while let Some((begin, end, id)) = self.special.next_in(text, at) {
                self.cut_segment(text, at, begin, vocab, &mut scratch, &mut out);
                out.push(id, begin, end);
                at = end;
            }
        }
        self.cut_segment(text, at, text.len(), vocab, &mut scratch, &mut out);
        out
    }

    /// Appends the tokens of `text[begin..end]`, which holds no special tokens.
    fn cut_segment(
        &self,
        text: &str,
        begin: usize,
        end: usize,
        vocab: &Vocab,
        scratch: &mut Scratch,
        out: &mut Pieces,
    ) {
        // PaddleNLP drops white space next to special tokens, not at the ends of the text.
        let strips = self.variant == ErnieMVariant::PaddleNlp;
        let mut segment = &text[begin..end];
        let mut offset = begin;
        if strips && begin > 0 {
            segment = segment.trim_start_matches(unicode::is_space);
            offset = end - segment.len();
        }
        if strips && end < text.len() {
            segment = segment.trim_end_matches(unicode::is_space);
        }
        let Scratch { encoded, lowered, alignment } = scratch;
        if self.lowercase {
            lower(segment, FinalSigma::Unknown, lowered, alignment);
            segment = lowered;
        }
        self.model.encode(segment, encoded);
        let lowered = self.lowercase.then_some(&*alignment);
        let mut places = Places { encoded, lowered, within: 0, offset, cursors: Default::default() };
        for (index, piece) in encoded.pieces.iter().enumerate() {
            if self.keeps_space(index, encoded) {
                places.push(self.space, piece, out);
                continue;
            }
            match piece.id.map(|id| self.ids[id as usize]) {
                Some(id) if id != SPLIT => places.push(i64::from(id), piece, out),
                _ => {
                    let text = encoded.text(piece);
                    split(text, |begin, end| {
                        let id = self.id(&text[begin..end], vocab);
                        let part = Piece { id: None, begin: piece.begin + begin, end: piece.begin + end };
                        places.push(id, &part, out);
                    });
                }
            }
        }
    }
}

impl ErnieMCutter {
    /// The id of a part of a piece.
    #[inline]
    fn id(&self, part: &str, vocab: &Vocab) -> i64 {
        let mut chars = part.chars();
        match (chars.next().and_then(|c| self.singles.get(c as usize)), chars.next()) {
            (Some(&id), None) => i64::from(id),
            _ => vocab.id(part).unwrap_or(self.unk),
        }
    }

    /// Whether a piece is the mark for a blank and stays: with Hugging Face inside a text, before a piece without one.
    fn keeps_space(&self, index: usize, encoded: &Encoded) -> bool {
        self.variant == ErnieMVariant::Hf
            && index > 0
            && encoded.text(&encoded.pieces[index]) == SPACE_SYMBOL
            && encoded.pieces.get(index + 1).is_some_and(|next| !encoded.text(next).starts_with(SPACE_SYMBOL))
    }
}

/// Memory reused from segment to segment.
#[derive(Default)]
struct Scratch {
    encoded: Encoded,
    lowered: String,
    alignment: Alignment,
}

/// Splits a piece at ideographs, some punctuation, and where digits begin or end; a mark for a blank alone is dropped.
/// `emit` gets the ranges of the parts.
fn split(piece: &str, mut emit: impl FnMut(usize, usize)) {
    if piece == SPACE_SYMBOL {
        return;
    }
    let mut from = 0;
    let mut after_digit = false;
    let mut keep = |begin: usize, end: usize| {
        if end > begin && &piece[begin..end] != SPACE_SYMBOL {
            emit(begin, end);
        }
    };
    for (at, c) in piece.char_indices() {
        let is_digit = is_digit(c);
        let digits_change = at > 0 && is_digit != after_digit;
        after_digit = is_digit;
        if c == '\u{2581}' {
            continue;
        }
        if is_split_off(c) {
            keep(from, at);
            from = at + c.len_utf8();
            keep(at, from);
        } else if digits_change {
            keep(from, at);
            from = at;
        }
    }
    if from < piece.len() {
        // What is left is kept even if it is a mark for a blank.
        emit(from, piece.len());
    }
}

/// Ideographs of the main block, and some punctuation.
#[inline]
fn is_split_off(c: char) -> bool {
    matches!(
        c,
        '\u{4e00}'
            ..='\u{9fff}'
                | ','
                | ';'
                | ':'
                | '.'
                | '?'
                | '!'
                | '~'
                | '，'
                | '；'
                | '：'
                | '。'
                | '？'
                | '！'
                | '《'
                | '》'
                | '【'
                | '】'
    )
}

/// `str.isdigit` of one character.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && unicode::in_ranges(unicode_tables::DIGIT, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_split_as_by_the_reference() {
        for (piece, wanted) in [
            ("▁", &[][..]),
            ("▁hello", &["▁hello"]),
            ("▁的", &["的"]),
            ("中国", &["中", "国"]),
            ("▁2019年", &["2019", "年"]),
            ("a1b", &["a", "1", "b"]),
            ("▁1", &["1"]),
            ("x,y", &["x", ",", "y"]),
            ("▁,", &[","]),
            ("x²", &["x", "²"]),
            ("1▁", &["1▁"]),
            ("1▁a", &["1▁a"]),
            ("的▁", &["的", "▁"]),
        ] {
            let mut parts = Vec::new();
            split(piece, |begin, end| parts.push(&piece[begin..end]));
            assert_eq!(parts, wanted, "{piece}");
        }
    }
}
