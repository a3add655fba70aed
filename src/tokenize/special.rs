//! Special tokens as they stand in a text: `[MASK]`, `[SEP]` and what a configuration adds.
//!
//! Where several begin at one place the longest counts, as in the references' tries.

use super::trie::{Trie, sorted};
use super::unicode::push_lower;
use super::vocab::Vocab;
use crate::model_dir::tokenizer::TokenizerSpec;
use std::collections::HashMap;

/// Whether texts are lower-cased before tokens are looked for, as the Python base classes do it: then a token that is written
/// in lower case is found however it is written in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// Tokens as they are written.
    Exact,
    /// Lower-cased texts too.
    LowerCased,
}

/// Tokens recognised in texts.
#[derive(Clone, Debug)]
pub(super) struct SpecialTokens {
    trie: Trie,
    /// Whether some token begins with a byte.
    begins: Box<[bool; 256]>,
    /// The only first byte, if it is ASCII: almost always `[`.
    only_first: Option<char>,
    /// Tokens written in lower case, where texts are lower-cased; almost always none.
    folded: Vec<(Box<[char]>, i64)>,
}

impl SpecialTokens {
    /// The special tokens of `vocab` by the names in `spec`.
    pub(super) fn new(vocab: &Vocab, spec: &TokenizerSpec, search: Search) -> Self {
        let named = special_names(spec).filter_map(|name| Some((name, vocab.id(name)?)));
        let added = spec.added_tokens.iter().map(|token| (token.content.as_str(), token.id));
        // Of equal names the first counts.
        let mut tokens: HashMap<&str, i64> = HashMap::new();
        for (name, id) in added.chain(named).filter(|(name, _)| !name.is_empty()) {
            tokens.entry(name).or_insert(id);
        }
        let mut begins = Box::new([false; 256]);
        let mut folded = Vec::new();
        for (token, id) in &tokens {
            begins[usize::from(token.as_bytes()[0])] = true;
            if search == Search::LowerCased
                && spec.lowercase
                && token.chars().any(char::is_lowercase)
                && is_lower(token)
            {
                folded.push((token.chars().collect(), *id));
            }
        }
        let mut firsts = (0_u8..=255).filter(|&byte| begins[usize::from(byte)]);
        let only_first = firsts.next().filter(|first| first.is_ascii() && firsts.next().is_none()).map(char::from);
        let entries = sorted(tokens.iter().map(|(token, id)| (token.as_bytes(), *id as i32)).collect());
        Self { trie: Trie::build(&entries), begins, only_first, folded }
    }

    /// Whether some token begins with this byte.
    #[inline]
    pub(super) fn may_begin(&self, byte: u8) -> bool {
        self.begins[usize::from(byte)]
    }

    /// The token at the beginning of `rest`: its length in bytes and its id.
    pub(super) fn at(&self, rest: &[u8]) -> Option<(usize, i64)> {
        self.trie.longest(rest).map(|(n_bytes, id)| (n_bytes, i64::from(id)))
    }

    /// Whether `text` has a byte that some token begins with.
    pub(super) fn may_be_in(&self, text: &str) -> bool {
        match self.only_first {
            Some(first) => text.contains(first),
            None => text.bytes().any(|byte| self.may_begin(byte)),
        }
    }

    /// The first token in `text` from byte `from` on: its offsets and its id.
    pub(super) fn next_in(&self, text: &str, from: usize) -> Option<(usize, usize, i64)> {
        if !self.folded.is_empty() {
            return text[from..].char_indices().find_map(|(at, _)| {
                let (n_bytes, id) = self.folded_at(&text[from + at..])?;
                Some((from + at, from + at + n_bytes, id))
            });
        }
        let mut from = from;
        loop {
            let at = match self.only_first {
                Some(first) => from + text[from..].find(first)?,
                None => from + text.as_bytes()[from..].iter().position(|&byte| self.may_begin(byte))?,
            };
            if let Some((n_bytes, id)) = self.at(&text.as_bytes()[at..]) {
                return Some((at, at + n_bytes, id));
            }
            from = at + 1;
        }
    }

    /// As [`at`](Self::at), with tokens in lower case however they are written.
    fn folded_at(&self, rest: &str) -> Option<(usize, i64)> {
        let exact = self.at(rest.as_bytes());
        let folded = self.folded.iter().filter_map(|(token, id)| Some((folded_len(rest, token)?, *id)));
        exact.into_iter().chain(folded).max_by_key(|(n_bytes, _)| *n_bytes)
    }
}

/// The names of all special tokens.
pub(super) fn special_names(spec: &TokenizerSpec) -> impl Iterator<Item = &str> {
    let named = [&spec.cls, &spec.sep, &spec.unk, &spec.pad];
    named.into_iter().chain(&spec.mask).chain(&spec.additional_special).map(String::as_str)
}

/// Whether lower-casing changes nothing.
pub(super) fn is_lower(text: &str) -> bool {
    let mut lower = Vec::new();
    text.chars().all(|c| {
        lower.clear();
        push_lower(c, &mut lower);
        lower == [c]
    })
}

/// Length of the beginning of `text` that is `token` when every character is lower-cased.
fn folded_len(text: &str, token: &[char]) -> Option<usize> {
    let mut rest = token;
    let mut lower = Vec::new();
    for (at, c) in text.char_indices() {
        if rest.is_empty() {
            return Some(at);
        }
        lower.clear();
        push_lower(c, &mut lower);
        rest = rest.strip_prefix(lower.as_slice())?;
    }
    rest.is_empty().then_some(text.len())
}

/// Makes special tokens that plain text happened to produce unknown: with unusual names (`sep` without brackets) a word
/// of the text can be one. `special` is sorted.
pub(super) fn remove_from_plain(ids: &mut [i64], special: &[i64], unk: i64) {
    for id in ids {
        if special.binary_search(id).is_ok() {
            *id = unk;
        }
    }
}
