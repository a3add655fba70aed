//! The bytes of a pickle -> plain values, without Python and without running anything.
//!
//! In: a mapped file and the range in which a pickle begins. Out: [`Pickle`]: an arena of values, the root and where the
//! pickle ends; old torch files hold several, one after another.
//!
//! A pickle is a program for a stack machine, and Python's own reader imports and calls whatever the program names.
//! This machine knows the few globals of `globals` and what each would have made of exactly the arguments that numpy and
//! torch write; every other global, call, state or opcode is an error. There is no way from a file to any other code.
//!
//! Bounds: objects, entries of containers, stack and memo are limited to [`MAX_ENTRIES`] each, text and bytes are ranges
//! of the file, and nothing recurses: a hostile pickle costs some tens of megabytes and time in proportion to its length.
//!
//! Rooms: `opcodes` and `globals` are the whitelists, `machine` runs, `reduce` makes arrays and tensors, `value` is what
//! comes out. Which tensors that gives is told by `pdparams` and `torch`. Reference: `Lib/pickletools.py` of CPython.

mod globals;
mod machine;
mod opcodes;
mod reduce;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use std::ops::Range;
use std::path::Path;

pub(crate) use value::{Arena, Array, ByteOrder, Id, Storage, Tensor, Value};

use crate::error::Result;

/// Objects, entries of all containers together, entries of the stack and of the memo, at most. The largest state dicts
/// have some ten thousand.
pub(crate) const MAX_ENTRIES: usize = 1 << 20;

/// What was read.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    /// All objects.
    pub(crate) arena: Arena<'a>,
    /// The pickled object.
    pub(crate) root: Id,
    /// The offset in the file of the first byte behind the pickle.
    pub(crate) end: usize,
}

/// Reads the pickle that begins with `range` of the file's `bytes` and ends within it. The path is for messages, which
/// count bytes from the file's first.
///
/// # Errors
/// [`Error::InvalidModel`](crate::error::Error::InvalidModel): truncated; a protocol other than 2 to 5; an opcode or
/// global that weights do not need; objects that do not fit together; more of anything than [`MAX_ENTRIES`].
pub(crate) fn load<'a>(path: &Path, bytes: &'a [u8], range: Range<usize>) -> Result<Pickle<'a>> {
    machine::Machine::new(path, bytes, range).run()
}
