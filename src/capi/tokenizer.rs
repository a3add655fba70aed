//! `ernie_tokenizer`: texts to token ids and back, without ONNX Runtime.

use std::ffi::c_char;
use std::sync::Arc;

use super::boundary::{self, fallible, infallible};
use super::call::{self, ernie_call};
use super::input::{self, ernie_input, ernie_str};
use super::options::{self, ernie_options};
use super::result::ernie_result;
use super::status::ernie_status;
use crate::error::{Error, Result};
use crate::model_dir::tokenizer::TokenizerSpec;
use crate::model_dir::{self, limit_tokens};
use crate::options::Options;
use crate::pipeline::{Output, encode_all, encode_options};
use crate::tokenize::{SpecialTokensInDecoded, Texts, Tokenizer, Truncation};

/// Decoding leaves special tokens out; `[UNK]` is one.
pub const ERNIE_DECODE_SKIP_SPECIAL_TOKENS: u32 = 0;
/// Decoding writes special tokens by name.
pub const ERNIE_DECODE_KEEP_SPECIAL_TOKENS: u32 = 1;
/// For what a generator wrote, as the reference script of ERNIE-GEN does it: decoding ends at the first `[SEP]`; `[PAD]` and
/// `[UNK]` are written as a blank, other special tokens by name; WordPiece tokens of any scheme are joined by the rule of
/// scheme `ernie`.
pub const ERNIE_DECODE_GENERATED: u32 = 2;

/// What a tokenizer is. Set `struct_size` before asking. Ids are -1 where the vocabulary has no such token.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_tokenizer_info {
    /// `sizeof(ernie_tokenizer_info)` in the caller's header.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The scheme, as option `tokenizer` names it; lives as long as the library.
    pub scheme: *const c_char,
    /// The number of token ids: one more than the largest.
    pub vocab_size: usize,
    /// Tokens of a text or pair at most, special tokens included; 0 = no limit: nothing beside the tokenizer tells one.
    pub max_tokens: usize,
    /// Special tokens that are added to a text.
    pub n_added_tokens: usize,
    /// Special tokens that are added to a text with its pair.
    pub n_added_tokens_of_pair: usize,
    /// The id of `[CLS]`.
    pub cls_id: i64,
    /// The id of `[SEP]`.
    pub sep_id: i64,
    /// The id of `[PAD]`.
    pub pad_id: i64,
    /// The id of `[UNK]`.
    pub unk_id: i64,
    /// The id of `[MASK]`.
    pub mask_id: i64,
}

/// A tokenizer. `const` functions may be called from any number of threads at the same time.
#[derive(Debug)]
pub struct ernie_tokenizer {
    tokenizer: Arc<Tokenizer>,
    options: Options,
}

impl ernie_tokenizer {
    /// A handle that C owns.
    pub(super) fn into_raw(tokenizer: Arc<Tokenizer>, options: Options) -> *mut Self {
        Box::into_raw(Box::new(Self { tokenizer, options }))
    }
}

/// What the functions take that turn ids into texts, checked.
///
/// # Safety
/// - `tokenizer` is NULL or live; `ids` is NULL or points to `n_ids` ids; `result` is NULL or writable.
unsafe fn for_ids<'a>(
    tokenizer: *const ernie_tokenizer,
    ids: *const i64,
    n_ids: usize,
    result: *mut *mut ernie_result,
) -> Result<(&'a ernie_tokenizer, &'a [i64], boundary::Out<*mut ernie_result>)> {
    // SAFETY: the caller's obligation.
    unsafe {
        Ok((
            boundary::handle(tokenizer, "tokenizer")?,
            boundary::slice(ids, n_ids, "ids")?,
            boundary::out(result, "result")?,
        ))
    }
}

/// Opens the tokenizer of the model in directory `dir`. Needs no ONNX Runtime. `options` may be NULL; those that count
/// are `tokenizer`, `lowercase`, `mask_token`, `max_tokens`, `truncation`, `doc_stride`, `special_tokens` and `threads`.
/// The caller frees the tokenizer.
///
/// Errors: `NOT_FOUND` (no such directory, or a file that the scheme needs is missing), `INVALID_MODEL` (a broken
/// file), `UNSUPPORTED` (nothing tells the scheme, or one that is not supported), `INVALID_ARGUMENT`, `IO`.
///
/// # Safety
/// - `dir` is NULL or a NUL-terminated string; `options` is NULL or live; `tokenizer` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_tokenizer_open(
    dir: *const c_char,
    options: *const ernie_options,
    tokenizer: *mut *mut ernie_tokenizer,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (dir, mut options, out) =
            unsafe { (boundary::path(dir, "dir")?, options::read(options), boundary::out(tokenizer, "tokenizer")?) };
        let spec = TokenizerSpec::with_options(dir, &options)?;
        options.max_tokens = limit_tokens(options.max_tokens, model_dir::max_tokens(dir, spec.scheme)?)?;
        out.write(ernie_tokenizer::into_raw(Arc::new(Tokenizer::open(&spec)?), options));
        Ok(())
    })
}

/// Frees a tokenizer. NULL is allowed. Results taken from it stay valid.
///
/// # Safety
/// - `tokenizer` is NULL or was not freed yet, and no call on it is running.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_tokenizer_free(tokenizer: *mut ernie_tokenizer) {
    infallible((), || {
        if !tokenizer.is_null() {
            // SAFETY: made by `Box::into_raw` in `into_raw`; the rest is the caller's obligation.
            drop(unsafe { Box::from_raw(tokenizer) });
        }
    });
}

/// What a tokenizer is: its scheme, its limit, its special tokens.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or `info->struct_size` not set).
///
/// # Safety
/// - `tokenizer` is NULL or live; `info` is NULL or writable as far as its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_tokenizer_info_get(
    tokenizer: *const ernie_tokenizer,
    info: *mut ernie_tokenizer_info,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let handle = unsafe { boundary::handle(tokenizer, "tokenizer") }?;
        let (tokenizer, ids) = (&handle.tokenizer, handle.tokenizer.special_ids());
        let filled = ernie_tokenizer_info {
            struct_size: 0,
            reserved: 0,
            scheme: tokenizer.scheme().c_name().as_ptr(),
            vocab_size: tokenizer.vocab_size(),
            max_tokens: handle.options.max_tokens.unwrap_or(0),
            n_added_tokens: tokenizer.n_added_tokens(Texts::Single),
            n_added_tokens_of_pair: tokenizer.n_added_tokens(Texts::Pair),
            cls_id: ids.cls.unwrap_or(-1),
            sep_id: ids.sep.unwrap_or(-1),
            pad_id: ids.pad.unwrap_or(-1),
            unk_id: ids.unk.unwrap_or(-1),
            mask_id: ids.mask.unwrap_or(-1),
        };
        // SAFETY: the caller's obligation.
        unsafe { boundary::sized_output(info, filled, "info") }
    })
}

/// The tokens that ids stand for, as the vocabulary writes them (`##ing`, `▁the`): `ernie_result_text(result, k, ...)`
/// is that of `ids[k]`. The caller frees the result.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or an id outside the vocabulary: the message names it and its index).
///
/// # Safety
/// - `tokenizer` is NULL or live; `ids` is NULL or points to `n_ids` ids; `result` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_tokenizer_tokens(
    tokenizer: *const ernie_tokenizer,
    ids: *const i64,
    n_ids: usize,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (handle, ids, out) = unsafe { for_ids(tokenizer, ids, n_ids, result) }?;
        out.write(ernie_result::from_texts(&handle.tokenizer.tokens(ids)?));
        Ok(())
    })
}

/// The number of token ids: one more than the largest. 0 for NULL.
///
/// # Safety
/// - `tokenizer` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_tokenizer_vocab_size(tokenizer: *const ernie_tokenizer) -> usize {
    // SAFETY: the caller's obligation.
    infallible(0, || unsafe { tokenizer.as_ref() }.map_or(0, |t| t.tokenizer.vocab_size()))
}

/// The id of a token, such as `[MASK]`: `id` receives it, or -1 where the vocabulary has no such token.
///
/// Errors: `INVALID_UTF8`, `INVALID_ARGUMENT` (NULL).
///
/// # Safety
/// - `tokenizer` is NULL or live; `token` is as `ernie_str` says; `id` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_tokenizer_token_id(
    tokenizer: *const ernie_tokenizer,
    token: ernie_str,
    id: *mut i64,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (handle, out) = unsafe { (boundary::handle(tokenizer, "tokenizer")?, boundary::out(id, "id")?) };
        // SAFETY: the caller's obligation.
        let token = unsafe { token.text(|| "token".into()) }?;
        out.write(handle.tokenizer.id(token).unwrap_or(-1));
        Ok(())
    })
}

/// Token ids of texts: `ernie_result_tokens` gives ids, type ids, mask and byte offsets of each. `call` may be NULL;
/// `max_tokens`, `truncation`, `doc_stride`, `seed_truncate_to` and `special_tokens` of it count. Large batches are encoded
/// by several threads, in order. The caller frees the result.
///
/// With `ERNIE_TRUNCATION_WINDOWS` the result has an entry for each window, those of a text one after another:
/// `ernie_result_count` counts windows, and `ernie_tokens.input` and `.window` say which is which.
///
/// One text that cannot be encoded fails the call.
///
/// Errors: `INVALID_UTF8`, `TEXT_TOO_LONG` (both name the input; with windows too, where the text alone leaves no room for its
/// pair), `INVALID_ARGUMENT`, `UNSUPPORTED`.
///
/// # Safety
/// - `tokenizer` is NULL or live; `inputs` is NULL or points to `n_inputs` inputs; `call` is NULL or initialised;
///   `result` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_tokenizer_encode(
    tokenizer: *const ernie_tokenizer,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (handle, out) = unsafe { (boundary::handle(tokenizer, "tokenizer")?, boundary::out(result, "result")?) };
        // SAFETY: the caller's obligation.
        let (inputs, call) = unsafe { (input::all_texts(inputs, n_inputs)?, call::read(call)?) };
        let options = encode_options(&handle.options, &call, handle.options.max_tokens, Truncation::Truncate)?;
        let encodings = encode_all(&handle.tokenizer, &inputs, &options, handle.options.n_threads)?;
        out.write(ernie_result::into_raw(encodings.len(), Output { encodings, ..Output::default() }));
        Ok(())
    })
}

/// Writes token ids as text, for `ernie_result_text(result, 0, ...)`. `special_tokens` is `ERNIE_DECODE_...`. Pieces of
/// words are joined; what stands between words is the scheme's: `ernie` puts a blank before words of ASCII letters and
/// digits, as its reference does, `bert` between all, SentencePiece where the text had one. The caller frees the result.
///
/// Errors: `INVALID_ARGUMENT` (NULL, or an id outside the vocabulary: the message names it and its index).
///
/// # Safety
/// - `tokenizer` is NULL or live; `ids` is NULL or points to `n_ids` ids; `result` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_tokenizer_decode(
    tokenizer: *const ernie_tokenizer,
    ids: *const i64,
    n_ids: usize,
    special_tokens: u32,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (handle, ids, out) = unsafe { for_ids(tokenizer, ids, n_ids, result) }?;
        let special_tokens = match special_tokens {
            ERNIE_DECODE_SKIP_SPECIAL_TOKENS => SpecialTokensInDecoded::Skip,
            ERNIE_DECODE_KEEP_SPECIAL_TOKENS => SpecialTokensInDecoded::Keep,
            ERNIE_DECODE_GENERATED => SpecialTokensInDecoded::Generated,
            other => return Err(Error::argument(format!("special_tokens is {other}, it goes from 0 to 2"))),
        };
        out.write(ernie_result::from_texts(&[handle.tokenizer.decode(ids, special_tokens)?]));
        Ok(())
    })
}
