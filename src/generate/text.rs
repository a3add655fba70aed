//! The text of tokens as far as it can no longer change, and where it ends.

/// How far a text was handed out.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextStream {
    handed_out: String,
}

/// The text before the first of `stop`, and whether there is one. Of several the one that begins first.
pub(crate) fn before_stop<'a>(text: &'a str, stop: &[String]) -> (&'a str, bool) {
    // A search for what is longer than the text would go through all of it first.
    let possible = stop.iter().filter(|stop| stop.len() <= text.len());
    let first = possible.filter_map(|stop| text.find(stop.as_str())).min();
    first.map_or((text, false), |at| (&text[..at], true))
}

impl TextStream {
    /// What can be handed out of `text`, of which more may follow: the end is held back where it may become something else, or
    /// one of `stop`.
    pub(crate) fn next<'a>(&mut self, text: &'a str, stop: &[String]) -> &'a str {
        let held = stop.iter().map(|stop| overlap(text, stop)).max().unwrap_or(0);
        // Bytes that are no character yet, and white space that would be cut at the end.
        let may_vanish = |c: char| c == char::REPLACEMENT_CHARACTER || c.is_whitespace();
        self.hand_out(text[..text.len() - held].trim_end_matches(may_vanish))
    }

    /// The rest of `text`, to which nothing is added.
    pub(crate) fn finish<'a>(&mut self, text: &'a str) -> &'a str {
        self.hand_out(text)
    }

    fn hand_out<'a>(&mut self, text: &'a str) -> &'a str {
        // A tokenizer that takes back what it wrote is not followed: what was handed out stays.
        let rest = text.strip_prefix(self.handed_out.as_str()).unwrap_or_default();
        self.handed_out.push_str(rest);
        rest
    }
}

/// Bytes at the end of `text` with which `stop` begins.
fn overlap(text: &str, stop: &str) -> usize {
    let lengths = stop.char_indices().map(|(at, _)| at).chain([stop.len()]);
    lengths
        .take_while(|length| *length <= text.len())
        .filter(|length| text.ends_with(&stop[..*length]))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_beginning_of_a_stop_string_is_held_back_until_it_is_none() {
        let stop = ["。好".to_owned(), "end".to_owned()];
        let mut stream = TextStream::default();
        assert_eq!(stream.next("天气", &stop), "天气");
        assert_eq!(stream.next("天气。", &stop), "");
        assert_eq!(stream.next("天气。很", &stop), "。很");
        assert_eq!(stream.next("天气。很 en", &stop), "");
        assert_eq!(stream.next("天气。很 enough", &stop), " enough");
        assert_eq!(before_stop("天气。很。好end", &stop), ("天气。很", true));
        assert_eq!(before_stop("天气", &stop), ("天气", false));
    }

    #[test]
    fn characters_that_are_not_whole_and_blanks_at_the_end_wait() {
        let mut stream = TextStream::default();
        assert_eq!(stream.next("a\u{FFFD}", &[]), "a");
        assert_eq!(stream.next("aé ", &[]), "é");
        assert_eq!(stream.next("aé b", &[]), " b");
        assert_eq!(stream.finish("aé b!"), "!");
    }

    proptest! {
        #[test]
        fn pieces_are_the_text(tokens in proptest::collection::vec("[ab 。]{1,3}", 0..12), stop in "[ab。]{1,3}") {
            let stop = [stop];
            let (mut text, mut pieces, mut stream) = (String::new(), String::new(), TextStream::default());
            let mut is_stopped = false;
            for token in &tokens {
                text.push_str(token);
                let (kept, stops) = before_stop(&text, &stop);
                is_stopped = stops;
                if stops {
                    pieces.push_str(stream.finish(kept));
                    break;
                }
                pieces.push_str(stream.next(kept, &stop));
            }
            if !is_stopped {
                pieces.push_str(stream.finish(&text));
            }
            prop_assert_eq!(&pieces[..], before_stop(&text, &stop).0);
            prop_assert_eq!(stream.handed_out, pieces);
        }
    }
}
