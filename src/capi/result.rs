//! `ernie_result`: what a call gave. Immutable and owned by the caller.

use std::ffi::c_char;

use super::boundary::{self, fallible, infallible};
use super::input::ernie_str;
use super::status::ernie_status;
use super::tensor::{OutputTensor, ernie_tensor};
use crate::error::{Error, Result};
use crate::pipeline::{Item, Output};
use crate::tensor::Matrix;
use crate::tokenize::Encoding;

/// One finding: a label with its score and, where it lies in the text, its place.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_item {
    /// The label's id.
    pub id: i64,
    /// Probability, or the raw value of a regression.
    pub score: f32,
    /// Always 0.
    pub reserved: u32,
    /// The label's name; empty where the model has no names.
    pub text: ernie_str,
    /// First byte in the caller's text.
    pub begin: usize,
    /// One past the last byte in the caller's text; equal to `begin` where the item has no place.
    pub end: usize,
}

/// Rows of floats, one after another.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_matrix {
    /// `n_rows * n_columns` values; not NULL.
    pub data: *const f32,
    /// The number of rows.
    pub n_rows: usize,
    /// The number of columns.
    pub n_columns: usize,
}

/// What a call gave. Immutable: any number of threads may read it. What its functions point to lives as long as it.
#[derive(Debug)]
pub struct ernie_result {
    pub(super) n_inputs: usize,
    pub(super) encodings: Vec<Encoding>,
    items: Vec<Vec<ernie_item>>,
    matrix: Option<Matrix>,
    token_vectors: Vec<Matrix>,
    tensors: Vec<Vec<OutputTensor>>,
    texts: Vec<ernie_str>,
    /// The bytes that items and texts point to, each NUL-terminated.
    _strings: Vec<Box<[u8]>>,
}

impl ernie_result {
    /// A handle that C owns.
    pub(super) fn into_raw(n_inputs: usize, output: Output) -> *mut Self {
        let mut strings = Strings::default();
        let items = output.items.iter().map(|items| items.iter().map(|item| strings.item(item)).collect()).collect();
        Box::into_raw(Box::new(Self {
            n_inputs,
            encodings: output.encodings,
            items,
            matrix: output.matrix,
            token_vectors: output.token_vectors,
            tensors: output.raw_outputs.into_iter().map(|t| t.into_iter().map(OutputTensor::new).collect()).collect(),
            texts: Vec::new(),
            _strings: strings.bytes,
        }))
    }

    /// A handle of a result that is texts.
    pub(super) fn from_texts(texts: &[String]) -> *mut Self {
        let mut strings = Strings::default();
        let texts: Vec<ernie_str> = texts.iter().map(|text| strings.add(text)).collect();
        Box::into_raw(Box::new(Self {
            n_inputs: texts.len(),
            encodings: Vec::new(),
            items: Vec::new(),
            matrix: None,
            token_vectors: Vec::new(),
            tensors: Vec::new(),
            texts,
            _strings: strings.bytes,
        }))
    }
}

/// Texts with a NUL byte after each, which stay where they are.
#[derive(Default)]
struct Strings {
    bytes: Vec<Box<[u8]>>,
    last: Vec<(String, ernie_str)>,
}

impl Strings {
    fn add(&mut self, text: &str) -> ernie_str {
        if text.is_empty() {
            return ernie_str::EMPTY;
        }
        let bytes: Box<[u8]> = text.bytes().chain([0]).collect();
        let view = ernie_str { data: bytes.as_ptr().cast::<c_char>(), len: text.len() };
        self.bytes.push(bytes);
        view
    }

    /// The same few label names come again and again: each is stored once.
    fn label(&mut self, id: i64, text: &str) -> ernie_str {
        let slot = usize::try_from(id).unwrap_or(usize::MAX);
        match self.last.get(slot) {
            Some((known, view)) if known == text => *view,
            _ => {
                let view = self.add(text);
                if slot < 4096 {
                    self.last.resize(self.last.len().max(slot + 1), (String::new(), ernie_str::EMPTY));
                    self.last[slot] = (text.to_owned(), view);
                }
                view
            }
        }
    }

    fn item(&mut self, item: &Item) -> ernie_item {
        ernie_item {
            id: item.id,
            score: item.score,
            reserved: 0,
            text: self.label(item.id, &item.text),
            begin: item.begin,
            end: item.end,
        }
    }
}

pub(super) fn entry<'a, T>(list: &'a [T], index: usize, n_inputs: usize, what: &str) -> Result<&'a T> {
    if index >= n_inputs {
        return Err(Error::argument(format!("index is {index}, the result has {n_inputs} entries")));
    }
    list.get(index).ok_or_else(|| Error::argument(format!("the result has no {what}")))
}

fn view(matrix: &Matrix) -> ernie_matrix {
    ernie_matrix { data: matrix.data.as_ptr(), n_rows: matrix.n_rows, n_columns: matrix.n_columns }
}

/// The number of entries: one for each input that the call was given, or for each window where `ernie_tokenizer_encode` was
/// asked for them, or for each token of `ernie_tokenizer_tokens`; 1 for tensors and decoded text, 0 for NULL.
///
/// # Safety
/// - `result` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_count(result: *const ernie_result) -> usize {
    // SAFETY: the caller's obligation.
    infallible(0, || unsafe { result.as_ref() }.map_or(0, |result| result.n_inputs))
}

/// The findings of input `index`, best first: `items` receives an array of `n_items`.
///
/// Errors: `INVALID_ARGUMENT` (NULL, no such input, or the call gives none).
///
/// # Safety
/// - `result` is NULL or live; `items` and `n_items` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_items(
    result: *const ernie_result,
    index: usize,
    items: *mut *const ernie_item,
    n_items: *mut usize,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (result, items, n_items) = unsafe {
            (boundary::handle(result, "result")?, boundary::out(items, "items")?, boundary::out(n_items, "n_items")?)
        };
        let found = entry(&result.items, index, result.n_inputs, "items")?;
        items.write(found.as_ptr());
        n_items.write(found.len());
        Ok(())
    })
}

/// A row for each input: vectors of `ernie_encode`, logits of `ernie_infer`.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or the call gives no matrix).
///
/// # Safety
/// - `result` is NULL or live; `matrix` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_matrix(
    result: *const ernie_result,
    matrix: *mut ernie_matrix,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (result, out) = unsafe { (boundary::handle(result, "result")?, boundary::out(matrix, "matrix")?) };
        let found = result.matrix.as_ref().ok_or_else(|| Error::argument("the result has no matrix"))?;
        out.write(view(found));
        Ok(())
    })
}

/// The vectors of the tokens of input `index`, special tokens included: `[n_tokens, hidden_size]`.
///
/// Errors: `INVALID_ARGUMENT` (NULL, no such input, or the call was made without `ERNIE_OUTPUT_TOKENS`).
///
/// # Safety
/// - `result` is NULL or live; `matrix` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_token_matrix(
    result: *const ernie_result,
    index: usize,
    matrix: *mut ernie_matrix,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (result, out) = unsafe { (boundary::handle(result, "result")?, boundary::out(matrix, "matrix")?) };
        out.write(view(entry(&result.token_vectors, index, result.n_inputs, "token vectors")?));
        Ok(())
    })
}

/// The number of tensors of entry `index`: 0 for the only entry of `ernie_infer_tensors`, else the input of a call
/// with `ERNIE_OUTPUT_RAW`. 0 where there are none.
///
/// # Safety
/// - `result` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_tensor_count(result: *const ernie_result, index: usize) -> usize {
    infallible(0, || {
        // SAFETY: the caller's obligation.
        unsafe { result.as_ref() }.and_then(|result| result.tensors.get(index)).map_or(0, Vec::len)
    })
}

/// Tensor `tensor_index` of entry `index`. For texts: the graph's outputs for that text alone, padding removed, with a
/// leading dimension of 1.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or no such tensor).
///
/// # Safety
/// - `result` is NULL or live; `tensor` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_tensor(
    result: *const ernie_result,
    index: usize,
    tensor_index: usize,
    tensor: *mut ernie_tensor,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (result, out) = unsafe { (boundary::handle(result, "result")?, boundary::out(tensor, "tensor")?) };
        let tensors = entry(&result.tensors, index, result.n_inputs, "tensors")?;
        let found = tensors.get(tensor_index).ok_or_else(|| {
            Error::argument(format!("tensor_index is {tensor_index}, there are {} tensors", tensors.len()))
        })?;
        out.write(found.view());
        Ok(())
    })
}

/// The text of entry `index`: what `ernie_tokenizer_decode` wrote, or a token of `ernie_tokenizer_tokens`.
///
/// Errors: `INVALID_ARGUMENT` (NULL, no such entry, or the call gives no text).
///
/// # Safety
/// - `result` is NULL or live; `text` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_text(
    result: *const ernie_result,
    index: usize,
    text: *mut ernie_str,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (result, out) = unsafe { (boundary::handle(result, "result")?, boundary::out(text, "text")?) };
        out.write(*entry(&result.texts, index, result.n_inputs, "text")?);
        Ok(())
    })
}

/// Frees a result. NULL is allowed.
///
/// # Safety
/// - `result` is NULL or was not freed yet, and nobody reads it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_free(result: *mut ernie_result) {
    infallible((), || {
        if !result.is_null() {
            // SAFETY: made by `Box::into_raw` in `into_raw` or `from_texts`; the rest is the caller's obligation.
            drop(unsafe { Box::from_raw(result) });
        }
    });
}
