//! The command-line tool: what goes in, what comes out, what happens to bad lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn tool(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ernie"));
    command.args(arguments).current_dir(support::root());
    if std::env::var_os("ERNIE_ORT_PATH").is_none() {
        command.env("ERNIE_ORT_PATH", support::root().join("build/runtime"));
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A tool that stops early closes its input: that is no fault of the test.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

fn errors(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn text_lines_are_answered_in_order() {
    let output = tool(&["infer", "models/demo"], "很好，非常满意\r\n\n太差了，后悔\n好".as_bytes());
    assert!(output.status.success(), "{}", errors(&output));
    let answers = lines(&output);
    assert_eq!(answers.len(), 4);
    assert_eq!((&answers[0]["label"], &answers[2]["label"]), (&"positive".into(), &"negative".into()));
    assert!(errors(&output).is_empty());
}

#[test]
fn raw_adds_ids_and_outputs_of_the_text_alone() {
    let input = "{\"text\": \"房间很干净\"}\n{\"text\": \"好\", \"pair\": \"不好\"}\n";
    let answers = lines(&tool(&["infer", "--raw", "models/demo"], input.as_bytes()));
    assert_eq!(answers[0]["input_ids"].as_array().unwrap().len(), 7);
    assert_eq!(answers[0]["outputs"]["logits"]["shape"], serde_json::json!([1, 2]));
    assert_eq!(answers[0]["outputs"]["last_hidden_state"]["shape"], serde_json::json!([1, 7, 192]));
    assert_eq!(answers[0]["outputs"]["last_hidden_state"]["data"].as_array().unwrap().len(), 7 * 192);
    assert_eq!(answers[1]["token_type_ids"], serde_json::json!([0, 0, 0, 1, 1, 1]));
}

#[test]
fn a_bad_line_is_named_and_the_others_are_answered() {
    let input = b"{\"text\": \"a\"}\n{\"txt\": 1}\nnot json\n{\"text\": \"\xFF\"}\n{\"text\": \"b\"}\n";
    let output = tool(&["infer", "models/demo"], input);
    assert!(output.status.success());
    let answers = lines(&output);
    let bad: Vec<u64> = answers.iter().filter_map(|a| a["line"].as_u64()).collect();
    assert_eq!((answers.len(), bad), (5, vec![2, 3, 4]));
    assert!(
        errors(&output).contains("line 2:") && errors(&output).contains("line 4: not UTF-8"),
        "{}",
        errors(&output)
    );
    assert!(answers[4]["label"].is_string());

    let strict = tool(&["infer", "--strict", "models/demo"], input);
    assert!(!strict.status.success() && errors(&strict).contains("line 2:"));
    assert_eq!(lines(&strict).len(), 1);
}

#[test]
fn a_text_that_is_too_long_is_cut_and_flagged_or_named() {
    let input = format!("好\n{}\n", "好".repeat(1000));
    let cut = lines(&tool(&["infer", "models/demo"], input.as_bytes()));
    assert_eq!((&cut[0]["n_truncated_tokens"], &cut[1]["n_truncated_tokens"]), (&Value::Null, &490.into()));
    let named = tool(&["infer", "--no-truncation", "models/demo"], input.as_bytes());
    assert!(
        named.status.success() && errors(&named).contains("line 2: the text has 1002 tokens"),
        "{}",
        errors(&named)
    );
    assert!(lines(&named)[0]["label"].is_string());
}

#[test]
fn vectors_have_the_models_width_and_are_normalised_on_request() {
    let answers =
        lines(&tool(&["encode", "--pooling", "mean", "--normalize", "--tokens", "models/demo"], "好".as_bytes()));
    let pooled: Vec<f64> = serde_json::from_value(answers[0]["pooled"].clone()).unwrap();
    assert_eq!(pooled.len(), 192);
    assert!((pooled.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    assert_eq!(answers[0]["token_vectors"].as_array().unwrap().len(), 3);
}

#[test]
fn tokenize_gives_tokens_with_byte_offsets() {
    let answers = lines(&tool(&["tokenize", "models/demo"], "房 好[MASK]".as_bytes()));
    assert_eq!(answers[0]["tokens"], serde_json::json!(["[CLS]", "房", "好", "[MASK]", "[SEP]"]));
    assert_eq!(answers[0]["offsets"], serde_json::json!([[0, 0], [0, 3], [4, 7], [7, 13], [0, 0]]));
    let plain = lines(&tool(&["tokenize", "--plain-special-tokens", "models/demo"], "好[MASK]".as_bytes()));
    assert!(plain[0]["tokens"].as_array().unwrap().len() > 4);
}

#[test]
fn tokenize_gives_windows_and_what_was_cut() {
    let input = "{\"text\": \"好坏\", \"pair\": \"房间很书的不好坏\"}\n好\n";
    let args = ["tokenize", "--format", "jsonl", "--max-tokens", "9", "models/demo"];
    let cut = lines(&tool(&args, input.as_bytes()));
    assert_eq!((&cut[0]["truncated_pair"], &cut[0]["n_truncated_tokens"]), (&serde_json::json!([12, 24]), &4.into()));
    assert_eq!(cut[0]["sequence"], serde_json::json!([255, 0, 0, 255, 1, 1, 1, 1, 255]));
    let windows = lines(&tool(&[&args[..], &["--doc-stride", "2"]].concat(), input.as_bytes()));
    assert_eq!(windows[0]["n_windows"], 3);
    assert_eq!(windows[0]["windows"][2]["offsets"][4], serde_json::json!([12, 15]));
    let refused = tool(&["tokenize", "--max-tokens", "1", "models/demo"], "好".as_bytes());
    assert!(!refused.status.success() && errors(&refused).contains("special tokens"), "{}", errors(&refused));
}

#[test]
fn inspect_says_what_there_is_and_what_is_missing() {
    let output = tool(&["inspect", "--json", "models/demo"], b"");
    let report = &lines(&output)[0];
    assert_eq!((&report["family"], &report["task"]), (&"huggingface".into(), &"sequence_classification".into()));
    assert_eq!((&report["tokenizer"], &report["roles"]["logits"]), (&"bert".into(), &"logits".into()));
    assert_eq!(report["missing"].as_array().unwrap().len(), 0);

    let refused = tool(&["inspect", "tests/fixtures/unknown_inputs"], b"");
    assert!(!refused.status.success() && errors(&refused).contains("left int64[?,?]"), "{}", errors(&refused));
    let missing = tool(&["infer", "/nowhere"], b"");
    assert!(!missing.status.success() && errors(&missing).contains("/nowhere"));
}

/// The most memory that `tokenize` has held, in KiB, when it has answered all but the last of `n_lines` lines.
fn peak_kib(n_lines: usize) -> u64 {
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ernie"))
        .args(["tokenize", "models/demo"])
        .current_dir(support::root())
        .stdin(Stdio::piped())
        .stdout(out.reopen().unwrap())
        .spawn()
        .unwrap();
    let line = "这家酒店的房间很干净。\n";
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line.repeat(n_lines).as_bytes()).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(out.path()).unwrap().lines().count(), n_lines);
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    peak.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_long_input_takes_no_more_memory_than_a_short_one() {
    let (short, long) = (peak_kib(5_000), peak_kib(200_000));
    assert!(long < short + 4096, "{short} KiB grew to {long} KiB");
}

#[test]
fn a_program_that_waits_for_each_answer_gets_it() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ernie"))
        .args(["tokenize", "models/demo"])
        .current_dir(support::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..3 {
        stdin.write_all("好\n".as_bytes()).unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains("input_ids"), "{answer}");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_checkpoint_with_weights_apart_is_answered_inspected_and_exported() {
    let dir = "tests/fixtures/checkpoints/paddle_ernie_finetuned";
    let (config, weights) = (format!("{dir}/pretrained"), format!("{dir}/save_dir/ckpt.bin"));
    let apart = ["--weights", &weights, &config];
    let run = |command: &[&str], input: &str| tool(&[command, &apart].concat(), input.as_bytes());
    let answers = lines(&run(&["infer", "--raw"], "今天天气很好。\n"));
    assert_eq!(answers[0]["outputs"]["logits"]["shape"], serde_json::json!([1, 3]));
    assert_eq!(answers[0]["outputs"]["encoded"]["shape"], serde_json::json!([1, 9, 8]));
    let report = &lines(&run(&["inspect", "--json"], ""))[0];
    assert_eq!((&report["family"], &report["format"]), (&"paddle-ernie".into(), &"paddle pickle".into()));
    assert_eq!(
        (&report["task"], &report["network"]["activation"]),
        (&"sequence_classification".into(), &"relu".into())
    );
    // Without the option the weights beside the config are opened, which have no head.
    let beside = &lines(&tool(&["inspect", "--json", &config], b""))[0];
    assert_eq!(beside["task"], "encoder");
    let refused = tool(&["infer", "--task", "sequence_classification", &config], "x".as_bytes());
    assert!(!refused.status.success() && errors(&refused).contains("classifier"), "{}", errors(&refused));

    let out = tempfile::tempdir().unwrap();
    for arguments in [&["export"][..], &["export", "--plain", "--precision", "f32"]] {
        let bundle = out.path().join(arguments.len().to_string());
        let exported = tool(&[arguments, &apart, &[bundle.to_str().unwrap()]].concat(), b"");
        assert!(exported.status.success(), "{}", errors(&exported));
        let again = lines(&tool(&["infer", "--raw", bundle.to_str().unwrap()], "今天天气很好。\n".as_bytes()));
        assert_eq!(again[0]["outputs"], answers[0]["outputs"]);
        let report = &lines(&tool(&["inspect", "--json", bundle.to_str().unwrap()], b""))[0];
        assert_eq!((&report["family"], &report["exported_from"]), (&"ernie-bundle".into(), &"paddle-ernie".into()));
        let taken = tool(&["export", &config, bundle.to_str().unwrap()], b"");
        assert!(!taken.status.success() && errors(&taken).contains("not empty"), "{}", errors(&taken));
    }
}

#[test]
fn inspect_describes_every_family_and_says_why_one_is_refused() {
    let root = support::root().join("tests/fixtures/checkpoints");
    for (name, family, task) in [
        ("paddle_ernie_pretraining", "paddle-ernie", "masked_lm"),
        ("fluid_params", "paddle-ernie", "masked_lm"),
        ("paddle_inference", "paddle-ernie", "sequence_classification"),
        ("paddlenlp_uie", "paddlenlp", "information_extraction"),
        ("paddlenlp_legacy_seqcls", "paddlenlp", "sequence_classification"),
        ("ernie_m", "paddlenlp", "encoder"),
        ("hf_multiple_choice", "huggingface", "multiple_choice"),
    ] {
        let output = tool(&["inspect", "--json", root.join(name).to_str().unwrap()], b"");
        assert!(output.status.success(), "{name}: {}", errors(&output));
        let report = &lines(&output)[0];
        assert_eq!((&report["family"], &report["task"]), (&family.into(), &task.into()), "{name}");
        assert!(report["network"]["n_layers"].is_number() && report["weight_bytes"].is_number(), "{name}");
    }
    let refused = tool(&["inspect", root.join("refused/ernie_doc").to_str().unwrap()], b"");
    assert!(!refused.status.success() && errors(&refused).contains("ernie_doc"), "{}", errors(&refused));
}
