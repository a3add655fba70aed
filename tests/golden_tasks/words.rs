//! Labels of texts and words, and words behind `[MASK]`.

use std::path::Path;

use ernie::pipeline::{Call, Input, Item, Model, Tags, Words};
use serde_json::Value;

use crate::data::{Case, infer, input, near, rows, softmax};

pub(crate) fn all(golden: &Path) {
    for (name, sub) in [
        ("02a_seed_cls_single_2labels", "pretrained"),
        ("02b_seed_cls_pair_3labels", "."),
        ("08b_pnlp_seqcls_legacy_model_config", "."),
        ("09d_hf_seqcls_safetensors", "."),
    ] {
        labels(&Case::open(golden, name), sub);
    }
    seed_words(&Case::open(golden, "03_seed_ner_7labels"));
    for name in ["08c_pnlp_tokcls_safetensors", "09e_hf_tokcls_sharded"] {
        found_words(&Case::open(golden, name));
    }
}

/// How texts are cut, as the case says.
fn call(case: &Case) -> Call {
    let size = |key: &str| case.expect[key].as_u64().map(|n| n as usize);
    Call { seed_truncate_to: size("truncate_to"), max_tokens: size("max_length"), ..Call::default() }
}

fn labels(case: &Case, sub: &str) {
    let model = case.model(sub, &[]);
    let inputs = inputs_of(case, &model);
    let texts: Vec<Input<'_>> = inputs.iter().map(|value| input(value)).collect();
    let output = infer(&model, &texts, &call(case));
    for (value, items) in inputs.iter().zip(&output.items) {
        let (_, logits) = case.tensor(&value["outputs"]["logits"]);
        let mut wanted: Vec<(usize, f32)> = softmax(&logits).into_iter().enumerate().collect();
        wanted.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (item, (id, score)) in items.iter().zip(&wanted) {
            assert!(item.id as usize == *id && near(item.score, *score, case.atol()), "{}: {item:?}", value["id"]);
        }
        assert_eq!(items.len(), logits.len());
    }
    case.says(inputs.len(), "labels in order, probabilities");
}

/// The inputs whose ids are the reference's when they are cut as the case says; what is cut how is held by the tokenizers'
/// tests.
fn inputs_of<'a>(case: &'a Case, model: &Model) -> Vec<&'a Value> {
    let same = |value: &&Value| {
        let wanted: Option<Vec<i64>> = serde_json::from_value(value["input_ids"].clone()).ok();
        wanted.is_some_and(|wanted| model.tokenize(&[input(value)], &call(case)).unwrap()[0].input_ids == wanted)
    };
    let inputs: Vec<&Value> = case.inputs().iter().filter(same).collect();
    assert!(inputs.len() * 2 > case.inputs().len(), "{}: {} of {}", case.name, inputs.len(), case.inputs().len());
    inputs
}

/// `demo/finetune_ner.py`: words between bytes 0x02, the mean of their tokens' logits.
fn seed_words(case: &Case) {
    let names: Vec<&str> = case.expect["labels"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_string(&names).unwrap()).unwrap();
    let model = case.model("pretrained", &[("labels", file.path().to_str().unwrap())]);
    let texts: Vec<Input<'_>> = case.inputs().iter().map(input).collect();
    let call = Call {
        seed_truncate_to: Some(case.size("max_seqlen")),
        tags: Tags::Words,
        words: Words::Separated,
        with_token_vectors: true,
        ..Call::default()
    };
    let output = infer(&model, &texts, &call);
    let mut n_words = 0;
    for (index, value) in case.inputs().iter().enumerate() {
        let items = &output.items[index];
        assert_eq!(items.len(), value["n_pieces"].as_u64().unwrap() as usize);
        let numbers = |key: &str| -> Vec<usize> { serde_json::from_value(value[key].clone()).unwrap() };
        let (pieces, predictions) = (numbers("piece_index"), numbers("pred"));
        let predicted: Vec<(usize, usize)> = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.id >= 0)
            .map(|(word, item)| (word, item.id as usize))
            .collect();
        let wanted: Vec<(usize, usize)> = pieces.into_iter().zip(predictions).collect();
        assert_eq!(predicted, wanted, "{}", value["id"]);
        n_words += wanted.len();
        let (shape, merged) = case.tensor(&value["outputs"]["merged_logits"]);
        let ours = &output.token_vectors[index];
        assert_eq!([ours.n_rows, ours.n_columns], shape[..]);
        for (a, b) in ours.data.iter().zip(&merged) {
            assert!(near(*a, *b, case.atol()), "{}: {a} and {b}", value["id"]);
        }
        let parts: Vec<&str> = texts[index].text.split('\u{2}').collect();
        for (item, part) in items.iter().zip(parts) {
            assert_eq!((item.text.as_str(), &texts[index].text[item.begin..item.end]), (part, part));
        }
    }
    case.says(n_words, "labels and logits of words");
}

/// Words as the tokenizer finds them: the labels are those of the mean of the reference's logits.
fn found_words(case: &Case) {
    let model = case.model(".", &[]);
    let call = Call { tags: Tags::Words, words: Words::Found, ..call(case) };
    let inputs = inputs_of(case, &model);
    let texts: Vec<Input<'_>> = inputs.iter().map(|value| input(value)).collect();
    let output = infer(&model, &texts, &call);
    let mut n_words = 0;
    for (value, items) in inputs.iter().zip(&output.items) {
        let (shape, logits) = case.tensor(&value["outputs"]["logits"]);
        let rows = rows(&logits, shape[2]);
        let ids: Vec<i64> = serde_json::from_value(value["input_ids"].clone()).unwrap();
        let tokens = model.tokenizer().unwrap().tokens(&ids[1..ids.len() - 1]).unwrap();
        // Behind `[CLS]`; pieces belong to the word before them.
        let mut words: Vec<Vec<&[f32]>> = Vec::new();
        for (token, row) in tokens.iter().zip(&rows[1..]) {
            match words.last_mut().filter(|_| token.starts_with("##")) {
                Some(word) => word.push(row),
                None => words.push(vec![row]),
            }
        }
        assert!(items.len() >= words.len(), "{}", value["id"]);
        assert!(items[words.len()..].iter().all(|item| item.id == -1), "{}: what was cut has no label", value["id"]);
        for (item, word) in items.iter().zip(&words) {
            let mean: Vec<f32> =
                (0..shape[2]).map(|k| word.iter().map(|row| row[k]).sum::<f32>() / word.len() as f32).collect();
            let (best, _) = mean.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            let close = mean[best] - mean[item.id as usize] < 2.0 * case.atol();
            assert!(
                close && near(item.score, softmax(&mean)[item.id as usize], case.atol()),
                "{}: {item:?}",
                value["id"]
            );
        }
        n_words += words.len();
    }
    case.says(n_words, "labels of words");
}

pub(crate) fn cloze(golden: &Path) {
    seed_cloze(&Case::open(golden, "05_seed_cloze_full_vocab"));
    for (name, output) in [("08e_pnlp_mlm", "prediction_logits"), ("09c_hf_mlm_legacy_bin_gamma_beta", "logits")] {
        library_cloze(&Case::open(golden, name), output);
    }
}

fn seed_cloze(case: &Case) {
    let model = case.model(".", &[]);
    let inputs: Vec<&Value> = case
        .inputs()
        .iter()
        .filter(|value| value["mask_positions"].as_array().is_some_and(|p| !p.is_empty()))
        .collect();
    let texts: Vec<Input<'_>> = inputs.iter().map(|value| input(value)).collect();
    let call = Call { seed_truncate_to: Some(case.size("truncate_to")), top_k: Some(10), ..Call::default() };
    let output = infer(&model, &texts, &call);
    let mut n_masks = 0;
    for (index, value) in inputs.iter().enumerate() {
        let top = value["top10"].as_array().unwrap();
        assert_eq!(output.items[index].len(), top.len() * 10, "{}", value["id"]);
        for (group, (wanted, items)) in top.iter().zip(output.items[index].chunks_exact(10)).enumerate() {
            let position = wanted["position"].as_u64().unwrap() as usize;
            let span = output.encodings[index].offsets[position];
            let ids: Vec<i64> = serde_json::from_value(wanted["ids"].clone()).unwrap();
            let logits: Vec<f32> = serde_json::from_value(wanted["logits"].clone()).unwrap();
            check_top(items, &ids, &logits, case.atol());
            assert!(
                items
                    .iter()
                    .all(|item| (item.begin, item.end) == (span.begin, span.end) && item.group as usize == group)
            );
            n_masks += 1;
        }
    }
    case.says(n_masks, "ten best words of a [MASK]");
}

/// Neighbours closer than 1e-3 may have changed places.
fn check_top(items: &[Item], ids: &[i64], logits: &[f32], atol: f32) {
    for (place, item) in items.iter().enumerate() {
        let known = ids.iter().position(|id| *id == item.id);
        let logit = known.map_or(logits[logits.len() - 1], |known| logits[known]);
        assert!(ids[place] == item.id || (logit - logits[place]).abs() < 1e-3, "{item:?}, wanted {}", ids[place]);
        // Differences of log probabilities are those of logits.
        let (ours, theirs) = (item.begin_score - items[0].begin_score, logit - logits[0]);
        assert!((ours - theirs).abs() < 4.0 * atol + 1e-5, "{item:?}: {ours} and {theirs}");
        assert!(near(item.score, item.begin_score.exp(), 1e-6));
    }
}

fn library_cloze(case: &Case, output_name: &str) {
    let model = case.model(".", &[]);
    let mut n_masks = 0;
    for value in inputs_of(case, &model) {
        let (shape, logits) = case.tensor(&value["outputs"][output_name]);
        let rows = rows(&logits, shape[2]);
        let ids: Vec<i64> = serde_json::from_value(value["input_ids"].clone()).unwrap();
        let mask_id = model.tokenizer().unwrap().special_ids().mask.unwrap();
        let masks: Vec<usize> = (0..ids.len()).filter(|token| ids[*token] == mask_id).collect();
        if masks.is_empty() {
            assert!(model.infer(&[input(value)], &call(case)).unwrap_err().to_string().contains("no [MASK]"));
            continue;
        }
        let call = Call { top_k: Some(10), ..call(case) };
        let output = infer(&model, &[input(value)], &call);
        assert_eq!(output.items[0].len(), masks.len() * 10);
        for (mask, items) in masks.iter().zip(output.items[0].chunks_exact(10)) {
            let mut wanted: Vec<(i64, f32)> = (0..).zip(rows[*mask].iter().copied()).collect();
            wanted.sort_by(|a, b| b.1.total_cmp(&a.1));
            let (ids, logits): (Vec<i64>, Vec<f32>) = wanted.into_iter().take(10).unzip();
            check_top(items, &ids, &logits, case.atol());
            assert!(near(items[0].score, softmax(rows[*mask])[items[0].id as usize], case.atol()));
            n_masks += 1;
        }
    }
    case.says(n_masks, "ten best words of a [MASK]");
}
