//! Why the tool stops.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ernie::error::Error;

/// What is said before the exit status is 1.
#[derive(Debug)]
pub(crate) enum Failure {
    Library(Error),
    /// What the caller asked for cannot be done; the message says why.
    Refused(String),
    /// Standard output cannot be written.
    Output(std::io::Error),
    /// A file cannot be read or written.
    File(PathBuf, std::io::Error),
    /// Bad lines, where they are a failure of the run.
    Line(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => f.write_str(&error.report()),
            Self::Refused(reason) | Self::Line(reason) => f.write_str(reason),
            Self::Output(error) => write!(f, "cannot write: {error}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl Failure {
    /// Names the file of an error of the operating system.
    pub(crate) fn of(path: &Path) -> impl Fn(std::io::Error) -> Self + use<'_> {
        move |error| Self::File(path.to_owned(), error)
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) | Self::File(_, error) if error.kind() == ErrorKind::BrokenPipe)
    }
}
