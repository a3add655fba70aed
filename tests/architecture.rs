//! The laws of the house, held on the source: data flows one way, `ort` and `tokenizers` have one room each, `unsafe`
//! and `extern "C"` live where they may.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::{Path, PathBuf};

/// What each room of `src/` may import of the others.
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("tensor", &[]),
    ("wire", &[]),
    ("panics", &[]),
    ("cancel", &[]),
    ("parallel", &["error", "panics"]),
    ("workers", &["error"]),
    ("architecture", &[]),
    ("mapped_file", &["error"]),
    ("bounded_file", &["error"]),
    ("kernels", &["error", "architecture"]),
    ("weights", &["error", "tensor", "mapped_file", "kernels"]),
    ("options", &["error", "model_dir", "tokenize"]),
    ("model_dir", &["error", "options", "architecture", "bounded_file"]),
    (
        "checkpoint",
        &[
            "error",
            "parallel",
            "options",
            "tensor",
            "wire",
            "architecture",
            "mapped_file",
            "bounded_file",
            "weights",
            "model_dir",
        ],
    ),
    ("tokenize", &["error", "wire", "model_dir", "bounded_file"]),
    ("graph", &["error", "tensor", "wire", "architecture", "mapped_file", "kernels"]),
    ("batch", &["options", "architecture", "tokenize"]),
    ("session", &["error", "options", "panics", "tensor", "architecture", "weights", "kernels"]),
    ("scheduler", &["error", "cancel"]),
    ("heads", &["error", "options", "kernels"]),
    ("generate", &["error", "kernels"]),
    (
        "pipeline",
        &[
            "error",
            "parallel",
            "options",
            "panics",
            "tensor",
            "architecture",
            "mapped_file",
            "weights",
            "model_dir",
            "checkpoint",
            "tokenize",
            "graph",
            "batch",
            "session",
            "cancel",
            "scheduler",
            "heads",
            "kernels",
            "generate",
        ],
    ),
    ("capi", &["error", "options", "panics", "tensor", "model_dir", "tokenize", "pipeline", "runtime", "workers"]),
    ("fuzz", &["error", "mapped_file", "model_dir", "checkpoint", "tokenize", "graph", "heads"]),
];

const UNSAFE_ROOMS: &[&str] =
    &["capi/", "kernels/", "mapped_file.rs", "session/process.rs", "session/initializers.rs", "session/threads.rs"];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// Path below `src/` and the code without comments.
fn code() -> Vec<(String, String)> {
    let src = support::root().join("src");
    let strip =
        |text: String| text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let all: Vec<_> = sources(&src)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
            (name, strip(std::fs::read_to_string(&path).unwrap()))
        })
        .collect();
    assert!(all.len() > 30, "the sources were not found");
    all
}

fn room(name: &str) -> &str {
    name.split(['/', '.']).next().unwrap_or(name)
}

#[test]
fn data_flows_one_way() {
    for (name, text) in code() {
        if matches!(room(&name), "lib" | "bin") {
            continue;
        }
        let allowed = ALLOWED.iter().find(|(r, _)| *r == room(&name)).unwrap_or_else(|| panic!("new room: {name}")).1;
        for part in text.split("crate::").skip(1) {
            let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let fits = target == room(&name) || allowed.contains(&target.as_str());
            assert!(fits, "{name} imports {target}; it may import {allowed:?}");
        }
    }
}

#[test]
fn only_one_room_names_each_engine() {
    let names = |text: &str, krate: &str| {
        text.contains(&format!("use {krate}::"))
            || text.contains(&format!(" {krate}::"))
            || text.contains(&format!("({krate}::"))
    };
    for (name, text) in code() {
        assert!(!names(&text, "ort") || name.starts_with("session/"), "{name} names ort");
        assert!(!names(&text, "jieba_rs") || name == "tokenize/jieba.rs", "{name} names jieba_rs");
        assert!(!names(&text, "tokenizers") || name == "tokenize/json.rs", "{name} names tokenizers");
    }
}

#[test]
fn unsafe_and_extern_live_in_their_rooms() {
    for (name, text) in code() {
        let may = UNSAFE_ROOMS.iter().any(|room| name.starts_with(room));
        assert!(may || !text.contains("unsafe"), "{name} has unsafe code");
        assert!(name.starts_with("capi/") || !text.contains("no_mangle"), "{name} exports to C");
    }
}

#[test]
fn nothing_in_the_library_prints_exits_or_gives_up() {
    for (name, text) in code() {
        let library = text.split("#[cfg(test)]").next().unwrap_or("");
        if name.starts_with("bin/") || name.ends_with("/tests.rs") || name.contains("/tests/") {
            continue;
        }
        for word in [
            "println!",
            "eprintln!",
            "print!(",
            "process::exit",
            "process::abort",
            "todo!",
            "unimplemented!",
            ".unwrap()",
            ".expect(",
        ] {
            assert!(!library.contains(word), "{name} has {word}");
        }
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for (name, _) in code() {
        let n_lines = std::fs::read_to_string(support::root().join("src").join(&name)).unwrap().lines().count();
        let is_table = name == "tokenize/unicode_tables.rs";
        assert!(is_table || n_lines <= 400, "{name} has {n_lines} lines");
    }
}
