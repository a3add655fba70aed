//! Directories that change, contradict themselves or declare something else: each is right or refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ernie::error::Error;
use ernie::options::Options;
use ernie::pipeline::export::{GraphKind, export};
use ernie::pipeline::{Call, Input, Model};
use ernie::tensor::{Tensor, TensorDataRef, TensorView};
use serde_json::{Value, json};

/// A copy of a fixture that a test may change.
fn copy_of(name: &str) -> (tempfile::TempDir, PathBuf) {
    let from = support::root().join("tests/fixtures/checkpoints").join(name);
    let out = tempfile::tempdir().unwrap();
    let dir = out.path().join(name);
    std::fs::create_dir(&dir).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.file_name().unwrap().to_str().unwrap().starts_with("expect") {
            std::fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
        }
    }
    (out, dir)
}

fn change(dir: &Path, file: &str, keys: &[(&str, Value)]) {
    let mut config: Value = serde_json::from_slice(&std::fs::read(dir.join(file)).unwrap()).unwrap();
    for (key, value) in keys {
        config[*key] = value.clone();
    }
    std::fs::write(dir.join(file), config.to_string()).unwrap();
}

fn open(dir: &Path, options: &[(&str, &str)]) -> Result<Model, Error> {
    support::load_runtime();
    let mut all = Options::default();
    options.iter().for_each(|(key, value)| all.set(key, value).unwrap());
    Model::open(dir, &all)
}

fn must_open(dir: &Path, options: &[(&str, &str)]) -> Model {
    open(dir, options).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn run(model: &Model) -> Vec<Tensor> {
    let view = TensorView { name: "input_ids", shape: &[1, 4], data: TensorDataRef::I64(&[1, 5, 7, 2]) };
    model.infer_tensors(&[view]).unwrap_or_else(|e| panic!("{}", e.report()))
}

#[test]
fn replaced_weights_are_read_anew_whatever_their_times_say() {
    let (_a, first) = copy_of("hf_encoder_safetensors");
    let weights = first.join("model.safetensors");
    let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let set_time = || std::fs::File::options().write(true).open(&weights).unwrap().set_modified(time).unwrap();
    set_time();
    let before = must_open(&first, &[]);
    let was = run(&before);
    // The same size, the same time and, where the file system takes it again, the same inode.
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 0x10;
    std::fs::remove_file(&weights).unwrap();
    std::fs::write(&weights, &bytes).unwrap();
    set_time();
    let after = must_open(&first, &[]);
    assert_ne!(run(&after), was);
    assert_eq!(run(&before), was, "an open model keeps what it was opened with");
}

#[test]
fn a_model_opened_for_tensors_gives_what_its_config_declares() {
    let root = support::root().join("tests/fixtures/checkpoints");
    for (name, outputs) in [
        ("paddlenlp_qa", &["start_logits", "end_logits"][..]),
        ("paddlenlp_safetensors_tokcls", &["logits"]),
        ("paddlenlp_legacy_seqcls", &["logits"]),
    ] {
        let tensors = run(&must_open(&root.join(name), &[("task", "tensors")]));
        assert_eq!(tensors, run(&must_open(&root.join(name), &[])), "{name}");
        assert!(outputs.iter().all(|output| tensors.iter().any(|tensor| tensor.name == *output)), "{name}");
    }
}

#[test]
fn networks_that_compute_something_else_are_refused() {
    for (key, value, wanted) in [
        ("is_decoder", json!(true), "is_decoder"),
        ("add_cross_attention", json!(true), "add_cross_attention"),
        ("position_embedding_type", json!("relative_key"), "relative_key"),
        ("type_vocab_size", json!(0), "type_vocab_size"),
        ("model_type", json!("ernie_layout"), "ernie_layout"),
        ("architectures", json!(["ErnieDocModel"]), "ErnieDocModel"),
        ("hidden_act", json!("silu"), "silu"),
    ] {
        let (_guard, dir) = copy_of("hf_encoder_safetensors");
        change(&dir, "config.json", &[(key, value)]);
        let message = open(&dir, &[]).map(|_| ()).unwrap_err().report();
        assert!(message.contains(wanted), "{key}: {message}");
    }
}

#[test]
fn what_a_program_computes_outweighs_the_config_beside_it() {
    let (_a, dir) = copy_of("paddle_inference");
    let want = run(&must_open(&dir, &[]));
    change(&dir, "ernie_config.json", &[("num_attention_heads", json!(4)), ("hidden_act", json!("relu"))]);
    assert_eq!(run(&must_open(&dir, &[])), want);
}

#[test]
fn labels_fit_the_head_and_survive_an_export() {
    let (out, dir) = copy_of("hf_seqcls_torch_legacy");
    change(&dir, "config.json", &[("id2label", json!({"0": "only"}))]);
    let message = open(&dir, &[]).map(|_| ()).unwrap_err().report();
    assert!(message.contains("1 labels") && message.contains("config.json"), "{message}");
    change(&dir, "config.json", &[("id2label", Value::Null)]);
    let bundle = out.path().join("bundle");
    export(&dir, &bundle, &Options::default(), GraphKind::Own).unwrap();
    let label = |dir: &Path| {
        let model = must_open(dir, &[]);
        model.infer(&[Input { text: "好", pair: None }], &Call::default()).unwrap().items[0][0].text.clone()
    };
    assert!(label(&dir).starts_with("LABEL_"));
    assert_eq!(label(&bundle), label(&dir));
}

#[test]
fn a_head_that_is_not_there_is_never_made_up() {
    let root = support::root().join("tests/fixtures/checkpoints");
    let tasks = [
        "sequence_classification",
        "token_classification",
        "question_answering",
        "masked_lm",
        "information_extraction",
        "multiple_choice",
        "cross_encoder",
        "generation",
    ];
    for name in ["paddle_ernie_pdparams", "paddlenlp_gram", "hf_encoder_safetensors", "hf_bert_prefix", "fluid_params"]
    {
        for task in tasks {
            let has_words = matches!((name, task), ("fluid_params", "masked_lm" | "generation"));
            match open(&root.join(name), &[("task", task)]) {
                Ok(_) => assert!(has_words, "{name} opens for {task}"),
                Err(error) => assert!(!has_words && error.report().contains(task), "{name}: {}", error.report()),
            }
        }
    }
}
