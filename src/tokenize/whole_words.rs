//! Which tokens make a word together.

use std::borrow::Cow;
use std::ops::Range;

use super::encoding::{Pieces, Span};
use super::unicode::is_cjk;
use super::{Engine, Tokenizer};
use crate::model_dir::tokenizer::Scheme;

impl Tokenizer {
    /// Whether the token is never a word of its own: it goes on with the word before it.
    #[must_use]
    pub fn continues_word(&self, id: i64) -> bool {
        let token = match &self.engine {
            Engine::Own(own) => own.vocab.token(id).map(Cow::Borrowed),
            Engine::Json(json) => json.token(id).map(Cow::Owned),
        };
        token.is_some_and(|token| match self.scheme {
            Scheme::ErnieTiny | Scheme::ErnieM(_) => is_inside_of_word(&token),
            _ => token.starts_with("##"),
        })
    }

    /// The words of a text, as ranges of its tokens: pieces of a word belong together, and tokens of one character.
    #[must_use]
    pub fn words(&self, pieces: &Pieces) -> Vec<Range<usize>> {
        // WordPiece marks what goes on, whatever was dropped before it; SentencePiece marks what begins.
        let must_touch = matches!(self.scheme, Scheme::ErnieTiny | Scheme::ErnieM(_));
        let mut words: Vec<Range<usize>> = Vec::new();
        let mut covered = Span::default();
        for (token, (id, span)) in pieces.ids.iter().zip(&pieces.spans).enumerate() {
            let touches = span.begin <= covered.end;
            let goes_on = span.begin < covered.end
                || self.continues_word(*id) && (touches || !must_touch)
                || touches && covered.begin == covered.end;
            match words.last_mut() {
                Some(word) if goes_on => word.end = token + 1,
                _ => {
                    words.push(token..token + 1);
                    covered = *span;
                }
            }
            covered.end = covered.end.max(span.end);
        }
        words
    }
}

/// Whether a SentencePiece token lies inside a word: letters or digits of a script that separates words.
fn is_inside_of_word(token: &str) -> bool {
    token.chars().all(|c| c.is_alphanumeric() && !is_cjk(c) && !matches!(c as u32, 0x3040..=0x30FF))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_dir::tokenizer::{BertVariant, ErnieMVariant};
    use crate::tokenize::SpecialTokensInText;
    use crate::tokenize::tests::open;

    fn words(scheme: Scheme, text: &str) -> Vec<String> {
        let tokenizer = open(scheme);
        let pieces = tokenizer.cut(text, SpecialTokensInText::Recognize).unwrap();
        let bytes = |word: Range<usize>| pieces.spans[word.start].begin..pieces.spans[word.end - 1].end;
        tokenizer.words(&pieces).into_iter().map(|word| text[bytes(word)].to_owned()).collect()
    }

    #[test]
    fn pieces_of_a_word_belong_together() {
        for scheme in [Scheme::Ernie, Scheme::Bert(BertVariant::PaddleNlp), Scheme::TokenizerJson] {
            assert_eq!(words(scheme, "hello world中国, worlds"), ["hello", "world", "中", "国", ",", "worlds"]);
            assert_eq!(words(scheme, " "), [""; 0]);
        }
        // A character that the scheme drops does not end a word.
        assert_eq!(words(Scheme::Bert(BertVariant::HfSlow), "wor\0ld"), ["wor\0ld"]);
    }

    #[test]
    fn sentencepiece_tokens_touch_within_a_word() {
        let scheme = Scheme::ErnieM(ErnieMVariant::PaddleNlp);
        assert_eq!(words(scheme, "world hello中国"), ["world", "hello", "中", "国"]);
    }
}
