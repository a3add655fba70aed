//! Named tensors: what a graph takes and gives, without any engine's types.
//!
//! In: slices borrowed from the caller ([`TensorView`]). Out: owned arrays ([`Tensor`]). Elements are row-major and
//! the shape always matches the number of elements. Engines and graphs live in `session`.

use std::borrow::Cow;

use half::{bf16, f16};

macro_rules! element_types {
    ($( $variant:ident($rust:ty) = $number:literal, $name:literal; )*) => {
        /// The type of a tensor's elements, numbered as `TensorProto.DataType` of ONNX.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum ElementType { $( #[doc = concat!("`", $name, "`")] $variant = $number, )* }

        impl ElementType {
            /// Every type, in the order of the numbers' list.
            pub const ALL: &[Self] = &[$( Self::$variant ),*];

            /// The name as ONNX writes it: `float`, `int64`, ...
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )* }
            }

            /// Bytes of one element as Rust holds it; strings count as their handle.
            #[must_use]
            pub const fn size_bytes(self) -> usize {
                match self { $( Self::$variant => size_of::<$rust>(), )* }
            }
        }

        /// Owned elements of a tensor.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum TensorData { $( #[doc = concat!("`", $name, "`")] $variant(Vec<$rust>), )* }

        impl TensorData {
            /// The type of the elements.
            #[must_use]
            pub const fn element_type(&self) -> ElementType {
                match self { $( Self::$variant(_) => ElementType::$variant, )* }
            }

            /// The number of elements.
            #[must_use]
            pub const fn len(&self) -> usize {
                match self { $( Self::$variant(data) => data.len(), )* }
            }

            /// Whether there is no element.
            #[must_use]
            pub const fn is_empty(&self) -> bool { self.len() == 0 }

            /// The elements, borrowed.
            #[must_use]
            pub fn as_ref(&self) -> TensorDataRef<'_> {
                match self { $( Self::$variant(data) => TensorDataRef::$variant(data), )* }
            }

            /// Adds the elements of `other` at the end, if they are of the same type.
            pub(crate) fn append(&mut self, other: Self) {
                match (self, other) {
                    $( (Self::$variant(all), Self::$variant(more)) => all.extend(more), )*
                    _ => {}
                }
            }

            /// A copy of some elements; `None` where the range is not within the data.
            #[must_use]
            pub fn copy_range(&self, range: std::ops::Range<usize>) -> Option<Self> {
                Some(match self { $( Self::$variant(data) => Self::$variant(data.get(range)?.to_vec()), )* })
            }
        }

        /// Elements borrowed from the caller.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum TensorDataRef<'a> { $( #[doc = concat!("`", $name, "`")] $variant(&'a [$rust]), )* }

        impl TensorDataRef<'_> {
            /// The type of the elements.
            #[must_use]
            pub const fn element_type(&self) -> ElementType {
                match self { $( Self::$variant(_) => ElementType::$variant, )* }
            }

            /// The number of elements.
            #[must_use]
            pub const fn len(&self) -> usize {
                match self { $( Self::$variant(data) => data.len(), )* }
            }

            /// Whether there is no element.
            #[must_use]
            pub const fn is_empty(&self) -> bool { self.len() == 0 }
        }
    };
}

element_types! {
    F32(f32) = 1, "float";
    U8(u8) = 2, "uint8";
    I8(i8) = 3, "int8";
    U16(u16) = 4, "uint16";
    I16(i16) = 5, "int16";
    I32(i32) = 6, "int32";
    I64(i64) = 7, "int64";
    String(String) = 8, "string";
    Bool(bool) = 9, "bool";
    F16(f16) = 10, "float16";
    F64(f64) = 11, "double";
    U32(u32) = 12, "uint32";
    U64(u64) = 13, "uint64";
    Bf16(bf16) = 16, "bfloat16";
}

impl ElementType {
    /// The type with this ONNX number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| *t as u32 == number)
    }

    /// Whether elements are integers or booleans, as token ids and masks are.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::Bf16 | Self::F64 | Self::String)
    }
}

/// What a graph says of one of its inputs or outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name in the graph.
    pub name: String,
    /// The element type; `None` where the graph has something this library cannot hold (sequences, maps).
    pub element_type: Option<ElementType>,
    /// The dimensions; `None` where one is symbolic.
    pub dims: Vec<Option<usize>>,
}

impl std::fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dims: Vec<String> = self.dims.iter().map(|d| d.map_or_else(|| "?".into(), |n| n.to_string())).collect();
        write!(f, "{} {}[{}]", self.name, self.element_type.map_or("unknown", ElementType::name), dims.join(","))
    }
}

/// A named tensor borrowed for the time of one run.
#[derive(Clone, Debug)]
pub struct TensorView<'a> {
    /// The name of the graph's input.
    pub name: &'a str,
    /// The dimensions.
    pub shape: &'a [usize],
    /// Row-major elements.
    pub data: TensorDataRef<'a>,
}

/// A named tensor that owns its elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name of the graph's output.
    pub name: String,
    /// The dimensions.
    pub shape: Vec<usize>,
    /// Row-major elements.
    pub data: TensorData,
}

impl Tensor {
    /// The elements as `f32`, converted only where they are of another floating-point type; `None` for others.
    #[must_use]
    pub fn to_f32(&self) -> Option<Cow<'_, [f32]>> {
        Some(match &self.data {
            TensorData::F32(data) => Cow::Borrowed(data.as_slice()),
            TensorData::F16(data) => data.iter().map(|x| x.to_f32()).collect(),
            TensorData::Bf16(data) => data.iter().map(|x| x.to_f32()).collect(),
            TensorData::F64(data) => data.iter().map(|x| *x as f32).collect(),
            _ => return None,
        })
    }
}

/// A dense row-major matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// The number of rows.
    pub n_rows: usize,
    /// The number of columns.
    pub n_columns: usize,
    /// `n_rows * n_columns` values.
    pub data: Vec<f32>,
}

impl Matrix {
    /// Row `index`; empty where there is none.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        self.data.get(index * self.n_columns..(index + 1) * self.n_columns).unwrap_or(&[])
    }
}
