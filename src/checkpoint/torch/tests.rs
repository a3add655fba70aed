//! Laws of both containers of torch, on files built here.

use super::*;
use crate::checkpoint::mutation::mutations;
use crate::checkpoint::pickle::tests::{pickle, tensor, text};
use crate::checkpoint::sniff::{self, Kind};
use crate::checkpoint::{torch_legacy, torch_zip};
use crate::tensor::ElementType;

/// The zip file of these entries, stored.
fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let offset = file.len() as u32;
        let n_bytes = (data.len() as u32).to_le_bytes();
        let n_name = (name.len() as u16).to_le_bytes();
        let common = [&[0; 14], n_bytes.as_slice(), &n_bytes, &n_name].concat();
        file.extend([b"PK\x03\x04", common.as_slice(), &[0; 2], name.as_bytes(), data].concat());
        let place = offset.to_le_bytes();
        directory.extend([b"PK\x01\x02\0\0", common.as_slice(), &[0; 12], &place, name.as_bytes()].concat());
    }
    let n = (entries.len() as u16).to_le_bytes();
    let (start, n_bytes) = ((file.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    [file.as_slice(), &directory, b"PK\x05\x06\0\0\0\0", &n, &n, &n_bytes, &start, b"\0\0"].concat()
}

/// A legacy file of this object and these storages: key, number of elements, bytes.
fn legacy(object: &[u8], storages: &[(&str, i64, &[u8])]) -> Vec<u8> {
    let keys: Vec<u8> = storages.iter().flat_map(|(key, ..)| text(key)).collect();
    let data: Vec<u8> = storages.iter().flat_map(|(_, n, data)| [&n.to_le_bytes(), *data].concat()).collect();
    [legacy_start(b"\x88").as_slice(), object, &pickle(&[b"](", &keys, b"e"]), &data].concat()
}

fn legacy_start(is_little_endian: &[u8]) -> Vec<u8> {
    let machine = pickle(&[b"}", &text("little_endian"), is_little_endian, b"s"]);
    [pickle(&[b"\x8a\x0a", &MAGIC]), pickle(&[b"M\xe9\x03"]), machine].concat()
}

/// A pickled dict of these names and opcodes.
fn state_dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|(name, value)| [text(name), value.clone()].concat()).collect();
    pickle(&[b"ccollections\nOrderedDict\n)R(", &items, b"u}X\x09\0\0\0_metadataNsb"])
}

/// Reads a file with these bytes in the format that it has.
fn read(bytes: &[u8]) -> Result<Vec<StoredTensor>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.bin");
    std::fs::write(&path, bytes).unwrap();
    let file = Arc::new(MappedFile::open(&path).unwrap());
    match sniff::kind(&path, bytes)? {
        Kind::TorchZip => torch_zip::read_zip(&path, &file),
        Kind::TorchLegacy => torch_legacy::read_legacy(&path, &file),
        _ => Err(Error::model(&path, "another format")),
    }
}

/// Reads a state dict over one storage "0" from both containers, which must agree.
fn from_both(items: &[(&str, Vec<u8>)], n_elements: i64, storage: &[u8]) -> Result<Vec<StoredTensor>, String> {
    let object = state_dict(items);
    let zip = read(&zipped(&[("r/data.pkl", &object), ("r/byteorder", b"little"), ("r/data/0", storage)]));
    let old = read(&legacy(&object, &[("0", n_elements, storage)]));
    match (zip, old) {
        (Ok(zip), Ok(old)) => {
            let facts = |t: &StoredTensor| (t.name.clone(), t.element_type, t.shape.clone(), t.bytes().to_vec());
            assert!(zip.iter().map(facts).eq(old.iter().map(facts)));
            Ok(zip)
        }
        (Err(zip), Err(old)) => {
            assert_eq!(zip.report().split_once(": ").unwrap().1, old.report().split_once(": ").unwrap().1);
            Err(zip.report())
        }
        (zip, old) => panic!("{zip:?} {old:?}"),
    }
}

fn view(offset: u8, dims: &[i32], stride: &[i32]) -> Vec<(&'static str, Vec<u8>)> {
    vec![("w", tensor("ByteStorage", "0", 6, offset, dims, stride))]
}

#[test]
fn views_give_the_elements_that_torch_shows() {
    let storage = [0, 1, 2, 3, 4, 5];
    for (offset, dims, stride, elements, is_mapped) in [
        (0, &[2, 3][..], &[3, 1][..], &[0, 1, 2, 3, 4, 5][..], true),
        (1, &[2, 2], &[2, 1], &[1, 2, 3, 4], true),
        (0, &[3, 2], &[1, 3], &[0, 3, 1, 4, 2, 5], false),
        (5, &[], &[], &[5], true),
        (0, &[1, 2], &[9, 1], &[0, 1], true),
        (0, &[2, 2], &[3, 1], &[0, 1, 3, 4], false),
        (2, &[3], &[0], &[2, 2, 2], false),
        (6, &[0, 4], &[4, 1], &[], true),
    ] {
        let tensors = from_both(&view(offset, dims, stride), 6, &storage).unwrap();
        let shape: Vec<usize> = dims.iter().map(|n| *n as usize).collect();
        assert_eq!((tensors[0].bytes(), &tensors[0].shape), (elements, &shape), "{dims:?} {stride:?}");
        assert_eq!(matches!(tensors[0].data, Data::Mapped(..)), is_mapped, "{dims:?} {stride:?}");
    }
}

#[test]
fn views_beyond_their_storage_are_refused() {
    for (offset, dims, stride) in [
        (1, &[2, 3][..], &[3, 1][..]),
        (6, &[], &[]),
        (7, &[0], &[1]),
        (0, &[7], &[1]),
        (0, &[2], &[6]),
        (0, &[i32::MAX, i32::MAX, i32::MAX], &[0, 0, 0]),
        (0, &[i32::MAX, 2], &[i32::MAX, 1]),
    ] {
        let message = from_both(&view(offset, dims, stride), 6, &[0; 6]).unwrap_err();
        assert!(message.contains("tensor w: "), "{message}");
    }
    let expanded = from_both(&view(0, &[1 << 21], &[0]), 6, &[0; 6]).unwrap_err();
    assert!(expanded.contains("far more than its storage"), "{expanded}");
}

#[test]
fn all_storages_are_known_and_other_values_skipped() {
    for (class, element_type) in [
        ("FloatStorage", ElementType::F32),
        ("HalfStorage", ElementType::F16),
        ("BFloat16Storage", ElementType::Bf16),
        ("DoubleStorage", ElementType::F64),
        ("LongStorage", ElementType::I64),
        ("IntStorage", ElementType::I32),
        ("ShortStorage", ElementType::I16),
        ("CharStorage", ElementType::I8),
        ("ByteStorage", ElementType::U8),
        ("BoolStorage", ElementType::Bool),
    ] {
        let data = vec![1; 2 * element_type.size_bytes()];
        let items = [("epoch", b"K\x01".to_vec()), ("w", tensor(class, "0", 2, 0, &[2], &[1]))];
        let tensors = from_both(&items, 2, &data).unwrap();
        assert_eq!((tensors.len(), tensors[0].element_type), (1, element_type));
        assert_eq!(tensors[0].bytes(), data);
    }
}

#[test]
fn a_nested_state_dict_is_refused_by_its_keys() {
    let inner = [b"}", text("w").as_slice(), &tensor("ByteStorage", "0", 1, 0, &[1], &[1]), b"s"].concat();
    let message = from_both(&[("state_dict", inner), ("epoch", b"K\x01".to_vec())], 1, &[0]).unwrap_err();
    assert!(message.contains("the keys: state_dict, epoch"), "{message}");
    let twice = [("w", tensor("ByteStorage", "0", 1, 0, &[1], &[1])), ("w", b"h\0".to_vec())];
    let again = [twice[0].clone(), twice[0].clone()];
    assert!(from_both(&again, 1, &[0]).unwrap_err().contains("tensor w: it comes twice"));
}

#[test]
fn zip_files_of_other_kinds_are_refused() {
    let object = state_dict(&view(0, &[6], &[1]));
    let data: (&str, &[u8]) = ("r/data/0", &[0; 6]);
    let good = [("r/data.pkl", object.as_slice()), data];
    read(&zipped(&good)).unwrap();
    let evil = pickle(&[b"}X\x01\0\0\0xcposix\nsystem\n", &text("true"), b"\x85Rs"]);
    for (entries, part) in [
        (vec![("r/data.pkl", evil.as_slice())], "posix.system"),
        (vec![("r/data.pkl", object.as_slice())], "its storage data/0 is not there"),
        (vec![("r/data.pkl", object.as_slice()), ("r/data/0", &[0; 5])], "5 bytes, too few for 6 elements"),
        (vec![good[0], data, ("r/byteorder", b"big")], "little-endian"),
        (vec![good[0], data, ("s/data.pkl", b"")], "no single, data.pkl"),
        (vec![("a/b/data.pkl", object.as_slice())], "data.pkl"),
        (vec![("word/document.xml", b"")], "not one of torch"),
        (vec![good[0], data, data], "twice"),
    ] {
        let message = read(&zipped(&entries)).unwrap_err().report();
        assert!(message.contains(part), "{message}");
    }
    let whole = zipped(&good);
    // What both headers of the storage say: flags and method before the name, and in the directory its length.
    let at: Vec<usize> = (0..whole.len() - 8).filter(|at| whole[*at..].starts_with(b"r/data/0")).collect();
    let changed = |changes: &[(usize, u8)]| {
        let mut bytes = whole.clone();
        changes.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        read(&bytes).unwrap_err().report()
    };
    assert!(changed(&[(at[0] - 22, 8), (at[1] - 36, 8)]).contains("compressed"));
    assert!(changed(&[(at[0] - 24, 1), (at[1] - 38, 1)]).contains("encrypted"));
    assert!(changed(&[(at[1] - 23, 1), (at[1] - 19, 1)]).contains("beyond the end"));
    assert!(read(&whole[..whole.len() - 1]).unwrap_err().report().contains("truncated"));
}

#[test]
fn legacy_files_of_other_kinds_are_refused() {
    let object = state_dict(&view(0, &[6], &[1]));
    let good = legacy(&object, &[("0", 6, &[0; 6])]);
    read(&good).unwrap();
    let big_endian = [legacy_start(b"\x89").as_slice(), &object].concat();
    let view_of_it = [legacy_start(b"\x88").as_slice(), &object, &pickle(&[b"}"])].concat();
    let mixed = state_dict(&[
        ("a", tensor("ByteStorage", "0", 6, 0, &[6], &[1])),
        ("b", tensor("HalfStorage", "0", 3, 0, &[3], &[1])),
    ]);
    for (bytes, part) in [
        (good[..good.len() - 1].to_vec(), "truncated"),
        (good[..good.len() - 10].to_vec(), "truncated"),
        (big_endian, "little-endian"),
        (view_of_it, "no list of storages"),
        (legacy(&object, &[("0", 5, &[0; 6])]), "length"),
        (legacy(&object, &[("0", -1, &[0; 6])]), "length"),
        (legacy(&object, &[("1", 6, &[0; 6])]), "no tensor is of it"),
        (legacy(&object, &[("0", 6, &[0; 6]), ("0", 6, &[0; 6])]), "twice"),
        (legacy(&object, &[]), "its storage 0 is not there"),
        (legacy(&mixed, &[("0", 6, &[0; 6])]), "two types"),
    ] {
        let message = read(&bytes).unwrap_err().report();
        assert!(message.contains(part), "{message}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.bin");
    let number = good.iter().position(|byte| *byte == b'M').unwrap();
    for at in [number + 1, 5] {
        let mut other = good.clone();
        other[at] ^= 1;
        std::fs::write(&path, other).unwrap();
        let error = torch_legacy::read_legacy(&path, &Arc::new(MappedFile::open(&path).unwrap())).unwrap_err();
        assert!(error.report().contains("1001"), "{}", error.report());
    }
    assert!(is_legacy_torch(&good) && !is_legacy_torch(&object) && !is_legacy_torch(&good[..10]));
}

#[test]
fn broken_files_are_read_or_refused() {
    let object = state_dict(&view(0, &[3, 2], &[1, 3]));
    let zip = zipped(&[("r/data.pkl", &object), ("r/byteorder", b"little"), ("r/data/0", &[0; 6])]);
    for whole in [zip, legacy(&object, &[("0", 6, &[0; 6])])] {
        let dir = tempfile::tempdir().unwrap();
        let mut n_read = 0;
        for (i, bytes) in mutations(&whole, 2_000).enumerate() {
            // File systems take their time to write a file anew, but not to write another.
            let path = dir.path().join(i.to_string());
            std::fs::write(&path, &bytes).unwrap();
            let file = Arc::new(MappedFile::open(&path).unwrap());
            for tensors in [torch_zip::read_zip(&path, &file), torch_legacy::read_legacy(&path, &file)] {
                match tensors {
                    Ok(tensors) => {
                        n_read += 1;
                        for tensor in tensors {
                            assert_eq!(n_bytes(tensor.element_type, &tensor.shape), Some(tensor.bytes().len()));
                        }
                    }
                    Err(error) => assert!(matches!(error, Error::InvalidModel { .. })),
                }
            }
        }
        assert!((20..1_980).contains(&n_read), "{n_read}");
    }
}
