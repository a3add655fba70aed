//! Tensors of this library to and from those of `ort`.

use ort::session::SessionInputValue;
use ort::value::{Outlet, Tensor as OrtTensor, TensorElementType, TensorRef, ValueRef, ValueType};

use super::runtime_error;
use crate::error::{Error, Result};
use crate::tensor::{ElementType, Tensor, TensorData, TensorDataRef, TensorInfo, TensorView};

fn element_type(ty: TensorElementType) -> Option<ElementType> {
    Some(match ty {
        TensorElementType::Float32 => ElementType::F32,
        TensorElementType::Float16 => ElementType::F16,
        TensorElementType::Bfloat16 => ElementType::Bf16,
        TensorElementType::Float64 => ElementType::F64,
        TensorElementType::Int8 => ElementType::I8,
        TensorElementType::Int16 => ElementType::I16,
        TensorElementType::Int32 => ElementType::I32,
        TensorElementType::Int64 => ElementType::I64,
        TensorElementType::Uint8 => ElementType::U8,
        TensorElementType::Uint16 => ElementType::U16,
        TensorElementType::Uint32 => ElementType::U32,
        TensorElementType::Uint64 => ElementType::U64,
        TensorElementType::Bool => ElementType::Bool,
        TensorElementType::String => ElementType::String,
        _ => return None,
    })
}

/// What the graph says of an input or output.
pub(super) fn info(outlet: &Outlet) -> TensorInfo {
    let (element_type, dims) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            (element_type(*ty), shape.iter().map(|d| usize::try_from(*d).ok()).collect())
        }
        _ => (None, Vec::new()),
    };
    TensorInfo { name: outlet.name().to_owned(), element_type, dims }
}

/// Borrows `tensor` for a run.
pub(super) fn input<'a>(tensor: &TensorView<'a>) -> Result<SessionInputValue<'a>> {
    macro_rules! borrow {
        ($data:expr) => {
            TensorRef::from_array_view((tensor.shape, $data)).map(SessionInputValue::from)
        };
    }
    let value = match tensor.data {
        TensorDataRef::F32(data) => borrow!(data),
        TensorDataRef::F16(data) => borrow!(data),
        TensorDataRef::Bf16(data) => borrow!(data),
        TensorDataRef::F64(data) => borrow!(data),
        TensorDataRef::I8(data) => borrow!(data),
        TensorDataRef::I16(data) => borrow!(data),
        TensorDataRef::I32(data) => borrow!(data),
        TensorDataRef::I64(data) => borrow!(data),
        TensorDataRef::U8(data) => borrow!(data),
        TensorDataRef::U16(data) => borrow!(data),
        TensorDataRef::U32(data) => borrow!(data),
        TensorDataRef::U64(data) => borrow!(data),
        TensorDataRef::Bool(data) => borrow!(data),
        TensorDataRef::String(data) => OrtTensor::from_string_array((tensor.shape, data)).map(SessionInputValue::from),
    };
    value.map_err(|e| Error::argument(format!("input {} of shape {:?}: {e}", tensor.name, tensor.shape)))
}

/// A copy, or that there is no memory for one.
fn copied<T: Clone>(data: &[T]) -> Result<Vec<T>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(data.len()).map_err(|_| Error::OutOfMemory)?;
    copy.extend_from_slice(data);
    Ok(copy)
}

/// Copies what the graph gave.
pub(super) fn output(name: &str, value: &ValueRef<'_>) -> Result<Tensor> {
    let ty = match value.dtype() {
        ValueType::Tensor { ty, .. } => element_type(*ty),
        _ => None,
    };
    macro_rules! copy {
        ($variant:ident) => {
            match value.try_extract_tensor() {
                Ok((shape, data)) => Ok((shape.to_vec(), TensorData::$variant(copied(data)?))),
                Err(error) => Err(error),
            }
        };
    }
    let tensor = match ty {
        Some(ElementType::F32) => copy!(F32),
        Some(ElementType::F16) => copy!(F16),
        Some(ElementType::Bf16) => copy!(Bf16),
        Some(ElementType::F64) => copy!(F64),
        Some(ElementType::I8) => copy!(I8),
        Some(ElementType::I16) => copy!(I16),
        Some(ElementType::I32) => copy!(I32),
        Some(ElementType::I64) => copy!(I64),
        Some(ElementType::U8) => copy!(U8),
        Some(ElementType::U16) => copy!(U16),
        Some(ElementType::U32) => copy!(U32),
        Some(ElementType::U64) => copy!(U64),
        Some(ElementType::Bool) => copy!(Bool),
        Some(ElementType::String) => {
            value.try_extract_strings().map(|(shape, data)| (shape.to_vec(), TensorData::String(data)))
        }
        None => return Err(Error::Unsupported(format!("output {name} is not a tensor of a known type"))),
    };
    let (shape, data) = tensor.map_err(|e| runtime_error(&format!("output {name} cannot be read"), e))?;
    let shape = shape.into_iter().map(|d| usize::try_from(d).unwrap_or(0)).collect();
    Ok(Tensor { name: name.to_owned(), shape, data })
}
