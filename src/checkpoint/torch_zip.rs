//! The zip container of torch 1.6 and later -> tensors.
//!
//! `<root>/data.pkl` is the pickled object, `<root>/data/<key>` are the storages, `<root>/byteorder` says how they are
//! written. Only the central directory and the local headers are read; entries are stored as they are, so that tensors
//! are ranges of the mapped file. Checksums are not compared, as in torch.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, MAX_ENTRIES, Storage};
use super::tensors::StoredTensor;
use super::torch::StateDict;
use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;

/// Reads the state dict in the zip file that is mapped in `file`.
///
/// # Errors
/// [`Error::InvalidModel`]: no zip file, or truncated; not one of torch; compressed; big-endian; a pickle that does more
/// than hold weights; whatever is wrong with a tensor.
pub(crate) fn read_zip(path: &Path, file: &Arc<MappedFile>) -> Result<Vec<StoredTensor>> {
    let bytes = file.bytes();
    let entries = Entries::read(path, bytes)?;
    if let Some(order) = entries.get("byteorder").map_err(|reason| Error::model(path, reason))? {
        let order = bytes.get(order).unwrap_or(&[]);
        if order.trim_ascii() != b"little" {
            return Err(Error::model(path, "its byte order is not little-endian, the only one that is read"));
        }
    }
    let object = entries.get("data.pkl").map_err(|reason| Error::model(path, reason))?;
    let object = object.ok_or_else(|| Error::model(path, "a zip file without data.pkl"))?;
    let pickle = pickle::load(path, bytes, object)?;
    let place = |storage: &Storage| {
        let key = String::from_utf8_lossy(pickle.arena.slice(&storage.key));
        let name = format!("data/{key}");
        let range = entries.get(&name)?.ok_or_else(|| format!("its storage {} is not there", name.escape_debug()))?;
        let needed = storage.n_elements.checked_mul(storage.element_type.size_bytes());
        match needed.and_then(|needed| range.start.checked_add(needed)) {
            Some(end) if end <= range.end => Ok(range.start..end),
            _ => Err(format!(
                "its storage {} has {} bytes, too few for {} elements of {}",
                name.escape_debug(),
                range.len(),
                storage.n_elements,
                storage.element_type.name()
            )),
        }
    };
    StateDict { path, file, pickle: &pickle }.tensors(place)
}

/// Where the entries of a zip file lie, by name below the root; `Err` says why one is not usable.
struct Entries(HashMap<String, Result<Range<usize>, &'static str>>);

impl Entries {
    fn read(path: &Path, bytes: &[u8]) -> Result<Self> {
        let broken = |e| Error::model_from(path, "not a zip file, or truncated", e);
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        if archive.metadata().has_duplicate_names() || archive.len() > MAX_ENTRIES {
            return Err(Error::model(path, "a zip file with names that come twice, or with too many"));
        }
        let objects: Vec<&[u8]> = archive.file_names_raw().filter_map(|name| name.strip_suffix(b"/data.pkl")).collect();
        let root = match objects.as_slice() {
            [root] if !root.contains(&b'/') => [*root, b"/"].concat(),
            _ => return Err(Error::model(path, "a zip file, but not one of torch: it has no, or no single, data.pkl")),
        };
        let mut entries = HashMap::new();
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(broken)?;
            let Some(name) = entry.name_raw().strip_prefix(root.as_slice()) else { continue };
            let Ok(name) = String::from_utf8(name.to_vec()) else { continue };
            let is_stored = entry.compression() == CompressionMethod::Stored && !entry.encrypted();
            let range = entry.data_start().and_then(|start| {
                let start = usize::try_from(start).ok()?;
                let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
                (end <= bytes.len()).then_some(start..end)
            });
            let range = if is_stored && entry.compressed_size() == entry.size() {
                range.ok_or("beyond the end of the file")
            } else {
                Err("compressed or encrypted, not stored as torch does")
            };
            entries.insert(name, range);
        }
        Ok(Self(entries))
    }

    /// The bytes of an entry; `Ok(None)` where there is none.
    fn get(&self, name: &str) -> Result<Option<Range<usize>>, String> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Ok(range)) => Ok(Some(range.clone())),
            Some(Err(reason)) => Err(format!("the entry {} of the zip file is {reason}", name.escape_debug())),
        }
    }
}
