//! Reading golden lines, and counting where they differ.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) fn data_dir() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    std::env::var_os("ERNIE_TEST_DATA").map_or_else(default, PathBuf::from)
}

/// The folder of a group, or a plain word that it is skipped.
pub(crate) fn group_dir(path: &str) -> Option<PathBuf> {
    let dir = data_dir().join(path);
    if !dir.is_dir() {
        // Written directly: what a passing test prints through the macros is not shown.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: {path} is not in {}", data_dir().display()).unwrap();
        return None;
    }
    Some(dir)
}

/// JSON lines; the strings may hold other line separators raw, so only `\n` splits.
pub(crate) fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split('\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn ids(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
}

/// What one group of lines compared.
pub(crate) struct Tally {
    name: String,
    pub(crate) n_lines: usize,
    mismatches: Vec<String>,
}

impl Tally {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), n_lines: 0, mismatches: Vec::new() }
    }

    pub(crate) fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, wanted: T) {
        self.n_lines += 1;
        if found != wanted {
            self.mismatches.push(format!("{what}\n   found  {found:?}\n   wanted {wanted:?}"));
        }
    }
}

/// Prints the table and fails if any line differs.
pub(crate) fn settle(tallies: &[Tally]) {
    println!("{:<58} {:>6} {:>10}", "group", "lines", "mismatches");
    for tally in tallies {
        println!("{:<58} {:>6} {:>10}", tally.name, tally.n_lines, tally.mismatches.len());
        for mismatch in tally.mismatches.iter().take(8) {
            println!("  {mismatch}");
        }
    }
    assert!(tallies.iter().all(|tally| tally.mismatches.is_empty()), "mismatches in the table above");
    assert!(tallies.iter().all(|tally| tally.n_lines > 0), "a group without lines");
}
