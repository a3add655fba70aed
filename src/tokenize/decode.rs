//! Ids in, text out, by the rule of the scheme's reference.
//!
//! References: `post_process` in `demo/seq2seq/decode.py` of PaddlePaddle/ERNIE 3b9d92f, `convert_tokens_to_string` of
//! transformers and PaddleNLP, and `clean_up_tokenization` of PaddleNLP, which does it by default.

use super::assemble::Frame;
use super::sentencepiece::SPACE_SYMBOL;
use super::vocab::Vocab;
use super::{SpecialTokensInDecoded, outside_vocabulary, unicode};
use crate::error::Result;
use crate::model_dir::tokenizer::{BertVariant, ErnieMVariant, Scheme};

/// What `clean_up_tokenization` replaces in a text, in its order, and the `tokenizers` crate's decoder in each token with the
/// blank before it.
const CLEAN_UP: [(&str, &str); 10] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

/// Writes `ids` as text.
pub(super) fn decode(
    vocab: &Vocab,
    frame: &Frame,
    scheme: Scheme,
    ids: &[i64],
    special_tokens: SpecialTokensInDecoded,
) -> Result<String> {
    let special = &frame.ids;
    let mut tokens = Vec::with_capacity(ids.len());
    for (index, &id) in ids.iter().enumerate() {
        let token = vocab.token(id).ok_or_else(|| outside_vocabulary(index, id, vocab.len()))?;
        match special_tokens {
            SpecialTokensInDecoded::Skip if id == frame.unk || frame.all_special.binary_search(&id).is_ok() => {}
            SpecialTokensInDecoded::Generated if Some(id) == special.sep => break,
            SpecialTokensInDecoded::Generated if Some(id) == special.pad || Some(id) == special.unk => {
                tokens.push(("", false));
            }
            _ => tokens.push((token, vocab.is_added(id))),
        }
    }
    let is_generated = special_tokens == SpecialTokensInDecoded::Generated;
    let mut text = match scheme {
        Scheme::ErnieTiny | Scheme::ErnieM(_) => join_pieces(&tokens),
        _ if scheme == Scheme::Ernie || is_generated => join_seed(&tokens),
        Scheme::Bert(BertVariant::HfFast) => return Ok(join_words(&tokens, &CLEAN_UP)),
        _ => join_words(&tokens, &[]),
    };
    text = text.trim_matches(unicode::is_space).to_owned();
    if matches!(scheme, Scheme::ErnieM(ErnieMVariant::PaddleNlp) | Scheme::Bert(BertVariant::PaddleNlp))
        && !is_generated
    {
        for (artifact, clean) in CLEAN_UP {
            if text.contains(artifact) {
                text = text.replace(artifact, clean);
            }
        }
    }
    Ok(text)
}

/// SentencePiece: marks become blanks.
fn join_pieces(tokens: &[(&str, bool)]) -> String {
    tokens.iter().map(|(token, _)| *token).collect::<String>().replace(SPACE_SYMBOL, " ")
}

/// Blanks between tokens, but none before a piece that continues a word, unless an added token is before it. Each token with
/// its blank is cleaned.
fn join_words(tokens: &[(&str, bool)], clean_up: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut after_added = true;
    for (index, &(token, is_added)) in tokens.iter().enumerate() {
        match token.strip_prefix("##") {
            Some(rest) if !after_added => text.push_str(rest),
            _ => {
                let spaced = if index > 0 { format!(" {token}") } else { token.to_owned() };
                let cleaned = clean_up.iter().find(|(artifact, _)| spaced.starts_with(artifact));
                match cleaned {
                    Some((artifact, clean)) => text.push_str(&spaced.replacen(artifact, clean, 1)),
                    None => text.push_str(&spaced),
                }
            }
        }
        after_added = is_added;
    }
    text
}

/// Pieces that continue a word are joined to what is before them, words of ASCII letters and digits have a blank before
/// them, and so has what is empty; all else is written as it is.
fn join_seed(tokens: &[(&str, bool)]) -> String {
    let mut text = String::new();
    for (token, _) in tokens {
        match token.strip_prefix("##") {
            Some(rest) => text.push_str(rest),
            None => {
                if token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    text.push(' ');
                }
                text.push_str(token);
            }
        }
    }
    text
}
