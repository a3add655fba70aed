//! A text as a model sees it: rules applied, white space squeezed and written as U+2581.
//!
//! Reference: `Normalizer::Normalize` of SentencePiece. Most characters begin no rule, which a table tells, so that runs of
//! them are copied.

use super::super::alignment::Alignment;
use super::super::trie::{Trie, sorted};
use super::SPACE_SYMBOL;
use super::charsmap::CharsMap;
use super::model::{Kind, Model};

/// Size of the table of characters; the rest of Unicode is looked up.
const N_TABLED: usize = 0x1_0000;

/// Which rules a character can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// None, whatever follows.
    Plain,
    /// None, if what follows is ASCII: letters, which accents may follow.
    PlainBeforeAscii,
    /// Has to be looked up.
    Other,
}

/// The normaliser of a model.
#[derive(Debug)]
pub(super) struct Normalizer {
    classes: Box<[Class]>,
    rules: Option<CharsMap>,
    /// User-defined pieces, which no rule touches.
    untouched: Option<Trie>,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    treat_whitespace_as_suffix: bool,
    space: &'static str,
}

impl Normalizer {
    /// The normaliser that `model` describes.
    pub(super) fn new(model: &Model<'_>) -> Result<Self, String> {
        let rules = match model.precompiled_charsmap {
            [] => None,
            bytes => Some(CharsMap::parse(bytes)?),
        };
        let untouched = model.pieces.iter().filter(|piece| piece.kind == Kind::UserDefined);
        let mut untouched = sorted(untouched.map(|piece| (piece.text.as_bytes(), 0)).collect());
        untouched.dedup();
        let untouched = (!untouched.is_empty()).then(|| Trie::build(&untouched));
        let classes = (0..N_TABLED as u32).map(|code| class(code, rules.as_ref(), untouched.is_some())).collect();
        Ok(Self {
            classes,
            rules,
            untouched,
            add_dummy_prefix: model.add_dummy_prefix,
            remove_extra_whitespaces: model.remove_extra_whitespaces,
            treat_whitespace_as_suffix: model.treat_whitespace_as_suffix,
            space: if model.escape_whitespaces { SPACE_SYMBOL } else { " " },
        })
    }

    /// Replaces `out` by the normal form of `text` and `alignment` by where it comes from.
    pub(super) fn normalize(&self, text: &str, out: &mut String, alignment: &mut Alignment) {
        out.clear();
        alignment.clear();
        let mut at = 0;
        if self.remove_extra_whitespaces {
            while let Some((n_bytes, " ")) = self.prefix(&text[at..]) {
                at += n_bytes;
            }
        }
        if at == text.len() {
            return;
        }
        out.reserve(text.len() - at + 2 * self.space.len());
        let add_space = |out: &mut String, alignment: &mut Alignment, begin, end| {
            out.push_str(self.space);
            alignment.push_changed(self.space.len(), begin, end);
        };
        if self.add_dummy_prefix && !self.treat_whitespace_as_suffix {
            add_space(out, alignment, at, at);
        }
        let mut after_space = self.remove_extra_whitespaces;
        loop {
            let n_plain = self.plain_len(&text[at..]);
            if n_plain > 0 {
                out.push_str(&text[at..at + n_plain]);
                alignment.push_same(n_plain, at);
                at += n_plain;
                after_space = false;
            }
            let Some((n_bytes, replacement)) = self.prefix(&text[at..]) else { break };
            let (begin, end) = (at, at + n_bytes);
            at = end;
            let kept = if after_space { replacement.trim_start_matches(' ') } else { replacement };
            if !kept.is_empty() {
                // The parts between blanks; most often the only one, and the text's own bytes.
                for (index, part) in kept.split(' ').enumerate() {
                    if index > 0 {
                        add_space(out, alignment, begin, end);
                    }
                    out.push_str(part);
                    match part == &text[begin..end] {
                        true => alignment.push_same(n_bytes, begin),
                        false => alignment.push_changed(part.len(), begin, end),
                    }
                }
                after_space = kept.ends_with(' ');
            }
            after_space &= self.remove_extra_whitespaces;
        }
        if self.remove_extra_whitespaces {
            let len = out.trim_end_matches(self.space).len();
            out.truncate(len);
            alignment.truncate(len);
        }
        if self.add_dummy_prefix && self.treat_whitespace_as_suffix {
            add_space(out, alignment, text.len(), text.len());
        }
    }

    /// How many bytes of `text` from its beginning are neither blanks nor part of a rule.
    #[inline]
    fn plain_len(&self, text: &str) -> usize {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii() {
                let is_plain = match self.classes[usize::from(byte)] {
                    Class::Plain => true,
                    Class::PlainBeforeAscii => bytes.get(at + 1).is_none_or(u8::is_ascii),
                    Class::Other => false,
                };
                if !is_plain {
                    break;
                }
                at += 1;
            } else {
                let Some(c) = text[at..].chars().next() else { break };
                if self.classes.get(c as usize) != Some(&Class::Plain) {
                    break;
                }
                at += c.len_utf8();
            }
        }
        at
    }

    /// What `text` begins with: how many bytes, and what they become. `None` at the end.
    #[inline]
    fn prefix<'a>(&'a self, text: &'a str) -> Option<(usize, &'a str)> {
        let first = text.chars().next()?;
        if let Some((n_bytes, _)) = self.untouched.as_ref().and_then(|trie| trie.longest(text.as_bytes())) {
            return Some((n_bytes, &text[..n_bytes]));
        }
        if let Some(found) = self.rules.as_ref().and_then(|rules| rules.longest(text)) {
            return Some(found);
        }
        Some((first.len_utf8(), &text[..first.len_utf8()]))
    }
}

/// The class of a code point. A blank is never plain, and nothing is where user-defined pieces have to be looked for.
fn class(code: u32, rules: Option<&CharsMap>, has_untouched: bool) -> Class {
    let Some(c) = char::from_u32(code).filter(|&c| c != ' ' && !has_untouched) else { return Class::Other };
    let Some(rules) = rules else { return Class::Plain };
    let mut text = String::from(c);
    if !rules.begins(&text) {
        return Class::Plain;
    }
    let begins_with_ascii = |text: &mut String, second: u8| {
        text.truncate(c.len_utf8());
        text.push(char::from(second));
        rules.begins(text)
    };
    let is_alone = rules.longest(&text).is_some();
    if !c.is_ascii() || is_alone || (0..=0x7F).any(|second| begins_with_ascii(&mut text, second)) {
        return Class::Other;
    }
    Class::PlainBeforeAscii
}
