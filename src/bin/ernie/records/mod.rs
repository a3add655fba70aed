//! Answers -> JSON objects. Numbers are written from their own type, so that an `f32` has no more digits than it needs.

mod encodings;
mod found;
mod tasks;

pub(crate) use encodings::{add_encodings, is_cut, tokens, windows};
pub(crate) use tasks::{answer, ranking, written};

use ernie::pipeline::{Output, VectorType};
use half::f16;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON object whose keys stay in order.
#[derive(Default)]
pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// An object that begins with the name that a line has for itself.
    pub(crate) fn named(id: Option<&RawValue>) -> Self {
        Self(id.map(|id| ("id".to_owned(), id.to_owned())).into_iter().collect())
    }

    /// Adds all fields of another.
    pub(crate) fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Adds a field; values that JSON cannot write become `null`.
    pub(crate) fn with(mut self, key: &str, value: &impl Serialize) -> Self {
        let raw = serde_json::value::to_raw_value(value);
        self.0.push((key.to_owned(), raw.unwrap_or_else(|_| RawValue::NULL.to_owned())));
        self
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// What is wrong with a text of a call; its line says which text it is.
pub(crate) fn error_of(output: &Output, index: usize) -> Option<String> {
    let reason = output.errors.get(index)?.as_ref()?.report();
    Some(reason.strip_prefix(&format!("input {index}: ")).map_or_else(|| reason.clone(), ToOwned::to_owned))
}

/// A text's vector, and its tokens' where they were asked for; integers with what they are to be multiplied by.
pub(crate) fn vectors(output: &Output, index: usize, vector_type: VectorType) -> Object {
    let pooled = output.matrix.as_ref().map(|matrix| matrix.row(index)).unwrap_or_default();
    let tokens = output.token_vectors.get(index);
    let rows = |matrix: &'_ ernie::tensor::Matrix| (0..matrix.n_rows).map(|row| matrix.row(row).to_vec()).collect();
    let rows: Option<Vec<Vec<f32>>> = tokens.map(rows);
    match vector_type {
        VectorType::I8 => {
            let (pooled, scale) = integers(pooled);
            let object = Object::default().with("pooled", &pooled).with("scale", &scale);
            let Some(rows) = rows else { return object };
            let (rows, scales): (Vec<Vec<i8>>, Vec<f32>) = rows.iter().map(|row| integers(row)).unzip();
            object.with("token_vectors", &rows).with("token_scales", &scales)
        }
        other => {
            let rounded = |row: &[f32]| -> Vec<f32> {
                let round = |x: &f32| if other == VectorType::F16 { f16::from_f32(*x).to_f32() } else { *x };
                row.iter().map(round).collect()
            };
            let object = Object::default().with("pooled", &rounded(pooled));
            let Some(rows) = rows else { return object };
            let rows: Vec<Vec<f32>> = rows.iter().map(|row| rounded(row)).collect();
            object.with("token_vectors", &rows)
        }
    }
}

fn integers(vector: &[f32]) -> (Vec<i8>, f32) {
    let mut bytes = Vec::with_capacity(vector.len());
    let scale = VectorType::I8.store(vector, &mut bytes);
    (bytes.into_iter().map(|byte| i8::from_ne_bytes([byte])).collect(), scale)
}
