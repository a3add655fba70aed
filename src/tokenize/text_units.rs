//! Places in a text, counted in bytes, code points or UTF-16 code units.

use super::encoding::Span;
use crate::error::{Error, Result};

/// What offsets count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextUnit {
    /// Bytes of UTF-8, as everywhere in this library.
    Bytes,
    /// Unicode code points, as in Python.
    CodePoints,
    /// UTF-16 code units, as in JavaScript, Java and Windows.
    Utf16,
}

impl TextUnit {
    /// How many units a character has.
    fn len(self, c: char) -> usize {
        match self {
            Self::Bytes => c.len_utf8(),
            Self::CodePoints => 1,
            Self::Utf16 => c.len_utf16(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::CodePoints => "code points",
            Self::Utf16 => "UTF-16 code units",
        }
    }
}

/// Counts spans of `text` in other units, in one pass over the text; spans may stand in any order.
///
/// # Errors
/// * [`Error::InvalidArgument`]: a span ends beyond the text or before it begins, or an offset is inside a character; the
///   message names the span.
pub fn convert_spans(text: &str, from: TextUnit, to: TextUnit, spans: &[Span]) -> Result<Vec<Span>> {
    if let Some(index) = spans.iter().position(|span| span.begin > span.end) {
        let Span { begin, end } = spans[index];
        return Err(Error::argument(format!("spans[{index}] begins at {begin}, behind its end {end}")));
    }
    let mut converted = spans.to_vec();
    // Ends, then begins: each of them rises in what tokenizers give, so that sorting has nothing to do.
    let mut order: Vec<usize> = (0..spans.len()).collect();
    for end in [false, true] {
        let offset = |span: &Span| if end { span.end } else { span.begin };
        order.sort_by_key(|&index| offset(&spans[index]));
        let mut chars = text.chars();
        let (mut at, mut target) = (0, 0);
        for &index in &order {
            let wanted = offset(&spans[index]);
            while at < wanted {
                let Some(c) = chars.next() else {
                    let what = from.name();
                    return Err(Error::argument(format!(
                        "spans[{index}]: {wanted} is beyond the {at} {what} of the text"
                    )));
                };
                at += from.len(c);
                target += to.len(c);
            }
            if at > wanted {
                let what = from.name();
                return Err(Error::argument(format!("spans[{index}]: {wanted} {what} is inside a character")));
            }
            match end {
                true => converted[index].end = target,
                false => converted[index].begin = target,
            }
        }
    }
    Ok(converted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNITS: [TextUnit; 3] = [TextUnit::Bytes, TextUnit::CodePoints, TextUnit::Utf16];

    fn span(begin: usize, end: usize) -> Span {
        Span { begin, end }
    }

    #[test]
    fn units_are_those_of_python_and_javascript() {
        let (text, spans) = ("é😀中", [span(6, 9), span(0, 2), span(2, 6), span(9, 9)]);
        let convert = |to| convert_spans(text, TextUnit::Bytes, to, &spans).unwrap();
        assert_eq!(convert(TextUnit::CodePoints), [span(2, 3), span(0, 1), span(1, 2), span(3, 3)]);
        assert_eq!(convert(TextUnit::Utf16), [span(3, 4), span(0, 1), span(1, 3), span(4, 4)]);
    }

    #[test]
    fn offsets_that_are_none_are_named() {
        for (unit, bad, wanted) in [
            (TextUnit::Bytes, span(0, 1), "spans[1]: 1 bytes is inside"),
            (TextUnit::Utf16, span(0, 2), "spans[1]: 2 UTF-16 code units is inside"),
            (TextUnit::CodePoints, span(3, 4), "spans[1]: 4 is beyond the 3 code points"),
            (TextUnit::Bytes, span(2, 0), "spans[1] begins at 2"),
            (TextUnit::Bytes, span(0, usize::MAX), "beyond"),
        ] {
            let error = convert_spans("é😀中", unit, TextUnit::Bytes, &[span(0, 0), bad]).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(text in "\\PC{0,20}", ends in prop::collection::vec((0..21_usize, 0..21_usize), 0..9)) {
            let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let at = |index: usize| starts[index.min(starts.len() - 1)];
            let spans: Vec<Span> = ends.iter().map(|&(a, b)| span(at(a.min(b)), at(a.max(b)))).collect();
            for unit in UNITS {
                let there = convert_spans(&text, TextUnit::Bytes, unit, &spans).unwrap();
                prop_assert_eq!(&convert_spans(&text, unit, TextUnit::Bytes, &there).unwrap(), &spans);
            }
        }
    }
}
