//! A directory, or a graph file in one, -> [`ModelSpec`]: what the model is, before anything is loaded.
//!
//! In: a path and the caller's options. Out: family, task, dimensions, labels, tokenizer scheme and the graph's path.
//! Only small JSON files are read here, each within a size limit. Weights, graphs and vocabularies are read by
//! `checkpoint`, `graph` and `tokenize`.

mod config;
pub(crate) mod labels;
mod layout;
pub mod manifest;
mod network;
mod scheme;
pub mod tokenizer;

use std::path::{Path, PathBuf};

pub use config::{Dimensions, Family};
pub use layout::WeightFiles;
pub use network::NetworkConfig;

use crate::error::{Error, Result};
use crate::options::{Options, Problem, Task};
use config::Config;
use manifest::Manifest;
use tokenizer::{Scheme, TokenizerSpec};

/// What a directory says of its model.
#[derive(Debug)]
pub struct ModelSpec {
    /// The directory.
    pub dir: PathBuf,
    /// Who wrote the files.
    pub family: Family,
    /// The task, where the directory or the caller says it.
    pub task: Option<Task>,
    /// The task that the directory itself says.
    pub declared_task: Option<Task>,
    /// What a classifier's scores mean, where the directory or the caller says it.
    pub problem: Option<Problem>,
    /// Sizes of the network.
    pub dimensions: Dimensions,
    /// Label names by id; empty where the model has none.
    pub labels: Vec<String>,
    /// The file that names them, where it is no config or manifest.
    pub labels_path: Option<PathBuf>,
    /// The exported graph; `None` where there is none.
    pub graph_path: Option<PathBuf>,
    /// Weight files of a checkpoint, by name.
    pub weight_files: Vec<String>,
    /// The weights to open; `None` where there are none, or the caller names a graph.
    pub weights: Option<WeightFiles>,
    /// What the config says of the network; `None` without a config.
    pub network: Option<NetworkConfig>,
    /// The manifest of a bundle.
    pub manifest: Option<Manifest>,
    /// The tokenizer, or why there is none.
    pub tokenizer: Result<TokenizerSpec>,
}

impl ModelSpec {
    /// Looks at `path`: a model's directory, or an `.onnx` file in it.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: nothing there, or neither graph nor weights in it.
    /// - [`Error::InvalidModel`]: a broken config file.
    /// - [`Error::InvalidArgument`]: several graphs and no option `graph`.
    pub fn read(path: &Path, options: &Options) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        let (dir, given_graph) = if metadata.is_dir() {
            (path.to_owned(), None)
        } else {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            (parent.to_owned(), Some(path.to_owned()))
        };
        let names = file_names(&dir)?;
        let wants_graph = given_graph.is_some() || options.graph.is_some();
        if let (true, Some(weights)) = (wants_graph, &options.weights) {
            return Err(Error::argument(format!(
                "option weights: a graph is named too, which does not take \"{weights}\""
            )));
        }
        let manifest = Manifest::read(&dir)?;
        let config = match manifest {
            Some(manifest) if !wants_graph => return Self::of_bundle(dir, manifest, options),
            // A graph of a bundle runs as any other, with what the manifest says of the model.
            Some(manifest) => Config::of_bundle(&dir, &manifest)?,
            None => Config::read(&dir, &names)?,
        };
        let weights = match &options.weights {
            Some(name) => Some(layout::named(&dir, name)?),
            None if wants_graph => None,
            None => layout::find(&dir, &names, config.family)?,
        };
        let graph_path = match given_graph {
            Some(graph) => Some(check_graph_name(graph)?),
            None if weights.is_some() && !wants_graph => None,
            None => find_graph(&dir, &names, options)?,
        };
        let weights = match (weights, &graph_path) {
            (None, None) => layout::find_by_suffix(&dir, &names)?,
            (weights, _) => weights,
        };
        if graph_path.is_none() && weights.is_none() {
            let has_config = config.network.is_some();
            let hint = if has_config { "; option `weights` names weights that lie elsewhere" } else { "" };
            let what = format!("no model here: neither a graph (*.onnx) nor weights{hint}");
            return Err(Error::NotFound { path: dir, what });
        }
        // The config beside weights from elsewhere tells of other weights.
        let declared_task = config.task.filter(|_| options.weights.is_none());
        let (labels, labels_path) = labels(&dir, &names, config.labels, options)?;
        Ok(Self {
            family: config.family,
            task: options.task.or(declared_task),
            declared_task,
            problem: options.problem.or(config.problem),
            dimensions: config.dimensions,
            labels,
            labels_path,
            tokenizer: tokenizer(&dir, options)?,
            dir,
            graph_path,
            weight_files: names.iter().filter(|name| layout::is_weight_file(name)).cloned().collect(),
            weights,
            network: config.network,
            manifest: None,
        })
    }

    /// Weights without a config can be opened only where a program tells what the network computes.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: there is no config.
    pub(crate) fn check_config(&self) -> Result<()> {
        let needs_none = matches!(
            self.weights,
            None | Some(WeightFiles::Combined { .. } | WeightFiles::Variables { program: Some(_), .. })
        );
        if needs_none || self.network.is_some() || self.manifest.is_some() {
            return Ok(());
        }
        let weights = self.weights.as_ref().map_or(self.dir.as_path(), WeightFiles::path);
        Err(Error::NotFound {
            path: self.dir.clone(),
            what: format!(
                "no config (ernie_config.json, config.json or model_config.json) beside {}; where it lies elsewhere, open \
                 its directory and name the weights by option `weights`",
                weights.display()
            ),
        })
    }

    fn of_bundle(dir: PathBuf, manifest: Manifest, options: &Options) -> Result<Self> {
        let refuse = |key: &str, value: &str| {
            Err(Error::argument(format!("option {key}: {} is a bundle, exported with {value}", dir.display())))
        };
        if options.task.is_some_and(|task| task != Task::Tensors && task.name() != manifest.task) {
            return refuse("task", &manifest.task);
        }
        if options.weights.is_some() {
            return refuse("weights", &manifest.weights);
        }
        let config = Config::of_bundle(&dir, &manifest)?;
        let (labels, labels_path) = labels(&dir, &[], config.labels, options)?;
        Ok(Self {
            family: config.family,
            task: config.task,
            declared_task: config.task,
            problem: options.problem.or(config.problem),
            dimensions: config.dimensions,
            labels,
            labels_path,
            graph_path: None,
            weight_files: vec![manifest.weights.clone()],
            weights: Some(WeightFiles::File(dir.join(&manifest.weights))),
            network: None,
            tokenizer: tokenizer(&dir, options)?,
            dir,
            manifest: Some(manifest),
        })
    }
}

/// Tokens that the model in `dir` with a tokenizer of `scheme` takes at most, special tokens included; `None` where its
/// config does not say.
///
/// # Errors
/// - [`Error::NotFound`], [`Error::Io`]: the directory cannot be read.
/// - [`Error::InvalidModel`]: a broken config file.
pub fn max_tokens(dir: &Path, scheme: Scheme) -> Result<Option<usize>> {
    if let Some(manifest) = Manifest::read(dir)? {
        return Ok(Some(manifest.architecture.max_tokens()));
    }
    // Positions of ERNIE-M begin at 2.
    let n_unused = if matches!(scheme, Scheme::ErnieM(_)) { 2 } else { 0 };
    let max_positions = Config::read(dir, &file_names(dir)?)?.dimensions.max_positions;
    Ok(max_positions.map(|n| n.saturating_sub(n_unused)))
}

/// The caller's limit, which may not exceed the model's; without one, the model's.
///
/// # Errors
/// - [`Error::InvalidArgument`]: the caller wants more than the model takes.
pub fn limit_tokens(wanted: Option<usize>, most: Option<usize>) -> Result<Option<usize>> {
    match (wanted, most) {
        (Some(wanted), Some(most)) if wanted > most => {
            Err(Error::argument(format!("max_tokens is {wanted}, the limit is {most}")))
        }
        (wanted, most) => Ok(wanted.or(most)),
    }
}

/// A model without a usable tokenizer still serves tensors; a broken tokenizer file is an error, unless only tensors are
/// wanted.
fn tokenizer(dir: &Path, options: &Options) -> Result<Result<TokenizerSpec>> {
    match TokenizerSpec::with_options(dir, options) {
        Err(error @ (Error::NotFound { .. } | Error::Unsupported(_))) => Ok(Err(error)),
        Err(error) if options.task != Some(Task::Tensors) => Err(error),
        found => Ok(found),
    }
}

/// The names of labels: those that the caller gives, the config's, or those of a label map beside it; and the map.
fn labels(
    dir: &Path,
    names: &[String],
    of_config: Vec<String>,
    options: &Options,
) -> Result<(Vec<String>, Option<PathBuf>)> {
    let path = match &options.labels {
        Some(given) => layout::given(dir, given, "labels")?,
        None if of_config.is_empty() && names.iter().any(|name| name == labels::FILE_NAME) => {
            dir.join(labels::FILE_NAME)
        }
        None => return Ok((of_config, None)),
    };
    Ok((labels::read(&path)?, Some(path)))
}

fn file_names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let entry = entry.map_err(|e| Error::io(dir, e))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn check_graph_name(path: PathBuf) -> Result<PathBuf> {
    if path.extension().is_some_and(|e| e == "onnx") {
        return Ok(path);
    }
    Err(Error::argument(format!("{}: neither a directory nor an .onnx file", path.display())))
}

/// `options.graph`, `model.onnx`, the only `.onnx` file, or the same in the subdirectory `onnx`.
fn find_graph(dir: &Path, names: &[String], options: &Options) -> Result<Option<PathBuf>> {
    if let Some(name) = &options.graph {
        let path = dir.join(name);
        if !path.is_file() {
            return Err(Error::NotFound { path, what: "option graph names no file".into() });
        }
        return Ok(Some(path));
    }
    let graphs: Vec<&String> = names.iter().filter(|name| name.ends_with(".onnx")).collect();
    match graphs.as_slice() {
        [] => {
            let sub = dir.join("onnx");
            if !sub.is_dir() {
                return Ok(None);
            }
            find_graph(
                &sub,
                &file_names(&sub)?.into_iter().filter(|n| n.ends_with(".onnx")).collect::<Vec<_>>(),
                options,
            )
        }
        [one] => Ok(Some(dir.join(one))),
        several if several.iter().any(|name| *name == "model.onnx") => Ok(Some(dir.join("model.onnx"))),
        several => {
            let list = several.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", ");
            Err(Error::argument(format!("{}: several graphs ({list}); option `graph` names one", dir.display())))
        }
    }
}
