//! `ernie_result`: what a call gave. Immutable and owned by the caller.

use std::ffi::c_char;

use super::boundary::{self, fallible, infallible};
use super::generated::ernie_generated;
use super::input::ernie_str;
use super::status::{ERNIE_OK, code_of, ernie_status};
use super::tensor::{OutputTensor, ernie_tensor};
use crate::error::{Error, Result};
use crate::pipeline::{Generated, Item, Output};
use crate::tensor::Matrix;
use crate::tokenize::Encoding;

/// One finding: a label, an entity, an answer, a word of a `[MASK]`, a candidate. `ernie_infer` and `ernie_rank` say which
/// fields a task fills; the others are 0 or empty.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_item {
    /// The label's id, or the token's, or the candidate's index, or the number of the schema's name; -1 for none.
    pub id: i64,
    /// Probability, or the raw value of a regression or of one choice alone; of an extracted finding the product of the
    /// probabilities of its first and last token; of a ranking what `ernie_rank` says.
    pub score: f32,
    /// Which of several things that were asked it answers: the number of the `[MASK]`, from 0.
    pub group: u32,
    /// What was found: the characters of the text, the token, the candidate of a `[MASK]`; of a classification the label's name;
    /// of a ranking empty.
    pub text: ernie_str,
    /// First byte in the caller's text.
    pub begin: usize,
    /// One past the last byte in the caller's text; equal to `begin` where the item has no place.
    pub end: usize,
    /// What kind of finding it is: a label's name, an entity's type, a name of the schema; empty where there is none.
    pub label: ernie_str,
    /// Index of the item of the same list that this one belongs to; -1 where it belongs to the text.
    pub parent: i64,
    /// Which text `begin` and `end` count in: `ERNIE_SEQUENCE_TEXT` or `ERNIE_SEQUENCE_PAIR`.
    pub sequence: u32,
    /// Always 0.
    pub reserved: u32,
    /// What the model says of the first token: a logit (reading comprehension), a probability (extraction); the log probability of a
    /// word of a `[MASK]`, of a candidate the sum over its tokens.
    pub begin_score: f32,
    /// What the model says of the last token.
    pub end_score: f32,
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
    pub(super) generated: Vec<Vec<ernie_generated>>,
    /// Code and message of each input; empty unless they were asked for.
    errors: Vec<(i32, ernie_str)>,
    /// The bytes that items and texts point to, each NUL-terminated.
    _strings: Vec<Box<[u8]>>,
    /// The tokens that generated texts point to.
    _token_ids: Vec<Vec<i64>>,
}

impl ernie_result {
    /// A handle that C owns.
    pub(super) fn into_raw(n_inputs: usize, output: Output) -> *mut Self {
        let mut strings = Strings::default();
        let items = output.items.iter().map(|items| items.iter().map(|item| strings.item(item)).collect()).collect();
        let error = |error: &Option<Error>| match error {
            Some(error) => (code_of(error), strings.add(&error.report())),
            None => (ERNIE_OK, ernie_str::EMPTY),
        };
        let errors = output.errors.iter().map(error).collect();
        let of_input = |texts: &Vec<Generated>| texts.iter().map(|text| strings.generated(text)).collect();
        let generated: Vec<Vec<ernie_generated>> = output.generated.iter().map(of_input).collect();
        Box::into_raw(Box::new(Self {
            n_inputs,
            encodings: output.encodings,
            items,
            matrix: output.matrix,
            token_vectors: output.token_vectors,
            tensors: output.raw_outputs.into_iter().map(|t| t.into_iter().map(OutputTensor::new).collect()).collect(),
            texts: Vec::new(),
            generated,
            errors,
            _strings: strings.bytes,
            _token_ids: strings.token_ids,
        }))
    }

    /// The number of encodings, or of entries where there are none.
    pub(super) fn n_encodings(&self) -> usize {
        if self.encodings.is_empty() { self.n_inputs } else { self.encodings.len() }
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
            generated: Vec::new(),
            errors: Vec::new(),
            _strings: strings.bytes,
            _token_ids: Vec::new(),
        }))
    }
}

/// Texts with a NUL byte after each, which stay where they are.
#[derive(Default)]
pub(super) struct Strings {
    bytes: Vec<Box<[u8]>>,
    pub(super) token_ids: Vec<Vec<i64>>,
    last: Vec<(String, ernie_str)>,
}

impl Strings {
    pub(super) fn add(&mut self, text: &str) -> ernie_str {
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
        let label = self.label(item.id, &item.label);
        ernie_item {
            id: item.id,
            score: item.score,
            group: item.group,
            text: if item.text == item.label { label } else { self.add(&item.text) },
            begin: item.begin,
            end: item.end,
            label,
            parent: item.parent.map_or(-1, |parent| i64::try_from(parent).unwrap_or(i64::MAX)),
            sequence: item.sequence,
            reserved: 0,
            begin_score: item.begin_score,
            end_score: item.end_score,
        }
    }
}

pub(super) fn entry<'a, T>(list: &'a [T], index: usize, n_inputs: usize, what: &str) -> Result<&'a T> {
    check_index(index, n_inputs)?;
    list.get(index).ok_or_else(|| Error::argument(format!("the result has no {what}")))
}

fn check_index(index: usize, n_entries: usize) -> Result<()> {
    match index < n_entries {
        true => Ok(()),
        false => Err(Error::argument(format!("index is {index}, the result has {n_entries} entries"))),
    }
}

fn view(matrix: &Matrix) -> ernie_matrix {
    ernie_matrix { data: matrix.data.as_ptr(), n_rows: matrix.n_rows, n_columns: matrix.n_columns }
}

/// The number of entries: one for each input that the call was given, or for each window where `ernie_tokenizer_encode` was
/// asked for them, or for each token of `ernie_tokenizer_tokens`; 1 for `ernie_rank`, tensors and decoded text, 0 for NULL.
///
/// # Safety
/// - `result` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_count(result: *const ernie_result) -> usize {
    // SAFETY: the caller's obligation.
    infallible(0, || unsafe { result.as_ref() }.map_or(0, |result| result.n_inputs))
}

/// The number of encodings, which `ernie_result_tokens`, `ernie_result_fragment` and `ernie_result_tensor` count by: as many as
/// entries, or more where inputs went through in windows; those of an input follow one another, `ernie_tokens.input` says
/// which it is. 0 where the call gives no tokens, and for NULL.
///
/// # Safety
/// - `result` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_encoding_count(result: *const ernie_result) -> usize {
    // SAFETY: the caller's obligation.
    infallible(0, || unsafe { result.as_ref() }.map_or(0, |result| result.encodings.len()))
}

/// What is wrong with input `index` (of `ernie_rank`: candidate `index`) of a call with `ERNIE_ERRORS_INPUT`: `code` receives `ERNIE_OK` or one of
/// `ERNIE_ERROR_...`, `message` (may be NULL) what and where; it lives as long as the result. Without that flag every
/// input of a result is `ERNIE_OK`.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or no such input).
///
/// # Safety
/// - `result` is NULL or live; `code` and `message` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_error(
    result: *const ernie_result,
    index: usize,
    code: *mut i32,
    message: *mut ernie_str,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (result, code) = unsafe { (boundary::handle(result, "result")?, boundary::out(code, "code")?) };
        let n_entries = if result.errors.is_empty() { result.n_inputs } else { result.errors.len() };
        check_index(index, n_entries)?;
        let (found, text) = result.errors.get(index).copied().unwrap_or((ERNIE_OK, ernie_str::EMPTY));
        if !message.is_null() {
            // SAFETY: the caller's obligation.
            unsafe { boundary::out(message, "message") }?.write(text);
        }
        code.write(found);
        Ok(())
    })
}

/// The findings of input `index`, best first; entities and extracted ones in the order of the text: `items` receives an
/// array of `n_items`.
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

/// A row for each input: vectors of `ernie_encode`, numbers of `ernie_infer` (which says what they are); of `ernie_rank` a
/// row for each candidate.
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

/// The vectors of the tokens of input `index`, special tokens included: `[n_tokens, hidden_size]`. Of `ernie_infer` with a
/// token classifier: the logits of its words that have a prediction, `[n_words, n_labels]`.
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

/// The number of tensors of entry `index`: 0 for the only entry of `ernie_infer_tensors`, else the encoding of a call
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
        let tensors = entry(&result.tensors, index, result.n_encodings(), "tensors")?;
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
