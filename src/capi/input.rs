//! `ernie_str` and `ernie_input`: texts as the caller has them.

use std::ffi::c_char;

use super::boundary;
use crate::error::{Error, Result};
use crate::pipeline::Input;

/// A text: `len` bytes of UTF-8 at `data`, which need not be NUL-terminated and may contain NUL bytes. `data` may be
/// NULL when `len` is 0.
///
/// Where the library gives one, `data` is never NULL and `data[len]` is a NUL byte.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_str {
    /// The first byte.
    pub data: *const c_char,
    /// The number of bytes.
    pub len: usize,
}

/// A text, or a text and its pair (question and passage, two sentences to compare). There is no pair when
/// `pair.data` is NULL; an empty pair has a `data` that is not NULL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_input {
    /// The text.
    pub text: ernie_str,
    /// The pair, if any.
    pub pair: ernie_str,
}

impl ernie_str {
    /// The empty text, as the library gives it.
    pub(super) const EMPTY: Self = Self { data: c"".as_ptr(), len: 0 };

    /// The text, checked.
    ///
    /// # Safety
    /// - `data` is NULL or points to `len` bytes that nobody changes during `'a`.
    pub(super) unsafe fn text<'a>(self, what: impl Fn() -> String) -> Result<&'a str> {
        if self.len > isize::MAX as usize || self.data.is_null() && self.len > 0 {
            let place = if self.data.is_null() { " at NULL" } else { "" };
            return Err(Error::argument(format!("{} cannot have {} bytes{place}", what(), self.len)));
        }
        // SAFETY: the caller's obligation.
        let bytes = unsafe { boundary::slice(self.data.cast::<u8>(), self.len, "text") }?;
        std::str::from_utf8(bytes).map_err(|e| Error::InvalidUtf8 { what: what(), byte_offset: e.valid_up_to() })
    }
}

/// The texts of a call, checked; the first that is none fails.
///
/// # Safety
/// - As [`texts`].
pub(super) unsafe fn all_texts<'a>(inputs: *const ernie_input, n_inputs: usize) -> Result<Vec<Input<'a>>> {
    // SAFETY: the caller's obligation.
    unsafe { texts(inputs, n_inputs) }?.into_iter().collect()
}

/// The texts of a call, each checked.
///
/// # Safety
/// - `inputs` is NULL or points to `n_inputs` values whose texts are as [`ernie_str`] says.
pub(super) unsafe fn texts<'a>(inputs: *const ernie_input, n_inputs: usize) -> Result<Vec<Result<Input<'a>>>> {
    // SAFETY: the caller's obligation.
    let inputs = unsafe { boundary::slice(inputs, n_inputs, "inputs") }?;
    let read = |(index, input): (usize, &ernie_input)| {
        // SAFETY: the caller's obligation.
        let text = unsafe { input.text.text(|| format!("input {index}: the text")) }?;
        let pair = if input.pair.data.is_null() && input.pair.len == 0 {
            None
        } else {
            // SAFETY: the caller's obligation.
            Some(unsafe { input.pair.text(|| format!("input {index}: the pair")) }?)
        };
        Ok(Input { text, pair })
    };
    Ok(inputs.iter().enumerate().map(read).collect())
}
