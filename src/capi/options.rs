//! `ernie_options`: how a model or tokenizer is opened.

use std::ffi::c_char;

use super::boundary::{self, fallible, infallible};
use super::status::ernie_status;
use crate::error::Result;
use crate::options::Options;
use crate::pipeline::check_provider;

/// How a model or tokenizer is opened. Changed by one thread at a time; any number may read it.
#[derive(Debug, Default)]
pub struct ernie_options(Options);

/// The options behind a pointer; the defaults for NULL.
///
/// # Safety
/// - `options` is NULL or live.
pub(super) unsafe fn read(options: *const ernie_options) -> Options {
    // SAFETY: the caller's obligation.
    unsafe { options.as_ref() }.map_or_else(Options::default, |options| options.0.clone())
}

/// New options with their defaults. The caller frees them.
#[unsafe(no_mangle)]
pub extern "C" fn ernie_options_new() -> *mut ernie_options {
    infallible(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Frees options. NULL is allowed. Models opened with them are not affected.
///
/// # Safety
/// - `options` is NULL or was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_options_free(options: *mut ernie_options) {
    infallible((), || {
        if !options.is_null() {
            // SAFETY: made by `Box::into_raw` in `ernie_options_new`; the rest is the caller's obligation.
            drop(unsafe { Box::from_raw(options) });
        }
    });
}

/// Sets one option; both strings are copied.
///
/// - `provider`: where the graph runs: `cpu` (default), `cuda`, `tensorrt`, or `openvino` (on the processor), of a runtime that has it; `device_id`: which
///   GPU of CUDA and TensorRT, from 0, or several separated by commas, each once, 64 at most: each has a session with a copy of the weights, and runs, also those of one
///   call, go to the one with the least to do; other providers ignore a single number and refuse several, also with `fallback` = `cpu`; `device_memory_mb`: megabytes, 16777216 at most, that CUDA's arena takes of its memory at most; 0 (default) = no limit
/// - `fallback`: what happens where the provider cannot be had: opening fails (`error`, default), or the model runs on the processor (`cpu`);
///   `ernie_model_info_get` tells where, and the log warns. Options that do not fit the provider asked for, and folders that are
///   not there, are errors in either case
/// - `provider_libraries`: folders, separated by colons, whose libraries of CUDA, cuDNN and TensorRT (the highest version of each) are loaded before
///   these providers, once a process, also from folders named `lib` up to two levels below, as in pip's `site-packages/nvidia`;
///   default: the system's loader finds them
/// - `engine_cache`: a directory that exists, where TensorRT keeps what it compiled of checkpoints, in a folder of its own for each graph with its
///   weights, device and runtime; folders are never removed; default: it compiles at every opening. Other providers do not use it
/// - `threads`: threads inside one operator, and for tokenizing large batches, 4096 at most; 0 (default) = one per physical core
/// - `spinning`: whether idle threads wait awake: `auto` (default: `runs` for a checkpoint with no more threads than cores, else
///   `off`), `off`, `runs` (while a run is under way), `on`; with more threads than cores the last two make runs many times slower
/// - `prepacking`: weights of a checkpoint are packed for the products of this library (`on`, default), or are used where they lie in the
///   file by ONNX Runtime's (`off`: opens in milliseconds, takes the file's pages only, is slower; a text alone and in a batch then
///   agree to rounding, not to the last bit; generators are always packed)
/// - `arena`: memory of runs is kept (`keep`, default), given back after each (`shrink`), or not pooled (`off`)
/// - `profile`: the beginning of a path to which ONNX Runtime writes its profile of every run when the model is freed (default: none)
/// - `precision`: how a checkpoint's weights are kept and multiplied: `auto` (as stored, multiplied as f32, default), `f32`, `f16` (rounded to
///   it, multiplied as f32, by CUDA and TensorRT as f16), `bf16` (layers by products of 16 bits with sums of 32), `int8` (layers by products of 8 bits: weights
///   have a scale for each output, tokens one each, so that a text gives the same alone and in any batch; heads stay f32,
///   the words of a head bf16); the last two need provider `cpu` and `prepacking`; an exported graph runs in the
///   precision it was stored in, and other values than `auto` are refused for it
/// - `weights`: the weights of a checkpoint, where they lie apart from its config or are several: a path as it stands
///   or in the model's directory, where a bare file name is looked for first
/// - `attention_mask`: which tokens of a text are attended to: `reference` (default: what the model's reference leaves out
///   is left out: a literal `[PAD]`, or `[CLS]` by ERNIE-M), `all`
/// - `max_rows` (32), `max_batch_tokens` (1024): what shares one run of the graph at most
/// - `max_queue`: calls that may wait for the model at a time: more are refused with `ERNIE_ERROR_BUSY`; 0 (default) = any number. A
///   call that runs no longer waits, but an asynchronous one counts until it ends: with 1, one call runs and one waits, or
///   one asynchronous call is under way
/// - `max_wait_us`: microseconds, 10,000,000 at most, that a run which is not full waits for texts of more callers: a lone caller waits
///   as long; 0 (default) = it waits only for callers that shared the run before it, a sixteenth of that run's time at most
/// - `async_threads` (32): threads at most that asynchronous calls are made in, from 1 to 4096
/// - `max_tokens`: tokens of a text, or of a text and its pair together, at most, special tokens included; 0 (default) = what
///   the model has
/// - `truncation`: `auto` (default: windows for reading comprehension and extraction, else `truncate`), `truncate`,
///   `error`, `longest_first`, `only_first`, `only_second`, `windows` (generation refuses it when it is called), as
///   `ERNIE_TRUNCATION_...` says; `doc_stride`: by how many tokens windows move; 0 (default) = 128, but half a window at most
/// - `seed_truncate_to`: cut to so many content tokens as the 2021 tokenizer does; 0 (default) = not
/// - `special_tokens`: `[CLS]` and the like in a text: `recognize` (default) or `plain`
/// - `tokenizer`: `auto` (default), `ernie`, `bert`, `bert-fast`, `bert-paddlenlp`, `ernie-tiny`, `ernie-m`, `ernie-m-hf`,
///   `tokenizer.json`; `lowercase`: `auto` (default), `on`, `off`; `mask_token`: `auto` (default), `special`, or
///   `none`: `[MASK]` in a text is text, which is the default of generators of paddle-ernie, as their reference has it
/// - `attention_token`: of a generator, the token that asks for the next one: `auto` (default: `[ATTN]`, else `[MASK]`), or a token;
///   `target_type_id`: the type of the tokens that it writes: `auto` (default: 3, or the last that the model has), or a number
/// - `draft_tokens`: of a generator on the processor whose weights are multiplied as f32, words that greedy search, or sampling of one sequence, has
///   guessed ahead by a copy of the weights in 8 bits (a quarter more memory, made by the first such call, shared by models of the same files), and
///   then checks in one run of the model: texts and scores are the same to the last bit, in about half the time where most guesses are
///   right; fewer are guessed where they are not, or where more texts are written together (with 5 none beyond 3 texts), within `max_rows` and `max_batch_tokens`.
///   16 at most, default 5; 0 = none. Where there is no memory for the copy the log warns, and none are guessed
/// - `task`: `auto` (default), `encoder`, `sequence_classification`, `token_classification`, `question_answering`,
///   `masked_lm`, `information_extraction`, `multiple_choice`, `dual_encoder`, `cross_encoder`, `generation`, or `tensors`
///   for any model with `ernie_infer_tensors` only
/// - `problem`: `auto` (default), `single_label`, `multi_label`, `regression`
/// - `labels`: the names of labels, a file of the model's directory or a path: JSON `{"name": id}`, `{"id": "name"}` or
///   `["name", ...]`, or lines `name` or `name<TAB>id`; default: those of the config, else of `label_map.json`
/// - `average_layers`: tokens' vectors are the mean of so many of the last layers; default 1
/// - `graph`: run this graph of the directory; default: the checkpoint, else `model.onnx` or the only `.onnx` file
/// - `inputs`, `outputs`: names of the graph by role, where they are not the usual ones: `input_ids=x,token_type_ids=y`
///
/// Errors: `INVALID_ARGUMENT` (NULL, unknown key or value; the message lists what there is), `INVALID_UTF8`.
///
/// # Safety
/// - `options` is NULL or live, and no other thread uses it; `key` and `value` are NULL or NUL-terminated strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_options_set(
    options: *mut ernie_options,
    key: *const c_char,
    value: *const c_char,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (options, key, value) = unsafe {
            (boundary::handle_mut(options, "options")?, boundary::c_str(key, "key")?, boundary::c_str(value, "value")?)
        };
        options.0.set(key, value)
    })
}

/// Sets where the graph runs: `provider` is `cpu`, `cuda`, `tensorrt` or `openvino`, `device_id` says which GPU, from 0. Several GPUs are set by option
/// `device_id` of `ernie_options_set` after this, which takes the place of what was set before.
///
/// Errors: `INVALID_ARGUMENT` (NULL, unknown provider, negative device). Whether the provider can be had is found out
/// when a model is opened.
///
/// # Safety
/// - As `ernie_options_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_options_set_provider(
    options: *mut ernie_options,
    provider: *const c_char,
    device_id: i32,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (options, provider) =
            unsafe { (boundary::handle_mut(options, "options")?, boundary::c_str(provider, "provider")?) };
        set_provider(&mut options.0, provider, device_id)
    })
}

/// Whether the provider of these options can be used here (NULL: the processor): its runtime and libraries are loaded, and each of its devices runs a graph of
/// one addition. Opening a model begins with it; this tells it without a model. Loads ONNX Runtime when none is loaded yet, as `ernie_model_open` does.
/// Callable from any thread.
///
/// Errors: `RUNTIME_MISSING`, `PROVIDER_UNAVAILABLE` (the message has the words of the loader or of the device: which library is
/// missing, which device there is not), `INVALID_ARGUMENT` (a folder of `provider_libraries` is not there, or several
/// devices of a provider that has one).
///
/// # Safety
/// - `options` is NULL or live, and no other thread changes it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_provider_check(options: *const ernie_options) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        check_provider(&unsafe { read(options) })
    })
}

fn set_provider(options: &mut Options, provider: &str, device_id: i32) -> Result<()> {
    let mut changed = options.clone();
    changed.set("provider", provider)?;
    changed.set("device_id", &device_id.to_string())?;
    *options = changed;
    Ok(())
}
