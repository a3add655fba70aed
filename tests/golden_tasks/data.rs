//! A folder of reference data.

use std::io::Write;
use std::path::{Path, PathBuf};

use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model, Output};
use safetensors::SafeTensors;
use serde_json::Value;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) expect: Value,
    tensors: Vec<u8>,
}

impl Case {
    pub(crate) fn open(golden: &Path, name: &str) -> Self {
        let dir = golden.join(name);
        let read = |file: &str| std::fs::read(dir.join(file)).unwrap();
        let expect = serde_json::from_slice(&read("expect.json")).unwrap();
        Self { name: name.to_owned(), tensors: read("expect.safetensors"), expect, dir }
    }

    /// The model in the folder `sub`, with fine-tuned weights where they lie apart.
    pub(crate) fn model(&self, sub: &str, options: &[(&str, &str)]) -> Model {
        let mut all = Options::default();
        let weights = self.dir.join("save_dir/ckpt.bin");
        if weights.is_file() {
            all.set("weights", weights.to_str().unwrap()).unwrap();
        }
        options.iter().for_each(|(key, value)| all.set(key, value).unwrap());
        Model::open(&self.dir.join(sub), &all).unwrap_or_else(|e| panic!("{}: {}", self.name, e.report()))
    }

    pub(crate) fn inputs(&self) -> &Vec<Value> {
        self.expect["inputs"].as_array().unwrap()
    }

    pub(crate) fn size(&self, key: &str) -> usize {
        self.expect[key].as_u64().unwrap() as usize
    }

    pub(crate) fn atol(&self) -> f32 {
        self.expect["tolerance"]["advised_atol"].as_f64().unwrap() as f32
    }

    pub(crate) fn tensor(&self, entry: &Value) -> (Vec<usize>, Vec<f32>) {
        let all = SafeTensors::deserialize(&self.tensors).unwrap();
        let tensor = all.tensor(entry["key"].as_str().unwrap()).unwrap();
        let data = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (tensor.shape().to_vec(), data)
    }

    pub(crate) fn says(&self, n_compared: usize, what: &str) {
        assert!(n_compared > 0, "{}: nothing was compared", self.name);
        // Written directly: what a passing test prints through the macros is not shown.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "{:<36} {n_compared:>5} equal: {what}", self.name).unwrap();
    }
}

/// The rows of a tensor.
pub(crate) fn rows(data: &[f32], width: usize) -> Vec<&[f32]> {
    data.chunks_exact(width).collect()
}

pub(crate) fn text<'a>(input: &'a Value, key: &str) -> Option<&'a str> {
    input[key].as_str()
}

pub(crate) fn input(value: &Value) -> Input<'_> {
    Input { text: text(value, "text").unwrap(), pair: text(value, "pair") }
}

/// All inputs in one call; every one alone must give the same.
pub(crate) fn infer(model: &Model, inputs: &[Input<'_>], call: &Call) -> Output {
    let together = model.infer(inputs, call).unwrap_or_else(|e| panic!("{}", e.report()));
    for (index, input) in inputs.iter().enumerate() {
        let alone = model.infer(&[*input], call).unwrap();
        assert_eq!(alone.items[0], together.items[index], "input {index} alone and in a batch");
    }
    together
}

/// `|a - b| <= atol + rtol |b|`, by the file's own tolerance.
pub(crate) fn near(a: f32, b: f32, atol: f32) -> bool {
    (a - b).abs() <= atol + 1e-4 * b.abs()
}

pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(x - most).exp()).collect();
    exps.iter().map(|e| (e / exps.iter().sum::<f64>()) as f32).collect()
}

/// Byte offsets of code points, the end included.
pub(crate) fn bytes_of(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}
