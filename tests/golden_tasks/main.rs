//! The answers to the reference data: what the reference's own scripts make of a checkpoint's outputs, from the texts alone.
//! Every case is asked in one call and text by text. Prints a table: case, compared, equal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod data;
mod generation;
mod pairs;
mod spans;
#[path = "../support/mod.rs"]
mod support;
mod words;

/// Cases of one kind.
type Kind = (&'static str, fn(&std::path::Path));

const KINDS: &[Kind] = &[
    ("02-03, 08, 09 classification and words", words::all),
    ("04, 08d, 08f, 09f spans", spans::all),
    ("05, 08e, 09c cloze", words::cloze),
    ("08j, 08k, 09g pairs", pairs::all),
    ("06 generation", generation::all),
];

#[test]
fn answers_are_those_of_the_reference_scripts() {
    let Some(data) = support::reference_data("golden tasks") else { return };
    support::load_runtime();
    for (_, kind) in KINDS {
        kind(&data.join("golden"));
    }
}
