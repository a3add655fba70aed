//! Tokenizing on one thread, beside the `tokenizers` crate with the same vocabulary and the Python references: throughput
//! with offsets, the worst texts of a megabyte, and what an opened tokenizer of 250,002 entries takes.
//!
//! `cargo bench --bench tokenizers [-- memory|crate|python|worst]`. The texts and vocabularies are those of `ERNIE_TEST_DATA` (default `../shared/data`). By
//! turns, best of the rounds. `ERNIE_BENCH_PYTHON` (default `build/python/bin/python`, which `make bench-calls` makes) has jieba
//! and sentencepiece; without it their rows are left out, by name. Nothing here is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ernie::model_dir::tokenizer::{BertVariant, ErnieMVariant, Scheme, TokenizerSpec};
use ernie::tokenize::{EncodeOptions, Tokenizer};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;

const ROUNDS: usize = 5;
const CORPORA: &[(&str, &[&str])] = &[
    ("Chinese reviews", &["datasets/chnsenticorp/dev.tsv"]),
    ("Chinese questions", &["datasets/lcqmc/dev.txt"]),
    ("Japanese novel", &["unicode/text/wagahaiwa_nekodearu.txt"]),
    ("English novel", &["unicode/text/botchan.en.txt"]),
    ("English news", &["datasets/mrpc/train.tsv"]),
];

fn data() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    std::env::var_os("ERNIE_TEST_DATA").map_or_else(default, PathBuf::from)
}

fn lines(files: &[&str]) -> Vec<String> {
    let read = |file: &&str| String::from_utf8_lossy(&std::fs::read(data().join(file)).unwrap()).into_owned();
    files.iter().map(read).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// One token a line, as the schemes but `ernie` want it.
fn vocab_dir(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let vocab = std::fs::read_to_string(data().join("vocab").join(name).join("vocab.txt")).unwrap();
    let column: Vec<&str> = vocab.lines().map(|line| line.split('\t').next().unwrap()).collect();
    std::fs::write(dir.path().join("vocab.txt"), column.join("\n")).unwrap();
    dir
}

fn open(dir: &Path, scheme: Scheme) -> Tokenizer {
    Tokenizer::open(&TokenizerSpec::from_dir(dir, Some(scheme)).unwrap()).unwrap()
}

fn ernie_m_dir() -> tempfile::TempDir {
    let dir = vocab_dir("ernie-m");
    let model = data().join("vocab/ernie-m/sentencepiece.bpe.rebuilt.model");
    std::fs::copy(model, dir.path().join("sentencepiece.bpe.model")).unwrap();
    dir
}

/// The BERT pipeline of the crate over a vocabulary.
fn peer(dir: &Path) -> tokenizers::Tokenizer {
    let vocab = dir.join("vocab.txt");
    let model = WordPiece::from_file(vocab.to_str().unwrap()).unk_token("[UNK]".into()).build().unwrap();
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let id = |token: &str| (token.to_owned(), tokenizer.token_to_id(token).unwrap());
    let processor = BertProcessing::new(id("[SEP]"), id("[CLS]"));
    tokenizer.with_normalizer(Some(BertNormalizer::default())).unwrap();
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(processor));
    tokenizer
}

/// Encodes a text and gives the number of tokens.
type Run<'a> = &'a dyn Fn(&str) -> usize;

/// Seconds of one pass over the texts.
fn pass(texts: &[String], run: Run<'_>) -> f64 {
    let start = Instant::now();
    let n_tokens: usize = texts.iter().map(|text| run(text)).sum();
    let seconds = start.elapsed().as_secs_f64();
    assert!(n_tokens > 0);
    seconds
}

/// The best of the rounds for each contestant, which take turns.
fn best(texts: &[String], contestants: &[Run<'_>]) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; contestants.len()];
    for _ in 0..ROUNDS {
        for (best, run) in best.iter_mut().zip(contestants) {
            *best = best.min(pass(texts, *run));
        }
    }
    best
}

fn encode<'a>(tokenizer: &'a Tokenizer) -> impl Fn(&str) -> usize + 'a {
    |text| tokenizer.encode(text, None, &EncodeOptions::default()).unwrap().len()
}

fn beside_the_crate() {
    let dir = vocab_dir("ernie-3.0-zh");
    let ours = [
        Scheme::Ernie,
        Scheme::Bert(BertVariant::HfSlow),
        Scheme::Bert(BertVariant::HfFast),
        Scheme::Bert(BertVariant::PaddleNlp),
    ];
    let ours: Vec<Tokenizer> = ours.into_iter().map(|scheme| open(dir.path(), scheme)).collect();
    let crate_tokenizer = peer(dir.path());
    println!("MB/s with offsets, one thread, ERNIE 3.0 vocabulary; in brackets: times `tokenizers`");
    println!(
        "{:<20} {:>10} {:>16} {:>16} {:>16} {:>16}",
        "texts", "tokenizers", "ernie", "bert", "bert-fast", "bert-paddlenlp"
    );
    for (name, files) in CORPORA {
        let texts = lines(files);
        let n_bytes: usize = texts.iter().map(String::len).sum();
        let theirs = |text: &str| crate_tokenizer.encode(text, true).unwrap().len();
        let runs: Vec<_> = ours.iter().map(encode).collect();
        let mut contestants: Vec<Run<'_>> = vec![&theirs];
        contestants.extend(runs.iter().map(|run| run as Run<'_>));
        let seconds = best(&texts, &contestants);
        let rate = |seconds: f64| n_bytes as f64 / 1e6 / seconds;
        print!("{name:<20} {:>10.2}", rate(seconds[0]));
        for ours in &seconds[1..] {
            print!(" {:>8.1} ({:>5.1})", rate(*ours), seconds[0] / ours);
        }
        println!();
    }
}

fn beside_python() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let default = || root.join("build/python/bin/python");
    let python = std::env::var_os("ERNIE_BENCH_PYTHON").map_or_else(default, PathBuf::from);
    let tiny = data().join("vocab/ernie-tiny");
    let ernie_m = ernie_m_dir();
    let ours = [open(&tiny, Scheme::ErnieTiny), open(ernie_m.path(), Scheme::ErnieM(ErnieMVariant::PaddleNlp))];
    println!("\nMB/s, one thread; Python: jieba 0.42.1 and sentencepiece 0.2.3, pieces without ids or offsets");
    println!("{:<20} {:<14} {:>8} {:>8} {:>8}", "texts", "reference", "Python", "ours", "ratio");
    for (name, files) in CORPORA {
        let texts = lines(files);
        let n_bytes: usize = texts.iter().map(String::len).sum();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), texts.join("\n")).unwrap();
        let output = Command::new(&python)
            .arg(root.join("benches/reference_tokenizers.py"))
            .args([
                file.path(),
                &tiny.join("spm_cased_simp_sampled.model"),
                &ernie_m.path().join("sentencepiece.bpe.model"),
            ])
            .arg("3")
            .output();
        let theirs = output.ok().filter(|output| output.status.success());
        let theirs = theirs.map(|output| String::from_utf8(output.stdout).unwrap());
        // SentencePiece alone, and with what its reference does to the pieces.
        for (tokenizer, reference) in [(&ours[0], "ernie-tiny"), (&ours[1], "ernie-m"), (&ours[1], "ernie-m-split")] {
            let run = encode(tokenizer);
            let seconds = best(&texts, &[&run])[0];
            let line = theirs
                .as_ref()
                .and_then(|lines| lines.lines().find_map(|line| line.strip_prefix(&format!("{reference} "))));
            let theirs: Option<f64> = line.and_then(|line| line.trim().parse().ok());
            let rate = |seconds: f64| n_bytes as f64 / 1e6 / seconds;
            match theirs {
                Some(theirs) => println!(
                    "{name:<20} {reference:<14} {:>8.2} {:>8.2} {:>8.1}",
                    rate(theirs),
                    rate(seconds),
                    theirs / seconds
                ),
                None => println!(
                    "{name:<20} {reference:<14} {:>8} {:>8.2}   ({} has no jieba and sentencepiece)",
                    "-",
                    rate(seconds),
                    python.display()
                ),
            }
        }
    }
}

/// Texts that make a careless tokenizer quadratic, each of about a megabyte.
fn worst() {
    let n = 1 << 20;
    let texts: Vec<(&str, String)> = vec![
        ("ordinary text", lines(&["datasets/chnsenticorp/dev.tsv", "unicode/text/botchan.en.txt"]).join("\n")),
        ("one word", "a".repeat(n)),
        ("one word of é", "é".repeat(n / 2)),
        ("ideographs", "中".repeat(n / 3)),
        ("combining marks", "\u{301}".repeat(n)),
        ("e and a million marks", format!("e{}", "\u{302e}".repeat(n))),
        ("spaces", " ".repeat(n)),
        ("a million [", "[".repeat(n)),
        ("[MASK again", "[MASK".repeat(n / 5)),
        ("[MASK]", "[MASK]".repeat(n / 6)),
        ("digits and dots", "1.".repeat(n / 2)),
        ("sigmas and marks", "Σ\u{301}".repeat(n / 4)),
        ("U+FDFA", "\u{fdfa}".repeat(n / 3)),
        ("U+2581", "\u{2581}".repeat(n / 3)),
        ("emoji", "👩‍👩‍👧‍👦".repeat(n / 25)),
    ];
    let dir = vocab_dir("ernie-3.0-zh");
    let tiny = data().join("vocab/ernie-tiny");
    let ernie_m = ernie_m_dir();
    let json = tempfile::tempdir().unwrap();
    peer(dir.path()).save(json.path().join("tokenizer.json"), false).unwrap();
    let tokenizers = [
        open(dir.path(), Scheme::Ernie),
        open(dir.path(), Scheme::Bert(BertVariant::HfSlow)),
        open(dir.path(), Scheme::Bert(BertVariant::HfFast)),
        open(dir.path(), Scheme::Bert(BertVariant::PaddleNlp)),
        open(&tiny, Scheme::ErnieTiny),
        open(ernie_m.path(), Scheme::ErnieM(ErnieMVariant::PaddleNlp)),
        open(json.path(), Scheme::TokenizerJson),
    ];
    println!("\nms for a megabyte; in brackets: for two megabytes, divided by that for one");
    print!("{:<22} {:>8}", "text", "MB");
    tokenizers.iter().for_each(|tokenizer| print!(" {:>16}", tokenizer.scheme().name()));
    println!();
    for (name, text) in &texts {
        let n_bytes = text.len();
        let twice = vec![format!("{text}{text}")];
        let once = vec![text.clone()];
        print!("{name:<22} {:>8.2}", n_bytes as f64 / 1e6);
        for tokenizer in &tokenizers {
            let run = encode(tokenizer);
            let rounds = |texts: &[String]| (0..3).map(|_| pass(texts, &run)).fold(f64::INFINITY, f64::min);
            let (one, two) = (rounds(&once), rounds(&twice));
            print!(" {:>9.1} ({:>4.1})", one * 1e9 / n_bytes as f64, two / one);
        }
        println!();
    }
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn memory() {
    println!("\nopening: ms, and resident MiB afterwards (what the allocator keeps included)");
    let dir = vocab_dir("ernie-3.0-zh");
    let tiny = data().join("vocab/ernie-tiny");
    let ernie_m = ernie_m_dir();
    for (scheme, dir) in [
        (Scheme::ErnieM(ErnieMVariant::PaddleNlp), ernie_m.path()),
        (Scheme::ErnieTiny, &tiny),
        (Scheme::Ernie, dir.path()),
        (Scheme::Bert(BertVariant::HfSlow), dir.path()),
    ] {
        // A process of its own, so that what the others left is not counted.
        let output = Command::new(std::env::current_exe().unwrap())
            .env("ERNIE_BENCH_OPEN", scheme.name())
            .env("ERNIE_BENCH_DIR", dir)
            .output()
            .unwrap();
        print!("{}", String::from_utf8(output.stdout).unwrap());
    }
}

fn open_alone(scheme: &str) {
    let dir = PathBuf::from(std::env::var_os("ERNIE_BENCH_DIR").unwrap());
    let before = resident_kib();
    let start = Instant::now();
    let tokenizer = open(&dir, Scheme::parse(scheme).unwrap());
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let opened = resident_kib() - before;
    println!("{scheme:<12} {:>7} entries {ms:>8.1} ms {:>8.1} MiB", tokenizer.vocab_size(), opened as f64 / 1024.0);
}

fn main() {
    if let Ok(scheme) = std::env::var("ERNIE_BENCH_OPEN") {
        return open_alone(&scheme);
    }
    if !data().join("vocab").is_dir() {
        println!("no texts: {} is not there (ERNIE_TEST_DATA)", data().display());
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let parts: [(&str, fn()); 4] =
        [("memory", memory), ("crate", beside_the_crate), ("python", beside_python), ("worst", worst)];
    for (name, run) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run();
        }
    }
}
