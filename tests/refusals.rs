//! Broken and hostile checkpoints: the fixtures' `refused` and the reference data's `12_bad` behave as their
//! `expect.json` says, name what is wrong, and cost no more memory than their files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;

use ernie::error::Error;
use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model};
use ernie::tensor::{Tensor, TensorDataRef, TensorView};
use safetensors::SafeTensors;
use serde_json::Value;
use support::assert_close;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn open(dir: &Path, entry: &Value) -> Result<Model, Error> {
    let mut options = Options::default();
    // The task is part of the question only where a head is asked for.
    if entry["task"] == "sequence_classification" {
        options.set("task", "sequence_classification").unwrap();
    }
    Model::open(dir, &options)
}

fn run_ids(model: &Model, ids: &[i64]) -> Vec<Tensor> {
    let shape = [1, ids.len()];
    let types = vec![0; ids.len()];
    let all = [("input_ids", ids), ("token_type_ids", types.as_slice())];
    let known = |name: &str| model.graph_inputs().iter().any(|info| info.name == name);
    let views: Vec<TensorView<'_>> = all
        .iter()
        .filter(|(name, _)| known(name))
        .map(|(name, data)| TensorView { name, shape: &shape, data: TensorDataRef::I64(data) })
        .collect();
    model.infer_tensors(&views).unwrap_or_else(|e| panic!("{}", e.report()))
}

/// Outputs of a checkpoint that must open, where the reference gave some.
fn compare(folder: &str, model: &Model, entry: &Value, tensors: &[u8], atol: f32) {
    let all = SafeTensors::deserialize(tensors).unwrap();
    for wanted in entry["outputs"].as_array().into_iter().flatten() {
        let ids: Vec<i64> = serde_json::from_value(wanted["input_ids"].clone()).unwrap();
        let outputs = run_ids(model, &ids);
        for name in ["pooled", "encoded", "last_hidden_state", "pooler_output"] {
            let Some(key) = wanted[name]["key"].as_str() else { continue };
            let tensor = all.tensor(key).unwrap();
            let want: Vec<f32> =
                tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            let output = outputs.iter().find(|output| output.name == name).unwrap();
            assert_close(&format!("{folder}/{name}"), &output.to_f32().unwrap(), &want, atol, 0.0);
        }
    }
    if let (Some(text), Some(ids)) = (entry["text"].as_str(), entry["text_ids"].as_array()) {
        let output = model.encode(&[Input { text, pair: None }], &Call::default()).unwrap();
        let ids: Vec<i64> = ids.iter().map(|id| id.as_i64().unwrap()).collect();
        assert_eq!(output.encodings[0].input_ids, ids, "{folder}");
    }
}

#[test]
fn the_reference_data_s_bad_checkpoints_are_refused_and_the_odd_ones_open() {
    let Some(data) = support::reference_data("bad checkpoints") else { return };
    support::load_runtime();
    let root = data.join("golden/12_bad");
    let expect = json(&root.join("expect.json"));
    let tensors = std::fs::read(root.join("expect.safetensors")).unwrap();
    let mut n_refused = 0;
    for entry in expect["cases"].as_array().unwrap() {
        let folder = entry["folder"].as_str().unwrap();
        let opened = open(&root.join(folder), entry);
        match (entry["expected"].as_str().unwrap(), opened) {
            ("error", Ok(_)) => panic!("{folder} opens: {}", entry["why"]),
            ("error", Err(error)) => {
                n_refused += 1;
                println!("{folder:<32} {}", error.report());
                let message = error.report();
                assert!(message.contains(folder), "{folder}: the message names no file: {message}");
                assert!(!matches!(error, Error::Internal(_)), "{folder}: {message}");
            }
            ("ok", Err(error)) => panic!("{folder} is refused: {}", error.report()),
            (_, Ok(model)) => {
                compare(folder, &model, entry, &tensors, if folder.contains("float16") { 1e-2 } else { 3e-5 })
            }
            (_, Err(error)) => println!("{folder:<32} (may be refused) {}", error.report()),
        }
    }
    assert!(n_refused >= 55, "{n_refused}");
    for dir in [Path::new("."), &root] {
        assert!(!dir.join("pwned_marker_file").exists(), "a pickle was executed");
    }
    // What is stored in another order or type is the same network.
    let good = open(&root.join("00_good"), &expect["cases"][0]).unwrap();
    let ids = [1, 106, 117, 140, 122, 63, 77, 80, 31, 2];
    let want = run_ids(&good, &ids);
    for folder in ["10_big_endian", "10_fortran_order_ok", "10_float64_ok"] {
        let model = open(&root.join(folder), &Value::Null).unwrap_or_else(|e| panic!("{}", e.report()));
        for (a, b) in run_ids(&model, &ids).iter().zip(&want) {
            assert_close(folder, &a.to_f32().unwrap(), &b.to_f32().unwrap(), 1e-6, 0.0);
        }
    }
}

#[test]
fn the_fixtures_that_cannot_be_run_faithfully_are_refused_by_name() {
    support::load_runtime();
    let root = support::root().join("tests/fixtures/checkpoints/refused");
    let entries = json(&root.join("expect.json"));
    assert_eq!(entries.as_array().unwrap().len(), 13);
    for entry in entries.as_array().unwrap() {
        let folder = entry["folder"].as_str().unwrap();
        let message = match open(&root.join(folder), entry) {
            Ok(_) => panic!("{folder} opens: {}", entry["why"]),
            Err(error) => error.report(),
        };
        for part in entry["message_has"].as_array().unwrap() {
            assert!(message.contains(part.as_str().unwrap()), "{folder}: {message}");
        }
    }
    assert!(!Path::new("pwned_marker_file").exists() && !root.join("pwned_marker_file").exists());
}
