//! A checkpoint -> a bundle: manifest, weights, graph and tokenizer files in a directory of their own.
//!
//! In: a model's directory and options. Out: a directory that opens in milliseconds. It appears under its name when
//! everything in it is written and on the disk, and not before. Needs no ONNX Runtime.
//!
//! Weights are safetensors under canonical names, the matrices as they were stored; the graph refers to them as external
//! data. This library reads the weights and builds its graph anew, so that a bundle gains from later versions; other
//! runtimes load the graph.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::f16;
use serde_json::{Map, Value, json};

use super::network::{self, Read};
use super::open::{check_averaged, check_labels, default_labels, drop_mask, open_tokenizer, task_of_head};
use crate::architecture::Head;
use crate::error::{Error, Result};
use crate::graph::WeightInfo;
use crate::graph::network::{Dialect, Interface, build};
use crate::model_dir::manifest::{self, GeneratorEntry, GraphEntry, Manifest, TokenizerEntry};
use crate::model_dir::{Dimensions, Family, ModelSpec};
use crate::options::{Options, Precision};
use crate::tensor::ElementType;
use crate::weights::Weights;

const WEIGHTS_FILE: &str = "model.safetensors";
const GRAPH_FILE: &str = "model.onnx";
/// What may belong to a tokenizer.
const TOKENIZER_FILES: &[&str] = &[
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spm_cased_simp_sampled.model",
];
/// Random characters at the end of the name of an unfinished bundle.
const SUFFIX_LENGTH: usize = 12;
/// Where data begins in the weights file: a multiple of this.
const ALIGNMENT: usize = 64;

/// Which graph a bundle holds for other runtimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphKind {
    /// The graph that this library runs: texts without padding, operators of ONNX Runtime.
    #[default]
    Own,
    /// A text a row with a mask, standard operators: for other runtimes.
    Plain,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The bundle's directory.
    pub dir: PathBuf,
    /// Bytes of the weights file.
    pub n_weight_bytes: u64,
    /// The task of the bundle, as option `task` names it.
    pub task: &'static str,
}

/// Writes the model at `path` as a bundle to `out`, which must not exist or be an empty directory.
///
/// # Errors
/// - Those of opening a checkpoint.
/// - [`Error::InvalidArgument`]: `out` is there already.
/// - [`Error::Io`]: something cannot be written; then nothing is left behind.
pub fn export(path: &Path, out: &Path, options: &Options, kind: GraphKind) -> Result<Exported> {
    let mut spec = ModelSpec::read(path, options)?;
    check_free(out)?;
    if let Some(precision) = options.precision.filter(|wanted| !Precision::STORED.iter().any(|(_, p)| p == wanted)) {
        let name = precision.name();
        let reason =
            format!("option precision: a bundle keeps weights as f32 or f16; it is opened with precision {name}");
        return Err(Error::argument(reason));
    }
    let precision = options.precision.or_else(|| stored_precision(&spec));
    let read = network::read(&spec, &Options { precision, ..options.clone() })?;
    check_labels(&mut spec, &read.architecture, options)?;
    check_averaged(&read.architecture, options)?;
    spec.dimensions = Dimensions::from(&read.architecture);
    drop_mask(&mut spec, &read.architecture, options);
    // A vocabulary that does not open would not open in the bundle.
    open_tokenizer(&spec, options)?.ok();
    let precision =
        precision.unwrap_or(if read.report.stored_type == "float16" { Precision::F16 } else { Precision::F32 });
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = out.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| Error::argument(format!("{}: not the name of a new directory", out.display())))?;
    let prefix = format!(".{name}.unfinished-");
    remove_leftovers(parent, &prefix);
    let unfinished = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(SUFFIX_LENGTH)
        .tempdir_in(parent)
        .map_err(|e| Error::io(parent, e))?;
    let _lock = lock(unfinished.path());
    let n_weight_bytes = write_all(unfinished.path(), &spec, &read, precision, kind, options)?;
    let finished = unfinished.keep();
    if let Err(error) = std::fs::rename(&finished, out) {
        // What could not be moved into place is of no use; that it cannot be removed either is said by the first error.
        drop(std::fs::remove_dir_all(&finished));
        return Err(Error::io(out, error));
    }
    sync(parent)?;
    Ok(Exported { dir: out.to_owned(), n_weight_bytes, task: task_of_head(read.architecture.head).name() })
}

/// Removes what exports to the same place left behind when they were killed. Those that are still at work hold a lock.
fn remove_leftovers(parent: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let of_exports = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let suffix = name.to_str().and_then(|name| name.strip_prefix(prefix)).map(str::len);
        // A link or a pipe is nobody's leftover.
        suffix == Some(SUFFIX_LENGTH) && entry.file_type().is_ok_and(|ty| ty.is_dir())
    };
    for entry in entries.flatten().filter(of_exports) {
        if lock(&entry.path()).is_some() {
            // Of no consequence for this export.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// A lock on a directory, held until the value is dropped; `None` where somebody else holds it.
fn lock(dir: &Path) -> Option<File> {
    let file = File::open(dir).ok()?;
    file.try_lock().is_ok().then_some(file)
}

/// A directory that holds something is never written over.
fn check_free(out: &Path) -> Result<()> {
    let taken = |what: &str| Err(Error::argument(format!("{}: {what}", out.display())));
    match std::fs::symlink_metadata(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io(out, e)),
        Ok(metadata) if !metadata.is_dir() => taken("is there already and is not a directory"),
        Ok(_) => match std::fs::read_dir(out).map_err(|e| Error::io(out, e))?.next() {
            None => Ok(()),
            Some(_) => taken("is there already and is not empty"),
        },
    }
}

fn stored_precision(spec: &ModelSpec) -> Option<Precision> {
    let name = spec.manifest.as_ref().map(|manifest| manifest.precision.as_str())?;
    Precision::STORED.iter().find(|(known, _)| *known == name).map(|(_, precision)| *precision)
}

fn write_all(
    dir: &Path,
    spec: &ModelSpec,
    read: &Read,
    precision: Precision,
    kind: GraphKind,
    options: &Options,
) -> Result<u64> {
    let infos = write_weights(&dir.join(WEIGHTS_FILE), &read.weights, precision)?;
    let n_weight_bytes = std::fs::metadata(dir.join(WEIGHTS_FILE)).map_err(|e| Error::io(dir, e))?.len();
    let (dialect, interface) = match kind {
        GraphKind::Own => (Dialect::OnnxRuntime, Interface::Packed),
        GraphKind::Plain => (Dialect::Standard, Interface::Padded),
    };
    let graph =
        build(&read.architecture, &infos, WEIGHTS_FILE, dialect, interface, ElementType::F32, options.average_layers);
    write_file(&dir.join(GRAPH_FILE), &graph.model)?;
    copy_tokenizer(&spec.dir, dir)?;
    let manifest = describe(spec, read, precision, kind, options);
    let mut text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Internal(e.to_string()))?;
    text.push(b'\n');
    write_file(&dir.join(manifest::FILE_NAME), &text)?;
    sync(dir)?;
    Ok(n_weight_bytes)
}

fn describe(spec: &ModelSpec, read: &Read, precision: Precision, kind: GraphKind, options: &Options) -> Manifest {
    let (dialect, interface) = match kind {
        GraphKind::Own => ("onnxruntime", "packed"),
        GraphKind::Plain => ("standard", "padded"),
    };
    Manifest {
        format: manifest::FORMAT.to_owned(),
        version: manifest::VERSION,
        made_by: format!("libernie {}", env!("CARGO_PKG_VERSION")),
        source_family: match &spec.manifest {
            Some(manifest) => manifest.source_family.clone(),
            None => spec.family.name().to_owned(),
        },
        task: task_of_head(read.architecture.head).name().to_owned(),
        problem: options.problem.or(spec.problem).map(|problem| problem.name().to_owned()),
        labels: labels(spec, read),
        precision: precision.name().to_owned(),
        weights: WEIGHTS_FILE.to_owned(),
        graph: GraphEntry { file: GRAPH_FILE.to_owned(), dialect: dialect.to_owned(), interface: interface.to_owned() },
        architecture: read.architecture.clone(),
        tokenizer: spec.tokenizer.as_ref().ok().map(TokenizerEntry::new),
        generator: generator_entry(spec, read, options),
    }
}

/// How a generator is fed, where that is not left to the default.
fn generator_entry(spec: &ModelSpec, read: &Read, options: &Options) -> Option<GeneratorEntry> {
    let before = spec.manifest.as_ref().and_then(|manifest| manifest.generator.clone()).unwrap_or_default();
    let entry = GeneratorEntry {
        attention_token: options.attention_token.clone().or(before.attention_token),
        target_type_id: options.target_type_id.or(before.target_type_id),
    };
    let is_said = entry.attention_token.is_some() || entry.target_type_id.is_some();
    (read.architecture.head == Head::Generator && is_said).then_some(entry)
}

/// The labels' names; Hugging Face leaves default ones out of its configs.
fn labels(spec: &ModelSpec, read: &Read) -> Vec<String> {
    let n_labels = read.architecture.n_labels();
    match read.architecture.head {
        Head::Classifier { .. } if spec.labels.is_empty() && spec.family == Family::HuggingFace => {
            default_labels(n_labels)
        }
        _ if spec.labels.len() == n_labels => spec.labels.clone(),
        _ => Vec::new(),
    }
}

/// Writes safetensors; gives where each weight lies in the file.
fn write_weights(path: &Path, weights: &Weights, precision: Precision) -> Result<Vec<WeightInfo>> {
    let (element_type, type_name) =
        if precision == Precision::F16 { (ElementType::F16, "F16") } else { (ElementType::F32, "F32") };
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": manifest::FORMAT, "version": manifest::VERSION.to_string()}));
    let mut end = 0_usize;
    let mut infos = Vec::with_capacity(weights.all.len());
    for weight in &weights.all {
        let begin = end;
        end += weight.len() * element_type.size_bytes();
        let entry = json!({"dtype": type_name, "shape": weight.shape, "data_offsets": [begin, end]});
        header.insert(weight.name.clone(), entry);
        infos.push(WeightInfo {
            name: weight.name.clone(),
            element_type,
            shape: weight.shape.clone(),
            byte_offset: begin as u64,
            format: None,
        });
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    let start = (8 + header.len()).next_multiple_of(ALIGNMENT);
    header.resize(start - 8, b' ');
    infos.iter_mut().for_each(|info| info.byte_offset += start as u64);

    let failed = |e| Error::io(path, e);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
    file.write_all(&header).map_err(failed)?;
    for weight in &weights.all {
        weight.for_each_piece(|piece| write_piece(&mut file, piece, precision)).map_err(failed)?;
    }
    let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(infos)
}

fn write_piece(file: &mut impl Write, piece: &[f32], precision: Precision) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(piece.len() * 4);
    match precision == Precision::F16 {
        false => piece.iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes())),
        true => piece.iter().for_each(|x| bytes.extend_from_slice(&f16::from_f32(*x).to_le_bytes())),
    }
    file.write_all(&bytes)
}

fn copy_tokenizer(from: &Path, to: &Path) -> Result<()> {
    for name in TOKENIZER_FILES {
        copy(&from.join(name), &to.join(name))?;
    }
    let subword = from.join("subword");
    let Ok(entries) = std::fs::read_dir(&subword) else { return Ok(()) };
    let target = to.join("subword");
    std::fs::create_dir(&target).map_err(|e| Error::io(&target, e))?;
    for entry in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "model")) {
        copy(&entry.path(), &target.join(entry.file_name()))?;
    }
    sync(&target)
}

/// Copies a regular file; one that is not there is left out.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_file() {
        return Ok(());
    }
    let mut source = File::open(from).map_err(|e| Error::io(from, e))?;
    let mut target = File::create(to).map_err(|e| Error::io(to, e))?;
    std::io::copy(&mut source, &mut target).map_err(|e| Error::io(to, e))?;
    target.sync_all().map_err(|e| Error::io(to, e))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(|e| Error::io(path, e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| Error::io(path, e))
}

fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| Error::io(dir, e))
}
