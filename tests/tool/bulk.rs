//! Files of any size: several inputs, outputs that are gone on with, progress, memory.

use std::fs::read;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::{command, done, errors, file, killed, lines, refusal, tool};

const TOKENIZE: [&str; 2] = ["tokenize", "models/demo"];

/// Texts that differ, a line each.
pub(crate) fn texts(n_lines: usize) -> String {
    (0..n_lines).map(|line| format!("房间{}很干净{line}\n", "很".repeat(line % 7))).collect()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn files_and_patterns_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let last = file(dir, "0.txt", "最后");
    file(dir, "b10.txt", "b10\n");
    file(dir, "b2.txt", "b2");
    file(dir, ".b3.txt", "hidden");
    std::fs::create_dir(dir.join("b.txt")).unwrap();
    let literal = file(dir, "b[1].txt", "\u{feff}{\"text\": \"好\"}\r\n{\"txt\": \"好\"}\n");
    let pattern = dir.join("b*0.txt").to_str().unwrap().to_owned();
    let both = dir.join("b[0-9]*.txt").to_str().unwrap().to_owned();
    let output = done(&[&TOKENIZE[..], &[&pattern, &literal, &both, &last]].concat(), "");
    let answers = lines(&output);
    let n_tokens: Vec<_> = answers.iter().map(|a| a["tokens"].as_array().map(Vec::len)).collect();
    // b10, 好, the bad line, b10, b2, 最后.
    assert_eq!((n_tokens.len(), n_tokens[1], n_tokens[2], n_tokens[5]), (6, Some(3), None, Some(4)));
    assert_eq!((&answers[0]["tokens"], &answers[3]["tokens"]), (&answers[3]["tokens"], &answers[0]["tokens"]));
    assert_eq!((&answers[2]["file"], &answers[2]["line"]), (&json!(literal), &json!(2)));
    assert!(errors(&output).contains(&format!("{literal}: line 2: ")), "{}", errors(&output));
    // Of one input it is known which.
    assert!(lines(&done(&[&TOKENIZE[..], &[&literal]].concat(), ""))[1].get("file").is_none());
}

#[test]
fn inputs_that_are_not_there_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let name = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let refused = |input: &str| refusal(&[&TOKENIZE[..], &[input]].concat(), "");
    assert!(refused(&name("*.txt")).contains("*.txt matches no file"));
    assert!(refused(&name("a***")).contains("pattern"));
    let missing = refused(&name("a.txt"));
    assert!(missing.contains("a.txt: No such file") && missing.contains("a text itself goes to standard input"));
    assert!(refused(&name("")).contains("is a directory"));
    assert!(refusal(&[&TOKENIZE[..], &["-", "-"]].concat(), "").contains("once"));
    assert_eq!(lines(&done(&[&TOKENIZE[..], &["-"]].concat(), "好\n")).len(), 1);
}

#[test]
fn an_output_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", &texts(3));
    let output = file(dir.path(), "out.jsonl", "");
    let arguments = [&TOKENIZE[..], &[&input, "--output", &output]].concat();
    assert!(done(&arguments, "").stdout.is_empty());
    let whole = text(&output);
    assert_eq!(whole, String::from_utf8(done(&[&TOKENIZE[..], &[&input]].concat(), "").stdout).unwrap());
    let refused = refusal(&arguments, "");
    assert!(refused.contains("--resume") && refused.contains("--force"), "{refused}");
    std::fs::write(&output, "{}\n".repeat(4)).unwrap();
    let refused = refusal(&[&arguments[..], &["--resume"]].concat(), "");
    assert!(refused.contains("the output has 4 lines, the inputs have 3"), "{refused}");
    assert_eq!(text(&output), "{}\n".repeat(4));
    done(&[&arguments[..], &["--force"]].concat(), "");
    assert_eq!(text(&output), whole);
    assert!(refusal(&[&TOKENIZE[..], &[&input, "--resume"]].concat(), "").contains("--output"));
    assert!(refusal(&[&arguments[..], &["--force", "--resume"]].concat(), "").contains("cannot be used with"));
    let itself = [&TOKENIZE[..], &[&input, "--force", "--output", &input]].concat();
    assert!(refusal(&itself, "").contains("is an input too"));
    assert_eq!(text(&input), texts(3));
    // Under another name, and as standard input.
    let link = dir.path().join("link.txt");
    std::fs::hard_link(&input, &link).unwrap();
    let link = link.to_str().unwrap();
    assert!(refusal(&[&TOKENIZE[..], &[&input, "--force", "--output", link]].concat(), "").contains("is an input too"));
    let stdin = std::fs::File::open(&input).unwrap();
    let refused = command(&[&TOKENIZE[..], &["--force", "--output", &input]].concat()).stdin(stdin).output().unwrap();
    assert!(!refused.status.success() && errors(&refused).contains("is an input too"));
    assert_eq!(text(&input), texts(3));
    // Standard output by its name.
    assert_eq!(String::from_utf8(done(&[&TOKENIZE[..], &["-o", "-", &input]].concat(), "").stdout).unwrap(), whole);
    for command in ["tokenize", "encode", "infer"] {
        for flag in ["--force", "--resume"] {
            let refused = refusal(&[command, "models/demo", "-o", "-", flag, &input], "");
            assert!(refused.contains("output file"), "{refused}");
        }
    }
}

#[test]
fn an_output_of_another_run_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let (input, longer) = (file(dir.path(), "in.txt", &texts(3)), file(dir.path(), "longer.txt", &texts(9)));
    let output = file(dir.path(), "out.jsonl", "");
    done(&[&TOKENIZE[..], &[&input, "-o", &output]].concat(), "");
    let whole = text(&output);
    // Other flags; also where nothing is left to be done, and where a chunk ends with what is kept.
    for (flags, inputs) in [
        (&["--max-tokens", "3"][..], &input),
        (&["--max-tokens", "3"], &longer),
        (&["--max-tokens", "3", "--chunk", "3"], &longer),
    ] {
        let arguments = [&TOKENIZE[..], &[inputs, "-o", &output, "--resume"], flags].concat();
        let refused = refusal(&arguments, "");
        assert!(refused.contains("of another run") && refused.contains("line 3"), "{refused}");
        assert_eq!(text(&output), whole);
    }
    done(&[&TOKENIZE[..], &[&longer, "-o", &output, "--resume"]].concat(), "");
    assert_eq!(text(&output).lines().count(), 9);
    for foreign in ["precious \0 bytes without a line", "a text\nof mine\n", "{\"all\": \"in a line\"}"] {
        let foreign = file(dir.path(), "foreign", foreign);
        let before = read(&foreign).unwrap();
        let refused = refusal(&[&TOKENIZE[..], &[&input, "-o", &foreign, "--resume"]].concat(), "");
        assert!(refused.contains("holds no answers"), "{refused}");
        assert_eq!(read(&foreign).unwrap(), before);
    }
}

#[test]
fn an_output_is_written_by_one_run_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.jsonl");
    let arguments = [&TOKENIZE[..], &["-o", output.to_str().unwrap()]].concat();
    let mut first = command(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = first.stdin.take().unwrap();
    stdin.write_all("好\n".as_bytes()).unwrap();
    while output.metadata().map_or(0, |metadata| metadata.len()) == 0 {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    for more in ["--resume", "--force"] {
        assert!(refusal(&[&arguments[..], &[more]].concat(), "好\n好\n").contains("written by another run"));
    }
    drop(stdin);
    assert!(first.wait().unwrap().success());
    assert_eq!(text(output.to_str().unwrap()).lines().count(), 1);
    done(&[&arguments[..], &["--resume"]].concat(), "好\n好\n");
    assert_eq!(text(output.to_str().unwrap()).lines().count(), 2);
}

#[test]
fn a_run_that_was_cut_off_anywhere_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    // The first line decides how the others are read, also where it is answered already.
    let first = file(dir.path(), "a.jsonl", "{\"text\": \"好\", \"id\": 1}\n{\"text\": 2}\n{\"text\": \"坏\"}");
    let second = file(dir.path(), "b.txt", &texts(40));
    let output = file(dir.path(), "out.jsonl", "");
    let arguments = ["infer", "models/demo", &first, &second, "--chunk", "8", "-o", &output, "--resume"];
    done(&arguments, "");
    let whole = read(&output).unwrap();
    let n_first = text(&output).lines().next().unwrap().len();
    for n_bytes in [0, 1, n_first, n_first + 1, whole.len() / 3, whole.len() / 2, whole.len() - 1, whole.len()] {
        std::fs::write(&output, &whole[..n_bytes]).unwrap();
        done(&arguments, "");
        assert!(read(&output).unwrap() == whole, "cut at {n_bytes} of {}", whole.len());
    }
    // Standard input may be given again as well.
    std::fs::write(&output, &whole[..whole.len() / 2]).unwrap();
    done(&["infer", "models/demo", &first, "-", "-o", &output, "--resume"], &texts(40));
    assert!(read(&output).unwrap() == whole);
}

#[test]
fn a_run_that_was_killed_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", &texts(4000));
    let output = dir.path().join("out.jsonl");
    let arguments = ["infer", "models/demo", &input, "--chunk", "16", "-o", output.to_str().unwrap()];
    killed(&arguments, &output, 20_000);
    let n_kept = text(output.to_str().unwrap()).lines().count();
    assert!(n_kept > 50 && n_kept < 4000, "{n_kept}");
    done(&[&arguments[..], &["--resume"]].concat(), "");
    let whole = done(&["infer", "models/demo", &input], "");
    assert!(read(&output).unwrap() == whole.stdout);
}

#[test]
fn a_strict_run_keeps_what_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{}\n{\"text\": \"c\"}\n");
    let output = file(dir.path(), "out.jsonl", "");
    let arguments = [&TOKENIZE[..], &[&input, "-o", &output]].concat();
    assert!(refusal(&[&arguments[..], &["--strict"]].concat(), "").contains("line 3: "));
    assert_eq!(text(&output).lines().count(), 2);
    done(&[&arguments[..], &["--resume"]].concat(), "");
    assert_eq!(text(&output).lines().count(), 4);
}

#[test]
fn progress_is_said_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", &texts(1000));
    let said = done(&[&TOKENIZE[..], &[&input, "--progress", "--chunk", "250"]].concat(), "");
    let said: Vec<&str> = errors(&said).lines().collect();
    assert!(said[0].starts_with("ernie: 250 lines, ") && said[0].contains(" lines/s, 0:00:0"), "{said:?}");
    assert!(said[0].ends_with("left") && said.len() == 2, "{said:?}");
    assert!(said[1].starts_with("ernie: 1000 lines in ") && said[1].ends_with(" lines/s"), "{said:?}");
    // Of a stream nobody knows how much is left.
    let of_stream = done(&[&TOKENIZE[..], &["--progress"]].concat(), "好\n");
    assert!(errors(&of_stream).lines().all(|line| line.ends_with("lines/s")), "{}", errors(&of_stream));
    assert!(errors(&of_stream).lines().all(|line| line.starts_with("ernie: 1 line")), "{}", errors(&of_stream));
    assert!(!errors(&of_stream).contains("1 lines"), "{}", errors(&of_stream));
    assert!(errors(&tool(&[&TOKENIZE[..], &[&input]].concat(), b"")).is_empty());
    // What an earlier run did is told apart.
    let output = file(dir.path(), "out.jsonl", "");
    let arguments = [&TOKENIZE[..], &[&input, "-o", &output, "--progress", "--chunk", "250"]].concat();
    done(&arguments, "");
    let kept: String = text(&output).split_inclusive('\n').take(600).collect();
    std::fs::write(&output, kept).unwrap();
    let resumed = done(&[&arguments[..], &["--resume"]].concat(), "");
    let last = errors(&resumed).lines().last().unwrap();
    assert!(last.starts_with("ernie: 1000 lines, 400 of them now, in "), "{last}");
}

#[test]
fn a_run_may_fail_for_bad_lines_when_all_are_answered() {
    let input = "{\"text\": \"a\"}\n{}\n{\"text\": \"b\"}\n{\n";
    for command in ["tokenize", "encode", "infer"] {
        let arguments = [command, "models/demo", "--fail"];
        let failed = tool(&arguments, input.as_bytes());
        assert_eq!(failed.status.code(), Some(1), "{command}");
        assert_eq!((failed.stdout, failed.stderr), {
            let done = done(&arguments[..2], input);
            (done.stdout, done.stderr)
        });
        done(&arguments, "{\"text\": \"a\"}\n");
    }
    let rank = ["rank", "tests/fixtures/checkpoints/paddlenlp_cross_encoder", "--fail"];
    let failed = tool(&rank, "{}\n{\"query\": \"天\", \"candidates\": []}\n".as_bytes());
    assert_eq!((failed.status.code(), lines(&failed).len()), (Some(1), 2));
    // Lines that are kept are those of the run before.
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (file(dir.path(), "in.jsonl", input), file(dir.path(), "out.jsonl", ""));
    let arguments = [&TOKENIZE[..], &[&input, "-o", &output, "--fail"]].concat();
    assert!(refusal(&arguments, "").ends_with("ernie: 2 bad lines\n"));
    assert!(errors(&done(&[&arguments[..], &["--resume", "--strict"]].concat(), "")).is_empty());
}

/// The most memory that a run has held, in KiB, when it has answered all but the last of `n_lines` lines.
pub(crate) fn peak_kib(arguments: &[&str], n_lines: usize, output: &Path) -> u64 {
    let output = output.to_str().unwrap();
    let mut command = command(&[arguments, &["--force", "--output", output]].concat());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let line = "这家酒店的房间很干净。\n";
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line.repeat(n_lines).as_bytes()).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    peak.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_long_input_takes_no_more_memory_than_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.jsonl");
    let peak = |n_lines: usize| {
        let peak = peak_kib(&TOKENIZE, n_lines, &output);
        assert_eq!(std::fs::read_to_string(&output).unwrap().lines().count(), n_lines);
        peak
    };
    let (short, long) = (peak(5_000), peak(200_000));
    assert!(long < short + 4096, "{short} KiB grew to {long} KiB");
}
