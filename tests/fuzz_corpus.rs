//! The readers of foreign files on a fixed row of broken ones: each returns, gives what fits together, and takes no more
//! memory than its file. The real search is `tests/fuzz`, whose seeds this program writes where `ERNIE_FUZZ_SEEDS` names
//! a folder.

#![cfg(feature = "test-hooks")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../src/checkpoint/mutation.rs"]
mod mutation;
mod support;

use std::path::{Path, PathBuf};

use ernie::error::Error;
use ernie::fuzz::TARGETS;
use ernie::options::Options;
use ernie::pipeline::export::{GraphKind, export};

/// Broken files for each reader.
const N_FILES: usize = 9000;
/// The longest seed.
const MAX_SEED_BYTES: u64 = 32 << 10;
/// Where formats keep what they say of their tensors: so many bytes at the beginning or at the end.
const N_EDGE_BYTES: usize = 1 << 10;
/// Memory that all readers together may take beyond what the process had.
const MAX_GROWTH_KIB: u64 = 256 << 10;

/// The largest resident memory that this process had, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// All files below `dir` that are short enough, in a fixed order.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let metadata = std::fs::metadata(&path).unwrap();
        match metadata.is_dir() {
            true => files(&path, found),
            false if metadata.len() <= MAX_SEED_BYTES => found.push(path),
            false => {}
        }
    }
}

/// The files of `all` that `target` reads without an error; those of LoDTensors with the number of names before them.
fn seeds(name: &str, target: ernie::fuzz::Target, all: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let with_names = |file: &Vec<u8>| {
        let starts = file.starts_with(&[0; 4]);
        (1..=u8::MAX).filter(|_| starts).map(|n| [&[n], file.as_slice()].concat()).find(|file| target(file).is_ok())
    };
    let mut seeds: Vec<Vec<u8>> = match name {
        "lod_tensors" => all.iter().filter_map(with_names).collect(),
        _ => all.iter().filter(|file| target(file).is_ok()).cloned().collect(),
    };
    seeds.sort();
    seeds.dedup();
    seeds
}

/// `n_files` broken files made of `seed`: a third broken anywhere, a third at the beginning, a third at the end.
fn broken(seed: &[u8], n_files: usize) -> impl Iterator<Item = Vec<u8>> {
    let n_edge = seed.len().min(N_EDGE_BYTES);
    [0..seed.len(), 0..n_edge, seed.len() - n_edge..seed.len()].into_iter().flat_map(move |part| {
        let (before, after) = (&seed[..part.start], &seed[part.end..]);
        mutation::mutations(&seed[part], n_files.div_ceil(3)).map(move |part| [before, &part, after].concat())
    })
}

/// The beginning of each seed with the end of the next.
fn splices(seeds: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    let pairs = seeds.iter().zip(seeds.iter().cycle().skip(1));
    pairs.flat_map(|(a, b)| (1..8).map(move |i| [&a[..a.len() * i / 8], &b[b.len() * i / 8..]].concat()))
}

/// Manifests of bundles made of the fixtures, below `dir`.
fn manifests(dir: &Path) -> [PathBuf; 3] {
    ["paddlenlp_dual_encoder", "hf_mlm_torch_zip", "ernie_m"].map(|fixture| {
        let (from, to) = (support::root().join("tests/fixtures/checkpoints").join(fixture), dir.join(fixture));
        export(&from, &to, &Options::default(), GraphKind::Own).unwrap_or_else(|e| panic!("{fixture}: {}", e.report()));
        to.join("ernie.json")
    })
}

fn write_seeds(dir: &Path, seeds: &[Vec<u8>]) {
    std::fs::create_dir_all(dir).unwrap();
    for (index, seed) in seeds.iter().enumerate() {
        std::fs::write(dir.join(format!("seed_{index:03}")), seed).unwrap();
    }
}

/// Writes a file that a reader takes wrongly, for a closer look; gives its path.
fn keep(name: &str, file: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wrongly_taken_{name}"));
    std::fs::write(&path, file).unwrap();
    path.display().to_string()
}

#[test]
fn readers_return_from_any_file_with_what_fits_together_in_little_memory() {
    let mut paths = Vec::new();
    files(&support::root().join("tests/fixtures"), &mut paths);
    if let Some(data) = support::reference_data("seeds of broken files") {
        files(&data.join("golden"), &mut paths);
    }
    let bundles = tempfile::tempdir().unwrap();
    paths.extend(manifests(bundles.path()));
    let mut all: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    // What callers write themselves.
    let written = [
        r#"["人物", {"竞赛名称": ["主办方", "时间"]}]"#,
        r#"{"Person": ["Company", {"Position": "Since"}]}"#,
        r#"{"B-PER": 0, "I-PER": 1, "O": 2}"#,
    ];
    all.extend(written.map(|text| text.as_bytes().to_vec()));
    for (name, target) in TARGETS {
        let before = peak_kib();
        let seeds = seeds(name, *target, &all);
        assert!(!seeds.is_empty(), "{name}: no file is read without an error");
        if let Some(dir) = std::env::var_os("ERNIE_FUZZ_SEEDS") {
            write_seeds(&Path::new(&dir).join(name), &seeds);
        }
        let n_each = N_FILES.div_ceil(seeds.len());
        let (mut n_read, mut n_refused) = (0, 0);
        for file in seeds.iter().flat_map(|seed| broken(seed, n_each)).chain(splices(&seeds)) {
            match target(&file) {
                Ok(()) => n_read += 1,
                Err(Error::Internal(law)) => panic!("{name}: {law}: {}", keep(name, &file)),
                Err(_) => n_refused += 1,
            }
        }
        assert!(n_refused > N_FILES / 20, "{name}: {n_refused} of {} files refused", n_read + n_refused);
        let growth = peak_kib() - before;
        assert!(growth < MAX_GROWTH_KIB, "{name}: the peak grew by {growth} KiB");
    }
}
