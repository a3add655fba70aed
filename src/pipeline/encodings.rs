//! Texts -> encodings that the model can take.

use super::{Call, Input, Model};
use crate::error::{Error, Result};
use crate::model_dir::limit_tokens;
use crate::options::Options;
use crate::panics;
use crate::session::usable_threads;
use crate::tokenize::{EncodeOptions, Encoding, Pieces, Tokenizer, Truncation};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Bytes of text that are worth a thread.
const BYTES_PER_THREAD: usize = 1 << 16;

impl Model {
    /// How a call's texts are encoded. What no text could change is found out here.
    pub(super) fn encode_options(&self, call: &Call, truncation: Truncation) -> Result<EncodeOptions> {
        let options = encode_options(&self.options, call, self.max_tokens, truncation)?;
        self.tokenizer()?.assemble(&Pieces::default(), None, &options, &mut Vec::with_capacity(1))?;
        Ok(options)
    }

    /// Whether the model takes these tokens; an error names the input.
    pub(super) fn check_encodings(&self, encodings: &[Encoding]) -> Result<()> {
        let check = |encoding: &Encoding| self.check_encoding(encoding).map_err(|e| of_input(e, encoding.input));
        encodings.iter().try_for_each(check)
    }

    /// Whether the model takes these tokens: what a graph would refuse late, or not at all.
    pub(super) fn check_encoding(&self, encoding: &Encoding) -> Result<()> {
        let vocab_size = self.spec.dimensions.vocab_size.unwrap_or(usize::MAX);
        let n_tokens = encoding.len();
        let most = self.max_tokens.unwrap_or(usize::MAX);
        if n_tokens == 0 || n_tokens > most {
            return Err(Error::argument(format!("{n_tokens} tokens, the model takes 1 to {most}")));
        }
        let is_outside = |id: &i64| usize::try_from(*id).map_or(true, |id| id >= vocab_size);
        if let Some(token) = encoding.input_ids.iter().position(is_outside) {
            let id = encoding.input_ids[token];
            return Err(Error::argument(format!("id {id} of token {token} is not from 0 and below {vocab_size}")));
        }
        let n_types = self.architecture().map_or(0, |a| a.n_token_types);
        let is_unknown = |id: &i64| usize::try_from(*id).map_or(true, |id| id >= n_types);
        match n_types > 0 && encoding.token_type_ids.iter().any(is_unknown) {
            true => Err(Error::argument(format!("the model has {n_types} token types, too few for a pair"))),
            false => Ok(()),
        }
    }
}

/// How texts are encoded: by `call` where it says so, else by `options`, else texts that are too long by `truncation`.
/// `most_tokens` is what a model takes.
///
/// # Errors
/// - [`Error::InvalidArgument`]: more tokens asked for than that.
pub fn encode_options(
    options: &Options,
    call: &Call,
    most_tokens: Option<usize>,
    truncation: Truncation,
) -> Result<EncodeOptions> {
    Ok(EncodeOptions {
        max_tokens: limit_tokens(call.max_tokens, most_tokens)?,
        truncation: call.truncation.or(options.truncation).unwrap_or(truncation),
        special_tokens_in_text: call.special_tokens_in_text.unwrap_or(options.special_tokens_in_text),
        seed_truncate_to: call.seed_truncate_to.or(options.seed_truncate_to),
        doc_stride: call.doc_stride.or(options.doc_stride),
        add_special_tokens: true,
    })
}

/// Encodes `inputs` in order, large batches by `n_threads` threads (0 = one per physical core); errors name the index.
///
/// # Errors
/// Those of [`Tokenizer::encode_windows`]; of several that of the first text.
pub fn encode_all(
    tokenizer: &Tokenizer,
    inputs: &[Input<'_>],
    options: &EncodeOptions,
    n_threads: usize,
) -> Result<Vec<Encoding>> {
    let n_bytes: usize = inputs.iter().map(size).sum();
    let most = n_bytes / BYTES_PER_THREAD;
    let n_parts = if most < 2 { 1 } else { most.min(usable_threads(n_threads)).min(inputs.len()) };
    let mut parts = split(inputs, n_bytes.div_ceil(n_parts.max(1)).max(1)).into_iter();
    let first = parts.next().unwrap_or(0..0);
    let encode = |part: Range<usize>| encode_part(tokenizer, &inputs[part.clone()], part.start, options);
    let inside = panics::is_inside();
    std::thread::scope(|scope| {
        let spawn = |part: Range<usize>| {
            // Where no thread is to be had, the work is done here.
            let thread = std::thread::Builder::new().spawn_scoped(scope, {
                let part = part.clone();
                move || panics::with_inside(inside, || catch_unwind(AssertUnwindSafe(|| encode(part))))
            });
            (thread, part)
        };
        let threads: Vec<_> = parts.map(spawn).collect();
        let mut encodings = encode(first)?;
        for (thread, part) in threads {
            let done = match thread {
                // A panic goes on to the boundary, which reports it.
                Ok(thread) => match thread.join() {
                    Ok(Ok(done)) => done,
                    Ok(Err(panic)) | Err(panic) => resume_unwind(panic),
                },
                Err(_) => encode(part),
            };
            encodings.append(&mut done?);
        }
        Ok(encodings)
    })
}

fn size(input: &Input<'_>) -> usize {
    input.text.len() + input.pair.map_or(0, str::len)
}

/// The error with the index of the input that it is of.
pub(super) fn of_input(error: Error, index: usize) -> Error {
    told(error, |reason| format!("input {index}: {reason}"))
}

/// The error with other words, where they are about a text.
pub(super) fn told(error: Error, say: impl Fn(&str) -> String) -> Error {
    match error {
        Error::TextTooLong { what, n_tokens, max_tokens } => {
            Error::TextTooLong { what: say(&what), n_tokens, max_tokens }
        }
        Error::InvalidArgument(reason) => Error::InvalidArgument(say(&reason)),
        Error::Unsupported(reason) => Error::Unsupported(say(&reason)),
        other => other,
    }
}

/// Ranges of `inputs` of about `n_bytes` each.
fn split(inputs: &[Input<'_>], n_bytes: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut begin, mut filled) = (0, 0);
    for (index, input) in inputs.iter().enumerate() {
        filled += size(input);
        if filled >= n_bytes {
            parts.push(begin..index + 1);
            (begin, filled) = (index + 1, 0);
        }
    }
    if begin < inputs.len() {
        parts.push(begin..inputs.len());
    }
    parts
}

/// Encodes `inputs`, the first of which has index `first` in its call.
fn encode_part(
    tokenizer: &Tokenizer,
    inputs: &[Input<'_>],
    first: usize,
    options: &EncodeOptions,
) -> Result<Vec<Encoding>> {
    let mut encodings = Vec::with_capacity(inputs.len());
    for (index, input) in (first..).zip(inputs) {
        let before = encodings.len();
        let done = tokenizer.encode_windows(input.text, input.pair, options, &mut encodings);
        done.map_err(|error| of_input(error, index))?;
        encodings[before..].iter_mut().for_each(|encoding| encoding.input = index);
    }
    Ok(encodings)
}
