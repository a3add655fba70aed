//! Opening: directory -> spec -> graph, found or built -> session, and what must agree between them.

use std::path::Path;
use std::sync::Arc;

use super::engines::Engines;
use super::generator::Generator;
use super::network::{self, Loaded};
use super::provider;
use super::{Counters, Layout, Model, NetworkLayout};
use crate::architecture::{Architecture, Head};
use crate::batch::Policy;
use crate::batch::rows::Budget;
use crate::error::{Error, Result};
use crate::graph::binding::{Binding, BoundInput, BoundOutput, Hints, InputRole, OutputRole};
use crate::graph::network::BuiltGraph;
use crate::graph::onnx::GraphFacts;
use crate::graph::outputs::{Axis, OutputSpec};
use crate::model_dir::manifest::FILE_NAME;
use crate::model_dir::tokenizer::Scheme;
use crate::model_dir::{Dimensions, Family, ModelSpec, limit_tokens};
use crate::options::{Options, Provider, Task};
use crate::session::Session;
use crate::tensor::{ElementType, TensorInfo};
use crate::tokenize::Tokenizer;

impl Model {
    /// Opens the model at `path`: a directory with a checkpoint, a bundle or a graph, or an `.onnx` file in one.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: nothing there, no model in it, or no vocabulary.
    /// - [`Error::InvalidModel`]: a broken file, or files that contradict one another.
    /// - [`Error::Unsupported`]: a network that is not ERNIE's, or a graph whose inputs or outputs cannot be told apart.
    /// - [`Error::InvalidArgument`]: an option that this model cannot follow.
    /// - [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`]: ONNX Runtime, or the provider, cannot be had.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let spec = ModelSpec::read(path, options)?;
        if spec.weights.is_some() {
            network::check_precision(options)?;
        }
        let options = &provider::in_force(options)?;
        if spec.weights.is_some() { Self::open_network(spec, options) } else { Self::open_graph(spec, options) }
    }

    fn open_graph(mut spec: ModelSpec, options: &Options) -> Result<Self> {
        let Some(graph_path) = spec.graph_path.clone() else {
            return Err(Error::Internal("a directory with neither graph nor weights".into()));
        };
        if let Some(precision) = options.precision {
            let (name, path) = (precision.name(), graph_path.display());
            let reason = format!("option precision: {path} is a graph and runs as it was stored, not in {name}");
            return Err(Error::argument(reason));
        }
        if options.average_layers > 1 {
            let reason =
                format!("option average_layers: {} is a graph that gives its last layer", graph_path.display());
            return Err(Error::argument(reason));
        }
        if options.provider == Provider::TensorRt && options.engine_cache.is_some() {
            let reason =
                format!("option engine_cache: {} is a graph; engines of checkpoints are kept", graph_path.display());
            return Err(Error::argument(reason));
        }
        let facts = GraphFacts::read(&graph_path)?;
        let tokenizer = open_tokenizer(&spec, options)?;
        let engines = Engines::open(options, |options| Session::open(&graph_path, options))?;
        let binding = match options.task {
            Some(Task::Tensors) => None,
            _ => Some(bind(&engines.first().session, &spec, options)?),
        };
        let task = decide_task(&spec, binding.as_ref())?;
        check_labels_of_graph(&spec, task, binding.as_ref(), options)?;
        name_missing_labels(&mut spec, task, binding.as_ref());
        let max_tokens = max_tokens(&spec, binding.as_ref(), options)?;
        let layout = Layout::Padded(policy(&facts, binding.as_ref(), options));
        let (options, counters) = (options.clone(), Counters::default());
        Ok(Self { spec, options, tokenizer, engines, binding, task, layout, max_tokens, counters })
    }

    fn open_network(mut spec: ModelSpec, options: &Options) -> Result<Self> {
        spec.check_config()?;
        let wants_texts = options.task != Some(Task::Tensors);
        if let (true, Err(Error::NotFound { path, what })) = (wants_texts, &spec.tokenizer) {
            let what = format!("{what}; option `task` = `tensors` opens the model for token ids only");
            return Err(Error::NotFound { path: path.clone(), what });
        }
        let loaded = network::load(&spec, options)?;
        let architecture = &loaded.architecture;
        check_labels(&mut spec, architecture, options)?;
        spec.dimensions = Dimensions::from(architecture);
        drop_mask(&mut spec, architecture, options);
        let tokenizer = open_tokenizer(&spec, options)?;
        check_averaged(architecture, options)?;
        let graph = loaded.build(options.average_layers)?;
        let path = spec.weights.as_ref().map_or(spec.dir.as_path(), |files| files.path());
        let open =
            |options: &Options| Session::open_built(&graph.model, &graph.weights, loaded.shared.clone(), path, options);
        let engines = Engines::open(options, open)?;
        let queue = &engines.first().queue;
        let generator = Generator::open(&loaded, &spec, &tokenizer, path, options, queue)?;
        let network = NetworkLayout::new(&loaded, graph, generator, options);
        let binding = wants_texts.then(|| network_binding(&network));
        let task = if wants_texts { task_of_head(architecture.head) } else { Task::Tensors };
        name_missing_labels(&mut spec, task, binding.as_ref());
        let max_tokens = limit_tokens(options.max_tokens, Some(architecture.max_tokens()))?;
        let layout = Layout::Packed(Box::new(network));
        let (options, counters) = (options.clone(), Counters::default());
        Ok(Self { spec, options, tokenizer, engines, binding, task, layout, max_tokens, counters })
    }
}

impl NetworkLayout {
    fn new(loaded: &Arc<Loaded>, graph: BuiltGraph, generator: Option<Generator>, options: &Options) -> Self {
        let inputs = network_inputs(&loaded.architecture).map(|(_, name)| TensorInfo {
            name: name.to_owned(),
            element_type: Some(ElementType::I64),
            dims: vec![None, None],
        });
        let padded = |spec: &OutputSpec| {
            let mut dims = if spec.axis == Axis::Text { vec![None] } else { vec![None, None] };
            dims.extend(spec.width.map(Some));
            TensorInfo { name: spec.name.to_owned(), element_type: Some(ElementType::F32), dims }
        };
        Self {
            inputs: inputs.collect(),
            output_infos: graph.outputs.iter().map(padded).collect(),
            outputs: graph.outputs,
            budget: Budget {
                max_texts: options.max_rows.max(1),
                max_tokens: options.max_batch_tokens,
                has_rows: !loaded.is_packed(),
            },
            loaded: loaded.clone(),
            generator,
        }
    }
}

/// The inputs that a network takes of a caller.
fn network_inputs(architecture: &Architecture) -> impl Iterator<Item = (InputRole, &'static str)> + use<> {
    let (has_types, has_tasks) = (architecture.n_token_types > 0, architecture.n_task_types > 0);
    let roles = [
        (InputRole::InputIds, true),
        (InputRole::TokenTypeIds, has_types),
        (InputRole::AttentionMask, true),
        (InputRole::PositionIds, true),
        (InputRole::TaskTypeIds, has_tasks),
    ];
    roles.into_iter().filter(|(_, is_taken)| *is_taken).map(|(role, _)| (role, role.name()))
}

/// A network's inputs and outputs by role, as those of a foreign graph.
fn network_binding(network: &NetworkLayout) -> Binding {
    let inputs = network_inputs(network.architecture()).map(|(role, name)| BoundInput {
        role,
        name: name.to_owned(),
        element_type: ElementType::I64,
        rank: 2,
    });
    let outputs = network.outputs.iter().zip(&network.output_infos);
    let outputs = outputs.map(|(spec, info)| BoundOutput { role: Some(spec.role), info: info.clone() });
    Binding { inputs: inputs.collect(), outputs: outputs.collect(), fixed_rows: None, fixed_tokens: None }
}

/// Labels that a config names are those of its own weights: elsewhere they are dropped where they do not fit. What a
/// manifest says must fit its head.
pub(super) fn check_labels(spec: &mut ModelSpec, architecture: &Architecture, options: &Options) -> Result<()> {
    let (n_names, n_labels) = (spec.labels.len(), architecture.n_labels());
    if let Some(manifest) = &spec.manifest
        && manifest.task != task_of_head(architecture.head).name()
    {
        let reason = format!("task {} with a head for task {}", manifest.task, task_of_head(architecture.head).name());
        return Err(Error::model(spec.dir.join(FILE_NAME), reason));
    }
    let is_given = options.labels.is_some();
    if !is_given && (n_labels == 0 || options.weights.is_some() && n_names != n_labels) {
        spec.labels.clear();
    } else if n_names > 0 && n_names != n_labels {
        let of_config = || spec.network.as_ref().map(|network| network.path.clone());
        let path = spec.labels_path.clone().or_else(of_config).unwrap_or_else(|| spec.dir.join(FILE_NAME));
        return Err(Error::model(path, format!("{n_names} labels are named, the head has {n_labels}")));
    }
    Ok(())
}

/// Labels that the caller names must be as many as the graph gives scores.
fn check_labels_of_graph(spec: &ModelSpec, task: Task, binding: Option<&Binding>, options: &Options) -> Result<()> {
    let classifies = matches!(task, Task::SequenceClassification | Task::TokenClassification | Task::CrossEncoder);
    let width = binding.and_then(|b| b.outputs[b.output(OutputRole::Logits)?].info.dims.last().copied().flatten());
    match (&options.labels, width) {
        (Some(path), Some(width)) if classifies && width != spec.labels.len() => {
            let reason = format!("{} labels are named, the graph gives {width} scores", spec.labels.len());
            Err(Error::model(path, reason))
        }
        _ => Ok(()),
    }
}

/// The reference of paddle-ernie opens a generator's tokenizer without `[MASK]`; a bundle says what it has.
pub(super) fn drop_mask(spec: &mut ModelSpec, architecture: &Architecture, options: &Options) {
    let is_seed = spec.family == Family::PaddleErnie && spec.manifest.is_none();
    if let (Head::Generator, true, None, Ok(tokenizer)) =
        (architecture.head, is_seed, options.mask_token, &mut spec.tokenizer)
    {
        tokenizer.mask = None;
    }
}

pub(super) fn check_averaged(architecture: &Architecture, options: &Options) -> Result<()> {
    match options.average_layers <= architecture.n_layers {
        true => Ok(()),
        false => Err(Error::argument(format!(
            "option average_layers is {}, the model has {} layers",
            options.average_layers, architecture.n_layers
        ))),
    }
}

/// The task that a head serves.
pub(super) fn task_of_head(head: Head) -> Task {
    match head {
        Head::None => Task::Encoder,
        Head::Classifier { .. } => Task::SequenceClassification,
        Head::TokenClassifier { .. } => Task::TokenClassification,
        Head::Span => Task::QuestionAnswering,
        Head::MaskedLm => Task::MaskedLm,
        Head::Generator => Task::Generation,
        Head::Extraction => Task::InformationExtraction,
        Head::DualEncoder { .. } => Task::DualEncoder,
        Head::CrossEncoder { .. } => Task::CrossEncoder,
        Head::MultipleChoice => Task::MultipleChoice,
    }
}

/// A directory without a usable tokenizer still serves tensors; a broken vocabulary does not.
pub(super) fn open_tokenizer(
    spec: &ModelSpec,
    options: &Options,
) -> Result<std::result::Result<Arc<Tokenizer>, String>> {
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
    let of_bundle = spec.dir.join(FILE_NAME).is_file();
    let hint = if of_bundle { "; it belongs to a bundle, which is opened by its directory" } else { "" };
    let bound = Binding::new(session.inputs(), session.outputs(), &options.inputs, &options.outputs, hints);
    bound.map_err(|error| match (error, &spec.graph_path) {
        (Error::Unsupported(reason), Some(path)) => Error::Unsupported(format!("{}: {reason}{hint}", path.display())),
        (error, _) => error,
    })
}

/// The task that directory and caller name, or the one that the outputs tell; the outputs must serve it.
fn decide_task(spec: &ModelSpec, binding: Option<&Binding>) -> Result<Task> {
    let Some(binding) = binding else { return Ok(Task::Tensors) };
    let rank_of_logits = binding.output(OutputRole::Logits).map(|i| binding.outputs[i].info.dims.len());
    let width_of_logits =
        binding.output(OutputRole::Logits).and_then(|i| binding.outputs[i].info.dims.last().copied().flatten());
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
        Task::MultipleChoice => rank_of_logits == Some(2) && matches!(width_of_logits, None | Some(1)),
        Task::CrossEncoder => rank_of_logits == Some(2),
        Task::Generation => rank_of_logits == Some(3),
        Task::DualEncoder => hidden,
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
    spec.labels = default_labels(n_labels);
}

/// The names that Hugging Face gives to labels without one.
pub(super) fn default_labels(n_labels: usize) -> Vec<String> {
    (0..n_labels).map(|id| format!("LABEL_{id}")).collect()
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
