//! How texts were tokenized, and what the graph gave for them.

use ernie::pipeline::Output;
use ernie::tensor::{Tensor, TensorData};
use ernie::tokenize::{Encoding, Tokenizer};

use super::Object;

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
pub(crate) fn windows(windows: &[Encoding], tokenizer: &Tokenizer) -> Object {
    let windows: Vec<Object> = windows.iter().map(|encoding| tokens(encoding, tokenizer)).collect();
    Object::default().with("n_windows", &windows.len()).with("windows", &windows)
}

/// Whether the text was cut; what is given in windows is not.
pub(crate) fn is_cut(output: &Output, index: usize) -> bool {
    let first = output.encodings.partition_point(|encoding| encoding.input < index);
    output.encodings.get(first).is_some_and(|encoding| encoding.n_truncated_tokens() > 0)
}

/// Whether the text was cut, and on request its ids and the graph's outputs, of several windows each window's.
pub(crate) fn add_encodings(object: Object, output: &Output, index: usize, raw: bool) -> Object {
    let begin = output.encodings.partition_point(|encoding| encoding.input < index);
    let end = output.encodings.partition_point(|encoding| encoding.input <= index);
    let Some(first) = output.encodings[begin..end].first() else { return object };
    let object = match first.n_truncated_tokens() {
        0 => object,
        n => object.with("n_truncated_tokens", &n),
    };
    if !raw {
        return object;
    }
    let mut windows: Vec<Object> = (begin..end).map(|encoding| raw_outputs(output, encoding)).collect();
    match windows.len() {
        1 => object.followed_by(windows.remove(0)),
        _ => object.with("windows", &windows),
    }
}

fn raw_outputs(output: &Output, encoding: usize) -> Object {
    let tensors = output.raw_outputs.get(encoding).into_iter().flatten();
    let outputs = tensors.fold(Object::default(), |all, tensor| all.with(&tensor.name, &tensor_object(tensor)));
    let encoding = &output.encodings[encoding];
    Object::default()
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
