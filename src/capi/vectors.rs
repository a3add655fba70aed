//! Vectors of texts, in a result or in the caller's memory, and how alike they are.

use std::ffi::c_void;

use super::boundary::{self, fallible};
use super::call::{self, Errors, ernie_call};
use super::input::{self, ernie_input, ernie_str};
use super::model::{answer, ernie_model};
use super::result::ernie_result;
use super::status::ernie_status;
use super::tensor::{ERNIE_TYPE_BFLOAT16, ERNIE_TYPE_FLOAT16, ERNIE_TYPE_FLOAT32, ERNIE_TYPE_INT8};
use crate::error::{Error, Result};
use crate::pipeline::{Call, Model, Similarity, VectorType, rank_vectors};
use crate::tensor::Matrix;

/// The cosine of the angle between two vectors; 0 where one of them is zero.
pub const ERNIE_SIMILARITY_COSINE: u32 = 0;
/// The dot product.
pub const ERNIE_SIMILARITY_DOT: u32 = 1;

/// Vectors of texts: `ernie_result_matrix` gives `[n_inputs, hidden_size]`, with `ERNIE_OUTPUT_TOKENS`
/// `ernie_result_token_matrix` the vectors of each text's tokens. `call` may be NULL. The caller frees the result;
/// nothing of `inputs` is kept.
///
/// The same text gives the same vector alone and in any batch. With `ERNIE_TRUNCATION_WINDOWS` mean and maximum are over all
/// tokens of a text, each as the window sees it that shows most around it; the other poolings give the mean of the
/// windows' vectors. With `ERNIE_ERRORS_INPUT` an input that cannot be encoded does not fail the others.
///
/// Errors: `INVALID_UTF8`, `TEXT_TOO_LONG` (both name the input), `UNSUPPORTED` (the graph gives no vectors, or not
/// those of the pooling asked for), `INVALID_ARGUMENT`, `RUNTIME`.
///
/// # Safety
/// - `model` is NULL or live; `inputs` is NULL or points to `n_inputs` inputs; `call` is NULL or initialised;
///   `result` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_encode(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    // SAFETY: the caller's obligation.
    fallible(|| unsafe { answer(model, inputs, n_inputs, call, result, Model::encode, Model::encode_each) })
}

/// As `ernie_encode`, with the vectors in the caller's memory: row-major `[n_inputs, hidden_size]` floats.
/// `hidden_size` (may be NULL) receives the width. Nothing is written on an error. `call.errors` must be 0: there is no
/// result that could tell of one input.
///
/// Errors: those of `ernie_encode`, and `BUFFER_TOO_SMALL` (the message says how many floats are needed).
///
/// # Safety
/// - As `ernie_encode`; `vectors` is NULL or writable for `n_floats` floats; `hidden_size` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_encode_into(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    vectors: *mut f32,
    n_floats: usize,
    hidden_size: *mut usize,
) -> *mut ernie_status {
    fallible(|| {
        if n_floats > 0 && (vectors.is_null() || !vectors.is_aligned()) {
            return Err(Error::argument("vectors is NULL or not aligned to 4 bytes"));
        }
        // SAFETY: the caller's obligation.
        let width = unsafe { width_out(hidden_size) }?;
        // SAFETY: the caller's obligation.
        let matrix =
            unsafe { encode(model, inputs, n_inputs, call, &Room { unit: "floats", size: 1, given: n_floats }) }?;
        // SAFETY: room for `n_floats` is the caller's obligation, and there are no more, as `encode` compared.
        unsafe {
            boundary::write_all(vectors, &matrix.data, "vectors")?;
        }
        width.into_iter().for_each(|width| width.write(matrix.n_columns));
        Ok(())
    })
}

/// As `ernie_encode_into`, with numbers of `element_type`: `ERNIE_TYPE_FLOAT32`, `_FLOAT16`, `_BFLOAT16` or `_INT8`. Vector `k`
/// of int8 is its integers times `scales[k]` (the largest absolute value over 127); `scales` has room for `n_inputs`
/// floats, or is NULL. `vectors` need not be aligned.
///
/// Errors: those of `ernie_encode_into` (`BUFFER_TOO_SMALL` in bytes), and `INVALID_ARGUMENT` for another type.
///
/// # Safety
/// - As `ernie_encode`; `vectors` is NULL or writable for `n_bytes`; `scales` is NULL or writable for `n_inputs` floats;
///   `hidden_size` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_encode_as(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    element_type: u32,
    vectors: *mut c_void,
    n_bytes: usize,
    scales: *mut f32,
    hidden_size: *mut usize,
) -> *mut ernie_status {
    fallible(|| {
        let vector_type = match element_type {
            ERNIE_TYPE_FLOAT32 => VectorType::F32,
            ERNIE_TYPE_FLOAT16 => VectorType::F16,
            ERNIE_TYPE_BFLOAT16 => VectorType::Bf16,
            ERNIE_TYPE_INT8 => VectorType::I8,
            other => {
                return Err(Error::argument(format!(
                    "element_type is {other}; vectors are ERNIE_TYPE_FLOAT32, _FLOAT16, _BFLOAT16 or _INT8"
                )));
            }
        };
        if n_bytes > 0 && vectors.is_null() {
            return Err(Error::argument("vectors is NULL"));
        }
        if !scales.is_null() && !scales.is_aligned() {
            return Err(Error::argument("scales is not aligned to 4 bytes"));
        }
        // SAFETY: the caller's obligation.
        let width = unsafe { width_out(hidden_size) }?;
        // SAFETY: the caller's obligation.
        let matrix = unsafe {
            encode(model, inputs, n_inputs, call, &Room { unit: "bytes", size: vector_type.n_bytes(), given: n_bytes })
        }?;
        let mut bytes = Vec::with_capacity(matrix.data.len() * vector_type.n_bytes());
        let scales_of: Vec<f32> =
            (0..matrix.n_rows).map(|row| vector_type.store(matrix.row(row), &mut bytes)).collect();
        // SAFETY: room for `n_bytes` and for a scale of each input is the caller's obligation, and there are no more.
        unsafe {
            boundary::write_all(vectors.cast::<u8>(), &bytes, "vectors")?;
            if !scales.is_null() {
                boundary::write_all(scales, &scales_of, "scales")?;
            }
        }
        width.into_iter().for_each(|width| width.write(matrix.n_columns));
        Ok(())
    })
}

/// The caller's room for vectors.
struct Room {
    unit: &'static str,
    /// Units of a number.
    size: usize,
    given: usize,
}

impl Room {
    fn check(&self, n_numbers: Option<usize>) -> Result<()> {
        match n_numbers.and_then(|n| n.checked_mul(self.size)) {
            Some(needed) if needed <= self.given => Ok(()),
            needed => {
                let needed = needed.unwrap_or(usize::MAX);
                Err(Error::BufferTooSmall { unit: self.unit, needed, given: self.given })
            }
        }
    }
}

/// Vectors that fit into the caller's room.
///
/// # Safety
/// - As `ernie_encode`.
unsafe fn encode(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    room: &Room,
) -> Result<Matrix> {
    // SAFETY: the caller's obligation.
    let model: &Model = unsafe { &boundary::handle(model, "model")?.model };
    // SAFETY: the caller's obligation.
    let (inputs, (call, errors)) = unsafe { (input::all_texts(inputs, n_inputs)?, call::read_with_errors(call)?) };
    if errors == Errors::OfInput {
        return Err(Error::argument("call.errors is ERNIE_ERRORS_INPUT, which needs a result: ernie_encode gives one"));
    }
    // Only the vectors are wanted.
    let call = Call { with_token_vectors: false, with_raw_outputs: false, ..call };
    model.encode(&[], &call)?;
    // A buffer that cannot do is found before the work where the width is known, and after it at the latest.
    room.check(n_inputs.checked_mul(model.hidden_size().unwrap_or(0)))?;
    let matrix = model.encode(&inputs, &call)?.matrix.unwrap_or_default();
    room.check(Some(matrix.data.len()))?;
    Ok(matrix)
}

/// # Safety
/// - `hidden_size` is NULL or writable.
unsafe fn width_out(hidden_size: *mut usize) -> Result<Option<boundary::Out<usize>>> {
    // SAFETY: the caller's obligation.
    if hidden_size.is_null() { Ok(None) } else { unsafe { boundary::out(hidden_size, "hidden_size") }.map(Some) }
}

/// How well each of `n_candidates` texts fits a query: `ernie_result_items(result, 0, ...)` gives the candidates best first
/// (`id` = index, at most `call.top_k`), `ernie_result_matrix` their scores `[n_candidates, 1]` in the caller's order.
/// `call` may be NULL. The caller frees the result.
///
/// - `cross_encoder`, `sequence_classification` of pairs: the probability of label 1 of two labels, the value of one
///   (with `ERNIE_PROBLEM_MULTI_LABEL` its sigmoid).
/// - `multiple_choice`: the choices' probabilities.
/// - `dual_encoder`, `encoder`: the dot product of the vectors of query and candidate; with `ERNIE_NORMALIZE_L2` their
///   cosine. Where queries and candidates have models of their own, or candidates are kept: `ernie_rank_vectors`.
///
/// With `ERNIE_TRUNCATION_WINDOWS` a candidate counts by its best window, or by the vector that `ernie_encode` gives it. `ernie_result_tokens` tells of each candidate
/// (`ernie_tokens.input`) what was cut. With `ERNIE_ERRORS_INPUT` a candidate that cannot be scored has a score of NaN and is not
/// ranked; `ernie_result_error` tells why, by its index.
///
/// Errors: those of `ernie_infer`, naming the candidate's index; `UNSUPPORTED` for other tasks and for three labels or more.
///
/// # Safety
/// - `model` is NULL or live; `query` is as `ernie_str` says; `candidates` is NULL or points to `n_candidates` such texts;
///   `call` is NULL or initialised; `result` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_rank(
    model: *const ernie_model,
    query: ernie_str,
    candidates: *const ernie_str,
    n_candidates: usize,
    call: *const ernie_call,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (model, out) = unsafe { (boundary::handle(model, "model")?, boundary::out(result, "result")?) };
        // SAFETY: the caller's obligation.
        let (query, candidates, call) = unsafe {
            let candidates = boundary::slice(candidates, n_candidates, "candidates")?;
            (query.text(|| "query".into())?, candidates, call::read_with_errors(call)?)
        };
        let (call, errors) = call;
        let read = |(index, text): (usize, &ernie_str)| {
            // SAFETY: the caller's obligation.
            unsafe { text.text(|| format!("candidate {index}")) }
        };
        let candidates = candidates.iter().enumerate().map(read);
        let output = match errors {
            Errors::OfInput => model.model.rank_each(query, candidates.collect(), &call)?,
            Errors::OfCall => model.model.rank(query, &candidates.collect::<Result<Vec<&str>>>()?, &call)?,
        };
        out.write(ernie_result::into_raw(1, output));
        Ok(())
    })
}

fn similarity_of(value: u32) -> Result<Similarity> {
    match value {
        ERNIE_SIMILARITY_COSINE => Ok(Similarity::Cosine),
        ERNIE_SIMILARITY_DOT => Ok(Similarity::Dot),
        other => Err(Error::argument(format!("similarity is {other}, it goes from 0 to 1"))),
    }
}

/// The numbers of `n_vectors` vectors.
///
/// # Safety
/// - `vectors` is NULL or points to so many floats.
unsafe fn numbers<'a>(vectors: *const f32, n_vectors: usize, n_columns: usize, name: &str) -> Result<&'a [f32]> {
    let n_numbers = n_vectors.saturating_mul(n_columns);
    // SAFETY: the caller's obligation.
    unsafe { boundary::slice(vectors, n_numbers, name) }
}

/// Vectors that were kept, in order of how alike they are to that of a query: the result is as that of `ernie_rank`, with
/// scores by `similarity` (`ERNIE_SIMILARITY_...`), summed in double precision. `top_k` 0 = all. The caller frees the result.
///
/// Errors: `INVALID_ARGUMENT` (NULL, no such similarity, or `n_columns` 0).
///
/// # Safety
/// - `query` is NULL or points to `n_columns` floats, `candidates` to `n_candidates` times as many; `result` is NULL or
///   writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_rank_vectors(
    query: *const f32,
    candidates: *const f32,
    n_candidates: usize,
    n_columns: usize,
    similarity: u32,
    top_k: usize,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (query, candidates, out) = unsafe {
            (
                numbers(query, 1, n_columns, "query")?,
                numbers(candidates, n_candidates, n_columns, "candidates")?,
                boundary::out(result, "result")?,
            )
        };
        let top_k = (top_k > 0).then_some(top_k);
        let output = rank_vectors(query, candidates, n_candidates, similarity_of(similarity)?, top_k)?;
        out.write(ernie_result::into_raw(1, output));
        Ok(())
    })
}

/// How alike each of `n_a` vectors is to each of `n_b`: `scores` receives `[n_a, n_b]` floats, by `similarity`
/// (`ERNIE_SIMILARITY_...`), summed in double precision.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or no such similarity).
///
/// # Safety
/// - `a` is NULL or points to `n_a * n_columns` floats, `b` to `n_b * n_columns`; `scores` is NULL or writable for
///   `n_a * n_b` floats, which are not among those of `a` and `b`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_similarity(
    similarity: u32,
    a: *const f32,
    n_a: usize,
    b: *const f32,
    n_b: usize,
    n_columns: usize,
    scores: *mut f32,
) -> *mut ernie_status {
    fallible(|| {
        let similarity = similarity_of(similarity)?;
        // SAFETY: the caller's obligation.
        let (a, b) = unsafe { (numbers(a, n_a, n_columns, "a")?, numbers(b, n_b, n_columns, "b")?) };
        let row = |index: usize| index * n_columns..(index + 1) * n_columns;
        let mut all = Vec::new();
        if n_a > 0 && n_b > 0 {
            all.try_reserve_exact(n_a.saturating_mul(n_b)).map_err(|_| Error::OutOfMemory)?;
        }
        for i in 0..if n_b > 0 { n_a } else { 0 } {
            all.extend((0..n_b).map(|j| similarity.of(&a[row(i)], &b[row(j)])));
        }
        // SAFETY: the caller's obligation.
        unsafe { boundary::write_all(scores, &all, "scores") }
    })
}
