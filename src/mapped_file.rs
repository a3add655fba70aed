//! Read-only memory maps of model files. One of the rooms where `unsafe` lives.
//!
//! A map shows the file as it is: whoever shortens a model file while a process has it open ends that process, as
//! with every memory-mapped reader. Model files are replaced by renaming, never rewritten in place.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// The bytes of a file, mapped and not copied; empty files are empty slices.
#[derive(Debug)]
pub(crate) struct MappedFile(Option<Mmap>);

impl MappedFile {
    /// Maps the regular file at `path`.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: no such file.
    /// - [`Error::Io`]: not readable.
    /// - [`Error::InvalidModel`]: a directory or device.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if !metadata.is_file() {
            return Err(Error::model(path, "not a regular file"));
        }
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the map is private and read-only, and lives no longer than this value; the module's doc says what
        // becomes of files that shrink meanwhile.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        Ok(Self(Some(map)))
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(&[])
    }
}
