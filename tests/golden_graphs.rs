//! Exported graphs give what the reference gave: cases `10*_onnx_*` of the reference data, ids exactly and outputs
//! element by element, each text alone and all in one call.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;

use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model};
use ernie::tensor::Tensor;
use safetensors::SafeTensors;
use serde_json::Value;
use support::assert_close;

struct Case {
    expect: Value,
    tensors: Vec<u8>,
    model: Model,
    call: Call,
    atol: f32,
}

impl Case {
    fn open(dir: &Path) -> Self {
        let expect: Value = serde_json::from_slice(&std::fs::read(dir.join("expect.json")).unwrap()).unwrap();
        let model = Model::open(dir, &Options::default()).unwrap_or_else(|e| panic!("{}", e.report()));
        // The limit that the reference really ran with: its longest sequence.
        let lengths = expect["inputs"].as_array().unwrap().iter().map(|i| i["input_ids"].as_array().unwrap().len());
        let max_tokens = lengths.max();
        Self {
            tensors: std::fs::read(dir.join("expect.safetensors")).unwrap(),
            atol: expect["tolerance"]["advised_atol"].as_f64().unwrap() as f32,
            call: Call { max_tokens, with_raw_outputs: true, ..Call::default() },
            model,
            expect,
        }
    }

    fn inputs(&self) -> &[Value] {
        self.expect["inputs"].as_array().unwrap()
    }

    fn wanted(&self, input: &Value, name: &str) -> (Vec<usize>, Vec<f32>) {
        let key = input["outputs"][name]["key"].as_str().unwrap();
        let all = SafeTensors::deserialize(&self.tensors).unwrap();
        let tensor = all.tensor(key).unwrap();
        let floats = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (tensor.shape().to_vec(), floats)
    }

    fn compare(&self, input: &Value, ids: &[i64], outputs: &[Tensor], rtol: f32) -> f32 {
        let id = input["id"].as_str().unwrap();
        let wanted_ids: Vec<i64> = serde_json::from_value(input["input_ids"].clone()).unwrap();
        assert_eq!(ids, wanted_ids, "{id}: input_ids");
        let names = input["outputs"].as_object().unwrap();
        names
            .keys()
            .map(|name| {
                let output = outputs.iter().find(|t| t.name == *name).unwrap_or_else(|| panic!("no output {name}"));
                let (shape, wanted) = self.wanted(input, name);
                assert_eq!(output.shape, shape, "{id}: shape of {name}");
                assert_close(&format!("{id}/{name}"), &output.to_f32().unwrap(), &wanted, self.atol, rtol)
            })
            .fold(0.0, f32::max)
    }
}

fn input(value: &Value) -> Input<'_> {
    Input { text: value["text"].as_str().unwrap(), pair: value["pair"].as_str() }
}

fn check_case(dir: &Path) -> (usize, f32, f32) {
    let case = Case::open(dir);
    let inputs: Vec<Input<'_>> = case.inputs().iter().map(input).collect();
    let batch = case.model.infer(&inputs, &case.call).unwrap();
    let (mut worst_alone, mut worst_together) = (0.0_f32, 0.0_f32);
    for (index, value) in case.inputs().iter().enumerate() {
        let alone = case.model.infer(&inputs[index..=index], &case.call).unwrap_or_else(|e| panic!("{}", e.report()));
        let error = case.compare(value, &alone.encodings[0].input_ids, &alone.raw_outputs[0], 0.0);
        worst_alone = worst_alone.max(error);
        let error = case.compare(value, &batch.encodings[index].input_ids, &batch.raw_outputs[index], 0.0);
        worst_together = worst_together.max(error);
        for (one, other) in alone.raw_outputs[0].iter().zip(&batch.raw_outputs[index]) {
            // Whatever the graph's own precision: its neighbours must not show.
            let what = format!("{}/{} alone and in a batch", value["id"], one.name);
            assert_close(&what, &other.to_f32().unwrap(), &one.to_f32().unwrap(), 2e-6, 0.0);
        }
    }
    (inputs.len(), worst_alone, worst_together)
}

#[test]
fn exported_graphs_give_what_the_reference_gave() {
    let Some(data) = support::reference_data("golden graphs") else { return };
    support::load_runtime();
    let mut dirs: Vec<_> = std::fs::read_dir(data.join("golden")).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.retain(|dir| dir.file_name().unwrap().to_str().unwrap().starts_with("10"));
    dirs.sort();
    assert_eq!(dirs.len(), 8, "cases 10a to 10h");
    println!("{:<30} {:>6} {:>12} {:>12}", "case", "texts", "alone", "in a batch");
    for dir in dirs {
        let (n_texts, alone, together) = check_case(&dir);
        println!("{:<30} {n_texts:>6} {alone:>12.2e} {together:>12.2e}", dir.file_name().unwrap().to_str().unwrap());
    }
}
