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
pub(crate) struct MappedFile(Content);

#[derive(Debug)]
enum Content {
    Empty,
    Mapped(Mmap),
    #[cfg(any(test, feature = "test-hooks"))]
    InMemory(Vec<u8>),
}

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
            return Ok(Self(Content::Empty));
        }
        // SAFETY: the map is private and read-only, and lives no longer than this value; the module's doc says what
        // becomes of files that shrink meanwhile.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        Ok(Self(Content::Mapped(map)))
    }

    /// Bytes in place of a file, for tests that make many.
    #[cfg(any(test, feature = "test-hooks"))]
    pub(crate) fn in_memory(bytes: &[u8]) -> Self {
        Self(Content::InMemory(bytes.to_vec()))
    }

    /// Gives the pages of a range back to the system; they are read again, from the file, when they are used.
    pub(crate) fn release_pages(&self, range: std::ops::Range<usize>) {
        let Content::Mapped(map) = &self.0 else { return };
        if range.is_empty() || range.end > map.len() {
            return;
        }
        // SAFETY: the map is private, read-only and backed by a file, so dropped pages come back with the same content.
        // Failure means that the pages stay, which is allowed.
        let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Content::Empty => &[],
            Content::Mapped(map) => map,
            #[cfg(any(test, feature = "test-hooks"))]
            Content::InMemory(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_pages_come_back_with_the_same_bytes() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|i| (i / 7) as u8).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        for held in [MappedFile::open(file.path()).unwrap(), MappedFile::in_memory(&bytes)] {
            for range in [0..20_000, 4096..8192, 5000..5000, 19_999..20_001] {
                held.release_pages(range);
            }
            assert_eq!(held.bytes(), bytes);
        }
    }
}
