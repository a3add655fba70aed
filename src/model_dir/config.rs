//! The model's config file: `config.json` (Hugging Face, PaddleNLP from 2.5), `ernie_config.json` (paddle-ernie) or
//! `model_config.json` (older PaddleNLP).
//!
//! In: a directory. Out: [`Config`]: family, task, dimensions, labels. Values that are present must be of the right
//! type and in range; absent ones are absent, since an exported graph carries its own sizes.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::manifest::{self, Manifest};
use super::network::NetworkConfig;
use crate::architecture::Architecture;
use crate::bounded_file;
use crate::error::{Error, Result};
use crate::options::{Options, Problem, Task};

/// Who wrote the files of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// paddle-ernie (2021): `ernie_config.json`.
    PaddleErnie,
    /// PaddleNLP: `config.json` with `paddlenlp_version`, or `model_config.json`.
    PaddleNlp,
    /// Hugging Face transformers.
    HuggingFace,
    /// Paddle inference files.
    PaddleInference,
    /// Exported by this library: `ernie.json`.
    Bundle,
    /// A graph without a config.
    Graph,
}

impl Family {
    /// The name that reports write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaddleErnie => "paddle-ernie",
            Self::PaddleNlp => "paddlenlp",
            Self::HuggingFace => "huggingface",
            Self::PaddleInference => "paddle-inference",
            Self::Bundle => "ernie-bundle",
            Self::Graph => "graph",
        }
    }
}

/// Sizes of a network, as far as its config gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dimensions {
    /// Width of a token's vector.
    pub hidden_size: Option<usize>,
    /// Encoder layers.
    pub n_layers: Option<usize>,
    /// Attention heads.
    pub n_heads: Option<usize>,
    /// Rows of the word embedding.
    pub vocab_size: Option<usize>,
    /// Rows of the position embedding.
    pub max_positions: Option<usize>,
    /// Rows of the token type embedding.
    pub n_token_types: Option<usize>,
}

impl From<&Architecture> for Dimensions {
    fn from(architecture: &Architecture) -> Self {
        Self {
            hidden_size: Some(architecture.hidden_size),
            n_layers: Some(architecture.n_layers),
            n_heads: Some(architecture.n_heads),
            vocab_size: Some(architecture.vocab_size),
            max_positions: Some(architecture.max_tokens()),
            n_token_types: Some(architecture.n_token_types),
        }
    }
}

/// What a config file says.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) family: Family,
    pub(super) task: Option<Task>,
    pub(super) problem: Option<Problem>,
    pub(super) dimensions: Dimensions,
    pub(super) labels: Vec<String>,
    /// What else decides how the network computes; `None` without a config file.
    pub(super) network: Option<NetworkConfig>,
}

/// The largest config file that is read, in bytes: label lists may be long, sizes are not.
const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// The largest size that a config may claim of anything.
const MAX_SIZE: u64 = 1 << 31;

impl Config {
    /// Reads the config of `dir`, whose files are `names`.
    pub(super) fn read(dir: &Path, names: &[String]) -> Result<Self> {
        let has = |name: &str| names.iter().any(|n| n == name);
        let (name, family) = if has("ernie_config.json") {
            ("ernie_config.json", Family::PaddleErnie)
        } else if has("config.json") {
            ("config.json", Family::HuggingFace)
        } else if has("model_config.json") {
            ("model_config.json", Family::PaddleNlp)
        } else {
            return Ok(Self::without_file(names));
        };
        let file = ConfigFile::read(dir.join(name))?;
        // Older releases of PaddleNLP wrote no version; nobody else names weights so.
        file.config(if has("model_state.pdparams") && family == Family::HuggingFace {
            Family::PaddleNlp
        } else {
            family
        })
    }

    /// What the manifest of the bundle in `dir` says.
    pub(super) fn of_bundle(dir: &Path, manifest: &Manifest) -> Result<Self> {
        let broken = |e| Error::model_from(dir.join(manifest::FILE_NAME), "not a manifest", e);
        let mut stored = Options::default();
        stored.set("task", &manifest.task).map_err(broken)?;
        if let Some(problem) = &manifest.problem {
            stored.set("problem", problem).map_err(broken)?;
        }
        Ok(Self {
            family: Family::Bundle,
            task: stored.task,
            problem: stored.problem,
            dimensions: Dimensions::from(&manifest.architecture),
            labels: manifest.labels.clone(),
            network: None,
        })
    }

    fn without_file(names: &[String]) -> Self {
        let paddle = names.iter().any(|n| n.ends_with(".pdiparams") || n == "__model__" || n == "params");
        Self {
            family: if paddle { Family::PaddleInference } else { Family::Graph },
            task: None,
            problem: None,
            dimensions: Dimensions::default(),
            labels: Vec::new(),
            network: None,
        }
    }
}

/// Reads a JSON object.
pub(super) fn read_json(path: &Path) -> Result<Map<String, Value>> {
    parse_json(path, &bounded_file::read(path, MAX_CONFIG_BYTES)?)
}

/// The JSON object that `bytes` hold; `path` is for messages.
pub(super) fn parse_json(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::model(path, "not a JSON object")),
        Err(e) => Err(Error::model_from(path, "not valid JSON", e)),
    }
}

/// A config file and typed access to its keys; `null` counts as absent.
pub(super) struct ConfigFile {
    path: PathBuf,
    root: Map<String, Value>,
}

impl ConfigFile {
    fn read(path: PathBuf) -> Result<Self> {
        let root = read_json(&path)?;
        Ok(Self { path, root })
    }

    fn config(&self, family: Family) -> Result<Config> {
        // Older PaddleNLP nests the base model's arguments: {"init_args": [{..}], "init_class": "..."}.
        let nested = self.root.get("init_args").and_then(|a| a.get(0)).and_then(Value::as_object);
        let sizes = nested.unwrap_or(&self.root);
        let paddlenlp = self.root.contains_key("paddlenlp_version") || self.root.contains_key("init_class");
        Ok(Config {
            family: if paddlenlp { Family::PaddleNlp } else { family },
            task: self.architecture().and_then(task_of_architecture),
            problem: self.problem()?,
            dimensions: self.dimensions(sizes)?,
            labels: self.labels()?,
            network: Some(NetworkConfig::read(self, sizes)?),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fail(&self, key: &str, reason: &str) -> Error {
        Error::model(&self.path, format!("{key}: {reason}"))
    }

    pub(super) fn size(&self, sizes: &Map<String, Value>, keys: &[&str]) -> Result<Option<usize>> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((*key, sizes.get(*key).filter(|v| !v.is_null())?)))
        else {
            return Ok(None);
        };
        let number = value.as_u64().filter(|n| (1..=MAX_SIZE).contains(n));
        number.map(|n| Some(n as usize)).ok_or_else(|| self.fail(key, &format!("{value} is not a size")))
    }

    /// A number that may be 0: an id, or a count of something that may be absent.
    pub(super) fn index(&self, sizes: &Map<String, Value>, key: &str) -> Result<Option<usize>> {
        let Some(value) = sizes.get(key).filter(|v| !v.is_null()) else { return Ok(None) };
        let number = value.as_u64().filter(|n| *n <= MAX_SIZE);
        number.map(|n| Some(n as usize)).ok_or_else(|| self.fail(key, &format!("{value} is not a number from 0")))
    }

    /// A number above 0.
    pub(super) fn positive(&self, sizes: &Map<String, Value>, key: &str) -> Result<Option<f64>> {
        let Some(value) = sizes.get(key).filter(|v| !v.is_null()) else { return Ok(None) };
        let number = value.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        number.map(Some).ok_or_else(|| self.fail(key, &format!("{value} is not a number above 0")))
    }

    pub(super) fn boolean(&self, sizes: &Map<String, Value>, key: &str) -> Result<Option<bool>> {
        let Some(value) = sizes.get(key).filter(|v| !v.is_null()) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.fail(key, &format!("{value} is not true or false")))
    }

    pub(super) fn text(&self, sizes: &Map<String, Value>, key: &str) -> Result<Option<String>> {
        let Some(value) = sizes.get(key).filter(|v| !v.is_null()) else { return Ok(None) };
        value
            .as_str()
            .map(|text| Some(text.to_owned()))
            .ok_or_else(|| self.fail(key, &format!("{value} is not a string")))
    }

    fn dimensions(&self, sizes: &Map<String, Value>) -> Result<Dimensions> {
        Ok(Dimensions {
            hidden_size: self.size(sizes, &["hidden_size"])?,
            n_layers: self.size(sizes, &["num_hidden_layers"])?,
            n_heads: self.size(sizes, &["num_attention_heads"])?,
            vocab_size: self.size(sizes, &["vocab_size"])?,
            max_positions: self.size(sizes, &["max_position_embeddings"])?,
            n_token_types: match self.index(sizes, "sent_type_vocab_size")?.filter(|n| *n > 0) {
                Some(n) => Some(n),
                None => self.index(sizes, "type_vocab_size")?,
            },
        })
    }

    pub(super) fn architecture(&self) -> Option<&str> {
        let listed = self.root.get("architectures").and_then(|a| a.get(0)).and_then(Value::as_str);
        listed.or_else(|| self.root.get("init_class").and_then(Value::as_str))
    }

    fn problem(&self) -> Result<Option<Problem>> {
        match self.root.get("problem_type") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_str() {
                Some("single_label_classification") => Ok(Some(Problem::SingleLabel)),
                Some("multi_label_classification") => Ok(Some(Problem::MultiLabel)),
                Some("regression") => Ok(Some(Problem::Regression)),
                _ => Err(self.fail("problem_type", &format!("{value} is not known"))),
            },
        }
    }

    fn labels(&self) -> Result<Vec<String>> {
        let Some(map) = self.root.get("id2label").filter(|v| !v.is_null()) else { return Ok(Vec::new()) };
        let map = map.as_object().ok_or_else(|| self.fail("id2label", "not an object"))?;
        let mut labels = vec![None; map.len()];
        for (id, label) in map {
            let slot = id.parse().ok().and_then(|i: usize| labels.get_mut(i));
            let slot =
                slot.ok_or_else(|| self.fail("id2label", &format!("id \"{id}\" is not one of 0..{}", map.len())))?;
            let text = label.as_str().map(ToOwned::to_owned).unwrap_or_else(|| label.to_string());
            *slot = Some(text);
        }
        labels.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| self.fail("id2label", "an id occurs twice"))
    }
}

fn task_of_architecture(name: &str) -> Option<Task> {
    const SUFFIXES: &[(&str, Task)] = &[
        ("ForSequenceClassification", Task::SequenceClassification),
        ("ForTokenClassification", Task::TokenClassification),
        ("ForQuestionAnswering", Task::QuestionAnswering),
        ("ForMaskedLM", Task::MaskedLm),
        ("ForPretraining", Task::MaskedLm),
        ("ForPreTraining", Task::MaskedLm),
        ("ForNextSentencePrediction", Task::Encoder),
        ("ForMultipleChoice", Task::MultipleChoice),
        ("ForGeneration", Task::Generation),
        ("UIE", Task::InformationExtraction),
        ("UIEM", Task::InformationExtraction),
        ("DualEncoder", Task::DualEncoder),
        ("CrossEncoder", Task::CrossEncoder),
        ("Model", Task::Encoder),
    ];
    SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, task)| *task)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), json).unwrap();
        Config::read(dir.path(), &["config.json".to_owned()])
    }

    #[test]
    fn labels_come_in_the_order_of_their_ids() {
        let config = parse(r#"{"id2label": {"1": "b", "0": "a"}, "architectures": ["ErnieForTokenClassification"]}"#);
        let config = config.unwrap();
        assert_eq!(config.labels, ["a", "b"]);
        assert_eq!(config.task, Some(Task::TokenClassification));
        assert_eq!(config.family, Family::HuggingFace);
    }

    #[test]
    fn sizes_of_a_wrong_type_or_range_name_the_key() {
        for json in [r#"{"hidden_size": "8"}"#, r#"{"hidden_size": 1000000000000}"#, r#"{"hidden_size": -1}"#] {
            let message = parse(json).unwrap_err().report();
            assert!(message.contains("hidden_size") && message.contains("config.json"), "{message}");
        }
    }

    #[test]
    fn broken_json_names_the_file_and_the_place() {
        let message = parse("{\"a\": }").unwrap_err().report();
        assert!(message.contains("config.json") && message.contains("line 1"), "{message}");
    }

    #[test]
    fn older_paddlenlp_configs_are_nested() {
        let config = parse(r#"{"init_args": [{"hidden_size": 8}], "init_class": "ErnieForSequenceClassification"}"#);
        let config = config.unwrap();
        assert_eq!(config.dimensions.hidden_size, Some(8));
        assert_eq!((config.family, config.task), (Family::PaddleNlp, Some(Task::SequenceClassification)));
    }
}
