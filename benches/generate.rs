//! Generation beside the reference's algorithm run by Paddle (`generate_paddle.py`), on the same checkpoint of ERNIE's base size
//! (12 layers, 768 hidden, random weights that never end a text), source and threads, by turns: seconds of a whole call, their ratio, how
//! many of the tokens are the same, how many of the words that were guessed ahead were right. And what a call costs beside its runs of the graph, as ONNX Runtime's own profile shows them.
//!
//! `make bench-generate`, or `cargo bench --bench generate` with Paddle in `build/paddle` (where it is not, that is said). Medians; nothing
//! here is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking"
)]

mod median;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ernie::options::Options;
use ernie::pipeline::{Call, Decoding, Generation, Input, Model};
use median::median;
use serde_json::Value;

const N_NEW: usize = 64;
const N_THREADS: usize = 2;
const ROUNDS: usize = 3;

fn settings(n_beams: usize) -> Generation {
    let base = Generation { max_new_tokens: Some(N_NEW), ..Generation::default() };
    match n_beams {
        0 => Generation { decoding: Decoding::Greedy, ..base },
        _ => Generation { n_beams, ..base },
    }
}

fn open(dir: &Path, more: &[(&str, &str)]) -> Model {
    let mut options = Options::default();
    options.set("threads", &N_THREADS.to_string()).unwrap();
    more.iter().for_each(|(key, value)| options.set(key, value).unwrap());
    Model::open(dir, &options).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn write(model: &Model, text: &str, n_beams: usize) -> (f64, Vec<i64>) {
    let begin = Instant::now();
    let output = model.generate(&[Input { text, pair: None }], &Call::default(), &settings(n_beams), None).unwrap();
    (begin.elapsed().as_secs_f64(), output.generated[0][0].token_ids.clone())
}

/// Seconds of Paddle, and its tokens.
fn write_by_paddle(python: &Path, script: &Path, dir: &Path, n_beams: usize) -> (f64, Vec<i64>) {
    let output = Command::new(python)
        .arg(script)
        .arg(dir)
        .args(["--source", dir.join("source.json").to_str().unwrap(), "--repeat", "1", "--beams", &n_beams.to_string()])
        .args(["--new-tokens", &N_NEW.to_string(), "--threads", &N_THREADS.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let ids = line["ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
    (line["seconds"][0].as_f64().unwrap(), ids)
}

/// Milliseconds that the runs of a step took, by the runtime's profile.
fn step_milliseconds(prefix: &Path) -> Vec<f64> {
    let folder = prefix.parent().unwrap();
    let is_step = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().contains(".step");
    let path = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(is_step).unwrap();
    let events: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let runs = events.iter().filter(|event| event["name"] == "model_run");
    runs.map(|event| event["dur"].as_f64().unwrap() / 1e3).collect()
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ernie::runtime::load(&root.join("build/runtime")).unwrap();
    let (python, script) = (root.join("build/paddle/bin/python"), root.join("benches/generate_paddle.py"));
    if !python.is_file() {
        println!("generate: no Paddle in {}: `make bench-generate` fetches it", python.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("model");
    let made = Command::new(&python).arg(&script).args(["--make", dir.to_str().unwrap()]).status().unwrap();
    assert!(made.success());
    let source: Vec<i64> = serde_json::from_slice(&std::fs::read(dir.join("source.json")).unwrap()).unwrap();
    let model = open(&dir, &[]);
    let words = model.tokenizer().unwrap().tokens(&source[1..source.len() - 1]).unwrap();
    let text = words.join(" ");
    println!(
        "source {} tokens, {N_NEW} new ones, {N_THREADS} threads; medians of {ROUNDS} rounds by turns",
        source.len()
    );
    println!(
        "{:<8} {:>9} {:>9} {:>7} {:>12} {:>16} {:>9}",
        "beams", "Paddle s", "ernie s", "ratio", "same tokens", "cache bytes", "guessed"
    );
    for n_beams in [0, 5] {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        let mut n_same = 0;
        write(&model, &text, n_beams);
        for _ in 0..ROUNDS {
            let (seconds, wanted) = write_by_paddle(&python, &script, &dir, n_beams);
            theirs.push(seconds);
            let (seconds, ids) = write(&model, &text, n_beams);
            ours.push(seconds);
            n_same = wanted.iter().zip(&ids).take_while(|(a, b)| a == b).count();
        }
        let (theirs, ours) = (median(theirs), median(ours));
        let name = if n_beams == 0 { "greedy".to_owned() } else { n_beams.to_string() };
        let ratio = theirs / ours;
        let stats = model.stats();
        println!(
            "{name:<8} {theirs:>9.2} {ours:>9.3} {ratio:>6.1}x {:>12} {:>16} {:>8.0}%",
            format!("{n_same} of {N_NEW}"),
            stats.peak_cache_bytes,
            100.0 * stats.n_accepted_tokens as f64 / stats.n_draft_tokens.max(1) as f64
        );
    }
    drop(model);
    println!("{:<8} {:>12} {:>12} {:>9} {:>18}", "beams", "call ms", "steps ms", "ratio", "one step ms");
    for n_beams in [0, 5] {
        let profiles = tempfile::tempdir().unwrap();
        let prefix = profiles.path().join("profile");
        // Words one by one: guesses would make rows of several words of some steps.
        let model = open(&dir, &[("profile", prefix.to_str().unwrap()), ("draft_tokens", "0")]);
        let (seconds, _) = write(&model, &text, n_beams);
        drop(model);
        let steps = step_milliseconds(&prefix);
        let (all, one) = (steps.iter().sum::<f64>(), median(steps));
        let whole = seconds * 1e3;
        println!("{n_beams:<8} {whole:>12.1} {all:>12.1} {:>8.2}x {one:>18.2}", whole / (one * N_NEW as f64));
    }
}
