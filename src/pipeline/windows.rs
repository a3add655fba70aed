//! Which windows a text has, and where each of its tokens is found again in them.

use std::ops::Range;

use crate::batch::context::windows_of_tokens;
use crate::tokenize::{ADDED_TOKEN, Encoding};

/// The encodings of each of `n_inputs` texts, which stand in the order of the texts.
pub(super) fn of_inputs(encodings: &[Encoding], n_inputs: usize) -> Vec<Range<usize>> {
    let begin = |input: usize| encodings.partition_point(|encoding| encoding.input < input);
    (0..n_inputs).map(|input| begin(input)..begin(input + 1)).collect()
}

/// The tokens of an encoding that are of the text (0) or its pair (1).
pub(super) fn content(encoding: &Encoding, sequence: u8) -> Range<usize> {
    let begin = encoding.sequence.iter().position(|s| *s == sequence).unwrap_or(0);
    let n_tokens = encoding.sequence[begin..].iter().take_while(|s| **s == sequence).count();
    begin..begin + n_tokens
}

/// The text that is cut into windows: the pair, where there is one.
pub(super) fn windowed(encoding: &Encoding) -> u8 {
    u8::from(encoding.sequence.contains(&1))
}

/// Ranges of the tokens that each window shows, in the whole text.
pub(super) fn ranges(windows: &[Encoding], sequence: u8) -> Vec<Range<usize>> {
    let range = |encoding: &Encoding| encoding.first_token..encoding.first_token + content(encoding, sequence).len();
    windows.iter().map(range).collect()
}

/// For each token of the text (0) or pair (1): the window that speaks for it, and its place there.
pub(super) fn places(windows: &[Encoding], sequence: u8) -> Vec<(usize, usize)> {
    let Some(first) = windows.first() else { return Vec::new() };
    // What is not cut stands in every window.
    if windows.len() == 1 || windowed(first) != sequence {
        return content(first, sequence).map(|token| (0, token)).collect();
    }
    let ranges = ranges(windows, sequence);
    let n_tokens = ranges.last().map_or(0, |range| range.end);
    let begins: Vec<usize> = windows.iter().map(|window| content(window, sequence).start).collect();
    let owners = windows_of_tokens(&ranges, n_tokens);
    let place = |(token, window): (usize, usize)| (window, begins[window] + token - ranges[window].start);
    owners.into_iter().enumerate().map(place).collect()
}

/// The same for the whole of a text that was cut into windows: the added tokens before its first and behind its last token
/// too.
pub(super) fn all_places(windows: &[Encoding]) -> Vec<(usize, usize)> {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return Vec::new() };
    let sequence = windowed(first);
    let (begin, end) = (content(first, sequence).start, content(last, sequence).end);
    let before = (0..begin).map(|token| (0, token));
    let behind = (end..last.len()).map(|token| (windows.len() - 1, token));
    before.chain(places(windows, sequence)).chain(behind).collect()
}

/// Whether the token is one that was added to the texts.
pub(super) fn is_added(encoding: &Encoding, token: usize) -> bool {
    encoding.sequence.get(token).is_none_or(|sequence| *sequence == ADDED_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(first_token: usize, n_tokens: usize) -> Encoding {
        let mut encoding = Encoding { first_token, ..Encoding::default() };
        encoding.sequence = [ADDED_TOKEN].into_iter().chain(vec![0; n_tokens]).chain([ADDED_TOKEN]).collect();
        encoding.input_ids = vec![0; n_tokens + 2];
        encoding
    }

    #[test]
    fn every_token_is_found_once() {
        let windows = [window(0, 4), window(2, 4)];
        assert_eq!(places(&windows, 0), [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (1, 4)]);
        assert_eq!(all_places(&windows).len(), 8);
        assert_eq!(all_places(&windows)[7], (1, 5));
        assert!(is_added(&windows[0], 0) && !is_added(&windows[0], 1));
    }
}
