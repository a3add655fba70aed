//! `ernie.json`, the manifest of a bundle: everything that is known of a model, so that nothing is guessed again.
//!
//! In: the file. Out: [`Manifest`]. Written by `pipeline::export`. The version counts changes that an older library would
//! misread; unknown versions are refused.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tokenizer::{AddedToken, Scheme, TokenizerSpec};
use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::options::Precision;

/// The manifest's name in a bundle.
pub const FILE_NAME: &str = "ernie.json";
/// What `format` says.
pub const FORMAT: &str = "ernie-bundle";
/// The version written, and the only one read.
pub const VERSION: u32 = 1;

/// What a bundle says of its model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The library that wrote it.
    pub made_by: String,
    /// The family of the files it was made of, as reports name it.
    pub source_family: String,
    /// The task, as option `task` names it.
    pub task: String,
    /// What scores mean, as option `problem` names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Label names by id.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How the weights are stored, as option `precision` names it.
    pub precision: String,
    /// The weights file, safetensors with canonical names.
    pub weights: String,
    /// The graph for other runtimes, and what it takes and is made of.
    pub graph: GraphEntry,
    /// What the network computes.
    pub architecture: Architecture,
    /// How texts become tokens; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerEntry>,
    /// How a generator is fed, where it was opened otherwise than by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<GeneratorEntry>,
}

/// How a generator is fed, as the options of the same names have it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GeneratorEntry {
    /// The token that asks for the next word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_token: Option<String>,
    /// The type of tokens that are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type_id: Option<usize>,
}

/// The graph of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GraphEntry {
    /// The ONNX file.
    pub file: String,
    /// `onnxruntime` or `standard`: whose operators.
    pub dialect: String,
    /// `packed` or `padded`: how texts are laid out.
    pub interface: String,
}

/// The settings of a tokenizer, as [`TokenizerSpec`] has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenizerEntry {
    scheme: String,
    lowercase: bool,
    strip_accents: Option<bool>,
    split_cjk: bool,
    cls: String,
    sep: String,
    unk: String,
    pad: String,
    mask: Option<String>,
    additional_special: Vec<String>,
    never_split: Vec<String>,
    added_tokens: Vec<AddedToken>,
}

impl TokenizerEntry {
    /// The settings of `spec`.
    #[must_use]
    pub fn new(spec: &TokenizerSpec) -> Self {
        Self {
            scheme: spec.scheme.name().to_owned(),
            lowercase: spec.lowercase,
            strip_accents: spec.strip_accents,
            split_cjk: spec.split_cjk,
            cls: spec.cls.clone(),
            sep: spec.sep.clone(),
            unk: spec.unk.clone(),
            pad: spec.pad.clone(),
            mask: spec.mask.clone(),
            additional_special: spec.additional_special.clone(),
            never_split: spec.never_split.clone(),
            added_tokens: spec.added_tokens.clone(),
        }
    }

    fn spec(&self, dir: &Path, scheme: Scheme) -> TokenizerSpec {
        TokenizerSpec {
            lowercase: self.lowercase,
            strip_accents: self.strip_accents,
            split_cjk: self.split_cjk,
            cls: self.cls.clone(),
            sep: self.sep.clone(),
            unk: self.unk.clone(),
            pad: self.pad.clone(),
            mask: self.mask.clone(),
            additional_special: self.additional_special.clone(),
            never_split: self.never_split.clone(),
            added_tokens: self.added_tokens.clone(),
            ..TokenizerSpec::with_defaults(dir, scheme)
        }
    }
}

impl Manifest {
    /// Reads the manifest of `dir`; `None` where there is none.
    ///
    /// # Errors
    /// - [`Error::InvalidModel`]: broken, or sizes that no network has.
    /// - [`Error::Unsupported`]: of a version that this library does not know.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE_NAME);
        match super::config::read_json(&path) {
            Err(Error::NotFound { .. }) => Ok(None),
            read => Self::of(&path, read?).map(Some),
        }
    }

    /// The manifest that `bytes` hold; `path` is for messages.
    #[cfg(any(test, feature = "test-hooks"))]
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        Self::of(path, super::config::parse_json(path, bytes)?)
    }

    fn of(path: &Path, object: serde_json::Map<String, serde_json::Value>) -> Result<Self> {
        let version = object.get("version").and_then(serde_json::Value::as_u64);
        if object.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT) {
            return Err(Error::model(path, format!("format is not \"{FORMAT}\"")));
        }
        if version != Some(u64::from(VERSION)) {
            let version = version.map_or_else(|| "none".to_owned(), |v| v.to_string());
            return Err(Error::Unsupported(format!(
                "{}: manifest of version {version}; this library reads version {VERSION}",
                path.display()
            )));
        }
        let manifest: Self = serde_json::from_value(serde_json::Value::Object(object))
            .map_err(|e| Error::model_from(path, "not a manifest", e))?;
        if !Precision::STORED.iter().any(|(name, _)| *name == manifest.precision) {
            return Err(Error::model(
                path,
                format!("precision \"{}\" is not known", manifest.precision.escape_debug()),
            ));
        }
        manifest.architecture.check().map_err(|reason| Error::model(path, format!("architecture: {reason}")))?;
        for name in [&manifest.weights, &manifest.graph.file] {
            let is_plain = !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "." && name != "..";
            if !is_plain {
                return Err(Error::model(path, format!("\"{}\" is not a file of the bundle", name.escape_debug())));
            }
        }
        Ok(manifest)
    }

    /// The tokenizer of the bundle in `dir`; `None` where the manifest has none.
    ///
    /// # Errors
    /// - [`Error::InvalidModel`]: a scheme that is not known, or an added token that cannot be.
    pub fn tokenizer(&self, dir: &Path) -> Result<Option<TokenizerSpec>> {
        let Some(entry) = &self.tokenizer else { return Ok(None) };
        let path = dir.join(FILE_NAME);
        let scheme = Scheme::parse(&entry.scheme).map_err(|e| Error::model_from(&path, "tokenizer", e))?;
        if entry.added_tokens.iter().any(|token| token.content.is_empty() || !(0..1 << 31).contains(&token.id)) {
            return Err(Error::model(&path, "tokenizer: an added token is empty or has an id outside 0..2^31"));
        }
        Ok(Some(entry.spec(dir, scheme)))
    }
}
