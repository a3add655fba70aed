//! Lines in, lines out, one by one.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::{command, errors, file, lines, tool};

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
fn a_program_that_waits_for_each_answer_gets_it() {
    let mut child = command(&["tokenize", "models/demo"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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
fn a_line_may_have_a_name_of_its_own() {
    let input = "{\"id\": 1.50, \"text\": \"a\"}\n{\"text\": 1, \"id\": \"x\\u597d\"}\n{\"id\": [1], \"text\": \"a\"}\n\
                 {\"id\": null, \"text\": \"a\"}\n";
    let output = tool(&["tokenize", "models/demo"], input.as_bytes());
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let answers: Vec<&str> = text.lines().collect();
    assert!(answers[0].starts_with("{\"id\":1.50,\"tokens\""), "{}", answers[0]);
    assert!(answers[1].starts_with("{\"id\":\"x\\u597d\",\"line\":2,\"error\""), "{}", answers[1]);
    assert!(answers[2].starts_with("{\"line\":3") && answers[2].contains("id is neither"), "{}", answers[2]);
    assert!(answers[3].starts_with("{\"tokens\""), "{}", answers[3]);
}

#[test]
fn keys_of_a_line_are_those_that_are_known() {
    let input = "{\"question\": \"好\", \"passage\": \"坏\"}\n{\"prompt\": \"好\", \"text\": \"坏\"}\n\
                 {\"text\": \"好\", \"pair\": \"坏\"}\n{\"text\": \"好\", \"tetx\": 1}\n{\"question\": \"好\"}\n\
                 {\"text\": \"好\", \"passage\": \"坏\"}\n{\"text\": \"好\", \"text\": \"坏\"}\n{}\n";
    let answers = lines(&tool(&["tokenize", "models/demo"], input.as_bytes()));
    assert_eq!(answers[0]["tokens"], serde_json::json!(["[CLS]", "好", "[SEP]", "坏", "[SEP]"]));
    assert_eq!((&answers[1], &answers[2]), (&answers[0], &answers[0]));
    assert!(answers[3]["error"].as_str().unwrap().contains("`tetx`"), "{}", answers[3]);
    for answer in &answers[4..] {
        assert!(answer["error"].is_string(), "{answer}");
    }
}

#[test]
fn the_first_line_that_is_not_blank_tells_how_all_are_read() {
    let answers = |input: &str| lines(&tool(&["infer", "models/demo"], input.as_bytes()));
    // A broken object does not make text of the others.
    for input in ["{\"text\": \"很好\"\n{\"text\": \"很好\"}\n", "\n{\"text\": \"很好\"}\n"] {
        let answers = answers(input);
        assert!(answers[0]["error"].is_string() && answers[1]["label"] == "positive", "{answers:?}");
    }
    let broken = answers("{\"text\"\n");
    assert!(broken[0]["error"].as_str().unwrap().contains("--format text"), "{broken:?}");
    let texts = answers("\n\n很好\n{\"text\": \"很好\"}\n");
    assert_eq!(texts.len(), 4);
    assert!(texts.iter().all(|answer| answer["label"].is_string()), "{texts:?}");
    assert_eq!(answers("\n\n").len(), 2);
    // A name tells it too.
    let dir = tempfile::tempdir().unwrap();
    let named = file(dir.path(), "a.jsonl", "很好\n");
    assert!(lines(&tool(&["infer", "models/demo", &named], b""))[0]["error"].is_string());
}
