//! Texts that a model writes: as JSON Lines, and as they come.

use std::fs::{File, read};
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;

use ernie::options::Options;
use ernie::pipeline::{Call, Decoding, Finish, Generated, Generation, Input, Model, SourcePadding};
use serde_json::{Value, json};

use crate::{command, done, errors, file, lines, refusal, support, tool};

const GENERATOR: &str = "tests/fixtures/checkpoints/paddle_ernie_generator";
const TEXTS: &str = "今天天气很好。\n\nthe quick brown fox\n北京是[MASK]国的\n你说什么？\n";

fn generate(arguments: &[&str], input: &str) -> Vec<Value> {
    lines(&done(&[&["generate", GENERATOR], arguments].concat(), input))
}

/// Standard output of a run that writes texts alone.
fn stream(arguments: &[&str], input: &str) -> String {
    let output = done(&[&["generate", "--stream", GENERATOR], arguments].concat(), input);
    String::from_utf8(output.stdout).unwrap()
}

fn texts(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|answer| answer["text"].as_str().unwrap()).collect()
}

/// Ways to write texts: flags, and what they are to the library.
fn ways() -> Vec<(Vec<&'static str>, Generation)> {
    let base = Generation::default();
    let short = Generation { max_new_tokens: Some(9), ..base.clone() };
    vec![
        (vec![], base.clone()),
        (vec!["--greedy"], Generation { decoding: Decoding::Greedy, ..base.clone() }),
        (
            vec!["--beams", "3", "--sequences", "2", "--length-penalty", "-0.5", "--no-repeat-ngram", "2"],
            Generation { n_beams: 3, n_sequences: 2, length_penalty: -0.5, no_repeat_ngram: 2, ..base.clone() },
        ),
        (
            vec![
                "--sample",
                "--temperature",
                "0.7",
                "--top-k",
                "20",
                "--top-p",
                "0.9",
                "--seed",
                "5",
                "--sequences",
                "3",
            ],
            Generation {
                decoding: Decoding::Sample,
                temperature: 0.7,
                top_k: Some(20),
                top_p: 0.9,
                seed: 5,
                n_sequences: 3,
                ..base
            },
        ),
        (
            vec!["--max-new-tokens", "9", "--min-new-tokens", "8", "--repetition-penalty", "1.5"],
            Generation { min_new_tokens: 8, repetition_penalty: 1.5, ..short.clone() },
        ),
        (
            vec!["--max-new-tokens", "9", "--stop", "b", "--stop", "今", "--forbid", "73", "--forbid", "18"],
            Generation { stop: vec!["b".into(), "今".into()], forbidden_tokens: vec![73, 18], ..short.clone() },
        ),
        (
            vec!["--max-new-tokens", "9", "--begin-with", "66", "--begin-with", "67"],
            Generation { forced_tokens: vec![66, 67], ..short.clone() },
        ),
        (
            vec!["--max-new-tokens", "9", "--source-padding", "reference"],
            Generation { source_padding: SourcePadding::Reference, ..short },
        ),
    ]
}

/// What a text that the library writes is to the tool.
fn record(written: &Generated) -> Value {
    let finish = match written.finish {
        Finish::End => "end",
        Finish::Length => "length",
        Finish::StopString => "stop_string",
        _ => "stopped",
    };
    // By way of text, so that a number has the digits of its own type.
    let number = |x: f32| serde_json::from_str::<Value>(&serde_json::to_string(&x).unwrap()).unwrap();
    json!({
        "text": written.text, "score": number(written.score), "log_probability": number(written.log_probability),
        "finish": finish, "token_ids": written.token_ids
    })
}

#[test]
fn json_lines_are_what_the_library_writes() {
    support::load_runtime();
    let model = Model::open(&support::root().join(GENERATOR), &Options::default()).unwrap();
    let inputs: Vec<Input<'_>> = TEXTS.lines().map(|text| Input { text, pair: None }).collect();
    let mut finishes = Vec::new();
    for (flags, settings) in ways() {
        let wanted = model.generate(&inputs, &Call::default(), &settings, None).unwrap().generated;
        let answers = generate(&[&flags[..], &["--ids"]].concat(), TEXTS);
        assert_eq!(answers.len(), inputs.len());
        for (answer, wanted) in answers.iter().zip(&wanted) {
            let all: Vec<Value> = wanted.iter().map(record).collect();
            let mut expected = all[0].clone();
            if settings.n_sequences > 1 {
                assert_eq!(all.len(), settings.n_sequences);
                expected["sequences"] = all.clone().into();
            }
            assert_eq!(answer, &expected, "{flags:?}");
            finishes.extend(all.iter().map(|record| record["finish"].as_str().unwrap().to_owned()));
        }
    }
    for finish in ["end", "length", "stop_string"] {
        assert!(finishes.iter().any(|other| other == finish), "no text ends by {finish}");
    }
    assert!(generate(&[], TEXTS).iter().all(|answer| answer.get("token_ids").is_none()));
}

#[test]
fn texts_that_are_written_as_they_come_are_those_of_json_lines() {
    for (flags, settings) in ways().into_iter().filter(|(_, settings)| settings.source_padding == SourcePadding::None) {
        let answers = generate(&flags, TEXTS);
        let written = stream(&flags, TEXTS);
        let expected: String = match settings.n_sequences {
            1 => texts(&answers).iter().map(|text| format!("{text}\n")).collect(),
            _ => {
                let all = answers.iter().flat_map(|answer| answer["sequences"].as_array().unwrap());
                all.map(|sequence| format!("{}\n", sequence["text"].as_str().unwrap())).collect()
            }
        };
        assert_eq!(written, expected, "{flags:?}");
    }
}

#[test]
fn a_piece_comes_before_its_text_is_done() {
    let arguments = ["generate", "--stream", "--greedy", "--min-new-tokens", "60", "--max-new-tokens", "60", GENERATOR];
    let whole = done(&arguments, "今天\n").stdout;
    // A busy machine may give all pieces at once, not each time.
    let is_first_a_part = || {
        let mut child = command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all("今天\n".as_bytes()).unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut pieces = vec![0; 4096];
        let n_bytes = stdout.read(&mut pieces).unwrap();
        pieces.truncate(n_bytes);
        let is_part = n_bytes < whole.len();
        stdout.read_to_end(&mut pieces).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(pieces, whole);
        is_part
    };
    assert!((0..20).any(|_| is_first_a_part()));
}

#[test]
fn a_reader_that_has_had_enough_ends_the_run_quietly() {
    for form in ["--stream", "--json"] {
        let mut child = command(&["generate", form, "--greedy", "--max-new-tokens", "4", GENERATOR])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdin.write_all("今天\n".as_bytes()).unwrap();
        stdout.read_exact(&mut [0; 1]).unwrap();
        drop(stdout);
        // Without an end: only the closed pipe ends the run.
        let writer = std::thread::spawn(move || while stdin.write_all("天气\n".as_bytes()).is_ok() {});
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{form}: {}", errors(&output));
    }
}

#[test]
fn bad_lines_are_named_and_the_others_are_written() {
    let input = "{\"id\": \"a\", \"text\": \"今天\"}\n{\"text\": 3}\n{\"question\": \"我\", \"passage\": \"天气\"}\n\
                 {\"text\": \"\"}\n";
    let output = done(&["generate", GENERATOR], input);
    let answers = lines(&output);
    assert!(errors(&output).contains("line 2: ") && errors(&output).contains("1 bad line"), "{}", errors(&output));
    let keys: Vec<&String> = answers[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "text", "score", "log_probability", "finish"]);
    assert_eq!((&answers[0]["id"], &answers[1]["line"]), (&json!("a"), &json!(2)));
    assert!(answers[2]["text"] != generate(&[], "我\n")[0]["text"], "the pair counts for nothing");
    // An empty text is a source like others, in whatever way it comes.
    assert_eq!(answers[3], generate(&[], "\n")[0]);
    // An input without a text has lines as well.
    for n_sequences in ["1", "2"] {
        let written = done(&["generate", "--stream", "--sequences", n_sequences, GENERATOR], input);
        assert_eq!(errors(&written), errors(&output));
        let text = String::from_utf8(written.stdout).unwrap();
        let n_lines: usize = n_sequences.parse().unwrap();
        let texts: Vec<&str> = text.lines().collect();
        assert_eq!(texts.len(), 4 * n_lines);
        assert!(
            texts.chunks(n_lines).enumerate().all(|(line, texts)| texts.iter().all(|t| t.is_empty() == (line == 1)))
        );
    }
    for form in ["--stream", "--json"] {
        let failed = tool(&["generate", GENERATOR, form, "--fail"], input.as_bytes());
        assert_eq!(failed.status.code(), Some(1), "{form}");
        let strict = tool(&["generate", GENERATOR, form, "--strict"], input.as_bytes());
        assert_eq!((strict.status.code(), strict.stdout.split(|byte| *byte == b'\n').count()), (Some(1), 2), "{form}");
    }
}

#[test]
fn greedy_search_is_that_of_one_beam_without_a_penalty_and_not_that_of_many() {
    let greedy = generate(&["--greedy"], TEXTS);
    // A penalty may let one beam go on where the likeliest token ends the text.
    assert_eq!(generate(&["--beams", "1", "--length-penalty", "0"], TEXTS), greedy);
    let (one, many) = (generate(&["--beams", "1"], TEXTS), generate(&["--beams", "5"], TEXTS));
    assert_eq!(generate(&[], TEXTS), many);
    assert_ne!(texts(&greedy), texts(&many));
    for (greedy, one) in greedy.iter().zip(&one).filter(|(greedy, one)| greedy["text"] == one["text"]) {
        assert!(greedy["log_probability"] == one["log_probability"] && greedy["score"] != one["score"], "{one}");
    }
}

#[test]
fn a_seed_gives_the_same_samples_again_and_another_gives_others() {
    let sampled =
        |seed: &str, chunk: &str| generate(&["--sample", "--seed", seed, "--chunk", chunk, "--sequences", "2"], TEXTS);
    let first = sampled("7", "64");
    assert_eq!(first, sampled("7", "2"));
    let other = sampled("8", "64");
    for (first, other) in first.iter().zip(&other) {
        assert_ne!(first["text"], other["text"]);
        assert_ne!(first["sequences"][0]["text"], first["sequences"][1]["text"]);
    }
    assert_eq!(generate(&["--sample"], TEXTS), generate(&["--sample", "--seed", "0"], TEXTS));
}

#[test]
fn a_run_that_was_cut_off_anywhere_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", &TEXTS.repeat(2));
    let output = file(dir.path(), "out.jsonl", "");
    // Words that see the padding depend on the chunk: it is written as a whole again.
    for flags in [&["--sample", "--sequences", "2"][..], &["--source-padding", "reference"]] {
        let start = ["generate", GENERATOR, &input, "-o", &output, "--chunk", "4", "--max-new-tokens", "6"];
        let arguments = [&start[..], flags].concat();
        let resume = [&arguments[..], &["--resume"]].concat();
        done(&[&arguments[..], &["--force"]].concat(), "");
        let whole = read(&output).unwrap();
        let n_lines = whole.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(n_lines, 10);
        for n_bytes in [0, 1, whole.len() / 4, whole.len() / 2, whole.len() - 1, whole.len()] {
            std::fs::write(&output, &whole[..n_bytes]).unwrap();
            done(&resume, "");
            assert!(read(&output).unwrap() == whole, "cut at {n_bytes} of {}", whole.len());
        }
        let refused = refusal(&[&resume[..], &["--min-new-tokens", "6"]].concat(), "");
        assert!(refused.contains("of another run"), "{refused}");
        assert!(read(&output).unwrap() == whole);
    }
}

#[test]
fn what_contradicts_itself_or_counts_for_nothing_is_refused() {
    let refused = |flags: &[&str], status: i32, reason: &str| {
        let output = tool(&[&["generate", GENERATOR], flags].concat(), TEXTS.as_bytes());
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(status), "{flags:?}: {said}");
        assert!(said.contains(reason) && output.stdout.is_empty(), "{flags:?}: {said}");
    };
    for other in ["--greedy", "--sample"] {
        refused(&["--beams", "5", other], 2, "cannot be used with");
        refused(&["--length-penalty", "1", other], 2, "cannot be used with");
    }
    refused(&["--greedy", "--sample"], 2, "cannot be used with");
    for flag in ["--temperature=1", "--top-k=3", "--top-p=1", "--seed=0"] {
        refused(&[flag], 2, "--sample");
        for other in ["--greedy", "--beams=2", "--length-penalty=2"] {
            refused(&[flag, other], 2, "cannot be used with");
        }
    }
    for other in
        [&["--json"][..], &["--ids"], &["-o", "/nowhere/a"], &["--resume", "-o", "/nowhere/a"], &["--chunk", "2"]]
    {
        refused(&[&["--stream"], other].concat(), 2, "cannot be used with");
    }
    refused(&["--stream", "--source-padding", "reference"], 1, "--source-padding reference");
    refused(&["--resume"], 2, "--output");
    // Numbers that there are not are named, with a minus too.
    for flag in ["--beams", "--sequences", "--max-new-tokens", "--min-new-tokens", "--no-repeat-ngram", "--seed"] {
        for number in ["many", "-1"] {
            refused(&["--sample", flag, number], 2, &format!("invalid value '{number}' for '{flag} <N>': expected"));
        }
    }
    for number in ["0", "-1"] {
        refused(&["--sample", "--top-k", number], 2, "expected a number from 1");
    }
    for (flag, wanted) in
        [("--temperature", "above 0 and finite"), ("--top-p", "above 0"), ("--repetition-penalty", "0.001")]
    {
        refused(&["--sample", flag, "-1"], 1, wanted);
    }
    // What the library knows better.
    refused(&["--beams", "0"], 1, "n_beams is 0, it goes from 1 to 64");
    refused(&["--greedy", "--sequences", "2"], 1, "n_sequences is 2, greedy search gives 1");
    refused(&["--beams", "2", "--sequences", "3"], 1, "2 beams give no more");
    refused(&["--sample", "--temperature", "0"], 1, "temperature is 0");
    refused(&["--length-penalty", "-11"], 1, "it goes from -10 to 10");
    refused(&["--max-new-tokens", "0"], 1, "max_new_tokens is 0");
    refused(&["--max-new-tokens", "500"], 1, "the shortest source and the token that asks for the next leave");
    refused(&["--forbid", "-1"], 1, "forbidden_tokens[0] is -1");
    refused(&["--begin-with", "2"], 1, "ends a text");
    refused(&["--stop", ""], 1, "stop[0] is empty");
    refused(&["--doc-stride", "4"], 1, "generation wants one");
}

#[test]
fn sources_that_are_cut_are_told() {
    let input = format!("{}\n今天\n", "今".repeat(200));
    let answers = generate(&[], &input);
    assert!(answers[0]["n_truncated_tokens"].as_u64().unwrap() > 100, "{}", answers[0]);
    assert!(answers[1].get("n_truncated_tokens").is_none());
    let written = done(&["generate", "--stream", GENERATOR], &input);
    assert_eq!(errors(&written), "ernie: 1 text was cut\n");
    let named = done(&["generate", "--stream", "--no-truncation", GENERATOR], &input);
    assert!(errors(&named).starts_with("ernie: line 1: the text, which shares 96 positions"), "{}", errors(&named));
    assert!(generate(&["--max-tokens", "6"], &input)[0]["text"] != answers[0]["text"]);
}

#[test]
fn a_model_that_writes_no_texts_is_refused_before_the_first_line() {
    for model in ["models/demo", "tests/fixtures/checkpoints/paddle_ernie_pretraining"] {
        for form in ["--stream", "--json"] {
            let refused = refusal(&["generate", form, model], TEXTS);
            assert!(refused.contains("writes no texts") && !refused.contains("line"), "{refused}");
        }
    }
}

#[test]
fn a_generator_is_inspected_and_answers_like_other_models() {
    for name in ["paddle_ernie_generator", "paddlenlp_generator"] {
        let model = format!("tests/fixtures/checkpoints/{name}");
        let report = &lines(&done(&["inspect", "--json", &model], ""))[0];
        assert_eq!((&report["task"], &report["network"]["head"]), (&json!("generation"), &json!("generator")));
        let generator = |attention_token: &str, target_type_id: u32| {
            let (new, source) = (24, 71);
            json!({"attention_token": attention_token, "target_type_id": target_type_id, "max_new_tokens": new,
                   "max_source_tokens": source})
        };
        assert_eq!(report["generator"], generator("[ATTN]", 3));
        let other = ["inspect", "--json", "--set", "attention_token=[MASK]", "--set", "target_type_id=1", &model];
        assert_eq!(lines(&done(&other, ""))[0]["generator"], generator("[MASK]", 1));
        let answers = lines(&done(&["infer", &model], TEXTS));
        let all = lines(&done(&["generate", &model], TEXTS));
        assert_eq!((answers.len(), all.len()), (5, 5));
        for (answer, written) in answers.iter().zip(&all) {
            assert_eq!(answer, &json!({"text": written["text"], "score": written["score"]}));
        }
        let raw = lines(&done(&["infer", "--raw", &model], TEXTS));
        let keys: Vec<&String> = raw[0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["input_ids", "token_type_ids", "outputs"]);
        assert!(refusal(&["infer", "--top-k", "2", &model], "").contains("--top-k changes nothing"));
    }
}

/// What the tool writes to a terminal.
fn on_terminal(arguments: &[&str]) -> String {
    let (mut ours, mut tools) = (-1, -1);
    let (name, settings, size) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
    // SAFETY: two places are written; of the others NULL says that they are not wanted.
    let opened = unsafe { libc::openpty(&raw mut ours, &raw mut tools, name, settings, size) };
    assert_eq!(opened, 0, "no terminal");
    // SAFETY: both were opened just now and belong to nobody else.
    let (ours, tools) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(tools)) };
    let mut child = command(arguments).stdout(Stdio::from(tools)).spawn().unwrap();
    let (mut terminal, mut said, mut part) = (File::from(ours), Vec::new(), [0; 4096]);
    // A terminal that nobody writes to any more is an error.
    while let Ok(n_bytes @ 1..) = terminal.read(&mut part) {
        said.extend_from_slice(&part[..n_bytes]);
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8(said).unwrap().replace('\r', "")
}

#[test]
fn a_terminal_shows_texts_unless_it_is_asked_for_more() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", TEXTS);
    let arguments = ["generate", GENERATOR, &input];
    let with = |more: &[&'static str]| [&arguments[..], more].concat();
    assert_eq!(on_terminal(&arguments), stream(&[], TEXTS));
    for more in [&["--json"][..], &["--ids"], &["-o", "-"]] {
        assert_eq!(on_terminal(&with(more)).as_bytes(), done(&with(more), "").stdout, "{more:?}");
    }
    let output = dir.path().join("out.jsonl");
    assert_eq!(on_terminal(&[&arguments[..], &["-o", output.to_str().unwrap()]].concat()), "");
    assert_eq!(read(&output).unwrap(), done(&arguments, "").stdout);
}
