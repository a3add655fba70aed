//! WordPiece: a word is cut into the longest vocabulary entries, from left to right; entries that continue a word begin
//! with `##`. If some rest has no entry, or the word is too long, the whole word is the unknown token.
//!
//! Reference: `WordpieceTokenizer` of BERT, `_wordpiece` of paddle-ernie. A walk in the trie of the vocabulary replaces
//! their substring searches; it is bounded by the square of [`MAX_WORD_CHARS`] and usually close to the word's length.

use super::trie::{Node, Trie};
use super::vocab::Vocab;
use std::sync::Arc;

/// Words of more characters than this are unknown.
pub(super) const MAX_WORD_CHARS: usize = 100;

/// A piece of a word: its id and where it ends in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The token's id.
    pub(super) id: i64,
    /// Offset after its last byte.
    pub(super) end: usize,
}

/// The vocabulary as WordPiece sees it.
#[derive(Clone, Debug)]
pub(super) struct WordPiece {
    trie: Arc<Trie>,
    continuing: Option<Node>,
    unk: i64,
}

impl WordPiece {
    /// Pieces of `vocab`; words that cannot be cut are `unk`.
    pub(super) fn new(vocab: &Vocab, unk: i64) -> Self {
        let trie = vocab.trie();
        let continuing = trie.find(b"##");
        Self { trie, continuing, unk }
    }

    /// The id for unknown words.
    pub(super) fn unk(&self) -> i64 {
        self.unk
    }

    /// The id of the whole of `word`.
    pub(super) fn whole(&self, word: &[u8]) -> Option<i64> {
        self.trie.find(word).and_then(|node| self.trie.value(node)).map(i64::from)
    }

    /// The ids of the pieces of `word`.
    pub(super) fn ids_of(&self, word: &str) -> Vec<i64> {
        let mut pieces = Vec::new();
        if word.chars().count() <= MAX_WORD_CHARS {
            self.cut(word.as_bytes(), &mut pieces);
        }
        if pieces.is_empty() { vec![self.unk] } else { pieces.iter().map(|piece| piece.id).collect() }
    }

    /// Replaces `pieces` by those of `word`, UTF-8 of at least one and at most [`MAX_WORD_CHARS`] characters; leaves it
    /// empty for an unknown word.
    #[inline]
    pub(super) fn cut(&self, word: &[u8], pieces: &mut Vec<Piece>) {
        pieces.clear();
        let mut node = Some(self.trie.root());
        let mut at = 0;
        while at < word.len() {
            let longest = node.and_then(|node| self.longest(node, &word[at..]));
            let Some((id, n_bytes)) = longest else {
                pieces.clear();
                return;
            };
            at += n_bytes;
            pieces.push(Piece { id, end: at });
            node = self.continuing;
        }
    }

    /// The longest entry that `rest` begins with.
    #[inline]
    fn longest(&self, mut node: Node, rest: &[u8]) -> Option<(i64, usize)> {
        let mut found = None;
        for (index, &byte) in rest.iter().enumerate() {
            match self.trie.step(node, byte) {
                Some(next) => node = next,
                None => break,
            }
            if let Some(id) = self.trie.value(node) {
                found = Some((i64::from(id), index + 1));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_dir::tokenizer::Scheme;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// The reference's loop: try ever shorter substrings.
    fn naive(word: &str, vocab: &HashMap<String, i64>) -> Option<Vec<i64>> {
        let chars: Vec<char> = word.chars().collect();
        let (mut start, mut ids) = (0, Vec::new());
        while start < chars.len() {
            let prefix = if start > 0 { "##" } else { "" };
            let (end, id) = (start + 1..=chars.len()).rev().find_map(|end| {
                let piece: String = prefix.chars().chain(chars[start..end].iter().copied()).collect();
                vocab.get(&piece).map(|id| (end, *id))
            })?;
            ids.push(id);
            start = end;
        }
        Some(ids)
    }

    proptest! {
        #[test]
        fn longest_match_equals_the_naive_search(
            tokens in prop::collection::vec("(##)?[ab中é]{0,4}", 1..60),
            word in "[ab中é]{1,12}",
        ) {
            let vocab = Vocab::parse(&tokens.join("\n"), Scheme::Ernie);
            let table: HashMap<String, i64> = tokens.iter().zip(0..).map(|(token, id)| (token.clone(), id)).collect();
            let mut pieces = Vec::new();
            WordPiece::new(&vocab, 0).cut(word.as_bytes(), &mut pieces);
            let ids: Vec<i64> = pieces.iter().map(|piece| piece.id).collect();
            prop_assert_eq!(ids, naive(&word, &table).unwrap_or_default());
            prop_assert!(pieces.iter().all(|piece| word.is_char_boundary(piece.end)));
        }

        #[test]
        fn every_token_is_found_by_its_text(tokens in prop::collection::vec("[a-c中国\u{10000}-\u{10010}]{1,6}", 1..200)) {
            let vocab = Vocab::parse(&tokens.join("\n"), Scheme::Ernie);
            for token in &tokens {
                let last = tokens.iter().rposition(|other| other == token).unwrap();
                prop_assert_eq!(vocab.id(token), Some(last as i64));
            }
        }
    }
}
