//! Answers as the 2021 script of reading comprehension writes them: tokens of a passage -> the bytes that it prints.
//!
//! Reference: `_tokenize_chinese_chars` of `demo/mrc/mrc_reader.py` and `_get_final_text` of `demo/mrc/mrc_metrics.py` of
//! paddle-ernie. The passage is cut into single ideographs and runs of everything else. An answer is looked for in
//! the runs that it lies in, both written as BERT's basic tokenizer writes them; where it is not found there, or lengths differ (a word that the
//! vocabulary lacks, accents, folded characters), the whole runs are the answer.

use std::collections::HashMap;
use std::ops::Range;

use super::encoding::Span;
use super::unicode::{is_cjk, is_space, push_nfd};
use super::{unicode, unicode_tables as tables};

/// Runs longer than this are not searched: an answer in them is what its tokens cover.
const MAX_RUNS_BYTES: usize = 1 << 16;
/// Ranges of runs that are remembered.
const MAX_KNOWN: usize = 256;

/// A passage, cut into runs, with what was found out about ranges of them.
#[derive(Debug)]
pub struct FinalText<'a> {
    passage: &'a str,
    lowercase: bool,
    /// Where each run begins, and the end of the passage.
    bounds: Vec<usize>,
    known: HashMap<Range<usize>, Basic>,
}

/// A text as the basic tokenizer writes it, and where its characters that are no blanks come from.
#[derive(Debug, Default)]
struct Basic {
    /// Tokens with a blank between.
    text: String,
    /// Bytes of `text` where its characters but blanks begin.
    places: Vec<usize>,
    /// The same in the text that it is of, where blank is U+0020 alone.
    sources: Vec<Span>,
}

impl<'a> FinalText<'a> {
    /// Cuts `passage`; `lowercase` is that of the tokenizer.
    #[must_use]
    pub fn new(passage: &'a str, lowercase: bool) -> Self {
        let mut bounds = Vec::new();
        let mut in_run = false;
        for (at, c) in passage.char_indices() {
            let is_single = is_cjk(c);
            if is_single || !in_run {
                bounds.push(at);
            }
            in_run = !is_single;
        }
        bounds.push(passage.len());
        Self { passage, lowercase, bounds, known: HashMap::new() }
    }

    /// The bytes of the answer whose first and last token cover `first` and `last`, and whose tokens are `tokens`.
    pub fn span(&mut self, first: Span, last: Span, tokens: &[String]) -> Span {
        let run_of = |byte: usize| self.bounds.partition_point(|bound| *bound <= byte).saturating_sub(1);
        let (begin, end) = (run_of(first.begin), run_of(last.begin) + 1);
        let whole =
            Span { begin: self.bounds[begin], end: self.bounds.get(end).copied().unwrap_or(self.passage.len()) };
        if whole.end - whole.begin > MAX_RUNS_BYTES {
            return Span { begin: first.begin, end: last.end };
        }
        // The basic tokenizer never writes it: it lies between brackets of its own.
        if tokens.iter().any(|token| token == "[UNK]") {
            return whole;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        let (passage, lowercase) = (self.passage, self.lowercase);
        let basic =
            self.known.entry(begin..end).or_insert_with(|| Basic::of(&passage[whole.begin..whole.end], lowercase));
        let found = basic.find(&joined(tokens));
        found.map_or(whole, |span| Span { begin: whole.begin + span.begin, end: whole.begin + span.end })
    }
}

/// Pieces put together to words, with one blank between.
fn joined(tokens: &[String]) -> String {
    let text = tokens.join(" ").replace(" ##", "").replace("##", "");
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

impl Basic {
    fn of(text: &str, lowercase: bool) -> Self {
        let mut basic = Self { text: basic_tokens(text, lowercase).join(" "), ..Self::default() };
        basic.places = basic.text.char_indices().filter(|(_, c)| *c != ' ').map(|(at, _)| at).collect();
        let sources = text.char_indices().filter(|(_, c)| *c != ' ');
        basic.sources = sources.map(|(at, c)| Span { begin: at, end: at + c.len_utf8() }).collect();
        basic
    }

    fn find(&self, wanted: &str) -> Option<Span> {
        let begin = self.text.find(wanted)?;
        let last = begin + wanted.len() - wanted.chars().next_back().map_or(0, char::len_utf8);
        if self.places.len() != self.sources.len() {
            return None;
        }
        let source = |place: usize| self.places.binary_search(&place).ok().map(|number| self.sources[number]);
        Some(Span { begin: source(begin)?.begin, end: source(last)?.end })
    }
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || !c.is_ascii() && unicode::in_ranges(tables::PUNCTUATION, c)
}

/// BERT's basic tokenizer.
fn basic_tokens(text: &str, lowercase: bool) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' => spaced.push(' '),
            '\0' | '\u{fffd}' => {}
            _ if unicode::in_ranges(tables::CONTROL, c) => {}
            _ if is_cjk(c) => spaced.extend([' ', c, ' ']),
            _ => spaced.push(c),
        }
    }
    let mut tokens = Vec::new();
    let mut mapped = Vec::new();
    for word in spaced.split(is_space).filter(|word| !word.is_empty()) {
        mapped.clear();
        match lowercase {
            true => lowered(word, &mut mapped),
            false => mapped.extend(word.chars()),
        }
        let mut starts_new = true;
        for c in mapped.drain(..) {
            let is_alone = is_punctuation(c);
            match tokens.last_mut() {
                Some(last) if !is_alone && !starts_new => String::push(last, c),
                _ => tokens.push(c.to_string()),
            }
            starts_new = is_alone;
        }
    }
    // Normalisation may have made white space.
    let split = tokens.iter().flat_map(|token| token.split(is_space)).filter(|token| !token.is_empty());
    split.map(ToOwned::to_owned).collect()
}

/// Lower case without accents.
fn lowered(word: &str, out: &mut Vec<char>) {
    let mut lower = String::new();
    super::case::lower(word, super::case::FinalSigma::Known, &mut lower, &mut super::alignment::Alignment::default());
    lower.chars().for_each(|c| push_nfd(c, out));
    out.retain(|&c| !unicode::in_ranges(tables::MARK, c));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn final_text(passage: &str, answer: &str, tokens: &[&str]) -> String {
        let begin = passage.find(answer).unwrap();
        let first = Span { begin, end: begin + 1 };
        let last = Span { begin: begin + answer.len() - 1, end: begin + answer.len() };
        let tokens: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
        let span = FinalText::new(passage, true).span(first, last, &tokens);
        passage[span.begin..span.end].to_owned()
    }

    #[test]
    fn a_part_of_a_run_is_found_in_it() {
        assert_eq!(final_text("他说Porcupine wallopped him", "lopped", &["##lop", "##ped"]), "lopped");
        assert_eq!(final_text("于1992年4月", "1992年4", &["1992", "年", "4"]), "1992年4");
    }

    #[test]
    fn endless_runs_are_not_searched() {
        let passage = format!("中{}good{}", " ".repeat(1 << 16), " ".repeat(1 << 16));
        assert_eq!(final_text(&passage, "good", &["good"]), "good");
    }

    #[test]
    fn where_letters_differ_the_whole_run_is_the_answer() {
        assert_eq!(final_text("去Café noir吧", "noir", &["[UNK]"]), "Café noir");
        // Decomposed, the accent is a character that the basic tokenizer drops.
        assert_eq!(final_text("去e\u{301} noir吧", "noir", &["noir"]), "e\u{301} noir");
        assert_eq!(final_text("去Café noir吧", "noir", &["noir"]), "noir");
    }
}
