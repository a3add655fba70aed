//! `ernie_call`: what one call wants.

use std::sync::Arc;

use super::boundary;
use super::cancel::ernie_cancel;
use super::input::ernie_str;
use crate::error::{Error, Result};
use crate::options::Problem;
use crate::pipeline::{Admission, AnswerSpan, Call, NoAnswer, Normalize, Pooling, Schema, SchemaLanguage, Tags, Words};
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

/// As the model's options say; where they say nothing, windows for reading comprehension and extraction (but for calls that
/// want raw outputs), else `ERNIE_TRUNCATION_TRUNCATE`.
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
/// Nothing is cut: the pair, or a text without pair, goes through in windows (`ernie_call.doc_stride`), each with all of the
/// other, and what they give is put together: `ernie_infer` says how. Generation refuses it.
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

/// One input that cannot be answered fails the call.
pub const ERNIE_ERRORS_CALL: u32 = 0;
/// It has no findings, a row of NaN and no tokens; `ernie_result_error` says why, and the others are answered.
pub const ERNIE_ERRORS_INPUT: u32 = 1;

/// Words stand between bytes 0x02 where the text has such a byte, else they are those of the tokenizer.
pub const ERNIE_WORDS_AUTO: u32 = 0;
/// Words stand between bytes 0x02, as in the data of paddle-ernie; each is tokenized alone.
pub const ERNIE_WORDS_SEPARATED: u32 = 1;
/// Words are those of the tokenizer: pieces of a word belong together.
pub const ERNIE_WORDS_FOUND: u32 = 2;

/// Token classification gives entities, by the labels' names; of a model whose labels have no names, words.
pub const ERNIE_TAGS_ENTITIES: u32 = 0;
/// It gives an item for each word, also for words without a prediction (`id` -1).
pub const ERNIE_TAGS_WORDS: u32 = 1;

/// An answer is what the reference prints. The script of paddle-ernie cannot find some tokens again in the passage
/// (unknown words, accents) and prints everything between two ideographs; else as `ERNIE_ANSWER_TOKENS`.
pub const ERNIE_ANSWER_REFERENCE: u32 = 0;
/// An answer is what its tokens cover.
pub const ERNIE_ANSWER_TOKENS: u32 = 1;

/// No answer is none of the answers. There may still be none that fits (`max_answer_tokens`, `n_best`).
pub const ERNIE_NO_ANSWER_NEVER: u32 = 0;
/// No answer (`id` -1, no text) is one of the answers, with its score, as in SQuAD 2.0.
pub const ERNIE_NO_ANSWER_ALLOWED: u32 = 1;

/// Prompts of what belongs to a finding X are `X的Y`.
pub const ERNIE_SCHEMA_CHINESE: u32 = 0;
/// They are `Y of X`.
pub const ERNIE_SCHEMA_ENGLISH: u32 = 1;

/// Bit of `ernie_call.outputs`: the vectors of all tokens, or the logits of all words of token classification, for
/// `ernie_result_token_matrix`.
pub const ERNIE_OUTPUT_TOKENS: u32 = 1;
/// Bit of `ernie_call.outputs`: the graph's own outputs for each text, for `ernie_result_tensor`. Generation gives them
/// instead of texts.
pub const ERNIE_OUTPUT_RAW: u32 = 2;

/// What one call wants. Initialise with `ERNIE_CALL_INIT`: every field that stays 0 has the default of its kind. Fields that
/// are another task's than the model's count for nothing.
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
    /// Bits `ERNIE_OUTPUT_...`: what is wanted beside the main result (of generation, instead of it).
    pub outputs: u32,
    /// Findings of an input at most: labels, answers, words of each `[MASK]` (0 = 5), candidates; 0 = all.
    pub top_k: u32,
    /// Tokens of a text, or of a text and its pair together, at most, special tokens included; 0 = as the options say.
    pub max_tokens: usize,
    /// With windows: by how many tokens a window begins after the one before (not by how many they overlap); 0 = as the
    /// options say. Windows never leave a gap. Each token goes through as many windows as it lies in: with 512 tokens and the
    /// 128 of reading comprehension that is four times the work of windows that do not overlap.
    pub doc_stride: usize,
    /// `truncate_to` of the 2021 tokenizer, oddities included: it counts content tokens only, and of a pair may keep more
    /// (7 and 31 tokens cut to 5 are 5 and 2) or nothing of the text (32 and 33 cut to 32 are 0 and 16). For schemes `ernie`
    /// and `ernie-tiny`, with no other truncation; 0 = as the options say. `max_tokens` holds besides.
    pub seed_truncate_to: usize,
    /// `ERNIE_ERRORS_...`: whether one bad input fails the call.
    pub errors: u32,
    /// From 0 to 1: labels and entities count above this probability, extracted findings where those of their first and of
    /// their last token are both above it; 0 = 0.5 for extraction, none for the others.
    pub threshold: f32,
    /// Token classification, `ERNIE_WORDS_...`: how a text falls into words.
    pub words: u32,
    /// Token classification, `ERNIE_TAGS_...`: what it gives.
    pub tags: u32,
    /// Reading comprehension, `ERNIE_ANSWER_...`: which characters are an answer.
    pub answer_span: u32,
    /// Reading comprehension, `ERNIE_NO_ANSWER_...`: whether a question may have none.
    pub no_answer: u32,
    /// Cloze: 1 = only tokens that are words of their own, no pieces and no special tokens; 0 = all.
    pub whole_words: u32,
    /// Extraction, `ERNIE_SCHEMA_...`: in which language prompts are put together.
    pub schema_language: u32,
    /// Reading comprehension: starts and ends of each window that are paired, and answers at most; 0 = 20, 1000
    /// at most.
    pub n_best: usize,
    /// Reading comprehension: tokens of an answer at most; 0 = 100.
    pub max_answer_tokens: usize,
    /// Reading comprehension: tokens of a question at most, the rest is cut; 0 = 64, with raw outputs no limit.
    pub max_question_tokens: usize,
    /// Cloze: the words that may stand for a `[MASK]`, of one token or several; NULL = all of the vocabulary.
    pub candidates: *const ernie_str,
    /// The number of candidates.
    pub n_candidates: usize,
    /// Extraction: what is looked for, as JSON: a name, a list of names and objects, or an object of names with what belongs
    /// to them in one of these forms again (`["人物", {"竞赛名称": ["主办方", "时间"]}]`), 16 deep and 4096 names at most. Empty: the text is a prompt and its pair what is searched.
    pub schema: ernie_str,
    /// What ends the call from another thread; NULL = nothing. It lives as long as the call takes.
    pub cancel: *const ernie_cancel,
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
    // SAFETY: the caller's obligation.
    unsafe { read_with_errors(call) }.map(|(call, _)| call)
}

/// The same, and whose errors are told one by one.
///
/// # Safety
/// - As [`read`].
pub(super) unsafe fn read_with_errors(call: *const ernie_call) -> Result<(Call, Errors)> {
    if call.is_null() {
        return Ok((Call::default(), Errors::OfCall));
    }
    // SAFETY: the caller's obligation.
    let call: ernie_call = unsafe { boundary::sized_input(call, "call") }?;
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
    if !(0.0..=1.0).contains(&call.threshold) {
        return Err(Error::argument(format!("call.threshold is {}, it goes from 0 to 1", call.threshold)));
    }
    // SAFETY: the caller's obligation.
    let (candidates, schema) = unsafe { (read_candidates(&call)?, call.schema.text(|| "call.schema".into())?) };
    let schema = if schema.is_empty() { None } else { Some(Arc::new(Schema::parse(schema)?)) };
    let errors = choose("errors", call.errors, &[Errors::OfCall, Errors::OfInput])?;
    let read = Call {
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
        threshold: (call.threshold > 0.0).then_some(call.threshold),
        words: choose("words", call.words, &[Words::Auto, Words::Separated, Words::Found])?,
        tags: choose("tags", call.tags, &[Tags::Entities, Tags::Words])?,
        answer_span: choose("answer_span", call.answer_span, &[AnswerSpan::Reference, AnswerSpan::Tokens])?,
        no_answer: choose("no_answer", call.no_answer, &[NoAnswer::Never, NoAnswer::Allowed])?,
        whole_words: choose("whole_words", call.whole_words, &[false, true])?,
        schema_language: {
            let languages = [SchemaLanguage::Chinese, SchemaLanguage::English];
            choose("schema_language", call.schema_language, &languages)?
        },
        n_best: (call.n_best > 0).then_some(call.n_best),
        max_answer_tokens: (call.max_answer_tokens > 0).then_some(call.max_answer_tokens),
        max_question_tokens: (call.max_question_tokens > 0).then_some(call.max_question_tokens),
        candidates,
        schema,
        // SAFETY: NULL or live, by the caller's obligation.
        cancel: unsafe { call.cancel.as_ref() }.map(|handle| Arc::clone(&handle.cancel)),
        admission: Admission::Limited,
    };
    Ok((read, errors))
}

/// # Safety
/// - `candidates` is NULL or points to `n_candidates` texts as [`ernie_str`] says.
unsafe fn read_candidates(call: &ernie_call) -> Result<Vec<String>> {
    // SAFETY: the caller's obligation.
    let candidates = unsafe { boundary::slice(call.candidates, call.n_candidates, "call.candidates") }?;
    let read = |(index, text): (usize, &ernie_str)| {
        // SAFETY: the caller's obligation.
        unsafe { text.text(|| format!("call.candidates[{index}]")) }.map(ToOwned::to_owned)
    };
    candidates.iter().enumerate().map(read).collect()
}

/// Whose errors are told one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errors {
    OfCall,
    OfInput,
}
