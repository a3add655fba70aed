//! `ernie_generated`: a text that was written.

use super::boundary::{self, fallible};
use super::input::ernie_str;
use super::result::{Strings, entry, ernie_result};
use super::status::ernie_status;
use crate::pipeline::{Finish, Generated};

/// The model ended the text.
pub const ERNIE_FINISH_END: u32 = 0;
/// It has as many tokens as it may have.
pub const ERNIE_FINISH_LENGTH: u32 = 1;
/// One of the stop strings follows.
pub const ERNIE_FINISH_STOP_STRING: u32 = 2;
/// The function that takes texts returned 0.
pub const ERNIE_FINISH_STOPPED: u32 = 3;

/// Nothing may follow: all tokens are forbidden.
pub const ERNIE_FINISH_EXHAUSTED: u32 = 4;

/// A text that was written.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_generated {
    /// The text, as the reference's script writes tokens.
    pub text: ernie_str,
    /// Its tokens, without the one that ended it, with those of a stop string that are not part of the text.
    pub token_ids: *const i64,
    /// The number of tokens.
    pub n_tokens: usize,
    /// Of beam search what hypotheses are compared by; else the logarithm of the text's probability.
    pub score: f32,
    /// The logarithm of the text's probability, with that of its end and of forced tokens: what is left of the model's after
    /// forbidden tokens and penalties, before `temperature`, `top_k` and `top_p`.
    pub log_probability: f32,
    /// `ERNIE_FINISH_...`: why it ends.
    pub finish: u32,
    /// Always 0.
    pub reserved: u32,
}

impl Strings {
    pub(super) fn generated(&mut self, generated: &Generated) -> ernie_generated {
        let token_ids = generated.token_ids.clone();
        let view = ernie_generated {
            text: self.add(&generated.text),
            // Also of none not NULL.
            token_ids: token_ids.as_ptr(),
            n_tokens: token_ids.len(),
            score: generated.score,
            log_probability: generated.log_probability,
            finish: match generated.finish {
                Finish::Length => ERNIE_FINISH_LENGTH,
                Finish::StopString => ERNIE_FINISH_STOP_STRING,
                Finish::Stopped => ERNIE_FINISH_STOPPED,
                Finish::Exhausted => ERNIE_FINISH_EXHAUSTED,
                Finish::End => ERNIE_FINISH_END,
            },
            reserved: 0,
        };
        self.token_ids.push(token_ids);
        view
    }
}

/// The texts that `ernie_generate` wrote for input `index`: `n_sequences`, the best first; with sampling in the order of their
/// numbers; with beam search fewer where there are no more hypotheses; none where the input is an error.
///
/// Errors: `INVALID_ARGUMENT` (NULL, no such input, or the call wrote no texts).
///
/// # Safety
/// - `result` is NULL or live; `generated` and `n_generated` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_result_generated(
    result: *const ernie_result,
    index: usize,
    generated: *mut *const ernie_generated,
    n_generated: *mut usize,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (result, generated, n_generated) = unsafe {
            (
                boundary::handle(result, "result")?,
                boundary::out(generated, "generated")?,
                boundary::out(n_generated, "n_generated")?,
            )
        };
        let found = entry(&result.generated, index, result.n_inputs, "generated texts")?;
        generated.write(found.as_ptr());
        n_generated.write(found.len());
        Ok(())
    })
}
