//! Laws of the tokenizers, on a small vocabulary of our own.

mod decoding;
mod directories;
mod pieces;
mod special;
mod windows;

use super::*;
use crate::model_dir::tokenizer::{BertVariant, ErnieMVariant};
use proptest::prelude::*;
use std::sync::LazyLock;

const TOKENS: [&str; 24] = [
    "[PAD]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "[UNK]",
    "hello",
    "wor",
    "##ld",
    "##s",
    "##ing",
    "i",
    "##st",
    "cafe",
    "caf",
    "中",
    "国",
    ",",
    "[",
    "]",
    "mask",
    "é",
    "か",
    "##\u{307}",
    "$",
];

/// Our WordPiece schemes.
const OWN: [Scheme; 4] = [
    Scheme::Ernie,
    Scheme::Bert(BertVariant::HfSlow),
    Scheme::Bert(BertVariant::HfFast),
    Scheme::Bert(BertVariant::PaddleNlp),
];

/// Our SentencePiece schemes.
const SENTENCEPIECE: [Scheme; 3] =
    [Scheme::ErnieTiny, Scheme::ErnieM(ErnieMVariant::PaddleNlp), Scheme::ErnieM(ErnieMVariant::Hf)];

/// Pieces of [`SENTENCEPIECE`] with their scores; those that are not in [`TOKENS`] have ids behind them.
const PIECES: [(&str, f32, u8); 14] = [
    ("\u{2581}", -3.0, 1),
    ("\u{2581}hello", -5.0, 1),
    ("\u{2581}wor", -4.5, 1),
    ("ld", -4.0, 1),
    ("\u{2581}中国", -6.0, 1),
    ("中", -6.5, 1),
    ("国", -6.5, 1),
    (",", -2.0, 1),
    ("a", -2.5, 1),
    ("ab", -4.25, 1),
    ("1", -3.5, 1),
    ("12a", -8.0, 1),
    ("i", -2.75, 1),
    ("[", -7.0, 1),
];

/// A `tokenizer.json` with the standard BERT pipeline over [`TOKENS`].
fn bert_json() -> String {
    let vocab: serde_json::Map<_, _> = TOKENS.iter().zip(0..).map(|(token, id)| ((*token).into(), id.into())).collect();
    let added: Vec<_> = TOKENS[..5]
        .iter()
        .zip(0..)
        .map(|(token, id)| {
            serde_json::json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                               "normalized": false, "special": true})
        })
        .collect();
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": false},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    })
    .to_string()
}

fn model_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let vocab: Vec<&str> = TOKENS.into_iter().chain(PIECES.map(|piece| piece.0)).collect();
    std::fs::write(dir.path().join("vocab.txt"), TOKENS.join("\n")).unwrap();
    // SentencePiece schemes have files of their own, and the default names of both.
    for (folder, file) in [("tiny/subword", "spm_cased_simp_sampled.model"), ("m", "sentencepiece.bpe.model")] {
        let folder = dir.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), sentencepiece::tests::model(&PIECES)).unwrap();
    }
    for folder in ["tiny", "m"] {
        std::fs::write(dir.path().join(folder).join("vocab.txt"), vocab.join("\n")).unwrap();
    }
    dir
}

/// Where in [`model_dir`] the files of a scheme lie.
fn folder_of(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::ErnieTiny => "tiny",
        Scheme::ErnieM(_) => "m",
        _ => "",
    }
}

pub(super) fn open(scheme: Scheme) -> Tokenizer {
    let dir = model_dir();
    std::fs::write(dir.path().join("tokenizer.json"), bert_json()).unwrap();
    Tokenizer::open(&TokenizerSpec::with_defaults(&dir.path().join(folder_of(scheme)), scheme)).unwrap()
}

fn tokens(tokenizer: &Tokenizer, text: &str, options: &EncodeOptions) -> Vec<String> {
    let encoding = tokenizer.encode(text, None, options).unwrap();
    encoding.input_ids.iter().map(|&id| tokenizer.token(id).unwrap()).collect()
}

fn bare(special_tokens_in_text: SpecialTokensInText) -> EncodeOptions {
    EncodeOptions { special_tokens_in_text, add_special_tokens: false, ..EncodeOptions::default() }
}

fn assert_lawful(encoding: &Encoding, text: &str, pair: &str) {
    assert_lawful_with(encoding, text, pair, false);
}

fn assert_lawful_with(encoding: &Encoding, text: &str, pair: &str, scheme_has_marks: bool) {
    let n_tokens = encoding.len();
    assert_eq!(encoding.attention_mask, vec![1; n_tokens]);
    assert_eq!([encoding.token_type_ids.len(), encoding.offsets.len(), encoding.sequence.len()], [n_tokens; 3]);
    let mut last = [Span::default(); 2];
    for (span, &sequence) in encoding.offsets.iter().zip(&encoding.sequence) {
        if sequence == ADDED_TOKEN {
            assert_eq!(*span, Span::default());
            continue;
        }
        let source = [text, pair][usize::from(sequence)];
        let last = &mut last[usize::from(sequence)];
        // The mark for a blank that no text has is a token with a place, but no bytes.
        let slice = source.get(span.begin..span.end);
        assert!(slice.is_some_and(|slice| scheme_has_marks || !slice.is_empty()), "{span:?} of {source:?}");
        assert!(span.begin >= last.begin && span.end >= last.end, "{span:?} after {last:?} in {source:?}");
        *last = *span;
    }
}

#[test]
fn schemes_differ_where_their_references_do() {
    let split = |scheme, text| tokens(&open(scheme), text, &bare(SpecialTokensInText::Recognize));
    assert_eq!(split(Scheme::Ernie, "Café"), ["caf", "é"]);
    assert_eq!(split(Scheme::Ernie, "a\u{0}i"), ["[UNK]", "[UNK]", "i"]);
    for scheme in [OWN[1], OWN[2], OWN[3], Scheme::TokenizerJson] {
        assert_eq!(split(scheme, "Café, wor\u{0}LDs"), ["cafe", ",", "wor", "##ld", "##s"], "{}", scheme.name());
    }
    assert_eq!(split(Scheme::Bert(BertVariant::PaddleNlp), "hello₩hello"), ["hello", "[UNK]", "hello"]);
    assert_eq!(split(Scheme::Bert(BertVariant::HfSlow), "hello₩hello"), ["[UNK]"]);
}

#[test]
fn a_span_covers_the_characters_a_token_came_from() {
    let text = "xx cafe\u{301}, İst 中";
    let slices = |scheme| -> Vec<&str> {
        let encoding = open(scheme).encode(text, None, &bare(SpecialTokensInText::Recognize)).unwrap();
        encoding.offsets.iter().map(|span| &text[span.begin..span.end]).collect()
    };
    for scheme in [OWN[1], OWN[2], OWN[3], Scheme::TokenizerJson] {
        assert_eq!(slices(scheme), ["xx", "cafe", ",", "İ", "st", "中"], "{}", scheme.name());
    }
    assert_eq!(slices(Scheme::Ernie), ["xx", "cafe", "\u{301}", ",", "İ", "İ", "st", "中"]);
}

#[test]
fn plain_text_never_gives_a_special_token() {
    for scheme in OWN.into_iter().chain([Scheme::TokenizerJson]) {
        let tokenizer = open(scheme);
        assert_eq!(tokens(&tokenizer, "i[MASK]i", &bare(SpecialTokensInText::Recognize)), ["i", "[MASK]", "i"]);
        let plain = tokens(&tokenizer, "i[MASK]i", &bare(SpecialTokensInText::Plain));
        assert_eq!(plain, ["i", "[", "mask", "]", "i"], "{}", scheme.name());
    }
}

#[test]
fn special_tokens_with_names_like_words_stay_out_of_plain_text() {
    let dir = model_dir();
    for scheme in OWN {
        let spec = TokenizerSpec { mask: Some("mask".into()), ..TokenizerSpec::with_defaults(dir.path(), scheme) };
        let tokenizer = Tokenizer::open(&spec).unwrap();
        assert_eq!(tokens(&tokenizer, "i mask", &bare(SpecialTokensInText::Recognize)), ["i", "mask"]);
        assert_eq!(tokens(&tokenizer, "i mask", &bare(SpecialTokensInText::Plain)), ["i", "[UNK]"]);
    }
}

#[test]
fn an_empty_pair_is_framed_as_by_each_reference() {
    for (scheme, wanted) in OWN.into_iter().chain([Scheme::TokenizerJson]).zip([3, 4, 3, 4, 3]) {
        let encoding = open(scheme).encode("i", Some(""), &EncodeOptions::default()).unwrap();
        assert_eq!(encoding.len(), wanted, "{}", scheme.name());
    }
}

#[test]
fn too_long_texts_and_too_small_limits_are_told() {
    for scheme in OWN.into_iter().chain([Scheme::TokenizerJson]) {
        let tokenizer = open(scheme);
        let limit = |n, truncation| EncodeOptions { max_tokens: Some(n), truncation, ..EncodeOptions::default() };
        let error = tokenizer.encode("i i i", None, &limit(4, Truncation::Error)).unwrap_err();
        assert!(matches!(error, Error::TextTooLong { n_tokens: 5, max_tokens: 4, .. }), "{error}");
        assert!(tokenizer.encode("i i", None, &limit(4, Truncation::Error)).is_ok());
        let error = tokenizer.encode("i", Some("i"), &limit(2, Truncation::Truncate)).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)), "{error}");
        let cut = tokenizer.encode("i i i i", None, &limit(4, Truncation::Truncate)).unwrap();
        assert_eq!((cut.len(), cut.n_truncated_tokens()), (4, 2));
    }
}

/// The time of a quadratic algorithm on these would be minutes.
#[test]
fn long_words_and_long_runs_of_marks_are_cut_in_linear_time() {
    let n = 1 << 18;
    let marks = format!("a{}", "\u{16ff0}\u{302e}".repeat(n / 8));
    for text in [
        "a".repeat(n),
        "é".repeat(n),
        "e\u{301}".repeat(n),
        "[".repeat(n),
        "[MASK".repeat(n / 8),
        marks,
        " ".repeat(n),
        "中".repeat(n / 2),
        "1.".repeat(n / 2),
        "Σ\u{301}".repeat(n / 4),
    ] {
        for scheme in OWN.into_iter().chain(SENTENCEPIECE) {
            let encoding = open(scheme).encode(&text, None, &EncodeOptions::default()).unwrap();
            assert_lawful_with(&encoding, &text, "", SENTENCEPIECE.contains(&scheme));
        }
    }
    let cased = TokenizerSpec { lowercase: false, ..TokenizerSpec::with_defaults(model_dir().path(), OWN[1]) };
    let dir = model_dir();
    let cased = TokenizerSpec { vocab_path: Some(dir.path().join("vocab.txt")), ..cased };
    let text = "e\u{302}\u{316}\u{301}".repeat(n / 8);
    assert_eq!(Tokenizer::open(&cased).unwrap().encode(&text, None, &EncodeOptions::default()).unwrap().len(), 3);
}

#[test]
fn a_word_of_a_hundred_characters_is_the_longest_known_one() {
    for scheme in OWN.into_iter().chain([Scheme::TokenizerJson]) {
        let (known, unknown) = (format!("i{}", "s".repeat(99)), format!("i{}", "s".repeat(100)));
        let tokenizer = open(scheme);
        assert_eq!(tokens(&tokenizer, &known, &bare(SpecialTokensInText::Plain)).len(), 100);
        assert_eq!(tokens(&tokenizer, &unknown, &bare(SpecialTokensInText::Plain)), ["[UNK]"]);
    }
}

#[test]
fn our_fast_variant_equals_the_crate_on_every_character() {
    let (own, json) = (open(Scheme::Bert(BertVariant::HfFast)), open(Scheme::TokenizerJson));
    for first in (0..0x11_0000_u32).step_by(64) {
        // Between words, inside a word, behind a mark: the places where a character's class shows.
        let text: String =
            (first..first + 64).filter_map(char::from_u32).map(|c| format!("{c} hel{c}lo é{c}\u{316} ")).collect();
        let encode = |tokenizer: &Tokenizer| tokenizer.encode(&text, None, &EncodeOptions::default()).unwrap();
        assert_eq!(encode(&own).input_ids, encode(&json).input_ids, "U+{first:X} and the 63 after it");
    }
}

/// Texts that hit every rule: pieces of the vocabulary, marks, changes of case and length, white space, anything.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(&TOKENS[..]).prop_map(str::to_owned),
        "[ a-cA-Cé中国が한İΣǅﬁ,.$₩\u{300}-\u{310}\u{302e}\u{1b44}\u{200b}\u{2028}\t\u{85}]{1,4}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

/// Our schemes, with and without lower-casing; opened once, because the tests below run hundreds of times.
static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let dir = model_dir();
    let both = OWN.into_iter().flat_map(|scheme| [(scheme, true), (scheme, false)]);
    both.map(|(scheme, lowercase)| {
        let spec = TokenizerSpec { lowercase, ..TokenizerSpec::with_defaults(dir.path(), scheme) };
        Tokenizer::open(&spec).unwrap()
    })
    .collect()
});
static FAST_AND_JSON: LazyLock<[Tokenizer; 2]> =
    LazyLock::new(|| [Scheme::Bert(BertVariant::HfFast), Scheme::TokenizerJson].map(open));

proptest! {
    #[test]
    fn offsets_are_lawful_and_limits_hold(
        text in text(),
        pair in prop::option::of(text()),
        n in 3..20_usize,
        plain: bool,
    ) {
        for tokenizer in &*TOKENIZERS {
            let special_tokens_in_text = if plain { SpecialTokensInText::Plain } else { SpecialTokensInText::Recognize };
            let options = EncodeOptions { special_tokens_in_text, ..EncodeOptions::default() };
            let whole = tokenizer.encode(&text, pair.as_deref(), &options).unwrap();
            assert_lawful(&whole, &text, pair.as_deref().unwrap_or_default());
            let cut = EncodeOptions { max_tokens: Some(n), ..options };
            let cut = tokenizer.encode(&text, pair.as_deref(), &cut).unwrap();
            prop_assert!(cut.len() <= n);
            prop_assert_eq!(cut.n_truncated_tokens() == 0, whole.len() <= n);
            if whole.len() <= n {
                prop_assert_eq!(cut, whole);
            }
        }
    }

    #[test]
    fn our_fast_variant_equals_the_crate(text in text(), pair in prop::option::of(text()), n in 3..20_usize, plain: bool) {
        let [own, json] = &*FAST_AND_JSON;
        let special_tokens_in_text = if plain { SpecialTokensInText::Plain } else { SpecialTokensInText::Recognize };
        let options = EncodeOptions { special_tokens_in_text, max_tokens: Some(n), ..EncodeOptions::default() };
        let encode = |tokenizer: &Tokenizer| tokenizer.encode(&text, pair.as_deref(), &options).unwrap();
        let (own, json) = (encode(own), encode(json));
        prop_assert_eq!(
            (own.n_truncated_tokens(), own.input_ids, own.token_type_ids, own.sequence),
            (json.n_truncated_tokens(), json.input_ids, json.token_type_ids, json.sequence)
        );
    }
}
