//! Weight files -> a network with its weights, shared by all models of the same files.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::architecture::Architecture;
use crate::checkpoint::{canonical, convert};
use crate::error::{Error, Result};
use crate::graph::WeightInfo;
use crate::graph::network::{BuiltGraph, Dialect, Interface, build};
use crate::model_dir::{ModelSpec, WeightFiles};
use crate::options::{Options, Precision, Task};
use crate::session::SharedWeights;
use crate::tensor::ElementType;
use crate::weights::Weights;

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
}

impl Loaded {
    /// The graph of the network; its weights are given to the session by name.
    pub(super) fn build(&self, dialect: Dialect, interface: Interface) -> BuiltGraph {
        // Every release of the runtime checks that external data are there before it takes others in their place.
        build(&self.architecture, &self.infos, ".", dialect, interface)
    }
}

/// A network and its weights, before any session.
pub(super) struct Read {
    pub(super) architecture: Architecture,
    pub(super) weights: Weights,
    pub(super) report: CheckpointReport,
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
    let checkpoint = crate::checkpoint::read(files)?;
    let wanted = options.task.filter(|task| *task != Task::Tensors);
    let network = canonical::resolve(spec, &checkpoint, wanted)?;
    let stored = network.tensors.first().map_or(ElementType::F32, |(_, tensor)| tensor.element_type);
    let weights = convert::weights(network.tensors, options.precision)?;
    let report = CheckpointReport {
        format: checkpoint.format,
        stored_type: stored.name(),
        n_bytes: weights.all.iter().map(|weight| weight.len() * size_of::<f32>()).sum(),
        ignored: network.ignored,
    };
    log::debug!("{}: {} tensors ignored", files.path().display(), report.ignored.len());
    Ok(Read { architecture: network.architecture, weights, report })
}

/// The networks in use in this process.
static LOADED: Mutex<Vec<(String, Weak<Loaded>)>> = Mutex::new(Vec::new());

/// The network of `spec`, read or shared with a model that is open already.
pub(super) fn load(spec: &ModelSpec, options: &Options) -> Result<Arc<Loaded>> {
    let key = key(spec, options)?;
    if let Some(loaded) = known(&key) {
        return Ok(loaded);
    }
    let Read { architecture, weights, report } = read(spec, options)?;
    let info = |weight: &crate::weights::Weight| WeightInfo {
        name: weight.name.clone(),
        element_type: ElementType::F32,
        shape: weight.shape.clone(),
        byte_offset: 0,
    };
    let infos = weights.all.iter().map(info).collect();
    let loaded = Arc::new(Loaded { architecture, shared: Arc::new(SharedWeights::new(weights)?), report, infos });
    let mut all = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have been faster.
    if let Some(other) = all.iter().find(|(known, _)| *known == key).and_then(|(_, weak)| weak.upgrade()) {
        return Ok(other);
    }
    all.retain(|(known, weak)| *known != key && weak.strong_count() > 0);
    all.push((key, Arc::downgrade(&loaded)));
    Ok(loaded)
}

fn known(key: &str) -> Option<Arc<Loaded>> {
    let all = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().find(|(known, _)| known == key).and_then(|(_, weak)| weak.upgrade())
}

/// What two models must have in common to share weights: the same files, unchanged, and the same reading of them.
fn key(spec: &ModelSpec, options: &Options) -> Result<String> {
    let mut key = String::new();
    for path in files(spec)? {
        let metadata = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?;
        let identity = (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        // Writing to a string cannot fail.
        let _ = write!(key, "{identity:?};");
    }
    let precision = options.precision.map(Precision::name);
    let manifest = spec.manifest.as_ref().map(|manifest| &manifest.architecture);
    let wanted = options.task.filter(|task| *task != Task::Tensors).or(spec.task);
    let _ = write!(key, "{:?}{:?}{wanted:?}{precision:?}{manifest:?}", spec.network, spec.dimensions);
    Ok(key)
}

fn files(spec: &ModelSpec) -> Result<Vec<PathBuf>> {
    match &spec.weights {
        None => Ok(Vec::new()),
        Some(WeightFiles::File(path)) => Ok(vec![path.clone()]),
        Some(WeightFiles::Combined { params, program }) => Ok(vec![params.clone(), program.clone()]),
        Some(WeightFiles::Index(path)) => files_in(path.parent().unwrap_or(Path::new("."))),
        Some(WeightFiles::Variables { dir, .. }) => files_in(dir),
    }
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}
