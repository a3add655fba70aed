//! Wires the stages: text -> tokenizer -> rows -> session -> head -> result.
//!
//! In: a directory and options, then texts and a [`Call`]. Out: [`Output`]s in the caller's order. A [`Model`] is
//! immutable and callable from any thread; nothing here is kept between calls but counters. Runs of calls that are made at the same
//! time go through `scheduler` together.

mod answer;
mod call;
mod classify;
mod cloze;
mod encode;
mod encodings;
mod engines;
pub mod export;
mod extract;
mod findings;
mod forward;
mod generate;
mod generator;
mod guess;
mod infer;
mod network;
mod open;
mod packed;
mod padded;
mod provider;
mod queue;
mod rank;
mod room;
mod tag;
mod tensors;
mod tolerant;
mod windows;
mod writing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::architecture::{Architecture, Head};
use crate::batch::Policy;
use crate::batch::rows::Budget;
pub use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::generate::cache::Gauge;
use crate::graph::binding::{Binding, OutputRole};
use crate::graph::outputs::OutputSpec;
pub use crate::scheduler::Admission;
use crate::scheduler::{Caller, Place};
pub use call::{AnswerSpan, Call, Generated, Input, NoAnswer, Output, SchemaLanguage, Stats, Tags, Words};
pub use encodings::{encode_all, encode_options};
use engines::Engines;
pub use generate::{OnText, Piece};
pub use network::CheckpointReport;
pub use provider::check as check_provider;
pub use rank::rank_vectors;
pub use room::GeneratorReport;

pub use crate::generate::{Decoding, Finish, Generation, MOST_ROWS_OF_A_TEXT, SourcePadding};
pub use crate::heads::Item;
pub use crate::heads::embed::{Normalize, Pooling};
pub use crate::heads::schema::{Schema, SchemaNode};
pub use crate::heads::similarity::{Similarity, VectorType};
use crate::model_dir::ModelSpec;
use crate::model_dir::tokenizer::Scheme;
use crate::options::{Options, Task};
use crate::tensor::{Matrix, Tensor, TensorInfo, TensorView};
use crate::tokenize::{Encoding, Tokenizer, Truncation};

#[derive(Debug, Default)]
struct Counters {
    n_runs: AtomicU64,
    n_texts: AtomicU64,
    n_tokens: AtomicU64,
    n_padding_tokens: AtomicU64,
    run_time_ns: AtomicU64,
    n_new_tokens: AtomicU64,
    n_draft_tokens: AtomicU64,
    n_accepted_tokens: AtomicU64,
    n_joined_texts: AtomicU64,
    cache: Arc<Gauge>,
}

/// A model, ready to run.
#[derive(Debug)]
pub struct Model {
    spec: ModelSpec,
    options: Options,
    /// The tokenizer, or why there is none.
    tokenizer: std::result::Result<Arc<Tokenizer>, String>,
    engines: Engines,
    /// `None` for a model opened for tensors only.
    binding: Option<Binding>,
    task: Task,
    layout: Layout,
    max_tokens: Option<usize>,
    counters: Counters,
}

/// How texts are laid out for the session.
#[derive(Debug)]
enum Layout {
    /// A text a row: a foreign graph.
    Padded(Policy),
    /// Texts without padding: a graph of this library.
    Packed(Box<NetworkLayout>),
}

/// What must be known to run a graph of this library.
#[derive(Debug)]
struct NetworkLayout {
    outputs: Vec<OutputSpec>,
    /// What a caller gives and gets, in padded rows.
    inputs: Vec<TensorInfo>,
    output_infos: Vec<TensorInfo>,
    budget: Budget,
    loaded: Arc<network::Loaded>,
    /// What writes texts, where the head and the tokenizer are there.
    generator: Option<generator::Generator>,
}

impl NetworkLayout {
    fn architecture(&self) -> &Architecture {
        &self.loaded.architecture
    }

    fn is_generator(&self) -> bool {
        self.architecture().head == Head::Generator
    }
}

impl Model {
    /// What the directory says of the model.
    #[must_use]
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The task in use.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// How the model was opened.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// - [`Error::Unsupported`]: the directory has none that can be used; the message says why.
    pub fn tokenizer(&self) -> Result<&Arc<Tokenizer>> {
        self.tokenizer
            .as_ref()
            .map_err(|reason| Error::Unsupported(format!("{}: no tokenizer: {reason}", self.spec.dir.display())))
    }

    /// Tokens of a text or pair at most, special tokens included; `None` where nothing limits them.
    #[must_use]
    pub fn max_tokens(&self) -> Option<usize> {
        self.max_tokens
    }

    /// What the graph takes.
    #[must_use]
    pub fn graph_inputs(&self) -> &[TensorInfo] {
        match &self.layout {
            Layout::Padded(_) => self.engines.first().session.inputs(),
            Layout::Packed(network) => &network.inputs,
        }
    }

    /// What the graph gives.
    #[must_use]
    pub fn graph_outputs(&self) -> &[TensorInfo] {
        match &self.layout {
            Layout::Padded(_) => self.engines.first().session.outputs(),
            Layout::Packed(network) => &network.output_infos,
        }
    }

    /// What the network computes, where this library built its graph from a checkpoint.
    #[must_use]
    pub fn architecture(&self) -> Option<&Architecture> {
        match &self.layout {
            Layout::Padded(_) => None,
            Layout::Packed(network) => Some(network.architecture()),
        }
    }

    /// How the checkpoint was read, where there was one.
    #[must_use]
    pub fn checkpoint_report(&self) -> Option<&CheckpointReport> {
        match &self.layout {
            Layout::Padded(_) => None,
            Layout::Packed(network) => Some(&network.loaded.report),
        }
    }

    /// Roles and names of the graph's inputs and outputs, as far as they are told apart.
    #[must_use]
    pub fn graph_roles(&self) -> Vec<(&'static str, &str)> {
        let Some(binding) = &self.binding else { return Vec::new() };
        let inputs = binding.inputs.iter().map(|input| (input.role.name(), input.name.as_str()));
        let outputs = binding.outputs.iter().filter_map(|o| Some((o.role?.name(), o.info.name.as_str())));
        inputs.chain(outputs).collect()
    }

    /// The width of the vectors that [`Self::encode`] gives; `None` where the graph does not say.
    #[must_use]
    pub fn hidden_size(&self) -> Option<usize> {
        let from_graph = self.binding.as_ref().and_then(|binding| {
            [OutputRole::Embedding, OutputRole::LastHiddenState, OutputRole::PoolerOutput]
                .into_iter()
                .filter_map(|role| binding.outputs[binding.output(role)?].info.dims.last().copied().flatten())
                .next()
        });
        from_graph.or(self.spec.dimensions.hidden_size)
    }

    /// The number of labels; 0 where there are none.
    #[must_use]
    pub fn n_labels(&self) -> usize {
        if let Some(architecture) = self.architecture() {
            return architecture.n_labels();
        }
        let from_graph =
            self.binding.as_ref().filter(|_| self.classifies() || self.task == Task::TokenClassification).and_then(
                |binding| binding.outputs[binding.output(OutputRole::Logits)?].info.dims.last().copied().flatten(),
            );
        from_graph.unwrap_or(self.spec.labels.len())
    }

    /// The name of a label; empty where the model has no names.
    #[must_use]
    pub fn label(&self, id: usize) -> &str {
        self.spec.labels.get(id).map_or("", String::as_str)
    }

    /// Counters since the model was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            n_runs: get(&self.counters.n_runs),
            n_texts: get(&self.counters.n_texts),
            n_tokens: get(&self.counters.n_tokens),
            n_padding_tokens: get(&self.counters.n_padding_tokens),
            run_time_ns: get(&self.counters.run_time_ns),
            n_new_tokens: get(&self.counters.n_new_tokens),
            n_joined_texts: get(&self.counters.n_joined_texts),
            n_queued: self.engines.line().n_waiting() as u64,
            peak_queued: self.engines.line().most() as u64,
            cache_bytes: self.counters.cache.now(),
            peak_cache_bytes: self.counters.cache.most(),
            n_draft_tokens: get(&self.counters.n_draft_tokens),
            n_accepted_tokens: get(&self.counters.n_accepted_tokens),
        }
    }

    /// Token ids and offsets of texts, as the model would get them for work that takes texts whole.
    ///
    /// # Errors
    /// - [`Error::Unsupported`]: no tokenizer.
    /// - [`Error::TextTooLong`]: a text is too long and must not be cut; the message names its index.
    /// - [`Error::InvalidArgument`]: more tokens asked for than the model has positions.
    pub fn tokenize(&self, inputs: &[Input<'_>], call: &Call) -> Result<Vec<Encoding>> {
        self.tokenize_by(inputs, call, Truncation::Truncate)
    }

    /// The same, with what happens to texts that are too long where nobody says it.
    fn tokenize_by(&self, inputs: &[Input<'_>], call: &Call, truncation: Truncation) -> Result<Vec<Encoding>> {
        let encode_options = self.encode_options(call, truncation)?;
        encode_all(self.tokenizer()?, inputs, &encode_options, self.options.n_threads)
    }

    /// Runs the graph on the caller's own tensors; all outputs, in the graph's order. A checkpoint takes padded rows:
    /// `input_ids` `[rows, tokens]` and, where they differ from what the reference would take, `token_type_ids`,
    /// `attention_mask`, `position_ids`, `task_type_ids`; it gives the reference's outputs for every token.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`]: a tensor is missing, unknown, or of another type or shape than the graph's.
    /// - [`Error::Busy`]: too many wait already.
    /// - [`Error::Runtime`]: ONNX Runtime failed.
    pub fn infer_tensors(&self, tensors: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        match &self.layout {
            Layout::Padded(_) => self.run_alone(Caller::default(), tensors),
            Layout::Packed(network) => self.infer_padded_tensors(network, tensors),
        }
    }

    /// A place among those who wait, for a call with [`Admission::Held`].
    ///
    /// # Errors
    /// - [`Error::Busy`]: too many wait already.
    pub(crate) fn place_in_line(&self) -> Result<Place> {
        self.engines.line().place()
    }

    /// Devices that share the work, each with a session of its own.
    #[must_use]
    pub fn n_devices(&self) -> usize {
        self.engines.len()
    }

    /// Whether the task is one decision about a text or pair.
    fn classifies(&self) -> bool {
        matches!(self.task, Task::SequenceClassification | Task::CrossEncoder | Task::MultipleChoice)
    }

    /// Whether the model computes as paddle-ernie of 2021 does, and its scripts make answers of it.
    fn is_seed(&self) -> bool {
        self.tokenizer().is_ok_and(|tokenizer| matches!(tokenizer.scheme(), Scheme::Ernie | Scheme::ErnieTiny))
    }

    fn binding(&self) -> Result<&Binding> {
        self.binding.as_ref().ok_or_else(|| {
            Error::Unsupported("this model was opened for tensors (task `tensors`): it takes no texts".into())
        })
    }
}

fn matrix(rows: Vec<Vec<f32>>, n_columns: usize) -> Result<Matrix> {
    let n_rows = rows.len();
    if rows.iter().any(|row| row.len() != n_columns) {
        return Err(Error::Runtime { context: "the graph gives vectors of different widths".into(), source: None });
    }
    Ok(Matrix { n_rows, n_columns, data: rows.concat() })
}
