//! The tokenizers against the outputs of their references, id by id.
//!
//! The data lies outside the project (`ERNIE_TEST_DATA`, default `../shared/data`); a group whose folder is absent is
//! skipped and named. Every group counts its lines and mismatches, the table is printed, and no mismatch is allowed.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reports what it compared and stops at bad data"
)]

#[cfg(feature = "test-hooks")]
mod sentencepiece;
mod tally;

use ernie::model_dir::tokenizer::{BertVariant, ErnieMVariant, Scheme, TokenizerSpec};
use ernie::tokenize::{EncodeOptions, Encoding, SpecialTokensInDecoded, Tokenizer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tally::{Tally, group_dir, ids, rows, settle};

fn open(dir: &Path, scheme: Scheme) -> Tokenizer {
    Tokenizer::open(&TokenizerSpec::from_dir(dir, Some(scheme)).unwrap()).unwrap()
}

/// A `tokenizer.json` with the standard BERT pipeline over the vocabulary of `dir`, opened.
fn open_as_json(dir: &Path, scratch: &Path) -> Tokenizer {
    let text = std::fs::read_to_string(dir.join("vocab.txt")).unwrap();
    let vocab: serde_json::Map<String, Value> =
        text.lines().zip(0..).map(|(token, id)| (token.into(), json!(id))).collect();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let added: Vec<Value> = special
        .iter()
        .map(|token| {
            json!({"id": vocab[*token], "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let json = json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", vocab["[SEP]"]], "cls": ["[CLS]", vocab["[CLS]"]]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    });
    std::fs::write(scratch.join("tokenizer.json"), json.to_string()).unwrap();
    open(scratch, Scheme::TokenizerJson)
}

/// `singles.jsonl`: every text alone.
fn compare_singles(tally: &mut Tally, tokenizer: &Tokenizer, texts: &[Value], expected: &Path, fast: bool) {
    for row in rows(expected) {
        let text = texts.iter().find(|text| text["id"] == row["id"]).unwrap()["text"].as_str().unwrap();
        let encoding = tokenizer.encode(text, None, &EncodeOptions::default()).unwrap();
        check_laws(&encoding, text, "");
        let wanted = row.get("fast_ids").filter(|_| fast).unwrap_or(&row["ids"]);
        tally.compare(&format!("{text:?}"), encoding.input_ids, ids(wanted));
    }
}

/// `pairs.expect.jsonl`: pairs with truncation; `key` is how the reference calls the limit.
fn compare_pairs(tally: &mut Tally, tokenizer: &Tokenizer, pairs: &[Value], expected: &Path, fast: bool) {
    for row in rows(expected) {
        let pair_row = pairs.iter().find(|pair| pair["id"] == row["id"]).unwrap();
        let (text, pair) = (pair_row["text"].as_str().unwrap(), pair_row["pair"].as_str());
        let limit = |key: &str| row.get(key).and_then(Value::as_u64).map(|limit| limit as usize);
        let options = EncodeOptions {
            max_tokens: limit("max_length"),
            seed_truncate_to: limit("truncate_to"),
            ..EncodeOptions::default()
        };
        assert!(options.max_tokens.is_some() || options.seed_truncate_to.is_some());
        let encoding = tokenizer.encode(text, pair, &options).unwrap();
        check_laws(&encoding, text, pair.unwrap_or_default());
        let pick = |key: &str| ids(row.get(format!("fast_{key}")).filter(|_| fast).unwrap_or(&row[key]));
        // ERNIE-M has no token types, so its reference gives none.
        let type_ids = row.get("type_ids").map_or_else(|| encoding.token_type_ids.clone(), |_| pick("type_ids"));
        let found = (encoding.input_ids, encoding.token_type_ids);
        tally.compare(&format!("{text:?} + {pair:?} {options:?}"), found, (pick("ids"), type_ids));
    }
}

/// What holds for every encoding: equal lengths, offsets on character boundaries that do not go back.
fn check_laws(encoding: &Encoding, text: &str, pair: &str) {
    let n_tokens = encoding.len();
    assert_eq!(encoding.token_type_ids.len(), n_tokens);
    assert_eq!(encoding.attention_mask, vec![1; n_tokens]);
    assert_eq!((encoding.offsets.len(), encoding.sequence.len()), (n_tokens, n_tokens));
    let mut last = [0; 2];
    for (span, &sequence) in encoding.offsets.iter().zip(&encoding.sequence) {
        let source = match sequence {
            0 => text,
            1 => pair,
            _ => {
                assert_eq!((span.begin, span.end), (0, 0));
                continue;
            }
        };
        assert!(source.is_char_boundary(span.begin) && source.is_char_boundary(span.end) && span.begin <= span.end);
        assert!(span.begin >= last[usize::from(sequence)], "offsets go back in {source:?}");
        last[usize::from(sequence)] = span.begin;
    }
}

#[test]
fn ids_equal_those_of_the_references() {
    let Some(dir) = group_dir("golden/11_tokenizers") else { return };
    let (texts, pairs) = (rows(&dir.join("texts.jsonl")), rows(&dir.join("pairs.jsonl")));
    let scratch = tempfile::tempdir().unwrap();
    let hf = dir.join("hf-bert-ernie-3.0");
    let groups = [
        ("seed-ernie-1.0", open(&dir.join("seed-ernie-1.0"), Scheme::Ernie)),
        ("seed-ernie-2.0-en", open(&dir.join("seed-ernie-2.0-en"), Scheme::Ernie)),
        ("paddlenlp-ernie-1.0", open(&dir.join("paddlenlp-ernie-1.0"), Scheme::Bert(BertVariant::PaddleNlp))),
        ("paddlenlp-ernie-3.0", open(&dir.join("paddlenlp-ernie-3.0"), Scheme::Bert(BertVariant::PaddleNlp))),
        ("seed-ernie-tiny", open(&dir.join("seed-ernie-tiny"), Scheme::ErnieTiny)),
        ("paddlenlp-ernie-m", open(&dir.join("paddlenlp-ernie-m"), Scheme::ErnieM(ErnieMVariant::PaddleNlp))),
        ("hf-bert-ernie-3.0", open(&hf, Scheme::Bert(BertVariant::HfSlow))),
        ("hf-bert-ernie-3.0", open(&hf, Scheme::Bert(BertVariant::HfFast))),
        ("hf-bert-ernie-3.0", open_as_json(&hf, scratch.path())),
    ];
    let mut tallies = Vec::new();
    for (name, tokenizer) in &groups {
        let scheme = tokenizer.scheme();
        let fast = matches!(scheme, Scheme::Bert(BertVariant::HfFast) | Scheme::TokenizerJson);
        let mut singles = Tally::new(format!("{name} singles, {}", scheme.name()));
        compare_singles(&mut singles, tokenizer, &texts, &dir.join(name).join("singles.jsonl"), fast);
        tallies.push(singles);
        let expected = dir.join(name).join("pairs.expect.jsonl");
        if expected.is_file() {
            let mut both = Tally::new(format!("{name} pairs, {}", scheme.name()));
            compare_pairs(&mut both, tokenizer, &pairs, &expected, fast);
            tallies.push(both);
        }
    }
    settle(&tallies);
}

#[test]
fn settings_of_the_seed_change_what_they_change_there() {
    let Some(dir) = group_dir("golden/11_tokenizers") else { return };
    let texts = rows(&dir.join("texts.jsonl"));
    let seed = dir.join("seed-ernie-1.0");
    let spec = TokenizerSpec::with_defaults(&seed, Scheme::Ernie);
    let cased = TokenizerSpec { lowercase: false, ..spec.clone() };
    let maskless = TokenizerSpec { mask: None, ..spec };
    let mut tallies = Vec::new();
    for (file, spec) in [("singles.lower_false.jsonl", cased), ("singles.mask_token_none.jsonl", maskless)] {
        let mut tally = Tally::new(format!("seed-ernie-1.0 {file}"));
        compare_singles(&mut tally, &Tokenizer::open(&spec).unwrap(), &texts, &seed.join(file), false);
        tallies.push(tally);
    }
    settle(&tallies);
}

/// Code-point offsets of the data as bytes of `text`.
fn byte_offsets(text: &str, row: &Value) -> Vec<(usize, usize)> {
    let mut starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    starts.push(text.len());
    let offset = |value: &Value| starts[value.as_u64().unwrap() as usize];
    row["offsets"].as_array().unwrap().iter().map(|pair| (offset(&pair[0]), offset(&pair[1]))).collect()
}

#[test]
fn ids_and_offsets_equal_those_of_the_fast_tokenizer() {
    let (Some(dir), Some(vocabs)) = (group_dir("golden-tokenizers/generated"), group_dir("vocab")) else { return };
    let mut tallies = Vec::new();
    for name in ["ernie-1.0-zh", "ernie-2.0-en", "ernie-3.0-zh"] {
        let rows = rows(&dir.join(format!("{name}.hf-bertwordpiece.jsonl")));
        let scratch = tempfile::tempdir().unwrap();
        let vocab: String = std::fs::read_to_string(vocabs.join(name).join("vocab.txt")).unwrap();
        let column: Vec<&str> = vocab.lines().map(|line| line.split('\t').next().unwrap()).collect();
        std::fs::write(scratch.path().join("vocab.txt"), column.join("\n")).unwrap();
        let own = open(scratch.path(), Scheme::Bert(BertVariant::HfFast));
        for tokenizer in [own, open_as_json(scratch.path(), scratch.path())] {
            let mut tally = Tally::new(format!("{name} ids and offsets, {}", tokenizer.scheme().name()));
            for row in &rows {
                let text = row["text"].as_str().unwrap();
                let encoding = tokenizer.encode(text, None, &EncodeOptions::default()).unwrap();
                check_laws(&encoding, text, "");
                let offsets: Vec<_> = encoding.offsets.iter().map(|span| (span.begin, span.end)).collect();
                tally.compare(
                    &format!("{text:?}"),
                    (encoding.input_ids, offsets),
                    (ids(&row["ids"]), byte_offsets(text, row)),
                );
            }
            tallies.push(tally);
        }
    }
    settle(&tallies);
}

/// What the tokenizer gives with the limit that the reference was called with. Most cases do not say it: then the text
/// was cut to the length of the result, or by the seed to some content length that is searched for.
fn encode_as_called(tokenizer: &Tokenizer, text: &str, pair: Option<&str>, wanted: &[i64]) -> Encoding {
    let encode = |options: EncodeOptions| tokenizer.encode(text, pair, &options).unwrap();
    let whole = encode(EncodeOptions::default());
    if whole.input_ids == wanted {
        return whole;
    }
    if tokenizer.scheme() == Scheme::Ernie {
        let cut = |limit| encode(EncodeOptions { seed_truncate_to: Some(limit), ..EncodeOptions::default() });
        return (1..=wanted.len()).map(cut).find(|encoding| encoding.input_ids == wanted).unwrap_or(whole);
    }
    encode(EncodeOptions { max_tokens: Some(wanted.len()), ..EncodeOptions::default() })
}

#[test]
fn directories_of_models_tell_their_tokenizer() {
    let Some(dir) = group_dir("golden") else { return };
    let mut cases: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.join("vocab.txt").is_file() && case.join("expect.json").is_file());
    cases.sort();
    let mut tallies = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let spec = TokenizerSpec::from_dir(&case, None);
        let spec = spec.unwrap_or_else(|error| panic!("{name}: {error}"));
        let expect: Value = serde_json::from_str(&std::fs::read_to_string(case.join("expect.json")).unwrap()).unwrap();
        let maskless = expect["reference"]["call"].as_str().is_some_and(|call| call.contains("mask_token=None"));
        let mask = spec.mask.clone().filter(|_| !maskless);
        let tokenizer = Tokenizer::open(&TokenizerSpec { mask, ..spec.clone() }).unwrap();
        let mut tally = Tally::new(format!("{name}, {}", spec.scheme.name()));
        for input in expect["inputs"].as_array().unwrap() {
            let (Some(text), Some(_)) = (input["text"].as_str(), input["input_ids"][0].as_i64()) else { continue };
            let pair = input["pair"].as_str();
            let type_ids = input.get("token_type_ids").map(ids);
            let wanted = (ids(&input["input_ids"]), type_ids);
            let encoding = encode_as_called(&tokenizer, text, pair, &wanted.0);
            let type_ids = wanted.1.as_ref().map(|_| encoding.token_type_ids);
            tally.compare(&format!("{text:?} + {pair:?}"), (encoding.input_ids, type_ids), wanted);
        }
        // Multiple-choice cases hold their texts in another way.
        tallies.extend(Some(tally).filter(|tally| tally.n_lines > 0));
    }
    settle(&tallies);
}

/// What the reference's script writes for the ids that ERNIE-GEN gave.
#[test]
fn generated_ids_are_written_as_by_the_reference() {
    let Some(dir) = group_dir("golden") else { return };
    let mut tallies = Vec::new();
    for case in ["06a_seed_gen_attn", "06b_seed_gen_mask"] {
        let text = std::fs::read_to_string(dir.join(case).join("expect.json")).unwrap();
        let expect: Value = serde_json::from_str(&text).unwrap();
        let folder = Some(dir.join(case).join("pretrained")).filter(|folder| folder.is_dir());
        let spec = TokenizerSpec::from_dir(&folder.unwrap_or_else(|| dir.join(case)), None).unwrap();
        // The script opens its tokenizer so: a mask in a text is text.
        let tokenizer = Tokenizer::open(&TokenizerSpec { mask: None, ..spec }).unwrap();
        let mut tally = Tally::new(format!("{case} decoded"));
        let of = |key: &str| expect[key].as_array().unwrap().clone();
        for result in of("inputs").iter().chain(&of("batches")).flat_map(|input| input["results"].as_array().unwrap()) {
            for (written, wanted) in result["ids"].as_array().unwrap().iter().zip(result["text"].as_array().unwrap()) {
                let found = tokenizer.decode(&ids(written), SpecialTokensInDecoded::Generated).unwrap();
                tally.compare(&result["method"].to_string(), found.as_str(), wanted.as_str().unwrap());
            }
        }
        tallies.push(tally);
    }
    settle(&tallies);
}
