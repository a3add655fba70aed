//! For tests and fuzzers: stages that the library only uses together.

use super::alignment::Cursor;
use super::encoding::{ADDED_TOKEN, EncodeOptions, Encoding, Span, SpecialTokensInText, Truncation};
use super::jieba::Segmenter;
use super::sentencepiece::{Encoded, SentencePiece};
use super::{SpecialTokensInDecoded, Tokenizer};
use crate::error::{Error, Result};
use crate::model_dir::tokenizer::{BertVariant, ErnieMVariant, Scheme, TokenizerSpec};
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

/// The pieces of a text, each as the model sees it, with the bytes of the text that it comes from.
#[expect(unreachable_pub, reason = "named by the public `fuzz`")]
pub type PiecesOf = Box<dyn Fn(&str) -> Result<Vec<(String, Range<usize>)>>>;

/// The pieces of texts by the SentencePiece model in `bytes`. [`Error::Internal`] where a piece lies outside the text or
/// before the one before it.
pub(crate) fn sentencepiece(path: &Path, bytes: &[u8]) -> Result<PiecesOf> {
    let model = SentencePiece::parse(path, bytes, |_| ())?;
    Ok(Box::new(move |text| {
        let mut encoded = Encoded::default();
        model.encode(text, &mut encoded);
        let mut cursor = Cursor::default();
        let mut last = Span::default();
        let mut pieces = Vec::with_capacity(encoded.pieces.len());
        for piece in &encoded.pieces {
            let span = encoded.alignment.span(&mut cursor, piece.begin, piece.end);
            let is_lawful =
                text.get(span.begin..span.end).is_some() && span.begin >= last.begin && span.end >= last.end;
            let seen = encoded.normalized.get(piece.begin..piece.end).filter(|_| is_lawful);
            let seen = seen.ok_or_else(|| Error::Internal(format!("piece {piece:?} at {span:?} of {text:?}")))?;
            last = span;
            pieces.push((seen.to_owned(), span.begin..span.end));
        }
        Ok(pieces)
    }))
}

/// The words of a text.
#[expect(unreachable_pub, reason = "named by the public `fuzz`")]
pub type WordsOf = Box<dyn Fn(&str) -> Vec<Range<usize>>>;

/// The words of texts as jieba cuts them.
pub(crate) fn jieba() -> Result<WordsOf> {
    let segmenter = Segmenter::new()?;
    Ok(Box::new(move |text| {
        let mut words = Vec::new();
        segmenter.words(text, |word| words.push(word));
        words
    }))
}

/// Our schemes over the vocabularies of `tests/fixtures`, with and without lower-casing.
static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let schemes = [
        (Scheme::Ernie, "sums"),
        (Scheme::Bert(BertVariant::HfSlow), "sums"),
        (Scheme::Bert(BertVariant::HfFast), "sums"),
        (Scheme::Bert(BertVariant::PaddleNlp), "sums"),
        (Scheme::ErnieTiny, "tokenizers/ernie_tiny"),
        (Scheme::ErnieM(ErnieMVariant::PaddleNlp), "tokenizers/ernie_m"),
        (Scheme::ErnieM(ErnieMVariant::Hf), "tokenizers/ernie_m"),
    ];
    let both = schemes.into_iter().flat_map(|scheme| [(scheme, true), (scheme, false)]);
    both.filter_map(|((scheme, folder), lowercase)| {
        let spec = TokenizerSpec { lowercase, ..TokenizerSpec::with_defaults(&fixtures.join(folder), scheme) };
        Tokenizer::open(&spec).ok()
    })
    .collect()
});

/// Encodes a text as two bytes say and checks what every encoding must hold.
pub(crate) fn check(scheme: u8, how: u8, text: &str, pair: Option<&str>) -> Result<()> {
    let law = |what: &str| Error::Internal(format!("{what}: {text:?} and {pair:?}, scheme {scheme}, options {how}"));
    let tokenizer =
        TOKENIZERS.get(usize::from(scheme) % TOKENIZERS.len().max(1)).ok_or_else(|| law("no tokenizers"))?;
    let truncations = [
        Truncation::Truncate,
        Truncation::LongestFirst,
        Truncation::OnlyFirst,
        Truncation::OnlySecond,
        Truncation::Windows,
        Truncation::Error,
    ];
    let plain = how & 1 == 1;
    let options = EncodeOptions {
        max_tokens: Some(4 + usize::from(how >> 5)),
        truncation: truncations[usize::from(how >> 1 & 7) % truncations.len()],
        special_tokens_in_text: if plain { SpecialTokensInText::Plain } else { SpecialTokensInText::Recognize },
        doc_stride: Some(1 + usize::from(how >> 4 & 3)).filter(|n| *n < 4),
        ..EncodeOptions::default()
    };
    let whole = tokenizer.encode(
        text,
        pair,
        &EncodeOptions { max_tokens: None, truncation: Truncation::Truncate, ..options.clone() },
    )?;
    check_lawful(&whole, text, pair.unwrap_or_default()).map_err(law)?;
    tokenizer.decode(&whole.input_ids, SpecialTokensInDecoded::Keep)?;
    let specials = tokenizer.special_ids();
    let content = whole.input_ids.iter().zip(&whole.sequence).filter(|(_, sequence)| **sequence != ADDED_TOKEN);
    if plain
        && content.clone().any(|(id, _)| Some(*id) != specials.unk && specials.known().any(|special| special == *id))
    {
        return Err(law("a special token in plain text"));
    }
    let mut cut = Vec::new();
    tokenizer.encode_windows(text, pair, &options, &mut cut)?;
    for (index, window) in cut.iter().enumerate() {
        check_lawful(window, text, pair.unwrap_or_default()).map_err(law)?;
        if window.len() > options.max_tokens.unwrap_or(usize::MAX)
            || (window.window, window.n_windows) != (index, cut.len())
        {
            return Err(law("a window that is too long or miscounted"));
        }
    }
    match cut.len() {
        1 if whole.len() <= 4 + usize::from(how >> 5) && cut[0] != whole => Err(law("cut without need")),
        0 => Err(law("no encoding")),
        _ => Ok(()),
    }
}

fn check_lawful(encoding: &Encoding, text: &str, pair: &str) -> std::result::Result<(), &'static str> {
    let n_tokens = encoding.len();
    let lengths =
        [encoding.token_type_ids.len(), encoding.attention_mask.len(), encoding.offsets.len(), encoding.sequence.len()];
    if lengths != [n_tokens; 4] {
        return Err("lengths differ");
    }
    let mut last = [Span::default(); 2];
    for (span, &sequence) in encoding.offsets.iter().zip(&encoding.sequence) {
        let (source, last) = match sequence {
            0 => (text, &mut last[0]),
            1 => (pair, &mut last[1]),
            _ if *span == Span::default() => continue,
            _ => return Err("an added token with a place"),
        };
        if source.get(span.begin..span.end).is_none() {
            return Err("an offset inside a character or outside the text");
        }
        if span.begin < last.begin || span.end < last.end {
            return Err("offsets go back");
        }
        *last = *span;
    }
    Ok(())
}
