//! Weight files -> a network with its weights, shared by all models of the same files.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::architecture::{Architecture, Head, LinearLayout};
use crate::checkpoint::tensors::StoredTensor;
use crate::checkpoint::{canonical, convert};
use crate::error::{Error, Result};
use crate::graph::generator::{build_source, build_step};
use crate::graph::heads::PACKED_WORDS;
use crate::graph::network::{BuiltGraph, Dialect, Interface, build};
use crate::graph::{WeightInfo, add_weight};
use crate::kernels::matrix::{Format, Order};
use crate::mapped_file::Identity;
use crate::model_dir::{ModelSpec, NetworkConfig, manifest};
use crate::options::{Options, Precision, Provider, Task};
use crate::session::SharedWeights;
use crate::tensor::ElementType;
use crate::weights::{Weight, Weights};

/// How a checkpoint was read.
#[derive(Clone, Debug, Default)]
pub struct CheckpointReport {
    /// The format of the weight files.
    pub format: &'static str,
    /// How the weights are stored: `float`, `float16`, ...
    pub stored_type: &'static str,
    /// Bytes of all weights of the network as `f32`.
    pub n_bytes: usize,
    /// Names of tensors that the network does not take.
    pub ignored: Vec<String>,
}

/// A network with its weights.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) architecture: Architecture,
    pub(super) shared: Arc<SharedWeights>,
    pub(super) report: CheckpointReport,
    infos: Vec<WeightInfo>,
    /// The weights of steps that guess, while any model holds them.
    draft: Mutex<Weak<SharedWeights>>,
    dialect: Dialect,
    /// What the graph computes with.
    numbers: ElementType,
}

impl Loaded {
    /// The graph of the network; its weights are given to the session by name, or are in it, where a provider compiles all of it.
    ///
    /// # Errors
    /// - [`Error::Unsupported`]: more weights than a graph can hold.
    /// - [`Error::OutOfMemory`].
    pub(super) fn build(&self, n_averaged_layers: usize) -> Result<BuiltGraph> {
        let (dialect, numbers) = (self.dialect, self.numbers);
        let is_whole = dialect == Dialect::Standard;
        let file = if is_whole { "" } else { WEIGHTS_FILE };
        let mut graph =
            build(&self.architecture, &self.infos, file, dialect, Interface::Packed, numbers, n_averaged_layers);
        if is_whole {
            self.add_weights(&mut graph)?;
        }
        Ok(graph)
    }

    fn add_weights(&self, graph: &mut BuiltGraph) -> Result<()> {
        /// Of a message of protocol buffers, with room for all that is no weight.
        const MOST_BYTES: usize = (1 << 31) - (1 << 22);
        let used = || self.shared.weights().all.iter().filter(|weight| graph.weights.contains(&weight.name));
        let n_bytes: usize = used().map(|weight| weight.len() * weight.element_type().size_bytes()).sum();
        if n_bytes > MOST_BYTES {
            let reason =
                format!("{n_bytes} bytes of weights, and a graph that a provider compiles can hold {MOST_BYTES}");
            return Err(Error::Unsupported(reason));
        }
        let mut model = std::mem::take(&mut graph.model);
        let mut elements = Vec::new();
        model.try_reserve_exact(n_bytes + (1 << 20)).map_err(|_| Error::OutOfMemory)?;
        for weight in used() {
            elements.clear();
            elements.try_reserve(weight.len() * weight.element_type().size_bytes()).map_err(|_| Error::OutOfMemory)?;
            weight.append_to(&mut elements);
            add_weight(&mut model, &weight.name, weight.element_type(), &weight.shape, &elements);
        }
        graph.model = model;
        graph.weights.clear();
        Ok(())
    }

    /// The graph of a generator's sources.
    pub(super) fn build_source(&self) -> BuiltGraph {
        build_source(&self.architecture, &self.infos, WEIGHTS_FILE)
    }

    /// The graph of a generator's step.
    pub(super) fn build_step(&self) -> BuiltGraph {
        build_step(&self.architecture, &self.infos, WEIGHTS_FILE)
    }

    /// The graph of a step over weights of 8 bits, and these: what a step probably gives, at a quarter of what it reads. `goes_on` is
    /// asked before each matrix.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`]; those of `goes_on`.
    pub(super) fn build_draft(
        &self,
        goes_on: impl Fn() -> Result<()> + Sync,
    ) -> Result<(BuiltGraph, Arc<SharedWeights>)> {
        let known = self.draft.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let shared = match known {
            Some(shared) => shared,
            None => self.make_draft(goes_on)?,
        };
        let mut infos = self.infos.clone();
        let converted = infos.iter_mut().filter(|info| is_in_draft(info));
        for (info, weight) in converted.zip(&shared.weights().all) {
            info.shape.clone_from(&weight.shape);
            info.format = Some(Format::Int8);
        }
        Ok((build_step(&self.architecture, &infos, WEIGHTS_FILE), shared))
    }

    fn make_draft(&self, goes_on: impl Fn() -> Result<()> + Sync) -> Result<Arc<SharedWeights>> {
        let with_infos = self.infos.iter().zip(&self.shared.weights().all);
        let matrices = with_infos.filter(|(info, _)| is_in_draft(info)).map(|(_, weight)| weight).collect();
        let convert = |weight: &Weight| goes_on().and_then(|()| weight.converted(Format::Int8));
        let weights = Weights { all: crate::parallel::map(matrices, convert)? };
        let made = Arc::new(SharedWeights::instead(Arc::clone(&self.shared), weights)?);
        *self.draft.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&made);
        Ok(made)
    }

    /// Whether layers are multiplied by this library in such a format.
    pub(super) fn is_multiplied_as(&self, format: Format) -> bool {
        self.infos.iter().any(|info| info.name.starts_with("layer.") && info.format == Some(format))
    }

    /// Whether layers and products are those of this library.
    pub(super) fn is_packed(&self) -> bool {
        self.infos.iter().any(|info| info.format.is_some())
    }
}

/// Whether a weight of a step has a copy in 8 bits.
fn is_in_draft(info: &WeightInfo) -> bool {
    info.format == Some(Format::F32) && (info.name.starts_with("layer.") || info.name == PACKED_WORDS)
}

/// Every release of the runtime checks that external data are there before it takes others in their place.
const WEIGHTS_FILE: &str = ".";

/// Whether a checkpoint can be multiplied as `options` say.
///
/// # Errors
/// - [`Error::InvalidArgument`]: not by this provider, or without packed weights.
pub(super) fn check_precision(options: &Options) -> Result<()> {
    format_of(options).map(|_| ())
}

/// How the matrices of layers are packed, and whether they are: products of this library run on the processor.
fn format_of(options: &Options) -> Result<Option<Format>> {
    let format = match options.precision {
        Some(Precision::Bf16) => Format::Bf16,
        Some(Precision::Int8) => Format::Int8,
        None | Some(Precision::F32 | Precision::F16) => Format::F32,
    };
    let is_packed = options.graph_provider() == Provider::Cpu && options.prepacking;
    if let (Some(precision), false) = (options.precision.filter(|_| format != Format::F32), is_packed) {
        let reason = format!("option precision: {} needs provider cpu and prepacking", precision.name());
        return Err(Error::argument(reason));
    }
    Ok(is_packed.then_some(format))
}

/// What a graph for a GPU computes with.
fn numbers_of(options: &Options) -> ElementType {
    if options.precision == Some(Precision::F16) { ElementType::F16 } else { ElementType::F32 }
}

/// Packs the matrices of all products: those of layers in `format`, those of heads, on which answers depend most, as `f32`, and the
/// words of a head in between.
fn pack(architecture: &Architecture, weights: Weights, format: Format) -> Result<(Weights, Vec<Option<Format>>)> {
    let order = match architecture.linear_layout {
        LinearLayout::InOut => Order::InOut,
        LinearLayout::OutIn => Order::OutIn,
    };
    let has_words = matches!(architecture.head, Head::MaskedLm | Head::Generator);
    let format_of_words = if format == Format::F32 { Format::F32 } else { Format::Bf16 };
    let pack_one = |weight: Weight| {
        let is_product = weight.shape.len() == 2 && weight.name.ends_with(".weight");
        let format = if weight.name.starts_with("layer.") { format } else { Format::F32 };
        Ok(match (is_product, weight.shape.len()) {
            (true, _) => vec![(weight.packed(weight.name.clone(), format, order)?, Some(format))],
            (false, 1) => vec![(weight.aligned()?, None)],
            (false, _) if has_words && weight.name == "embeddings.word" => {
                let packed = weight.packed(PACKED_WORDS.to_owned(), format_of_words, Order::OutIn)?;
                vec![(packed, Some(format_of_words)), (weight, None)]
            }
            (false, _) => vec![(weight, None)],
        })
    };
    let (all, formats) = crate::parallel::map(weights.all, pack_one)?.into_iter().flatten().unzip();
    Ok((Weights { all }, formats))
}

/// A network and its weights, before any session.
pub(super) struct Read {
    pub(super) architecture: Architecture,
    pub(super) weights: Weights,
    pub(super) report: CheckpointReport,
    /// The files that were read.
    identities: Vec<Identity>,
}

/// Reads the checkpoint of `spec`.
///
/// # Errors
/// - Those of [`canonical::resolve`] and of reading files.
pub(super) fn read(spec: &ModelSpec, options: &Options) -> Result<Read> {
    let files = spec.weights.as_ref().ok_or_else(|| Error::NotFound {
        path: spec.dir.clone(),
        what: "no checkpoint here: an exported graph has no weights to read".into(),
    })?;
    let mut checkpoint = crate::checkpoint::read(files)?;
    let (format, identities) = (checkpoint.format, std::mem::take(&mut checkpoint.identities));
    let wanted = options.task.filter(|task| *task != Task::Tensors);
    let network = canonical::resolve(spec, checkpoint, wanted)?;
    if let (Some(_), Some(left)) = (&spec.manifest, network.ignored.first()) {
        let reason = format!("tensor {left} has no place in the network of {}", manifest::FILE_NAME);
        return Err(Error::model(files.path(), reason));
    }
    let stored = stored_type(&network.tensors);
    let weights = convert::weights(network.tensors, options.precision)?;
    let report = CheckpointReport {
        format,
        stored_type: stored,
        n_bytes: weights.all.iter().map(|weight| weight.len() * size_of::<f32>()).sum(),
        ignored: network.ignored,
    };
    log::debug!("{}: {} tensors ignored", files.path().display(), report.ignored.len());
    Ok(Read { architecture: network.architecture, weights, report, identities })
}

/// The type of all tensors, or that there are several.
fn stored_type(tensors: &[(String, StoredTensor)]) -> &'static str {
    let mut types = tensors.iter().map(|(_, tensor)| tensor.element_type);
    match types.next() {
        Some(first) if types.all(|other| other == first) => first.name(),
        _ => "mixed",
    }
}

/// The networks in use in this process.
static LOADED: Mutex<Vec<(String, Weak<Loaded>)>> = Mutex::new(Vec::new());

/// The network of `spec`, read or shared with a model that is open already.
pub(super) fn load(spec: &ModelSpec, options: &Options) -> Result<Arc<Loaded>> {
    let format = format_of(options)?;
    let (dialect, numbers) = match options.graph_provider() {
        Provider::Cpu if format.is_some() => (Dialect::Packed, ElementType::F32),
        Provider::Cpu => (Dialect::OnnxRuntime, ElementType::F32),
        Provider::Cuda => (Dialect::Cuda, numbers_of(options)),
        Provider::TensorRt => (Dialect::Standard, numbers_of(options)),
        Provider::OpenVino => (Dialect::Standard, ElementType::F32),
    };
    let reading = format!("{}{format:?}{dialect:?}{numbers:?}", reading(spec, options));
    if let Some(loaded) = known(&key(&identities_now(spec)?, &reading)) {
        return Ok(loaded);
    }
    let Read { architecture, mut weights, report, identities } = read(spec, options)?;
    let mut formats = vec![None; weights.all.len()];
    // The steps of a generator have no other form.
    let is_generator = architecture.head == Head::Generator;
    if is_generator && options.graph_provider() != Provider::Cpu {
        let name = options.provider.name();
        let reason = format!("a generator on provider {name}: it runs on the processor only (option provider = cpu)");
        return Err(Error::Unsupported(reason));
    }
    if numbers == ElementType::F16 {
        weights.all = crate::parallel::map(weights.all, Weight::halved)?;
    }
    let dialect = if is_generator { Dialect::Packed } else { dialect };
    if let Some(format) = format.or_else(|| is_generator.then_some(Format::F32)) {
        (weights, formats) = pack(&architecture, weights, format)?;
    }
    let info = |(weight, format): (&Weight, Option<Format>)| WeightInfo {
        name: weight.name.clone(),
        element_type: weight.element_type(),
        shape: weight.shape.clone(),
        byte_offset: 0,
        format,
    };
    let infos = weights.all.iter().zip(formats).map(info).collect();
    // By the files that were read: others may have taken their names since they were looked for.
    let key = key(&identities, &reading);
    let shared = Arc::new(SharedWeights::new(weights)?);
    let loaded = Arc::new(Loaded { architecture, shared, report, infos, draft: Mutex::default(), dialect, numbers });
    let mut all = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have been faster.
    let faster = all.iter().find(|(known, _)| !key.is_empty() && *known == key).and_then(|(_, weak)| weak.upgrade());
    if let Some(other) = faster {
        return Ok(other);
    }
    all.retain(|(known, weak)| *known != key && weak.strong_count() > 0);
    if !key.is_empty() {
        all.push((key, Arc::downgrade(&loaded)));
    }
    Ok(loaded)
}

fn known(key: &str) -> Option<Arc<Loaded>> {
    let all = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().find(|(known, _)| !key.is_empty() && known == key).and_then(|(_, weak)| weak.upgrade())
}

/// What two models must have in common to share weights: the same files, unchanged, and the same reading of them. Empty
/// where files cannot be compared.
fn key(identities: &[Identity], reading: &str) -> String {
    if identities.is_empty() { String::new() } else { format!("{identities:?}{reading}") }
}

/// The files that lie there now.
fn identities_now(spec: &ModelSpec) -> Result<Vec<Identity>> {
    let files = spec.weights.as_ref().map(crate::checkpoint::shared_files).transpose()?.flatten();
    files.unwrap_or_default().iter().map(|path| Identity::of(path)).collect()
}

/// What decides how files are read.
fn reading(spec: &ModelSpec, options: &Options) -> String {
    let precision = options.precision.map(Precision::name);
    let manifest = spec.manifest.as_ref().map(|manifest| &manifest.architecture);
    let wanted = options.task.filter(|task| *task != Task::Tensors).or(spec.declared_task);
    // Where the config lies does not matter, what it says does.
    let network = spec.network.clone().map(|network| NetworkConfig { path: PathBuf::new(), ..network });
    format!("{network:?}{:?}{wanted:?}{precision:?}{manifest:?}", spec.dimensions)
}
