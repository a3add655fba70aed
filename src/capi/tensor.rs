//! `ernie_tensor`: a named array of any element type, in and out.

use std::ffi::{CString, c_char, c_void};

use half::{bf16, f16};

use super::boundary;
use super::input::ernie_str;
use super::status::c_string;
use crate::error::{Error, Result};
use crate::tensor::{ElementType, Tensor, TensorData, TensorDataRef, TensorView};

/// Element type `float`. The numbers are those of ONNX.
pub const ERNIE_TYPE_FLOAT32: u32 = 1;
/// Element type `uint8_t`.
pub const ERNIE_TYPE_UINT8: u32 = 2;
/// Element type `int8_t`.
pub const ERNIE_TYPE_INT8: u32 = 3;
/// Element type `uint16_t`.
pub const ERNIE_TYPE_UINT16: u32 = 4;
/// Element type `int16_t`.
pub const ERNIE_TYPE_INT16: u32 = 5;
/// Element type `int32_t`.
pub const ERNIE_TYPE_INT32: u32 = 6;
/// Element type `int64_t`.
pub const ERNIE_TYPE_INT64: u32 = 7;
/// Element type `ernie_str`, without NUL bytes: ONNX Runtime takes none.
pub const ERNIE_TYPE_STRING: u32 = 8;
/// Element type one byte, 0 or 1.
pub const ERNIE_TYPE_BOOL: u32 = 9;
/// Element type IEEE half precision in two bytes.
pub const ERNIE_TYPE_FLOAT16: u32 = 10;
/// Element type `double`.
pub const ERNIE_TYPE_FLOAT64: u32 = 11;
/// Element type `uint32_t`.
pub const ERNIE_TYPE_UINT32: u32 = 12;
/// Element type `uint64_t`.
pub const ERNIE_TYPE_UINT64: u32 = 13;
/// Element type bfloat16 in two bytes.
pub const ERNIE_TYPE_BFLOAT16: u32 = 16;

// cbindgen writes literals only; here they are held to the numbers in use.
const _: () = assert!(
    ERNIE_TYPE_FLOAT32 == ElementType::F32 as u32
        && ERNIE_TYPE_UINT8 == ElementType::U8 as u32
        && ERNIE_TYPE_INT8 == ElementType::I8 as u32
        && ERNIE_TYPE_UINT16 == ElementType::U16 as u32
        && ERNIE_TYPE_INT16 == ElementType::I16 as u32
        && ERNIE_TYPE_INT32 == ElementType::I32 as u32
        && ERNIE_TYPE_INT64 == ElementType::I64 as u32
        && ERNIE_TYPE_STRING == ElementType::String as u32
        && ERNIE_TYPE_BOOL == ElementType::Bool as u32
        && ERNIE_TYPE_FLOAT16 == ElementType::F16 as u32
        && ERNIE_TYPE_FLOAT64 == ElementType::F64 as u32
        && ERNIE_TYPE_UINT32 == ElementType::U32 as u32
        && ERNIE_TYPE_UINT64 == ElementType::U64 as u32
        && ERNIE_TYPE_BFLOAT16 == ElementType::Bf16 as u32
);

/// A named tensor: row-major elements of one type.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ernie_tensor {
    /// The name in the graph, NUL-terminated.
    pub name: *const c_char,
    /// `ERNIE_TYPE_...`.
    pub element_type: u32,
    /// The number of dimensions; 0 is a single value.
    pub n_dims: u32,
    /// `n_dims` sizes.
    pub shape: *const i64,
    /// The elements, aligned as their type.
    pub data: *const c_void,
    /// Bytes at `data`: the number of elements times the size of one.
    pub n_bytes: usize,
}

/// Bytes of one element as C holds it.
fn size_in_c(element_type: ElementType) -> usize {
    if element_type == ElementType::String { size_of::<ernie_str>() } else { element_type.size_bytes() }
}

/// A tensor of the caller, checked.
pub(super) struct InputTensor<'a> {
    name: &'a str,
    shape: Vec<usize>,
    data: InputData<'a>,
}

enum InputData<'a> {
    Borrowed(TensorDataRef<'a>),
    Strings(Vec<String>),
}

impl InputTensor<'_> {
    pub(super) fn view(&self) -> TensorView<'_> {
        let data = match &self.data {
            InputData::Borrowed(data) => *data,
            InputData::Strings(strings) => TensorDataRef::String(strings),
        };
        TensorView { name: self.name, shape: &self.shape, data }
    }
}

/// The tensors of a call, checked.
///
/// # Safety
/// - `tensors` is NULL or points to `n_tensors` values whose pointers are as [`ernie_tensor`] says.
pub(super) unsafe fn read<'a>(tensors: *const ernie_tensor, n_tensors: usize) -> Result<Vec<InputTensor<'a>>> {
    // SAFETY: the caller's obligation.
    let tensors = unsafe { boundary::slice(tensors, n_tensors, "tensors") }?;
    tensors
        .iter()
        .enumerate()
        .map(|(index, tensor)| {
            // SAFETY: the caller's obligation.
            unsafe { read_one(tensor) }.map_err(|error| match error {
                Error::InvalidArgument(reason) => Error::InvalidArgument(format!("tensor {index}: {reason}")),
                Error::InvalidUtf8 { what, byte_offset } => {
                    Error::InvalidUtf8 { what: format!("tensor {index}: {what}"), byte_offset }
                }
                other => other,
            })
        })
        .collect()
}

/// More dimensions than any tensor has: what is beyond was never set.
const MAX_DIMS: u32 = 64;

unsafe fn read_one<'a>(tensor: &ernie_tensor) -> Result<InputTensor<'a>> {
    if tensor.n_dims > MAX_DIMS {
        return Err(Error::argument(format!(
            "n_dims is {}, more than the {MAX_DIMS} that tensors have",
            tensor.n_dims
        )));
    }
    // SAFETY: the caller's obligation.
    let (name, dims) = unsafe {
        (boundary::c_str(tensor.name, "name")?, boundary::slice(tensor.shape, tensor.n_dims as usize, "shape")?)
    };
    let element_type = ElementType::from_number(tensor.element_type)
        .ok_or_else(|| Error::argument(format!("{name} has the unknown element type {}", tensor.element_type)))?;
    let shape = dims
        .iter()
        .map(|dim| usize::try_from(*dim))
        .collect::<std::result::Result<Vec<usize>, _>>()
        .map_err(|_| Error::argument(format!("{name} has a negative dimension in {dims:?}")))?;
    let n_elements = shape.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    let n_bytes = n_elements.and_then(|n| n.checked_mul(size_in_c(element_type)));
    if n_bytes != Some(tensor.n_bytes) {
        return Err(Error::argument(format!(
            "{name} of shape {dims:?} takes {} bytes, n_bytes is {}",
            n_bytes.map_or_else(|| "too many".into(), |n| n.to_string()),
            tensor.n_bytes
        )));
    }
    // SAFETY: the caller's obligation; the number of elements fits `n_bytes`.
    let data = unsafe { elements(tensor.data, n_elements.unwrap_or(0), element_type) }?;
    Ok(InputTensor { name, shape, data })
}

unsafe fn elements<'a>(data: *const c_void, n: usize, element_type: ElementType) -> Result<InputData<'a>> {
    macro_rules! borrow {
        ($variant:ident, $rust:ty) => {
            // SAFETY: the caller's obligation.
            TensorDataRef::$variant(unsafe { boundary::slice(data.cast::<$rust>(), n, "data") }?)
        };
    }
    Ok(InputData::Borrowed(match element_type {
        ElementType::F32 => borrow!(F32, f32),
        ElementType::F16 => borrow!(F16, f16),
        ElementType::Bf16 => borrow!(Bf16, bf16),
        ElementType::F64 => borrow!(F64, f64),
        ElementType::I8 => borrow!(I8, i8),
        ElementType::I16 => borrow!(I16, i16),
        ElementType::I32 => borrow!(I32, i32),
        ElementType::I64 => borrow!(I64, i64),
        ElementType::U8 => borrow!(U8, u8),
        ElementType::U16 => borrow!(U16, u16),
        ElementType::U32 => borrow!(U32, u32),
        ElementType::U64 => borrow!(U64, u64),
        ElementType::Bool => {
            // SAFETY: the caller's obligation; every byte is looked at before it counts as a boolean.
            let bytes = unsafe { boundary::slice(data.cast::<u8>(), n, "data") }?;
            if let Some(index) = bytes.iter().position(|byte| *byte > 1) {
                return Err(Error::argument(format!("element {index} is {}, neither 0 nor 1", bytes[index])));
            }
            borrow!(Bool, bool)
        }
        ElementType::String => {
            // SAFETY: the caller's obligation.
            let texts = unsafe { boundary::slice(data.cast::<ernie_str>(), n, "data") }?;
            let copy = |(index, text): (usize, &ernie_str)| {
                // SAFETY: the caller's obligation.
                unsafe { text.text(|| format!("element {index}")) }.map(ToOwned::to_owned)
            };
            return Ok(InputData::Strings(texts.iter().enumerate().map(copy).collect::<Result<_>>()?));
        }
    }))
}

/// A tensor of a result, with what its C view points to.
#[derive(Debug)]
pub(super) struct OutputTensor {
    name: CString,
    shape: Vec<i64>,
    data: TensorData,
    /// Views of string elements, and the NUL-terminated bytes they point to.
    strings: Vec<ernie_str>,
    _string_bytes: Vec<CString>,
}

impl OutputTensor {
    pub(super) fn new(tensor: Tensor) -> Self {
        let string_bytes: Vec<CString> = match &tensor.data {
            TensorData::String(strings) => strings.iter().map(|text| c_string(text)).collect(),
            _ => Vec::new(),
        };
        let view = |text: &CString| ernie_str { data: text.as_ptr(), len: text.as_bytes().len() };
        Self {
            name: c_string(&tensor.name),
            shape: tensor.shape.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect(),
            strings: string_bytes.iter().map(view).collect(),
            _string_bytes: string_bytes,
            data: tensor.data,
        }
    }

    pub(super) fn view(&self) -> ernie_tensor {
        let element_type = self.data.element_type();
        let data: *const c_void = match &self.data {
            TensorData::F32(data) => data.as_ptr().cast(),
            TensorData::F16(data) => data.as_ptr().cast(),
            TensorData::Bf16(data) => data.as_ptr().cast(),
            TensorData::F64(data) => data.as_ptr().cast(),
            TensorData::I8(data) => data.as_ptr().cast(),
            TensorData::I16(data) => data.as_ptr().cast(),
            TensorData::I32(data) => data.as_ptr().cast(),
            TensorData::I64(data) => data.as_ptr().cast(),
            TensorData::U8(data) => data.as_ptr().cast(),
            TensorData::U16(data) => data.as_ptr().cast(),
            TensorData::U32(data) => data.as_ptr().cast(),
            TensorData::U64(data) => data.as_ptr().cast(),
            TensorData::Bool(data) => data.as_ptr().cast(),
            TensorData::String(_) => self.strings.as_ptr().cast(),
        };
        ernie_tensor {
            name: self.name.as_ptr(),
            element_type: element_type as u32,
            n_dims: u32::try_from(self.shape.len()).unwrap_or(u32::MAX),
            shape: self.shape.as_ptr(),
            data,
            n_bytes: self.data.len() * size_in_c(element_type),
        }
    }
}
