//! Many callers with one question each beside the same questions in one call, by turns in one process: texts a second, how long a
//! call takes at the median and for the slowest in a hundred, the ratio to the throughput of the one call, and how many of the
//! texts shared a run with another caller's.
//!
//! `cargo bench --bench concurrency -- [DIRECTORY ...]`, by default the demo model. Questions are those of LCQMC where the reference
//! data is there, else a few that stand here. `ERNIE_BENCH_OPTIONS=key=value,...` opens the models with options. Medians of rounds; nothing here is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking"
)]

mod median;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ernie::options::{Options, Task};
use ernie::pipeline::{Call, Input, Model};
use median::median;

const ROUNDS: usize = 3;
const CALLERS: [usize; 4] = [1, 4, 16, 64];
/// How long each measurement takes at least.
const TIME: Duration = Duration::from_secs(3);
/// Texts of the one call at most.
const N_TEXTS: usize = 256;

const QUESTIONS: [&str; 8] = [
    "开初婚未育证明怎么弄？",
    "谁知道她是网络美女吗？",
    "人和畜生的区别是什么？",
    "这种图片是用什么软件制作的？",
    "怎样才知道房间干净不干净",
    "手机为什么会发热",
    "这本书在哪里能买到啊？",
    "早餐吃什么好",
];

fn questions(root: &Path) -> Vec<String> {
    let data = std::env::var_os("ERNIE_TEST_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let file = data.join("datasets/lcqmc/dev.txt");
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let found: Vec<String> = found.lines().filter_map(|line| line.split('\t').next()).map(ToOwned::to_owned).collect();
    let own = || QUESTIONS.iter().map(|question| (*question).to_owned());
    let mut questions = if found.is_empty() { own().cycle().take(256).collect() } else { found };
    questions.truncate(N_TEXTS);
    questions
}

fn open(dir: &Path) -> Model {
    let mut options = Options::default();
    let said = std::env::var("ERNIE_BENCH_OPTIONS").unwrap_or_default();
    for (key, value) in said.split(',').filter_map(|option| option.split_once('=')) {
        options.set(key, value).unwrap();
    }
    Model::open(dir, &options).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn answer(model: &Model, texts: &[Input<'_>]) {
    let call = Call::default();
    let output = match model.task() {
        Task::SequenceClassification => model.infer(texts, &call),
        _ => model.encode(texts, &call),
    };
    output.unwrap();
}

/// What a number of callers got.
#[derive(Default)]
struct Measured {
    texts_a_second: f64,
    latencies_ms: Vec<f64>,
    shared: f64,
}

/// All texts in one call.
fn together(model: &Model, texts: &[Input<'_>]) -> f64 {
    let (begun, mut n) = (Instant::now(), 0);
    while begun.elapsed() < TIME {
        answer(model, texts);
        n += texts.len();
    }
    n as f64 / begun.elapsed().as_secs_f64()
}

/// One text a call, from so many threads.
fn apart(model: &Model, texts: &[Input<'_>], n_callers: usize) -> Measured {
    let next = AtomicUsize::new(0);
    let (before, begun) = (model.stats(), Instant::now());
    let caller = || {
        let mut latencies = Vec::new();
        while begun.elapsed() < TIME {
            let text = texts[next.fetch_add(1, Ordering::Relaxed) % texts.len()];
            let begun = Instant::now();
            answer(model, &[text]);
            latencies.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        latencies
    };
    let latencies_ms: Vec<f64> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..n_callers).map(|_| scope.spawn(caller)).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let (seconds, after) = (begun.elapsed().as_secs_f64(), model.stats());
    let shared = (after.n_joined_texts - before.n_joined_texts) as f64 / (after.n_texts - before.n_texts) as f64;
    Measured { texts_a_second: latencies_ms.len() as f64 / seconds, latencies_ms, shared }
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

fn measure(dir: &Path, questions: &[String]) {
    let model = open(dir);
    let texts: Vec<Input<'_>> = questions.iter().map(|text| Input { text, pair: None }).collect();
    answer(&model, &texts[..texts.len().min(64)]);
    let mut offline = Vec::new();
    let mut rounds: Vec<Vec<Measured>> = CALLERS.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        offline.push(together(&model, &texts));
        for (n_callers, rounds) in CALLERS.into_iter().zip(&mut rounds) {
            rounds.push(apart(&model, &texts, n_callers));
        }
    }
    let offline = median(offline);
    println!("{}: {} questions, {} tokens each", dir.display(), texts.len(), {
        let stats = model.stats();
        stats.n_tokens / stats.n_texts.max(1)
    });
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>14} {:>8}",
        "callers", "texts/s", "p50 ms", "p99 ms", "of one call", "shared"
    );
    println!("{:<10} {offline:>9.1} {:>9} {:>9} {:>14} {:>8}", "one call", "", "", "100.0 %", "");
    for (n_callers, rounds) in CALLERS.into_iter().zip(rounds) {
        let throughput = median(rounds.iter().map(|round| round.texts_a_second).collect());
        let shared = median(rounds.iter().map(|round| round.shared).collect());
        let mut latencies: Vec<f64> = rounds.into_iter().flat_map(|round| round.latencies_ms).collect();
        latencies.sort_by(f64::total_cmp);
        let (p50, p99) = (percentile(&latencies, 0.5), percentile(&latencies, 0.99));
        let (ratio, shared) = (throughput / offline * 100.0, shared * 100.0);
        println!("{n_callers:<10} {throughput:>9.1} {p50:>9.2} {p99:>9.2} {ratio:>12.1} % {shared:>6.0} %");
    }
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("ERNIE_ORT_PATH").is_none() {
        ernie::runtime::load(&root.join("build/runtime")).unwrap();
    }
    let mut directories: Vec<PathBuf> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).map(PathBuf::from).collect();
    if directories.is_empty() {
        directories.push(root.join("models/demo"));
    }
    let questions = questions(root);
    directories.iter().for_each(|dir| measure(dir, &questions));
}
