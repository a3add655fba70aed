//! `ernie_call`: what one call wants.

use super::boundary;
use crate::error::{Error, Result};
use crate::options::Problem;
use crate::pipeline::{Call, Normalize, Pooling};
use crate::tokenize::{SpecialTokensInText, Truncation};

/// The model's own pooler where it has one, else the first token.
pub const ERNIE_POOLING_DEFAULT: u32 = 0;
/// The model's own pooler, a layer with tanh over the first token.
pub const ERNIE_POOLING_POOLER: u32 = 1;
/// The vector of the first token, `[CLS]`.
pub const ERNIE_POOLING_CLS: u32 = 2;
/// The mean over all tokens, `[CLS]` and `[SEP]` included.
pub const ERNIE_POOLING_MEAN: u32 = 3;
/// The largest value of each dimension over all tokens.
pub const ERNIE_POOLING_MAX: u32 = 4;

/// Vectors as the model gives them.
pub const ERNIE_NORMALIZE_NONE: u32 = 0;
/// Vectors divided by their Euclidean length.
pub const ERNIE_NORMALIZE_L2: u32 = 1;

/// As the model's options say.
pub const ERNIE_TRUNCATION_DEFAULT: u32 = 0;
/// Longer texts are cut by the tokenizer's own rule: that of `ERNIE_TRUNCATION_LONGEST_FIRST`, but for `ernie` and
/// `ernie-tiny`, which cut both texts of a pair to halves.
pub const ERNIE_TRUNCATION_TRUNCATE: u32 = 1;
/// Longer texts are an error: `ERNIE_ERROR_TEXT_TOO_LONG`.
pub const ERNIE_TRUNCATION_ERROR: u32 = 2;
/// The longer of text and pair is cut until both fit; of equals the pair, or the text with `bert-fast` and `tokenizer.json`.
pub const ERNIE_TRUNCATION_LONGEST_FIRST: u32 = 3;
/// The text is cut, never the pair.
pub const ERNIE_TRUNCATION_ONLY_FIRST: u32 = 4;
/// The pair is cut, never the text.
pub const ERNIE_TRUNCATION_ONLY_SECOND: u32 = 5;
/// Nothing is cut: the pair, or a text without pair, is given in windows (`ernie_call.doc_stride`), each with all of the
/// other. Only `ernie_tokenizer_encode` gives windows.
pub const ERNIE_TRUNCATION_WINDOWS: u32 = 6;

/// As the model's options say.
pub const ERNIE_SPECIAL_TOKENS_DEFAULT: u32 = 0;
/// `[CLS]`, `[MASK]` and the like in a text are those tokens, as the references have it; that of `ernie-tiny` knows none.
pub const ERNIE_SPECIAL_TOKENS_RECOGNIZE: u32 = 1;
/// They are text like any other: for texts of unknown origin.
pub const ERNIE_SPECIAL_TOKENS_PLAIN: u32 = 2;

/// What the model says; else softmax for several labels, the raw value for one.
pub const ERNIE_PROBLEM_DEFAULT: u32 = 0;
/// One label of several: softmax.
pub const ERNIE_PROBLEM_SINGLE_LABEL: u32 = 1;
/// Any number of labels: a sigmoid each.
pub const ERNIE_PROBLEM_MULTI_LABEL: u32 = 2;
/// A number: the raw value.
pub const ERNIE_PROBLEM_REGRESSION: u32 = 3;

/// Bit of `ernie_call.outputs`: the vectors of all tokens, for `ernie_result_token_matrix`.
pub const ERNIE_OUTPUT_TOKENS: u32 = 1;
/// Bit of `ernie_call.outputs`: the graph's own outputs for each text, for `ernie_result_tensor`.
pub const ERNIE_OUTPUT_RAW: u32 = 2;

/// What one call wants. Initialise with `ERNIE_CALL_INIT`: every field that stays 0 has the default of its kind.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_call {
    /// `sizeof(ernie_call)` in the caller's header: tells the library which fields exist.
    pub struct_size: u32,
    /// `ERNIE_POOLING_...`: how one vector is made of a text's token vectors.
    pub pooling: u32,
    /// `ERNIE_NORMALIZE_...`: what is done to the length of vectors.
    pub normalize: u32,
    /// `ERNIE_TRUNCATION_...`: what happens to texts that are too long.
    pub truncation: u32,
    /// `ERNIE_SPECIAL_TOKENS_...`: what `[CLS]`-like strings in a text are.
    pub special_tokens: u32,
    /// `ERNIE_PROBLEM_...`: what a classifier's raw scores mean.
    pub problem: u32,
    /// Bits `ERNIE_OUTPUT_...`: what is wanted beside the main result.
    pub outputs: u32,
    /// Labels in a result at most; 0 = all.
    pub top_k: u32,
    /// Tokens of a text, or of a text and its pair together, at most, special tokens included; 0 = as the options say.
    pub max_tokens: usize,
    /// With `ERNIE_TRUNCATION_WINDOWS`: by how many tokens a window begins after the one before (not by how many they
    /// overlap); 0 = as the options say. Windows never leave a gap.
    pub doc_stride: usize,
    /// `truncate_to` of the 2021 tokenizer, oddities included: it counts content tokens only, and of a pair may keep more
    /// (7 and 31 tokens cut to 5 are 5 and 2) or nothing of the text (32 and 33 cut to 32 are 0 and 16). For schemes `ernie`
    /// and `ernie-tiny`, with no other truncation; 0 = as the options say. `max_tokens` holds besides.
    pub seed_truncate_to: usize,
}

fn choose<T: Copy>(field: &str, value: u32, choices: &[T]) -> Result<T> {
    choices
        .get(value as usize)
        .copied()
        .ok_or_else(|| Error::argument(format!("call.{field} is {value}, it goes from 0 to {}", choices.len() - 1)))
}

/// The caller's wishes, checked; the defaults for NULL.
///
/// # Safety
/// - `call` is NULL or points to `struct_size` readable bytes.
pub(super) unsafe fn read(call: *const ernie_call) -> Result<Call> {
    if call.is_null() {
        return Ok(Call::default());
    }
    // SAFETY: the caller's obligation.
    let call = unsafe { boundary::sized_input(call, "call") }?;
    if call.outputs & !(ERNIE_OUTPUT_TOKENS | ERNIE_OUTPUT_RAW) != 0 {
        return Err(Error::argument(format!("call.outputs is {:#x}, it has unknown bits", call.outputs)));
    }
    let poolings = [Pooling::Default, Pooling::Pooler, Pooling::Cls, Pooling::Mean, Pooling::Max];
    let truncations = [
        None,
        Some(Truncation::Truncate),
        Some(Truncation::Error),
        Some(Truncation::LongestFirst),
        Some(Truncation::OnlyFirst),
        Some(Truncation::OnlySecond),
        Some(Truncation::Windows),
    ];
    let special = [None, Some(SpecialTokensInText::Recognize), Some(SpecialTokensInText::Plain)];
    let problems = [None, Some(Problem::SingleLabel), Some(Problem::MultiLabel), Some(Problem::Regression)];
    Ok(Call {
        pooling: choose("pooling", call.pooling, &poolings)?,
        normalize: choose("normalize", call.normalize, &[Normalize::None, Normalize::L2])?,
        max_tokens: (call.max_tokens > 0).then_some(call.max_tokens),
        truncation: choose("truncation", call.truncation, &truncations)?,
        doc_stride: (call.doc_stride > 0).then_some(call.doc_stride),
        seed_truncate_to: (call.seed_truncate_to > 0).then_some(call.seed_truncate_to),
        special_tokens_in_text: choose("special_tokens", call.special_tokens, &special)?,
        problem: choose("problem", call.problem, &problems)?,
        top_k: (call.top_k > 0).then_some(call.top_k as usize),
        with_token_vectors: call.outputs & ERNIE_OUTPUT_TOKENS != 0,
        with_raw_outputs: call.outputs & ERNIE_OUTPUT_RAW != 0,
    })
}
