//! The file that answers are written to, begun or gone on with.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::sources::Source;

/// What happens to what a file holds already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// The file is refused.
    Refused,
    /// It is written anew.
    Replaced,
    /// It is kept, and the rest is written behind it.
    Kept,
}

/// A file that no other run writes to.
pub(crate) struct OutputFile {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) existing: Existing,
    /// Bytes that it holds.
    pub(crate) n_bytes: u64,
    /// Whether it can be cut and gone on with, as a pipe cannot.
    pub(crate) is_regular: bool,
}

impl OutputFile {
    /// Opens a file for writing and leaves what it holds as it is.
    pub(crate) fn open(path: &Path, existing: Existing, sources: &[Source]) -> Result<Self, Failure> {
        let fail = Failure::of(path);
        let refuse = |reason: &str| Err(Failure::Refused(format!("{}: {reason}", path.display())));
        let mut options = OpenOptions::new();
        let file = options.read(existing == Existing::Kept).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(&fail)?;
        let metadata = file.metadata().map_err(&fail)?;
        if is_input(&metadata, sources) {
            return refuse("is an input too");
        }
        if existing == Existing::Refused && metadata.len() > 0 {
            return refuse("is there already; --resume goes on with it, --force writes it anew");
        }
        if existing == Existing::Kept && !metadata.is_file() {
            return refuse("is not a file that can be gone on with");
        }
        // Where the file system has no locks, files are written without.
        if metadata.is_file() && matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return refuse("is written by another run");
        }
        let is_regular = metadata.is_file();
        Ok(Self { path: path.to_owned(), file, existing, n_bytes: metadata.len(), is_regular })
    }

    /// Cuts the file to so many bytes.
    pub(crate) fn cut(&mut self, n_bytes: u64) -> Result<(), Failure> {
        if self.is_regular {
            self.file.set_len(n_bytes).map_err(Failure::of(&self.path))?;
            self.n_bytes = n_bytes;
        }
        Ok(())
    }
}

/// Whether an output is one of the inputs, under whatever name.
fn is_input(output: &Metadata, sources: &[Source]) -> bool {
    let is_same = |input: Metadata| input.is_file() && (input.dev(), input.ino()) == (output.dev(), output.ino());
    let metadata = |source: &Source| match &source.path {
        Some(path) => path.metadata().ok(),
        None => std::io::stdin().as_fd().try_clone_to_owned().ok().and_then(|input| File::from(input).metadata().ok()),
    };
    sources.iter().filter_map(metadata).any(is_same)
}
