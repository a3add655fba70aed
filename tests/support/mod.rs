//! What the integration tests share: the runtime, the reference data, element-wise comparison.

#![allow(dead_code, unreachable_pub, clippy::panic, clippy::unwrap_used, reason = "each test binary uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Loads the runtime that `make runtime` fetched, or the one that `ERNIE_ORT_PATH` names.
pub fn load_runtime() {
    if std::env::var_os("ERNIE_ORT_PATH").is_none() {
        let path = root().join("build/runtime");
        ernie::runtime::load(&path).unwrap_or_else(|e| panic!("{}; run `make runtime`", e.report()));
    }
}

/// The folder of reference data, or `None` after saying what is skipped.
pub fn reference_data(group: &str) -> Option<PathBuf> {
    let path = std::env::var_os("ERNIE_TEST_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    // Written directly: what a passing test prints through the macros is not shown.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: {group}: no reference data at {}", path.display()).unwrap();
    None
}

/// The largest difference and its index; fails where `|a - b| > atol + rtol * |b|`.
pub fn assert_close(what: &str, got: &[f32], want: &[f32], atol: f32, rtol: f32) -> f32 {
    assert_eq!(got.len(), want.len(), "{what}: number of elements");
    let mut worst = 0.0_f32;
    for (index, (a, b)) in got.iter().zip(want).enumerate() {
        let difference = (a - b).abs();
        assert!(
            difference <= atol + rtol * b.abs(),
            "{what}: element {index} is {a}, expected {b} (difference {difference}, allowed {atol} + {rtol} * |b|)"
        );
        worst = worst.max(difference);
    }
    worst
}
