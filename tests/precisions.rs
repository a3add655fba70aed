//! Layers multiplied as `bf16` and `int8`: a text alone and in any batch give the same bits, answers are those of `f32` but for few, and
//! what cannot be multiplied so is refused.

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
use ernie::pipeline::{Call, Decoding, Generation, Input, Model, Output};

fn try_open(name: &str, options: &[(&str, &str)]) -> Result<Model, Error> {
    support::load_runtime();
    let mut all = Options::default();
    options.iter().for_each(|(key, value)| all.set(key, value).unwrap());
    Model::open(&support::root().join(name), &all)
}

fn open(name: &str, options: &[(&str, &str)]) -> Model {
    try_open(name, options).unwrap_or_else(|e| panic!("{name}: {}", e.report()))
}

fn inputs<'a>(texts: &'a [String]) -> Vec<Input<'a>> {
    texts.iter().map(|text| Input { text, pair: None }).collect()
}

/// Texts of 0 to about 500 characters.
fn texts() -> Vec<String> {
    let sentence = "房间很干净，早餐差了一点，屏幕太暗，后悔买了。这本书写得真好，读完舍不得放下！";
    (0..40).map(|n| sentence.chars().cycle().skip(n * 7).take(n * n / 3).collect()).collect()
}

/// All numbers of a text's row, and of its tokens.
fn bits(output: &Output, index: usize) -> Vec<u32> {
    let matrix = output.matrix.as_ref().unwrap();
    let row = &matrix.data[index * matrix.n_columns..(index + 1) * matrix.n_columns];
    row.iter().chain(&output.token_vectors[index].data).map(|x| x.to_bits()).collect()
}

#[test]
fn a_text_gives_the_same_bits_alone_and_in_any_batch_with_any_threads() {
    let (all, call) = (texts(), Call { with_token_vectors: true, ..Call::default() });
    for precision in ["f32", "bf16", "int8"] {
        let of = |more: &[(&str, &str)], texts: &[String]| {
            let options = [&[("precision", precision)][..], more].concat();
            let output = open("models/demo", &options).encode(&inputs(texts), &call).unwrap();
            (0..texts.len()).map(|index| bits(&output, index)).collect::<Vec<_>>()
        };
        let together = of(&[], &all);
        for more in [[("threads", "1")], [("threads", "3")], [("max_rows", "3")], [("max_batch_tokens", "100")]] {
            assert!(of(&more, &all) == together, "{precision} {more:?}");
        }
        let model = open("models/demo", &[("precision", precision)]);
        for (index, text) in all.iter().enumerate() {
            let alone = model.encode(&inputs(std::slice::from_ref(text)), &call).unwrap();
            assert!(bits(&alone, 0) == together[index], "{precision}: text {index}");
        }
    }
}

/// Labels and probabilities of texts.
fn classified(precision: &str, texts: &[String]) -> Vec<(String, f32)> {
    let output = open("models/demo", &[("precision", precision)]).infer(&inputs(texts), &Call::default()).unwrap();
    output.items.iter().map(|items| (items[0].text.clone(), items[0].score)).collect()
}

#[test]
fn labels_are_those_of_f32_but_for_few() {
    let dev = support::reference_data("labels of reviews").map(|root| root.join("datasets/chnsenticorp/dev.tsv"));
    let lines = dev.and_then(|path| std::fs::read_to_string(path).ok());
    let rows: Vec<(String, String)> = match &lines {
        Some(lines) => lines
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once('\t'))
            .map(|(label, text)| (label.into(), text.into()))
            .collect(),
        None => texts().into_iter().map(|text| (String::new(), text)).collect(),
    };
    let texts: Vec<String> = rows.iter().map(|(_, text)| text.clone()).collect();
    let exact = classified("f32", &texts);
    let right = |answers: &[(String, f32)]| {
        let is_right = |(answer, (label, _)): &(&(String, f32), &(String, String))| {
            answer.0 == if label == "1" { "positive" } else { "negative" }
        };
        answers.iter().zip(&rows).filter(is_right).count() as f64 / rows.len() as f64 * 100.0
    };
    for (precision, least, most_apart) in [("bf16", 99.9, 0.05), ("int8", 99.0, 0.2)] {
        let answers = classified(precision, &texts);
        let equal = answers.iter().zip(&exact).filter(|(a, b)| a.0 == b.0).count() as f64 / texts.len() as f64 * 100.0;
        let apart =
            answers.iter().zip(&exact).filter(|(a, b)| a.0 == b.0).map(|(a, b)| (a.1 - b.1).abs()).fold(0.0, f32::max);
        println!(
            "{precision}: {equal:.2} % of {} labels as f32, probabilities within {apart:.4}, right {:.2} % (f32 {:.2} %)",
            texts.len(),
            right(&answers),
            right(&exact)
        );
        assert!(equal >= least && apart < most_apart, "{precision}: {equal} % of labels, {apart} apart");
        if lines.is_some() {
            assert!(right(&answers) >= right(&exact) - 0.3, "{precision}");
        }
    }
}

#[test]
fn a_generator_writes_in_every_precision_and_the_same_alone_and_together() {
    let settings = Generation { decoding: Decoding::Greedy, max_new_tokens: Some(12), ..Generation::default() };
    let all = texts();
    let some = &all[3..12];
    for precision in ["bf16", "int8"] {
        let model = open("tests/fixtures/checkpoints/paddle_ernie_generator", &[("precision", precision)]);
        let together = model.generate(&inputs(some), &Call::default(), &settings, None).unwrap();
        for (index, text) in some.iter().enumerate() {
            let alone = model.generate(&inputs(std::slice::from_ref(text)), &Call::default(), &settings, None).unwrap();
            assert_eq!(alone.generated[0], together.generated[index], "{precision}: text {index}");
        }
    }
}

#[test]
fn weights_as_they_are_stored_give_the_same_beside_models_that_packed_them() {
    let all = texts();
    let packed = ["f32", "bf16", "int8"].map(|precision| open("models/demo", &[("precision", precision)]));
    let plain = open("models/demo", &[("precision", "f32"), ("prepacking", "off")]);
    let call = Call { with_token_vectors: true, ..Call::default() };
    let [given, wanted] = [&plain, &packed[0]].map(|model| model.encode(&inputs(&all), &call).unwrap());
    for (index, text) in all.iter().enumerate() {
        let (given, wanted) = (&given.token_vectors[index].data, &wanted.token_vectors[index].data);
        support::assert_close(text, given, wanted, 2e-5, 2e-5);
    }
    // It has not taken theirs, nor they its own: those agree to the last bit in any batch.
    let again = open("models/demo", &[("precision", "f32")]).encode(&inputs(&all[7..8]), &call).unwrap();
    assert!(bits(&again, 0) == bits(&packed[0].encode(&inputs(&all), &call).unwrap(), 7));
}

#[test]
fn precisions_that_cannot_be_are_refused_and_say_why() {
    let refused = |name: &str, options: &[(&str, &str)], words: &[&str]| {
        let error = try_open(name, options).map(drop).expect_err(name).report();
        assert!(words.iter().all(|word| error.contains(word)), "{name} {options:?}: {error}");
    };
    for precision in ["bf16", "int8"] {
        refused(
            "models/demo",
            &[("precision", precision), ("prepacking", "off")],
            &["precision", precision, "prepacking"],
        );
        refused(
            "models/demo",
            &[("precision", precision), ("provider", "cuda")],
            &["precision", precision, "provider"],
        );
        refused("tests/fixtures/sums", &[("precision", precision)], &["precision", precision]);
    }
    let error = Options::default().set("precision", "int4").unwrap_err().to_string();
    assert!(error.contains("int8") && error.contains("bf16"), "{error}");
}
