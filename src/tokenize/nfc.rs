//! Canonical composition (NFC) of characters that remember where they come from.
//!
//! Only Hugging Face's Python tokenizer composes, and it matters only where accents are kept. Reference: Unicode
//! Standard Annex 15; the tables are those of Unicode 14.0.

use super::unicode::{combining_class, composed, in_ranges, push_nfd};
use super::unicode_tables::NFC_TRIGGER;

/// A character and the bytes of the text it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sourced {
    /// The character.
    pub(super) c: char,
    /// Offset of the first byte it comes from.
    pub(super) begin: usize,
    /// Offset after the last one.
    pub(super) end: usize,
}

/// Whether `c` can make a text differ from its composed form.
pub(super) fn is_trigger(c: char) -> bool {
    // The first such character is U+0300.
    c as u32 >= 0x300 && in_ranges(NFC_TRIGGER, c)
}

/// The composed form of `text`.
pub(super) fn compose(text: &[Sourced]) -> Vec<Sourced> {
    let mut out: Vec<(Sourced, u8)> = Vec::with_capacity(text.len());
    let mut decomposed = Vec::new();
    for source in text {
        decomposed.clear();
        push_nfd(source.c, &mut decomposed);
        out.extend(decomposed.iter().map(|&c| (Sourced { c, ..*source }, combining_class(c))));
    }
    for marks in out.chunk_by_mut(|a, b| a.1 != 0 && b.1 != 0) {
        marks.sort_by_key(|&(_, class)| class);
    }
    compose_ordered(&out)
}

/// Composes decomposed characters in canonical order, each given with its combining class.
fn compose_ordered(text: &[(Sourced, u8)]) -> Vec<Sourced> {
    let mut out: Vec<Sourced> = Vec::with_capacity(text.len());
    let mut starter: Option<usize> = None;
    let mut last_class = 0;
    for &(source, class) in text {
        if let Some(index) = starter {
            let adjacent = index + 1 == out.len();
            // A mark is blocked by one of its own or a higher class between it and the starter.
            let reachable = adjacent || (last_class != 0 && last_class < class);
            if reachable && let Some(c) = composed(out[index].c, source.c) {
                let starter = &mut out[index];
                *starter = Sourced { c, begin: starter.begin.min(source.begin), end: starter.end.max(source.end) };
                continue;
            }
        }
        if class == 0 {
            starter = Some(out.len());
        }
        last_class = class;
        out.push(source);
    }
    out
}
