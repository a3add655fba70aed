//! What the tool says of models, and bundles that it writes.

use crate::{errors, lines, support, tool};

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
fn devices_says_what_can_be_used_and_what_is_missing() {
    let output = tool(&["devices", "--json"], b"");
    let report = &lines(&output)[0];
    let providers = report["providers"].as_array().unwrap();
    let names: Vec<&str> = providers.iter().map(|provider| provider["provider"].as_str().unwrap()).collect();
    assert_eq!(names, ["cpu", "cuda", "tensorrt", "openvino"]);
    assert!(providers[0]["is_available"].as_bool().unwrap() && providers[0]["missing"].is_null());
    for provider in &providers[1..] {
        let missing = provider["missing"].as_str().unwrap();
        assert!(!provider["is_available"].as_bool().unwrap() && missing.contains("ExecutionProvider"), "{missing}");
    }
    let text = String::from_utf8(tool(&["devices"], b"").stdout).unwrap();
    assert!(text.starts_with("runtime   ONNX Runtime") && text.contains("cpu       can be used\n"), "{text}");
    let wrong = tool(&["devices", "--set", "fallback=gpu"], b"");
    assert!(!wrong.status.success() && errors(&wrong).contains("error or cpu"), "{}", errors(&wrong));
    let fallen = tool(&["inspect", "--json", "models/demo", "--set", "provider=cuda", "--set", "fallback=cpu"], b"");
    assert_eq!(lines(&fallen)[0]["provider"], "cpu");
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
        assert!(report["network"]["n_layers"].is_number() && report["bytes_as_f32"].is_number(), "{name}");
    }
    // The same numbers are as many bytes, however they are stored.
    let n_bytes = |name: &str| {
        let report = tool(&["inspect", "--json", root.join(name).to_str().unwrap()], b"");
        lines(&report)[0]["bytes_as_f32"].clone()
    };
    assert_eq!(n_bytes("hf_f16"), n_bytes("hf_bert_prefix"));
    // Stored types are called as the options call them.
    for (name, stored) in [("paddlenlp_uie", "f32"), ("hf_f16", "f16"), ("hf_qa_bf16", "bf16")] {
        let report = tool(&["inspect", root.join(name).to_str().unwrap()], b"");
        let said = String::from_utf8(report.stdout).unwrap();
        assert!(said.contains(&format!("\nstored_as    {stored}\n")), "{name}: {said}");
    }
    let refused = tool(&["inspect", root.join("refused/ernie_doc").to_str().unwrap()], b"");
    assert!(!refused.status.success() && errors(&refused).contains("ernie_doc"), "{}", errors(&refused));
}

#[test]
fn a_model_whose_threads_cannot_be_had_is_refused_and_nobody_waits() {
    // More stacks than there are addresses for, with more or less left behind the last one.
    for n_kilobytes in [1_000_000, 7_999_000, 7_999_500, 8_000_000] {
        let script = format!("ulimit -v {n_kilobytes} && exec timeout 60 \"$0\" infer --set threads=4096 models/demo");
        let child = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_ernie")])
            .current_dir(support::root())
            .env("ERNIE_ORT_PATH", support::root().join("build/runtime"))
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert_ne!(child.status.code(), Some(124), "it was still waiting after a minute");
        let said = errors(&child);
        assert_eq!(child.status.code(), Some(1), "{said}");
        assert!(said.contains("4096 threads (option threads): the system refuses number "), "{said}");
        assert!(said.contains("Resource temporarily unavailable"), "{said}");
    }
}
