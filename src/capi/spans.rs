//! Offsets in other units than bytes.

use super::boundary::{self, fallible};
use super::input::ernie_str;
use super::status::ernie_status;
use super::tokens::ernie_span;
use crate::error::{Error, Result};
use crate::tokenize::{Span, TextUnit, convert_spans};

/// Bytes of UTF-8, as all offsets of this library.
pub const ERNIE_UNIT_BYTES: u32 = 0;
/// Unicode code points, as in Python.
pub const ERNIE_UNIT_CODE_POINTS: u32 = 1;
/// UTF-16 code units, as in JavaScript, Java and Windows.
pub const ERNIE_UNIT_UTF16: u32 = 2;

fn unit(value: u32, name: &str) -> Result<TextUnit> {
    match value {
        ERNIE_UNIT_BYTES => Ok(TextUnit::Bytes),
        ERNIE_UNIT_CODE_POINTS => Ok(TextUnit::CodePoints),
        ERNIE_UNIT_UTF16 => Ok(TextUnit::Utf16),
        other => Err(Error::argument(format!("{name} is {other}, it goes from 0 to 2"))),
    }
}

/// Counts `n_spans` spans of `text` in another unit: from `ERNIE_UNIT_...` to `ERNIE_UNIT_...`. Spans may stand in any
/// order; `converted` may be `spans`. The cost is that of one pass over the text. The offsets of a pair's tokens are of two
/// texts: give those of each with its text.
///
/// Errors: `INVALID_UTF8`, `INVALID_ARGUMENT` (NULL, no such unit, or a span beyond the text, backwards or inside a
/// character: the message names it); nothing is written then.
///
/// # Safety
/// - `text` is as `ernie_str` says; `spans` and `converted` point to `n_spans` spans, the second writable, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_spans_convert(
    text: ernie_str,
    from_unit: u32,
    to_unit: u32,
    spans: *const ernie_span,
    n_spans: usize,
    converted: *mut ernie_span,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (text, given) = unsafe { (text.text(|| "text".into())?, boundary::slice(spans, n_spans, "spans")?) };
        let (from, to) = (unit(from_unit, "from_unit")?, unit(to_unit, "to_unit")?);
        let given: Vec<Span> = given.iter().map(|span| Span { begin: span.begin, end: span.end }).collect();
        let found: Vec<ernie_span> = convert_spans(text, from, to, &given)?.into_iter().map(Into::into).collect();
        // SAFETY: the caller's obligation.
        unsafe { boundary::write_all(converted, &found, "converted") }
    })
}
