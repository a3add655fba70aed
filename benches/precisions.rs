//! What a precision costs: the same texts through the same checkpoint as `f32`, `bf16` and `int8`, by turns in one process. Prints tokens a
//! millisecond, the ratio to `f32` in the same round, and how far vectors and labels are from those of `f32`.
//!
//! `cargo bench --bench precisions -- DIRECTORY [TEXTS]`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark reports on standard output")]

mod median;

use std::path::Path;
use std::time::Instant;

use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model};
use median::median;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let dir = arguments.next().unwrap_or_else(|| "models/demo".into());
    let given = arguments.next().map(|path| std::fs::read_to_string(path).unwrap());
    let texts: Vec<String> = match &given {
        Some(lines) => lines.lines().map(str::to_owned).collect(),
        None => (1..65).map(|n| "早餐太差了，无论去多少人，那边也不加食品的。".repeat(n % 9 + 1)).collect(),
    };
    let single: Vec<&str> = vec![texts.iter().max_by_key(|text| text.len()).unwrap()];
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let open = |precision: &str| {
        let mut options = Options::default();
        options.set("precision", precision).unwrap();
        let start = Instant::now();
        let model = Model::open(Path::new(&dir), &options).unwrap();
        println!("{precision}: opened in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
        model
    };
    let models = ["f32", "bf16", "int8"].map(|precision| (precision, open(precision)));
    for (name, texts) in [("one text", &single), ("all texts", &all)] {
        let inputs: Vec<Input<'_>> = texts.iter().map(|text| Input { text, pair: None }).collect();
        let call = Call::default();
        let n_tokens: usize = models[0].1.tokenize(&inputs, &call).unwrap().iter().map(|e| e.input_ids.len()).sum();
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..if n_tokens < 2000 { 15 } else { 3 } {
            for ((_, model), times) in models.iter().zip(&mut times) {
                let start = Instant::now();
                model.infer(&inputs, &call).unwrap();
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        println!("{name}: {} texts, {n_tokens} tokens", inputs.len());
        for ((precision, _), of) in models.iter().zip(&times) {
            let ratios: Vec<f64> = of.iter().zip(&times[0]).map(|(own, f32)| f32 / own).collect();
            let time = median(of.clone());
            println!(
                "  {precision:<5} {time:9.2} ms (least {:.2})  {:6.2} tokens/ms  {:5.2} times f32",
                of.iter().copied().fold(f64::INFINITY, f64::min),
                n_tokens as f64 / time,
                median(ratios)
            );
        }
    }
}
