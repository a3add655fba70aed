//! LoDTensor streams of Paddle -> named tensors.
//!
//! In: a mapped file with one stream or with several one after another, or a directory with a file for each variable.
//! Out: [`StoredTensor`]s, ranges of the maps. Streams hold no names: a file's name or the caller's list gives them.
//! Levels of detail are skipped, as weights have none that matter.
//!
//! The format: `SerializeToStream` in `paddle/fluid/framework/lod_tensor.cc` and `TensorToStream` in
//! `tensor_util.cc`. The data have no length field; type and dimensions give it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plain_name::is_plain;
use super::tensors::{Data, StoredTensor, n_bytes};
use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;
use crate::tensor::ElementType;
use crate::wire::{Field, NoMessage, next_field, varint};

/// Levels of detail, at most; Paddle's own models have one or two.
const MAX_LOD_LEVELS: u64 = 16;
/// Bytes of a tensor's description, at most: some hundred dimensions.
const MAX_DESC_BYTES: usize = 4096;
/// Ends of the names under which Adam's state lies beside the parameters.
const OPTIMIZER_STATE: &[&str] = &["_moment1_0", "_moment2_0", "_beta1_pow_acc_0", "_beta2_pow_acc_0"];

/// The tensor of the file at `path`, of which `file` is the map; its name is the file's.
///
/// # Errors
/// - [`Error::InvalidModel`]: not a stream that fills the file, or a file name that is not UTF-8.
pub(crate) fn read_one(path: &Path, file: &Arc<MappedFile>) -> Result<StoredTensor> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::model(path, "a variable whose name is not UTF-8"))?;
    let mut reader = Reader { path, variable: name, bytes: file.bytes(), at: 0 };
    let stream = reader.stream()?;
    let n_left = reader.bytes.len() - reader.at;
    if n_left > 0 {
        return Err(reader.fail(reader.at, format!("{n_left} bytes left over after the data")));
    }
    Ok(stream.into_tensor(name, &Arc::new(path.to_owned()), file))
}

/// The tensors of the file at `path`, of which `file` is the map, for `names` in this order.
///
/// # Errors
/// - [`Error::InvalidModel`]: a broken stream, or not exactly one for each name.
pub(crate) fn read_combined(path: &Path, file: &Arc<MappedFile>, names: &[String]) -> Result<Vec<StoredTensor>> {
    let streams = parse_combined(path, file.bytes(), names)?;
    let path = Arc::new(path.to_owned());
    Ok(names.iter().zip(streams).map(|(name, stream)| stream.into_tensor(name, &path, file)).collect())
}

/// The tensors of the directory at `dir`: the files `names`, in this order, or else all that may be variables, in byte
/// order of their names: regular files, not hidden, other than the program, text and the optimizer's state.
///
/// # Errors
/// - [`Error::NotFound`], [`Error::Io`]: the directory or a file is not there or not readable.
/// - [`Error::InvalidModel`]: a name that is no plain file name, a file that is no stream.
pub(crate) fn read_directory(dir: &Path, names: Option<&[String]>) -> Result<Vec<StoredTensor>> {
    let listed;
    let names = match names {
        Some(names) => names,
        None => {
            listed = variable_files(dir)?;
            &listed
        }
    };
    let mut tensors = Vec::with_capacity(names.len());
    for name in names {
        if !is_plain(name) {
            return Err(Error::model(dir, format!("variable {name}: not a plain file name")));
        }
        let path = dir.join(name);
        tensors.push(read_one(&path, &Arc::new(MappedFile::open(&path)?))?);
    }
    Ok(tensors)
}

/// Names of the files in `dir` that may be variables, in byte order.
fn variable_files(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let path = entry.map_err(|e| Error::io(dir, e))?.path();
        let metadata = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?;
        if !metadata.is_file() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::model(&path, "a variable whose name is not UTF-8"))?;
        let is_other =
            name.starts_with('.') || name == "__model__" || name.ends_with(".txt") || name.ends_with(".json");
        if !is_other && !OPTIMIZER_STATE.iter().any(|end| name.ends_with(end)) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The streams that `bytes` hold for `names`.
fn parse_combined(path: &Path, bytes: &[u8], names: &[String]) -> Result<Vec<Stream>> {
    let n_expected = names.len();
    let mut streams = Vec::with_capacity(n_expected);
    let mut at = 0;
    for name in names {
        if at == bytes.len() {
            let n_found = streams.len();
            let reason = format!("{n_expected} variables expected, {n_found} found: none at byte {at} for {name}");
            return Err(Error::model(path, reason));
        }
        let mut reader = Reader { path, variable: name, bytes, at };
        streams.push(reader.stream()?);
        at = reader.at;
    }
    if at == bytes.len() { Ok(streams) } else { Err(left_over(path, bytes, at, n_expected)) }
}

/// Says what lies after the expected variables: further ones, or something else.
fn left_over(path: &Path, bytes: &[u8], at: usize, n_expected: usize) -> Error {
    let mut reader = Reader { path, variable: "", bytes, at };
    let (mut n_found, mut end) = (n_expected, at);
    while end < bytes.len() && reader.stream().is_ok() {
        (n_found, end) = (n_found + 1, reader.at);
    }
    let n_left = bytes.len() - end;
    let rest = if n_left > 0 { format!(" and {n_left} bytes from byte {end} on that are none") } else { String::new() };
    Error::model(path, format!("{n_expected} variables expected up to byte {at}, {n_found} found{rest}"))
}

/// One stream without its name.
#[derive(Debug, PartialEq)]
struct Stream {
    element_type: ElementType,
    shape: Vec<usize>,
    data: Range<usize>,
}

impl Stream {
    /// The tensor of this name.
    fn into_tensor(self, name: &str, path: &Arc<PathBuf>, file: &Arc<MappedFile>) -> StoredTensor {
        StoredTensor {
            name: name.to_owned(),
            element_type: self.element_type,
            shape: self.shape,
            data: Data::Mapped(Arc::clone(file), self.data),
            path: Arc::clone(path),
        }
    }
}

/// Reads one stream from byte `at` on, which it moves.
struct Reader<'a> {
    path: &'a Path,
    variable: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// An error at byte `at`.
    fn fail(&self, at: usize, reason: impl std::fmt::Display) -> Error {
        Error::model(self.path, format!("variable {}: at byte {at}: {reason}", self.variable))
    }

    /// The next `n_bytes`, which are `what`.
    fn take(&mut self, n_bytes: u64, what: &str) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let taken = usize::try_from(n_bytes).ok().and_then(|n| rest.get(..n));
        let taken = taken
            .ok_or_else(|| self.fail(self.at, format!("truncated: {what} of {n_bytes} bytes, {} left", rest.len())))?;
        self.at += taken.len();
        Ok(taken)
    }

    /// The bytes of a number.
    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let at = self.at;
        let taken = self.take(N as u64, what)?;
        taken.try_into().map_err(|_| self.fail(at, format!("truncated: {what}")))
    }

    /// A version that this library knows.
    fn version(&mut self, of: &str) -> Result<()> {
        let at = self.at;
        match u32::from_le_bytes(self.array("a version")?) {
            0 => Ok(()),
            version => Err(self.fail(at, format!("version {version} of {of}; not a LoDTensor, or a newer one"))),
        }
    }

    /// One stream.
    fn stream(&mut self) -> Result<Stream> {
        self.version("the LoDTensor")?;
        let at = self.at;
        let n_levels = u64::from_le_bytes(self.array("the number of levels")?);
        if n_levels > MAX_LOD_LEVELS {
            return Err(self.fail(at, format!("{n_levels} levels of detail, more than {MAX_LOD_LEVELS}")));
        }
        for _ in 0..n_levels {
            let n_bytes = u64::from_le_bytes(self.array("the length of a level")?);
            self.take(n_bytes, "a level of detail")?;
        }
        self.version("the tensor")?;
        let at = self.at;
        let length = i32::from_le_bytes(self.array("the description's length")?);
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_DESC_BYTES);
        let length =
            length.ok_or_else(|| self.fail(at, format!("a description not of 0 to {MAX_DESC_BYTES} bytes")))?;
        let (element_type, shape) = self.description(length)?;
        let start = self.at;
        let n_data = n_bytes(element_type, &shape)
            .ok_or_else(|| self.fail(at, format!("dimensions {shape:?} are larger than any memory")))?;
        self.take(n_data as u64, "data")?;
        Ok(Stream { element_type, shape, data: start..self.at })
    }

    /// Reads `TensorDesc { required Type data_type = 1; repeated int64 dims = 2; }`. Writers of proto2 leave the
    /// dimensions unpacked; packed ones mean the same.
    fn description(&mut self, length: usize) -> Result<(ElementType, Vec<usize>)> {
        let start = self.at;
        let message = self.take(length as u64, "the description")?;
        let (mut data_type, mut shape) = (None, Vec::new());
        let mut rest = message;
        loop {
            let at = start + message.len() - rest.len();
            let broken = |NoMessage| self.fail(at, "the description is broken");
            match next_field(&mut rest).map_err(broken)? {
                None => break,
                Some((1, Field::Number(number))) => data_type = Some((number, at)),
                Some((2, Field::Number(dim))) => shape.push(self.dimension(dim, at)?),
                Some((2, Field::Bytes(mut packed))) => {
                    while !packed.is_empty() {
                        let dim = varint(&mut packed).map_err(broken)?;
                        shape.push(self.dimension(dim, at)?);
                    }
                }
                Some(_) => {}
            }
        }
        let (number, at) = data_type.ok_or_else(|| self.fail(start, "no element type"))?;
        let element_type = element_type(number)
            .ok_or_else(|| self.fail(at, format!("elements of Paddle's type {number} are not supported")))?;
        Ok((element_type, shape))
    }

    /// A dimension, found at byte `at`.
    fn dimension(&self, number: u64, at: usize) -> Result<usize> {
        let dim = number as i64;
        usize::try_from(dim).map_err(|_| self.fail(at, format!("the dimension {dim}")))
    }
}

/// `VarType.Type` of `framework.proto`.
fn element_type(number: u64) -> Option<ElementType> {
    Some(match number {
        0 => ElementType::Bool,
        1 => ElementType::I16,
        2 => ElementType::I32,
        3 => ElementType::I64,
        4 => ElementType::F16,
        5 => ElementType::F32,
        6 => ElementType::F64,
        20 => ElementType::U8,
        21 => ElementType::I8,
        22 => ElementType::Bf16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
