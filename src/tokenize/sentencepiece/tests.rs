//! The reader and the segmentation on small models of our own.

use super::*;
use crate::tokenize::alignment::Cursor;
use proptest::prelude::*;

/// Writes a model as a protocol buffer.
pub(in crate::tokenize) struct Writer(pub(in crate::tokenize) Vec<u8>);

impl Writer {
    fn field(&mut self, number: u8, bytes: &[u8]) {
        // Tags below 16 are one byte; lengths are written in two.
        self.0.extend([number << 3 | 2, (bytes.len() & 0x7F) as u8 | 0x80, (bytes.len() >> 7) as u8]);
        self.0.extend_from_slice(bytes);
    }

    pub(in crate::tokenize) fn piece(&mut self, text: &str, score: f32, kind: u8) {
        let mut piece = Self(Vec::new());
        piece.field(1, text.as_bytes());
        piece.0.push(2 << 3 | 5);
        piece.0.extend(score.to_le_bytes());
        piece.0.extend([3 << 3, kind]);
        self.field(1, &piece.0);
    }

    /// `trainer_spec` with one numeric field.
    fn trainer(&mut self, field: u8, value: u8) {
        let mut bytes = vec![(field << 3) | 0x80, field >> 4];
        if field < 16 {
            bytes = vec![field << 3];
        }
        bytes.push(value);
        self.field(2, &bytes);
    }
}

pub(in crate::tokenize) fn model(pieces: &[(&str, f32, u8)]) -> Vec<u8> {
    let mut writer = Writer(Vec::new());
    writer.piece("<unk>", 0.0, 2);
    pieces.iter().for_each(|(text, score, kind)| writer.piece(text, *score, *kind));
    writer.0
}

fn parse(bytes: &[u8]) -> Result<SentencePiece> {
    SentencePiece::parse(Path::new("spm.model"), bytes, |_| ())
}

fn cut(bytes: &[u8], text: &str) -> Vec<(Option<u32>, String, String)> {
    let mut encoded = Encoded::default();
    parse(bytes).unwrap().encode(text, &mut encoded);
    let mut cursor = Cursor::default();
    let piece = |piece: &Piece| {
        let span = encoded.alignment.span(&mut cursor, piece.begin, piece.end);
        (piece.id, encoded.normalized[piece.begin..piece.end].to_owned(), text[span.begin..span.end].to_owned())
    };
    encoded.pieces.iter().map(piece).collect()
}

fn texts(bytes: &[u8], text: &str) -> Vec<String> {
    cut(bytes, text).into_iter().map(|(_, piece, _)| piece).collect()
}

#[test]
fn the_best_sum_wins_and_unknown_characters_are_one_piece() {
    let bytes = model(&[("▁", -3.0, 1), ("▁ab", -2.0, 1), ("c", -1.0, 1), ("abc", -9.0, 1), ("b", -4.0, 1)]);
    assert_eq!(texts(&bytes, "abc"), ["▁ab", "c"]);
    assert_eq!(texts(&bytes, "  c\u{3000}xyz  ab "), ["▁", "c", "\u{3000}xyz", "▁ab"]);
    let pieces = cut(&bytes, " xy  ab");
    assert_eq!(pieces[1], (None, "xy".into(), "xy".into()));
    assert_eq!(pieces[2], (Some(2), "▁ab".into(), "  ab".into()));
    assert_eq!(texts(&bytes, ""), [""; 0]);
    assert_eq!(texts(&bytes, "   "), [""; 0]);
}

#[test]
fn user_defined_pieces_win_and_unused_ones_never() {
    let bytes =
        model(&[("▁", -3.0, 1), ("abc", 0.0, 4), ("a", -1.0, 1), ("b", -1.0, 1), ("c", -1.0, 1), ("ab", 9.0, 5)]);
    assert_eq!(texts(&bytes, "abcab"), ["▁", "abc", "a", "b"]);
}

#[test]
fn a_model_with_pieces_for_bytes_knows_every_character() {
    let mut writer = Writer(model(&[("▁", -3.0, 1), ("a", -1.0, 1)]));
    for byte in 0..=255_u8 {
        writer.piece(&format!("<0x{byte:02X}>"), 0.0, 6);
    }
    writer.trainer(35, 1);
    let pieces = cut(&writer.0, "aé");
    assert_eq!(pieces.iter().map(|(id, ..)| id.unwrap()).collect::<Vec<_>>(), [1, 2, 3 + 0xC3, 3 + 0xA9]);
    assert_eq!((pieces[2].2.as_str(), pieces[3].2.as_str()), ("é", "é"));
}

#[test]
fn what_is_no_unigram_model_is_refused_with_the_place() {
    let told = |bytes: &[u8], wanted: &str| {
        let error = parse(bytes).unwrap_err();
        assert!(error.to_string().contains(wanted) && error.to_string().contains("spm.model"), "{error}");
    };
    let good = model(&[("a", -1.0, 1)]);
    told(b"", "no pieces");
    told(b"hello", "byte 2");
    told(&good[..good.len() - 1], "byte");
    told(&model(&[("a", 0.0, 1), ("a", 0.0, 1)]), "pieces 1 and 2 are the same");
    told(&model(&[("", 0.0, 1)]), "piece 1");
    told(&model(&[(&"a".repeat(513), 0.0, 1)]), "piece 1");
    told(&model(&[("a", 0.0, 7)]), "type is 7");
    told(&model(&[("a", 0.0, 2)]), "2 pieces for unknown");
    let with = |field: u8, value: u8| {
        let mut writer = Writer(good.clone());
        writer.trainer(field, value);
        writer.0
    };
    told(&with(35, 1), "byte_fallback");
    assert!(matches!(parse(&with(3, 2)), Err(Error::Unsupported(reason)) if reason.contains("BPE")));
    for charsmap in
        [&[1, 0, 0][..], &[4, 0, 0, 0, 0, 0, 0, 0x80], &[0, 0, 0, 0, 65, 0], &[4, 0, 0, 0, 0, 0, 0, 0x80, 65]]
    {
        let mut writer = Writer(good.clone());
        let mut spec = Writer(Vec::new());
        spec.field(2, charsmap);
        writer.field(3, &spec.0);
        told(&writer.0, "precompiled_charsmap");
    }
}

/// All segmentations of `text` with their scores, summed as the reference sums them.
fn every_way(text: &str, pieces: &[(String, f32)]) -> Vec<(f32, Vec<String>)> {
    let Some(first) = text.chars().next() else { return vec![(0.0, Vec::new())] };
    let unknown = pieces.iter().map(|piece| piece.1).fold(f32::MAX, f32::min) - 10.0;
    let mut ways = Vec::new();
    let mut add = |head: &str, score: f32| {
        for (rest, mut tail) in every_way(&text[head.len()..], pieces) {
            tail.insert(0, head.to_owned());
            ways.push((score + rest, tail));
        }
    };
    for (piece, score) in pieces.iter().filter(|(piece, _)| text.starts_with(piece.as_str())) {
        add(piece, *score);
    }
    if !pieces.iter().any(|(piece, _)| *piece == text[..first.len_utf8()]) {
        add(&text[..first.len_utf8()], unknown);
    }
    ways
}

proptest! {
    #[test]
    fn no_other_segmentation_has_a_better_score(
        words in prop::collection::btree_map("[ab▁é]{1,3}", 1..40_u32, 1..12),
        text in "[abé ]{1,8}",
    ) {
        // Scores are sums of powers of two, so that all sums are exact.
        let pieces: Vec<(String, f32)> = words.into_iter().map(|(word, n)| (word, -(n as f32) / 8.0)).collect();
        let listed: Vec<(&str, f32, u8)> = pieces.iter().map(|(word, score)| (word.as_str(), *score, 1)).collect();
        let mut encoded = Encoded::default();
        parse(&model(&listed)).unwrap().encode(&text, &mut encoded);
        let score = |piece: &Piece| match piece.id {
            Some(id) => pieces[id as usize - 1].1,
            None => {
                let worst = pieces.iter().map(|piece| piece.1).fold(f32::MAX, f32::min);
                (worst - 10.0) * encoded.normalized[piece.begin..piece.end].chars().count() as f32
            }
        };
        let found: f32 = encoded.pieces.iter().map(score).sum();
        let best = every_way(&encoded.normalized, &pieces).into_iter().map(|way| way.0).fold(f32::MIN, f32::max);
        prop_assert_eq!(found, if encoded.normalized.is_empty() { 0.0 } else { best });
    }
}
