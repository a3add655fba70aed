//! Ids in, text out, by the rule of the scheme's reference.
//!
//! References: `post_process` in `demo/seq2seq/decode.py` of PaddlePaddle/ERNIE 3b9d92f, `convert_tokens_to_string` of
//! transformers and PaddleNLP, and `clean_up_tokenization` of PaddleNLP, which does it by default.

use super::sentencepiece::SPACE_SYMBOL;
use super::vocab::Vocab;
use super::{SpecialIds, SpecialTokensInDecoded, outside_vocabulary, unicode};
use crate::error::Result;
use crate::model_dir::tokenizer::{BertVariant, ErnieMVariant, Scheme};

/// What `clean_up_tokenization` replaces, in its order.
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
    special: &SpecialIds,
    scheme: Scheme,
    ids: &[i64],
    special_tokens: SpecialTokensInDecoded,
) -> Result<String> {
    let mut tokens = Vec::with_capacity(ids.len());
    for (index, &id) in ids.iter().enumerate() {
        let token = vocab.token(id).ok_or_else(|| outside_vocabulary(index, id, vocab.len()))?;
        match special_tokens {
            SpecialTokensInDecoded::Skip if special.contains(id) => {}
            SpecialTokensInDecoded::Generated if Some(id) == special.sep => break,
            SpecialTokensInDecoded::Generated if Some(id) == special.pad || Some(id) == special.unk => tokens.push(""),
            _ => tokens.push(token),
        }
    }
    let text = match scheme {
        Scheme::ErnieTiny | Scheme::ErnieM(_) => tokens.concat().replace(SPACE_SYMBOL, " "),
        _ if scheme == Scheme::Ernie || special_tokens == SpecialTokensInDecoded::Generated => join_seed(&tokens),
        _ => tokens.join(" ").replace(" ##", ""),
    };
    let mut text = text.trim_matches(unicode::is_space).to_owned();
    let cleans_up = matches!(scheme, Scheme::ErnieM(ErnieMVariant::PaddleNlp) | Scheme::Bert(BertVariant::PaddleNlp));
    if cleans_up && special_tokens != SpecialTokensInDecoded::Generated {
        for (artifact, clean) in CLEAN_UP {
            if text.contains(artifact) {
                text = text.replace(artifact, clean);
            }
        }
    }
    Ok(text)
}

/// Pieces that continue a word are joined to what is before them, words of ASCII letters and digits have a blank before
/// them, and so has what is empty; all else is written as it is.
fn join_seed(tokens: &[&str]) -> String {
    let mut text = String::new();
    for token in tokens {
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
