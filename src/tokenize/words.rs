//! A word while it is being normalised: its bytes, and for each character the bytes of the text it came from.
//!
//! As long as every character stands in the text as it stands in the word, one offset tells where all of them are from;
//! only words that were changed pay for more.

use super::encoding::Pieces;
use super::wordpiece::{MAX_WORD_CHARS, Piece, WordPiece};

/// Where a character of a changed word comes from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// Offset of the character in the word.
    at: usize,
    begin: usize,
    end: usize,
    combining_class: u8,
}

/// Collects words and cuts them into the tokens of `out`.
#[derive(Debug)]
pub(super) struct Words<'a> {
    word_piece: &'a WordPiece,
    /// The tokens so far.
    pub(super) out: Pieces,
    word: Vec<u8>,
    n_chars: usize,
    /// Bytes of the text that the word covers.
    begin: usize,
    end: usize,
    /// Empty while the word stands in the text as it is.
    origins: Vec<Origin>,
    /// How many characters at the end of `origins` have a combining class and may still have to change places.
    n_marks: usize,
    pieces: Vec<Piece>,
}

impl<'a> Words<'a> {
    /// No words yet; they will be cut by `word_piece`.
    pub(super) fn new(word_piece: &'a WordPiece, out: Pieces) -> Self {
        Self {
            word_piece,
            out,
            word: Vec::with_capacity(4 * MAX_WORD_CHARS),
            n_chars: 0,
            begin: 0,
            end: 0,
            origins: Vec::new(),
            n_marks: 0,
            pieces: Vec::new(),
        }
    }

    /// Whether a word has begun.
    pub(super) fn in_word(&self) -> bool {
        self.n_chars > 0
    }

    /// Appends ASCII characters that stand at `begin` in the text, lower-cased if so asked.
    #[inline]
    pub(super) fn push_ascii(&mut self, run: &[u8], begin: usize, lowercase: bool) {
        if self.n_chars > 0 && (!self.origins.is_empty() || begin != self.end) {
            for (index, byte) in run.iter().enumerate() {
                let byte = if lowercase { byte.to_ascii_lowercase() } else { *byte };
                self.push(char::from(byte), 0, begin + index, begin + index + 1);
            }
            return;
        }
        if self.n_chars == 0 {
            self.begin = begin;
        }
        self.end = begin + run.len();
        self.n_chars += run.len();
        if self.n_chars <= MAX_WORD_CHARS {
            let at = self.word.len();
            self.word.extend_from_slice(run);
            if lowercase {
                self.word[at..].make_ascii_lowercase();
            }
        }
    }

    /// Appends a character that comes from `begin..end` of the text; marks are put into canonical order.
    pub(super) fn push(&mut self, c: char, combining_class: u8, begin: usize, end: usize) {
        let stays = combining_class == 0 && end - begin == c.len_utf8() && (self.n_chars == 0 || begin == self.end);
        if self.n_chars == 0 {
            self.begin = begin;
        }
        self.begin = self.begin.min(begin);
        self.end = if self.n_chars == 0 { end } else { self.end.max(end) };
        self.n_chars += 1;
        if self.n_chars > MAX_WORD_CHARS {
            return;
        }
        if !stays && self.origins.is_empty() {
            self.note_origins();
        }
        let changed = !stays || !self.origins.is_empty();
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        if combining_class == 0 {
            self.n_marks = 0;
        }
        if changed {
            self.insert(bytes, combining_class, begin, end);
        } else {
            self.word.extend_from_slice(bytes);
        }
    }

    /// The text goes on with a character that is dropped: later marks do not change places with earlier ones if it is a
    /// starter.
    pub(super) fn skip(&mut self, combining_class: u8) {
        if combining_class == 0 {
            self.n_marks = 0;
        }
    }

    /// Writes down the origins of the characters so far, which stand in the text as in the word.
    fn note_origins(&mut self) {
        let begin = self.begin;
        let Ok(word) = std::str::from_utf8(&self.word) else { return };
        let origin = |(at, c): (usize, char)| Origin {
            at,
            begin: begin + at,
            end: begin + at + c.len_utf8(),
            combining_class: 0,
        };
        self.origins.extend(word.char_indices().map(origin));
    }

    /// Puts a character at the end, or before the marks of higher classes that it belongs before.
    fn insert(&mut self, bytes: &[u8], combining_class: u8, begin: usize, end: usize) {
        let first_mark = self.origins.len() - self.n_marks;
        let place = self.origins[first_mark..].partition_point(|mark| mark.combining_class <= combining_class);
        let index = first_mark + place;
        let at = self.origins.get(index).map_or(self.word.len(), |mark| mark.at);
        self.word.splice(at..at, bytes.iter().copied());
        for mark in &mut self.origins[index..] {
            mark.at += bytes.len();
        }
        self.origins.insert(index, Origin { at, begin, end, combining_class });
        self.n_marks += usize::from(combining_class > 0);
    }

    /// Ends the word, if one has begun, and appends its tokens.
    #[inline]
    pub(super) fn flush(&mut self) {
        if self.n_chars == 0 {
            return;
        }
        if self.n_chars > MAX_WORD_CHARS {
            self.pieces.clear();
        } else {
            self.word_piece.cut(&self.word, &mut self.pieces);
        }
        if self.pieces.is_empty() {
            self.out.push(self.word_piece.unk(), self.begin, self.end);
        } else if self.origins.is_empty() {
            let mut at = self.begin;
            for piece in &self.pieces {
                self.out.push(piece.id, at, self.begin + piece.end);
                at = self.begin + piece.end;
            }
        } else {
            self.push_changed();
        }
        self.clear();
    }

    /// Ends the word and appends `ids`, each for all of it.
    pub(super) fn flush_as(&mut self, ids: &[i64]) {
        if self.n_chars > 0 {
            ids.iter().for_each(|&id| self.out.push(id, self.begin, self.end));
        }
        self.clear();
    }

    /// The word so far, `None` if it is too long to be kept.
    pub(super) fn word(&self) -> Option<&[u8]> {
        (self.n_chars <= MAX_WORD_CHARS).then_some(&self.word)
    }

    fn clear(&mut self) {
        self.word.clear();
        self.origins.clear();
        self.n_chars = 0;
        self.n_marks = 0;
    }

    /// Appends the pieces of a changed word: each covers what its characters come from.
    fn push_changed(&mut self) {
        let mut origins = self.origins.iter().peekable();
        let (mut last_begin, mut last_end) = (0, 0);
        for piece in &self.pieces {
            let (mut begin, mut end) = (usize::MAX, 0);
            while let Some(origin) = origins.next_if(|origin| origin.at < piece.end) {
                begin = begin.min(origin.begin);
                end = end.max(origin.end);
            }
            // Marks that changed places must not make offsets go back.
            last_begin = begin.max(last_begin);
            last_end = end.max(last_end);
            self.out.push(piece.id, last_begin, last_end);
        }
    }
}
