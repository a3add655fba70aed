//! Scheme `ernie`: the regular expression `(special tokens)|([a-zA-Z0-9]+|\S)` of the 2021 `paddle-ernie` package over
//! the raw text; each match that is not a special token is lower-cased as Python does it and cut by WordPiece.
//!
//! No Unicode normalisation, no removal of control characters: every character but ASCII letters and digits is a word.
//! Reference: `ErnieTokenizer` in `ernie/tokenizing_ernie.py` of PaddlePaddle/ERNIE 3b9d92f.

use super::special::{Search, SpecialTokens};
use super::vocab::Vocab;
use super::wordpiece::{MAX_WORD_CHARS, Piece, WordPiece};
use super::{Pieces, SpecialTokensInText, unicode};
use crate::model_dir::tokenizer::TokenizerSpec;

/// Size of the table of characters; the rest of Unicode is looked up.
const N_TABLED: u32 = 0x1_0000;
/// In the table: white space, no token.
const SPACE: i32 = -1;
/// In the table: has to be looked up.
const LOOK_UP: i32 = -2;

/// Cuts texts as described above.
#[derive(Debug)]
pub(super) struct ErnieCutter {
    word_piece: WordPiece,
    special: SpecialTokens,
    lowercase: bool,
    /// Ids of words of one character, or `SPACE` or `LOOK_UP`.
    singles: Vec<i32>,
}

impl ErnieCutter {
    /// A cutter for `vocab`.
    pub(super) fn new(vocab: &Vocab, spec: &TokenizerSpec, unk: i64) -> Self {
        let word_piece = WordPiece::new(vocab, unk);
        let special = SpecialTokens::new(vocab, spec, Search::Exact);
        let mut cutter = Self { word_piece, special, lowercase: spec.lowercase, singles: Vec::new() };
        let mut lower = Vec::new();
        cutter.singles =
            (0..N_TABLED).map(|code| char::from_u32(code).map_or(LOOK_UP, |c| cutter.single(c, &mut lower))).collect();
        cutter
    }

    /// The table's entry for `c`.
    fn single(&self, c: char, lower: &mut Vec<char>) -> i32 {
        if unicode::is_space(c) {
            return SPACE;
        }
        lower.clear();
        self.push_lower(c, lower);
        match lower[..] {
            [one] => {
                let id = self.word_piece.whole(one.encode_utf8(&mut [0; 4]).as_bytes());
                i32::try_from(id.unwrap_or(self.word_piece.unk())).unwrap_or(LOOK_UP)
            }
            _ => LOOK_UP,
        }
    }

    fn push_lower(&self, c: char, out: &mut Vec<char>) {
        if self.lowercase {
            unicode::push_lower(c, out);
        } else {
            out.push(c);
        }
    }

    /// The tokens of `text`.
    pub(super) fn cut(&self, text: &str, special: SpecialTokensInText) -> Pieces {
        let recognize = special == SpecialTokensInText::Recognize;
        let bytes = text.as_bytes();
        let mut out = Pieces::with_capacity_for(text);
        let mut scratch = Scratch::default();
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if recognize
                && self.special.may_begin(byte)
                && let Some((n_bytes, id)) = self.special.at(&bytes[at..])
            {
                out.push(id, at, at + n_bytes);
                at += n_bytes;
            } else if byte.is_ascii_alphanumeric() {
                let n_bytes = bytes[at..].iter().position(|byte| !byte.is_ascii_alphanumeric());
                let end = n_bytes.map_or(bytes.len(), |n_bytes| at + n_bytes);
                self.push_word(&bytes[at..end], at, &mut scratch, &mut out);
                at = end;
            } else {
                at = self.push_character(text, at, &mut scratch, &mut out);
            }
        }
        out
    }

    /// Cuts a run of ASCII letters and digits that begins at `begin`.
    fn push_word(&self, run: &[u8], begin: usize, scratch: &mut Scratch, out: &mut Pieces) {
        if run.len() > MAX_WORD_CHARS {
            out.push(self.word_piece.unk(), begin, begin + run.len());
            return;
        }
        scratch.word.clear();
        scratch.word.extend_from_slice(run);
        if self.lowercase {
            scratch.word.make_ascii_lowercase();
        }
        self.word_piece.cut(&scratch.word, &mut scratch.pieces);
        if scratch.pieces.is_empty() {
            out.push(self.word_piece.unk(), begin, begin + run.len());
        }
        let mut at = begin;
        for piece in &scratch.pieces {
            out.push(piece.id, at, begin + piece.end);
            at = begin + piece.end;
        }
    }

    /// Cuts the word that is the character at `at` and gives the offset after it.
    #[inline]
    fn push_character(&self, text: &str, at: usize, scratch: &mut Scratch, out: &mut Pieces) -> usize {
        let Some(c) = text[at..].chars().next() else { return text.len() };
        let end = at + c.len_utf8();
        match self.singles.get(c as usize).copied().unwrap_or(LOOK_UP) {
            SPACE => {}
            LOOK_UP => self.push_looked_up(c, at, end, scratch, out),
            id => out.push(i64::from(id), at, end),
        }
        end
    }

    /// As [`push_character`](Self::push_character) for characters outside the table, or that become several ones.
    fn push_looked_up(&self, c: char, begin: usize, end: usize, scratch: &mut Scratch, out: &mut Pieces) {
        if unicode::is_space(c) {
            return;
        }
        scratch.lower.clear();
        self.push_lower(c, &mut scratch.lower);
        scratch.word.clear();
        for c in &scratch.lower {
            scratch.word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.word_piece.cut(&scratch.word, &mut scratch.pieces);
        if scratch.pieces.is_empty() {
            out.push(self.word_piece.unk(), begin, end);
        }
        // Pieces of one character all cover it.
        for piece in &scratch.pieces {
            out.push(piece.id, begin, end);
        }
    }
}

/// Memory reused from word to word.
#[derive(Default)]
struct Scratch {
    lower: Vec<char>,
    word: Vec<u8>,
    pieces: Vec<Piece>,
}
