//! The readers of files that others made, each on bytes in memory, for fuzzers and for `tests/fuzz_corpus.rs`. There is no
//! such module without the feature `test-hooks`.
//!
//! In: any bytes. Out: what the reader says of them. Beyond returning, a reader that takes a file must give tensors whose
//! bytes are those that type and shape take, each under a name of its own; where it does not, the answer is
//! [`Error::Internal`], which no reader gives, and which is for the caller to fail on.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::tensors::{StoredTensor, n_bytes};
use crate::checkpoint::{lod_tensor, pdparams, program, safetensors, torch_legacy, torch_zip};
use crate::error::{Error, Result};
use crate::graph::onnx::GraphFacts;
use crate::heads::schema::Schema;
use crate::mapped_file::MappedFile;
use crate::model_dir::manifest::Manifest;
use crate::tokenize::hooks;

/// The path that messages name. Its directory is the current one, where external data of graphs are looked for.
const PATH: &str = "fuzzed";

/// A reader.
pub type Target = fn(&[u8]) -> Result<()>;

/// Every reader with the name of its fuzz target.
pub const TARGETS: &[(&str, Target)] = &[
    ("paddle_pickle", paddle_pickle),
    ("torch_zip", torch_zip),
    ("torch_legacy", torch_legacy),
    ("safetensors", safetensors),
    ("safetensors_index", safetensors_index),
    ("lod_tensors", lod_tensors),
    ("program", program),
    ("manifest", manifest),
    ("onnx", onnx),
    ("sentencepiece", sentencepiece),
    ("labels", labels),
    ("schema", schema),
];

/// A label map.
///
/// # Errors
/// - Those of the reader.
pub fn labels(data: &[u8]) -> Result<()> {
    crate::model_dir::labels::parse(Path::new(PATH), data).map(|_| ())
}

/// What is to be extracted: names with a node above each but those of the text itself.
///
/// # Errors
/// - Those of the reader.
pub fn schema(data: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(data).map_err(|_| Error::argument("not UTF-8"))?;
    let schema = Schema::parse(text)?;
    let fits = |(index, node): (usize, &crate::heads::schema::SchemaNode)| match node.parent {
        None => node.depth == 0,
        Some(parent) => parent < index && schema.nodes[parent].depth + 1 == node.depth,
    };
    match schema.nodes.iter().enumerate().all(fits) {
        true => Ok(()),
        false => Err(Error::Internal("a node does not fit under its parent".into())),
    }
}

/// A state dict of Paddle: `.pdparams`.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: as the module says.
pub fn paddle_pickle(bytes: &[u8]) -> Result<()> {
    check(&pdparams::read(Path::new(PATH), &file(bytes))?.0)
}

/// A state dict of torch 1.6 and later.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: as the module says.
pub fn torch_zip(bytes: &[u8]) -> Result<()> {
    check(&torch_zip::read_zip(Path::new(PATH), &file(bytes))?)
}

/// A state dict of torch before 1.6.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: as the module says.
pub fn torch_legacy(bytes: &[u8]) -> Result<()> {
    check(&torch_legacy::read_legacy(Path::new(PATH), &file(bytes))?)
}

/// A safetensors file.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: as the module says.
pub fn safetensors(bytes: &[u8]) -> Result<()> {
    check(&safetensors::read(Path::new(PATH), &file(bytes))?)
}

/// The index of a sharded checkpoint.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: a shard without tensors.
pub fn safetensors_index(bytes: &[u8]) -> Result<()> {
    let shards = safetensors::index::parse(Path::new(PATH), bytes)?;
    hold(shards.iter().all(|(_, tensors)| !tensors.is_empty()), "a shard without tensors")
}

/// LoDTensors one after another. The first byte says how many names the caller has for them.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: as the module says, or not one tensor for each name.
pub fn lod_tensors(bytes: &[u8]) -> Result<()> {
    let (n_names, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let names: Vec<String> = (0..*n_names).map(|index| format!("variable_{index}")).collect();
    let tensors = lod_tensor::read_combined(Path::new(PATH), &file(bytes), &names)?;
    hold(tensors.len() == names.len(), "not one tensor for each name")?;
    check(&tensors)
}

/// A Paddle program: `.pdmodel`, `__model__`.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: parameters out of order or twice.
pub fn program(bytes: &[u8]) -> Result<()> {
    let facts = program::parse(Path::new(PATH), bytes)?;
    hold(facts.persistables.is_sorted_by(|a, b| a < b), "parameters out of order or twice")
}

/// The manifest of a bundle, `ernie.json`, and the tokenizer that it names.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: what was read cannot be written and read again.
pub fn manifest(bytes: &[u8]) -> Result<()> {
    let manifest = Manifest::parse(Path::new(PATH), bytes)?;
    let written = serde_json::to_vec(&manifest).map_err(|e| Error::Internal(e.to_string()))?;
    let again = Manifest::parse(Path::new(PATH), &written).map_err(|e| Error::Internal(e.report()))?;
    hold(serde_json::to_vec(&again).ok().as_ref() == Some(&written), "a manifest changes when it is written")?;
    manifest.tokenizer(Path::new("")).map(|_| ())
}

/// An ONNX graph.
///
/// # Errors
/// Those of the reader.
pub fn onnx(bytes: &[u8]) -> Result<()> {
    GraphFacts::parse(Path::new(PATH), bytes).map(|_| ())
}

fn file(bytes: &[u8]) -> Arc<MappedFile> {
    Arc::new(MappedFile::in_memory(bytes))
}

/// Holds the law of the module on `tensors`.
fn check(tensors: &[StoredTensor]) -> Result<()> {
    let mut names = HashSet::new();
    for tensor in tensors {
        let fits = n_bytes(tensor.element_type, &tensor.shape) == Some(tensor.bytes().len());
        hold(fits, "a tensor whose bytes are not those of its type and shape")?;
        hold(names.insert(&tensor.name), "two tensors of one name")?;
    }
    Ok(())
}

fn hold(law: bool, broken: &str) -> Result<()> {
    if law { Ok(()) } else { Err(Error::Internal(broken.to_owned())) }
}

/// A SentencePiece model, which then has to cut its own bytes, read as a text.
///
/// # Errors
/// Those of the reader; [`Error::Internal`]: pieces that are not in the text or not in order.
pub fn sentencepiece(bytes: &[u8]) -> Result<()> {
    let pieces_of = sentencepiece_pieces(bytes)?;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]);
    pieces_of(&text).and_then(|_| pieces_of(" \u{ff48}a1\u{2581}\u{4e2d} ")).map(drop)
}

/// Opens a SentencePiece model for looking at its pieces.
///
/// # Errors
/// Those of the reader, of the model at once; [`Error::Internal`] for a text as [`sentencepiece`] says.
pub fn sentencepiece_pieces(model: &[u8]) -> Result<hooks::PiecesOf> {
    hooks::sentencepiece(Path::new(PATH), model)
}

/// Cuts texts into words as jieba does.
///
/// # Errors
/// * [`Error::Unsupported`]: built without the feature `ernie-tiny`.
pub fn jieba() -> Result<hooks::WordsOf> {
    hooks::jieba()
}

/// A text for every scheme, over the vocabularies of `tests/fixtures`: the first byte chooses the scheme, the second the
/// options, the rest is the text, cut in two at the first line feed. Encodings must be lawful: equal lengths, offsets on
/// character boundaries that do not go back, limits held, windows without gaps.
///
/// # Errors
/// Those of encoding; [`Error::Internal`]: a law does not hold.
pub fn tokenize(bytes: &[u8]) -> Result<()> {
    let (Some(&scheme), Some(&how)) = (bytes.first(), bytes.get(1)) else { return Ok(()) };
    let text = String::from_utf8_lossy(&bytes[2..]);
    let (text, pair) = text.split_once('\n').map_or((&*text, None), |(text, pair)| (text, Some(pair)));
    hooks::check(scheme, how, text, pair)
}
