//! Answers -> JSON objects. Numbers are written from their own type, so that an `f32` has no more digits than it needs.

use ernie::pipeline::Output;
use ernie::tensor::{Tensor, TensorData};
use ernie::tokenize::{Encoding, Tokenizer};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON object whose keys stay in order.
#[derive(Default)]
pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
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

/// Everything about the tokens of a text.
pub(crate) fn tokens(encoding: &Encoding, tokenizer: &Tokenizer) -> Object {
    let names: Vec<Option<String>> = encoding.input_ids.iter().map(|id| tokenizer.token(*id)).collect();
    let offsets: Vec<[usize; 2]> = encoding.offsets.iter().map(|span| [span.begin, span.end]).collect();
    let object = Object::default()
        .with("tokens", &names)
        .with("input_ids", &encoding.input_ids)
        .with("token_type_ids", &encoding.token_type_ids)
        .with("attention_mask", &encoding.attention_mask)
        .with("offsets", &offsets)
        .with("sequence", &encoding.sequence)
        .with("n_truncated_tokens", &encoding.n_truncated_tokens());
    let [text, pair] = encoding.truncated;
    [("truncated_text", text), ("truncated_pair", pair)]
        .into_iter()
        .filter(|(_, truncated)| truncated.n_tokens > 0)
        .fold(object, |object, (key, truncated)| object.with(key, &[truncated.span.begin, truncated.span.end]))
}

/// The same for each window of a text.
pub(crate) fn windows<'a>(windows: impl Iterator<Item = &'a Encoding>, tokenizer: &Tokenizer) -> Object {
    let windows: Vec<Object> = windows.map(|encoding| tokens(encoding, tokenizer)).collect();
    Object::default().with("n_windows", &windows.len()).with("windows", &windows)
}

/// A text's vector, and its tokens' where they were asked for.
pub(crate) fn vectors(output: &Output, index: usize) -> Object {
    let object = Object::default().with("pooled", &output.matrix.as_ref().map(|matrix| matrix.row(index)));
    match output.token_vectors.get(index) {
        Some(matrix) => {
            let rows: Vec<&[f32]> = (0..matrix.n_rows).map(|row| matrix.row(row)).collect();
            object.with("token_vectors", &rows)
        }
        None => object,
    }
}

/// A text's labels, best first.
pub(crate) fn items(output: &Output, index: usize) -> Object {
    let Some(items) = output.items.get(index) else { return Object::default() };
    let list: Vec<Object> = items
        .iter()
        .map(|item| Object::default().with("id", &item.id).with("label", &item.text).with("score", &item.score))
        .collect();
    let best = items.first();
    // A label without a name is known by its id.
    let start = match best {
        Some(item) if item.text.is_empty() => Object::default().with("id", &item.id),
        _ => Object::default(),
    };
    start.with("label", &best.map(|item| &item.text)).with("score", &best.map(|item| item.score)).with("items", &list)
}

/// Whether the text was cut, and on request its ids and the graph's outputs.
pub(crate) fn add_encoding(object: Object, output: &Output, index: usize, raw: bool) -> Object {
    let Some(encoding) = output.encodings.get(index) else { return object };
    let object = match encoding.n_truncated_tokens() {
        0 => object,
        n => object.with("n_truncated_tokens", &n),
    };
    if !raw {
        return object;
    }
    let tensors = output.raw_outputs.get(index).into_iter().flatten();
    let outputs = tensors.fold(Object::default(), |all, tensor| all.with(&tensor.name, &tensor_object(tensor)));
    object
        .with("input_ids", &encoding.input_ids)
        .with("token_type_ids", &encoding.token_type_ids)
        .with("outputs", &outputs)
}

fn tensor_object(tensor: &Tensor) -> Object {
    let object = Object::default().with("shape", &tensor.shape);
    match &tensor.data {
        TensorData::I8(data) => object.with("data", data),
        TensorData::I16(data) => object.with("data", data),
        TensorData::I32(data) => object.with("data", data),
        TensorData::I64(data) => object.with("data", data),
        TensorData::U8(data) => object.with("data", data),
        TensorData::U16(data) => object.with("data", data),
        TensorData::U32(data) => object.with("data", data),
        TensorData::U64(data) => object.with("data", data),
        TensorData::Bool(data) => object.with("data", data),
        TensorData::String(data) => object.with("data", data),
        TensorData::F64(data) => object.with("data", data),
        _ => object.with("data", &tensor.to_f32()),
    }
}
