//! Laws of the program reader, on programs built here.

use super::*;
use crate::checkpoint::mutation::mutations;

/// A field of `bytes`, whose length may take two bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = [bytes.len() as u8 | 0x80, (bytes.len() >> 7) as u8];
    [&[number << 3 | 2], &length[..], bytes].concat()
}

fn variable(name: &str, kind: u8, is_persistable: u8) -> Vec<u8> {
    field(3, &[field(1, name.as_bytes()), field(2, &[8, kind]), vec![24, is_persistable]].concat())
}

fn operator(kind: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let arguments = |parameter: &[u8], names: &[&str]| {
        let names: Vec<Vec<u8>> = names.iter().map(|name| field(2, name.as_bytes())).collect();
        [field(1, parameter), names.concat()].concat()
    };
    let parts = [field(1, &arguments(b"X", inputs)), field(2, &arguments(b"Out", outputs)), field(3, kind.as_bytes())];
    field(4, &[parts.concat(), attributes.concat()].concat())
}

fn attribute(name: &str, value: &[u8]) -> Vec<u8> {
    field(4, &[&field(1, name.as_bytes()), value].concat())
}

fn epsilon(value: f32) -> Vec<u8> {
    attribute("epsilon", &[&[4 << 3 | 5], &value.to_le_bytes()[..]].concat())
}

fn parsed(parts: &[Vec<u8>]) -> Result<ProgramFacts> {
    parse(Path::new("m.pdmodel"), &field(1, &parts.concat()))
}

/// Operators that split `x` into heads.
fn split(shape: &[u8]) -> [Vec<u8>; 2] {
    [operator("reshape2", &["x"], &["h"], &[attribute("shape", shape)]), operator("transpose2", &["h"], &["t"], &[])]
}

#[test]
fn persistables_are_in_byte_order_without_feed_and_fetch() {
    let of = [("w", 7, 1), ("W", 7, 1), ("t", 7, 0), ("feed", 9, 1), ("fetch", 10, 1), ("raw", 17, 1), ("é", 7, 1)];
    let facts = parsed(&of.map(|(name, kind, is_persistable)| variable(name, kind, is_persistable))).unwrap();
    assert_eq!(facts.persistables, ["W", "w", "é"]);
}

#[test]
fn feeds_are_in_the_order_of_their_columns() {
    let feed = |name, column| operator("feed", &["feed"], &[name], &[attribute("col", &[24, column])]);
    assert_eq!(parsed(&[feed("sent_ids", 1), feed("src_ids", 0)]).unwrap().feeds, ["src_ids", "sent_ids"]);
    let other_output = field(2, &[field(1, b"XShape"), field(2, b"shape")].concat());
    assert_eq!(parsed(&[operator("feed", &["feed"], &["ids"], &[other_output])]).unwrap().feeds, ["ids"]);
}

#[test]
fn a_value_is_told_where_all_operators_agree() {
    let norm = |value| operator("layer_norm", &["x"], &["y"], &[epsilon(value)]);
    let epsilon_of = |parts: &[Vec<u8>]| parsed(parts).unwrap().layer_norm_epsilon;
    assert_eq!(epsilon_of(&[norm(1e-12), norm(1e-12)]), Some(1e-12));
    assert_eq!(epsilon_of(&[norm(1e-12), norm(1e-5)]), None);
    assert_eq!(epsilon_of(&[norm(1e-12), norm(1e-5), norm(1e-12)]), None);
    assert_eq!(epsilon_of(&[operator("layer_norm", &["x"], &["y"], &[])]), Some(1e-5));
    assert_eq!(epsilon_of(&[]), None);
    assert!(parsed(&[norm(f32::NAN)]).unwrap_err().report().contains("epsilon NaN"));

    let gelu = |is_approximate| operator("gelu", &["x"], &["y"], &[attribute("approximate", &[80, is_approximate])]);
    let activation_of = |parts: &[Vec<u8>]| parsed(parts).unwrap().activation;
    assert_eq!(activation_of(&[operator("relu", &["x"], &["y"], &[])]), Some("relu"));
    assert_eq!(activation_of(&[gelu(0), gelu(0)]), Some("gelu"));
    assert_eq!(activation_of(&[gelu(1)]), Some("gelu_tanh"));
    assert_eq!(activation_of(&[gelu(1), gelu(0)]), None);
}

#[test]
fn heads_come_from_the_reshape_before_a_transpose() {
    let heads_of = |parts: &[Vec<u8>]| parsed(parts).unwrap().n_heads;
    let shape = [48, 0, 48, 0, 48, 4, 48, 12];
    assert_eq!(heads_of(&split(&shape)), Some(4));
    assert_eq!(heads_of(&split(&[50, 4, 0, 0, 4, 12])), Some(4), "packed");
    assert_eq!(heads_of(&split(&shape)[..1]), None, "no transpose");
    assert_eq!(heads_of(&split(&[48, 0, 48, 0, 48, 48])), None, "three dimensions");
    assert_eq!(heads_of(&split(&[48, 0, 48, 0, 48, 0, 48, 12])), None, "no heads");
    assert_eq!(heads_of(&split(&[48, 0, 48, 0, 48, 4, 48, 0])), None, "no width");
    assert_eq!(heads_of(&[split(&shape), split(&[48, 0, 48, 0, 48, 6, 48, 8])].concat()), None, "two numbers");
}

#[test]
fn uses_are_parameters_by_operator_wherever_their_variable_stands() {
    let first = [operator("mul", &["x", "w"], &["y"], &[]), operator("relu", &["y"], &["z"], &[])].concat();
    let second = [operator("add", &["b", "w"], &["y"], &[]), variable("b", 7, 1), variable("w", 7, 1)].concat();
    let facts = parse(Path::new("m"), &[field(1, &first), field(1, &second)].concat()).unwrap();
    let uses: Vec<(&str, &str)> = facts.uses.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    assert_eq!(uses, [("mul", "w"), ("add", "b"), ("add", "w")]);
}

#[test]
fn copies_of_operators_and_parameters_are_bounded() {
    let parameter = [field(1, b"X"), field(2, b"w").repeat(100)].concat();
    let many = field(4, &[field(1, &parameter).repeat(30), field(3, b"mul")].concat());
    let block = [variable("w", 7, 1), many].concat();
    let n_blocks = MAX_USES / 3000;
    assert_eq!(parse(Path::new("m"), &field(1, &block).repeat(n_blocks)).unwrap().uses.len(), n_blocks * 3000);
    let message = parse(Path::new("m"), &field(1, &block).repeat(n_blocks + 1)).unwrap_err().report();
    assert!(message.contains("more than"), "{message}");
    let longer = |number: u8, bytes: &[u8]| {
        let length = [0, 7, 14, 21].map(|shift| (bytes.len() >> shift) as u8 | if shift < 21 { 0x80 } else { 0 });
        [&[number << 3 | 2], &length[..], bytes].concat()
    };
    let with_arguments =
        |n: usize| longer(1, &longer(4, &[longer(1, &[18, 1, b'x'].repeat(n)), field(3, b"mul")].concat()));
    assert!(parse(Path::new("m"), &with_arguments(MAX_ARGUMENTS)).is_ok());
    let message = parse(Path::new("m"), &with_arguments(MAX_ARGUMENTS + 1)).unwrap_err().report();
    assert!(message.contains("arguments"), "{message}");
    assert!(parsed(&[operator(&"m".repeat(257), &["w"], &[], &[])]).is_err());
}

#[test]
fn what_is_no_program_is_refused_with_its_place() {
    for (bytes, reason) in [
        (vec![], "byte 0: not a Paddle program: it holds no block"),
        (b"\x20\x01".to_vec(), "no block"),
        (b"<html>".to_vec(), "byte 0: not a Paddle program, or truncated"),
        (b"\x0a\x7f\x01".to_vec(), "byte 0: "),
        (field(1, &[24, 0, 0x1a, 9]), "byte 5: "),
        (field(1, &field(3, &field(1, b"\xff"))), "byte 9: a name that is not UTF-8"),
        (field(1, &field(4, &field(1, &field(2, b"\xff")))), "byte 12: a name that is not UTF-8"),
        (field(1, &field(4, &field(3, b"\xff"))), "byte 9: a name that is not UTF-8"),
        (field(1, &field(3, &[24, 1])), "byte 6: a variable without a name"),
        (field(1, &field(4, b"")), "byte 6: an operator's type"),
    ] {
        let message = parse(Path::new("m.pdmodel"), &bytes).unwrap_err().report();
        assert!(message.starts_with("m.pdmodel: ") && message.contains(reason), "{bytes:?}: {message}");
    }
}

#[test]
fn broken_programs_give_errors_or_facts() {
    let norm = operator("layer_norm", &["t", "w"], &["y"], &[epsilon(1e-5)]);
    let feed = operator("feed", &["feed"], &["x"], &[attribute("col", &[24, 0])]);
    let rest = split(&[48, 0, 48, 0, 48, 4, 48, 12]).concat();
    let whole = field(1, &[variable("w", 7, 1), variable("feed", 9, 1), feed, rest, norm].concat());
    assert_eq!(parse(Path::new("m"), &whole).unwrap().n_heads, Some(4));
    let (mut n_read, mut n_refused) = (0, 0);
    for bytes in mutations(&whole, 10_000) {
        match parse(Path::new("m"), &bytes) {
            Ok(facts) => n_read += usize::from(facts.persistables.len() <= bytes.len()),
            Err(error) => n_refused += usize::from(matches!(error, Error::InvalidModel { .. })),
        }
    }
    assert!(n_read + n_refused == 10_000 && n_refused > 4_000, "{n_refused}");
}
