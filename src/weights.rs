//! The weights of a network as a session takes them: named `f32` tensors, in a mapped file or in memory.
//!
//! Made by `checkpoint`, handed to `graph` by name and shape and to `session` by address. Several models of one file
//! share one [`Weights`].

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kernels::panels::{Order, Panels};
use crate::mapped_file::MappedFile;

/// Where the elements of a weight lie, little-endian.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// In a mapped file, at any address.
    Mapped(Arc<MappedFile>, Range<usize>),
    /// In memory, at any address, as a reader decoded them.
    Bytes(Vec<u8>),
    /// In memory.
    Floats(Vec<f32>),
    /// In memory, packed for products.
    Packed(Panels),
}

/// One tensor of `f32`.
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
            Storage::Packed(panels) => panels.as_floats().as_ptr().cast(),
        }
    }

    /// Hands the elements to `each`, in pieces.
    pub(crate) fn for_each_piece<E>(&self, mut each: impl FnMut(&[f32]) -> Result<(), E>) -> Result<(), E> {
        let bytes = match &self.storage {
            Storage::Floats(floats) => return floats.chunks(1 << 16).try_for_each(each),
            Storage::Packed(panels) => return panels.as_floats().chunks(1 << 16).try_for_each(each),
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
    /// The same matrix, packed for products under `name`.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`].
    pub(crate) fn packed(&self, name: String, order: Order) -> Result<Self> {
        let (rows, columns) = (self.shape.first().copied().unwrap_or(0), self.shape.get(1).copied().unwrap_or(0));
        let mut panels = match order {
            Order::InOut => Panels::new(rows, columns)?,
            Order::OutIn => Panels::new(columns, rows)?,
        };
        let mut begin = 0;
        self.for_each_piece(|piece| {
            panels.fill(order, begin, piece);
            begin += piece.len();
            Ok::<(), Error>(())
        })?;
        if let Storage::Mapped(file, range) = &self.storage {
            file.release_pages(range.clone());
        }
        Ok(Self { name, shape: panels.shape().to_vec(), storage: Storage::Packed(panels) })
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

    /// Gives the pages of mapped files back to the system; they are read again where they are used.
    pub(crate) fn release_pages(&self) {
        for weight in &self.all {
            if let Storage::Mapped(file, range) = &weight.storage {
                file.release_pages(range.clone());
            }
        }
    }
}
