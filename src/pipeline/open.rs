//! Opening: directory -> spec -> graph -> session, and what must agree between them.

use std::path::Path;
use std::sync::Arc;

use super::{Counters, Model};
use crate::batch::Policy;
use crate::error::{Error, Result};
use crate::graph::binding::{Binding, Hints, OutputRole};
use crate::graph::onnx::GraphFacts;
use crate::model_dir::tokenizer::Scheme;
use crate::model_dir::{Family, ModelSpec, limit_tokens};
use crate::options::{Options, Task};
use crate::session::Session;
use crate::tensor::ElementType;
use crate::tokenize::Tokenizer;

impl Model {
    /// Opens the model at `path`: a directory, or an `.onnx` file in one.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: nothing there, or no model in it.
    /// - [`Error::InvalidModel`]: a broken file, or files that contradict one another.
    /// - [`Error::Unsupported`]: a checkpoint without an exported graph, or a graph whose inputs or outputs cannot be
    ///   told apart.
    /// - [`Error::InvalidArgument`]: an option that this model cannot follow.
    /// - [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`]: ONNX Runtime, or the provider, cannot be had.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let mut spec = ModelSpec::read(path, options)?;
        let Some(graph_path) = spec.graph_path.clone() else {
            return Err(Error::Unsupported(format!(
                "{}: a {} checkpoint ({}) without an exported graph; this version runs graphs (model.onnx)",
                spec.dir.display(),
                spec.family.name(),
                spec.weight_files.join(", ")
            )));
        };
        let facts = GraphFacts::read(&graph_path)?;
        let tokenizer = open_tokenizer(&spec, options)?;
        let session = Session::open(&graph_path, options)?;
        let binding = match options.task {
            Some(Task::Tensors) => None,
            _ => Some(bind(&session, &spec, options)?),
        };
        let task = decide_task(&spec, binding.as_ref())?;
        name_missing_labels(&mut spec, task, binding.as_ref());
        let max_tokens = max_tokens(&spec, binding.as_ref(), options)?;
        let policy = policy(&facts, binding.as_ref(), options);
        Ok(Self {
            spec,
            options: options.clone(),
            tokenizer,
            session,
            binding,
            task,
            policy,
            max_tokens,
            counters: Counters::default(),
        })
    }
}

/// A directory without a usable tokenizer still serves tensors; a broken vocabulary does not.
fn open_tokenizer(spec: &ModelSpec, options: &Options) -> Result<std::result::Result<Arc<Tokenizer>, String>> {
    let tokenizer_spec = match &spec.tokenizer {
        Ok(tokenizer_spec) => tokenizer_spec,
        Err(error) => return Ok(Err(error.report())),
    };
    if options.task == Some(Task::Tensors) {
        return Ok(Err("the model was opened for tensors".into()));
    }
    let tokenizer = Tokenizer::open(tokenizer_spec)?;
    if let Some(vocab_size) = spec.dimensions.vocab_size.filter(|size| *size < tokenizer.vocab_size()) {
        let path = match tokenizer_spec.scheme {
            Scheme::TokenizerJson => &tokenizer_spec.tokenizer_json_path,
            _ => &tokenizer_spec.vocab_path,
        };
        return Err(Error::model(
            path.as_ref().unwrap_or(&spec.dir),
            format!("{} tokens, but the model has {vocab_size} word vectors", tokenizer.vocab_size()),
        ));
    }
    Ok(Ok(Arc::new(tokenizer)))
}

fn bind(session: &Session, spec: &ModelSpec, options: &Options) -> Result<Binding> {
    let hints = Hints {
        hidden_size: spec.dimensions.hidden_size,
        n_labels: (!spec.labels.is_empty()).then_some(spec.labels.len()),
        vocab_size: spec.dimensions.vocab_size,
        answers_with_spans: matches!(spec.task, Some(Task::QuestionAnswering | Task::InformationExtraction)),
        has_head: matches!(
            spec.task,
            Some(Task::SequenceClassification | Task::TokenClassification | Task::MaskedLm | Task::QuestionAnswering)
        ),
    };
    Binding::new(session.inputs(), session.outputs(), &options.inputs, &options.outputs, hints)
}

/// The task that directory and caller name, or the one that the outputs tell; the outputs must serve it.
fn decide_task(spec: &ModelSpec, binding: Option<&Binding>) -> Result<Task> {
    let Some(binding) = binding else { return Ok(Task::Tensors) };
    let rank_of_logits = binding.output(OutputRole::Logits).map(|i| binding.outputs[i].info.dims.len());
    let has = |role| binding.output(role).is_some();
    let (hidden, spans) = (
        has(OutputRole::LastHiddenState) || has(OutputRole::PoolerOutput),
        has(OutputRole::StartLogits) && has(OutputRole::EndLogits),
    );
    let served = |task: Task| match task {
        Task::Tensors => true,
        Task::Encoder => hidden,
        Task::SequenceClassification => rank_of_logits == Some(2),
        Task::TokenClassification | Task::MaskedLm => rank_of_logits == Some(3),
        Task::QuestionAnswering => spans || rank_of_logits == Some(3),
        Task::InformationExtraction => spans,
    };
    if let Some(task) = spec.task {
        if served(task) {
            return Ok(task);
        }
        let names: Vec<String> = binding.outputs.iter().map(|o| o.info.to_string()).collect();
        return Err(Error::Unsupported(format!(
            "task {} needs an output that the graph does not have; it has {}",
            task.name(),
            names.join(", ")
        )));
    }
    let by_outputs = [Task::SequenceClassification, Task::TokenClassification, Task::QuestionAnswering, Task::Encoder];
    Ok(by_outputs.into_iter().find(|task| served(*task)).unwrap_or(Task::Tensors))
}

/// Hugging Face leaves default names out of its configs; its own pipelines fill them in as here.
fn name_missing_labels(spec: &mut ModelSpec, task: Task, binding: Option<&Binding>) {
    // A graph may claim any number of labels; nobody reads more names than these.
    const MOST_NAMES: usize = 1 << 16;
    if !spec.labels.is_empty() || spec.family != Family::HuggingFace || task != Task::SequenceClassification {
        return;
    }
    let claimed = binding.and_then(|b| b.outputs[b.output(OutputRole::Logits)?].info.dims.last().copied().flatten());
    let n_labels = claimed.filter(|n| *n <= MOST_NAMES).unwrap_or(0);
    spec.labels = (0..n_labels).map(|id| format!("LABEL_{id}")).collect();
}

fn max_tokens(spec: &ModelSpec, binding: Option<&Binding>, options: &Options) -> Result<Option<usize>> {
    let fixed = binding.and_then(|b| b.fixed_tokens);
    let most = match (spec.dimensions.max_positions, fixed) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    limit_tokens(options.max_tokens, most)
}

fn policy(facts: &GraphFacts, binding: Option<&Binding>, options: &Options) -> Policy {
    // Where a run's scale, or its rounding to half precision, depends on all its texts, each text runs alone: what it
    // gives must not depend on others.
    let half = |t: Option<ElementType>| matches!(t, Some(ElementType::F16 | ElementType::Bf16));
    let half_outputs = binding.is_some_and(|b| b.outputs.iter().any(|o| half(o.info.element_type)));
    let alone = facts.quantizes_activations_per_run || facts.casts_to_half || half_outputs;
    Policy {
        max_rows: if alone { 1 } else { options.max_rows },
        max_tokens: options.max_batch_tokens,
        fixed_rows: binding.and_then(|b| b.fixed_rows),
        fixed_tokens: binding.and_then(|b| b.fixed_tokens),
        equal_lengths: binding.is_some_and(|b| !b.takes_mask()),
    }
}
