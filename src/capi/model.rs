//! `ernie_model`: a model, ready to run.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use super::boundary::{self, fallible, infallible};
use super::call::{self, Errors, ernie_call};
use super::input::{self, ernie_input};
use super::options::{self, ernie_options};
use super::result::ernie_result;
use super::status::{c_string, ernie_status};
use super::tensor::{self, ernie_tensor};
use super::tokenizer::ernie_tokenizer;
use crate::error::Result;
use crate::pipeline::{Call, Input, Model, Output};
use crate::workers::Workers;

/// A model, ready to run. `const` functions may be called from any number of threads at the same time.
#[derive(Debug)]
pub struct ernie_model {
    pub(super) model: Model,
    family: CString,
    task: CString,
    provider: CString,
    tokenizer: Option<CString>,
    labels: Vec<CString>,
    /// Those that make asynchronous calls.
    pub(super) workers: Workers,
}

/// What a model is. Set `struct_size` before asking. Strings live as long as the model; 0 and NULL mean unknown or
/// absent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_model_info {
    /// `sizeof(ernie_model_info)` in the caller's header.
    pub struct_size: u32,
    /// The number of labels.
    pub n_labels: u32,
    /// Who wrote the files: `huggingface`, `paddlenlp`, `paddle-ernie`, `paddle-inference` (without a
    /// config), `ernie-bundle`, `graph`.
    pub family: *const c_char,
    /// The task, as option `task` names it.
    pub task: *const c_char,
    /// Where the graph runs, which with option `fallback` may be another than was asked for: `cpu`, `cuda`, `tensorrt`, `openvino`.
    pub provider: *const c_char,
    /// The tokenizer scheme, as option `tokenizer` names it; NULL where there is no usable tokenizer.
    pub tokenizer: *const c_char,
    /// Width of the vectors that `ernie_encode` gives with its default pooling.
    pub hidden_size: usize,
    /// Encoder layers.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Tokens of a text or pair at most, special tokens included.
    pub max_tokens: usize,
    /// Devices that share the work (option `device_id`); 1 on the processor.
    pub n_devices: usize,
}

/// Counters since a model was opened. Set `struct_size` before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_model_statistics {
    /// `sizeof(ernie_model_statistics)` in the caller's header.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Runs of the graph, also of the copy that guesses words ahead.
    pub n_runs: u64,
    /// Texts that went through it.
    pub n_texts: u64,
    /// Tokens of those texts, special tokens included.
    pub n_tokens: u64,
    /// Tokens that were padding.
    pub n_padding_tokens: u64,
    /// Time spent in the graph, in nanoseconds.
    pub run_time_ns: u64,
    /// Tokens that `ernie_generate` wrote, of all hypotheses.
    pub n_new_tokens: u64,
    /// Bytes of keys and values that texts of `ernie_generate` see now: 4 * layers * (key + value width) a token.
    pub cache_bytes: u64,
    /// The most that there were.
    pub peak_cache_bytes: u64,
    /// Texts that shared a run with those of other calls.
    pub n_joined_texts: u64,
    /// Calls that wait for their turn now, and asynchronous ones that are under way.
    pub n_queued: u64,
    /// The most that there were at a time.
    pub peak_queued: u64,
    /// Tokens that were guessed ahead (option `draft_tokens`), without those that end a text.
    pub n_draft_tokens: u64,
    /// Those of them that the model wrote too.
    pub n_accepted_tokens: u64,
}

impl ernie_model {
    fn new(model: Model) -> Self {
        let spec = model.spec();
        Self {
            family: c_string(spec.family.name()),
            task: c_string(model.task().name()),
            provider: c_string(model.options().provider.name()),
            tokenizer: model.tokenizer().ok().map(|tokenizer| c_string(tokenizer.scheme().name())),
            workers: Workers::new(model.options().async_threads),
            labels: spec.labels.iter().map(|label| c_string(label)).collect(),
            model,
        }
    }

    fn info(&self) -> ernie_model_info {
        let dimensions = &self.model.spec().dimensions;
        ernie_model_info {
            struct_size: 0,
            n_labels: u32::try_from(self.model.n_labels()).unwrap_or(u32::MAX),
            family: self.family.as_ptr(),
            task: self.task.as_ptr(),
            provider: self.provider.as_ptr(),
            tokenizer: self.tokenizer.as_ref().map_or(std::ptr::null(), |name| name.as_ptr()),
            hidden_size: self.model.hidden_size().unwrap_or(0),
            n_layers: dimensions.n_layers.unwrap_or(0),
            n_heads: dimensions.n_heads.unwrap_or(0),
            vocab_size: dimensions.vocab_size.unwrap_or(0),
            max_tokens: self.model.max_tokens().unwrap_or(0),
            n_devices: self.model.n_devices(),
        }
    }
}

/// Opens the model at `path`: a directory with a checkpoint (paddle-ernie, PaddleNLP, Hugging Face, Paddle inference), a
/// bundle of `ernie export` or an exported graph, or an `.onnx` file. `options` may be NULL. The caller frees the model.
/// Loads ONNX Runtime when none is loaded yet, with what `ernie_runtime_load` says of the environment. Models of the same
/// files share their weights.
///
/// The files of a checkpoint or bundle stay mapped while the model is open. They must not be written to in place, as
/// `cp` over them does: the model would answer from a mixture of weights, and a file that became shorter ends the process
/// with `SIGBUS`, whatever the options. Replacing a file by `mv` or `rename` is fine: the open model keeps the old one.
///
/// On a processor with AMX the first model asks Linux for the use of its matrix registers, for the whole process: a signal stack that is
/// set up afterwards (`sigaltstack`) needs the size that `getauxval(AT_MINSIGSTKSZ)` tells, which is more than the old `MINSIGSTKSZ`.
///
/// Errors: `NOT_FOUND` (nothing there, no model in it, or no vocabulary), `INVALID_MODEL` (a broken file, a tensor that is
/// missing, of another shape or not finite), `UNSUPPORTED` (a network that is not ERNIE's, or a graph whose inputs or
/// outputs cannot be told apart: the message lists them), `INVALID_ARGUMENT` (an option that this model cannot follow),
/// `RUNTIME_MISSING`, `PROVIDER_UNAVAILABLE`, `IO`.
///
/// # Safety
/// - `path` is NULL or a NUL-terminated string; `options` is NULL or live; `model` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_model_open(
    path: *const c_char,
    options: *const ernie_options,
    model: *mut *mut ernie_model,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (path, options, out) =
            unsafe { (boundary::path(path, "path")?, options::read(options), boundary::out(model, "model")?) };
        out.write(Arc::into_raw(Arc::new(ernie_model::new(Model::open(path, &options)?))).cast_mut());
        Ok(())
    })
}

/// Adds an owner: the model lives until each was freed. Returns `model`.
///
/// # Safety
/// - `model` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_model_retain(model: *const ernie_model) -> *mut ernie_model {
    infallible(model.cast_mut(), || {
        if !model.is_null() {
            // SAFETY: made by `Arc::into_raw` in `ernie_model_open`; the rest is the caller's obligation.
            unsafe { Arc::increment_strong_count(model) };
        }
        model.cast_mut()
    })
}

/// Gives up one ownership of a model. NULL is allowed. Results and tokenizers taken from it stay valid.
///
/// # Safety
/// - `model` is NULL or owned by the caller; no call on it is running on behalf of this owner.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_model_free(model: *mut ernie_model) {
    infallible((), || {
        if !model.is_null() {
            // SAFETY: made by `Arc::into_raw` in `ernie_model_open`; the rest is the caller's obligation.
            drop(unsafe { Arc::from_raw(model) });
        }
    });
}

/// What the model is.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or `info->struct_size` not set).
///
/// # Safety
/// - `model` is NULL or live; `info` is NULL or writable as far as its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_model_info_get(
    model: *const ernie_model,
    info: *mut ernie_model_info,
) -> *mut ernie_status {
    // SAFETY: the caller's obligation.
    fallible(|| unsafe { boundary::sized_output(info, boundary::handle(model, "model")?.info(), "info") })
}

/// The name of label `id`: NUL-terminated UTF-8 that lives as long as the model. NULL where there is no such label
/// or it has no name.
///
/// # Safety
/// - `model` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_model_label(model: *const ernie_model, id: usize) -> *const c_char {
    infallible(std::ptr::null(), || {
        // SAFETY: the caller's obligation.
        let label = unsafe { model.as_ref() }.and_then(|model| model.labels.get(id));
        label.map_or(std::ptr::null(), |label| label.as_ptr())
    })
}

/// Counters since the model was opened. Each is exact; together they may show a call that is under way.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or `statistics->struct_size` not set).
///
/// # Safety
/// - `model` is NULL or live; `statistics` is NULL or writable as far as its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_model_stats(
    model: *const ernie_model,
    statistics: *mut ernie_model_statistics,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let stats = unsafe { boundary::handle(model, "model") }?.model.stats();
        let filled = ernie_model_statistics {
            struct_size: 0,
            reserved: 0,
            n_runs: stats.n_runs,
            n_texts: stats.n_texts,
            n_tokens: stats.n_tokens,
            n_padding_tokens: stats.n_padding_tokens,
            run_time_ns: stats.run_time_ns,
            n_new_tokens: stats.n_new_tokens,
            cache_bytes: stats.cache_bytes,
            peak_cache_bytes: stats.peak_cache_bytes,
            n_joined_texts: stats.n_joined_texts,
            n_queued: stats.n_queued,
            peak_queued: stats.peak_queued,
            n_draft_tokens: stats.n_draft_tokens,
            n_accepted_tokens: stats.n_accepted_tokens,
        };
        // SAFETY: the caller's obligation.
        unsafe { boundary::sized_output(statistics, filled, "statistics") }
    })
}

/// The model's tokenizer, as a handle of its own that the caller frees.
///
/// Errors: `UNSUPPORTED` (the model has no usable tokenizer; the message says why), `INVALID_ARGUMENT` (NULL).
///
/// # Safety
/// - `model` is NULL or live; `tokenizer` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_model_tokenizer(
    model: *const ernie_model,
    tokenizer: *mut *mut ernie_tokenizer,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (model, out) = unsafe { (boundary::handle(model, "model")?, boundary::out(tokenizer, "tokenizer")?) };
        let options = crate::options::Options { max_tokens: model.model.max_tokens(), ..model.model.options().clone() };
        out.write(ernie_tokenizer::into_raw(Arc::clone(model.model.tokenizer()?), options));
        Ok(())
    })
}

/// What the model's task gives for texts. `call` may be NULL. The caller frees the result; nothing of `inputs` is kept.
///
/// `ernie_result_items` gives the findings of each input, `ernie_result_matrix` numbers with a row for each:
///
/// - `sequence_classification`, `cross_encoder`, `multiple_choice` (a choice is the pair of its question): labels, best
///   first; the logits. In windows: by the mean of the windows' logits.
/// - `token_classification` (no pair): entities in the order of the text, `label` the type, `text` the characters; or with
///   `ERNIE_TAGS_WORDS` every word with its label. A word's logits are the mean of its tokens'. No matrix. In windows: every
///   token as the window sees it that shows most around it, so that nothing is found twice or cut.
/// - `question_answering` (text = question, pair = passage): answers, best first, places in the pair; scores are
///   probabilities among the answers given. The matrix is `[n_inputs, 2]`: sum of the logits of the best answer and of no
///   answer (`[CLS]`), NaN where there is none. In windows (the default) of 512 tokens at most that move by 128: the best of
///   all windows. Questions with the same passage share its tokenization.
/// - `masked_lm`: for every `[MASK]` (`group`) the likeliest words, places are those of the `[MASK]`. With `candidates`
///   only those, `id` their index; one of several tokens is scored with as many `[MASK]`s, `score` is the geometric mean of its
///   tokens' probabilities; a text is cut so that the longest of them has room. No matrix.
/// - `information_extraction`: what `schema` names, in its order and that of the text; what belongs to a finding follows it and
///   names it as `parent`. A prompt with options (`情感倾向[正向，负向]`) gives an option without a place. No matrix; tokens are those
///   of the schema's first name with the text, and tell what of it was searched.
///   Without a schema the text is a prompt, and places count in the pair. In windows (the default) of 512 tokens at
///   most that overlap by 128.
///
/// - `generation`: what `ernie_generate` writes by default, a text for each input. No matrix. With `ERNIE_OUTPUT_RAW` what
///   the graph gives for the sources, and no texts or items; `ERNIE_OUTPUT_TOKENS` is refused.
///
/// With `ERNIE_ERRORS_INPUT` an input that cannot be answered does not fail the others.
///
/// Errors: `INVALID_UTF8`, `TEXT_TOO_LONG`, `INVALID_ARGUMENT` (a schema that is none; no passage, no `[MASK]`, more findings than are
/// allowed (65536 of a text, 1048576 of a call): these name the input), `UNSUPPORTED` (the model has no head, or one whose answers this version does not make: with `ERNIE_OUTPUT_RAW` its
/// raw outputs can be had), `RUNTIME`.
///
/// # Safety
/// - As `ernie_encode`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_infer(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    // SAFETY: the caller's obligation.
    fallible(|| unsafe { answer(model, inputs, n_inputs, call, result, Model::infer, Model::infer_each) })
}

/// What answers texts, of which one that is none fails all.
pub(super) type Work = fn(&Model, &[Input<'_>], &Call) -> Result<Output>;
/// What answers those of the texts that can be answered.
pub(super) type WorkEach = fn(&Model, Vec<Result<Input<'_>>>, &Call) -> Result<Output>;

/// The result of a call on texts.
///
/// # Safety
/// - As `ernie_encode`.
pub(super) unsafe fn answer(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    result: *mut *mut ernie_result,
    work: Work,
    work_each: WorkEach,
) -> Result<()> {
    // SAFETY: the caller's obligation.
    let (model, out) = unsafe { (boundary::handle(model, "model")?, boundary::out(result, "result")?) };
    // SAFETY: the caller's obligation.
    let (inputs, (call, errors)) = unsafe { (input::texts(inputs, n_inputs)?, call::read_with_errors(call)?) };
    let output = match errors {
        Errors::OfInput => work_each(&model.model, inputs, &call)?,
        Errors::OfCall => work(&model.model, &inputs.into_iter().collect::<Result<Vec<_>>>()?, &call)?,
    };
    out.write(ernie_result::into_raw(n_inputs, output));
    Ok(())
}

/// Runs the graph on the caller's own tensors, by name; `ernie_result_tensor(result, 0, k)` gives output `k`. Works
/// for any graph (option `task` = `tensors` opens graphs that take no texts). Tensors are only read, and only during
/// the call. The caller frees the result.
///
/// A checkpoint or bundle takes padded rows of token ids, int64 or int32 `[rows, tokens]`: `input_ids` and, where they
/// differ from what the reference takes without them, `token_type_ids`, `attention_mask` (0 = masked; also float32 or
/// bool), `position_ids` (from 0), `task_type_ids`; also under the names of the 2021 demo, `src_ids`, `sent_ids`, `mask`,
/// `pos_ids`, `task_ids`, and with shape `[rows, tokens, 1]`. It gives the reference's outputs for every row and token. Give `attention_mask` whenever rows
/// are padded: without it the rule of the reference holds, which leaves out id 0 (paddle-ernie, ERNIE-M: there that is
/// `[CLS]`), the padding id (PaddleNLP) or nothing (Hugging Face). A mask that is given replaces that rule.
///
/// Errors: `INVALID_ARGUMENT` (a tensor is missing, unknown, twice, or of another type or shape than the graph's: the
/// message lists what the graph takes), `RUNTIME`.
///
/// # Safety
/// - `model` is NULL or live; `tensors` is NULL or points to `n_tensors` tensors as `ernie_tensor` says; `result` is
///   NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_infer_tensors(
    model: *const ernie_model,
    tensors: *const ernie_tensor,
    n_tensors: usize,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (model, out) = unsafe { (boundary::handle(model, "model")?, boundary::out(result, "result")?) };
        // SAFETY: the caller's obligation.
        let inputs = unsafe { tensor::read(tensors, n_tensors) }?;
        let views: Vec<_> = inputs.iter().map(tensor::InputTensor::view).collect();
        let outputs = model.model.infer_tensors(&views)?;
        out.write(ernie_result::into_raw(1, Output { raw_outputs: vec![outputs], ..Output::default() }));
        Ok(())
    })
}
