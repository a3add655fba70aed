//! Safetensors files -> named tensors.
//!
//! In: a mapped file. Out: [`StoredTensor`]s, ranges of the map in the order of the header. A file is taken only if its
//! tensors fill it: every byte after the header belongs to exactly one tensor, every name comes once. `index` reads which
//! files belong together.
//!
//! The format: `safetensors/README.md` of huggingface/safetensors. A file is a u64 length, a JSON header of that length
//! and the data.

pub(crate) mod index;

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(crate) use self::index::read_index;
use super::tensors::{Data, StoredTensor, n_bytes};
use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;
use crate::tensor::ElementType;

/// The longest header; the reference implementation has the same limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Members of one JSON object, at most: short ones take many times the memory of their text.
const MAX_MEMBERS: usize = 1 << 20;
/// Dimensions of a tensor, at most.
const MAX_RANK: usize = 32;
/// The key of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// The tensors of the file at `path`, of which `file` is the map.
///
/// # Errors
/// - [`Error::InvalidModel`]: truncated, a broken header, an element type that this library does not hold, tensors that
///   do not fill the file, or two of one name; the message names the tensor.
pub(crate) fn read(path: &Path, file: &Arc<MappedFile>) -> Result<Vec<StoredTensor>> {
    let path_of_all = Arc::new(path.to_owned());
    let tensors = parse(path, file.bytes())?.into_iter().map(|tensor| StoredTensor {
        name: tensor.name,
        element_type: tensor.element_type,
        shape: tensor.shape,
        data: Data::Mapped(Arc::clone(file), tensor.bytes),
        path: Arc::clone(&path_of_all),
    });
    Ok(tensors.collect())
}

/// What the header says of a tensor; the offsets count from the end of the header.
#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// A tensor whose bytes lie in the file.
#[derive(Debug, PartialEq)]
struct Parsed {
    name: String,
    element_type: ElementType,
    shape: Vec<usize>,
    /// From the start of the file.
    bytes: Range<usize>,
}

/// The tensors of a file of these bytes.
fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Parsed>> {
    let header = header(path, bytes)?;
    let data_start = 8 + header.len();
    let entries: Pairs<&RawValue> = serde_json::from_slice(header)
        .map_err(|e| Error::model_from(path, format!("the header of {} bytes is broken", header.len()), e))?;
    let entries = entries.0;
    refuse_duplicates(path, &entries)?;
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, entry) in entries.into_iter().filter(|(name, _)| name != METADATA) {
        tensors.push(tensor(path, name, entry, data_start..bytes.len())?);
    }
    refuse_gaps(path, &tensors, data_start..bytes.len())?;
    Ok(tensors)
}

/// The bytes of the JSON header.
fn header<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| {
        Error::model(path, format!("not a safetensors file: {} bytes, too few for the header's length", bytes.len()))
    })?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER_BYTES {
        let reason = format!("not a safetensors file: a header of {length} bytes, more than {MAX_HEADER_BYTES}");
        return Err(Error::model(path, reason));
    }
    let header = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    header.ok_or_else(|| {
        Error::model(path, format!("truncated: a header of {length} bytes, of which {} are there", rest.len()))
    })
}

/// Checks what the header says of one tensor against the bytes of `data`.
fn tensor(path: &Path, name: String, entry: &RawValue, data: Range<usize>) -> Result<Parsed> {
    let entry: Entry = serde_json::from_str(entry.get())
        .map_err(|e| Error::model_from(path, format!("tensor {name}: a broken entry in the header"), e))?;
    let fail = |reason: String| Error::model(path, format!("tensor {name}: {reason}"));
    if entry.shape.len() > MAX_RANK {
        return Err(fail(format!("{} dimensions, more than {MAX_RANK}", entry.shape.len())));
    }
    let element_type = element_type(&entry.dtype)
        .ok_or_else(|| fail(format!("elements of type \"{}\" are not supported", entry.dtype)))?;
    let n_expected = n_bytes(element_type, &entry.shape)
        .ok_or_else(|| fail(format!("shape {:?} is larger than any memory", entry.shape)))?;
    let (begin, end) = entry.data_offsets;
    if begin > end {
        return Err(fail(format!("data end at {end}, before they begin at {begin}")));
    }
    let in_file = |offset: u64| usize::try_from(offset).ok().filter(|offset| *offset <= data.len());
    let (Some(first), Some(last)) = (in_file(begin), in_file(end)) else {
        return Err(fail(format!("data at {begin}..{end} of {}: truncated or out of the file", data.len())));
    };
    if last - first != n_expected {
        let n_given = last - first;
        let shape = &entry.shape;
        return Err(fail(format!("{n_given} bytes, but {} {shape:?} takes {n_expected}", entry.dtype)));
    }
    Ok(Parsed { name, element_type, shape: entry.shape, bytes: data.start + first..data.start + last })
}

/// The type that a header calls `dtype`.
fn element_type(dtype: &str) -> Option<ElementType> {
    Some(match dtype {
        "F64" => ElementType::F64,
        "F32" => ElementType::F32,
        "F16" => ElementType::F16,
        "BF16" => ElementType::Bf16,
        "I64" => ElementType::I64,
        "I32" => ElementType::I32,
        "I16" => ElementType::I16,
        "I8" => ElementType::I8,
        "U8" => ElementType::U8,
        "BOOL" => ElementType::Bool,
        _ => return None,
    })
}

/// Refuses tensors that share bytes, and bytes of `data` that belong to no tensor.
fn refuse_gaps(path: &Path, tensors: &[Parsed], data: Range<usize>) -> Result<()> {
    let mut in_order: Vec<&Parsed> = tensors.iter().collect();
    in_order.sort_by_key(|tensor| (tensor.bytes.start, tensor.bytes.end));
    let mut free = data.start;
    let mut before = "the header";
    for tensor in in_order {
        let (name, start) = (&tensor.name, tensor.bytes.start);
        if start < free {
            return Err(Error::model(path, format!("tensor {name}: begins at byte {start}, inside of {before}")));
        }
        if start > free {
            return Err(Error::model(path, format!("tensor {name}: a hole before it, bytes {free}..{start}")));
        }
        (free, before) = (tensor.bytes.end, name);
    }
    if free != data.end {
        let n_left = data.end - free;
        return Err(Error::model(path, format!("{n_left} bytes after {before}, from byte {free} on, are no tensor's")));
    }
    Ok(())
}

/// Readers differ in which of two equal keys counts, so that one file could mean two things.
fn refuse_duplicates<V>(path: &Path, entries: &[(String, V)]) -> Result<()> {
    let mut seen = HashSet::with_capacity(entries.len());
    match entries.iter().find(|(name, _)| !seen.insert(name)) {
        Some((name, _)) => Err(Error::model(path, format!("tensor {name}: named twice"))),
        None => Ok(()),
    }
}

/// All members of a JSON object in the order of the text, those of equal keys too.
struct Pairs<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

/// Makes [`Pairs`].
struct PairsVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
    type Value = Pairs<V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with an entry for each tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            if pairs.len() == MAX_MEMBERS {
                return Err(A::Error::custom(format_args!("more than {MAX_MEMBERS} entries")));
            }
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::super::mutation::mutations;
    use super::*;

    /// A file with this header and `n_data` bytes.
    fn file(header: &str, n_data: usize) -> Vec<u8> {
        let data: Vec<u8> = (0..n_data).map(|i| i as u8).collect();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }

    fn entry(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    }

    fn parsed(entries: &[String], n_data: usize) -> Result<Vec<Parsed>> {
        parse(Path::new("m.safetensors"), &file(&format!("{{{}}}", entries.join(",")), n_data))
    }

    fn message(entries: &[String], n_data: usize) -> String {
        parsed(entries, n_data).unwrap_err().report()
    }

    #[test]
    fn tensors_are_ranges_of_the_file_in_the_order_of_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let [x, y, z] = [
            entry("x", "I16", "[2]", "[6,10]"),
            entry("y", "F16", "[1,3]", "[0,6]"),
            entry("z", "F32", "[0]", "[6,6]"),
        ];
        let whole = file(&format!(r#"{{"__metadata__":{{"format":"pt"}},{x},{y},{z}}}   "#), 10);
        std::fs::write(&path, whole).unwrap();
        let tensors = read(&path, &Arc::new(MappedFile::open(&path).unwrap())).unwrap();
        let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["x", "y", "z"]);
        assert_eq!(tensors[0].bytes(), [6, 7, 8, 9]);
        assert_eq!((tensors[1].bytes(), &tensors[1].shape[..]), (&[0, 1, 2, 3, 4, 5][..], &[1, 3][..]));
        assert_eq!(tensors[1].element_type, ElementType::F16);
        assert!(tensors.iter().all(|tensor| matches!(tensor.data, Data::Mapped(..)) && tensor.path() == path));
    }

    #[test]
    fn every_type_has_its_width() {
        let widths =
            [("F64", 8), ("F32", 4), ("F16", 2), ("BF16", 2), ("I64", 8), ("I32", 4), ("I16", 2), ("I8", 1), ("U8", 1)];
        for (dtype, width) in widths.into_iter().chain([("BOOL", 1)]) {
            let entry = entry("x", dtype, "[3]", &format!("[0,{}]", 3 * width));
            assert!(parsed(&[entry], 3 * width).is_ok(), "{dtype}");
        }
        for dtype in ["F8_E4M3", "U16", "U32", "U64", "F99", "f32", ""] {
            let message = message(&[entry("x", dtype, "[0]", "[0,0]")], 0);
            assert!(message.contains("tensor x") && message.contains(&format!("\"{dtype}\"")), "{message}");
        }
    }

    #[test]
    fn every_byte_belongs_to_one_tensor_of_its_length() {
        let f32 = |name, shape, offsets| entry(name, "F32", shape, offsets);
        for (entries, n_data, tensor, reason) in [
            (vec![f32("x", "[1]", "[0,4]"), f32("y", "[1]", "[2,6]")], 6, "tensor y", "inside of x"),
            (vec![f32("x", "[1]", "[4,8]"), f32("y", "[1]", "[4,8]")], 8, "tensor x", "hole"),
            (vec![f32("x", "[1]", "[0,4]"), f32("y", "[1]", "[8,12]")], 12, "tensor y", "hole"),
            (vec![f32("x", "[1]", "[0,4]"), f32("y", "[0]", "[2,2]")], 4, "tensor y", "inside"),
            (vec![f32("x", "[1]", "[0,4]")], 5, "after x", "1 bytes"),
            (vec![f32("x", "[1]", "[0,4]")], 3, "tensor x", "truncated"),
            (vec![f32("x", "[1]", "[4,0]")], 4, "tensor x", "before"),
            (vec![f32("x", "[2]", "[0,4]")], 4, "tensor x", "takes 8"),
            (vec![f32("x", "[1]", "[0,18446744073709551615]")], 4, "tensor x", "out of the file"),
            (vec![f32("x", "[1099511627776,1099511627776]", "[0,4]")], 4, "tensor x", "memory"),
            (vec![f32("x", "[4611686018427387904]", "[0,0]")], 0, "tensor x", "memory"),
            (vec![f32("x", "[-1]", "[0,4]")], 4, "tensor x", "broken entry"),
            (vec![f32("x", "[1.0]", "[0,4]")], 4, "tensor x", "broken entry"),
            (vec![f32("x", "[1]", "[0]")], 4, "tensor x", "broken entry"),
            (vec![f32("x", "[1]", "[0,4]"), f32("x", "[1]", "[4,8]")], 8, "tensor x", "twice"),
            (vec![r#""x":{"dtype":"F32","shape":[1]}"#.into()], 4, "tensor x", "broken entry"),
            (vec![r#""x":{"dtype":"F32","dtype":"I32","shape":[0],"data_offsets":[0,0]}"#.into()], 0, "x", "broken"),
            (vec![], 1, "the header", "1 bytes"),
            (vec![f32("x", &format!("[0{}]", ",1".repeat(32)), "[0,0]")], 0, "tensor x", "33 dimensions"),
        ] {
            let message = message(&entries, n_data);
            assert!(message.contains(tensor) && message.contains(reason), "{entries:?}: {message}");
            assert!(message.contains("m.safetensors"), "{message}");
        }
        assert_eq!(parsed(&[], 0).unwrap(), []);
    }

    #[test]
    fn a_header_must_be_whole_and_json() {
        let deep = "[".repeat(100_000);
        for bytes in [
            vec![],
            vec![0; 7],
            vec![0; 8],
            (1_u64 << 60).to_le_bytes().to_vec(),
            file("[]", 0),
            file("{} {}", 0),
            file(r#"{"x":"#, 0),
            file("{\"\u{1}\":{}}", 0),
            file(&format!(r#"{{"x":{deep}"#), 0),
            file(&format!(r#"{{"__metadata__":{deep}}}"#), 0),
        ] {
            assert!(matches!(parse(Path::new("m"), &bytes), Err(Error::InvalidModel { .. })));
        }
    }

    #[test]
    fn headers_that_would_fill_the_memory_are_refused() {
        let too_many = format!("{{{}\"\":0}}", "\"\":0,".repeat(MAX_MEMBERS));
        for bytes in [file(&too_many, 0), (MAX_HEADER_BYTES + 1).to_le_bytes().to_vec()] {
            let message = parse(Path::new("m"), &bytes).unwrap_err().report();
            assert!(message.contains("more than"), "{message}");
        }
    }

    #[test]
    fn broken_files_give_errors_or_tensors_of_their_length() {
        let entries = [
            entry("weight", "F32", "[2,3]", "[0,24]"),
            entry("bias", "I64", "[2]", "[24,40]"),
            entry("e", "U8", "[0]", "[40,40]"),
        ];
        let whole = file(&format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}"#, entries.join(",")), 40);
        assert_eq!(parse(Path::new("m"), &whole).unwrap().len(), 3);
        let mut n_refused = 0;
        for bytes in mutations(&whole, 10_000) {
            match parse(Path::new("m"), &bytes) {
                Ok(tensors) => tensors.iter().for_each(|tensor| {
                    assert_eq!(n_bytes(tensor.element_type, &tensor.shape), Some(tensor.bytes.len()));
                    assert!(bytes.get(tensor.bytes.clone()).is_some());
                }),
                Err(error) => n_refused += usize::from(matches!(error, Error::InvalidModel { .. })),
            }
        }
        assert!(n_refused > 5_000, "{n_refused}");
    }
}
