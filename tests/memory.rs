//! Memory is steady under load. A program of its own, as other tests beside it would be measured too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model};

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn memory_is_steady_under_load() {
    support::load_runtime();
    let model = Model::open(&support::root().join("models/demo"), &Options::default()).unwrap();
    let text = |text| Input { text, pair: None };
    let words = "房间很干净，服务也好，下次还会再来。".repeat(30);
    let chars: Vec<usize> = words.char_indices().map(|(at, _)| at).collect();
    let load = |n_calls: usize| {
        for call in 0..n_calls {
            let inputs: Vec<Input<'_>> =
                (0..8).map(|i| text(&words[..chars[(call * 37 + i * 61) % chars.len()]])).collect();
            model.infer(&inputs, &Call::default()).unwrap();
            assert!(model.infer(&[text(&words)], &Call { max_tokens: Some(1), ..Call::default() }).is_err());
        }
    };
    // Every length has been seen once after this.
    load(150);
    let before = resident_kib();
    load(450);
    let after = resident_kib();
    assert!(after < before + 4 * 1024, "{before} KiB grew to {after} KiB");
}
