//! Texts -> encodings that the model can take.

use super::{Input, Model};
use crate::error::{Error, Result};
use crate::tokenize::{EncodeOptions, Encoding, Tokenizer};

impl Model {
    /// Whether the model takes these tokens: what a graph would refuse late, or not at all.
    pub(super) fn check_encodings(&self, encodings: &[Encoding]) -> Result<()> {
        let vocab_size = self.spec.dimensions.vocab_size.unwrap_or(usize::MAX);
        for (index, encoding) in encodings.iter().enumerate() {
            let n_tokens = encoding.len();
            let most = self.max_tokens.unwrap_or(usize::MAX);
            if n_tokens == 0 || n_tokens > most {
                return Err(Error::argument(format!("input {index}: {n_tokens} tokens, the model takes 1 to {most}")));
            }
            let is_outside = |id: &i64| usize::try_from(*id).map_or(true, |id| id >= vocab_size);
            if let Some(token) = encoding.input_ids.iter().position(is_outside) {
                let id = encoding.input_ids[token];
                return Err(Error::argument(format!(
                    "input {index}: id {id} of token {token} is not from 0 and below {vocab_size}"
                )));
            }
            let n_types = self.architecture().map_or(0, |a| a.n_token_types);
            if n_types > 0
                && encoding.token_type_ids.iter().any(|id| usize::try_from(*id).map_or(true, |id| id >= n_types))
            {
                return Err(Error::argument(format!(
                    "input {index}: the model has {n_types} token types, too few for a pair"
                )));
            }
        }
        Ok(())
    }
}

/// Encodes `inputs` in order; errors name the index.
///
/// # Errors
/// Those of [`Tokenizer::encode`].
pub fn encode_all(tokenizer: &Tokenizer, inputs: &[Input<'_>], options: &EncodeOptions) -> Result<Vec<Encoding>> {
    let encode = |(index, input): (usize, &Input<'_>)| {
        tokenizer.encode(input.text, input.pair, options).map_err(|error| match error {
            Error::TextTooLong { what, n_tokens, max_tokens } => {
                Error::TextTooLong { what: format!("input {index}: {what}"), n_tokens, max_tokens }
            }
            Error::InvalidArgument(reason) => Error::InvalidArgument(format!("input {index}: {reason}")),
            other => other,
        })
    };
    inputs.iter().enumerate().map(encode).collect()
}
