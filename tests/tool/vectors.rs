//! Vectors as JSON Lines and as NumPy files.

use std::fs::read;
use std::path::Path;

use half::f16;
use serde_json::Value;

use crate::bulk::{peak_kib, texts};
use crate::{done, errors, file, killed, lines, refusal, tool};

/// A model that is fast where its numbers do not matter.
const SMALL: &str = "tests/fixtures/checkpoints/hf_encoder_safetensors";

/// The header of a NumPy file, its number of rows, and the bytes behind it.
fn array(path: &Path) -> (String, usize, Vec<u8>) {
    let bytes = read(path).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"), "{:?}", &bytes[..16]);
    let n_header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + n_header) % 64, 0);
    let header = std::str::from_utf8(&bytes[10..10 + n_header]).unwrap();
    assert!(header.ends_with('\n'));
    let shape = header.split_once("'shape': (").unwrap().1;
    let n_rows = shape.split(',').next().unwrap().parse().unwrap();
    (header.trim_end().to_owned(), n_rows, bytes[10 + n_header..].to_vec())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_ne_bytes(four.try_into().unwrap())).collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

#[test]
fn vectors_have_the_models_width_and_are_normalised_on_request() {
    let answers =
        lines(&tool(&["encode", "--pooling", "mean", "--normalize", "--tokens", "models/demo"], "好".as_bytes()));
    let pooled: Vec<f64> = serde_json::from_value(answers[0]["pooled"].clone()).unwrap();
    assert_eq!(pooled.len(), 192);
    assert!((pooled.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    assert_eq!(answers[0]["token_vectors"].as_array().unwrap().len(), 3);
}

#[test]
fn numbers_are_stored_as_they_are_wanted() {
    let run =
        |arguments: &[&str]| lines(&done(&[&["encode", "models/demo", "--tokens"], arguments].concat(), "好\n很好\n"));
    let (full, half, small) = (run(&[]), run(&["--type", "f16"]), run(&["--type", "int8"]));
    for ((full, half), small) in full.iter().zip(&half).zip(&small) {
        let exact = numbers(&full["pooled"]);
        let rounded: Vec<f32> = exact.iter().map(|x| f16::from_f32(*x).to_f32()).collect();
        assert_eq!(numbers(&half["pooled"]), rounded);
        let scale = small["scale"].as_f64().unwrap() as f32;
        for (x, integer) in exact.iter().zip(small["pooled"].as_array().unwrap()) {
            assert!((integer.as_i64().unwrap() as f32 * scale - x).abs() <= scale * 0.501);
        }
        let n_tokens = full["token_vectors"].as_array().unwrap().len();
        assert_eq!(small["token_scales"].as_array().unwrap().len(), n_tokens);
        assert!(small["token_vectors"][0][0].is_i64() && half["token_vectors"][0][0].is_f64());
    }
}

#[test]
fn an_array_has_a_row_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let input = "{\"text\": \"好\"}\n{\"id\": 1}\n{\"text\": \"很好\"}\n";
    let vectors = lines(&tool(&["encode", "models/demo"], input.as_bytes()));
    let run = |name: &str, vector_type: &str| {
        let path = dir.path().join(name);
        let output = done(&["encode", "models/demo", "--type", vector_type, "-o", path.to_str().unwrap()], input);
        assert!(errors(&output).contains("line 2: ") && errors(&output).contains("1 bad line"), "{}", errors(&output));
        assert!(output.stdout.is_empty());
        array(&path)
    };
    let (header, n_rows, bytes) = run("a.npy", "f32");
    assert_eq!((header.as_str(), n_rows), ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 192), }", 3));
    let rows = floats(&bytes);
    assert_eq!(
        (rows[..192].to_vec(), rows[384..].to_vec()),
        (numbers(&vectors[0]["pooled"]), numbers(&vectors[2]["pooled"]))
    );
    assert!(rows[192..384].iter().all(|x| x.is_nan()));

    let (header, _, bytes) = run("b.npy", "f16");
    assert!(header.contains("'<f2'") && bytes.len() == 3 * 192 * 2, "{header}");
    let halves: Vec<f16> = bytes.chunks_exact(2).map(|two| f16::from_ne_bytes(two.try_into().unwrap())).collect();
    assert!(halves[0] == f16::from_f32(rows[0]) && halves[192..384].iter().all(|x| x.is_nan()));

    let (header, _, bytes) = run("c.npy", "int8");
    assert!(header.contains("'|i1'") && bytes.len() == 3 * 192, "{header}");
    let (header, n_scales, scales) = array(&dir.path().join("c.scales.npy"));
    assert_eq!((header.as_str(), n_scales), ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 3));
    let scales = floats(&scales);
    assert!(scales[1].is_nan() && bytes[192..384].iter().all(|x| *x == 0));
    assert!((f32::from(i8::from_ne_bytes([bytes[0]])) * scales[0] - rows[0]).abs() <= scales[0] * 0.501);

    let taken = dir.path().join("a.npy");
    let refused =
        |more: &[&str]| refusal(&[&["encode", "models/demo", "-o", taken.to_str().unwrap()], more].concat(), input);
    assert!(refused(&[]).contains("--force"));
    assert!(refused(&["--resume", "--type", "f16"]).contains("cannot be gone on with"));
    assert!(refused(&["--force", "--tokens"]).contains("--tokens"));
    assert_eq!(array(&taken).1, 3);
}

#[test]
fn an_array_that_was_cut_off_anywhere_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", &texts(30));
    let (path, scales) = (dir.path().join("a.npy"), dir.path().join("a.scales.npy"));
    let arguments = ["encode", SMALL, &input, "--chunk", "7", "--type", "int8", "-o", path.to_str().unwrap()];
    let resume = [&arguments[..], &["--resume"]].concat();
    done(&arguments, "");
    let (whole, whole_scales) = (read(&path).unwrap(), read(&scales).unwrap());
    for (n_bytes, n_scale_bytes) in [(0, 0), (128, 128), (200, 128), (300, 131), (whole.len(), 150), (200, 248)] {
        std::fs::write(&path, &whole[..n_bytes]).unwrap();
        std::fs::write(&scales, &whole_scales[..n_scale_bytes]).unwrap();
        done(&resume, "");
        assert!(read(&path).unwrap() == whole && read(&scales).unwrap() == whole_scales, "cut at {n_bytes}");
    }
    std::fs::write(&input, texts(29)).unwrap();
    assert!(refusal(&resume, "").contains("the output has 30 lines, the inputs have 29"));
    std::fs::write(&path, b"not an array").unwrap();
    assert!(refusal(&resume, "").contains("cannot be gone on with"));
}

#[test]
fn an_array_of_a_run_that_was_killed_is_valid_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", &texts(4000));
    let path = dir.path().join("a.npy");
    let arguments = ["encode", "models/demo", &input, "--chunk", "16", "-o", path.to_str().unwrap()];
    killed(&arguments, &path, 60_000);
    let (_, n_rows, bytes) = array(&path);
    assert!(n_rows > 30 && n_rows < 4000 && bytes.len() >= n_rows * 192 * 4, "{n_rows}");
    done(&[&arguments[..], &["--resume"]].concat(), "");
    let again = dir.path().join("b.npy");
    done(&["encode", "models/demo", &input, "-o", again.to_str().unwrap()], "");
    assert!(read(&path).unwrap() == read(&again).unwrap());
}

#[test]
fn a_long_array_takes_no_more_memory_than_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let peak = |n_lines: usize| {
        let peak = peak_kib(&["encode", SMALL], n_lines, &path);
        assert_eq!(array(&path).1, n_lines);
        peak
    };
    let (short, long) = (peak(3_000), peak(30_000));
    assert!(long < short + 4096, "{short} KiB grew to {long} KiB");
}

#[test]
fn an_array_of_another_run_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", &texts(5));
    for kind in ["f32", "int8"] {
        let output = dir.path().join(format!("{kind}.npy"));
        let output = output.to_str().unwrap();
        let arguments = ["encode", "--type", kind, "-o", output, "models/demo", &input];
        done(&arguments, "");
        let before = read(output).unwrap();
        done(&[&arguments[..], &["--resume"]].concat(), "");
        let refused = refusal(&[&arguments[..], &["--resume", "--pooling", "mean"]].concat(), "");
        assert!(refused.contains("of another run"), "{refused}");
        assert_eq!(read(output).unwrap(), before);
    }
}

#[test]
fn an_array_tells_how_many_texts_were_cut() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "in.txt", "很好，非常满意\n好\n太差了，后悔\n");
    let output = dir.path().join("a.npy");
    let told = done(&["encode", "--max-tokens", "5", "-o", output.to_str().unwrap(), "models/demo", &input], "");
    assert_eq!(errors(&told), "ernie: 2 texts were cut\n");
    // Those that an earlier run has put are told by it, also where they are answered again.
    let resumed = ["encode", "--max-tokens", "5", "--resume", "-o", output.to_str().unwrap(), "models/demo", &input];
    assert!(errors(&done(&resumed, "")).is_empty());
    let whole = read(&output).unwrap();
    std::fs::write(&output, &whole[..128 + 2 * 192 * 4]).unwrap();
    assert_eq!(errors(&done(&resumed, "")), "ernie: 1 text was cut\n");
    assert!(read(&output).unwrap() == whole);
}
