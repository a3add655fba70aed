//! Stored tensors -> weights: `f32`, finite, at an address that lives as long as they do.
//!
//! Large `f32` tensors of a mapped file stay there. Small ones are copied, so that they are aligned; other types are
//! widened. Every element is looked at once: a network with a single NaN answers NaN.

use half::{bf16, f16};

use super::tensors::{Data, StoredTensor};
use crate::error::{Error, Result};
use crate::options::Precision;
use crate::tensor::ElementType;
use crate::weights::{Storage, Weight, Weights};

/// Tensors of a mapped file below this size are copied.
const SMALL_BYTES: usize = 1 << 16;
/// Bytes looked at between two releases of their pages: what a scan keeps in memory.
const SCAN_BYTES: usize = 8 << 20;

/// Makes weights of `tensors`, in order; `precision` rounds them as if they had been stored in it.
///
/// # Errors
/// - [`Error::InvalidModel`]: an element is not finite, or becomes so in `precision`; or the tensor holds no
///   floating-point numbers.
pub(crate) fn weights(tensors: Vec<(String, StoredTensor)>, precision: Option<Precision>) -> Result<Weights> {
    let all = crate::parallel::map(tensors, |(name, tensor)| weight(name, tensor, precision))?;
    Ok(Weights { all })
}

fn weight(name: String, tensor: StoredTensor, precision: Option<Precision>) -> Result<Weight> {
    let is_large = tensor.bytes().len() >= SMALL_BYTES;
    let keeps = is_large && tensor.element_type == ElementType::F32 && precision != Some(Precision::F16);
    if !keeps {
        let storage = Storage::Floats(floats(&tensor, precision)?);
        return Ok(Weight { name, shape: tensor.shape, storage });
    }
    for start in (0..tensor.bytes().len()).step_by(SCAN_BYTES) {
        let part = start..tensor.bytes().len().min(start + SCAN_BYTES);
        check_finite(&tensor, tensor.bytes().get(part.clone()).unwrap_or(&[]), start)?;
        if let Data::Mapped(file, range) = &tensor.data {
            file.release_pages(range.start + part.start..range.start + part.end);
        }
    }
    let storage = match tensor.data {
        Data::Owned(bytes) => Storage::Bytes(bytes),
        Data::Mapped(file, range) => Storage::Mapped(file, range),
    };
    Ok(Weight { name, shape: tensor.shape, storage })
}

/// Whether all exponents are below the largest, which only infinities and NaN have.
fn check_finite(tensor: &StoredTensor, bytes: &[u8], byte_offset: usize) -> Result<()> {
    const EXPONENT: u32 = 0x7F80_0000;
    let is_bad = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) & EXPONENT == EXPONENT;
    let elements = bytes.as_chunks::<4>().0;
    // Without an early exit the loop runs as fast as memory does.
    if !elements.iter().fold(false, |bad, bytes| bad | is_bad(bytes)) {
        return Ok(());
    }
    let index = byte_offset / 4 + elements.iter().position(is_bad).unwrap_or(0);
    Err(not_finite(tensor, index))
}

fn not_finite(tensor: &StoredTensor, index: usize) -> Error {
    Error::model(tensor.path(), format!("tensor {}: element {index} is not a finite number", tensor.name))
}

fn is_finite_as_stored(tensor: &StoredTensor, index: usize) -> bool {
    let bytes = tensor.bytes();
    match tensor.element_type {
        ElementType::F32 => bytes.as_chunks::<4>().0.get(index).is_some_and(|b| f32::from_le_bytes(*b).is_finite()),
        ElementType::F64 => bytes.as_chunks::<8>().0.get(index).is_some_and(|b| f64::from_le_bytes(*b).is_finite()),
        _ => false,
    }
}

fn floats(tensor: &StoredTensor, precision: Option<Precision>) -> Result<Vec<f32>> {
    let bytes = tensor.bytes();
    let mut floats: Vec<f32> = Vec::new();
    floats.try_reserve_exact(tensor.shape.iter().product()).map_err(|_| Error::OutOfMemory)?;
    match tensor.element_type {
        ElementType::F32 => floats.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
        ElementType::F16 => floats.extend(bytes.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
        ElementType::Bf16 => floats.extend(bytes.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32())),
        ElementType::F64 => floats.extend(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32)),
        other => {
            let reason = format!("tensor {} holds {}, not floating-point numbers", tensor.name, other.name());
            return Err(Error::model(tensor.path(), reason));
        }
    }
    if precision == Some(Precision::F16) && tensor.element_type != ElementType::F16 {
        floats.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
    }
    match floats.iter().position(|x| !x.is_finite()) {
        Some(index) if is_finite_as_stored(tensor, index) => {
            let reason = format!("tensor {}: element {index} is too large for the precision asked for", tensor.name);
            Err(Error::model(tensor.path(), reason))
        }
        Some(index) => Err(not_finite(tensor, index)),
        None => Ok(floats),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn tensor(element_type: ElementType, shape: &[usize], bytes: Vec<u8>) -> StoredTensor {
        let path = Arc::new("w.bin".into());
        StoredTensor { name: "t".into(), element_type, shape: shape.to_vec(), data: Data::Owned(bytes), path }
    }

    fn made(tensor: StoredTensor, precision: Option<Precision>) -> Result<Vec<f32>> {
        let weights = weights(vec![("w".into(), tensor)], precision)?;
        let mut all = Vec::new();
        weights.all[0].for_each_piece(|piece| {
            all.extend_from_slice(piece);
            Ok::<(), Error>(())
        })?;
        Ok(all)
    }

    #[test]
    fn every_floating_point_type_is_widened() {
        let values = [1.5_f32, -0.25, 3.0];
        let types: [(ElementType, Vec<u8>); 4] = [
            (ElementType::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
            (ElementType::F16, values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect()),
            (ElementType::Bf16, values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect()),
            (ElementType::F64, values.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect()),
        ];
        for (element_type, bytes) in types {
            assert_eq!(made(tensor(element_type, &[3], bytes), None).unwrap(), values, "{element_type:?}");
        }
        assert!(made(tensor(ElementType::I64, &[1], vec![0; 8]), None).is_err());
    }

    #[test]
    fn a_number_that_is_not_finite_is_named() {
        for (bad, precision) in [(f32::NAN, None), (f32::INFINITY, None), (1e6, Some(Precision::F16))] {
            let bytes = [1.0, bad].iter().flat_map(|x| x.to_le_bytes()).collect();
            let message = made(tensor(ElementType::F32, &[2], bytes), precision).unwrap_err().report();
            assert!(message.contains("tensor t: element 1"), "{message}");
            assert_eq!(message.contains("too large"), precision.is_some(), "{message}");
        }
    }

    #[test]
    fn half_precision_rounds() {
        let bytes = 0.1_f32.to_le_bytes().to_vec();
        assert_eq!(
            made(tensor(ElementType::F32, &[1], bytes), Some(Precision::F16)).unwrap(),
            [f16::from_f32(0.1).to_f32()]
        );
    }

    #[test]
    fn a_large_mapped_tensor_stays_where_it_is_and_is_scanned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.bin");
        let mut floats = vec![0.5_f32; SMALL_BYTES];
        let open = |floats: &[f32]| {
            std::fs::write(&path, floats.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
            let file = Arc::new(crate::mapped_file::MappedFile::open(&path).unwrap());
            let data = Data::Mapped(file, 0..floats.len() * 4);
            StoredTensor { data, ..tensor(ElementType::F32, &[floats.len()], Vec::new()) }
        };
        let kept = weights(vec![("w".into(), open(&floats))], None).unwrap();
        assert!(matches!(kept.all[0].storage, Storage::Mapped(..)) && kept.are_mapped());
        floats[SMALL_BYTES - 2] = f32::NAN;
        let message = weights(vec![("w".into(), open(&floats))], None).unwrap_err().report();
        assert!(message.contains(&format!("element {}", SMALL_BYTES - 2)), "{message}");
    }
}
