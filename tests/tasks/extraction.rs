//! What a schema names.

use std::sync::Arc;

use ernie::pipeline::{Call, Item, Schema};

use crate::{message, open, pair, text};

const LONG: &str = "今天天气很好，我们去看书。他说这个不错，房间大小干净，服务很好。我在北京上海的房间看书，中国人是好人！今天\
                    天气很好，我们去看书。";

fn schema(json: &str) -> Option<Arc<Schema>> {
    Some(Arc::new(Schema::parse(json).unwrap()))
}

fn call(json: &str, threshold: f32) -> Call {
    Call { schema: schema(json), threshold: Some(threshold), ..Call::default() }
}

/// A threshold under which the random fixture finds some, but not all.
fn threshold() -> f32 {
    let model = open("paddlenlp_uie", &[]);
    let all =
        model.infer(&[pair("天", "今天天气很好，我们去看书")], &Call { threshold: Some(1e-6), ..Call::default() });
    let mut scores: Vec<f32> = all.unwrap().items[0].iter().map(|item| item.begin_score.min(item.end_score)).collect();
    scores.sort_by(f32::total_cmp);
    scores[scores.len() / 2]
}

#[test]
fn a_nested_schema_asks_for_what_belongs_to_each_finding() {
    let model = open("paddlenlp_uie", &[]);
    let threshold = threshold();
    let nested = call(r#"["人", {"房间": ["大小", {"服务": "好"}]}]"#, threshold);
    let input = text("今天天气很好，我们去看书，他说这个不错");
    let items = &model.infer(&[input], &nested).unwrap().items[0];
    let alone = |prompt: &str| -> Vec<Item> {
        let call = Call { threshold: Some(threshold), ..Call::default() };
        model.infer(&[pair(prompt, input.text)], &call).unwrap().items.remove(0)
    };
    let same = |found: &[&Item], wanted: &[Item]| {
        let places = |item: &Item| (item.begin, item.end, item.text.clone(), item.score);
        assert_eq!(
            found.iter().map(|item| places(item)).collect::<Vec<_>>(),
            wanted.iter().map(places).collect::<Vec<_>>()
        );
    };
    for root in ["人", "房间"] {
        let found: Vec<&Item> = items.iter().filter(|item| item.parent.is_none() && item.label == root).collect();
        same(&found, &alone(root));
    }
    let mut n_children = 0;
    for (index, parent) in items.iter().enumerate().filter(|(_, item)| item.label == "房间" || item.label == "服务")
    {
        let names: &[&str] = if parent.label == "房间" { &["大小", "服务"] } else { &["好"] };
        for name in names {
            let found: Vec<&Item> =
                items.iter().filter(|item| item.parent == Some(index) && item.label == *name).collect();
            // Prompts are written narrow.
            same(&found, &alone(&format!("{}的{name}", parent.text.replace('，', ","))));
            n_children += found.len();
        }
    }
    assert!(n_children > 0 && items.iter().enumerate().all(|(index, item)| item.parent.is_none_or(|p| p < index)));
}

#[test]
fn long_texts_are_found_in_windows_with_places_of_the_whole() {
    let model = open("paddlenlp_uie", &[]);
    let call = Call { doc_stride: Some(6), ..call("\"天气\"", threshold()) };
    let items = &model.infer(&[text(LONG)], &call).unwrap().items[0];
    assert!(items.iter().any(|item| item.begin > 150), "{items:?}");
    for item in items.iter().filter(|item| item.end > 0) {
        assert_eq!(item.text, LONG[item.begin..item.end]);
    }
    for pair in items.windows(2).filter(|pair| pair[1].end > 0) {
        assert!(pair[0].end <= pair[1].begin, "{pair:?}");
    }
}

#[test]
fn a_batch_gives_what_each_text_gives_alone() {
    let model = open("paddlenlp_uie", &[]);
    let call = call(r#"{"人": ["书", "房"]}"#, threshold());
    let texts = ["今天天气很好", LONG, "", "我在北京", "今天天气很好"];
    let inputs: Vec<_> = texts.iter().map(|t| text(t)).collect();
    let together = model.infer(&inputs, &call).unwrap();
    for (input, items) in inputs.iter().zip(&together.items) {
        assert_eq!(model.infer(&[*input], &call).unwrap().items[0], *items);
    }
    assert_eq!(together.items[0], together.items[4]);
    // What was searched is told; with windows it is all.
    assert!(together.encodings.iter().all(|encoding| encoding.n_truncated_tokens() == 0));
    let cut = Call { truncation: Some(ernie::tokenize::Truncation::Truncate), ..call.clone() };
    let encodings = model.infer(&inputs, &cut).unwrap().encodings;
    assert_eq!(encodings.iter().map(|encoding| encoding.input).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(encodings[1].n_truncated_tokens() > 0 && encodings[0].n_truncated_tokens() == 0);
    // In nothing there is nothing; what is left are options out of the prompt.
    assert!(together.items[2].iter().all(|item| item.begin == item.end));
}

#[test]
fn prompts_that_cannot_be_asked_are_named() {
    let model = open("paddlenlp_uie", &[]);
    let error = message(model.infer(&[text("今天"), pair("今天", "好")], &call("\"人\"", 0.5)));
    assert!(error.contains("input 1: with a schema there are texts alone"), "{error}");
    let error = message(model.infer(&[text("今天")], &Call::default()));
    assert!(error.contains("input 0: extraction wants a schema, or a prompt"), "{error}");
    let error = Call { truncation: Some(ernie::tokenize::Truncation::Error), ..call("\"人\"", 0.5) };
    let error = message(model.infer(&[text(LONG)], &error));
    assert!(error.contains("input 0: prompt \"人\" with the text has"), "{error}");
    let long = format!("\"{}\"", "人".repeat(60));
    let error = message(model.infer(&[text("今天")], &call(&long, 0.5)));
    assert!(error.contains("input 0: prompt \"人人") && error.contains("more than the 40 allowed"), "{error}");
}

#[test]
fn a_schema_that_finds_without_end_is_refused_and_nothing_else_suffers() {
    let model = open("paddlenlp_uie", &[]);
    let nested = format!("{}\"书\"{}", "{\"人\":".repeat(8), "}".repeat(8));
    let call = call(&nested, 1e-30);
    // Every token is a finding here, in every finding again.
    let endless = "人".repeat(20);
    let error = message(model.infer(&[text(&endless)], &call));
    assert!(error.starts_with("input 0: at depth ") && error.contains("more findings than are allowed"), "{error}");
    let output = model.infer_each(vec![Ok(text("")), Ok(text(&endless))], &call).unwrap();
    assert!(output.errors[0].is_none() && output.errors[1].is_some() && !output.items[0].is_empty());
    // More prompts than are asked are found out before they are made.
    let names: Vec<String> = (0..4000).map(|i| format!("\"n{i}\"")).collect();
    let wide = self::call(&format!("{{\"人\": [{}]}}", names.join(",")), 1e-30);
    let error = message(model.infer(&[text("我们去看书")], &wide));
    assert!(error.contains("input 0: at depth 1 the schema makes more prompts"), "{error}");
}
