//! Weights in memory as values of the runtime. One of the rooms where `unsafe` lives.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use ort::AsPointer;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session as OrtSession;
use ort::session::builder::SessionBuilder;
use ort::sys::ONNXTensorElementDataType::{
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
};
use ort::value::{DynValue, Value};

use super::{SharedWeights, releasing_pages, runtime_error};
use crate::error::{Error, Result};
use crate::tensor::ElementType;
use crate::weights::Weight;

/// A value that shows the elements of `weight` where they lie.
///
/// # Safety
/// - The value, and every session that was given it, is dropped before `weight` is.
unsafe fn value(weight: &Weight, memory: &MemoryInfo<'_>) -> Result<DynValue, ort::Error> {
    let shape: Vec<i64> = weight.shape.iter().map(|n| *n as i64).collect();
    let mut pointer = std::ptr::null_mut();
    let n_bytes = weight.len() * weight.element_type().size_bytes();
    let element_type = match weight.element_type() {
        ElementType::U8 => ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        ElementType::F16 => ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        _ => ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
    };
    let data = weight.address().cast_mut().cast::<c_void>();
    // SAFETY: the address is that of `n_bytes` readable bytes which live as long as the value, by the caller's
    // obligation; the runtime reads initializers and never writes to them. The shape lives during the call. Elements in
    // a mapped file may lie at odd addresses, which the processors of this library and the runtime's kernels for
    // products and lookups read like any others.
    let status = unsafe {
        (ort::api().CreateTensorWithDataAsOrtValue)(
            memory.ptr(),
            data,
            n_bytes,
            shape.as_ptr(),
            shape.len(),
            element_type,
            &raw mut pointer,
        )
    };
    // SAFETY: the status comes from the call above and is not used again.
    unsafe { ort::Error::result_from_status(status) }?;
    let pointer = NonNull::new(pointer).ok_or_else(|| ort::Error::new("no value was made"))?;
    // SAFETY: the pointer was just made and has no other owner.
    Ok(unsafe { Value::from_ptr(pointer, Some(&Allocator::default())) })
}

/// A session and the weights that it reads as long as it lives.
#[derive(Debug)]
pub(super) struct HeldSession {
    // Fields are dropped in this order.
    session: OrtSession,
    _weights: Option<Arc<SharedWeights>>,
}

impl HeldSession {
    /// A session with weights of its own.
    pub(super) fn new(session: OrtSession) -> Self {
        Self { session, _weights: None }
    }

    /// Loads `model`, whose weights `names` are those of `shared`.
    ///
    /// # Errors
    /// - [`Error::Runtime`](crate::error::Error::Runtime): the weights are not taken.
    /// - What `failed` makes of the runtime's error: the graph is not taken.
    pub(super) fn load(
        mut builder: SessionBuilder,
        model: &[u8],
        names: &[String],
        shared: Arc<SharedWeights>,
        failed: impl Fn(ort::Error) -> Error,
    ) -> Result<Self> {
        let refused = |e: ort::Error| runtime_error("ONNX Runtime does not take the weights", e);
        let memory =
            MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default).map_err(refused)?;
        for weight in names.iter().filter_map(|name| shared.find(name)) {
            // SAFETY: builder and value are dropped in this function, and the session is kept beside the weights and
            // dropped before them.
            let value = unsafe { value(weight, &memory) }.map_err(refused)?;
            builder = builder.with_initializer(&weight.name, value).map_err(|e| refused(e.into()))?;
        }
        // The runtime's LayerNorm of f16 breaks where what it makes of weights is to be shared; devices share nothing.
        if !shared.weights.are_halved() {
            builder = builder.with_prepacked_weights(&shared.prepacked).map_err(|e| refused(e.into()))?;
        }
        let session = releasing_pages(&shared.weights, || builder.commit_from_memory(model)).map_err(failed)?;
        drop(builder);
        Ok(Self { session, _weights: Some(shared) })
    }

    pub(super) fn session(&self) -> &OrtSession {
        &self.session
    }

    pub(super) fn session_mut(&mut self) -> &mut OrtSession {
        &mut self.session
    }
}
