//! The command-line tool: what goes in, what comes out, what happens to bad lines and to runs that are broken off.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "tool/bulk.rs"]
mod bulk;
#[path = "tool/generate.rs"]
mod generate;
#[path = "tool/lines.rs"]
mod lines;
#[path = "tool/models.rs"]
mod models;
mod support;
#[path = "tool/tasks.rs"]
mod tasks;
#[path = "tool/vectors.rs"]
mod vectors;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The tool, with the runtime that the tests have.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ernie"));
    command.args(arguments).current_dir(support::root());
    if std::env::var_os("ERNIE_ORT_PATH").is_none() {
        command.env("ERNIE_ORT_PATH", support::root().join("build/runtime"));
    }
    command
}

fn tool(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = command(arguments);
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

/// The same, which must succeed.
fn done(arguments: &[&str], input: &str) -> Output {
    let output = tool(arguments, input.as_bytes());
    assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
    output
}

/// What the tool says when it refuses.
fn refusal(arguments: &[&str], input: &str) -> String {
    let output = tool(arguments, input.as_bytes());
    assert!(!output.status.success(), "{arguments:?} succeeded");
    errors(&output).to_owned()
}

/// Starts the tool and kills it when `file` has `n_bytes`, before it is done.
fn killed(arguments: &[&str], file: &Path, n_bytes: u64) {
    let mut child = command(arguments).spawn().unwrap();
    let begin = Instant::now();
    while file.metadata().map_or(0, |metadata| metadata.len()) < n_bytes {
        assert!(child.try_wait().unwrap().is_none(), "the tool was done before it was killed");
        assert!(begin.elapsed() < Duration::from_secs(60), "the tool wrote too little");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "the tool was done before it was killed");
}

/// A file of `dir`, named and filled.
fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

fn errors(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}
