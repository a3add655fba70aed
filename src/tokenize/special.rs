//! Special tokens as they stand in a text: `[MASK]`, `[SEP]` and what a configuration adds.
//!
//! Where several begin at one place the longest counts, as in the references' tries.

use super::SpecialIds;
use super::vocab::Vocab;
use crate::model_dir::tokenizer::TokenizerSpec;
use std::collections::HashMap;

/// Tokens recognised in texts.
#[derive(Clone, Debug)]
pub(super) struct SpecialTokens {
    tokens: HashMap<Box<[u8]>, i64>,
    /// The lengths of tokens in bytes, longest first.
    lengths: Vec<usize>,
    /// Whether some token begins with a byte.
    begins: Box<[bool; 256]>,
    /// The only first byte, if it is ASCII: almost always `[`.
    only_first: Option<char>,
}

impl SpecialTokens {
    /// The special tokens of `vocab` by the names in `spec`.
    pub(super) fn new(vocab: &Vocab, spec: &TokenizerSpec) -> Self {
        let named = [&spec.cls, &spec.sep, &spec.unk, &spec.pad];
        let named = named.into_iter().chain(&spec.mask).chain(&spec.additional_special);
        let mut tokens: Vec<(Box<str>, i64)> = spec
            .added_tokens
            .iter()
            .map(|token| (token.content.as_str().into(), token.id))
            .chain(named.filter_map(|name| Some((name.as_str().into(), vocab.id(name)?))))
            .collect();
        tokens.retain(|(token, _)| !token.is_empty());
        let mut begins = Box::new([false; 256]);
        for (token, _) in &tokens {
            begins[usize::from(token.as_bytes()[0])] = true;
        }
        let mut firsts = (0_u8..=255).filter(|&byte| begins[usize::from(byte)]);
        let only_first = firsts.next().filter(|first| first.is_ascii() && firsts.next().is_none()).map(char::from);
        let mut lengths: Vec<usize> = tokens.iter().map(|(token, _)| token.len()).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        // Of equal names the first counts.
        let tokens = tokens.into_iter().rev().map(|(token, id)| (token.into_boxed_bytes(), id)).collect();
        Self { tokens, lengths, begins, only_first }
    }

    /// Whether some token begins with this byte.
    #[inline]
    pub(super) fn may_begin(&self, byte: u8) -> bool {
        self.begins[usize::from(byte)]
    }

    /// The token at the beginning of `rest`: its length in bytes and its id.
    pub(super) fn at(&self, rest: &[u8]) -> Option<(usize, i64)> {
        self.lengths.iter().find_map(|&n_bytes| Some((n_bytes, *self.tokens.get(rest.get(..n_bytes)?)?)))
    }

    /// The first token in `text` from byte `from` on: its offsets and its id.
    pub(super) fn next_in(&self, text: &str, from: usize) -> Option<(usize, usize, i64)> {
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
}

/// Makes special tokens that plain text happened to produce unknown: with unusual names (`sep` without brackets) a word
/// of the text can be one.
pub(super) fn remove_from_plain(ids: &mut [i64], special: &SpecialIds, unk: i64) {
    for id in ids {
        if special.contains(*id) {
            *id = unk;
        }
    }
}
