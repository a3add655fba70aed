//! Characters as the references see them: classes, lower case, canonical decomposition.
//!
//! All lookups are exact for the tables of [`super::unicode_tables`]; the schemes paint the classes of the first 65,536
//! code points into tables of their own and come here for the rest.

use super::unicode_tables as tables;
use std::cmp::Ordering;

/// Whether `c` lies in one of the sorted `ranges`.
pub(super) fn in_ranges(ranges: &[(u32, u32)], c: char) -> bool {
    let c = c as u32;
    let after = ranges.partition_point(|&(first, _)| first <= c);
    after > 0 && c <= ranges[after - 1].1
}

/// `str.isspace` of Python.
pub(super) fn is_space(c: char) -> bool {
    match c {
        '\u{0}'..='\u{7f}' => matches!(c, ' ' | '\t'..='\r' | '\u{1c}'..='\u{1f}'),
        _ => in_ranges(tables::SPACE, c),
    }
}

/// An ideograph of the blocks that BERT splits.
pub(super) fn is_cjk(c: char) -> bool {
    matches!(c as u32,
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F
        | 0x2B740..=0x2B81F | 0x2B820..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

/// `str.lower` of one character alone, appended to `out`.
pub(super) fn push_lower(c: char, out: &mut Vec<char>) {
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
    } else if c == '\u{130}' {
        out.extend(['i', '\u{307}']);
    } else {
        out.push(lower_of(c));
    }
}

fn lower_of(c: char) -> char {
    let code = c as u32;
    let after = tables::LOWER.partition_point(|&(first, ..)| first <= code);
    if after == 0 {
        return c;
    }
    let (first, last, step, delta) = tables::LOWER[after - 1];
    if code > last || !(code - first).is_multiple_of(step) {
        return c;
    }
    code.checked_add_signed(delta).and_then(char::from_u32).unwrap_or(c)
}

const HANGUL_FIRST: u32 = 0xAC00;
const HANGUL_N: u32 = 11172;
const HANGUL_T_N: u32 = 28;
const HANGUL_VT_N: u32 = 588;
const JAMO_L: u32 = 0x1100;
const JAMO_V: u32 = 0x1161;
const JAMO_T: u32 = 0x11A7;

/// The full canonical decomposition of one character (Unicode 14.0), appended to `out`.
pub(super) fn push_nfd(c: char, out: &mut Vec<char>) {
    let code = c as u32;
    if let Some(syllable) = code.checked_sub(HANGUL_FIRST).filter(|&index| index < HANGUL_N) {
        let jamo = [
            Some(JAMO_L + syllable / HANGUL_VT_N),
            Some(JAMO_V + syllable % HANGUL_VT_N / HANGUL_T_N),
            Some(JAMO_T + syllable % HANGUL_T_N).filter(|&t| t != JAMO_T),
        ];
        out.extend(jamo.into_iter().flatten().filter_map(char::from_u32));
        return;
    }
    match tables::NFD_KEYS.binary_search(&code) {
        Ok(index) => {
            let begin = if index == 0 { 0 } else { usize::from(tables::NFD_ENDS[index - 1]) };
            let end = usize::from(tables::NFD_ENDS[index]);
            out.extend(tables::NFD_TEXT[begin..end].chars());
        }
        Err(_) => out.push(c),
    }
}

/// As [`push_nfd`], with the older tables of the fast tokenizer.
pub(super) fn push_nfd_fast(c: char, out: &mut Vec<char>) {
    if tables::FAST_NOT_DECOMPOSED.binary_search(&(c as u32)).is_ok() {
        out.push(c);
    } else {
        push_nfd(c, out);
    }
}

/// The canonical composition of two characters.
pub(super) fn composed(first: char, second: char) -> Option<char> {
    let (a, b) = (first as u32, second as u32);
    if let (Some(l), Some(v)) = (a.checked_sub(JAMO_L), b.checked_sub(JAMO_V))
        && l < 19
        && v < 21
    {
        return char::from_u32(HANGUL_FIRST + l * HANGUL_VT_N + v * HANGUL_T_N);
    }
    if let (Some(syllable), Some(t)) = (a.checked_sub(HANGUL_FIRST), b.checked_sub(JAMO_T))
        && syllable < HANGUL_N
        && syllable.is_multiple_of(HANGUL_T_N)
        && (1..HANGUL_T_N).contains(&t)
    {
        return char::from_u32(a + t);
    }
    let found = tables::COMPOSED.binary_search_by(|&(x, y, _)| (x, y).cmp(&(a, b))).ok()?;
    char::from_u32(tables::COMPOSED[found].2)
}

/// The canonical combining class.
pub(super) fn combining_class(c: char) -> u8 {
    let code = c as u32;
    let order = |&(first, last, _): &(u32, u32, u8)| {
        if code < first {
            Ordering::Greater
        } else if code > last {
            Ordering::Less
        } else {
            Ordering::Equal
        }
    };
    // No combining mark lies below U+0300, where most texts live.
    if code < 0x300 {
        return 0;
    }
    tables::COMBINING.binary_search_by(order).map_or(0, |index| tables::COMBINING[index].2)
}
