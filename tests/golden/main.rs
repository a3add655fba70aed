//! Every checkpoint gives what its reference gave: the cases of the reference data and the fixtures of this project
//! (`scripts/make_checkpoints.py`), element by element: each text alone, all in one call, in small runs, and as padded
//! tensors. Prints a table: case, outputs, worst error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod case;
mod check;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::path::{Path, PathBuf};

use case::Case;

/// Cases of the reference data that are checkpoints; generation (06) and graphs (10) have tests of their own.
const REFERENCE_CASES: usize = 31;
const FIXTURES: usize = 27;

fn directories(root: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    dirs.retain(|dir| dir.join("expect.json").is_file());
    dirs.sort();
    dirs
}

/// Checks all cases below `root` and gives the failures; a line for each case goes to standard error at once.
fn walk(dirs: &[PathBuf]) {
    let mut out = std::io::stderr();
    writeln!(out, "{:<40} {:>6} {:>9} {:>9} {:>9}  outputs", "case", "texts", "worst", "allowed", "batch").unwrap();
    let mut failures = Vec::new();
    for dir in dirs {
        let name = dir.file_name().unwrap().to_str().unwrap();
        for case in Case::all(dir) {
            match check::case(&case) {
                Ok(report) => writeln!(
                    out,
                    "{:<40} {:>6} {:>9.1e} {:>9.1e} {:>9.1e}  {}",
                    case.name,
                    report.n_texts,
                    report.worst,
                    case.atol,
                    report.worst_batch,
                    report.outputs.join(" ")
                )
                .unwrap(),
                Err(reason) => {
                    writeln!(out, "{:<40} FAILED: {reason}", case.name).unwrap();
                    failures.push(format!("{name}: {reason}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_reference_data_is_given_again() {
    let Some(data) = support::reference_data("golden checkpoints") else { return };
    support::load_runtime();
    let mut dirs = directories(&data.join("golden"));
    dirs.retain(|dir| {
        let name = dir.file_name().unwrap().to_str().unwrap();
        ["01", "02", "03", "04", "05", "07", "08", "09"].iter().any(|begin| name.starts_with(begin))
    });
    assert_eq!(dirs.len(), REFERENCE_CASES);
    walk(&dirs);
}

#[test]
fn the_fixtures_of_every_family_are_given_again() {
    support::load_runtime();
    let mut dirs = directories(&support::root().join("tests/fixtures/checkpoints"));
    dirs.retain(|dir| !dir.ends_with("refused"));
    assert_eq!(dirs.len(), FIXTURES);
    walk(&dirs);
}
