//! A checkpoint and its config -> which network it is, and its tensors by canonical name.
//!
//! The names tell which reference wrote the tensors, and with it the rules of that reference: epsilon, mask, padding.
//! The config gives the sizes, which must be those of the tensors. A tensor that the network needs and that is missing
//! or of another shape is an error: the references go on with random numbers there.

use std::collections::HashMap;

use super::architecture;
use super::names::{Names, Untold};
use super::tensors::{Checkpoint, StoredTensor};
use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::model_dir::ModelSpec;
use crate::options::Task;

/// A network and its tensors.
#[derive(Debug)]
pub(crate) struct Network {
    /// What it computes.
    pub(crate) architecture: Architecture,
    /// Canonical name and tensor, in the order of [`Architecture::tensors`].
    pub(crate) tensors: Vec<(String, StoredTensor)>,
    /// Names of tensors that the network does not take.
    pub(crate) ignored: Vec<String>,
}

/// The tensors of a checkpoint by name.
pub(super) struct Found<'a> {
    pub(super) spec: &'a ModelSpec,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) names: Names,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Found<'a> {
    /// The tensor with this canonical name.
    pub(super) fn get(&self, canonical: &str) -> Option<&'a StoredTensor> {
        self.index(canonical).map(|index| &self.checkpoint.tensors[index])
    }

    /// The tensor with a name of the files.
    pub(super) fn by_own_name(&self, name: &str) -> Option<&'a StoredTensor> {
        self.by_name.get(name).map(|index| &self.checkpoint.tensors[*index])
    }

    /// Whether a tensor is there under its own name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.by_name.contains_key(name) || self.by_name.contains_key(format!("{}{name}", self.names.prefix).as_str())
    }

    /// Whether any name holds these letters.
    pub(super) fn any_name_with(&self, part: &str) -> bool {
        self.by_name.keys().any(|name| name.contains(part))
    }

    fn index(&self, canonical: &str) -> Option<usize> {
        self.names.candidates(canonical).iter().find_map(|name| self.by_name.get(name.as_str()).copied())
    }

    fn missing(&self, canonical: &str) -> Error {
        let candidates = self.names.candidates(canonical);
        let name = candidates.first().map_or(canonical, String::as_str);
        self.fail(format!("tensor {name} is missing"))
    }

    /// An error about the weights.
    pub(super) fn fail(&self, reason: impl Into<String>) -> Error {
        let file = self.checkpoint.tensors.first().map(StoredTensor::path);
        let weights = self.spec.weights.as_ref().map(|files| files.path());
        Error::model(weights.or(file).unwrap_or(&self.spec.dir), reason)
    }

    /// Where the tensor is that has this name and shape.
    fn place(&self, canonical: &str, shape: &[usize]) -> Result<usize> {
        let index = self.index(canonical).ok_or_else(|| self.missing(canonical))?;
        let tensor = &self.checkpoint.tensors[index];
        // Some writers keep a vector as a matrix of one row or column.
        let squeezed = |shape: &[usize]| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
        let is_vector = shape.len() == 1 && squeezed(&tensor.shape) == squeezed(shape);
        if tensor.shape != shape && !is_vector {
            let (name, found) = (&tensor.name, &tensor.shape);
            return Err(Error::model(
                tensor.path(),
                format!("tensor {name} has shape {found:?}, the config makes it {shape:?}"),
            ));
        }
        Ok(index)
    }
}

/// Finds the network of `spec` among the tensors of `checkpoint`; `wanted` is the task that the caller names.
///
/// # Errors
/// - [`Error::InvalidModel`]: a tensor is missing or of another shape, or the config cannot be.
/// - [`Error::Unsupported`]: a network of another kind; the message names it.
pub(crate) fn resolve(spec: &ModelSpec, mut checkpoint: Checkpoint, wanted: Option<Task>) -> Result<Network> {
    rename(&mut checkpoint);
    let names = Names::find(checkpoint.tensors.iter().map(|tensor| tensor.name.as_str()));
    let names = names.map_err(|untold| no_encoder(spec, &checkpoint, &untold))?;
    let by_name = checkpoint.tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.as_str(), index)).collect();
    let found = Found { spec, checkpoint: &checkpoint, names, by_name };
    let mut architecture = match &spec.manifest {
        Some(manifest) => manifest.architecture.clone(),
        None => architecture::of(&found, wanted)?,
    };
    architecture.zero_word = architecture.zero_word.filter(|_| !pads_with_zeros(&found));
    let placed = architecture.tensors().into_iter().map(|(name, shape)| {
        let index = found.place(&name, &shape)?;
        Ok((name, shape, index))
    });
    let placed = placed.collect::<Result<Vec<_>>>()?;
    let (tensors, ignored) = distribute(checkpoint, placed);
    Ok(Network { architecture, tensors, ignored })
}

/// Hands out the tensors by canonical name, and the names of those that are left. Tensors are moved: what a file holds
/// in another order lies in memory, which is not to be taken twice.
fn distribute(
    checkpoint: Checkpoint,
    placed: Vec<(String, Vec<usize>, usize)>,
) -> (Vec<(String, StoredTensor)>, Vec<String>) {
    let mut all: Vec<Option<StoredTensor>> = checkpoint.tensors.into_iter().map(Some).collect();
    let last_use = |at: usize, index: usize| placed[at + 1..].iter().all(|(.., other)| *other != index);
    let mut tensors = Vec::with_capacity(placed.len());
    for (at, (name, shape, index)) in placed.iter().enumerate() {
        let tensor = if last_use(at, *index) { all[*index].take() } else { all[*index].clone() };
        tensors.extend(tensor.map(|tensor| (name.clone(), StoredTensor { shape: shape.clone(), ..tensor })));
    }
    (tensors, all.into_iter().flatten().map(|tensor| tensor.name).collect())
}

/// Whether the vector that PaddleNLP takes for zero is stored as zero.
fn pads_with_zeros(found: &Found<'_>) -> bool {
    let Some(word) = found.get("embeddings.word") else { return false };
    let row_bytes = word.shape.get(1).map_or(0, |width| width * word.element_type.size_bytes());
    let id = found.spec.network.as_ref().and_then(|network| network.pad_token_id).unwrap_or(0);
    let row = word.bytes().get(id.saturating_mul(row_bytes)..).and_then(|rest| rest.get(..row_bytes));
    row.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

/// Puts fluid names in place of unknown ones, where the checkpoint gives them beside its own.
fn rename(checkpoint: &mut Checkpoint) {
    let is_known = Names::find(checkpoint.tensors.iter().map(|tensor| tensor.name.as_str())).is_ok();
    if is_known || checkpoint.parameter_names.is_empty() {
        return;
    }
    let pairs = std::mem::take(&mut checkpoint.parameter_names);
    let fluid: HashMap<String, String> = pairs.into_iter().collect();
    for tensor in &mut checkpoint.tensors {
        if let Some(name) = fluid.get(&tensor.name) {
            name.clone_into(&mut tensor.name);
        }
    }
}

fn no_encoder(spec: &ModelSpec, checkpoint: &Checkpoint, untold: &Untold) -> Error {
    let path = spec.weights.as_ref().map_or(spec.dir.as_path(), |files| files.path());
    let reason = match untold {
        Untold::Several(prefixes) => {
            let list = prefixes.iter().map(|p| format!("{p}*")).collect::<Vec<_>>().join(", ");
            return Error::Unsupported(format!("{}: several encoders in one checkpoint: {list}", path.display()));
        }
        Untold::NoEncoder => {
            let names: Vec<&str> = checkpoint.tensors.iter().map(|t| t.name.as_str()).take(4).collect();
            format!("no ERNIE encoder among its {} tensors ({}, ...)", checkpoint.tensors.len(), names.join(", "))
        }
    };
    let generated = checkpoint.tensors.iter().any(|tensor| tensor.name == "embedding_0.w_0");
    let hint = if generated { ": the names are generated ones, which do not tell what a parameter is for" } else { "" };
    Error::Unsupported(format!("{}: {reason}{hint}", path.display()))
}
