//! `.pdparams` -> tensors and the fluid names of parameters.
//!
//! The file is a pickled dict from names to numpy arrays, or to tuples of a fluid name and an array. Two entries are none:
//! `StructuredToParameterName@@` says the fluid name of each name, and `UnpackBigParamInfor@@` says which entries are
//! pieces of one large tensor, flattened. Numbers, strings and nested dicts are skipped. The source is
//! `python/paddle/framework/io.py` and `io_utils.py` of Paddle.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::numpy::Source;
use super::pickle::{self, Id, Pickle, Value};
use super::strided::Budget;
use super::tensors::{Data, StoredTensor, n_bytes};
use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;

/// The entry with the fluid names.
const PARAMETER_NAMES: &str = "StructuredToParameterName@@";

/// The entry with the tensors that are in pieces.
const BIG_TENSORS: &str = "UnpackBigParamInfor@@";

/// Tensors in the file's order; structured names with their fluid names.
pub(crate) type Parameters = (Vec<StoredTensor>, Vec<(String, String)>);

/// Reads the `.pdparams` file that is mapped in `file`.
///
/// # Errors
/// [`Error::InvalidModel`]: no pickle, or one that does more than hold weights; no dict of named tensors; a tensor whose
/// bytes are not those that its type and shape take; pieces that do not make their tensor; no tensor at all.
pub(crate) fn read(path: &Path, file: &Arc<MappedFile>) -> Result<Parameters> {
    let bytes = file.bytes();
    let pickle = pickle::load(path, bytes, 0..bytes.len())?;
    let items = pickle.arena.dict(pickle.root).ok_or_else(|| {
        let kind = pickle.arena.get(pickle.root).kind();
        Error::model(path, format!("the pickle holds {kind}, not a dict of named tensors"))
    })?;
    let budget = Budget::new(bytes.len());
    let source = Source { path: Arc::new(path.to_owned()), file, arena: &pickle.arena, budget };
    let mut reader = Reader { pickle: &pickle, source, tensors: Vec::new(), places: HashMap::new(), names: Vec::new() };
    let mut big = None;
    for (key, value) in items {
        let name = pickle.arena.text(*key).ok_or_else(|| {
            let kind = pickle.arena.get(*key).kind();
            Error::model(path, format!("the name of an entry is {kind} that is no UTF-8 text"))
        })?;
        match name {
            PARAMETER_NAMES => reader.parameter_names(*value)?,
            BIG_TENSORS => big = Some(*value),
            _ => reader.entry(name, *value)?,
        }
    }
    if let Some(big) = big {
        reader.big_tensors(big)?;
    }
    let tensors: Vec<_> = reader.tensors.into_iter().flatten().collect();
    if tensors.is_empty() {
        return Err(Error::model(path, "the pickle holds no tensor"));
    }
    Ok((tensors, reader.names))
}

/// What was read so far.
struct Reader<'a> {
    pickle: &'a Pickle<'a>,
    source: Source<'a>,
    /// Tensors; pieces that were put together are gone.
    tensors: Vec<Option<StoredTensor>>,
    places: HashMap<&'a str, usize>,
    names: Vec<(String, String)>,
}

impl<'a> Reader<'a> {
    fn entry(&mut self, name: &'a str, value: Id) -> Result<()> {
        let arena = &self.pickle.arena;
        let array = match arena.get(value) {
            Value::Array(array) => array,
            Value::Tuple(parts) => match parts.as_slice() {
                [fluid_name, array] if arena.text(*fluid_name).is_some() => match arena.get(*array) {
                    Value::Array(array) => array,
                    _ => return Ok(()),
                },
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        // A name that comes twice is refused: readers differ in which one counts.
        if self.places.insert(name, self.tensors.len()).is_some() {
            return Err(self.source.fail(name, "it comes twice"));
        }
        let tensor = self.source.tensor(name, array.as_ref())?;
        self.tensors.push(Some(tensor));
        Ok(())
    }

    fn parameter_names(&mut self, value: Id) -> Result<()> {
        let arena = &self.pickle.arena;
        let fail = || Error::model(self.source.path.as_path(), format!("{PARAMETER_NAMES} is no dict of names"));
        for (name, fluid_name) in arena.dict(value).ok_or_else(fail)? {
            let (name, fluid_name) = arena.text(*name).zip(arena.text(*fluid_name)).ok_or_else(fail)?;
            // The memo can repeat one long string any number of times.
            let paid = self.source.budget.spend(name.len() + fluid_name.len());
            paid.ok_or_else(fail)?;
            self.names.push((name.to_owned(), fluid_name.to_owned()));
        }
        Ok(())
    }

    /// Puts the pieces of large tensors together: `{name: {"OriginShape": shape, "slices": [names]}}`.
    fn big_tensors(&mut self, value: Id) -> Result<()> {
        let arena = &self.pickle.arena;
        let path = Arc::clone(&self.source.path);
        let fail = || Error::model(path.as_path(), format!("{BIG_TENSORS} is no dict of slices"));
        for (key, facts) in arena.dict(value).ok_or_else(fail)? {
            let name = arena.text(*key).ok_or_else(fail)?;
            let facts = arena.dict(*facts).ok_or_else(fail)?;
            let fact = |wanted| facts.iter().find(|(key, _)| arena.text(*key) == Some(wanted)).map(|(_, value)| *value);
            let shape = fact("OriginShape").and_then(|shape| arena.counts(shape)).ok_or_else(fail)?;
            let slices = fact("slices").and_then(|slices| arena.sequence(slices)).ok_or_else(fail)?;
            self.big_tensor(name, shape, slices)?;
        }
        Ok(())
    }

    fn big_tensor(&mut self, name: &'a str, shape: Vec<usize>, slices: &[Id]) -> Result<()> {
        let mut pieces = Vec::new();
        let mut first_place = None;
        for slice in slices {
            let place = self.pickle.arena.text(*slice).and_then(|slice| self.places.remove(slice));
            let piece = place.and_then(|place| self.tensors.get_mut(place)).and_then(Option::take);
            let piece = piece.ok_or_else(|| self.source.fail(name, "one of its slices is not there"))?;
            first_place = first_place.or(place);
            pieces.push(piece);
        }
        let element_type = pieces.first().map(|piece| piece.element_type);
        let element_type = element_type.ok_or_else(|| self.source.fail(name, "it has no slices"))?;
        if pieces.iter().any(|piece| piece.element_type != element_type) {
            return Err(self.source.fail(name, "its slices have different types"));
        }
        let given = pieces.iter().map(|piece| piece.bytes().len()).sum();
        if n_bytes(element_type, &shape) != Some(given) {
            let reason = format!("its slices have {given} bytes, which do not make the shape {shape:?}");
            return Err(self.source.fail(name, &reason));
        }
        let bytes = self.source.budget.buffer(given);
        let mut bytes =
            bytes.ok_or_else(|| self.source.fail(name, "more memory than a file of this length can need"))?;
        pieces.iter().for_each(|piece| bytes.extend_from_slice(piece.bytes()));
        let (path, data) = (Arc::clone(&self.source.path), Data::Owned(bytes));
        let tensor = StoredTensor { name: name.to_owned(), element_type, shape, data, path };
        let place = first_place.unwrap_or(self.tensors.len());
        if self.places.insert(name, place).is_some() {
            return Err(self.source.fail(name, "it comes twice"));
        }
        match self.tensors.get_mut(place) {
            Some(slot) => *slot = Some(tensor),
            None => self.tensors.push(Some(tensor)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
