//! Queries with candidates: cross-encoder, dual encoder, multiple choice.

use std::path::Path;

use ernie::pipeline::{Call, Input, Similarity, rank_vectors};

use crate::data::{Case, near, softmax, text};

pub(crate) fn all(golden: &Path) {
    cross_encoder(&Case::open(golden, "08k_pnlp_cross_encoder"));
    dual_encoder(&Case::open(golden, "08j_pnlp_dual_encoder"));
    choices(&Case::open(golden, "09g_hf_multiple_choice"));
}

fn call(case: &Case) -> Call {
    Call { max_tokens: Some(case.size("max_length")), ..Call::default() }
}

/// The score of a pair is `matching()[:, 1]`.
fn cross_encoder(case: &Case) {
    let model = case.model("cross", &[]);
    for value in case.inputs() {
        let (_, probabilities) = case.tensor(&value["outputs"]["matching_probs"]);
        let (query, title) = (text(value, "text").unwrap(), text(value, "pair").unwrap());
        let output = model.rank(query, &["", title, "其他"], &call(case)).unwrap();
        let scores = output.matrix.unwrap();
        assert!(near(scores.data[1], probabilities[1], case.atol()), "{}: {scores:?}", value["id"]);
        let mut order: Vec<usize> = (0..3).collect();
        order.sort_by(|a, b| scores.data[*b].total_cmp(&scores.data[*a]));
        assert_eq!(output.items[0].iter().map(|item| item.id as usize).collect::<Vec<_>>(), order);
    }
    case.says(case.inputs().len(), "scores of pairs");
}

/// The dot products of all queries with all titles.
fn dual_encoder(case: &Case) {
    let texts: Vec<Input<'_>> = case
        .inputs()
        .iter()
        .map(|value| Input { text: text(value, "text").unwrap(), pair: text(value, "pair") })
        .collect();
    let vectors = |sub: &str| case.model(sub, &[]).encode(&texts, &call(case)).unwrap().matrix.unwrap();
    let (queries, titles) = (vectors("query"), vectors("title"));
    let (shape, products) = case.tensor(&case.expect["dot_products"]);
    assert_eq!(shape, [texts.len(), texts.len()]);
    for row in 0..texts.len() {
        let ranked = rank_vectors(queries.row(row), &titles.data, texts.len(), Similarity::Dot, None).unwrap();
        let scores = ranked.matrix.unwrap();
        for (column, score) in scores.data.iter().enumerate() {
            let wanted = products[row * texts.len() + column];
            assert!(near(*score, wanted, 1e-4), "{row}, {column}: {score} and {wanted}");
        }
    }
    case.says(products.len(), "dot products");
}

/// All choices of a question together.
fn choices(case: &Case) {
    // The reference was run with the slow tokenizer, the directory speaks for the fast one.
    let model = case.model(".", &[("tokenizer", "bert")]);
    for value in case.inputs() {
        let (_, logits) = case.tensor(&value["outputs"]["logits"]);
        let choices: Vec<&str> = value["choices"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        let output = model.rank(text(value, "text").unwrap(), &choices, &call(case)).unwrap();
        for (ours, theirs) in output.matrix.unwrap().data.iter().zip(softmax(&logits)) {
            assert!(near(*ours, theirs, case.atol()), "{}: {ours} and {theirs}", value["id"]);
        }
    }
    case.says(case.inputs().len(), "questions with their choices' probabilities");
}
