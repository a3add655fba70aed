//! Which files of a directory are the weights.
//!
//! In: the names in a directory, its family and the caller's choice. Out: [`WeightFiles`]. Nothing is opened here; what a
//! file holds is told by its content, in `checkpoint`.

use std::path::{Path, PathBuf};

use super::Family;
use crate::error::{Error, Result};

/// Where weights lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightFiles {
    /// One file; its content tells the format: Paddle or torch pickle, safetensors.
    File(PathBuf),
    /// `*.index.json` of Hugging Face: tensors by shard, all in the index's directory.
    Index(PathBuf),
    /// A directory with one LoDTensor file for each variable.
    Variables {
        /// The directory.
        dir: PathBuf,
        /// The program that names the variables, where there is one.
        program: Option<PathBuf>,
    },
    /// LoDTensor streams one after another, in byte order of the names that the program holds.
    Combined {
        /// The streams.
        params: PathBuf,
        /// The program.
        program: PathBuf,
    },
}

impl WeightFiles {
    /// The file or directory that stands for all of them in messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Index(path) | Self::Variables { dir: path, .. } => path,
            Self::Combined { params, .. } => params,
        }
    }
}

/// Single files by their usual names, first come first served. Those that mean the same weights twice (torch and
/// safetensors) are in the order in which the references look.
const SINGLE: &[&str] =
    &["saved_weights.pdparams", "model_state.pdparams", "model.safetensors", "pytorch_model.bin", "ckpt.bin"];
const INDICES: &[&str] = &["model.safetensors.index.json", "pytorch_model.bin.index.json"];
/// Weights of a fine-tuned model under one name and of the model it started from under another.
const CONFLICTING: [&str; 2] = ["saved_weights.pdparams", "ckpt.bin"];

/// Whether a file of this name may hold weights.
pub(super) fn is_weight_file(name: &str) -> bool {
    matches!(name, "params" | "__model__" | "__params__" | "ckpt.bin")
        || [".pdparams", ".pdiparams", ".safetensors"].iter().any(|suffix| name.ends_with(suffix))
        || INDICES.contains(&name)
        || name.starts_with("pytorch_model") && name.ends_with(".bin")
}

/// The weights that the caller names: a path as the operating system takes it or one in `dir`, where a bare file name is
/// looked for first.
///
/// # Errors
/// - [`Error::NotFound`]: neither is there.
pub(super) fn named(dir: &Path, name: &str) -> Result<WeightFiles> {
    let path = given(dir, name, "weights")?;
    if path.is_dir() {
        let program = path.join("__model__");
        return Ok(WeightFiles::Variables { program: program.is_file().then_some(program), dir: path });
    }
    Ok(of_file(path))
}

/// The file that option `option` names: one of `dir`, or a path.
///
/// # Errors
/// - [`Error::NotFound`]: neither is there.
pub(super) fn given(dir: &Path, name: &str, option: &str) -> Result<PathBuf> {
    let given = PathBuf::from(name);
    // A bare name is meant beside the config: a file of that name where the process happens to run is another's.
    let is_bare = given.parent().is_some_and(|parent| parent.as_os_str().is_empty());
    let (first, second) = if is_bare { (dir.join(&given), given.clone()) } else { (given.clone(), dir.join(&given)) };
    let missing = || {
        let what = format!("option {option} names no file, neither as it stands nor in {}", dir.display());
        Error::NotFound { path: given.clone(), what }
    };
    [first, second].into_iter().find(|path| path.exists()).ok_or_else(missing)
}

/// The weights that a file of this name belongs to.
fn of_file(path: PathBuf) -> WeightFiles {
    let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if file_name.ends_with(".index.json") {
        return WeightFiles::Index(path);
    }
    match program_of(&path, &file_name) {
        Some(program) => WeightFiles::Combined { params: path, program },
        None => WeightFiles::File(path),
    }
}

/// The program beside combined parameters.
fn program_of(path: &Path, file_name: &str) -> Option<PathBuf> {
    match file_name {
        "__params__" => Some(path.with_file_name("__model__")),
        _ => file_name.strip_suffix(".pdiparams").map(|stem| path.with_file_name(format!("{stem}.pdmodel"))),
    }
}

/// The weights in `dir`, whose files are `names`, under the names that the references give them.
///
/// # Errors
/// - [`Error::InvalidArgument`]: several that are not the same; the message lists them.
pub(super) fn find(dir: &Path, names: &[String], family: Family) -> Result<Option<WeightFiles>> {
    let has = |name: &str| names.iter().any(|n| n == name);
    if CONFLICTING.iter().all(|name| has(name)) {
        return Err(conflict(dir, &CONFLICTING));
    }
    if let Some(name) = INDICES.iter().chain(SINGLE).filter(|name| has(name)).min_by_key(|name| rank(name, family)) {
        let path = dir.join(name);
        return Ok(Some(if INDICES.contains(name) { WeightFiles::Index(path) } else { WeightFiles::File(path) }));
    }
    Ok(find_paddle(dir, names))
}

/// Weights under any name, the likeliest kind first: a directory may hold other tensors beside its weights.
///
/// # Errors
/// - [`Error::InvalidArgument`]: several of one kind; the message lists them.
pub(super) fn find_by_suffix(dir: &Path, names: &[String]) -> Result<Option<WeightFiles>> {
    for suffix in [".pdparams", ".pdiparams", ".safetensors"] {
        let found: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.ends_with(suffix)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(Some(of_file(dir.join(one)))),
            several => return Err(conflict(dir, several)),
        }
    }
    Ok(None)
}

fn conflict(dir: &Path, list: &[&str]) -> Error {
    let list = list.join(", ");
    Error::argument(format!("{}: several weights ({list}); option `weights` names one", dir.display()))
}

/// Position of a name in the order in which the family's reference looks for it.
fn rank(name: &str, family: Family) -> usize {
    let order: &[&str] = match family {
        Family::PaddleErnie => &["saved_weights.pdparams", "ckpt.bin", "model_state.pdparams"],
        Family::PaddleNlp => &["model_state.pdparams", "model.safetensors", "model.safetensors.index.json"],
        _ => &["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"],
    };
    order.iter().position(|known| *known == name).unwrap_or(order.len())
}

/// Directories and programs of Paddle's static graphs.
fn find_paddle(dir: &Path, names: &[String]) -> Option<WeightFiles> {
    let has = |name: &str| names.iter().any(|n| n == name);
    let program = has("__model__").then(|| dir.join("__model__"));
    if has("params") && dir.join("params").is_dir() {
        return Some(WeightFiles::Variables { dir: dir.join("params"), program });
    }
    let params = ["__params__", "params"].into_iter().find(|name| has(name));
    match (program, params) {
        (Some(program), Some(params)) => Some(WeightFiles::Combined { params: dir.join(params), program }),
        (Some(program), None) => Some(WeightFiles::Variables { dir: dir.to_owned(), program: Some(program) }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str], family: Family) -> Result<Option<WeightFiles>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        find(Path::new("/m"), &names, family)
    }

    #[test]
    fn each_family_finds_its_own_file_first() {
        let both = ["model.safetensors", "model_state.pdparams", "pytorch_model.bin"];
        let file = |name: &str| Some(WeightFiles::File(Path::new("/m").join(name)));
        assert_eq!(found(&both, Family::PaddleNlp).unwrap(), file("model_state.pdparams"));
        assert_eq!(found(&both, Family::HuggingFace).unwrap(), file("model.safetensors"));
        assert_eq!(found(&["ckpt.bin"], Family::PaddleErnie).unwrap(), file("ckpt.bin"));
        assert_eq!(found(&["vocab.txt"], Family::PaddleErnie).unwrap(), None);
    }

    #[test]
    fn weights_that_may_differ_are_not_chosen_between() {
        let both = found(&["saved_weights.pdparams", "ckpt.bin"], Family::PaddleErnie);
        assert!(matches!(both, Err(Error::InvalidArgument(_))));
        let by_suffix =
            |names: &[&str]| find_by_suffix(Path::new("/m"), &names.iter().map(|n| (*n).into()).collect::<Vec<_>>());
        assert!(matches!(by_suffix(&["a.pdparams", "b.pdparams"]), Err(Error::InvalidArgument(_))));
        let own = Some(WeightFiles::File("/m/own.pdparams".into()));
        assert_eq!(by_suffix(&["own.pdparams", "other.safetensors"]).unwrap(), own);
    }

    #[test]
    fn combined_parameters_come_with_their_program() {
        let combined = |params: &str, program: &str| {
            let [params, program] = [params, program].map(|name| Path::new("/m").join(name));
            Some(WeightFiles::Combined { params, program })
        };
        let family = Family::PaddleInference;
        assert_eq!(found(&["__model__", "__params__"], family).unwrap(), combined("__params__", "__model__"));
        let separate = Some(WeightFiles::Variables { dir: "/m".into(), program: Some("/m/__model__".into()) });
        assert_eq!(found(&["__model__", "word_embedding"], family).unwrap(), separate);
    }
}
