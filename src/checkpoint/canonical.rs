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

    /// The tensor of a given shape.
    fn take(&self, canonical: &str, shape: &[usize], used: &mut Vec<usize>) -> Result<StoredTensor> {
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
        used.push(index);
        Ok(StoredTensor { shape: shape.to_vec(), ..tensor.clone() })
    }
}

/// Finds the network of `spec` among the tensors of `checkpoint`; `wanted` is the task that the caller names.
///
/// # Errors
/// - [`Error::InvalidModel`]: a tensor is missing or of another shape, or the config cannot be.
/// - [`Error::Unsupported`]: a network of another kind; the message names it.
pub(crate) fn resolve(spec: &ModelSpec, checkpoint: &Checkpoint, wanted: Option<Task>) -> Result<Network> {
    let renamed = renamed(checkpoint);
    let checkpoint = renamed.as_ref().unwrap_or(checkpoint);
    let names = Names::find(checkpoint.tensors.iter().map(|tensor| tensor.name.as_str()));
    let names = names.map_err(|untold| no_encoder(spec, checkpoint, &untold))?;
    let by_name = checkpoint.tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.as_str(), index)).collect();
    let found = Found { spec, checkpoint, names, by_name };
    let architecture = match &spec.manifest {
        Some(manifest) => manifest.architecture.clone(),
        None => architecture::of(&found, wanted)?,
    };
    let mut used = Vec::new();
    let tensors = architecture.tensors().into_iter().map(|(name, shape)| {
        let tensor = found.take(&name, &shape, &mut used)?;
        Ok((name, tensor))
    });
    let tensors = tensors.collect::<Result<Vec<_>>>()?;
    let ignored = (0..checkpoint.tensors.len()).filter(|index| !used.contains(index));
    let ignored = ignored.map(|index| checkpoint.tensors[index].name.clone()).collect();
    let architecture =
        Architecture { zero_word: architecture.zero_word.filter(|_| !pads_with_zeros(&found)), ..architecture };
    Ok(Network { architecture, tensors, ignored })
}

/// Whether the vector that PaddleNLP takes for zero is stored as zero.
fn pads_with_zeros(found: &Found<'_>) -> bool {
    let Some(word) = found.get("embeddings.word") else { return false };
    let row_bytes = word.shape.get(1).map_or(0, |width| width * word.element_type.size_bytes());
    let id = found.spec.network.as_ref().and_then(|network| network.pad_token_id).unwrap_or(0);
    let row = word.bytes().get(id.saturating_mul(row_bytes)..).and_then(|rest| rest.get(..row_bytes));
    row.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

/// The checkpoint under fluid names, where its own are unknown and it gives those beside them.
fn renamed(checkpoint: &Checkpoint) -> Option<Checkpoint> {
    let known = Names::find(checkpoint.tensors.iter().map(|tensor| tensor.name.as_str())).is_ok();
    if known || checkpoint.parameter_names.is_empty() {
        return None;
    }
    let fluid: HashMap<&str, &str> = checkpoint.parameter_names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let mut renamed = checkpoint.clone();
    for tensor in &mut renamed.tensors {
        if let Some(name) = fluid.get(tensor.name.as_str()) {
            (*name).clone_into(&mut tensor.name);
        }
    }
    Some(renamed)
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
