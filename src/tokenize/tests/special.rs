//! Special tokens: where they are found, and where they must not be.

use super::*;
use crate::model_dir::tokenizer::AddedToken;

const SLOW: Scheme = Scheme::Bert(BertVariant::HfSlow);

/// A tokenizer of `scheme` with a spec changed by `change`.
fn with(scheme: Scheme, change: impl FnOnce(&mut TokenizerSpec)) -> Tokenizer {
    let dir = model_dir();
    let mut spec = TokenizerSpec::with_defaults(&dir.path().join(folder_of(scheme)), scheme);
    change(&mut spec);
    Tokenizer::open(&spec).unwrap()
}

fn ids(tokenizer: &Tokenizer, text: &str, special: SpecialTokensInText) -> Vec<i64> {
    tokenizer.encode(text, None, &bare(special)).unwrap().input_ids
}

#[test]
fn a_word_that_cleaning_makes_special_is_special_with_the_slow_tokenizer() {
    let cased = with(SLOW, |spec| spec.lowercase = false);
    let found = |text| ids(&cased, text, SpecialTokensInText::Recognize);
    assert_eq!(found("[MA\0SK]"), [3]);
    assert_eq!(found("i [C\u{200d}LS] i"), [10, 1, 10]);
    // Only a whole word between blanks.
    assert_eq!(found("i[MA\0SK]")[0], 10);
    assert!(!found("i[MA\0SK]").contains(&3));
    assert!(!ids(&cased, "[MA\0SK]", SpecialTokensInText::Plain).contains(&3));
    let encoding = cased.encode("i [MA\0SK]", None, &bare(SpecialTokensInText::Recognize)).unwrap();
    assert_eq!(encoding.offsets[1], Span { begin: 2, end: 9 });
    assert!(!ids(&open(SLOW), "[MA\0SK]", SpecialTokensInText::Recognize).contains(&3));
}

#[test]
fn a_name_in_lower_case_is_found_in_any_case_where_the_base_class_lower_cases() {
    for (scheme, folds) in [
        (SLOW, true),
        (Scheme::Bert(BertVariant::PaddleNlp), true),
        (SENTENCEPIECE[1], true),
        (SENTENCEPIECE[2], true),
        (Scheme::Bert(BertVariant::HfFast), false),
        (Scheme::Ernie, false),
    ] {
        let tokenizer = with(scheme, |spec| {
            spec.lowercase = true;
            spec.additional_special = vec!["hello".into()];
        });
        let text = "中HELLO中\u{130}Hel\u{212a}";
        let encoding = tokenizer.encode(text, None, &bare(SpecialTokensInText::Recognize)).unwrap();
        assert_lawful_with(&encoding, text, "", true);
        let has = encoding.offsets.contains(&Span { begin: 3, end: 8 });
        let is_special = encoding.input_ids.iter().zip(&encoding.offsets).any(|(id, span)| *id == 5 && span.begin == 3);
        // WordPiece schemes have it as a word too; SentencePiece would not cut it out of the middle.
        assert!(!folds || (has && is_special), "{} {encoding:?}", scheme.name());
    }
}

#[test]
fn no_name_of_a_configuration_comes_out_of_plain_text_or_is_decoded() {
    for scheme in OWN.into_iter().chain(SENTENCEPIECE) {
        let tokenizer = with(scheme, |spec| {
            spec.additional_special = vec!["hello".into(), "中".into(), "[NEW]".into()];
            spec.added_tokens = vec![AddedToken { content: "i".into(), id: 10, special: true }];
        });
        let special: Vec<i64> = ["hello", "中", "i"].iter().map(|name| tokenizer.id(name).unwrap()).collect();
        let plain = ids(&tokenizer, "hello 中 i 中国 [NEW]", SpecialTokensInText::Plain);
        assert!(!plain.iter().any(|id| special.contains(id)), "{} {plain:?}", scheme.name());
        let new = tokenizer.id("[NEW]").unwrap();
        assert!(!plain.contains(&new));
        let decoded = tokenizer.decode(&[special[0], special[1], new, 4], SpecialTokensInDecoded::Skip).unwrap();
        assert_eq!(decoded, "", "{}", scheme.name());
    }
}

#[test]
fn a_new_token_has_the_number_of_different_tokens_as_its_id() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vocab.txt"), "[PAD]\n[CLS]\n[SEP]\n[MASK]\n[UNK]\na\n$\na\n##b\n").unwrap();
    let additional_special = vec!["[E1]".into(), "[E2]".into()];
    let spec = TokenizerSpec { additional_special, ..TokenizerSpec::with_defaults(dir.path(), SLOW) };
    let tokenizer = Tokenizer::open(&spec).unwrap();
    assert_eq!((tokenizer.id("[E1]"), tokenizer.id("[E2]"), tokenizer.vocab_size()), (Some(8), Some(9), 10));
    // An id that the file has too is the file's; a piece behind an added token begins anew.
    assert_eq!(tokenizer.decode(&[7, 8, 9, 8, 5], SpecialTokensInDecoded::Keep).unwrap(), "ab [E2] ##b a");
}

fn json_with(change: impl FnOnce(&mut serde_json::Value)) -> Result<Tokenizer> {
    let dir = tempfile::tempdir().unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&bert_json()).unwrap();
    change(&mut json);
    std::fs::write(dir.path().join("tokenizer.json"), json.to_string()).unwrap();
    Tokenizer::open(&TokenizerSpec::with_defaults(dir.path(), Scheme::TokenizerJson))
}

#[test]
fn a_file_cannot_break_what_encodings_promise() {
    let endless = json_with(|json| {
        json["normalizer"] = serde_json::json!({"type": "Strip", "strip_left": true, "strip_right": true});
        json["added_tokens"][0]["content"] = " ".into();
        json["added_tokens"][0]["normalized"] = true.into();
    });
    assert!(matches!(&endless, Err(Error::InvalidModel { reason, .. }) if reason.contains("added token")));
    // Names that no flag protects.
    let unflagged = json_with(|json| json["added_tokens"] = serde_json::json!([])).unwrap();
    let plain = ids(&unflagged, "[MASK] i mask", SpecialTokensInText::Plain);
    assert!(!plain.contains(&3), "{plain:?}");
    let repeated = json_with(|json| {
        let a = serde_json::json!({"Sequence": {"id": "A", "type_id": 0}});
        json["post_processor"] = serde_json::json!({"type": "TemplateProcessing", "single": [a, a, a], "pair": [a],
                                                    "special_tokens": {}});
    })
    .unwrap();
    let limit = EncodeOptions { max_tokens: Some(4), ..EncodeOptions::default() };
    let error = repeated.encode("i i i", None, &limit).unwrap_err();
    assert!(error.to_string().contains("post-processor makes 9 tokens"), "{error}");
    let outside = json_with(|json| json["post_processor"]["sep"] = serde_json::json!(["[SEP]", 99])).unwrap();
    let error = outside.encode("i", None, &EncodeOptions::default()).unwrap_err();
    assert!(error.to_string().contains("id 99"), "{error}");
}

#[test]
fn the_fast_decoder_cleans_as_the_crate_does() {
    let (own, json) =
        (open(Scheme::Bert(BertVariant::HfFast)), json_with(|json| json["decoder"]["cleanup"] = true.into()));
    for list in [&[5, 16, 5][..], &[6, 7, 16, 16], &[7, 5], &[16], &[5, 4, 16]] {
        for special in [SpecialTokensInDecoded::Skip, SpecialTokensInDecoded::Keep] {
            let decode = |tokenizer: &Tokenizer| tokenizer.decode(list, special).unwrap();
            // The crate does not count the unknown token among the special ones here: it is not asked to leave it out.
            if !(list.contains(&4) && special == SpecialTokensInDecoded::Skip) {
                assert_eq!(decode(&own), decode(json.as_ref().unwrap()), "{list:?}");
            }
        }
    }
}

#[test]
fn windows_that_are_no_multiple_of_the_text_are_refused() {
    let text = "i ".repeat(40_000);
    let options = |doc_stride| EncodeOptions {
        max_tokens: Some(512),
        truncation: Truncation::Windows,
        doc_stride,
        ..EncodeOptions::default()
    };
    let tokenizer = open(Scheme::Ernie);
    let mut out = Vec::new();
    let error = tokenizer.encode_windows(&text, None, &options(Some(1)), &mut out).unwrap_err();
    assert!(error.to_string().contains("39491 windows of 510 tokens"), "{error}");
    assert!(out.is_empty());
    tokenizer.encode_windows(&text, None, &options(None), &mut out).unwrap();
    assert!(out.len() > 300);
}

#[test]
fn names_and_tokens_of_any_length_are_refused() {
    let dir = model_dir();
    let long = TokenizerSpec { mask: Some("[".repeat(300)), ..TokenizerSpec::with_defaults(dir.path(), SLOW) };
    assert!(Tokenizer::open(&long).unwrap_err().to_string().contains("300 bytes"));
    std::fs::write(dir.path().join("vocab.txt"), format!("{}\n{}\n", TOKENS.join("\n"), "x".repeat(20_000))).unwrap();
    let error = Tokenizer::open(&TokenizerSpec::with_defaults(dir.path(), SLOW)).unwrap_err();
    assert!(error.to_string().contains("line 25"), "{error}");
    let added_tokens = vec![AddedToken { content: "z".into(), id: (1 << 31) - 1, special: false }];
    std::fs::write(dir.path().join("vocab.txt"), TOKENS.join("\n")).unwrap();
    let spec = TokenizerSpec { added_tokens, ..TokenizerSpec::with_defaults(dir.path(), SLOW) };
    assert!(Tokenizer::open(&spec).unwrap_err().to_string().contains("2^31"));
}
