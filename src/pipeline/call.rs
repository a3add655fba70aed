//! What a call takes and gives, in plain data.

use std::sync::Arc;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::generate::Finish;
use crate::heads::Item;
use crate::heads::embed::{Normalize, Pooling};
use crate::heads::schema::Schema;
use crate::options::Problem;
use crate::scheduler::{Admission, Caller};
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

/// How a text to be tagged falls into words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Words {
    /// [`Self::Separated`] where the text holds a byte 0x02, else [`Self::Found`].
    #[default]
    Auto,
    /// Words stand between bytes 0x02, as in the data of paddle-ernie; each is tokenized alone.
    Separated,
    /// As the tokenizer finds them: pieces of a word belong together.
    Found,
}

/// What token classification gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tags {
    /// Entities, by the labels' names; of a model whose labels have no names, words.
    #[default]
    Entities,
    /// An item for each word, also for those without a prediction (id -1).
    Words,
}

/// Which characters of a passage are an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerSpan {
    /// What the reference prints: of paddle-ernie's script more than the tokens where it cannot find them again in the
    /// passage, else [`Self::Tokens`].
    #[default]
    Reference,
    /// Those that the tokens cover.
    Tokens,
}

/// Whether a question may have no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoAnswer {
    /// There is one.
    #[default]
    Never,
    /// No answer is one of the answers (id -1, no text), as in SQuAD 2.0.
    Allowed,
}

/// The language in which prompts of extraction are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaLanguage {
    /// `X的Y`.
    #[default]
    Chinese,
    /// `Y of X`.
    English,
}

/// What one call wants; the default is what the model was opened with.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// How a text's vector is made of its tokens' vectors.
    pub pooling: Pooling,
    /// What is done to the length of vectors.
    pub normalize: Normalize,
    /// Tokens of a text or pair at most.
    pub max_tokens: Option<usize>,
    /// What happens to longer texts; where neither this nor the options say it, the task does.
    pub truncation: Option<Truncation>,
    /// By how many tokens a window begins after the one before, with [`Truncation::Windows`].
    pub doc_stride: Option<usize>,
    /// `truncate_to` of the 2021 tokenizer.
    pub seed_truncate_to: Option<usize>,
    /// Whether `[CLS]`-like strings of a text are special tokens.
    pub special_tokens_in_text: Option<SpecialTokensInText>,
    /// What raw scores mean.
    pub problem: Option<Problem>,
    /// Findings of a text at most: labels, answers, words of a `[MASK]` (without it 5), candidates of a ranking.
    pub top_k: Option<usize>,
    /// Whether the vectors of all tokens are wanted; of token classification the logits of all words.
    pub with_token_vectors: bool,
    /// Whether the graph's own outputs are wanted; of generation, instead of texts.
    pub with_raw_outputs: bool,
    /// The probability above which something is a finding: of extraction, without it 0.5; of labels, without it none.
    pub threshold: Option<f32>,
    /// Words of a text to be tagged.
    pub words: Words,
    /// What token classification gives.
    pub tags: Tags,
    /// Starts and ends of each window that are paired, and answers at most; without it 20.
    pub n_best: Option<usize>,
    /// Tokens of an answer at most; without it 100.
    pub max_answer_tokens: Option<usize>,
    /// Tokens of a question at most, the rest is cut; without it 64.
    pub max_question_tokens: Option<usize>,
    /// Which characters are an answer.
    pub answer_span: AnswerSpan,
    /// Whether a question may have no answer.
    pub no_answer: NoAnswer,
    /// The words that may stand for a `[MASK]`; without any all may.
    pub candidates: Vec<String>,
    /// Whether only tokens that are words of their own stand for a `[MASK]`: no pieces, no special tokens.
    pub whole_words: bool,
    /// What is to be extracted; without it the text is the prompt and its pair what is searched.
    pub schema: Option<Arc<Schema>>,
    /// In which language prompts are put together.
    pub schema_language: SchemaLanguage,
    /// By what another thread ends the call.
    pub cancel: Option<Arc<Cancel>>,
    /// Whether the call may be refused because too many wait already.
    pub admission: Admission,
}

impl Call {
    /// Whether the call may go on.
    pub(super) fn check_cancelled(&self) -> Result<()> {
        if self.cancel.as_ref().is_some_and(|cancel| cancel.is_signalled()) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// How the call waits for its next run, after so many.
    pub(super) fn caller(&self, n_runs: usize) -> Caller<'_> {
        Caller { cancel: self.cancel.as_deref(), admission: self.admission }.after(n_runs)
    }
}

/// A text that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The text, by the rule of the reference's script.
    pub text: String,
    /// Its tokens, without the one that ends it.
    pub token_ids: Vec<i64>,
    /// By what sequences of an input are compared: `log_probability / ((5 + tokens) / 6)^length_penalty` of beam search, else the
    /// logarithm itself.
    pub score: f32,
    /// The logarithm of its probability, of the token that ends it too.
    pub log_probability: f32,
    /// Why it ends.
    pub finish: Finish,
}

/// What a call gives. Vectors of vectors have one entry per text, in the caller's order, or none at all.
#[derive(Debug, Default)]
pub struct Output {
    /// How each text was tokenized; several windows of a text follow one another. Of extraction by a schema those of its first name..
    pub encodings: Vec<Encoding>,
    /// Findings of each text, best first; entities and extracted ones in the order of the text.
    pub items: Vec<Vec<Item>>,
    /// A row per text: its vector, the logits of its classification, the scores of its best answer and of none.
    pub matrix: Option<Matrix>,
    /// Vectors of each text's tokens, or logits of its words.
    pub token_vectors: Vec<Matrix>,
    /// The graph's outputs for each encoding alone: a leading dimension of 1, padding removed.
    pub raw_outputs: Vec<Vec<Tensor>>,
    /// What was written for each text.
    pub generated: Vec<Vec<Generated>>,
    /// What is wrong with each text; empty unless errors were asked for by text.
    pub errors: Vec<Option<Error>>,
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
    /// Tokens that were written, of all hypotheses.
    pub n_new_tokens: u64,
    /// Texts that shared a run with those of other calls.
    pub n_joined_texts: u64,
    /// Calls that wait for their turn now.
    pub n_queued: u64,
    /// The most that waited at a time.
    pub peak_queued: u64,
    /// Bytes of keys and values of tokens that texts see now.
    pub cache_bytes: u64,
    /// The most that there were.
    pub peak_cache_bytes: u64,
    /// Tokens that were guessed ahead.
    pub n_draft_tokens: u64,
    /// Those of them that the model wrote too.
    pub n_accepted_tokens: u64,
}
