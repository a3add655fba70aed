//! What a call takes and gives, in plain data.

use crate::heads::Item;
use crate::heads::embed::{Normalize, Pooling};
use crate::options::Problem;
use crate::tensor::{Matrix, Tensor};
use crate::tokenize::{Encoding, SpecialTokensInText, Truncation};

/// A text, or a text and its pair.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The text.
    pub text: &'a str,
    /// The second text; an empty one is not the same as none.
    pub pair: Option<&'a str>,
}

/// What one call wants; the default is what the model was opened with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// How a text's vector is made of its tokens' vectors.
    pub pooling: Pooling,
    /// What is done to the length of vectors.
    pub normalize: Normalize,
    /// Tokens of a text or pair at most, special tokens included.
    pub max_tokens: Option<usize>,
    /// What happens to longer texts.
    pub truncation: Option<Truncation>,
    /// By how many tokens a window begins after the one before, with [`Truncation::Windows`].
    pub doc_stride: Option<usize>,
    /// `truncate_to` of the 2021 tokenizer.
    pub seed_truncate_to: Option<usize>,
    /// Whether `[CLS]`-like strings of a text are special tokens.
    pub special_tokens_in_text: Option<SpecialTokensInText>,
    /// What raw scores mean.
    pub problem: Option<Problem>,
    /// Labels in a result at most.
    pub top_k: Option<usize>,
    /// Whether the vectors of all tokens are wanted.
    pub with_token_vectors: bool,
    /// Whether the graph's own outputs are wanted.
    pub with_raw_outputs: bool,
}

/// What a call gives. Vectors of vectors have one entry per text, in the caller's order, or none at all.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// How each text was tokenized; several windows of a text follow one another where they were asked for.
    pub encodings: Vec<Encoding>,
    /// Findings of each text, best first.
    pub items: Vec<Vec<Item>>,
    /// A row per text: its vector, or the logits of its classification.
    pub matrix: Option<Matrix>,
    /// Vectors of each text's tokens.
    pub token_vectors: Vec<Matrix>,
    /// The graph's outputs for each text alone: a leading dimension of 1, padding removed.
    pub raw_outputs: Vec<Vec<Tensor>>,
}

/// Counters since a model was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Runs of the graph.
    pub n_runs: u64,
    /// Texts that went through.
    pub n_texts: u64,
    /// Tokens of those texts, special tokens included.
    pub n_tokens: u64,
    /// Tokens that were padding.
    pub n_padding_tokens: u64,
    /// Time spent in the graph, in nanoseconds.
    pub run_time_ns: u64,
}
