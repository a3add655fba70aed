//! Positions of a generator -> how long sources and texts may be.
//!
//! A source, the tokens that are written behind it, and the token that asks for the next word have a position each.

use super::encodings::encode_options;
use super::{Call, Generation, Model};
use crate::error::{Error, Result};
use crate::model_dir::limit_tokens;
use crate::tokenize::{EncodeOptions, Texts, Truncation};

/// New tokens of a text at most where a call does not say it, and a quarter of the positions at most.
const DEFAULT_NEW_TOKENS: usize = 120;

/// How long sources and texts of a call may be.
pub(super) struct Room {
    pub(super) max_new_tokens: usize,
    /// How sources are tokenized.
    pub(super) options: EncodeOptions,
    positions: Positions,
    /// Whether sources might be longer, were it not for the new tokens.
    is_shared: bool,
}

/// Places that all tokens of a text share.
#[derive(Clone, Copy)]
struct Positions {
    n: usize,
    /// New tokens at most, behind the shortest source.
    most_new: usize,
}

/// How a generator is fed, and what it writes where a call does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorReport {
    /// The token that asks for the next word.
    pub attention_token: String,
    /// The type of tokens that are written.
    pub target_type_id: i64,
    /// New tokens of a text at most.
    pub max_new_tokens: usize,
    /// Tokens of a source at most beside so many new ones, special tokens included; longer ones are cut.
    pub max_source_tokens: usize,
}

impl Model {
    /// How a generator is fed, and what it writes where a call does not say it; `None` of a model that writes no texts.
    #[must_use]
    pub fn generator_report(&self) -> Option<GeneratorReport> {
        let (_, generator) = self.generator().ok()?;
        let tokenizer = self.tokenizer().ok()?;
        let positions = self.positions().ok()?;
        let max_new_tokens = positions.default_new(0);
        let left = positions.left_beside(max_new_tokens);
        Some(GeneratorReport {
            attention_token: tokenizer.token(generator.attention_token).unwrap_or_default(),
            target_type_id: generator.target_type_id,
            max_new_tokens,
            max_source_tokens: self.max_tokens.map_or(left, |most| most.min(left)),
        })
    }

    fn positions(&self) -> Result<Positions> {
        let (network, _) = self.generator()?;
        let n = network.architecture().max_tokens();
        let shortest = self.tokenizer()?.n_added_tokens(Texts::Single);
        Ok(Positions { n, most_new: n.saturating_sub(shortest + 1) })
    }

    /// Checks what no text could change.
    pub(super) fn room(&self, call: &Call, settings: &Generation) -> Result<Room> {
        let (network, generator) = self.generator()?;
        settings.check(network.architecture().vocab_size, generator.n_words, generator.end)?;
        let positions = self.positions()?;
        positions.check(settings)?;
        check_outputs(call)?;
        let least_new = settings.min_new_tokens.max(settings.forced_tokens.len());
        let max_new_tokens = settings.max_new_tokens.unwrap_or(positions.default_new(least_new));
        let left = positions.left_beside(max_new_tokens);
        let wanted = limit_tokens(call.max_tokens, self.max_tokens)?.unwrap_or(positions.n);
        let mut options =
            encode_options(&self.options, &Call { max_tokens: None, ..call.clone() }, None, Truncation::Truncate)?;
        if options.truncation == Truncation::Windows {
            return Err(Error::argument("truncation windows gives several sources of a text, generation wants one"));
        }
        options.max_tokens = Some(wanted.min(left));
        Ok(Room { max_new_tokens, options, positions, is_shared: left < wanted })
    }
}

impl Positions {
    /// New tokens at most where a call does not say it, of which there are `least`.
    fn default_new(self, least: usize) -> usize {
        (self.n / 4).clamp(1, DEFAULT_NEW_TOKENS).max(least).min(self.most_new)
    }

    /// Tokens to which a source is cut.
    fn left_beside(self, max_new_tokens: usize) -> usize {
        self.n.saturating_sub(1 + max_new_tokens).max(self.n / 2)
    }

    fn check(self, settings: &Generation) -> Result<()> {
        let wants = [
            ("max_new_tokens is", settings.max_new_tokens.unwrap_or(0)),
            ("min_new_tokens is", settings.min_new_tokens),
            ("the number of forced tokens is", settings.forced_tokens.len()),
            ("the least number of new tokens is", 1),
        ];
        let Self { n, most_new } = self;
        match wants.into_iter().find(|(_, wanted)| *wanted > most_new) {
            Some((name, wanted)) => Err(Error::argument(format!(
                "generation: {name} {wanted}: of the model's {n} positions the shortest source and the token that asks \
                 for the next leave {most_new}"
            ))),
            None => Ok(()),
        }
    }
}

impl Room {
    /// Checks whether a source of so many tokens leaves room for the new ones.
    pub(super) fn check(&self, n_source: usize) -> Result<()> {
        let Self { max_new_tokens, positions, .. } = self;
        let needed = n_source + max_new_tokens + 1;
        if needed <= positions.n {
            return Ok(());
        }
        Err(Error::argument(format!(
            "{n_source} tokens, {max_new_tokens} new ones (max_new_tokens) and the one that asks for the next need {needed} \
             positions, the model has {}",
            positions.n
        )))
    }

    /// Says why a source may not be longer, where that is because of the new tokens.
    pub(super) fn explained(&self, error: Error) -> Error {
        match error {
            Error::TextTooLong { what, n_tokens, max_tokens } if self.is_shared => {
                let what = format!(
                    "{}, which shares {} positions with {} new tokens (max_new_tokens) and the one that asks for the next,",
                    what.trim_end_matches(','),
                    self.positions.n,
                    self.max_new_tokens
                );
                Error::TextTooLong { what, n_tokens, max_tokens }
            }
            other => other,
        }
    }
}

/// Generation gives texts and nothing beside them.
fn check_outputs(call: &Call) -> Result<()> {
    match (call.with_token_vectors, call.with_raw_outputs) {
        (true, _) => {
            Err(Error::argument("generation gives no vectors of tokens (outputs); ernie_encode gives a text's"))
        }
        (false, true) => {
            Err(Error::argument("ernie_generate gives no raw outputs (outputs); ernie_infer gives a source's"))
        }
        (false, false) => Ok(()),
    }
}
