//! The globals that a pickle of weights may name: module and name -> [`Global`]. There are no others.

use crate::tensor::ElementType;

/// What a pickle may name. None of it is ever called: the machine knows what each would have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// `numpy._core.multiarray._reconstruct`: an empty array, filled by its state.
    Reconstruct,
    /// `numpy.ndarray`, the argument of the former.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
    /// `_codecs.encode`: how protocol 2 writes bytes.
    Encode,
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `tuple`: how Paddle writes a tensor with its name.
    Tuple,
    /// `torch._utils._rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`.
    RebuildParameter,
    /// `torch.FloatStorage` and the like.
    Storage(ElementType),
}

/// The global `module.name`; `None` where weights do not need it.
pub(super) fn lookup(module: &[u8], name: &[u8]) -> Option<Global> {
    Some(match (module, name) {
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => Global::Reconstruct,
        (b"numpy", b"ndarray") => Global::NdArray,
        (b"numpy", b"dtype") => Global::Dtype,
        (b"_codecs", b"encode") => Global::Encode,
        (b"collections", b"OrderedDict") => Global::OrderedDict,
        (b"builtins" | b"__builtin__", b"tuple") => Global::Tuple,
        (b"torch._utils", b"_rebuild_tensor_v2") => Global::RebuildTensor,
        (b"torch._utils", b"_rebuild_parameter") => Global::RebuildParameter,
        (b"torch", class) => Global::Storage(storage(class)?),
        _ => return None,
    })
}

/// The elements of a storage class of torch.
fn storage(class: &[u8]) -> Option<ElementType> {
    Some(match class {
        b"FloatStorage" => ElementType::F32,
        b"HalfStorage" => ElementType::F16,
        b"BFloat16Storage" => ElementType::Bf16,
        b"DoubleStorage" => ElementType::F64,
        b"LongStorage" => ElementType::I64,
        b"IntStorage" => ElementType::I32,
        b"ShortStorage" => ElementType::I16,
        b"CharStorage" => ElementType::I8,
        b"ByteStorage" => ElementType::U8,
        b"BoolStorage" => ElementType::Bool,
        _ => return None,
    })
}
