//! Weight files -> named tensors, and the network that they belong to.
//!
//! In: [`WeightFiles`]. Out: [`Checkpoint`]: every tensor with its name, type, shape and bytes; then
//! [`canonical::Network`] and [`Weights`](crate::weights::Weights). A file's content tells its format, not its name. Files
//! are mapped and tensors are ranges of the map wherever their bytes lie there as this library needs them; what a file
//! claims is checked against its size before memory is taken, and nothing in a file is ever executed.
//!
//! Rooms: `pickle` is the machine that reads pickles, `pdparams` and `torch` make tensors of what it read,
//! `safetensors`, `lod_tensor` and `program` read theirs, `sniff` tells them apart; `names`, `head`, `architecture` and
//! `canonical` find out which network the tensors belong to, `convert` makes its weights.

mod architecture;
pub(crate) mod canonical;
pub(crate) mod convert;
mod head;
pub(crate) mod lod_tensor;
#[cfg(test)]
mod mutation;
mod names;
mod numpy;
pub(crate) mod pdparams;
mod pickle;
mod plain_name;
pub(crate) mod program;
pub(crate) mod safetensors;
mod sniff;
mod strided;
pub(crate) mod tensors;
mod torch;
pub(crate) mod torch_legacy;
pub(crate) mod torch_zip;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sniff::Kind;
use tensors::{Checkpoint, StoredTensor};

use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;
use crate::model_dir::WeightFiles;

/// Reads all tensors of `files`.
///
/// # Errors
/// - [`Error::NotFound`], [`Error::Io`]: a file is not there or not readable.
/// - [`Error::InvalidModel`]: a file is broken, of no known format, or would do something else than hold tensors.
pub(crate) fn read(files: &WeightFiles) -> Result<Checkpoint> {
    match files {
        WeightFiles::File(path) => read_file(path),
        WeightFiles::Index(path) => read_index(path),
        WeightFiles::Variables { dir, program } => {
            let program = program.as_deref().map(program::read).transpose()?;
            let names = program.as_ref().map(|program| program.persistables.as_slice());
            let tensors = lod_tensor::read_directory(dir, names)?;
            Ok(Checkpoint { tensors, program, format: "LoDTensor directory", ..Checkpoint::default() })
        }
        WeightFiles::Combined { params, program } => {
            let program = program::read(program)?;
            let file = Arc::new(MappedFile::open(params)?);
            let tensors = lod_tensor::read_combined(params, &file, &program.persistables)?;
            Ok(Checkpoint { tensors, program: Some(program), format: "combined LoDTensors", ..Checkpoint::default() })
        }
    }
}

/// The files of weights by which two models may find that theirs are the same; `None` where they are too many to look
/// at each time.
///
/// # Errors
/// - Those of reading an index.
pub(crate) fn shared_files(files: &WeightFiles) -> Result<Option<Vec<PathBuf>>> {
    Ok(match files {
        WeightFiles::File(path) => Some(vec![path.clone()]),
        WeightFiles::Combined { params, program } => Some(vec![params.clone(), program.clone()]),
        WeightFiles::Index(path) => {
            let shards = safetensors::read_index(path)?.into_iter();
            Some(shards.map(|(shard, _)| path.with_file_name(shard)).collect())
        }
        WeightFiles::Variables { .. } => None,
    })
}

fn read_file(path: &Path) -> Result<Checkpoint> {
    let file = Arc::new(MappedFile::open(path)?);
    let identities = vec![file.identity()];
    let of = |format, tensors| Checkpoint { tensors, format, identities: identities.clone(), ..Checkpoint::default() };
    match sniff::kind(path, file.bytes())? {
        Kind::Safetensors => Ok(of("safetensors", safetensors::read(path, &file)?)),
        Kind::TorchZip => Ok(of("torch zip", torch_zip::read_zip(path, &file)?)),
        Kind::TorchLegacy => Ok(of("torch legacy", torch_legacy::read_legacy(path, &file)?)),
        Kind::PaddlePickle => {
            let (tensors, parameter_names) = pdparams::read(path, &file)?;
            Ok(Checkpoint { parameter_names, ..of("paddle pickle", tensors) })
        }
        Kind::LodTensor => {
            Err(Error::model(path, "LoDTensors without the program that names them (.pdmodel, __model__)"))
        }
    }
}

/// Reads the shards of an index; tensors that it does not list are left out.
fn read_index(path: &Path) -> Result<Checkpoint> {
    let mut all = Checkpoint { format: "sharded", ..Checkpoint::default() };
    for (shard, names) in safetensors::read_index(path)? {
        let shard_path = path.with_file_name(&shard);
        let found = read_file(&shard_path)?;
        all.identities.extend(found.identities);
        let mut by_name: HashMap<String, StoredTensor> =
            found.tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
        for name in names {
            let tensor = by_name.remove(&name).ok_or_else(|| {
                Error::model(&shard_path, format!("tensor {name} is missing, which {} places here", path.display()))
            })?;
            all.tensors.push(tensor);
        }
    }
    Ok(all)
}
