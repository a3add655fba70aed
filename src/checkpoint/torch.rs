//! A state dict of torch -> tensors.
//!
//! The pickled object is a dict from names to views of storages. Where the storages lie is the container's matter: the
//! zip file of torch 1.6 and later (`torch_zip`) and the row of pickles before it (`torch_legacy`). Views that are
//! row-major stay ranges of the mapped file; others are gathered. Values that are no tensors are skipped, but a dict
//! that holds the state dict under a key is refused: which key was meant is the caller's to say. The source is
//! `torch/serialization.py` and `torch/_utils.py`.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::pickle::{self, Pickle, Storage, Tensor, Value};
use super::strided::{Budget, View};
use super::tensors::{Data, StoredTensor, n_bytes};
use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;

/// Bytes of a tensor that repeats the elements of its storage, at most.
const MAX_EXPANDED_BYTES: usize = 1 << 30;

/// Times that a tensor may be larger than its storage, at most; an expanded small one is let pass.
const MAX_EXPANSION: usize = 4;

/// Bytes of an expanded tensor that nobody minds.
const SMALL_BYTES: usize = 1 << 20;

/// The number that a legacy file begins with, 0x1950a86a20f9469cfc6c, as a pickle holds it.
const MAGIC: [u8; 10] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19];

/// Bytes in which the pickle of that number ends.
const MAGIC_PICKLE_BYTES: usize = 32;

/// Whether this is the start of a file of torch before 1.6.
pub(crate) fn is_legacy_torch(bytes: &[u8]) -> bool {
    pickle::load(Path::new(""), bytes, 0..bytes.len().min(MAGIC_PICKLE_BYTES)).is_ok_and(|pickle| is_magic(&pickle))
}

/// Whether a pickle is the magic number.
pub(super) fn is_magic(pickle: &Pickle<'_>) -> bool {
    matches!(pickle.arena.get(pickle.root), Value::Long(digits) if *pickle.arena.slice(digits) == MAGIC)
}

/// Where a state dict comes from.
pub(super) struct StateDict<'a> {
    /// The file.
    pub(super) path: &'a Path,
    /// Its bytes.
    pub(super) file: &'a Arc<MappedFile>,
    /// The pickled object.
    pub(super) pickle: &'a Pickle<'a>,
}

impl StateDict<'_> {
    /// The tensors of the dict, in its order; `place` finds the bytes of a storage in the file.
    ///
    /// # Errors
    /// [`Error::InvalidModel`]: no dict of named tensors; a name that comes twice; a tensor that reaches beyond its
    /// storage or is far larger than it; whatever `place` finds wrong, as text.
    pub(super) fn tensors(
        &self,
        mut place: impl FnMut(&Storage) -> Result<Range<usize>, String>,
    ) -> Result<Vec<StoredTensor>> {
        let arena = &self.pickle.arena;
        let items = arena.dict(self.pickle.root).ok_or_else(|| {
            let kind = arena.get(self.pickle.root).kind();
            Error::model(self.path, format!("the file holds {kind}, not a dict of named tensors"))
        })?;
        let path = Arc::new(self.path.to_owned());
        let mut budget = Budget::new(self.file.bytes().len());
        let mut names = HashSet::new();
        let mut tensors = Vec::new();
        for (key, value) in items {
            let Value::Tensor(tensor) = arena.get(*value) else { continue };
            let name = arena.text(*key).ok_or_else(|| Error::model(self.path, "the name of a tensor is no text"))?;
            let fail = |reason| Error::model(self.path, format!("tensor {}: {reason}", name.escape_debug()));
            if !names.insert(name) {
                return Err(fail("it comes twice".into()));
            }
            let range = place(&tensor.storage).map_err(fail)?;
            tensors.push(self.tensor(name, tensor, range, &path, &mut budget).map_err(fail)?);
        }
        if tensors.is_empty() { Err(self.no_tensor(items)) } else { Ok(tensors) }
    }

    fn tensor(
        &self,
        name: &str,
        tensor: &Tensor,
        storage: Range<usize>,
        path: &Arc<PathBuf>,
        budget: &mut Budget,
    ) -> Result<StoredTensor, String> {
        let element_type = tensor.storage.element_type;
        let element_bytes = element_type.size_bytes();
        let counts = |id| self.pickle.arena.counts(id).ok_or("a shape or stride that is none");
        let (shape, stride) = (counts(tensor.shape)?, counts(tensor.stride)?);
        let wanted = n_bytes(element_type, &shape).ok_or_else(|| format!("{shape:?} is larger than any memory"))?;
        let view = View { offset: tensor.offset, shape, stride };
        let bytes = view.extent().and_then(|extent| {
            let start = storage.start.checked_add(extent.start.checked_mul(element_bytes)?)?;
            let end = storage.start.checked_add(extent.end.checked_mul(element_bytes)?)?;
            (end <= storage.end).then_some(start..end)
        });
        let View { offset, shape, stride } = &view;
        let n_elements = tensor.storage.n_elements;
        let bytes = bytes.ok_or_else(|| {
            format!("shape {shape:?} with stride {stride:?} from {offset} is not in a storage of {n_elements} elements")
        })?;
        let data = if view.is_row_major() {
            Data::Mapped(Arc::clone(self.file), bytes)
        } else {
            let largest = storage.len().saturating_mul(MAX_EXPANSION).max(SMALL_BYTES);
            let is_too_large = wanted > largest || (wanted > storage.len() && wanted > MAX_EXPANDED_BYTES);
            let buffer = if is_too_large { None } else { budget.buffer(wanted) };
            let mut elements = buffer.ok_or_else(|| {
                format!("shape {shape:?} with stride {stride:?} takes {wanted} bytes, far more than its storage")
            })?;
            let whole = self.file.bytes().get(storage).unwrap_or(&[]);
            view.gather(whole, element_bytes, &mut elements).ok_or("elements beyond its storage")?;
            Data::Owned(elements)
        };
        Ok(StoredTensor { name: name.to_owned(), element_type, shape: view.shape, data, path: Arc::clone(path) })
    }

    /// Says what the dict holds instead, since a training checkpoint has the state dict under one of its keys.
    fn no_tensor(&self, items: &[(pickle::Id, pickle::Id)]) -> Error {
        const MAX_KEYS: usize = 8;
        const MAX_CHARS: usize = 64;
        let keys = items.iter().take(MAX_KEYS).map(|(key, _)| match self.pickle.arena.text(*key) {
            Some(key) => key.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect(),
            None => self.pickle.arena.get(*key).kind().to_owned(),
        });
        let keys: Vec<String> = keys.collect();
        let dots = if items.len() > MAX_KEYS { ", ..." } else { "" };
        let keys = format!("{}{dots}", keys.join(", "));
        Error::model(self.path, format!("no tensor is at the top of the file, which has the keys: {keys}"))
    }
}

#[cfg(test)]
mod tests;
