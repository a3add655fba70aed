//! `ernie_tokens` and `ernie_span`: how a text was cut, and where.

use super::boundary::{self, fallible};
use super::result::{entry, ernie_result};
use super::status::ernie_status;
use crate::tokenize::{ADDED_TOKEN, Span};

/// A token of the text.
pub const ERNIE_SEQUENCE_TEXT: u8 = 0;
/// A token of the pair.
pub const ERNIE_SEQUENCE_PAIR: u8 = 1;
/// An added token: of neither.
pub const ERNIE_SEQUENCE_NONE: u8 = 255;

/// A half-open range of bytes in the caller's text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_span {
    /// The first byte.
    pub begin: usize,
    /// One past the last byte.
    pub end: usize,
}

impl From<Span> for ernie_span {
    fn from(span: Span) -> Self {
        Self { begin: span.begin, end: span.end }
    }
}

/// The tokens of one text or pair. Set `struct_size` before asking. Arrays have `n_tokens` entries, live as long as
/// the result and are not NULL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_tokens {
    /// `sizeof(ernie_tokens)` in the caller's header.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The number of tokens, special tokens included.
    pub n_tokens: usize,
    /// Token ids.
    pub input_ids: *const i64,
    /// 0 for the text, 1 for the pair, as the model takes them; for ERNIE-M, which takes none, 1 from the first `[SEP]` on.
    /// `sequence` tells which text a token is of.
    pub token_type_ids: *const i64,
    /// 1 for every token.
    pub attention_mask: *const i64,
    /// Where each token lies in its text (which one, `sequence` tells), in bytes; `0..0` for added tokens. Several tokens that
    /// one character became all cover it; a SentencePiece mark for a blank that the text has not covers nothing.
    pub offsets: *const ernie_span,
    /// Which text each token is from: `ERNIE_SEQUENCE_...`.
    pub sequence: *const u8,
    /// Tokens of text and pair that were cut because they were too long; 0 = nothing was cut.
    pub n_truncated_tokens: usize,
    /// How many of them are the pair's.
    pub n_truncated_pair_tokens: usize,
    /// The bytes of the text that were cut; `0..0` = none.
    pub truncated_text: ernie_span,
    /// The bytes of the pair that were cut; `0..0` = none.
    pub truncated_pair: ernie_span,
    /// Which input of the call this is of.
    pub input: usize,
    /// Which window of it, from 0.
    pub window: usize,
    /// How many windows it has; 1 unless `ERNIE_TRUNCATION_WINDOWS` was asked for and the input is too long.
    pub n_windows: usize,
}

// Offsets are handed out as they are stored.
const _: () = assert!(
    size_of::<Span>() == size_of::<ernie_span>()
        && std::mem::offset_of!(Span, begin) == std::mem::offset_of!(ernie_span, begin)
        && std::mem::offset_of!(Span, end) == std::mem::offset_of!(ernie_span, end)
);

/// The tokens of entry `index`: an input, or a window of one.
///
/// Errors: `INVALID_ARGUMENT` (NULL, `tokens->struct_size` not set, no such input, or the call has no tokens).
///
/// # Safety
/// - `result` is NULL or live; `tokens` is NULL or writable as far as its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_tokens(
    result: *const ernie_result,
    index: usize,
    tokens: *mut ernie_tokens,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let result = unsafe { boundary::handle(result, "result") }?;
        let found = entry(&result.encodings, index, result.n_encodings(), "tokens")?;
        let filled = ernie_tokens {
            struct_size: 0,
            reserved: 0,
            n_tokens: found.input_ids.len(),
            input_ids: found.input_ids.as_ptr(),
            token_type_ids: found.token_type_ids.as_ptr(),
            attention_mask: found.attention_mask.as_ptr(),
            offsets: found.offsets.as_ptr().cast(),
            sequence: found.sequence.as_ptr(),
            n_truncated_tokens: found.n_truncated_tokens(),
            n_truncated_pair_tokens: found.truncated[1].n_tokens,
            truncated_text: found.truncated[0].span.into(),
            truncated_pair: found.truncated[1].span.into(),
            input: found.input,
            window: found.window,
            n_windows: found.n_windows,
        };
        // SAFETY: the caller's obligation.
        unsafe { boundary::sized_output(tokens, filled, "tokens") }
    })
}

/// The fragment of a text that tokens `first_token` up to, not including, `end_token` of entry `index` cover: `sequence`
/// receives `ERNIE_SEQUENCE_...` (`NONE` where the range holds added tokens only), and `span` the bytes of that text.
///
/// Errors: `INVALID_ARGUMENT` (NULL, no such entry or tokens, or the range holds tokens of both texts).
///
/// # Safety
/// - `result` is NULL or live; `sequence` and `span` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_fragment(
    result: *const ernie_result,
    index: usize,
    first_token: usize,
    end_token: usize,
    sequence: *mut u8,
    span: *mut ernie_span,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (result, sequence_out, span_out) = unsafe {
            (boundary::handle(result, "result")?, boundary::out(sequence, "sequence")?, boundary::out(span, "span")?)
        };
        let found =
            entry(&result.encodings, index, result.n_encodings(), "tokens")?.fragment(first_token..end_token)?;
        let (sequence, span) = found.unwrap_or((ADDED_TOKEN, Span::default()));
        sequence_out.write(sequence);
        span_out.write(span.into());
        Ok(())
    })
}
