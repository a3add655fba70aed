//! Laws of the LoDTensor reader, on streams built here.

use super::*;
use crate::checkpoint::mutation::mutations;

/// A stream with these levels, description and data.
fn stream(levels: &[&[u8]], desc: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend((levels.len() as u64).to_le_bytes());
    for level in levels {
        bytes.extend((level.len() as u64).to_le_bytes());
        bytes.extend(*level);
    }
    bytes.extend([0; 4]);
    bytes.extend((desc.len() as i32).to_le_bytes());
    [&bytes, desc, data].concat()
}

/// A u8 tensor of shape `[n]`.
fn plain(n: u8) -> Vec<u8> {
    stream(&[], &[8, 20, 16, n], &vec![7; n.into()])
}

fn parsed(bytes: &[u8], names: &[&str]) -> Result<Vec<Stream>> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    parse_combined(Path::new("p.pdiparams"), bytes, &names)
}

fn directory(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    names.iter().for_each(|name| std::fs::write(dir.path().join(name), plain(2)).unwrap());
    dir
}

fn names(tensors: &[StoredTensor]) -> Vec<&str> {
    tensors.iter().map(|tensor| tensor.name.as_str()).collect()
}

#[test]
fn packed_and_unpacked_dimensions_mean_the_same() {
    let expected = Stream { element_type: ElementType::F32, shape: vec![1, 2], data: 26..34 };
    let unpacked = stream(&[], &[8, 5, 16, 1, 16, 2], &[0; 8]);
    assert_eq!(parsed(&unpacked, &["x"]).unwrap(), [expected]);
    let packed = stream(&[], &[18, 2, 1, 2, 8, 5], &[0; 8]);
    assert_eq!(parsed(&packed, &["x"]).unwrap(), parsed(&unpacked, &["x"]).unwrap());
}

#[test]
fn levels_are_skipped_and_scalars_hold_one_element() {
    let bytes = stream(&[&[1; 16], &[]], &[8, 3], &[9; 8]);
    let expected = Stream { element_type: ElementType::I64, shape: vec![], data: 54..62 };
    assert_eq!(parsed(&bytes, &["x"]).unwrap(), [expected]);
    let levels: [&[u8]; 17] = [&[]; 17];
    assert!(parsed(&stream(&levels[1..], &[8, 3], &[9; 8]), &["x"]).is_ok());
    assert!(parsed(&stream(&levels, &[8, 3], &[9; 8]), &["x"]).unwrap_err().report().contains("byte 4: 17 levels"));
}

#[test]
fn every_type_has_its_width_and_others_are_refused() {
    for (number, width) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 2), (5, 4), (6, 8), (20, 1), (21, 1), (22, 2)] {
        assert!(parsed(&stream(&[], &[8, number, 16, 3], &vec![0; 3 * width]), &["x"]).is_ok(), "{number}");
    }
    for number in [7, 8, 19, 23, 24, 127] {
        let message = parsed(&stream(&[], &[8, number, 16, 0], &[]), &["x"]).unwrap_err().report();
        assert!(message.contains(&format!("byte 20: elements of Paddle's type {number} ")), "{message}");
    }
}

#[test]
fn what_is_wrong_is_told_with_file_variable_and_place() {
    let negative = [&[8, 20, 16][..], &[0xFF; 9], &[1]].concat();
    let huge = [&[8, 20, 16][..], &[0xFF; 8], &[0x7F], &[16, 2]].concat();
    let mut long_desc = plain(1);
    long_desc[16..20].copy_from_slice(&i32::MAX.to_le_bytes());
    let mut negative_desc = plain(1);
    negative_desc[16..20].copy_from_slice(&(-1_i32).to_le_bytes());
    let mut long_level = stream(&[&[]], &[8, 20], &[0]);
    long_level[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    for (bytes, place, reason) in [
        (stream(&[], &negative, &[]), 22, "dimension -1"),
        (stream(&[], &huge, &[]), 16, "larger than any memory"),
        (long_desc, 16, "description not of"),
        (negative_desc, 16, "description not of"),
        (long_level, 20, "truncated: a level"),
        (stream(&[], &[16, 1], &[0]), 20, "no element type"),
        (stream(&[], &[8, 20, 16], &[0]), 22, "description is broken"),
        (stream(&[], &[8, 20, 18, 1, 0x80], &[0]), 22, "description is broken"),
        (stream(&[], &[8, 5, 16, 2], &[0; 7]), 24, "truncated: data of 8 bytes, 7 left"),
        (vec![1, 0, 0, 0, 0], 0, "version 1"),
        ([&[0; 12][..], &[2, 0, 0, 0]].concat(), 12, "version 2"),
        (b"<ht".to_vec(), 0, "truncated"),
    ] {
        let message = parsed(&bytes, &["x"]).unwrap_err().report();
        let expected = format!("p.pdiparams: variable x: at byte {place}: ");
        assert!(message.starts_with(&expected) && message.contains(reason), "{reason}: {message}");
    }
}

#[test]
fn combined_streams_are_as_many_as_names() {
    let three = [plain(1), plain(0), plain(2)].concat();
    assert_eq!(parsed(&three, &["a", "b", "c"]).unwrap().len(), 3);
    assert_eq!(parsed(&[], &[]).unwrap(), []);
    let message = |names: &[&str], bytes: &[u8]| parsed(bytes, names).unwrap_err().report();
    assert!(message(&["a", "b", "c", "d"], &three).contains("4 variables expected, 3 found"));
    assert!(message(&["a"], &three).contains("1 variables expected up to byte 25, 3 found"));
    let followed = [&three[..], b"abc"].concat();
    assert!(message(&["a", "b"], &followed).contains("2 variables expected up to byte 49, 3 found and 3 bytes"));
}

#[test]
fn one_stream_fills_its_file_and_has_its_name() {
    let dir = directory(&["word_embedding"]);
    let path = dir.path().join("word_embedding");
    let open = || Arc::new(MappedFile::open(&path).unwrap());
    let tensor = read_one(&path, &open()).unwrap();
    assert_eq!((tensor.name.as_str(), tensor.bytes(), tensor.path()), ("word_embedding", &[7, 7][..], &*path));
    assert!(matches!(tensor.data, Data::Mapped(..)));
    std::fs::write(&path, [plain(2), vec![0]].concat()).unwrap();
    assert!(read_one(&path, &open()).unwrap_err().report().contains("at byte 26: 1 bytes left over"));
    std::fs::write(&path, []).unwrap();
    assert!(read_one(&path, &open()).is_err());
}

#[test]
fn a_directory_gives_its_variables_in_byte_order() {
    let dir = directory(&["b", "a.w_0", "B", ".hidden", "__model__", "vocab.txt", "ernie_config.json"]);
    for end in OPTIMIZER_STATE {
        std::fs::write(dir.path().join(format!("a.w_0{end}")), b"").unwrap();
    }
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    assert_eq!(names(&read_directory(dir.path(), None).unwrap()), ["B", "a.w_0", "b"]);
    let given = ["b".to_owned(), "a.w_0".into()];
    assert_eq!(names(&read_directory(dir.path(), Some(&given)).unwrap()), ["b", "a.w_0"]);
}

#[test]
fn a_program_names_only_files_of_its_directory() {
    let dir = directory(&["a"]);
    for name in ["../a", "/etc/hostname", "", "sub/a"] {
        let result = read_directory(dir.path(), Some(&[name.to_owned()]));
        assert!(matches!(result, Err(Error::InvalidModel { .. })), "{name}");
    }
    let result = read_directory(dir.path(), Some(&["none".to_owned()]));
    assert!(matches!(result, Err(Error::NotFound { path, .. }) if path.ends_with("none")));
    assert!(matches!(read_directory(&dir.path().join("none"), None), Err(Error::NotFound { .. })));
}

#[test]
fn broken_files_give_errors_or_tensors_of_their_length() {
    let whole = [stream(&[&[1; 16]], &[8, 5, 16, 2, 16, 3], &[1; 24]), plain(5)].concat();
    assert_eq!(parsed(&whole, &["a", "b"]).unwrap().len(), 2);
    let mut n_refused = 0;
    for bytes in mutations(&whole, 10_000) {
        match parsed(&bytes, &["a", "b"]) {
            Ok(streams) => streams.iter().for_each(|stream| {
                assert_eq!(n_bytes(stream.element_type, &stream.shape), Some(stream.data.len()));
                assert!(bytes.get(stream.data.clone()).is_some());
            }),
            Err(error) => n_refused += usize::from(matches!(error, Error::InvalidModel { .. })),
        }
    }
    assert!(n_refused > 4_000, "{n_refused}");
}
