//! Where the pieces of a SentencePiece model stand in the caller's text.

use super::alignment::{Alignment, Cursor};
use super::encoding::{Pieces, Span};
use super::sentencepiece::{Encoded, Piece, SPACE_SYMBOL};

/// Leads pieces back to the caller's text, through normalisation and lower-casing.
pub(super) struct Places<'a> {
    /// What the pieces are of: a part of a text, which may have been lower-cased.
    pub(super) encoded: &'a Encoded,
    /// Where the lower-cased text comes from.
    pub(super) lowered: Option<&'a Alignment>,
    /// Where the part begins in its text.
    pub(super) within: usize,
    /// Where that text begins in the caller's.
    pub(super) offset: usize,
    /// One for each alignment; the second is given on from part to part.
    pub(super) cursors: [Cursor; 2],
}

impl Places<'_> {
    /// Appends a token for `piece`. The mark for a blank belongs to it, the blank itself does not, unless it is all.
    #[inline]
    pub(super) fn push(&mut self, id: i64, piece: &Piece, out: &mut Pieces) {
        let [normal, lower] = &mut self.cursors;
        let Encoded { normalized, alignment, .. } = self.encoded;
        let mut begin = piece.begin;
        if piece.end - begin > SPACE_SYMBOL.len()
            && normalized[begin..].starts_with(SPACE_SYMBOL)
            && !alignment.is_same(normal, begin)
        {
            begin += SPACE_SYMBOL.len();
        }
        let span = alignment.span(normal, begin, piece.end);
        let (begin, end) = (self.within + span.begin, self.within + span.end);
        let span = self.lowered.map_or(Span { begin, end }, |lowered| lowered.span(lower, begin, end));
        // A character that became several can be cut between them: all of them cover it.
        let last_end = out.spans.last().map_or(0, |last| last.end);
        out.push(id, self.offset + span.begin, (self.offset + span.end).max(last_end));
    }
}
