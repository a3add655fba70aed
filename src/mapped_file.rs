//! Read-only memory maps of model files. One of the rooms where `unsafe` lives.
//!
//! A map shows the file as it is: whoever shortens a model file while a process has it open ends that process, as
//! with every memory-mapped reader. Model files are replaced by renaming, never rewritten in place.

use std::fs::File;
use std::path::Path;

use memmap2::{Mmap, UncheckedAdvice};

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

    /// Gives the pages of a range back to the system; they are read again, from the file, when they are used.
    pub(crate) fn release_pages(&self, range: std::ops::Range<usize>) {
        let Some(map) = self.0.as_ref().filter(|map| range.start < range.end && range.end <= map.len()) else { return };
        // SAFETY: the map is private, read-only and backed by a file, so dropped pages come back with the same content.
        // Failure means that the pages stay, which is allowed.
        let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(&[])
    }
}
