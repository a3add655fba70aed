//! What it costs to open a checkpoint of ERNIE's base size (12 layers, 768 hidden, random weights, about 400 MB): time and
//! peak memory beside reading the file once and creating a session, for a Paddle pickle, safetensors and a bundle; and what
//! four models of one file take together. `unpacked` is the bundle with option `prepacking` = `off`.
//!
//! `cargo bench --bench open_model`. Every figure comes from a process of its own, by turns; the median of seven is
//! printed. Nothing here is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking"
)]

mod median;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ernie::options::Options;
use ernie::pipeline::export::{GraphKind, export};
use ernie::pipeline::{Call, Input, Model};
use median::median;

const HIDDEN: usize = 768;
const LAYERS: usize = 12;
const VOCAB: usize = 18_000;
const ROUNDS: usize = 7;

/// Names of paddle-ernie and of Hugging Face, and the shape as Paddle stores it.
fn tensors() -> Vec<(String, String, Vec<usize>)> {
    let mut all = Vec::new();
    let mut push = |paddle: String, torch: String, shape: &[usize]| all.push((paddle, torch, shape.to_vec()));
    for (paddle, torch, rows) in [("word", "word", VOCAB), ("pos", "position", 513), ("sent", "token_type", 2)] {
        push(format!("{paddle}_emb.weight"), format!("embeddings.{torch}_embeddings.weight"), &[rows, HIDDEN]);
    }
    let mut pair = |paddle: &str, torch: &str, shape: &[usize]| {
        push(format!("{paddle}.weight"), format!("{torch}.weight"), shape);
        push(format!("{paddle}.bias"), format!("{torch}.bias"), &shape[shape.len() - 1..]);
    };
    pair("ln", "embeddings.LayerNorm", &[HIDDEN]);
    for i in 0..LAYERS {
        let (paddle, torch) = (format!("encoder_stack.block.{i}"), format!("encoder.layer.{i}"));
        for (a, b, shape) in [
            ("attn.q", "attention.self.query", &[HIDDEN, HIDDEN][..]),
            ("attn.k", "attention.self.key", &[HIDDEN, HIDDEN]),
            ("attn.v", "attention.self.value", &[HIDDEN, HIDDEN]),
            ("attn.o", "attention.output.dense", &[HIDDEN, HIDDEN]),
            ("ln1", "attention.output.LayerNorm", &[HIDDEN]),
            ("ffn.i", "intermediate.dense", &[HIDDEN, 4 * HIDDEN]),
            ("ffn.o", "output.dense", &[4 * HIDDEN, HIDDEN]),
            ("ln2", "output.LayerNorm", &[HIDDEN]),
        ] {
            pair(&format!("{paddle}.{a}"), &format!("{torch}.{b}"), shape);
        }
    }
    pair("pooler", "pooler.dense", &[HIDDEN, HIDDEN]);
    all
}

/// Bytes of random numbers between -0.05 and 0.05.
fn random(n: usize, state: &mut u64) -> Vec<u8> {
    (0..n)
        .flat_map(|_| {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            ((*state >> 40) as f32 / (1 << 24) as f32 * 0.1 - 0.05).to_le_bytes()
        })
        .collect()
}

/// A dict of arrays in protocol 4, as Paddle writes it.
fn write_pdparams(path: &Path) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut put = |bytes: &[u8]| file.write_all(bytes).unwrap();
    let text = |text: &str| [&[0x8C, text.len() as u8], text.as_bytes()].concat();
    put(b"\x80\x04}(");
    let mut state = 1;
    for (name, _, shape) in tensors() {
        put(&text(&name));
        put(&[text("numpy.core.multiarray"), text("_reconstruct"), b"\x93".to_vec()].concat());
        put(&[text("numpy"), text("ndarray"), b"\x93K\x00\x85C\x01b\x87R".to_vec()].concat());
        put(b"(K\x01");
        shape.iter().for_each(|n| put(&[b"J", &(*n as i32).to_le_bytes()[..]].concat()));
        put(if shape.len() == 2 { b"\x86" } else { b"\x85" });
        put(&[text("numpy"), text("dtype"), b"\x93".to_vec(), text("f4"), b"\x89\x88\x87R".to_vec()].concat());
        put(b"(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89B");
        let data = random(shape.iter().product(), &mut state);
        put(&(data.len() as u32).to_le_bytes());
        put(&data);
        put(b"tb");
    }
    put(b"u.");
}

/// The same in protocol 2, where bytes are text: each from 0x80 on takes two.
fn write_protocol_2(path: &Path) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut put = |bytes: &[u8]| file.write_all(bytes).unwrap();
    let text = |text: &[u8]| [b"X", &(text.len() as u32).to_le_bytes()[..], text].concat();
    put(b"\x80\x02}(");
    let mut state = 1;
    for (name, _, shape) in tensors() {
        put(&text(name.as_bytes()));
        put(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01");
        shape.iter().for_each(|n| put(&[b"J", &(*n as i32).to_le_bytes()[..]].concat()));
        put(if shape.len() == 2 { b"\x86" } else { b"\x85" });
        put(b"cnumpy\ndtype\nU\x02f4\x89\x88\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89c_codecs\nencode\n");
        let data: String = random(shape.iter().product(), &mut state).into_iter().map(char::from).collect();
        put(&text(data.as_bytes()));
        put(&[&text(b"latin1")[..], b"\x86Rtb"].concat());
    }
    put(b"u.");
}

fn write_safetensors(path: &Path) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (_, name, shape) in tensors() {
        let begin = end;
        end += shape.iter().product::<usize>() * 4;
        let shape: Vec<usize> = shape.into_iter().rev().collect();
        // Embeddings lie the same way everywhere.
        let shape = if name.contains("embeddings.weight") { shape.into_iter().rev().collect() } else { shape };
        header.insert(name, serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}));
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    let mut state = 1;
    for (_, _, shape) in tensors() {
        file.write_all(&random(shape.iter().product(), &mut state)).unwrap();
    }
}

fn make(root: &Path) {
    let (paddle, torch, bundle) = (root.join("paddle"), root.join("torch"), root.join("bundle"));
    let vocab: String = (0..VOCAB)
        .map(|id| {
            ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
                .get(id)
                .map_or_else(|| format!("t{id}\n"), |t| format!("{t}\n"))
        })
        .collect();
    for dir in [&paddle, &torch] {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("vocab.txt"), &vocab).unwrap();
    }
    let sizes = serde_json::json!({"hidden_act": "gelu", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 12,
        "vocab_size": VOCAB, "max_position_embeddings": 513, "type_vocab_size": 2, "model_type": "ernie"});
    std::fs::write(paddle.join("ernie_config.json"), sizes.to_string()).unwrap();
    std::fs::write(torch.join("config.json"), sizes.to_string()).unwrap();
    write_pdparams(&paddle.join("saved_weights.pdparams"));
    let protocol_2 = root.join("protocol 2");
    std::fs::create_dir_all(&protocol_2).unwrap();
    for name in ["ernie_config.json", "vocab.txt"] {
        std::fs::copy(paddle.join(name), protocol_2.join(name)).unwrap();
    }
    write_protocol_2(&protocol_2.join("saved_weights.pdparams"));
    write_safetensors(&torch.join("model.safetensors"));
    export(&paddle, &bundle, &Options::default(), GraphKind::Own).unwrap_or_else(|e| panic!("{}", e.report()));
    std::os::unix::fs::symlink(&bundle, root.join("unpacked")).unwrap();
}

fn status(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Opens a model; `prepacking` is off for directories that are named so.
fn open(dir: &Path) -> Model {
    let mut options = Options::default();
    if dir.ends_with("unpacked") {
        options.set("prepacking", "off").unwrap();
    }
    Model::open(dir, &options).unwrap_or_else(|e| panic!("{}", e.report()))
}

/// One measurement: seconds, peak MiB, MiB at the end.
fn measure(what: &str, dir: &Path) -> (f64, f64, f64) {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/runtime");
    let load = || ernie::runtime::load(&runtime).unwrap();
    let base = |load: &dyn Fn()| {
        load();
        status("VmRSS")
    };
    let mut kept = Vec::new();
    let mut seconds = 0.0;
    let start = base(&load);
    match what {
        "read" => {
            let names = ["saved_weights.pdparams", "model.safetensors"];
            let file = names.iter().map(|name| dir.join(name)).find(|path| path.is_file()).unwrap();
            let begin = Instant::now();
            let bytes = std::fs::read(file).unwrap();
            seconds = begin.elapsed().as_secs_f64();
            assert!(bytes.len() > 1 << 28);
        }
        "open" => {
            let begin = Instant::now();
            kept.push(open(dir));
            seconds = begin.elapsed().as_secs_f64();
        }
        // The weights are there already: what is left is the session, and small files.
        "session" => {
            kept.push(open(dir));
            let begin = Instant::now();
            kept.push(open(dir));
            seconds = begin.elapsed().as_secs_f64();
        }
        "four" => kept.extend((0..4).map(|_| open(dir))),
        other => panic!("{other}"),
    }
    let call = Call::default();
    for model in &kept {
        model.encode(&[Input { text: "t9 t10 t11", pair: None }], &call).unwrap();
    }
    (seconds, status("VmHWM") - start, status("VmRSS") - start)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, what, dir] = arguments.as_slice()
        && mode == "child"
    {
        let (seconds, peak, rest) = measure(what, Path::new(dir));
        println!("{seconds} {peak} {rest}");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let size =
        std::fs::metadata(root.path().join("torch/model.safetensors")).unwrap().len() as f64 / f64::from(1 << 20);
    println!("weights: {size:.0} MiB; medians of {ROUNDS}; memory above that of a process with the runtime loaded");
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>7} {:>10} {:>9} {:>11}",
        "format", "read ms", "session", "open ms", "ratio", "peak MiB", "x weights", "4 models MiB"
    );
    for format in ["paddle", "protocol 2", "torch", "bundle", "unpacked"] {
        let dir = root.path().join(format);
        let mut results: Vec<Vec<(f64, f64, f64)>> = vec![Vec::new(); 4];
        for _ in 0..ROUNDS {
            for (slot, what) in results.iter_mut().zip(["read", "session", "open", "four"]) {
                let output = Command::new(&arguments[0]).args(["child", what, dir.to_str().unwrap()]).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                let text = String::from_utf8(output.stdout).unwrap();
                let numbers: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
                slot.push((numbers[0] * 1e3, numbers[1], numbers[2]));
            }
        }
        let of = |slot: usize, part: fn(&(f64, f64, f64)) -> f64| median(results[slot].iter().map(part).collect());
        let (read, session, opened) = (of(0, |r| r.0), of(1, |r| r.0), of(2, |r| r.0));
        let (peak, four) = (of(2, |r| r.1), of(3, |r| r.2));
        println!(
            "{format:<10} {read:>9.0} {session:>9.0} {opened:>9.0} {:>7.2} {peak:>10.0} {:>9.2} {four:>11.0}",
            opened / (read + session),
            peak / size
        );
    }
}
