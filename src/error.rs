//! The error vocabulary: one [`Error`] whose variants are told apart by what the caller can do about them.
//!
//! Foreign errors (files, JSON, ONNX Runtime) are kept as sources, so that [`Error::report`] can give the whole
//! chain. The numbers that C sees are made of these variants in `capi::status`, exhaustively.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

/// A foreign error kept as the source of one of ours.
pub type Source = Box<dyn StdError + Send + Sync>;

/// What a fallible call of this crate gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument, option or call field that no model would accept; the message names it.
    #[error("{0}")]
    InvalidArgument(String),
    /// A text is not UTF-8.
    #[error("{what} is not UTF-8: invalid byte at offset {byte_offset}")]
    InvalidUtf8 {
        /// Which text: its index in the call and whether it is the text or the pair.
        what: String,
        /// Offset of the first byte that does not belong to a valid sequence.
        byte_offset: usize,
    },
    /// A file or directory is not there.
    #[error("{path}: {what}", path = path.display())]
    NotFound {
        /// The path that was looked for.
        path: PathBuf,
        /// What was expected there.
        what: String,
    },
    /// The operating system refused to read or write a file.
    #[error("{path}: cannot be read or written", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of the model is broken or contradicts another.
    #[error("{path}: {reason}", path = path.display())]
    InvalidModel {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong, and where in the file when that is known.
        reason: String,
        /// The parser's own error.
        source: Option<Source>,
    },
    /// The model or the request is well formed, but cannot be run faithfully; the message says why.
    #[error("{0}")]
    Unsupported(String),
    /// A text has more tokens than allowed and truncation was not.
    #[error("{what} has {n_tokens} tokens, more than the {max_tokens} allowed")]
    TextTooLong {
        /// Which text: its index in the call.
        what: String,
        /// Tokens of the text or pair, special tokens included.
        n_tokens: usize,
        /// The largest number allowed.
        max_tokens: usize,
    },
    /// The caller's buffer is too small; nothing was written.
    #[error("the buffer holds {given} {unit}, {needed} are needed")]
    BufferTooSmall {
        /// What is counted: `floats` or `bytes`.
        unit: &'static str,
        /// What is needed.
        needed: usize,
        /// What was given.
        given: usize,
    },
    /// ONNX Runtime was not found, or none that was found can be used.
    #[error("no usable ONNX Runtime: {0}")]
    RuntimeMissing(String),
    /// The execution provider asked for cannot be used with this runtime or machine.
    #[error("provider {provider} is not available: {reason}")]
    ProviderUnavailable {
        /// The provider's name as in the options: `cuda`, `tensorrt`.
        provider: String,
        /// What is missing.
        reason: String,
        /// What ONNX Runtime said.
        source: Option<Source>,
    },
    /// ONNX Runtime failed while loading or running a graph.
    #[error("{context}")]
    Runtime {
        /// What was being done.
        context: String,
        /// What ONNX Runtime said.
        source: Option<Source>,
    },
    /// Memory could not be had.
    #[error("out of memory")]
    OutOfMemory,
    /// Too many callers wait for the model already; the same call may succeed later.
    #[error("the model is busy: calls that wait for it: {n_waiting}, option max_queue allows {limit}")]
    Busy {
        /// Calls that wait.
        n_waiting: usize,
        /// As many as may.
        limit: usize,
    },
    /// The caller cancelled the call.
    #[error("cancelled")]
    Cancelled,
    /// A bug in this library, caught at the boundary.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// An [`Error::InvalidArgument`] with this message.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::InvalidArgument(message.into())
    }

    /// An [`Error::InvalidModel`] about `path` without a foreign source.
    pub(crate) fn model(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::InvalidModel { path: path.as_ref().to_owned(), reason: reason.into(), source: None }
    }

    /// An [`Error::InvalidModel`] about `path` caused by `source`.
    pub(crate) fn model_from(path: impl AsRef<Path>, reason: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::InvalidModel { path: path.as_ref().to_owned(), reason: reason.into(), source: Some(source.into()) }
    }

    /// [`Error::NotFound`] or [`Error::Io`], as `source` says.
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        match source.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path, what: "no such file or directory".into() },
            _ => Self::Io { path, source },
        }
    }

    /// The message followed by those of all sources, on one line: `message: source: source`. Control characters, which
    /// paths and foreign messages may hold, are escaped.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let part = error.to_string();
            if !text.contains(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            source = error.source();
        }
        let mut line = String::with_capacity(text.len());
        for c in text.trim_end().chars() {
            if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
        }
        line
    }
}
