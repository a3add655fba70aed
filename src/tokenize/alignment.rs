//! Where the bytes of a normalised text come from in the text they were made of.
//!
//! Nearly everything stands in both as it is, so what is kept is runs, not bytes.

use super::encoding::Span;

/// A stretch of the normalised text.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where it begins in the normalised text; it ends where the next one begins.
    at: usize,
    /// The bytes of the source that it comes from.
    begin: usize,
    end: usize,
    /// Whether it is those bytes.
    same: bool,
}

/// Runs of a normalised text, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Alignment {
    runs: Vec<Run>,
    len: usize,
}

/// A place in an [`Alignment`]: makes a walk from front to back cost no searches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor(usize);

impl Alignment {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.len = 0;
    }

    /// The text goes on with `n_bytes` that stand at `begin` in the source.
    #[inline]
    pub(super) fn push_same(&mut self, n_bytes: usize, begin: usize) {
        match self.runs.last_mut() {
            Some(last) if last.same && last.end == begin => last.end = begin + n_bytes,
            _ => self.runs.push(Run { at: self.len, begin, end: begin + n_bytes, same: true }),
        }
        self.len += n_bytes;
    }

    /// The text goes on with `n_bytes` made of `begin..end` of the source, which is empty for what was put in.
    #[inline]
    pub(super) fn push_changed(&mut self, n_bytes: usize, begin: usize, end: usize) {
        if n_bytes > 0 {
            self.runs.push(Run { at: self.len, begin, end, same: false });
            self.len += n_bytes;
        }
    }

    /// Keeps the first `len` bytes, which must not end inside what comes from several bytes together.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.runs.last().is_some_and(|run| run.at >= len) {
            self.runs.pop();
        }
        if let Some(last) = self.runs.last_mut().filter(|run| run.same) {
            last.end = last.begin + (len - last.at);
        }
        self.len = len;
    }

    /// The bytes of the source that `from..to` of the normalised text comes from. Ranges must be asked for in order.
    #[inline]
    pub(super) fn span(&self, cursor: &mut Cursor, from: usize, to: usize) -> Span {
        let Some(first) = self.seek(cursor, from) else {
            let end = self.runs.last().map_or(0, |run| run.end);
            return Span { begin: end, end };
        };
        let begin = if first.same { first.begin + (from - first.at) } else { first.begin };
        if from >= to {
            return Span { begin, end: begin };
        }
        let last = self.seek(cursor, to - 1).unwrap_or(first);
        let end = if last.same { last.begin + (to - last.at) } else { last.end };
        Span { begin, end: end.max(begin) }
    }

    /// Whether the byte at `at` stands in the source as it is.
    #[inline]
    pub(super) fn is_same(&self, cursor: &mut Cursor, at: usize) -> bool {
        self.seek(cursor, at).is_some_and(|run| run.same)
    }

    /// The run of byte `at`.
    #[inline]
    fn seek(&self, cursor: &mut Cursor, at: usize) -> Option<&Run> {
        while self.runs.get(cursor.0 + 1).is_some_and(|next| next.at <= at) {
            cursor.0 += 1;
        }
        self.runs.get(cursor.0).filter(|_| at < self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_led_back() {
        let mut alignment = Alignment::default();
        alignment.push_changed(3, 0, 0);
        alignment.push_same(4, 0);
        alignment.push_same(2, 4);
        alignment.push_changed(3, 6, 8);
        alignment.push_same(5, 8);
        let mut cursor = Cursor::default();
        let mut span = |from, to| {
            let span = alignment.span(&mut cursor, from, to);
            (span.begin, span.end)
        };
        assert_eq!(span(0, 3), (0, 0));
        assert_eq!(span(0, 5), (0, 2));
        assert_eq!(span(5, 9), (2, 6));
        assert_eq!(span(8, 10), (5, 8));
        assert_eq!(span(10, 13), (6, 9));
        assert_eq!(span(13, 17), (9, 13));
        alignment.truncate(9);
        assert_eq!(alignment.span(&mut Cursor::default(), 3, 9), Span { begin: 0, end: 6 });
        assert_eq!(alignment.span(&mut Cursor::default(), 9, 9), Span { begin: 6, end: 6 });
    }
}
