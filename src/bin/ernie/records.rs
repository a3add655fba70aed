//! Answers -> JSON objects.

use ernie::pipeline::Output;
use ernie::tensor::{Tensor, TensorData};
use ernie::tokenize::{Encoding, Tokenizer};
use serde_json::{Map, Value, json};

/// The object of `value`, which is one.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Everything about the tokens of a text.
pub(crate) fn tokens(encoding: &Encoding, tokenizer: &Tokenizer) -> Map<String, Value> {
    let names: Vec<Option<String>> = encoding.input_ids.iter().map(|id| tokenizer.token(*id)).collect();
    let offsets: Vec<[usize; 2]> = encoding.offsets.iter().map(|span| [span.begin, span.end]).collect();
    object(json!({
        "tokens": names,
        "input_ids": encoding.input_ids,
        "token_type_ids": encoding.token_type_ids,
        "attention_mask": encoding.attention_mask,
        "offsets": offsets,
        "n_truncated_tokens": encoding.n_truncated_tokens,
    }))
}

/// A text's vector, and its tokens' where they were asked for.
pub(crate) fn vectors(output: &Output, index: usize) -> Map<String, Value> {
    let pooled = output.matrix.as_ref().map(|matrix| matrix.row(index));
    let mut map = object(json!({ "pooled": pooled }));
    if let Some(matrix) = output.token_vectors.get(index) {
        let rows: Vec<&[f32]> = (0..matrix.n_rows).map(|row| matrix.row(row)).collect();
        map.insert("tokens".into(), json!(rows));
    }
    map
}

/// A text's labels, best first.
pub(crate) fn items(output: &Output, index: usize) -> Map<String, Value> {
    let Some(items) = output.items.get(index) else { return Map::new() };
    let list: Vec<Value> =
        items.iter().map(|item| json!({ "id": item.id, "label": item.text, "score": item.score })).collect();
    let best = items.first();
    object(json!({ "label": best.map(|i| &i.text), "score": best.map(|i| i.score), "items": list }))
}

/// Whether the text was cut, and on request its ids and the graph's outputs.
pub(crate) fn add_encoding(map: &mut Map<String, Value>, output: &Output, index: usize, raw: bool) {
    let Some(encoding) = output.encodings.get(index) else { return };
    if encoding.n_truncated_tokens > 0 {
        map.insert("n_truncated_tokens".into(), json!(encoding.n_truncated_tokens));
    }
    if raw {
        map.insert("input_ids".into(), json!(encoding.input_ids));
        map.insert("token_type_ids".into(), json!(encoding.token_type_ids));
        let outputs: Map<String, Value> = output.raw_outputs.get(index).into_iter().flatten().map(tensor).collect();
        map.insert("outputs".into(), Value::Object(outputs));
    }
}

fn tensor(tensor: &Tensor) -> (String, Value) {
    let data = match &tensor.data {
        TensorData::I8(data) => json!(data),
        TensorData::I16(data) => json!(data),
        TensorData::I32(data) => json!(data),
        TensorData::I64(data) => json!(data),
        TensorData::U8(data) => json!(data),
        TensorData::U16(data) => json!(data),
        TensorData::U32(data) => json!(data),
        TensorData::U64(data) => json!(data),
        TensorData::Bool(data) => json!(data),
        TensorData::String(data) => json!(data),
        TensorData::F64(data) => json!(data),
        _ => json!(tensor.to_f32()),
    };
    (tensor.name.clone(), json!({ "shape": tensor.shape, "data": data }))
}
