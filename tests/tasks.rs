//! Answers of every task, on the fixtures: laws that hold for any weights.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "tasks/bundles.rs"]
mod bundles;
#[path = "tasks/extraction.rs"]
mod extraction;
#[path = "tasks/hostile.rs"]
mod hostile;
#[path = "tasks/pairs.rs"]
mod pairs;
#[path = "tasks/spans.rs"]
mod spans;
mod support;
#[path = "tasks/vectors.rs"]
mod vectors;
#[path = "tasks/words.rs"]
mod words;

use ernie::options::Options;
use ernie::pipeline::{Input, Model};

fn open(name: &str, options: &[(&str, &str)]) -> Model {
    support::load_runtime();
    let mut all = Options::default();
    options.iter().for_each(|(key, value)| all.set(key, value).unwrap());
    let dir = support::root().join("tests/fixtures/checkpoints").join(name);
    Model::open(&dir, &all).unwrap_or_else(|e| panic!("{name}: {}", e.report()))
}

fn text(text: &str) -> Input<'_> {
    Input { text, pair: None }
}

fn pair<'a>(text: &'a str, pair: &'a str) -> Input<'a> {
    Input { text, pair: Some(pair) }
}

/// The message of what must fail.
fn message<T: std::fmt::Debug>(result: ernie::error::Result<T>) -> String {
    result.unwrap_err().report()
}
