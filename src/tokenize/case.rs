//! Lower case as `str.lower` of Python has it, with what every byte comes from.

use super::alignment::Alignment;
use super::unicode::{in_ranges, push_lower};
use super::unicode_tables::{CASE_IGNORABLE, CASED};

/// Whether a sigma at the end of a word is written as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FinalSigma {
    /// `text.lower()`.
    Known,
    /// Every character lower-cased alone.
    Unknown,
}

/// Replaces `out` by `text` in lower case.
pub(super) fn lower(text: &str, sigma: FinalSigma, out: &mut String, alignment: &mut Alignment) {
    out.clear();
    alignment.clear();
    out.reserve(text.len());
    let mut chars = Vec::new();
    for (begin, c) in text.char_indices() {
        let end = begin + c.len_utf8();
        chars.clear();
        match c {
            'Σ' if sigma == FinalSigma::Known && ends_word(text, begin, end) => chars.push('ς'),
            _ => push_lower(c, &mut chars),
        }
        let at = out.len();
        out.extend(chars.iter());
        match out.len() - at {
            n_bytes if n_bytes == end - begin && chars.len() == 1 => alignment.push_same(n_bytes, begin),
            n_bytes => alignment.push_changed(n_bytes, begin, end),
        }
    }
}

/// Whether a sigma at `begin..end` is the last letter of a word of several: characters that case passes over are skipped
/// on both sides. Between two sigmas every character is looked at twice at most.
fn ends_word(text: &str, begin: usize, end: usize) -> bool {
    let is_ignored = |c: &char| in_ranges(CASE_IGNORABLE, *c);
    let is_letter = |c: char| in_ranges(CASED, c);
    text[..begin].chars().rev().find(|c| !is_ignored(c)).is_some_and(is_letter)
        && !text[end..].chars().find(|c| !is_ignored(c)).is_some_and(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenize::alignment::Cursor;
    use crate::tokenize::encoding::Span;

    fn lowered(text: &str, sigma: FinalSigma) -> String {
        let mut out = String::new();
        lower(text, sigma, &mut out, &mut Alignment::default());
        out
    }

    #[test]
    fn a_sigma_is_final_behind_a_letter_and_before_none() {
        for (text, wanted) in [
            ("ΟΔΟΣ", "οδος"),
            ("ΟΔΟΣ.", "οδος."),
            ("Σ", "σ"),
            (" Σ ", " σ "),
            ("AΣB", "aσb"),
            ("A\u{301}Σ\u{301} ", "a\u{301}ς\u{301} "),
            ("A'Σ'B", "a'σ'b"),
            ("ΣΣ", "σς"),
        ] {
            assert_eq!(lowered(text, FinalSigma::Known), wanted, "{text}");
        }
        assert_eq!(lowered("ΟΔΟΣ", FinalSigma::Unknown), "οδοσ");
    }

    #[test]
    fn changed_lengths_are_led_back() {
        let (text, mut out, mut alignment) = ("Aİ\u{212a}b", String::new(), Alignment::default());
        lower(text, FinalSigma::Known, &mut out, &mut alignment);
        assert_eq!(out, "ai\u{307}kb");
        let mut cursor = Cursor::default();
        let mut span = |from, to| alignment.span(&mut cursor, from, to);
        assert_eq!(span(0, 1), Span { begin: 0, end: 1 });
        assert_eq!(span(1, 2), Span { begin: 1, end: 3 });
        assert_eq!(span(4, 5), Span { begin: 3, end: 6 });
        assert_eq!(span(5, 6), Span { begin: 6, end: 7 });
    }
}
