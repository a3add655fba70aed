//! Small files read whole: configs, vocabularies.
//!
//! A directory, pipe or device is refused before it is opened, a file over its limit before it fills the memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of the regular file at `path`, at most `max_bytes`.
///
/// # Errors
/// - [`Error::NotFound`], [`Error::Io`]: not there or not readable.
/// - [`Error::InvalidModel`]: not a regular file, or larger.
pub(crate) fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if !metadata.is_file() {
        return Err(Error::model(path, "not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::model(path, format!("larger than the {max_bytes} bytes read of such a file")));
    }
    Ok(bytes)
}
