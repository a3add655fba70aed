//! Read-only memory maps of model files. One of the rooms where `unsafe` lives.
//!
//! A map shows the file as it is: whoever shortens a model file while a process has it open ends that process, as
//! with every memory-mapped reader. Model files are replaced by renaming, never rewritten in place.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use memmap2::{Mmap, UncheckedAdvice};

use crate::error::{Error, Result};

/// What tells one state of a file from any other: two that are equal hold the same bytes, unless somebody sets the
/// system's clock back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    device_and_inode: (u64, u64),
    n_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// That of the file at `path`.
    ///
    /// # Errors
    /// - [`Error::NotFound`], [`Error::Io`]: not there or not readable.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::new(&metadata)).map_err(|e| Error::io(path, e))
    }

    fn new(metadata: &Metadata) -> Self {
        Self {
            device_and_inode: (metadata.dev(), metadata.ino()),
            n_bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The bytes of a file, mapped and not copied; empty files are empty slices.
#[derive(Debug)]
pub(crate) struct MappedFile(Content, Identity);

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
        // Of the file that was opened: another one may have taken its name meanwhile.
        let identity = Identity::new(&file.metadata().map_err(|e| Error::io(path, e))?);
        if identity.n_bytes == 0 {
            return Ok(Self(Content::Empty, identity));
        }
        // SAFETY: the map is private and read-only, and lives no longer than this value; the module's doc says what
        // becomes of files that shrink meanwhile.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| match e.raw_os_error() {
            Some(libc::ENOMEM) => Error::OutOfMemory,
            _ => Error::io(path, e),
        })?;
        Ok(Self(Content::Mapped(map), identity))
    }

    /// Bytes in place of a file, for tests that make many.
    #[cfg(any(test, feature = "test-hooks"))]
    pub(crate) fn in_memory(bytes: &[u8]) -> Self {
        Self(Content::InMemory(bytes.to_vec()), Identity::default())
    }

    /// Which file this is.
    pub(crate) fn identity(&self) -> Identity {
        self.1
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
