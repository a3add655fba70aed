//! Laws of the machine, on pickles built here. The readers of state dicts build theirs of the same parts.

use super::globals::Global;
use super::*;
use crate::checkpoint::mutation::mutations;
use crate::error::Error;
use crate::tensor::ElementType;

/// A pickle of protocol 2 with these opcodes.
pub(crate) fn pickle(opcodes: &[&[u8]]) -> Vec<u8> {
    [b"\x80\x02", opcodes.concat().as_slice(), b"."].concat()
}

/// A string.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [b"X", (text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

/// Bytes.
pub(crate) fn bytes(bytes: &[u8]) -> Vec<u8> {
    [b"B", (bytes.len() as u32).to_le_bytes().as_slice(), bytes].concat()
}

/// A tuple of integers.
pub(crate) fn shape(dims: &[i32]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|n| [b"J".as_slice(), &n.to_le_bytes()].concat()).collect();
    [b"(", dims.as_slice(), b"t"].concat()
}

/// A dtype of numpy with its byte order.
pub(crate) fn dtype(name: &str, order: &str) -> Vec<u8> {
    let state = [b"(K\x03", text(order).as_slice(), b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"].concat();
    [b"cnumpy\ndtype\n", text(name).as_slice(), b"\x89\x88\x87R", &state].concat()
}

/// An array of numpy; `dtype`, `data` and the flag `is_fortran` are opcodes.
pub(crate) fn array(dims: &[i32], dtype: &[u8], is_fortran: &[u8], data: &[u8]) -> Vec<u8> {
    let empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R";
    [empty, b"(K\x01".as_slice(), &shape(dims), dtype, is_fortran, data, b"tb"].concat()
}

/// A tensor of torch in a storage of `n_elements`.
pub(crate) fn tensor(class: &str, key: &str, n_elements: i32, offset: u8, dims: &[i32], stride: &[i32]) -> Vec<u8> {
    let class = format!("ctorch\n{class}\n");
    let storage = [b"(", text("storage").as_slice(), class.as_bytes(), &text(key), &text("cpu")].concat();
    let storage = [&storage, b"J".as_slice(), &n_elements.to_le_bytes(), b"tQ"].concat();
    let function = b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice();
    let hooks = b"\x89ccollections\nOrderedDict\n)RtR".as_slice();
    [function, &storage, b"K", &[offset], &shape(dims), &shape(stride), hooks].concat()
}

fn read(bytes: &[u8]) -> Result<Pickle<'_>> {
    load(Path::new("w"), bytes, 0..bytes.len())
}

fn message(bytes: &[u8]) -> String {
    match read(bytes) {
        Err(error @ Error::InvalidModel { .. }) => error.report(),
        other => panic!("{other:?}"),
    }
}

fn root(bytes: &[u8]) -> Value {
    let pickle = read(bytes).unwrap();
    assert_eq!(pickle.end, bytes.len());
    pickle.arena.get(pickle.root).clone()
}

#[test]
fn scalars_are_what_python_reads() {
    for (opcodes, value) in [
        (&b"N"[..], Value::None),
        (b"\x88", Value::Bool(true)),
        (b"\x89", Value::Bool(false)),
        (b"J\xfe\xff\xff\xff", Value::Int(-2)),
        (b"K\xff", Value::Int(255)),
        (b"M\xff\xff", Value::Int(65535)),
        (b"\x8a\x00", Value::Int(0)),
        (b"\x8a\x02\xff\x00", Value::Int(255)),
        (b"\x8a\x01\xff", Value::Int(-1)),
        (b"\x8a\x08\0\0\0\0\0\0\0\x80", Value::Int(i64::MIN)),
        (b"\x8a\x09\0\0\0\0\0\0\0\x80\0", Value::Long(4..13)),
        (b"\x8b\x02\0\0\0\x00\x01", Value::Int(256)),
        (b"G\x3f\xf0\0\0\0\0\0\0", Value::Float),
        (b"X\x02\0\0\0ab", Value::Text(7..9)),
        (b"\x8c\x02ab", Value::Text(4..6)),
        (b"\x8d\x02\0\0\0\0\0\0\0ab", Value::Text(11..13)),
        (b"T\x02\0\0\0ab", Value::ByteText(7..9)),
        (b"U\x02ab", Value::ByteText(4..6)),
        (b"B\x02\0\0\0ab", Value::Bytes(7..9)),
        (b"C\x02ab", Value::Bytes(4..6)),
        (b"\x8e\x02\0\0\0\0\0\0\0ab", Value::Bytes(11..13)),
        (b"\x96\x02\0\0\0\0\0\0\0ab", Value::Bytes(11..13)),
        (b"\x95\x02\0\0\0\0\0\0\0N", Value::None),
    ] {
        assert_eq!(root(&pickle(&[opcodes])), value, "{opcodes:?}");
    }
}

#[test]
fn containers_keep_their_order_and_the_stack_its_marks() {
    for opcodes in [
        &b"(K\x01K\x02t"[..],
        b"K\x01K\x02\x86",
        b"]K\x01aK\x02a",
        b"](K\x01K\x02e",
        b"(K\x01K\x02l",
        b"NN0(N1K\x01K\x02\x86",
        b"(0K\x01K\x02\x86",
        b"K\x01q\x05K\x02r\0\0\x0f\x00h\x05j\0\0\x0f\x00\x86",
        b"K\x01\x94K\x02\x94h\x00h\x01\x86",
    ] {
        let bytes = pickle(&[opcodes]);
        let pickle = read(&bytes).unwrap();
        assert_eq!(pickle.arena.counts(pickle.root).unwrap(), [1, 2], "{opcodes:?}");
    }
    for opcodes in [&b"}K\x01K\x02s"[..], b"}(K\x01K\x02u", b"(K\x01K\x02d"] {
        let bytes = pickle(&[opcodes]);
        let pickle = read(&bytes).unwrap();
        let [(key, value)] = pickle.arena.dict(pickle.root).unwrap() else { panic!("{opcodes:?}") };
        assert_eq!((pickle.arena.count(*key), pickle.arena.count(*value)), (Some(1), Some(2)));
    }
}

#[test]
fn objects_that_do_not_fit_together_are_refused() {
    for opcodes in [
        &b""[..],
        b"0",
        b"1",
        b"2",
        b"K\x01\x86",
        b"N(\x85",
        b"N()\x86",
        b"N(\x851",
        b"N(q\x001",
        b"t",
        b"e",
        b"NNa",
        b"N(Ne",
        b"NNNs",
        b"}(Nu",
        b"(Nd",
        b"(",
        b"h\x00",
        b"q\x00",
        b"\x94",
        b"Nb",
        b"}Nb",
        b"]Nb",
        b"NQ",
        b"]R",
        b"N)R",
        b"\x80\x02N",
        b"\x8b\xff\xff\xff\xff",
        b"T\xff\xff\xff\xff",
    ] {
        message(&pickle(&[opcodes]));
    }
}

#[test]
fn only_opcodes_of_state_dicts_are_run() {
    let known = b"(012\x95N\x88\x89JKM\x8a\x8bGTUX\x8c\x8dBC\x8e\x96)t\x85\x86\x87]lae}dsuc\x93RbQqr\x94hj.\x80";
    for opcode in (0..=255_u8).filter(|opcode| !known.contains(opcode)) {
        let message = message(&pickle(&[b"NN", &[opcode], b"1\n1\n"]));
        assert!(message.contains(&format!("byte 4: opcode 0x{opcode:02x}")), "{message}");
    }
    for bytes in [&b"\x80\x01N."[..], b"\x80\x06N.", b"(dp0\n.", b"N.", b""] {
        assert!(message(bytes).contains("byte 0"));
    }
}

#[test]
fn only_globals_of_the_whitelist_are_known() {
    for (module, name, global) in [
        ("numpy.core.multiarray", "_reconstruct", Global::Reconstruct),
        ("numpy._core.multiarray", "_reconstruct", Global::Reconstruct),
        ("numpy", "ndarray", Global::NdArray),
        ("numpy", "dtype", Global::Dtype),
        ("_codecs", "encode", Global::Encode),
        ("collections", "OrderedDict", Global::OrderedDict),
        ("builtins", "tuple", Global::Tuple),
        ("__builtin__", "tuple", Global::Tuple),
        ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
        ("torch", "BFloat16Storage", Global::Storage(ElementType::Bf16)),
    ] {
        let line = format!("c{module}\n{name}\n");
        assert_eq!(root(&pickle(&[line.as_bytes()])), Value::Global(global));
        assert_eq!(root(&pickle(&[&text(module), &text(name), b"\x93"])), Value::Global(global));
    }
    for (module, name) in [
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("numpy", "load"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("_codecs", "decode"),
        ("collections", "namedtuple"),
        ("numpy.core.multiarray", "_reconstruct "),
        ("", ""),
        ("torch", "Storage"),
        ("torch.storage", "FloatStorage"),
    ] {
        let line = format!("Nc{module}\n{name}\n)R");
        let message = message(&pickle(&[line.as_bytes()]));
        assert!(message.contains(&format!("byte 3: it asks for {module}.{name},")), "{message}");
    }
    let long = pickle(&[b"cos\n", &[b'\n'; 1], &[b'\x1b'; 400], b"\n"]);
    assert!(message(&long).len() < 200);
    let long = pickle(&[b"cos\n", &[b'\x1b'; 4000], b"\n"]);
    assert!(message(&long).len() < 900 && !message(&long).contains('\x1b'));
}

#[test]
fn calls_of_other_shapes_than_numpy_and_torch_write_are_refused() {
    let good = [
        pickle(&[&array(&[2], &dtype("f4", "<"), b"\x89", &bytes(&[0; 8]))]),
        pickle(&[&tensor("FloatStorage", "0", 4, 0, &[2, 2], &[2, 1])]),
        pickle(&[
            b"ctorch._utils\n_rebuild_parameter\n",
            &tensor("FloatStorage", "0", 4, 0, &[4], &[1]),
            b"\x88}\x87R",
        ]),
        pickle(&[b"ccollections\nOrderedDict\n](](K\x01K\x02ee\x85R"]),
        pickle(&[b"ccollections\nOrderedDict\n)R}X\x01\0\0\0aNsb"]),
        pickle(&[b"cbuiltins\ntuple\nK\x01K\x02\x86\x85R"]),
        pickle(&[b"c_codecs\nencode\n", &text("\u{e9}"), &text("latin1"), b"\x86R"]),
    ];
    for bytes in good {
        read(&bytes).unwrap();
    }
    let tensor = |storage: &[u8], rest: &[u8]| pickle(&[b"ctorch._utils\n_rebuild_tensor_v2\n(", storage, rest, b"tR"]);
    let storage = [b"(", text("storage").as_slice(), b"ctorch\nFloatStorage\n", &text("0"), &text("cpu")].concat();
    let whole = [&storage, b"K\x04tQ".as_slice()].concat();
    read(&tensor(&whole, b"K\0K\x04\x85K\x01\x85\x89}")).unwrap();
    read(&tensor(&[&storage, b"K\x04NtQ".as_slice()].concat(), b"K\0K\x04\x85K\x01\x85\x89}")).unwrap();
    let bad = [
        pickle(&[b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\0\x85C\x01b\x87R"]),
        pickle(&[b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x01\x85C\x01b\x87R"]),
        pickle(&[b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01d\x87R"]),
        pickle(&[b"cnumpy\nndarray\nK\0\x85\x85R"]),
        pickle(&[b"cnumpy\ndtype\nK\x04\x89\x88\x87R"]),
        pickle(&[b"cnumpy\ndtype\nX\x02\0\0\0f4\x85R"]),
        pickle(&[b"c_codecs\nencode\nX\x01\0\0\0aX\x05\0\0\0utf-8\x86R"]),
        pickle(&[b"c_codecs\nencode\nX\x01\0\0\0a\x85R"]),
        pickle(&[b"ccollections\nOrderedDict\n](K\x01e\x85R"]),
        pickle(&[b"cbuiltins\ntuple\nK\x01\x85R"]),
        pickle(&[b"ctorch\nFloatStorage\nK\x01\x85R"]),
        pickle(&[b"ctorch._utils\n_rebuild_parameter\nN\x88}\x87R"]),
        tensor(b"N", b"K\0K\x04\x85K\x01\x85\x89}"),
        tensor(&whole, b"K\0K\x04\x85K\x01\x85\x89}N"),
        tensor(&whole, b"K\0K\x04\x85)\x89}"),
        tensor(&whole, b"J\xff\xff\xff\xffK\x04\x85K\x01\x85\x89}"),
        tensor(&whole, b"K\0J\xff\xff\xff\xff\x85K\x01\x85\x89}"),
        tensor(&whole, b"K\0K\x04\x85K\x01\x85\x89}K\x01K\x02s"),
        tensor(&[&storage, b"K\x04K\x01tQ".as_slice()].concat(), b"K\0K\x04\x85K\x01\x85\x89}"),
        tensor(&[&storage, b"J\xff\xff\xff\xfftQ".as_slice()].concat(), b"K\0K\x04\x85K\x01\x85\x89}"),
        tensor(b"(X\x06\0\0\0modulectorch\nFloatStorage\nX\0\0\0\0X\0\0\0\0K\x04tQ", b"K\0K\x04\x85K\x01\x85\x89}"),
        tensor(b"(X\x06\0\0\0moduleNNNNtQ", b"K\0K\x04\x85K\x01\x85\x89}"),
    ];
    for bytes in bad {
        assert!(message(&bytes).contains("refused"), "{bytes:?}");
    }
}

#[test]
fn states_are_given_once_and_only_to_arrays_and_types() {
    let whole = array(&[2], &dtype("f4", "<"), b"\x89", &bytes(&[0; 8]));
    let again = [b"(K\x01".as_slice(), &shape(&[2]), &dtype("f4", "<"), b"\x89", &bytes(&[0; 8]), b"tb"].concat();
    let without_order = b"cnumpy\ndtype\nX\x02\0\0\0f4\x89\x88\x87R";
    for opcodes in [
        [whole.as_slice(), &again].concat(),
        array(&[2], without_order, b"\x89", b"N"),
        array(&[-1], &dtype("f4", "<"), b"\x89", b"N"),
        array(&[2], &dtype("f4", "<"), b"K\x02", b"N"),
        array(&[1; 65], &dtype("f4", "<"), b"\x89", b"N"),
        array(&[2], b"N", b"\x89", b"N"),
        dtype("f4", "!"),
        [dtype("f4", "<").as_slice(), b"Nb"].concat(),
        [tensor("FloatStorage", "0", 4, 0, &[4], &[1]).as_slice(), b"}b"].concat(),
        b"cnumpy\ndtype\n}b".to_vec(),
    ] {
        assert!(message(&pickle(&[&opcodes])).contains("refused"), "{opcodes:?}");
    }
}

#[test]
fn pickles_follow_one_another_and_offsets_are_those_of_the_file() {
    let bytes = [b"junk".as_slice(), &pickle(&[b"K\x07"]), &pickle(&[&text("ab")]), b"rest"].concat();
    let first = load(Path::new("w"), &bytes, 4..bytes.len()).unwrap();
    let second = load(Path::new("w"), &bytes, first.end..bytes.len()).unwrap();
    assert_eq!((first.end, second.end), (9, 19));
    assert_eq!(second.arena.text(second.root), Some("ab"));
    assert!(load(Path::new("w"), &bytes, 4..8).is_err_and(|e| e.report().contains("truncated")));
    let beyond = load(Path::new("w"), &bytes, 19..bytes.len()).unwrap_err().report();
    assert!(beyond.contains("byte 19"), "{beyond}");
}

#[test]
fn a_cut_pickle_is_truncated() {
    let whole = pickle(&[&array(&[2], &dtype("f4", "<"), b"\x89", &bytes(&[0; 8]))]);
    for n_bytes in 0..whole.len() {
        assert!(message(&whole[..n_bytes]).contains("truncated"), "{n_bytes}");
    }
}

#[test]
fn depth_and_self_reference_cost_no_stack() {
    let deep = pickle(&[&[b'('; 200_000], b"l", &[b'l'; 199_999]]);
    drop(read(&deep).unwrap());
    let tuples = pickle(&[b"N", &[0x85; 200_000]]);
    drop(read(&tuples).unwrap());
    let own = pickle(&[b"]q\0(", &b"h\0".repeat(50_000), b"e"]);
    let pickle = read(&own).unwrap();
    assert_eq!(pickle.arena.sequence(pickle.root).map(<[_]>::len), Some(50_000));
}

#[test]
fn more_than_the_limit_of_anything_is_refused() {
    let many = |opcodes: &[u8], n: usize| opcodes.repeat(n);
    for (opcodes, part) in [
        (many(b"N0", MAX_ENTRIES + 1), "objects"),
        ([b"N".as_slice(), &many(b"2", MAX_ENTRIES)].concat(), "on the stack"),
        (many(b"(", MAX_ENTRIES + 1), "marks"),
        (b"Nr\0\0\x10\0".to_vec(), "memo entry"),
        ([b"]q\0".as_slice(), &many(b"h\0a", MAX_ENTRIES + 1)].concat(), "in containers"),
        ([b"}q\0".as_slice(), &many(b"h\0h\0s", MAX_ENTRIES + 1)].concat(), "in containers"),
        // A tuple that the memo repeats is copied by no call without being counted.
        (
            [b"(", many(b"N", 2000).as_slice(), b"tq\x01", &many(b"cbuiltins\ntuple\nh\x01\x85R0", 600)].concat(),
            "in containers",
        ),
    ] {
        let message = message(&pickle(&[&opcodes]));
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn broken_pickles_are_read_or_refused_within_bounds() {
    let whole = pickle(&[
        b"}q\0(",
        &text("a"),
        &array(&[2], &dtype("f4", "<"), b"\x89", &bytes(&[0; 8])),
        b"\x94",
        &text("b"),
        &tensor("HalfStorage", "0", 4, 0, &[2, 2], &[2, 1]),
        b"u",
    ]);
    read(&whole).unwrap();
    let mut n_read = 0;
    for bytes in mutations(&whole, 10_000) {
        match read(&bytes) {
            // Every object takes an opcode, and no tensor more than it.
            Ok(pickle) => {
                n_read += 1;
                assert!(pickle.arena.values().len() <= bytes.len() && pickle.end <= bytes.len());
            }
            Err(error) => assert!(matches!(error, Error::InvalidModel { .. })),
        }
    }
    assert!((100..9_900).contains(&n_read), "{n_read}");
}
