//! The SentencePiece schemes on small models of our own, against what jieba and SentencePiece gave for hard texts
//! (`scripts/make_tokenizers.py`); and what fuzzing checks, on a fixed row of texts.

#![cfg(feature = "test-hooks")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use ernie::error::Error;
use ernie::fuzz;
use ernie::model_dir::tokenizer::{ErnieMVariant, Scheme, TokenizerSpec};
use ernie::options::Options;
use ernie::tokenize::{EncodeOptions, Tokenizer};
use serde_json::Value;

fn expected() -> Vec<Value> {
    let lines = std::fs::read_to_string(support::root().join("tests/fixtures/tokenizers/expected.jsonl")).unwrap();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() > 100);
    rows
}

#[test]
fn tokens_equal_those_of_the_references() {
    for (key, folder, scheme) in [
        ("ernie_m", "ernie_m", Scheme::ErnieM(ErnieMVariant::PaddleNlp)),
        ("ernie_m_hf", "ernie_m", Scheme::ErnieM(ErnieMVariant::Hf)),
        ("ernie_tiny", "ernie_tiny", Scheme::ErnieTiny),
    ] {
        let dir = support::root().join("tests/fixtures/tokenizers").join(folder);
        let found = TokenizerSpec::from_dir(&dir, None).unwrap().scheme;
        assert!(found == scheme || key == "ernie_m_hf", "{found:?}");
        let tokenizer = Tokenizer::open(&TokenizerSpec::from_dir(&dir, Some(scheme)).unwrap()).unwrap();
        let unk = tokenizer.special_ids().unk.unwrap();
        for row in expected() {
            let text = row["text"].as_str().unwrap();
            let tokens = row[key].as_array().unwrap().iter().map(|token| token.as_str().unwrap());
            let wanted: Vec<i64> = tokens.map(|token| tokenizer.id(token).unwrap_or(unk)).collect();
            let encoding = tokenizer.encode(text, None, &EncodeOptions::default()).unwrap();
            assert_eq!(encoding.input_ids[1..encoding.len() - 1], wanted, "{key}: {text:?}");
        }
    }
}

#[test]
fn words_equal_those_of_jieba() {
    let words_of = fuzz::jieba().unwrap();
    for row in expected().iter().filter(|row| !row["text"].as_str().unwrap().contains('Σ')) {
        let text = row["text"].as_str().unwrap().to_lowercase();
        let wanted: Vec<&str> = row["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let found: Vec<&str> = words_of(&text).into_iter().map(|word| &text[word]).collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn every_scheme_holds_the_laws_under_every_option() {
    for (row, seed) in expected().iter().zip(0_u8..) {
        let text = row["text"].as_str().unwrap();
        for scheme in 0..14 {
            for step in 0..16_u8 {
                let how = step.wrapping_mul(17).wrapping_add(seed);
                let pair = if step % 2 == 0 { "\n好 b[MASK]" } else { "" };
                let bytes = [&[scheme, how], text.as_bytes(), pair.as_bytes()].concat();
                match fuzz::tokenize(&bytes) {
                    Ok(()) | Err(Error::TextTooLong { .. } | Error::InvalidArgument(_)) => {}
                    Err(error) => panic!("{}", error.report()),
                }
            }
        }
    }
}

#[test]
fn options_overrule_the_files() {
    let dir = support::root().join("tests/fixtures/sums");
    let mut options = Options::default();
    for (key, value) in [("tokenizer", "ernie"), ("lowercase", "off"), ("mask_token", "none")] {
        options.set(key, value).unwrap();
    }
    let tokenizer = Tokenizer::open(&TokenizerSpec::with_options(&dir, &options).unwrap()).unwrap();
    let encoding = tokenizer.encode("good[MASK]GOOD", None, &EncodeOptions::default()).unwrap();
    let tokens: Vec<_> = encoding.input_ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect();
    // [MASK] is text, whose letters the vocabulary lacks.
    assert_eq!(tokens, ["[CLS]", "good", "[UNK]", "[UNK]", "[UNK]", "[UNK]", "[SEP]"]);
    options.set("tokenizer", "tokenizer.json").unwrap();
    assert!(matches!(TokenizerSpec::with_options(&dir, &options), Err(Error::NotFound { .. })));
}
