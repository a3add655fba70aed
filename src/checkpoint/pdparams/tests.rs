//! Laws of the reader, on files built here.

use super::*;
use crate::checkpoint::mutation::mutations;
use crate::checkpoint::pickle::tests::{array, bytes, dtype, pickle, shape, text};
use crate::tensor::ElementType;

/// Reads a file with these bytes, which is gone from its directory afterwards.
fn read_bytes(bytes: &[u8]) -> Result<Parameters> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.pdparams");
    std::fs::write(&path, bytes).unwrap();
    read(&path, &Arc::new(MappedFile::open(&path).unwrap()))
}

/// A dict of these names and opcodes.
fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|(name, value)| [text(name), value.clone()].concat()).collect();
    [b"}(", items.as_slice(), b"u"].concat()
}

/// A little-endian array of floats in C order.
fn floats(dims: &[i32], values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    array(dims, &dtype("f4", "<"), b"\x89", &bytes(&data))
}

fn one(value: Vec<u8>) -> Result<StoredTensor> {
    read_bytes(&pickle(&[&dict(&[("w", value)])])).map(|(mut tensors, _)| tensors.pop().unwrap())
}

fn message(file: &[u8]) -> String {
    match read_bytes(file) {
        Err(error @ Error::InvalidModel { .. }) => error.report(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dict_of_arrays_becomes_ranges_of_the_file() {
    let named = [text("linear_0.w_0").as_slice(), &floats(&[1], &[3.0]), b"\x86"].concat();
    let file = pickle(&[&dict(&[
        ("b", floats(&[2], &[1.0, 2.0])),
        ("epoch", b"K\x07".to_vec()),
        ("note", text("x")),
        ("nested", dict(&[("c", floats(&[1], &[9.0]))])),
        ("a", named),
        ("scalar", floats(&[], &[4.0])),
        ("empty", floats(&[0, 3], &[])),
        (PARAMETER_NAMES, dict(&[("a", text("linear_0.w_0")), ("b", text("linear_0.b_0"))])),
    ])]);
    let (tensors, names) = read_bytes(&file).unwrap();
    let found: Vec<_> = tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), t.bytes())).collect();
    let (one_two, three, four) = ([0, 0, 0x80, 0x3F, 0, 0, 0, 0x40], [0, 0, 0x40, 0x40], [0, 0, 0x80, 0x40]);
    let expected: [(&str, &[usize], &[u8]); 4] =
        [("b", &[2], &one_two), ("a", &[1], &three), ("scalar", &[], &four), ("empty", &[0, 3], &[])];
    assert_eq!(found, expected);
    assert!(tensors.iter().all(|t| matches!(t.data, Data::Mapped(..)) && t.element_type == ElementType::F32));
    assert!(tensors.iter().all(|t| t.path().ends_with("w.pdparams")));
    assert_eq!(names, [("a".into(), "linear_0.w_0".into()), ("b".into(), "linear_0.b_0".into())]);
}

#[test]
fn every_type_of_weights_is_read_and_no_other() {
    for (name, element_type) in [
        ("f2", ElementType::F16),
        ("f4", ElementType::F32),
        ("f8", ElementType::F64),
        ("i1", ElementType::I8),
        ("i2", ElementType::I16),
        ("i4", ElementType::I32),
        ("i8", ElementType::I64),
        ("u1", ElementType::U8),
        ("b1", ElementType::Bool),
        ("u2", ElementType::Bf16),
    ] {
        let order = if element_type.size_bytes() == 1 { "|" } else { "=" };
        let data: Vec<u8> = (0..element_type.size_bytes() as u8).collect();
        let tensor = one(array(&[1], &dtype(name, order), b"\x89", &bytes(&data))).unwrap();
        assert_eq!((tensor.element_type, tensor.bytes()), (element_type, data.as_slice()), "{name}");
    }
    for name in ["O8", "f16", "c8", "u4", "M8", "U4", "S3", "V4", "", "f4 "] {
        let message = one(array(&[1], &dtype(name, "|"), b"\x89", b"](Ne")).unwrap_err().report();
        assert!(message.contains(&format!("tensor w: elements of the numpy dtype {name}")), "{message}");
    }
    let with_fields = b"cnumpy\ndtype\nX\x02\0\0\0f4\x89\x88\x87R(K\x03X\x01\0\0\0<N)}KKKKKKtb";
    assert!(one(array(&[1], with_fields, b"\x89", &bytes(&[0; 4]))).unwrap_err().report().contains("fields"));
}

#[test]
fn bytes_in_another_order_are_put_right() {
    let big = one(array(&[2], &dtype("i4", ">"), b"\x89", &bytes(&[0, 1, 2, 3, 4, 5, 6, 7]))).unwrap();
    assert_eq!(big.bytes(), [3, 2, 1, 0, 7, 6, 5, 4]);
    let rows = one(array(&[2, 3], &dtype("u1", "|"), b"\x88", &bytes(&[0, 3, 1, 4, 2, 5]))).unwrap();
    assert_eq!((rows.bytes(), rows.shape.as_slice()), (&[0, 1, 2, 3, 4, 5][..], &[2, 3][..]));
    let both = one(array(&[2, 2], &dtype("i2", ">"), b"\x88", &bytes(&[0, 1, 0, 3, 0, 2, 0, 4]))).unwrap();
    assert_eq!(both.bytes(), [1, 0, 2, 0, 3, 0, 4, 0]);
    let vector = one(array(&[3], &dtype("u1", "|"), b"\x88", &bytes(&[1, 2, 3]))).unwrap();
    assert!(matches!(vector.data, Data::Mapped(..)));
    let flat = one(array(&[2], &dtype("u1", ">"), b"\x89", &bytes(&[1, 2]))).unwrap();
    assert!(matches!(flat.data, Data::Mapped(..)));
}

#[test]
fn text_of_protocol_2_stands_for_bytes() {
    let all: String = (0..=255_u8).map(char::from).collect();
    let encoded = |text_opcodes: &[u8]| [b"c_codecs\nencode\n", text_opcodes, &text("latin1"), b"\x86R"].concat();
    let tensor = one(array(&[256], &dtype("u1", "|"), b"\x89", &encoded(&text(&all)))).unwrap();
    assert_eq!(tensor.bytes(), (0..=255).collect::<Vec<u8>>());
    let python_2 = one(array(&[2], &dtype("u1", "|"), b"\x89", b"U\x02\xff\x00")).unwrap();
    assert_eq!(python_2.bytes(), [0xFF, 0]);
    let wide = one(array(&[1], &dtype("u1", "|"), b"\x89", &encoded(&text("\u{100}"))));
    assert!(wide.unwrap_err().report().contains("latin-1"));
    let plain = one(array(&[1], &dtype("u1", "|"), b"\x89", &text("a")));
    assert!(plain.unwrap_err().report().contains("a string in place of its bytes"));
}

#[test]
fn a_shape_must_fit_its_bytes_before_memory_is_taken() {
    for dims in [&[3][..], &[1], &[], &[0], &[i32::MAX, i32::MAX], &[i32::MAX; 3], &[2, i32::MAX, 0]] {
        let order_and_flag = [("<", b"\x89"), (">", b"\x89"), ("<", b"\x88")];
        for (order, is_fortran) in order_and_flag {
            let message = one(array(dims, &dtype("f4", order), is_fortran, &bytes(&[0; 8]))).unwrap_err().report();
            assert!(message.contains("tensor w: "), "{message}");
        }
    }
    let without_state = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R";
    assert!(one(without_state.to_vec()).unwrap_err().report().contains("without its state"));
}

#[test]
fn pieces_of_large_tensors_are_put_together() {
    let facts = |dims: &[i32], slices: &[&str]| {
        let slices: Vec<u8> = slices.iter().flat_map(|slice| text(slice)).collect();
        let slices = [b"](", slices.as_slice(), b"e"].concat();
        dict(&[("OriginShape", shape(dims)), ("slices", slices)])
    };
    let file = |facts: Vec<(&str, Vec<u8>)>| {
        pickle(&[&dict(&[
            (BIG_TENSORS, dict(&facts)),
            ("first", floats(&[1], &[0.0])),
            ("big@@.0", floats(&[3], &[1.0, 2.0, 3.0])),
            ("last", floats(&[1], &[9.0])),
            ("big@@.1", floats(&[1], &[4.0])),
            ("half", array(&[2], &dtype("f2", "<"), b"\x89", &bytes(&[0; 4]))),
        ])])
    };
    let (tensors, _) = read_bytes(&file(vec![("big", facts(&[2, 2], &["big@@.0", "big@@.1"]))])).unwrap();
    let names: Vec<_> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["first", "big", "last", "half"]);
    let values: Vec<f32> = tensors[1].bytes().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!((tensors[1].shape.as_slice(), values.as_slice()), (&[2, 2][..], &[1.0, 2.0, 3.0, 4.0][..]));
    for bad in [
        vec![("big", facts(&[2, 3], &["big@@.0", "big@@.1"]))],
        vec![("big", facts(&[2, 2], &["big@@.0", "big@@.2"]))],
        vec![("big", facts(&[2, 3], &["big@@.0", "big@@.0"]))],
        vec![("big", facts(&[2, 2], &["big@@.0", "half"]))],
        vec![("big", facts(&[0], &[]))],
        vec![("last", facts(&[2, 2], &["big@@.0", "big@@.1"]))],
        vec![("a", facts(&[3], &["big@@.0"])), ("b", facts(&[3], &["big@@.0"]))],
        vec![("big", b"}".to_vec())],
    ] {
        assert!(message(&file(bad.clone())).contains("slices") || bad[0].0 == "last", "{bad:?}");
    }
}

#[test]
fn what_is_no_dict_of_named_tensors_is_refused() {
    for (file, part) in [
        (pickle(&[b"]"]), "a list, not a dict"),
        (pickle(&[&floats(&[1], &[0.0])]), "a numpy array, not a dict"),
        (pickle(&[b"}"]), "no tensor"),
        (pickle(&[&dict(&[("epoch", b"K\x07".to_vec()), ("n", dict(&[]))])]), "no tensor"),
        (pickle(&[b"}K\x01", &floats(&[1], &[0.0]), b"s"]), "an integer that is no UTF-8 text"),
        (pickle(&[b"}X\x01\0\0\0\xff", &floats(&[1], &[0.0]), b"s"]), "no UTF-8"),
        (pickle(&[&dict(&[("a", floats(&[1], &[0.0])), ("a", floats(&[1], &[1.0]))])]), "tensor a: it comes twice"),
        (pickle(&[&dict(&[(PARAMETER_NAMES, b"]".to_vec())])]), "no dict of names"),
        (pickle(&[&dict(&[(PARAMETER_NAMES, dict(&[("a", b"N".to_vec())]))])]), "no dict of names"),
    ] {
        assert!(message(&file).contains(part), "{}", message(&file));
    }
}

#[test]
fn an_array_that_is_repeated_cannot_ask_for_endless_memory() {
    let big_endian = array(&[1 << 18], &dtype("f4", ">"), b"\x89", &bytes(&[0; 1 << 20]));
    let repeated: Vec<u8> = (0..40).flat_map(|i| [text(&format!("t{i}")).as_slice(), b"h\0"].concat()).collect();
    let file = pickle(&[b"}(", &text("t"), &big_endian, b"q\0", &repeated, b"u"]);
    assert!(message(&file).contains("more memory than a file of this length can need"));
    let long = text(&"x".repeat(1 << 20));
    let pairs: Vec<u8> = b"h\0h\0".repeat(40);
    let names = [text(PARAMETER_NAMES).as_slice(), b"}(", &long, b"q\0h\0", &pairs, b"u"].concat();
    assert!(message(&pickle(&[b"}(", &names, b"u"])).contains("no dict of names"));
}

#[test]
fn broken_files_are_read_or_refused() {
    let latin1 = [b"c_codecs\nencode\n", text("\u{e9}\0").as_slice(), &text("latin1"), b"\x86R"].concat();
    let slices = [b"](", text("c@@.0").as_slice(), b"e"].concat();
    let facts = dict(&[("c", dict(&[("OriginShape", shape(&[1, 1])), ("slices", slices)]))]);
    let whole = pickle(&[&dict(&[
        ("a", array(&[2, 2], &dtype("i2", ">"), b"\x88", &bytes(&[0; 8]))),
        ("b", array(&[2], &dtype("u1", "|"), b"\x89", &latin1)),
        ("c@@.0", floats(&[1], &[1.0])),
        (BIG_TENSORS, facts),
        (PARAMETER_NAMES, dict(&[("a", text("f"))])),
    ])]);
    assert_eq!(read_bytes(&whole).unwrap().0.len(), 3);
    let dir = tempfile::tempdir().unwrap();
    let mut n_read = 0;
    for (i, bytes) in mutations(&whole, 2_000).enumerate() {
        // File systems take their time to write a file anew, but not to write another.
        let path = dir.path().join(i.to_string());
        std::fs::write(&path, &bytes).unwrap();
        match read(&path, &Arc::new(MappedFile::open(&path).unwrap())) {
            Ok((tensors, _)) => {
                n_read += 1;
                for tensor in tensors {
                    assert_eq!(n_bytes(tensor.element_type, &tensor.shape), Some(tensor.bytes().len()));
                }
            }
            Err(error) => assert!(matches!(error, Error::InvalidModel { .. })),
        }
    }
    assert!((20..1_980).contains(&n_read), "{n_read}");
}
