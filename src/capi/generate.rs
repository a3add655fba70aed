//! `ernie_generate`: texts that a model writes, and how.

use std::ffi::{c_char, c_void};

use super::boundary::{self, fallible};
use super::call::{self, Errors, ernie_call};
use super::input::{self, ernie_input, ernie_str};
use super::model::ernie_model;
use super::result::ernie_result;
use super::status::ernie_status;
use crate::error::{Error, Result};
use crate::pipeline::{Decoding, Generation, OnText, Piece, SourcePadding};

/// The best of several hypotheses, as the reference's script finds it.
pub const ERNIE_DECODING_BEAM: u32 = 0;
/// The likeliest token, each time.
pub const ERNIE_DECODING_GREEDY: u32 = 1;
/// By chance, as likely as the model says.
pub const ERNIE_DECODING_SAMPLE: u32 = 2;

/// Every text sees its own source: its words are the same alone and in any batch.
pub const ERNIE_SOURCE_PADDING_NONE: u32 = 0;
/// Sources are filled up to the longest of the call (of those that can be sources) and words see the padding, as in batches of the reference: a text's words depend on
/// the other texts.
pub const ERNIE_SOURCE_PADDING_REFERENCE: u32 = 1;

/// Takes a piece of the text of sequence `sequence` of input `input`: `len` bytes of UTF-8 at `text`, whole characters, which follow the
/// pieces before them, valid during the call; in which order the sequences of a call get theirs is not said. Returns 0 to end that sequence there (`ERNIE_FINISH_STOPPED`; with beam search all of its
/// input, whose texts are the hypotheses as they stand), else to go on; to end the whole call, signal its `cancel`. Called by the thread that called `ernie_generate`; may call other functions, on the same model too; must not
/// throw.
pub type ernie_text_fn = Option<
    unsafe extern "C" fn(user: *mut c_void, input: usize, sequence: usize, text: *const c_char, len: usize) -> i32,
>;

/// How texts are written. Initialise with `ERNIE_GENERATION_INIT`, which holds the defaults told here.
///
/// With another decoding, fields of sampling must have their defaults, and those of beam search count for nothing. All
/// fields but `n_beams` must always be in their ranges.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_generation {
    /// `sizeof(ernie_generation)` in the caller's header: tells the library which fields exist.
    pub struct_size: u32,
    /// `ERNIE_DECODING_...`: how tokens are chosen. Default: beam search.
    pub decoding: u32,
    /// Beam search: hypotheses that are followed, from 1 to 64. Default 5, as in the reference's script.
    pub n_beams: u32,
    /// Texts wanted for each input: the best hypotheses, or so many samples; 64 at most. Default 1.
    pub n_sequences: u32,
    /// Beam search: hypotheses are compared by `log p / ((5 + tokens) / 6)^length_penalty`, from -10 to 10; 0 compares by `log p`. Default 1.
    pub length_penalty: f32,
    /// Sampling: logits are divided by it; below 1 likely tokens become likelier. Above 0 and finite. Default 1.
    pub temperature: f32,
    /// Sampling: only the likeliest tokens that together have this probability, above 0. Default 1: all.
    pub top_p: f32,
    /// Logits of tokens that were written are divided by it, or multiplied where they are negative. From 0.001 to 1000.
    /// Default 1: nothing is done.
    pub repetition_penalty: f32,
    /// Sampling: only so many of the likeliest tokens. Default 0: all.
    pub top_k: u32,
    /// No sequence of so many tokens is written twice. Default 0: any may be.
    pub no_repeat_ngram: u32,
    /// `ERNIE_SOURCE_PADDING_...`: what of a batch a text's words see.
    pub source_padding: u32,
    /// Always 0.
    pub reserved: u32,
    /// Tokens of a text at most. A source, these and the token that asks for the next have a position of the model each.
    /// Default 0: 120, or a quarter of the positions where that is less.
    pub max_new_tokens: usize,
    /// Tokens of a text at least. Default 0.
    pub min_new_tokens: usize,
    /// Sampling: the same seed gives the same text, whatever the batch: equal inputs of a call have equal samples. Sequences
    /// of one input differ. Default 0.
    pub seed: u64,
    /// A text ends before any of these strings, which are not empty. Default: none.
    pub stop: *const ernie_str,
    /// The number of stop strings.
    pub n_stop: usize,
    /// Ids of tokens that are not written. Default: none.
    pub forbidden_tokens: *const i64,
    /// The number of forbidden tokens.
    pub n_forbidden_tokens: usize,
    /// Ids of tokens that every text begins with, whatever else is asked for; none that is forbidden or ends a text. Default:
    /// none.
    pub forced_tokens: *const i64,
    /// The number of forced tokens.
    pub n_forced_tokens: usize,
    /// Takes pieces of texts as soon as they are certain: of beam search what all hypotheses agree on, of the best text. NULL: nobody.
    pub on_text: ernie_text_fn,
    /// Given to `on_text`.
    pub user: *mut c_void,
}

/// What the struct's size was at first: all fields until then have defaults that are not 0, or stand before one.
const FIRST_SIZE: usize = std::mem::offset_of!(ernie_generation, user) + size_of::<*mut c_void>();

fn choose<T: Copy>(field: &str, value: u32, choices: &[T]) -> Result<T> {
    choices.get(value as usize).copied().ok_or_else(|| {
        Error::argument(format!("generation.{field} is {value}, it goes from 0 to {}", choices.len() - 1))
    })
}

/// How texts are written, and who takes them; the defaults for NULL.
///
/// # Safety
/// - `generation` is NULL or points to `struct_size` readable bytes, with lists as it says.
unsafe fn read(generation: *const ernie_generation) -> Result<(Generation, Option<TextTaker>)> {
    if generation.is_null() {
        return Ok((Generation::default(), None));
    }
    // SAFETY: the caller's obligation.
    let given: ernie_generation = unsafe { boundary::sized_input(generation, "generation") }?;
    if (given.struct_size as usize) < FIRST_SIZE {
        let size = given.struct_size;
        return Err(Error::argument(format!(
            "generation.struct_size is {size}, no version had less than {FIRST_SIZE}"
        )));
    }
    if given.reserved != 0 {
        return Err(Error::argument(format!("generation.reserved is {}, it is 0", given.reserved)));
    }
    // SAFETY: the caller's obligation.
    let (stop, forbidden, forced) = unsafe {
        (
            boundary::slice(given.stop, given.n_stop, "generation.stop")?,
            boundary::slice(given.forbidden_tokens, given.n_forbidden_tokens, "generation.forbidden_tokens")?,
            boundary::slice(given.forced_tokens, given.n_forced_tokens, "generation.forced_tokens")?,
        )
    };
    let text = |(index, text): (usize, &ernie_str)| {
        // SAFETY: the caller's obligation.
        unsafe { text.text(|| format!("generation.stop[{index}]")) }.map(ToOwned::to_owned)
    };
    let paddings = [SourcePadding::None, SourcePadding::Reference];
    let settings = Generation {
        decoding: choose("decoding", given.decoding, &[Decoding::Beam, Decoding::Greedy, Decoding::Sample])?,
        n_beams: given.n_beams as usize,
        length_penalty: given.length_penalty,
        temperature: given.temperature,
        top_k: (given.top_k > 0).then_some(given.top_k as usize),
        top_p: given.top_p,
        seed: given.seed,
        n_sequences: given.n_sequences as usize,
        max_new_tokens: (given.max_new_tokens > 0).then_some(given.max_new_tokens),
        min_new_tokens: given.min_new_tokens,
        repetition_penalty: given.repetition_penalty,
        no_repeat_ngram: given.no_repeat_ngram as usize,
        forbidden_tokens: forbidden.to_vec(),
        forced_tokens: forced.to_vec(),
        stop: stop.iter().enumerate().map(text).collect::<Result<_>>()?,
        source_padding: choose("source_padding", given.source_padding, &paddings)?,
    };
    Ok((settings, given.on_text.map(|take| TextTaker { take, user: given.user })))
}

/// The caller's function and what it is given.
struct TextTaker {
    take: unsafe extern "C" fn(*mut c_void, usize, usize, *const c_char, usize) -> i32,
    user: *mut c_void,
}

/// Writes a text for each input: its source, with its pair where it has one. `call` says how sources are tokenized
/// (`max_tokens`, `truncation`, `seed_truncate_to`, `special_tokens`), whose errors are told, and what can cancel;
/// `outputs` must be 0, its other fields count for nothing, though they must be valid. `generation` says how texts are
/// written. Both may be NULL. The caller frees the result; nothing of `inputs` is kept.
///
/// `ernie_result_generated` gives the texts of each input, `ernie_result_items` the same texts with their scores. A text is the same
/// alone and in any batch (but for `ERNIE_SOURCE_PADDING_REFERENCE`). A source that leaves no room for `max_new_tokens`
/// among the model's positions is cut, but not below half of the positions; `ernie_result_tokens` tells what of it was
/// used. With `ERNIE_TRUNCATION_ERROR` it is refused instead; `ERNIE_TRUNCATION_WINDOWS`, of the call or of option
/// `truncation`, is refused by the call, as there would be several sources of a text. Keys and values of all tokens are
/// in memory during the call (`ernie_model_statistics.cache_bytes`), those of texts that are done no more.
///
/// With `ERNIE_ERRORS_INPUT` an input that cannot be a source does not fail the others.
///
/// Errors: `UNSUPPORTED` (the model writes no texts), `INVALID_ARGUMENT` (a value out of its range, values that contradict
/// each other, those of sampling with another decoding, no room among the model's positions; the message names it),
/// `CANCELLED`, `INVALID_UTF8`, `TEXT_TOO_LONG`, `OUT_OF_MEMORY`, `RUNTIME`.
///
/// # Safety
/// - As `ernie_encode`; `generation` is NULL or initialised, its lists hold what their numbers say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ernie_generate(
    model: *const ernie_model,
    inputs: *const ernie_input,
    n_inputs: usize,
    call: *const ernie_call,
    generation: *const ernie_generation,
    result: *mut *mut ernie_result,
) -> *mut ernie_status {
    fallible(|| {
        // SAFETY: the caller's obligation.
        let (model, out) = unsafe { (boundary::handle(model, "model")?, boundary::out(result, "result")?) };
        // SAFETY: the caller's obligation.
        let (inputs, (call, errors), (settings, taker)) =
            unsafe { (input::texts(inputs, n_inputs)?, call::read_with_errors(call)?, read(generation)?) };
        let mut take = taker.map(|TextTaker { take, user }| {
            move |Piece { input, sequence, text }: Piece<'_>| {
                // SAFETY: the caller's function, on the caller's thread, with what it asked to be given.
                unsafe { take(user, input, sequence, text.as_ptr().cast(), text.len()) != 0 }
            }
        });
        let on_text = take.as_mut().map(|take| take as &mut OnText<'_>);
        let output = match errors {
            Errors::OfInput => model.model.generate_each(inputs, &call, &settings, on_text)?,
            Errors::OfCall => {
                let inputs = inputs.into_iter().collect::<Result<Vec<_>>>()?;
                model.model.generate(&inputs, &call, &settings, on_text)?
            }
        };
        out.write(ernie_result::into_raw(n_inputs, output));
        Ok(())
    })
}
