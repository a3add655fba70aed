//! The laws of running texts, on graphs that can be computed by hand and on the demo model: a text alone and in any
//! batch give the same numbers, order is kept, padding does not count.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use ernie::error::Error;
use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model, Normalize, Pooling};
use support::assert_close;

fn open(name: &str, options: &[(&str, &str)]) -> Model {
    support::load_runtime();
    let mut all = Options::default();
    for (key, value) in options {
        all.set(key, value).unwrap();
    }
    Model::open(&support::root().join(name), &all).unwrap_or_else(|e| panic!("{name}: {}", e.report()))
}

fn text(text: &str) -> Input<'_> {
    Input { text, pair: None }
}

/// What `scripts/make_fixtures.py` builds: row `id` of the weights is `[3 id, 3 id + 1, 3 id + 2] / 16`.
fn sums(ids: &[i64]) -> Vec<f32> {
    (0..3).map(|column| ids.iter().map(|id| (3 * id + column) as f32 / 16.0).sum()).collect()
}

const TEXTS: &[&str] = &["好", "", "房间很好", "书的 goods bad", "坏 坏 坏 坏 坏 坏 坏", "[MASK]不", "unknown"];

#[test]
fn a_text_gives_the_sum_of_its_tokens_alone_and_in_any_batch() {
    let few = [("max_rows", "2")];
    let small = [("max_batch_tokens", "5")];
    let shrink = [("arena", "shrink")];
    let off = [("arena", "off"), ("threads", "1")];
    for (name, options) in [
        ("sums", &[] as &[(&str, &str)]),
        ("sums", &few),
        ("sums", &small),
        ("sums", &shrink),
        ("sums", &off),
        ("sums_fixed", &[]),
        ("sums_no_mask", &[]),
    ] {
        let model = open(&format!("tests/fixtures/{name}"), options);
        let inputs: Vec<Input<'_>> = TEXTS.iter().map(|t| text(t)).collect();
        let together = model.infer(&inputs, &Call::default()).unwrap();
        for (index, input) in inputs.iter().enumerate() {
            let wanted = sums(&together.encodings[index].input_ids);
            let what = format!("{name} {options:?} {:?}", input.text);
            // The fixed graph sums rows of 16 tokens; its mask leaves the padding out like any other.
            assert_close(&what, together.matrix.as_ref().unwrap().row(index), &wanted, 1e-6, 0.0);
            let alone = model.infer(&[*input], &Call::default()).unwrap();
            assert_eq!(alone.matrix.unwrap().row(0), together.matrix.as_ref().unwrap().row(index), "{what}");
            assert_eq!(alone.items[0], together.items[index], "{what}");
        }
    }
}

#[test]
fn raw_outputs_are_those_of_the_text_alone() {
    let model = open("tests/fixtures/sums", &[]);
    let inputs: Vec<Input<'_>> = TEXTS.iter().map(|t| text(t)).collect();
    let output = model.infer(&inputs, &Call { with_raw_outputs: true, ..Call::default() }).unwrap();
    for (index, tensors) in output.raw_outputs.iter().enumerate() {
        let n_tokens = output.encodings[index].len();
        assert_eq!((tensors[0].name.as_str(), &tensors[0].shape[..]), ("logits", &[1, 3][..]));
        assert_eq!((tensors[1].name.as_str(), &tensors[1].shape[..]), ("last_hidden_state", &[1, n_tokens, 3][..]));
        let wanted: Vec<f32> = output.encodings[index].input_ids.iter().flat_map(|id| sums(&[*id])).collect();
        assert_close("last_hidden_state", &tensors[1].to_f32().unwrap(), &wanted, 0.0, 0.0);
    }
}

#[test]
fn poolings_are_made_of_the_token_vectors() {
    let model = open("tests/fixtures/sums", &[]);
    let inputs = [text("房间很好"), text("好")];
    let call = |pooling| Call { pooling, with_token_vectors: true, ..Call::default() };
    for pooling in [Pooling::Default, Pooling::Cls, Pooling::Mean, Pooling::Max] {
        let output = model.encode(&inputs, &call(pooling)).unwrap();
        for (index, tokens) in output.token_vectors.iter().enumerate() {
            let column = |d: usize| (0..tokens.n_rows).map(move |t| tokens.row(t)[d]);
            let wanted: Vec<f32> = (0..3)
                .map(|d| match pooling {
                    Pooling::Mean => column(d).sum::<f32>() / tokens.n_rows as f32,
                    Pooling::Max => column(d).fold(f32::MIN, f32::max),
                    _ => tokens.row(0)[d],
                })
                .collect();
            assert_close("pooled", output.matrix.as_ref().unwrap().row(index), &wanted, 1e-6, 0.0);
        }
    }
    assert!(matches!(model.encode(&inputs, &call(Pooling::Pooler)), Err(Error::Unsupported(_))));
}

#[test]
fn an_empty_call_gives_an_empty_answer() {
    let model = open("tests/fixtures/sums", &[]);
    let output = model.infer(&[], &Call::default()).unwrap();
    assert_eq!((output.items.len(), output.matrix.unwrap().n_columns), (0, 3));
    assert_eq!(model.encode(&[], &Call::default()).unwrap().matrix.unwrap().n_rows, 0);
}

#[test]
fn a_graph_of_fixed_length_limits_the_texts() {
    let model = open("tests/fixtures/sums_fixed", &[]);
    assert_eq!(model.max_tokens(), Some(16));
    let long = "好".repeat(40);
    let output = model.infer(&[text(&long)], &Call::default()).unwrap();
    assert_eq!((output.encodings[0].len(), output.encodings[0].n_truncated_tokens()), (16, 26));
}

#[test]
fn the_demo_model_is_the_same_for_any_batch_order_and_thread_count() {
    let texts =
        ["房间很干净", "", "屏幕太暗，后悔买了", "这本书写得真好，读完舍不得放下。", "早餐差", "good hotel 很好"];
    let reference = open("models/demo", &[("threads", "1"), ("max_rows", "1")]);
    let wanted: Vec<Vec<f32>> =
        texts.iter().map(|t| reference.infer(&[text(t)], &Call::default()).unwrap().matrix.unwrap().data).collect();
    for options in [&[("threads", "2")][..], &[("max_rows", "3")], &[("max_batch_tokens", "20")]] {
        let model = open("models/demo", options);
        for shift in 0..texts.len() {
            let order: Vec<usize> = (0..texts.len()).map(|i| (i * 5 + shift) % texts.len()).collect();
            let inputs: Vec<Input<'_>> = order.iter().map(|i| text(texts[*i])).collect();
            let matrix = model.infer(&inputs, &Call::default()).unwrap().matrix.unwrap();
            for (row, index) in order.iter().enumerate() {
                assert_close(texts[*index], matrix.row(row), &wanted[*index], 1e-5, 0.0);
            }
        }
    }
}

#[test]
fn normalised_vectors_have_length_one() {
    let model = open("models/demo", &[]);
    let call = Call { pooling: Pooling::Mean, normalize: Normalize::L2, ..Call::default() };
    let matrix = model.encode(&[text("房间很干净"), text("")], &call).unwrap().matrix.unwrap();
    for row in 0..2 {
        let length: f32 = matrix.row(row).iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
}

#[test]
fn the_demo_model_is_as_good_as_its_card_says() {
    let Some(data) = support::reference_data("accuracy of the demo model") else { return };
    let model = open("models/demo", &[]);
    let file = std::fs::read_to_string(data.join("datasets/chnsenticorp/dev.tsv")).unwrap();
    let rows: Vec<(i64, &str)> =
        file.split('\n').skip(1).filter_map(|l| l.split_once('\t')).map(|(l, t)| (l.parse().unwrap(), t)).collect();
    let inputs: Vec<Input<'_>> = rows.iter().map(|(_, t)| text(t)).collect();
    let output = model.infer(&inputs, &Call::default()).unwrap();
    let right = output.items.iter().zip(&rows).filter(|(items, (label, _))| items[0].id == *label).count();
    println!("dev.tsv: {right} of {}", rows.len());
    // The card says 1,103; another processor may round a few scores across the border.
    assert!(rows.len() == 1200 && (1100..=1106).contains(&right), "{right} of {}", rows.len());
}
