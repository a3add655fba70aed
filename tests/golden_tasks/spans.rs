//! Answers of reading comprehension and spans that a prompt names.

use std::path::Path;
use std::sync::Arc;

use ernie::pipeline::{Call, Input, Schema};
use serde_json::Value;

use crate::data::{Case, bytes_of, infer, input, near};

pub(crate) fn all(golden: &Path) {
    seed_answers(&Case::open(golden, "04_seed_mrc"));
    for name in ["08d_pnlp_qa", "09f_hf_qa_bf16"] {
        best_answers(&Case::open(golden, name));
    }
    prompts(&Case::open(golden, "08f_pnlp_uie"));
}

/// The n-best list of `demo/mrc`.
fn seed_answers(case: &Case) {
    let model = case.model("pretrained", &[("task", "question_answering")]);
    let file: Value = serde_json::from_slice(&std::fs::read(case.dir.join("mrc_input.json")).unwrap()).unwrap();
    let paragraphs = file["data"].as_array().unwrap().iter().flat_map(|entry| entry["paragraphs"].as_array().unwrap());
    let questions: Vec<(&str, Input<'_>)> = paragraphs
        .flat_map(|paragraph| {
            let passage = paragraph["context"].as_str().unwrap();
            let question = move |qa: &'_ Value| -> (&str, Input<'_>) {
                let (id, text) = (qa["id"].as_str().unwrap(), qa["question"].as_str().unwrap());
                // Lives as long as the file.
                let (id, text): (&'static str, &'static str) = (id.to_owned().leak(), text.to_owned().leak());
                (id, Input { text, pair: Some(passage) })
            };
            paragraph["qas"].as_array().unwrap().iter().map(question).collect::<Vec<_>>()
        })
        .collect();
    let size = |key: &str| case.expect["options"][key].as_u64().unwrap() as usize;
    let call = Call {
        max_tokens: Some(size("max_seqlen")),
        doc_stride: Some(size("doc_stride")),
        max_question_tokens: Some(size("max_query_length")),
        n_best: Some(size("n_best_size")),
        max_answer_tokens: Some(size("max_answer_length")),
        ..Call::default()
    };
    let inputs: Vec<Input<'_>> = questions.iter().map(|(_, input)| *input).collect();
    let output = infer(&model, &inputs, &call);
    let mut n_answers = 0;
    for value in case.inputs() {
        let id = value["id"].as_str().unwrap();
        let index = questions.iter().position(|(known, _)| *known == id).unwrap();
        let passage = inputs[index].pair.unwrap();
        let wanted = value["nbest"].as_array().unwrap();
        let n_windows = output.encodings.iter().filter(|encoding| encoding.input == index).count();
        assert_eq!(n_windows, value["n_windows"].as_u64().unwrap() as usize, "{id}");
        assert_eq!(output.items[index].len(), wanted.len(), "{id}");
        for (item, wanted) in output.items[index].iter().zip(wanted) {
            let number = |key: &str| wanted[key].as_f64().unwrap() as f32;
            assert_eq!(item.text, wanted["text"].as_str().unwrap(), "{id}");
            assert_eq!(item.text, passage[item.begin..item.end], "{id}: the answer is a part of the passage");
            assert!(near(item.score, number("probability"), case.atol()), "{id}: {item:?}");
            assert!(near(item.begin_score, number("start_logit"), case.atol()), "{id}: {item:?}");
            assert!(near(item.end_score, number("end_logit"), case.atol()), "{id}: {item:?}");
            n_answers += 1;
        }
    }
    case.says(n_answers, "answers, probabilities and logits of n-best lists");
}

/// The best pair of start and end in the passage, found by trying all.
fn best_answers(case: &Case) {
    let model = case.model(".", &[]);
    let whole = |value: &&Value| value["input_ids"].as_array().unwrap().len() < case.size("max_length");
    let types = |value: &Value| -> Vec<u8> { serde_json::from_value(value["token_type_ids"].clone()).unwrap() };
    let has_passage = |value: &&Value| types(value).iter().filter(|kind| **kind == 1).count() > 1;
    let inputs: Vec<&Value> = case.inputs().iter().filter(whole).filter(has_passage).collect();
    let texts: Vec<Input<'_>> = inputs.iter().map(|value| input(value)).collect();
    let call = Call { n_best: Some(1000), ..Call::default() };
    let output = infer(&model, &texts, &call);
    for (index, value) in inputs.iter().enumerate() {
        let logits = |name: &str| case.tensor(&value["outputs"][name]).1;
        let (start, end) = (logits("start_logits"), logits("end_logits"));
        let types = types(value);
        let passage: Vec<usize> = (0..types.len() - 1).filter(|token| types[*token] == 1).collect();
        let mut best = f32::MIN;
        for first in &passage {
            for last in passage.iter().filter(|last| *last >= first) {
                best = best.max(start[*first] + end[*last]);
            }
        }
        let found = &output.items[index][0];
        assert!(near(found.begin_score + found.end_score, best, 2.0 * case.atol()), "{}: {found:?}", value["id"]);
        let matrix = output.matrix.as_ref().unwrap();
        assert!(near(matrix.row(index)[1], start[0] + end[0], 2.0 * case.atol()), "the score of no answer");
        let sum: f32 = output.items[index].iter().map(|item| item.score).sum();
        assert!((sum - 1.0).abs() < 1e-4);
    }
    case.says(inputs.len(), "best answers");
}

/// `get_span` and `get_id_and_prob` of PaddleNLP: spans of the text that lie in it as a whole.
fn prompts(case: &Case) {
    let model = case.model(".", &[]);
    let inputs: Vec<Input<'_>> = case.inputs().iter().map(input).collect();
    // The reference cuts what is too long, here there are windows: cut the same.
    let truncation = Some(ernie::tokenize::Truncation::Truncate);
    let call = Call { max_tokens: Some(case.size("max_length")), truncation, ..Call::default() };
    let output = infer(&model, &inputs, &call);
    let (mut n_spans, mut n_astray) = (0, 0);
    for (index, value) in case.inputs().iter().enumerate() {
        let probabilities = |name: &str| case.tensor(&value["outputs"][name]).1;
        let (start, end) = (probabilities("start_prob"), probabilities("end_prob"));
        let offsets: Vec<[usize; 2]> = serde_json::from_value(value["offset_mapping"].clone()).unwrap();
        let bytes = bytes_of(inputs[index].pair.unwrap());
        let spans: Vec<[usize; 2]> = serde_json::from_value(value["spans_from_get_span"].clone()).unwrap();
        let middle = offsets[1..].iter().position(|span| *span == [0, 0]).unwrap() + 1;
        let is_text = |token: usize| token > middle && offsets[token] != [0, 0];
        let mut wanted: Vec<(usize, usize, f32)> = Vec::new();
        let encoding = &output.encodings[index];
        let theirs = |token: usize| (bytes[offsets[token][0]], bytes[offsets[token][1]]);
        let ours = |token: usize| (encoding.offsets[token].begin, encoding.offsets[token].end);
        // PaddleNLP's own offsets go astray behind emoji and joiners; ours are of the caller's text.
        n_astray +=
            usize::from((0..offsets.len()).filter(|token| is_text(*token)).any(|token| theirs(token) != ours(token)));
        for [first, last] in spans.into_iter().filter(|[first, last]| is_text(*first) && is_text(*last)) {
            wanted.push((ours(first).0, ours(last).1, start[first] * end[last]));
        }
        wanted.sort_by_key(|(begin, end, _)| (*begin, *end));
        let found: Vec<_> = output.items[index].iter().filter(|item| item.end > item.begin).collect();
        assert_eq!(found.len(), wanted.len(), "{}", value["id"]);
        for (item, (begin, end, score)) in found.iter().zip(&wanted) {
            assert_eq!((item.begin, item.end), (*begin, *end), "{}", value["id"]);
            assert!(near(item.score, *score, case.atol()), "{}: {item:?}", value["id"]);
            assert_eq!(item.text, inputs[index].pair.unwrap()[item.begin..item.end]);
        }
        n_spans += wanted.len();
        by_schema(&model, &inputs[index], &output.items[index], &call);
    }
    assert!(n_astray <= 3, "{n_astray} texts with other offsets than the reference");
    case.says(n_spans, "spans with probabilities");
}

/// A schema of one name asks what the prompt asks.
fn by_schema(model: &ernie::pipeline::Model, input: &Input<'_>, items: &[ernie::pipeline::Item], call: &Call) {
    let json = serde_json::to_string(input.text).unwrap();
    // A schema's names have their full-width characters made narrow.
    let is_narrow = !input.text.chars().any(|c| ('\u{ff01}'..='\u{ff5e}').contains(&c));
    let Some(schema) = Some(json).filter(|_| is_narrow).and_then(|json| Schema::parse(&json).ok()) else { return };
    let call = Call { schema: Some(Arc::new(schema)), ..call.clone() };
    let text = Input { text: input.pair.unwrap(), pair: None };
    let found = model.infer(&[text], &call).unwrap();
    assert_eq!(found.items[0].len(), items.len());
    for (a, b) in found.items[0].iter().zip(items) {
        assert_eq!((a.begin, a.end, a.score, &a.text), (b.begin, b.end, b.score, &b.text));
        assert_eq!((a.label.as_str(), a.parent), (input.text, None));
    }
}
