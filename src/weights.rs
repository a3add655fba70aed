//! The weights of a network as a session takes them: named `f32` tensors, in a mapped file or in memory, and matrices that are packed
//! for products.
//!
//! Made by `checkpoint`, handed to `graph` by name and shape and to `session` by address. Several models of one file
//! share one [`Weights`].

use std::ops::Range;
use std::sync::Arc;

use half::f16;

use crate::error::{Error, Result};
use crate::kernels::matrix::{Format, Order, Packed};
use crate::mapped_file::MappedFile;
use crate::tensor::ElementType;

/// Where the elements of a weight lie, little-endian.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// In a mapped file, at any address.
    Mapped(Arc<MappedFile>, Range<usize>),
    /// In memory, at any address, as a reader decoded them.
    Bytes(Vec<u8>),
    /// In memory.
    Floats(Vec<f32>),
    /// In memory, rounded for a device.
    Halves(Vec<f16>),
    /// In memory, packed for products.
    Packed(Packed),
}

/// One tensor.
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    /// The canonical name.
    pub(crate) name: String,
    /// The dimensions.
    pub(crate) shape: Vec<usize>,
    /// The elements.
    pub(crate) storage: Storage,
}

impl Weight {
    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The address of the first element, valid as long as this value.
    pub(crate) fn address(&self) -> *const u8 {
        match &self.storage {
            Storage::Mapped(file, range) => file.bytes().get(range.clone()).unwrap_or(&[]).as_ptr(),
            Storage::Bytes(bytes) => bytes.as_ptr(),
            Storage::Floats(floats) => floats.as_ptr().cast(),
            Storage::Halves(halves) => halves.as_ptr().cast(),
            Storage::Packed(packed) => packed.bytes().as_ptr(),
        }
    }

    /// Hands the elements to `each`, in pieces; none of what is rounded or packed.
    pub(crate) fn for_each_piece<E>(&self, mut each: impl FnMut(&[f32]) -> Result<(), E>) -> Result<(), E> {
        let bytes = match &self.storage {
            Storage::Floats(floats) => return floats.chunks(1 << 16).try_for_each(each),
            Storage::Halves(_) | Storage::Packed(_) => return Ok(()),
            Storage::Bytes(bytes) => bytes,
            Storage::Mapped(file, range) => file.bytes().get(range.clone()).unwrap_or(&[]),
        };
        let mut piece = Vec::new();
        for bytes in bytes.chunks(1 << 18) {
            piece.clear();
            piece.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
            each(&piece)?;
        }
        Ok(())
    }
}

impl Weight {
    /// The type of the elements.
    pub(crate) fn element_type(&self) -> ElementType {
        match self.storage {
            Storage::Packed(_) => ElementType::U8,
            Storage::Halves(_) => ElementType::F16,
            Storage::Mapped(..) | Storage::Bytes(_) | Storage::Floats(_) => ElementType::F32,
        }
    }

    /// The same numbers at an address of their own.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`].
    pub(crate) fn aligned(self) -> Result<Self> {
        match self.storage {
            Storage::Mapped(..) | Storage::Bytes(_) => Ok(Self { storage: Storage::Floats(self.floats()?), ..self }),
            Storage::Floats(_) | Storage::Halves(_) | Storage::Packed(_) => Ok(self),
        }
    }

    /// Appends the elements, little-endian, as they are stored.
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        match &self.storage {
            Storage::Mapped(file, range) => bytes.extend_from_slice(file.bytes().get(range.clone()).unwrap_or(&[])),
            Storage::Bytes(stored) => bytes.extend_from_slice(stored),
            Storage::Floats(floats) => bytes.extend(floats.iter().flat_map(|x| x.to_le_bytes())),
            Storage::Halves(halves) => bytes.extend(halves.iter().flat_map(|x| x.to_le_bytes())),
            Storage::Packed(packed) => bytes.extend_from_slice(packed.bytes()),
        }
    }

    /// The same numbers rounded to `f16`.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`].
    pub(crate) fn halved(self) -> Result<Self> {
        let mut halves = Vec::new();
        halves.try_reserve_exact(self.len()).map_err(|_| Error::OutOfMemory)?;
        self.for_each_piece(|piece| {
            halves.extend(piece.iter().map(|x| f16::from_f32(*x)));
            Ok::<(), Error>(())
        })?;
        Ok(Self { storage: Storage::Halves(halves), ..self })
    }

    /// The same packed matrix in another format.
    ///
    /// # Errors
    /// - [`Error::Internal`]: it is not packed as `f32`.
    /// - [`Error::OutOfMemory`].
    pub(crate) fn converted(&self, format: Format) -> Result<Self> {
        let Storage::Packed(packed) = &self.storage else {
            return Err(Error::Internal(format!("{} is not packed", self.name)));
        };
        Ok(Self::of_packed(self.name.clone(), packed.converted(format)?))
    }

    fn of_packed(name: String, packed: Packed) -> Self {
        Self { name, shape: vec![packed.bytes().len()], storage: Storage::Packed(packed) }
    }

    fn floats(&self) -> Result<Vec<f32>> {
        let mut elements = Vec::new();
        elements.try_reserve_exact(self.len()).map_err(|_| Error::OutOfMemory)?;
        self.for_each_piece(|piece| {
            elements.extend_from_slice(piece);
            Ok::<(), Error>(())
        })?;
        Ok(elements)
    }

    /// The same matrix, packed for products under `name`: bytes.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`].
    pub(crate) fn packed(&self, name: String, format: Format, order: Order) -> Result<Self> {
        let (rows, columns) = (self.shape.first().copied().unwrap_or(0), self.shape.get(1).copied().unwrap_or(0));
        let (n_inputs, n_outputs) = match order {
            Order::InOut => (rows, columns),
            Order::OutIn => (columns, rows),
        };
        let packed = Packed::new(format, order, n_inputs, n_outputs, &self.floats()?)?;
        if let Storage::Mapped(file, range) = &self.storage {
            file.release_pages(range.clone());
        }
        Ok(Self::of_packed(name, packed))
    }
}

/// All weights of a network.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// By canonical name, in the order of the network.
    pub(crate) all: Vec<Weight>,
}

impl Weights {
    /// Whether any lies in a mapped file.
    pub(crate) fn are_mapped(&self) -> bool {
        self.all.iter().any(|weight| matches!(weight.storage, Storage::Mapped(..)))
    }

    /// Whether any is packed for products of this library.
    pub(crate) fn are_packed(&self) -> bool {
        self.all.iter().any(|weight| matches!(weight.storage, Storage::Packed(..)))
    }

    /// Whether they were rounded for a device.
    pub(crate) fn are_halved(&self) -> bool {
        self.all.iter().any(|weight| matches!(weight.storage, Storage::Halves(_)))
    }

    /// Gives the pages of mapped files back to the system; they are read again where they are used.
    pub(crate) fn release_pages(&self) {
        for weight in &self.all {
            if let Storage::Mapped(file, range) = &weight.storage {
                file.release_pages(range.clone());
            }
        }
    }
}
