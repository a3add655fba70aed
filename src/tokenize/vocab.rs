//! `vocab.txt`: one token a line, the line number is the id.
//!
//! Lines end as Python's text files do (`\n`, `\r\n` or `\r`); a byte order mark is dropped; a token that stands in
//! several lines has the id of the last. Files of `paddle-ernie` and ERNIE-M may be `token<TAB>id`: their schemes cut at the
//! first tab, and those of `paddle-ernie` strip blanks; the others take a line as it is.

use super::sentencepiece::SentencePiece;
use super::special::special_names;
use super::trie::{Trie, sorted};
use crate::bounded_file;
use crate::error::{Error, Result};
use crate::model_dir::tokenizer::{ErnieMVariant, Scheme, TokenizerSpec};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Largest vocabulary read; the largest of the family, ERNIE-M's, has 5 MB.
const MAX_VOCAB_BYTES: u64 = 64 << 20;

/// Longest token; those of the family have 50 bytes.
const MAX_TOKEN_BYTES: usize = 1 << 14;

/// Longest special token: every place of a text may be compared with all of it.
const MAX_SPECIAL_BYTES: usize = 256;

/// Tokens and their ids.
#[derive(Debug)]
pub(super) struct Vocab {
    /// All tokens, one after another.
    text: String,
    /// Where the token of each id ends in `text`.
    ends: Vec<usize>,
    /// Token -> id, for the tokens of the file.
    trie: Arc<Trie>,
    /// How many different tokens the file has.
    n_distinct: usize,
    /// Tokens that a configuration adds behind the file.
    added: BTreeMap<i64, String>,
    /// The same the other way round.
    added_ids: HashMap<String, i64>,
}

impl Vocab {
    /// Reads `path` and adds what `spec` adds.
    pub(super) fn read(path: &Path, spec: &TokenizerSpec) -> Result<Self> {
        let bytes = bounded_file::read(path, MAX_VOCAB_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))?;
        let mut vocab = Self::parse(&text, spec.scheme);
        if vocab.ends.is_empty() {
            return Err(Error::model(path, "an empty vocabulary"));
        }
        let longest =
            (0..vocab.ends.len()).find(|&id| vocab.token(id as i64).is_some_and(|t| t.len() > MAX_TOKEN_BYTES));
        if let Some(id) = longest {
            return Err(Error::model(path, format!("line {}: a token of more than {MAX_TOKEN_BYTES} bytes", id + 1)));
        }
        let added = spec.added_tokens.iter().map(|token| token.content.as_str()).chain(special_names(spec));
        if let Some(name) = added.into_iter().find(|name| name.len() > MAX_SPECIAL_BYTES) {
            let n_bytes = name.len();
            let reason = format!("a special or added token has {n_bytes} bytes, {MAX_SPECIAL_BYTES} are the most");
            return Err(Error::model(&spec.dir, reason));
        }
        vocab.add_tokens(spec)?;
        if vocab.len() >= 1 << 31 {
            return Err(Error::model(path, "with its added tokens, ids reach 2^31"));
        }
        Ok(vocab)
    }

    /// The vocabulary in the text of a `vocab.txt`.
    pub(super) fn parse(file: &str, scheme: Scheme) -> Self {
        let mut text = String::with_capacity(file.len());
        let mut ends = Vec::new();
        for line in lines(file.strip_prefix('\u{feff}').unwrap_or(file)) {
            let token = match scheme {
                Scheme::Ernie | Scheme::ErnieTiny => before_tab(line.trim_matches(super::unicode::is_space)),
                Scheme::ErnieM(_) => before_tab(line),
                Scheme::Bert(_) | Scheme::TokenizerJson => line,
            };
            text.push_str(token);
            ends.push(text.len());
        }
        let (trie, n_distinct) = build_trie(&text, &ends);
        let trie = Arc::new(trie);
        Self { text, ends, trie, n_distinct, added: BTreeMap::new(), added_ids: HashMap::new() }
    }

    /// Takes in added tokens with their ids; special tokens without one are put at the end, as Hugging Face does.
    ///
    /// A new token's id is the number of different tokens, which is not the number of lines where one stands twice. For
    /// PaddleNLP's ERNIE-M the number is that of its SentencePiece model.
    fn add_tokens(&mut self, spec: &TokenizerSpec) -> Result<()> {
        let n_known = match spec.scheme {
            Scheme::ErnieM(ErnieMVariant::PaddleNlp) if !spec.additional_special.is_empty() => {
                SentencePiece::n_pieces(spec.sentencepiece_path()?)?
            }
            _ => self.n_distinct,
        };
        for token in &spec.added_tokens {
            if self.token(token.id) != Some(&token.content) && token.id >= self.ends.len() as i64 {
                self.add(token.id, &token.content);
            }
        }
        for token in &spec.additional_special {
            if self.id(token).is_none() {
                self.add((n_known + self.added_ids.len()) as i64, token);
            }
        }
        Ok(())
    }

    fn add(&mut self, id: i64, token: &str) {
        if id >= self.ends.len() as i64 {
            self.added.insert(id, token.to_owned());
        }
        let known = self.added_ids.entry(token.to_owned()).or_insert(id);
        *known = id.min(*known);
    }

    /// One more than the largest id.
    pub(super) fn len(&self) -> usize {
        let added = self.added.last_key_value().map_or(0, |(id, _)| *id as usize + 1);
        added.max(self.ends.len())
    }

    /// Whether a configuration added the token with this id.
    pub(super) fn is_added(&self, id: i64) -> bool {
        self.added.contains_key(&id)
    }

    /// The token with this id.
    pub(super) fn token(&self, id: i64) -> Option<&str> {
        let index = usize::try_from(id).ok()?;
        match self.ends.get(index) {
            Some(&end) => {
                let begin = if index == 0 { 0 } else { self.ends[index - 1] };
                self.text.get(begin..end)
            }
            None => self.added.get(&id).map(String::as_str),
        }
    }

    /// The id of this token.
    pub(super) fn id(&self, token: &str) -> Option<i64> {
        let in_file = self.trie.find(token.as_bytes()).and_then(|node| self.trie.value(node)).map(i64::from);
        in_file.or_else(|| self.added_ids.get(token).copied())
    }

    /// Token -> id, for longest-match search.
    pub(super) fn trie(&self) -> Arc<Trie> {
        Arc::clone(&self.trie)
    }
}

fn before_tab(line: &str) -> &str {
    line.split_once('\t').map_or(line, |(token, _)| token)
}

/// The lines of a text file as Python splits them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
        let n_ending = match &bytes[end..] {
            [] => 0,
            [b'\r', b'\n', ..] => 2,
            _ => 1,
        };
        let line = &rest[..end];
        rest = &rest[end + n_ending..];
        Some(line)
    })
}

fn build_trie(text: &str, ends: &[usize]) -> (Trie, usize) {
    let mut entries = Vec::with_capacity(ends.len());
    let mut begin = 0;
    for (id, &end) in ends.iter().enumerate() {
        entries.push((&text.as_bytes()[begin..end], id as i32));
        begin = end;
    }
    // Among equal tokens the last line comes first, so that it is the one kept.
    let mut entries = sorted(entries);
    entries.dedup_by(|later, kept| later.0 == kept.0);
    (Trie::build(&entries), entries.len())
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Error {
    let n_valid = error.utf8_error().valid_up_to();
    let valid = String::from_utf8_lossy(&error.as_bytes()[..n_valid]);
    let n_lines = lines(&valid).count();
    let line = if valid.is_empty() || valid.ends_with(['\n', '\r']) { n_lines + 1 } else { n_lines };
    Error::model_from(path, format!("line {line} is not UTF-8"), error.utf8_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str, scheme: Scheme) -> Vec<String> {
        let vocab = Vocab::parse(text, scheme);
        (0..vocab.len()).map(|id| vocab.token(id as i64).unwrap().to_owned()).collect()
    }

    #[test]
    fn every_way_to_end_a_line_counts_once() {
        let bert = Scheme::Bert(crate::model_dir::tokenizer::BertVariant::HfSlow);
        assert_eq!(tokens("\u{feff}a\r\nb\n\nc\rd", bert), ["a", "b", "", "c", "d"]);
        assert_eq!(tokens("a\nb\n", bert), ["a", "b"]);
        assert_eq!(tokens("a\t0\n b \t1\n", bert), ["a\t0", " b \t1"]);
    }

    #[test]
    fn scheme_ernie_strips_and_cuts_at_tabs() {
        assert_eq!(tokens("a\t0\n b \u{3000}\nc\t2\t3\r\n", Scheme::Ernie), ["a", "b", "c"]);
    }

    #[test]
    fn the_last_of_equal_tokens_wins() {
        let vocab = Vocab::parse("$\na\n$\n", Scheme::Ernie);
        assert_eq!((vocab.id("$"), vocab.token(0), vocab.token(2)), (Some(2), Some("$"), Some("$")));
        assert_eq!((vocab.id("b"), vocab.token(3), vocab.token(-1)), (None, None, None));
    }

    #[test]
    fn broken_utf8_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocab.txt");
        std::fs::write(&path, b"a\r\nb\n\xff\n").unwrap();
        let spec = TokenizerSpec::with_defaults(dir.path(), Scheme::Ernie);
        let error = Vocab::read(&path, &spec).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
