//! The stages of the SentencePiece schemes against their references: jieba's words, SentencePiece's pieces, the tokens.

use super::tally::{Tally, data_dir, group_dir, ids, rows, settle};
use ernie::fuzz;
use ernie::model_dir::tokenizer::{ErnieMVariant, Scheme, TokenizerSpec};
use ernie::tokenize::{EncodeOptions, Tokenizer};
use serde_json::Value;
use std::path::Path;

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The models whose pieces are in `golden-tokenizers`, with their lines. Their ids are those of `vocab.txt`, between the
/// tokens at its start and its end.
#[test]
fn pieces_equal_those_of_sentencepiece() {
    let (Some(dir), Some(vocabs)) = (group_dir("golden-tokenizers/generated"), group_dir("vocab")) else { return };
    let mut tallies = Vec::new();
    for (lines, model) in [
        ("ernie-m.spm.jsonl", "ernie-m/sentencepiece.bpe.rebuilt.model"),
        ("ernie-tiny.spm.jsonl", "ernie-tiny/spm_cased_simp_sampled.model"),
    ] {
        let pieces_of = fuzz::sentencepiece_pieces(&std::fs::read(vocabs.join(model)).unwrap()).unwrap();
        let vocab = std::fs::read_to_string(vocabs.join(model).with_file_name("vocab.txt")).unwrap();
        let vocab: Vec<&str> = vocab.lines().map(|line| line.split('\t').next().unwrap()).collect();
        let id = |piece: &str| vocab.iter().position(|token| *token == piece).map(|id| id as i64);
        let known: std::collections::HashMap<&str, i64> = vocab.iter().copied().zip(0..).collect();
        let (cls, sep, unk) = (id("[CLS]").unwrap(), id("[SEP]").unwrap(), id("[UNK]").unwrap());
        let mut tally = Tally::new(lines);
        for row in rows(&dir.join(lines)) {
            let text = row["text"].as_str().unwrap();
            let pieces: Vec<String> = pieces_of(text).unwrap().into_iter().map(|(piece, _)| piece).collect();
            tally.compare(text, &pieces, &strings(&row["pieces"]));
            // One file has the ids framed, the other not.
            let mut wanted = ids(&row["ids"]);
            if wanted.first() == Some(&cls) && wanted.last() == Some(&sep) {
                wanted = wanted[1..wanted.len() - 1].to_vec();
            }
            let found: Vec<i64> =
                pieces.iter().map(|piece| known.get(piece.as_str()).copied().unwrap_or(unk)).collect();
            tally.compare(text, found, wanted);
        }
        tallies.push(tally);
    }
    settle(&tallies);
}

#[test]
fn words_equal_those_of_jieba() {
    let Some(dir) = group_dir("golden/11_tokenizers") else { return };
    let texts = rows(&dir.join("texts.jsonl"));
    let words_of = fuzz::jieba().unwrap();
    let mut tally = Tally::new("seed-ernie-tiny words");
    for row in rows(&dir.join("seed-ernie-tiny/singles.jsonl")) {
        let text = texts.iter().find(|text| text["id"] == row["id"]).unwrap()["text"].as_str().unwrap();
        // No final sigma is in these lines.
        let lowered = text.to_lowercase();
        let words: Vec<String> = words_of(&lowered).into_iter().map(|word| lowered[word].to_owned()).collect();
        tally.compare(text, words, strings(&row["words"]));
    }
    settle(&[tally]);
}

/// Tokens are what the reference looks up: the vocabulary's, or unknown.
#[test]
fn tokens_equal_those_of_the_reference() {
    let Some(dir) = group_dir("golden/11_tokenizers") else { return };
    let texts = rows(&dir.join("texts.jsonl"));
    let mut tallies = Vec::new();
    for (name, scheme) in
        [("paddlenlp-ernie-m", Scheme::ErnieM(ErnieMVariant::PaddleNlp)), ("seed-ernie-tiny", Scheme::ErnieTiny)]
    {
        let spec = TokenizerSpec::from_dir(&dir.join(name), Some(scheme)).unwrap();
        let tokenizer = Tokenizer::open(&spec).unwrap();
        let unk = tokenizer.special_ids().unk.unwrap();
        let mut tally = Tally::new(format!("{name} tokens"));
        for row in rows(&dir.join(name).join("singles.jsonl")) {
            let Some(tokens) = row.get("tokens").map(strings) else { continue };
            let text = texts.iter().find(|text| text["id"] == row["id"]).unwrap()["text"].as_str().unwrap();
            let encoding = tokenizer.encode(text, None, &EncodeOptions::default()).unwrap();
            let found = &encoding.input_ids[1..encoding.len() - 1];
            let wanted: Vec<i64> = tokens.iter().map(|token| tokenizer.id(token).unwrap_or(unk)).collect();
            tally.compare(text, found, &wanted[..]);
        }
        tallies.push(tally);
    }
    settle(&tallies);
}

/// The published vectors, in [`data_dir`] as facts.
#[test]
fn published_vectors_come_out() {
    let path = data_dir().join("golden-tokenizers/transcribed_vectors.json");
    if group_dir("golden-tokenizers").is_none() {
        return;
    }
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let vocab = |name: &str| data_dir().join("vocab").join(name);
    std::fs::copy(vocab("ernie-m/vocab.txt"), scratch.path().join("vocab.txt")).unwrap();
    let model = scratch.path().join("sentencepiece.bpe.model");
    std::fs::copy(vocab("ernie-m/sentencepiece.bpe.rebuilt.model"), &model).unwrap();
    let open = |dir: &Path, scheme| Tokenizer::open(&TokenizerSpec::from_dir(dir, Some(scheme)).unwrap()).unwrap();
    let ernie_m = open(scratch.path(), Scheme::ErnieM(ErnieMVariant::Hf));
    let mut tally = Tally::new("published vectors, ernie-m-hf");
    for vector in vectors["vectors"].as_array().unwrap() {
        if !vector["tokenizer"].as_str().unwrap().to_lowercase().starts_with("ernie-m") {
            continue;
        }
        let found = ernie_m.encode(vector["text"].as_str().unwrap(), None, &EncodeOptions::default()).unwrap();
        tally.compare(&vector["text"].to_string(), found.input_ids, ids(&vector["input_ids"]));
    }
    settle(&[tally]);
}
