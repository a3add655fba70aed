//! Bundles: every family exported and opened again gives the same numbers to the last bit, half precision nearly the
//! same; the plain graph runs as any other; an export that fails or is killed leaves nothing under its name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ernie::error::Error;
use ernie::options::{Options, Precision};
use ernie::pipeline::export::{GraphKind, export};
use ernie::pipeline::{Call, Input, Model};
use ernie::tensor::Tensor;
use ernie::tokenize::Encoding;
use serde_json::Value;
use support::assert_close;

/// A fixture: its directory, options, and texts as token ids.
fn fixtures() -> Vec<(String, PathBuf, Options, Vec<Encoding>)> {
    let root = support::root().join("tests/fixtures/checkpoints");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let dir = entry.unwrap().path();
        let Ok(text) = std::fs::read(dir.join("expect.json")) else { continue };
        let expect: Value = serde_json::from_slice(&text).unwrap();
        let Some(inputs) = expect["inputs"].as_array() else { continue };
        let mut options = Options::default();
        if let Some(weights) = expect["weights"].as_str() {
            options.set("weights", dir.join(weights).to_str().unwrap()).unwrap();
        }
        if expect["task"] == "question_answering" {
            options.set("task", "question_answering").unwrap();
        }
        let texts = inputs.iter().map(encoding).collect();
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let sub = dir.join(expect["config_dir"].as_str().unwrap_or("."));
        all.push((name, sub, options, texts));
    }
    assert_eq!(all.len(), 27);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn encoding(input: &Value) -> Encoding {
    let numbers = |key: &str| serde_json::from_value::<Vec<i64>>(input[key].clone());
    let input_ids = numbers("input_ids").unwrap();
    let n_tokens = input_ids.len();
    Encoding {
        token_type_ids: numbers("token_type_ids").unwrap_or_else(|_| vec![0; n_tokens]),
        attention_mask: vec![1; n_tokens],
        offsets: vec![Default::default(); n_tokens],
        sequence: vec![0; n_tokens],
        input_ids,
        ..Encoding::default()
    }
}

fn open(dir: &Path, options: &Options) -> Model {
    Model::open(dir, options).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn run(model: &Model, texts: &[Encoding]) -> Vec<Vec<Tensor>> {
    let call = Call { with_raw_outputs: true, ..Call::default() };
    model.infer_encoded(texts.to_vec(), &call).unwrap_or_else(|e| panic!("{}", e.report())).raw_outputs
}

fn compare(what: &str, got: &[Vec<Tensor>], want: &[Vec<Tensor>], atol: f32) {
    let mut n_compared = 0;
    for (got, want) in got.iter().zip(want) {
        for tensor in want {
            // The words of all tokens, and those of masked ones, are different tensors.
            let Some(other) = got.iter().find(|t| t.name == tensor.name && t.shape == tensor.shape) else { continue };
            let what = format!("{what}: {}", tensor.name);
            assert_close(&what, &other.to_f32().unwrap(), &tensor.to_f32().unwrap(), atol, 0.0);
            n_compared += 1;
        }
    }
    assert!(n_compared >= got.len(), "{what}: only {n_compared} outputs compared");
}

#[test]
fn a_bundle_gives_what_its_checkpoint_gave() {
    support::load_runtime();
    let out = tempfile::tempdir().unwrap();
    for (name, dir, options, texts) in fixtures() {
        let model = open(&dir, &options);
        let want = run(&model, &texts);
        let bundle = out.path().join(&name);
        export(&dir, &bundle, &options, GraphKind::Own).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
        let opened = open(&bundle, &Options::default());
        compare(&name, &run(&opened, &texts), &want, 0.0);
        assert_eq!((opened.task(), opened.spec().labels.len()), (model.task(), model.spec().labels.len()), "{name}");
        assert_eq!(opened.tokenizer().is_ok(), model.tokenizer().is_ok(), "{name}");

        let half = out.path().join(format!("{name}.f16"));
        export(&dir, &half, &Options { precision: Some(Precision::F16), ..options.clone() }, GraphKind::Own).unwrap();
        let size = |dir: &Path| std::fs::metadata(dir.join("model.safetensors")).unwrap().len();
        assert!(size(&half) < size(&bundle) || name == "hf_f16", "{name}");
        compare(&format!("{name} f16"), &run(&open(&half, &Options::default()), &texts), &want, 2e-2);
        // A bundle of a bundle is the same bundle.
        let again = out.path().join(format!("{name}.again"));
        export(&bundle, &again, &Options::default(), GraphKind::Own).unwrap();
        for file in ["ernie.json", "model.safetensors", "model.onnx"] {
            assert_eq!(
                std::fs::read(bundle.join(file)).unwrap(),
                std::fs::read(again.join(file)).unwrap(),
                "{name}/{file}"
            );
        }
    }
}

#[test]
fn a_plain_graph_runs_as_a_foreign_one_and_gives_the_same() {
    support::load_runtime();
    let out = tempfile::tempdir().unwrap();
    for (name, dir, options, texts) in fixtures() {
        // Without a tokenizer nothing tells a foreign graph what padding is.
        if name == "ernie_m" {
            continue;
        }
        let want = run(&open(&dir, &options), &texts);
        for precision in [Precision::F32, Precision::F16] {
            let bundle = out.path().join(format!("{name}.{}", precision.name()));
            let options = Options { precision: Some(precision), ..options.clone() };
            export(&dir, &bundle, &options, GraphKind::Plain).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
            let foreign = open(&bundle.join("model.onnx"), &Options { task: options.task, ..Options::default() });
            assert!(foreign.architecture().is_none(), "{name}");
            assert_eq!(foreign.max_tokens(), Some(40), "{name}");
            let atol = if precision == Precision::F32 { 2e-6 } else { 2e-2 };
            compare(&format!("{name} plain"), &run(&foreign, &texts), &want, atol);
        }
    }
}

fn any_fixture() -> PathBuf {
    support::root().join("tests/fixtures/checkpoints/paddle_ernie_pdparams")
}

fn names(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_export_never_writes_over_anything_and_leaves_nothing_when_it_fails() {
    let out = tempfile::tempdir().unwrap();
    let taken = out.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("mine"), "x").unwrap();
    let file = out.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [&taken, &file] {
        let error = export(&any_fixture(), path, &Options::default(), GraphKind::Own).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)) && error.report().contains("already"), "{}", error.report());
    }
    let broken = support::root().join("tests/fixtures/checkpoints/refused/nan_weight");
    assert!(export(&broken, &out.path().join("new"), &Options::default(), GraphKind::Own).is_err());
    assert!(export(&any_fixture(), &out.path().join("no/where"), &Options::default(), GraphKind::Own).is_err());
    let no_words = tempfile::tempdir().unwrap();
    for file in ["ernie_config.json", "saved_weights.pdparams"] {
        std::fs::copy(any_fixture().join(file), no_words.path().join(file)).unwrap();
    }
    std::fs::write(no_words.path().join("vocab.txt"), "").unwrap();
    let error = export(no_words.path(), &out.path().join("new"), &Options::default(), GraphKind::Own).unwrap_err();
    assert!(error.report().contains("vocab.txt: an empty vocabulary"), "{}", error.report());
    let mut left = names(out.path());
    left.sort();
    assert_eq!(left, ["file", "taken"]);
    assert_eq!(names(&taken), ["mine"]);
    // An empty directory is as good as none.
    let empty = out.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    export(&any_fixture(), &empty, &Options::default(), GraphKind::Own).unwrap();
    assert!(empty.join("ernie.json").is_file());
}

#[test]
fn a_killed_export_leaves_nothing_under_its_name_and_the_next_one_tidies_up() {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("bundle");
    let mut n_killed = 0;
    for delay_us in (0..40).map(|n| n * 500) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ernie"))
            .args(["export", "models/demo", target.to_str().unwrap()])
            .current_dir(support::root())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_micros(delay_us));
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        if target.exists() {
            // Whatever is there under the name is whole.
            assert!(
                ["ernie.json", "model.onnx", "model.safetensors", "vocab.txt"].iter().all(|f| target.join(f).is_file())
            );
            std::fs::remove_dir_all(&target).unwrap();
        } else {
            assert!(!finished);
            n_killed += 1;
        }
    }
    assert!(n_killed > 0, "no export was killed before its end");
    std::fs::create_dir(out.path().join(".bundle.unfinished-abcdefABCDEF")).unwrap();
    std::fs::write(out.path().join(".bundle.unfinished-abcdefABCDEF/model.onnx"), "half").unwrap();
    export(&any_fixture(), &target, &Options::default(), GraphKind::Own).unwrap();
    assert_eq!(names(out.path()), ["bundle"], "leftovers");
}

#[test]
fn a_manifest_that_cannot_be_is_refused_with_its_reason() {
    support::load_runtime();
    let out = tempfile::tempdir().unwrap();
    let bundle = out.path().join("bundle");
    export(&any_fixture(), &bundle, &Options::default(), GraphKind::Own).unwrap();
    let path = bundle.join("ernie.json");
    let good: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let cases: &[(&str, Value, &str)] = &[
        ("/version", 2.into(), "version 2"),
        ("/format", "zip".into(), "format"),
        ("/weights", "../model.safetensors".into(), "../model.safetensors"),
        ("/weights", "none.safetensors".into(), "none.safetensors"),
        ("/task", "poetry".into(), "poetry"),
        ("/architecture/hidden_size", 13.into(), "embeddings.word"),
        ("/architecture/n_layers", 3.into(), "layer.2.query.weight"),
        ("/architecture/n_layers", 1.into(), "tensor layer.1."),
        ("/architecture/n_token_types", 0.into(), "tensor embeddings."),
        ("/precision", "q4".into(), "q4"),
        ("/architecture/n_layers", 0.into(), "layers"),
        ("/task", "masked_lm".into(), "task masked_lm"),
        ("/architecture/n_layers", 4_000_000_000_u64.into(), "layers"),
        ("/architecture/hidden_size", u64::MAX.into(), "hidden_size"),
        ("/architecture/n_heads", 0.into(), "query width"),
        ("/architecture/layer_norm_epsilon", 0.into(), "epsilon"),
        ("/architecture/head", serde_json::json!({"classifier": {"n_labels": 2}}), "classifier.weight"),
        ("/architecture/activation", "swish".into(), "swish"),
        ("/tokenizer/scheme", "words".into(), "words"),
    ];
    for (pointer, value, wanted) in cases {
        let mut broken = good.clone();
        *broken.pointer_mut(pointer).unwrap() = value.clone();
        std::fs::write(&path, broken.to_string()).unwrap();
        let message = match Model::open(&bundle, &Options::default()) {
            Ok(_) => panic!("{pointer} = {value} opens"),
            Err(error) => error.report(),
        };
        assert!(message.contains(wanted) && message.contains("bundle"), "{pointer} = {value}: {message}");
    }
    std::fs::write(&path, good.to_string()).unwrap();
    open(&bundle, &Options::default());
    for (key, value) in [("task", "masked_lm"), ("weights", "ernie.json")] {
        let mut options = Options::default();
        options.set(key, value).unwrap();
        assert!(matches!(Model::open(&bundle, &options), Err(Error::InvalidArgument(_))), "{key}");
    }
}

#[test]
fn models_of_the_same_files_share_their_weights_and_give_the_same() {
    support::load_runtime();
    let dir = support::root().join("models/demo");
    let texts: Vec<Encoding> = [vec![1, 5, 6, 2], vec![1, 9, 2]]
        .into_iter()
        .map(|ids: Vec<i64>| encoding(&serde_json::json!({"input_ids": ids})))
        .collect();
    let first = open(&dir, &Options::default());
    let want = run(&first, &texts);
    let models: Vec<Model> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| open(&dir, &Options::default()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    drop(first);
    for model in &models {
        compare("shared", &run(model, &texts), &want, 0.0);
    }
    drop(models);
    compare("opened anew", &run(&open(&dir, &Options::default()), &texts), &want, 0.0);
}

/// Checkpoints of the two families with SentencePiece tokenizers: directory, and where the tokenizer's model goes.
fn with_sentencepiece(scratch: &Path) -> [PathBuf; 2] {
    let fixtures = support::root().join("tests/fixtures");
    [
        ("ernie_m", "ernie_m", "sentencepiece.bpe.model"),
        ("paddle_ernie_pdparams", "ernie_tiny", "subword/spm_cased_simp_sampled.model"),
    ]
    .map(|(checkpoint, tokenizer, model)| {
        let to = scratch.join(checkpoint);
        std::fs::create_dir_all(to.join(model).parent().unwrap()).unwrap();
        for entry in std::fs::read_dir(fixtures.join("checkpoints").join(checkpoint)).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
        }
        std::fs::copy(fixtures.join("tokenizers").join(tokenizer).join(model), to.join(model)).unwrap();
        // As many tokens as the checkpoint has words.
        let vocab = std::fs::read_to_string(fixtures.join("tokenizers").join(tokenizer).join("vocab.txt")).unwrap();
        let vocab: Vec<&str> = vocab.lines().take(40).collect();
        std::fs::write(to.join("vocab.txt"), vocab.join("\n")).unwrap();
        to
    })
}

#[test]
fn a_bundle_keeps_a_sentencepiece_tokenizer() {
    support::load_runtime();
    let scratch = tempfile::tempdir().unwrap();
    for dir in with_sentencepiece(scratch.path()) {
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let model = Model::open(&dir, &Options::default()).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
        let bundle = scratch.path().join(format!("{name}.bundle"));
        export(&dir, &bundle, &Options::default(), GraphKind::Own).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        let opened = Model::open(&bundle, &Options::default()).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
        let texts = ["今天天气很好，12个苹果", "Hello, world!"].map(|text| Input { text, pair: None });
        let (of_dir, of_bundle) = (model.encode(&texts, &Call::default()), opened.encode(&texts, &Call::default()));
        let (of_dir, of_bundle) = (of_dir.unwrap(), of_bundle.unwrap());
        assert_eq!(of_dir.encodings, of_bundle.encodings, "{name}");
        assert!(of_dir.encodings.iter().all(|encoding| encoding.len() > 4), "{name}");
        assert_eq!(of_dir.matrix.unwrap().data, of_bundle.matrix.unwrap().data, "{name}");
    }
}
