//! An array of numpy in a pickle -> a tensor.
//!
//! The bytes of little-endian arrays in C order stay where they are in the mapped file. Fortran order, big-endian elements
//! and the latin-1 text that protocol 2 makes of bytes are put right in memory of their own. The claimed shape is
//! compared with the bytes that are really there before any memory is taken.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::pickle::{Arena, Array, ByteOrder, Id, Value};
use super::strided::{Budget, View};
use super::tensors::{Data, StoredTensor, n_bytes};
use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;
use crate::tensor::ElementType;

/// Where arrays come from, and what they may still cost.
pub(super) struct Source<'a> {
    /// The file.
    pub(super) path: Arc<PathBuf>,
    /// Its bytes.
    pub(super) file: &'a Arc<MappedFile>,
    /// The objects of the pickle in it.
    pub(super) arena: &'a Arena<'a>,
    /// Memory that the tensors of the file may own.
    pub(super) budget: Budget,
}

/// How an array's bytes are written.
enum Raw {
    /// As they are.
    Bytes(Range<usize>),
    /// As text, one code point below 256 for each of so many.
    Latin1(Range<usize>, usize),
}

impl Source<'_> {
    /// The tensor that is `array`, named `name`.
    ///
    /// # Errors
    /// [`Error::InvalidModel`]: elements of a type that no network here has; fewer or more bytes than the shape takes;
    /// more memory than the file can ask for.
    pub(super) fn tensor(&mut self, name: &str, array: Option<&Array>) -> Result<StoredTensor> {
        let array = array.ok_or_else(|| self.fail(name, "an array without its state"))?;
        let element_type = self.element_type(name, array)?;
        let shape = self.arena.counts(array.shape).ok_or_else(|| self.fail(name, "a shape that is none"))?;
        let needed = n_bytes(element_type, &shape)
            .ok_or_else(|| self.fail(name, &format!("the shape {shape:?} is larger than any memory")))?;
        let raw = self.raw(name, array.data)?;
        let given = match &raw {
            Raw::Bytes(range) => range.len(),
            Raw::Latin1(_, n_bytes) => *n_bytes,
        };
        if given != needed {
            let claim = format!("{shape:?} of {}", element_type.name());
            return Err(self.fail(name, &format!("{claim} takes {needed} bytes, the file has {given}")));
        }
        let data = self.data(element_type, &shape, array, raw);
        let data = data.ok_or_else(|| self.fail(name, "more memory than a file of this length can need"))?;
        Ok(StoredTensor { name: name.to_owned(), element_type, shape, data, path: Arc::clone(&self.path) })
    }

    /// What is wrong with the tensor `name`.
    pub(super) fn fail(&self, name: &str, reason: &str) -> Error {
        Error::model(self.path.as_path(), format!("tensor {}: {reason}", name.escape_debug()))
    }

    fn element_type(&self, name: &str, array: &Array) -> Result<ElementType> {
        let dtype = self.arena.slice(&array.dtype.name);
        Ok(match dtype {
            _ if array.dtype.is_structured => return Err(self.fail(name, "elements with fields")),
            b"f2" => ElementType::F16,
            b"f4" => ElementType::F32,
            b"f8" => ElementType::F64,
            b"i1" => ElementType::I8,
            b"i2" => ElementType::I16,
            b"i4" => ElementType::I32,
            b"i8" => ElementType::I64,
            b"u1" => ElementType::U8,
            b"b1" => ElementType::Bool,
            // numpy has no bfloat16; Paddle saves its bits so, and no network has 16-bit unsigned weights.
            b"u2" => ElementType::Bf16,
            _ => {
                let dtype: String = String::from_utf8_lossy(dtype).escape_debug().take(32).collect();
                return Err(self.fail(name, &format!("elements of the numpy dtype {dtype}, which no weights have")));
            }
        })
    }

    fn raw(&self, name: &str, data: Id) -> Result<Raw> {
        match self.arena.get(data) {
            Value::Bytes(range) | Value::ByteText(range) => Ok(Raw::Bytes(range.clone())),
            Value::Latin1(range) => match latin1_len(self.arena.slice(range)) {
                Some(n_bytes) => Ok(Raw::Latin1(range.clone(), n_bytes)),
                None => Err(self.fail(name, "text that is no latin-1 in place of its bytes")),
            },
            other => Err(self.fail(name, &format!("{} in place of its bytes", other.kind()))),
        }
    }

    /// The elements, row-major and little-endian; `None` where they would cost too much.
    fn data(&mut self, element_type: ElementType, shape: &[usize], array: &Array, raw: Raw) -> Option<Data> {
        let element_bytes = element_type.size_bytes();
        let mut data = match raw {
            Raw::Bytes(range) => Data::Mapped(Arc::clone(self.file), range),
            Raw::Latin1(range, n_bytes) => Data::Owned(self.latin1(&range, n_bytes)?),
        };
        if array.dtype.order == Some(ByteOrder::Big) && element_bytes > 1 {
            let mut swapped = self.owned(data)?;
            swapped.chunks_exact_mut(element_bytes).for_each(<[u8]>::reverse);
            data = Data::Owned(swapped);
        }
        let view = if array.is_fortran { View::fortran(shape) } else { None };
        if let Some(view) = view.filter(|view| !view.is_row_major()) {
            let buffer = match &data {
                Data::Mapped(_, range) => self.arena.slice(range),
                Data::Owned(bytes) => bytes,
            };
            let mut rows = self.budget.buffer(buffer.len())?;
            view.gather(buffer, element_bytes, &mut rows)?;
            data = Data::Owned(rows);
        }
        Some(data)
    }

    /// The bytes, copied unless they are owned already.
    fn owned(&mut self, data: Data) -> Option<Vec<u8>> {
        match data {
            Data::Owned(bytes) => Some(bytes),
            Data::Mapped(_, range) => {
                let bytes = self.arena.slice(&range);
                let mut copy = self.budget.buffer(bytes.len())?;
                copy.extend_from_slice(bytes);
                Some(copy)
            }
        }
    }

    /// The `n_bytes` bytes that latin-1 text stands for.
    fn latin1(&mut self, range: &Range<usize>, n_bytes: usize) -> Option<Vec<u8>> {
        let text = self.arena.slice(range);
        let mut bytes = self.budget.buffer(n_bytes)?;
        bytes.resize(n_bytes, 0);
        // Two halves at a time; a code point is not cut.
        let middle = text.len() / 2;
        let middle = middle + usize::from(text.get(middle).is_some_and(|byte| byte & 0xC0 == 0x80));
        let (first, second) = text.split_at(middle);
        let (into_first, into_second) = bytes.split_at_mut_checked(latin1_len(first)?)?;
        let into_second = Mutex::new(into_second);
        let decode_second = || decode_latin1(second, &mut into_second.lock().unwrap_or_else(PoisonError::into_inner));
        std::thread::scope(|scope| {
            let helper = (text.len() >= PARALLEL_BYTES)
                .then(|| std::thread::Builder::new().spawn_scoped(scope, decode_second).ok())
                .flatten();
            decode_latin1(first, into_first);
            if helper.is_none() {
                decode_second();
            }
        });
        // What was decoded is not read again.
        self.file.release_pages(range.clone());
        Some(bytes)
    }
}

/// Texts from this length on are decoded by two threads.
const PARALLEL_BYTES: usize = 1 << 20;

/// Decodes text that [`latin1_len`] has accepted into as many bytes as it said.
fn decode_latin1(text: &[u8], bytes: &mut [u8]) {
    let (mut previous, mut n_done) = (0, 0);
    // Weights are noise, in which no branch is foreseen: every byte is written, and the second byte of a code point over
    // the first, whose two lowest bits are the highest of the code point.
    for byte in text {
        let value = if *byte < 0x80 { *byte } else { (previous & 0x03) << 6 | (byte & 0x3F) };
        let Some(slot) = bytes.get_mut(n_done) else { return };
        *slot = value;
        n_done += usize::from(*byte < 0xC0);
        previous = *byte;
    }
}

/// The number of code points of UTF-8; `None` where one is 256 or more, or the text is no UTF-8.
fn latin1_len(text: &[u8]) -> Option<usize> {
    let is_first = |byte: u8| byte == 0xC2 || byte == 0xC3;
    let is_second = |byte: u8| byte & 0xC0 == 0x80;
    if text.first().is_some_and(|byte| is_second(*byte)) || text.last().is_some_and(|byte| is_first(*byte)) {
        return None;
    }
    // Without branches, and counted in bytes, so that many are looked at together: a byte is a second one exactly where
    // a first one precedes it.
    let (mut n_seconds, mut is_latin1) = (0, text.first().is_none_or(|byte| *byte < 0x80 || is_first(*byte)));
    let after = text.get(1..).unwrap_or(&[]);
    for (before, after) in text.chunks(255).zip(after.chunks(255)) {
        let (mut n, mut bad) = (0_u8, 0_u8);
        for (previous, byte) in before.iter().zip(after) {
            let second = u8::from(is_second(*byte));
            n += second;
            bad |= u8::from(is_first(*previous)) ^ second | u8::from(*byte >= 0xC0) & !u8::from(is_first(*byte));
        }
        n_seconds += usize::from(n);
        is_latin1 &= bad & 1 == 0;
    }
    is_latin1.then_some(text.len() - n_seconds)
}

#[cfg(test)]
mod tests {
    use super::{decode_latin1, latin1_len};

    #[test]
    fn latin1_is_one_byte_for_every_code_point_below_256() {
        let all: String = (0..=255_u8).map(char::from).collect();
        assert_eq!(latin1_len(all.as_bytes()), Some(256));
        for bad in [
            &b"\xc2"[..],
            b"\xc4\x80",
            b"\xc0\x80",
            b"\xc2\x41",
            b"\x80",
            b"a\x80",
            b"\xc3\xa9\xa9",
            b"\xc2\xc2\x80",
            "\u{4eca}".as_bytes(),
        ] {
            assert_eq!(latin1_len(bad), None, "{bad:?}");
            // Also far from the beginning, and across the pieces that are counted together.
            for n in [253, 254, 255, 256, 1000] {
                assert_eq!(latin1_len(&[&b"a".repeat(n)[..], bad, b"bc"].concat()), None, "{bad:?} after {n}");
            }
        }
    }

    #[test]
    fn what_latin1_text_stands_for_is_decoded_at_every_length() {
        let bytes: Vec<u8> = (0..3000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for n in (0..600).chain([2999, 3000]) {
            let text: String = bytes[..n].iter().copied().map(char::from).collect();
            assert_eq!(latin1_len(text.as_bytes()), Some(n));
            let mut decoded = vec![0; n];
            decode_latin1(text.as_bytes(), &mut decoded);
            assert_eq!(decoded, bytes[..n]);
        }
    }
}
