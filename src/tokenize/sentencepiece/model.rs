//! The bytes of a `.model` file -> what it says: a protocol buffer, `ModelProto` of `sentencepiece_model.proto`.
//!
//! Nothing is copied. Defaults are those of the definition; fields that segmentation does not depend on are passed over.

use crate::wire::{Field, NoMessage, next_field};

/// Longest piece; trainers make them of 16 characters by default. The time of a text is in proportion to it.
const MAX_PIECE_BYTES: usize = 512;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// An entry of the vocabulary.
#[derive(Clone, Copy, Debug)]
pub(super) struct ModelPiece<'a> {
    pub(super) text: &'a str,
    pub(super) score: f32,
    pub(super) kind: Kind,
}

/// What a file says.
#[derive(Debug)]
pub(super) struct Model<'a> {
    pub(super) pieces: Vec<ModelPiece<'a>>,
    model_type: u64,
    pub(super) byte_fallback: bool,
    pub(super) treat_whitespace_as_suffix: bool,
    pub(super) precompiled_charsmap: &'a [u8],
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    pub(super) escape_whitespaces: bool,
}

/// `TrainerSpec.ModelType.UNIGRAM`.
const UNIGRAM: u64 = 1;

impl Model<'_> {
    /// The name of the type, where it is not unigram.
    pub(super) fn other_type(&self) -> Option<String> {
        match self.model_type {
            UNIGRAM => None,
            2 => Some("BPE".into()),
            3 => Some("word".into()),
            4 => Some("char".into()),
            other => Some(other.to_string()),
        }
    }
}

/// Reads a model.
pub(super) fn parse(bytes: &[u8]) -> Result<Model<'_>, String> {
    let mut model = Model {
        pieces: Vec::new(),
        model_type: UNIGRAM,
        byte_fallback: false,
        treat_whitespace_as_suffix: false,
        precompiled_charsmap: &[],
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
    };
    let mut rest = bytes;
    let mut at = 0;
    let no_message = |at: usize| move |_: NoMessage| format!("not a SentencePiece model: byte {at} begins no field");
    while let Some((number, field)) = next_field(&mut rest).map_err(no_message(at))? {
        match (number, field) {
            (1, Field::Bytes(message)) => {
                let index = model.pieces.len();
                let piece = piece(message).map_err(|reason| format!("piece {index} (byte {at}): {reason}"))?;
                model.pieces.push(piece);
            }
            (2, Field::Bytes(message)) => trainer(message, &mut model).map_err(no_message(at))?,
            (3, Field::Bytes(message)) => normalizer(message, &mut model).map_err(no_message(at))?,
            _ => {}
        }
        at = bytes.len() - rest.len();
    }
    if model.pieces.is_empty() {
        return Err("not a SentencePiece model: it has no pieces".into());
    }
    Ok(model)
}

fn piece(mut rest: &[u8]) -> Result<ModelPiece<'_>, String> {
    let mut piece = ModelPiece { text: "", score: 0.0, kind: Kind::Normal };
    while let Some((number, field)) = next_field(&mut rest).map_err(|_| "not a message")? {
        match (number, field) {
            (1, Field::Bytes(text)) => piece.text = std::str::from_utf8(text).map_err(|_| "its text is not UTF-8")?,
            (2, Field::Fixed32(score)) => piece.score = f32::from_le_bytes(score),
            (3, Field::Number(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    other => return Err(format!("its type is {other}, not one of 1 to 6")),
                }
            }
            _ => {}
        }
    }
    if piece.text.is_empty() || piece.text.len() > MAX_PIECE_BYTES {
        return Err(format!("its text has {} bytes, a piece has 1 to {MAX_PIECE_BYTES}", piece.text.len()));
    }
    Ok(piece)
}

fn trainer(mut rest: &[u8], model: &mut Model<'_>) -> Result<(), NoMessage> {
    while let Some((number, field)) = next_field(&mut rest)? {
        match (number, field) {
            (3, Field::Number(kind)) => model.model_type = kind,
            (24, Field::Number(flag)) => model.treat_whitespace_as_suffix = flag != 0,
            (35, Field::Number(flag)) => model.byte_fallback = flag != 0,
            _ => {}
        }
    }
    Ok(())
}

fn normalizer<'a>(mut rest: &'a [u8], model: &mut Model<'a>) -> Result<(), NoMessage> {
    while let Some((number, field)) = next_field(&mut rest)? {
        match (number, field) {
            (2, Field::Bytes(charsmap)) => model.precompiled_charsmap = charsmap,
            (3, Field::Number(flag)) => model.add_dummy_prefix = flag != 0,
            (4, Field::Number(flag)) => model.remove_extra_whitespaces = flag != 0,
            (5, Field::Number(flag)) => model.escape_whitespaces = flag != 0,
            _ => {}
        }
    }
    Ok(())
}
