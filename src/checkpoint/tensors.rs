//! The plain data of this stage: a tensor as it is stored, and all of a checkpoint.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::mapped_file::{Identity, MappedFile};
use crate::tensor::ElementType;

/// Where the bytes of a tensor lie.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// In a mapped file.
    Mapped(Arc<MappedFile>, Range<usize>),
    /// In memory of their own, where the file holds them in another order.
    Owned(Vec<u8>),
}

/// One tensor of a checkpoint: row-major, little-endian.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    /// The name in the file.
    pub(crate) name: String,
    /// The type of the elements.
    pub(crate) element_type: ElementType,
    /// The dimensions.
    pub(crate) shape: Vec<usize>,
    /// The elements, exactly as many bytes as type and shape take.
    pub(crate) data: Data,
    /// The file, for messages.
    pub(crate) path: Arc<PathBuf>,
}

impl StoredTensor {
    /// The elements' bytes; they may begin at any address.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Mapped(file, range) => file.bytes().get(range.clone()).unwrap_or(&[]),
            Data::Owned(bytes) => bytes,
        }
    }

    /// The file it came from.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Bytes that elements of this type and number take; `None` where no memory could hold them.
pub(crate) fn n_bytes(element_type: ElementType, shape: &[usize]) -> Option<usize> {
    let bytes = shape.iter().try_fold(element_type.size_bytes(), |product, n| product.checked_mul(*n))?;
    isize::try_from(bytes).is_ok().then_some(bytes)
}

/// All that weight files hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkpoint {
    /// Tensors in the order of the files; names are unique.
    pub(crate) tensors: Vec<StoredTensor>,
    /// `StructuredToParameterName@@` of a Paddle pickle: structured name and fluid name.
    pub(crate) parameter_names: Vec<(String, String)>,
    /// What the program beside the weights says.
    pub(crate) program: Option<ProgramFacts>,
    /// The format's name for reports.
    pub(crate) format: &'static str,
    /// The files, as [`super::shared_files`] lists them.
    pub(crate) identities: Vec<Identity>,
}

/// What a Paddle program says of the network that it computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ProgramFacts {
    /// Names of the persistable variables, in byte order, without feed and fetch.
    pub(crate) persistables: Vec<String>,
    /// Epsilon of the LayerNorms, where all have the same.
    pub(crate) layer_norm_epsilon: Option<f32>,
    /// `relu`, `gelu` or `gelu_tanh`, where the program has one kind only.
    pub(crate) activation: Option<&'static str>,
    /// Attention heads.
    pub(crate) n_heads: Option<usize>,
    /// Names of the program's inputs.
    pub(crate) feeds: Vec<String>,
    /// Operators that take a parameter, with its name, in the program's order.
    pub(crate) uses: Vec<(String, String)>,
}
