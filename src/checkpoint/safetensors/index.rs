//! Indices of sharded checkpoints: which files hold which tensors.
//!
//! In: the path of an `*.index.json` of Hugging Face, or its text. Out: its shards with the names of their tensors. The shards are all
//! in the directory of the index. Opening them and comparing what they hold with their index is the caller's.

use std::collections::HashMap;
use std::path::Path;

use super::{Pairs, refuse_duplicates};
use crate::bounded_file;
use crate::checkpoint::plain_name::is_plain;
use crate::error::{Error, Result};

/// The longest index: some hundred thousand tensors.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// The part of an index that is read.
#[derive(serde::Deserialize)]
struct Index {
    weight_map: Pairs<String>,
}

/// The shards of the index at `path` in the order in which they first appear, each with the names of its tensors.
///
/// # Errors
/// - [`Error::NotFound`], [`Error::Io`]: the index or a shard is not there or not readable.
/// - [`Error::InvalidModel`]: not JSON or too long, no `weight_map`, a tensor named twice, a shard outside the index's
///   directory.
pub(crate) fn read_index(path: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let shards = parse(path, &bounded_file::read(path, MAX_INDEX_BYTES)?)?;
    for (shard, _) in &shards {
        let shard_path = path.with_file_name(shard);
        std::fs::metadata(&shard_path).map_err(|e| missing_shard(path, &shard_path, e))?;
    }
    Ok(shards)
}

/// The shards of an index of this text; whether they are there is not looked at. `path` is for messages.
///
/// # Errors
/// [`Error::InvalidModel`], as [`read_index`].
pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Vec<(String, Vec<String>)>> {
    let index: Index = serde_json::from_slice(text).map_err(|e| Error::model_from(path, "not an index", e))?;
    let entries = index.weight_map.0;
    refuse_duplicates(path, &entries)?;
    if entries.is_empty() {
        return Err(Error::model(path, "weight_map names no tensor"));
    }
    let mut shards: Vec<(String, Vec<String>)> = Vec::new();
    let mut position: HashMap<String, usize> = HashMap::new();
    for (tensor, shard) in entries {
        let index = match position.get(&shard) {
            Some(index) => *index,
            None => {
                refuse_outside(path, &shard, &tensor)?;
                position.insert(shard.clone(), shards.len());
                shards.push((shard, Vec::new()));
                shards.len() - 1
            }
        };
        if let Some((_, tensors)) = shards.get_mut(index) {
            tensors.push(tensor);
        }
    }
    Ok(shards)
}

/// Refuses a shard whose name leads outside the directory of the index at `path`. A link beside the index is its
/// owner's, who may keep files elsewhere, as the cache of the Hugging Face hub does.
fn refuse_outside(path: &Path, shard: &str, tensor: &str) -> Result<()> {
    if !is_plain(shard) {
        return Err(Error::model(path, format!("tensor {tensor}: shard \"{shard}\" is not a plain file name")));
    }
    Ok(())
}

/// Says which index names the shard that is not there.
fn missing_shard(index: &Path, shard: &Path, error: std::io::Error) -> Error {
    match Error::io(shard, error) {
        Error::NotFound { path, .. } => {
            Error::NotFound { path, what: format!("a shard that {} names", index.display()) }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// An index with this text beside `a` and `b`; the directory lives as long as the first value.
    fn index(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("model");
        std::fs::create_dir(&inner).unwrap();
        for path in [inner.join("a"), inner.join("b"), dir.path().join("secret")] {
            std::fs::write(path, b"").unwrap();
        }
        let path = inner.join("model.safetensors.index.json");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn an_index_gives_its_shards_in_order_of_first_appearance() {
        let (_dir, path) = index(r#"{"metadata":{"total_size":1},"weight_map":{"x":"b","y":"a","z":"b"}}"#);
        let expected = [("b".to_owned(), vec!["x".to_owned(), "z".into()]), ("a".into(), vec!["y".into()])];
        assert_eq!(read_index(&path).unwrap(), expected);
    }

    #[test]
    fn an_index_names_only_files_beside_it_and_each_tensor_once() {
        for text in [
            r#"{"weight_map":{"x":"../secret"}}"#,
            r#"{"weight_map":{"x":"/etc/hostname"}}"#,
            r#"{"weight_map":{"x":"../model/a"}}"#,
            r#"{"weight_map":{"x":""}}"#,
            r#"{"weight_map":{"x":"a","x":"b"}}"#,
            r#"{"weight_map":{"x":1}}"#,
            r#"{"weight_map":{}}"#,
            r#"{"weight_map":{"x":"a"},"weight_map":{"x":"b"}}"#,
            "{}",
            "",
        ] {
            let (_dir, path) = index(text);
            assert!(matches!(read_index(&path), Err(Error::InvalidModel { .. })), "{text}");
        }
        let (_dir, path) = index(r#"{"weight_map":{"x":"none"}}"#);
        assert!(matches!(read_index(&path), Err(Error::NotFound { path, .. }) if path.ends_with("model/none")));
    }
}
