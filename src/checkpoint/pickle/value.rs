//! What a pickle holds: [`Value`]s in an [`Arena`], which name each other by [`Id`].
//!
//! Text and bytes are ranges of the file. A container may contain itself; nothing here follows the ids, so that neither
//! looking at an arena nor dropping it needs more stack for deeper pickles.

use std::ops::Range;

use super::globals::Global;
use crate::tensor::ElementType;

/// Dimensions that an array may have; numpy allows 64, torch's files stay below.
const MAX_DIMS: usize = 64;

/// The place of a value in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u32);

/// One object of a pickle. Ranges are of the whole file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A longer integer: two's complement, little-endian.
    Long(Range<usize>),
    /// A float, whose value no tensor depends on.
    Float,
    /// A `str`; UTF-8 only if the writer kept to it.
    Text(Range<usize>),
    /// A `str` of Python 2, which stands for text and for bytes.
    ByteText(Range<usize>),
    /// `bytes` or `bytearray`.
    Bytes(Range<usize>),
    /// `bytes` that are written as text, one code point below 256 for each.
    Latin1(Range<usize>),
    /// A `tuple`.
    Tuple(Vec<Id>),
    /// A `list`.
    List(Vec<Id>),
    /// A `dict` or, where it may have a state, an `OrderedDict`.
    Dict {
        /// Keys and values as they came; a key may come twice.
        items: Vec<(Id, Id)>,
        /// Whether it is an `OrderedDict`.
        is_ordered: bool,
    },
    /// Something of the whitelist.
    Global(Global),
    /// A `numpy.dtype`.
    Dtype(Dtype),
    /// A `numpy.ndarray`; `None` before its state came.
    Array(Option<Array>),
    /// A storage of torch, which lies outside the pickle.
    Storage(Storage),
    /// A tensor of torch.
    Tensor(Tensor),
}

/// Which byte of an element comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// The lowest; also of elements of one byte.
    Little,
    /// The highest.
    Big,
}

/// A `numpy.dtype`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dtype {
    /// The name without byte order: `f4`.
    pub(crate) name: Range<usize>,
    /// The byte order; `None` before the state came.
    pub(crate) order: Option<ByteOrder>,
    /// Whether it has fields or a shape of its own.
    pub(crate) is_structured: bool,
}

/// The state of a `numpy.ndarray`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Array {
    /// The type of the elements.
    pub(crate) dtype: Dtype,
    /// A tuple of dimensions.
    pub(crate) shape: Id,
    /// Whether the first dimension is the one whose elements are neighbours.
    pub(crate) is_fortran: bool,
    /// What should be bytes.
    pub(crate) data: Id,
}

/// A storage of torch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    /// The type of the elements.
    pub(crate) element_type: ElementType,
    /// The name under which the container has the bytes.
    pub(crate) key: Range<usize>,
    /// The number of elements.
    pub(crate) n_elements: usize,
}

/// A view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// What is viewed.
    pub(crate) storage: Storage,
    /// The first element.
    pub(crate) offset: usize,
    /// A tuple of dimensions.
    pub(crate) shape: Id,
    /// A tuple of as many steps, in elements.
    pub(crate) stride: Id,
}

impl Value {
    /// What the value is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::Long(_) => "an integer",
            Self::Float => "a float",
            Self::Text(_) | Self::ByteText(_) => "a string",
            Self::Bytes(_) | Self::Latin1(_) => "bytes",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict { .. } => "a dict",
            Self::Global(_) => "a class or function",
            Self::Dtype(_) => "a numpy dtype",
            Self::Array(_) => "a numpy array",
            Self::Storage(_) => "a torch storage",
            Self::Tensor(_) => "a torch tensor",
        }
    }
}

/// The objects of a pickle, and the file that their ranges are of.
#[derive(Debug)]
pub(crate) struct Arena<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
}

impl<'a> Arena<'a> {
    /// An arena without values over this file.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, values: Vec::new() }
    }

    /// Adds a value; `None` where there are `max_values` already.
    pub(super) fn add(&mut self, value: Value, max_values: usize) -> Option<Id> {
        let id = u32::try_from(self.values.len()).ok().filter(|_| self.values.len() < max_values)?;
        self.values.push(value);
        Some(Id(id))
    }

    /// The value at `id`.
    pub(crate) fn get(&self, id: Id) -> &Value {
        self.values.get(id.0 as usize).unwrap_or(&Value::None)
    }

    /// The value at `id`, to be changed.
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Value> {
        self.values.get_mut(id.0 as usize)
    }

    /// Every value, in the order in which they were made.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// The bytes of a range.
    pub(crate) fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.bytes.get(range.clone()).unwrap_or(&[])
    }

    /// The text that `id` is; `None` where it is no string, or not UTF-8. Bytes count as text: Python 3 reads the strings
    /// of Python 2 as either.
    pub(crate) fn text(&self, id: Id) -> Option<&'a str> {
        match self.get(id) {
            Value::Text(range) | Value::ByteText(range) | Value::Bytes(range) => {
                std::str::from_utf8(self.slice(range)).ok()
            }
            _ => None,
        }
    }

    /// The entries of the tuple or list that `id` is.
    pub(crate) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of the dict that `id` is.
    pub(crate) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict { items, .. } => Some(items),
            _ => None,
        }
    }

    /// The non-negative integer that `id` is.
    pub(crate) fn count(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The dimensions or steps that the sequence `id` is; `None` where one is negative or no integer, or there are too
    /// many for an array.
    pub(crate) fn counts(&self, id: Id) -> Option<Vec<usize>> {
        self.sequence(id).filter(|items| items.len() <= MAX_DIMS)?.iter().map(|n| self.count(*n)).collect()
    }

    /// The flag that `id` is; old writers put 0 and 1.
    pub(crate) fn flag(&self, id: Id) -> Option<bool> {
        match self.get(id) {
            Value::Bool(flag) => Some(*flag),
            Value::Int(n @ (0 | 1)) => Some(*n == 1),
            _ => None,
        }
    }
}
