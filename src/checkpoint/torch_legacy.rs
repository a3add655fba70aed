//! The container of torch before 1.6 -> tensors.
//!
//! A row of pickles: a magic number, the protocol (1001), a dict about the machine that wrote, the object, and the list of
//! storage keys. Behind them lie the storages in the order of that list: the number of elements as `i64`, and the
//! elements.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::pickle::{self, Id, Pickle, Storage, Value};
use super::tensors::StoredTensor;
use super::torch::{StateDict, is_magic};
use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;

/// The version of the container.
const PROTOCOL: i64 = 1001;

/// Reads the state dict in the row of pickles that is mapped in `file`.
///
/// # Errors
/// [`Error::InvalidModel`]: not such a file, or truncated; big-endian; a pickle that does more than hold weights; whatever
/// is wrong with a tensor.
pub(crate) fn read_legacy(path: &Path, file: &Arc<MappedFile>) -> Result<Vec<StoredTensor>> {
    let bytes = file.bytes();
    let next = |at: usize| pickle::load(path, bytes, at..bytes.len());
    let magic = next(0)?;
    let protocol = next(magic.end)?;
    if !is_magic(&magic) || *protocol.arena.get(protocol.root) != Value::Int(PROTOCOL) {
        return Err(Error::model(path, "not a file of torch before 1.6, or of another protocol than 1001"));
    }
    let machine = next(protocol.end)?;
    if !is_little_endian(&machine) {
        return Err(Error::model(path, "its byte order is not little-endian, the only one that is read"));
    }
    let object = next(machine.end)?;
    let keys = next(object.end)?;
    let places = places(path, bytes, &object, &keys)?;
    let place = |storage: &Storage| {
        let key = object.arena.slice(&storage.key);
        let shown = || String::from_utf8_lossy(key).escape_debug().to_string();
        places.get(key).cloned().ok_or_else(|| format!("its storage {} is not there", shown()))
    };
    StateDict { path, file, pickle: &object }.tensors(place)
}

fn is_little_endian(machine: &Pickle<'_>) -> bool {
    let arena = &machine.arena;
    let mut items = arena.dict(machine.root).unwrap_or(&[]).iter();
    items.any(|(key, value)| arena.text(*key) == Some("little_endian") && *arena.get(*value) == Value::Bool(true))
}

/// Where the elements of each storage lie. Their type and number are those that the object tells; all its storages must
/// agree on them.
fn places<'a>(
    path: &Path,
    bytes: &'a [u8],
    object: &Pickle<'a>,
    keys: &Pickle<'a>,
) -> Result<HashMap<&'a [u8], Range<usize>>> {
    let mut storages: HashMap<&[u8], &Storage> = HashMap::new();
    for value in object.arena.values() {
        let Value::Storage(storage) = value else { continue };
        let known = storages.entry(object.arena.slice(&storage.key)).or_insert(storage);
        if (known.element_type, known.n_elements) != (storage.element_type, storage.n_elements) {
            return Err(Error::model(path, "one storage with two types or lengths"));
        }
    }
    let Value::List(ids) = keys.arena.get(keys.root) else {
        return Err(Error::model(path, "no list of storages follows the object"));
    };
    let mut places = HashMap::new();
    let mut at = keys.end;
    for id in ids {
        let (key, shown) = key(keys, *id);
        let fail = |reason| Error::model(path, format!("storage {shown} at byte {at}: {reason}"));
        let storage = storages.get(key).ok_or_else(|| fail("no tensor is of it, so its type is not known"))?;
        let n_elements = bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|n| i64::from_le_bytes(*n));
        let n_elements = n_elements.ok_or_else(|| fail("truncated"))?;
        if usize::try_from(n_elements) != Ok(storage.n_elements) {
            return Err(fail("its length is not the one that the object tells"));
        }
        let start = at + size_of::<i64>();
        let n_bytes = storage.n_elements.checked_mul(storage.element_type.size_bytes());
        let end = n_bytes.and_then(|n_bytes| start.checked_add(n_bytes)).filter(|end| *end <= bytes.len());
        let end = end.ok_or_else(|| fail("truncated"))?;
        if places.insert(key, start..end).is_some() {
            return Err(fail("it comes twice"));
        }
        at = end;
    }
    Ok(places)
}

/// The bytes of a storage's key, and the key for messages.
fn key<'a>(keys: &Pickle<'a>, id: Id) -> (&'a [u8], String) {
    let key = keys.arena.text(id).unwrap_or("");
    (key.as_bytes(), key.chars().take(32).flat_map(char::escape_debug).collect())
}
