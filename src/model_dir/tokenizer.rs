//! Directory in, [`TokenizerSpec`] out: which tokenization scheme a model uses, with which files and settings.
//!
//! Only small JSON files are read here; the vocabulary and `tokenizer.json` are read by [`crate::tokenize`]. The scheme
//! is decided by the family of the checkpoint, because the schemes differ on ordinary text (see the golden data of
//! each). What cannot be told is refused, never guessed.

pub use super::scheme::{AddedToken, BertVariant, ErnieMVariant, Scheme};
use crate::error::{Error, Result};
use crate::options::Options;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Everything needed to open a tokenizer.
#[derive(Clone, Debug)]
pub struct TokenizerSpec {
    /// The scheme.
    pub scheme: Scheme,
    /// The directory all this was found in.
    pub dir: PathBuf,
    /// `vocab.txt`, where there is one.
    pub vocab_path: Option<PathBuf>,
    /// `tokenizer.json`, where there is one.
    pub tokenizer_json_path: Option<PathBuf>,
    /// The SentencePiece model, where the scheme has one.
    pub sentencepiece_path: Option<PathBuf>,
    /// Whether texts are lower-cased.
    pub lowercase: bool,
    /// Whether accents are stripped; `None` means as [`lowercase`](Self::lowercase). Not for scheme `ernie`.
    pub strip_accents: Option<bool>,
    /// Whether CJK ideographs are words of their own. Not for scheme `ernie`, where every one is.
    pub split_cjk: bool,
    /// Name of the first token of every sequence.
    pub cls: String,
    /// Name of the token that ends a text.
    pub sep: String,
    /// Name of the token for unknown words.
    pub unk: String,
    /// Name of the token for padding.
    pub pad: String,
    /// Name of the token for masked words; `None` where a model has none, as ERNIE-GEN.
    pub mask: Option<String>,
    /// Further special tokens, recognised in texts.
    pub additional_special: Vec<String>,
    /// Words that `bert` neither lower-cases nor splits.
    pub never_split: Vec<String>,
    /// Tokens recognised in texts before anything else, with their ids.
    pub added_tokens: Vec<AddedToken>,
}

impl TokenizerSpec {
    /// A spec for `scheme` with the settings of the reference implementations and the files that lie in `dir`.
    #[must_use]
    pub fn with_defaults(dir: &Path, scheme: Scheme) -> Self {
        let present = |name: &str| Some(dir.join(name)).filter(|path| path.symlink_metadata().is_ok());
        Self {
            scheme,
            dir: dir.to_owned(),
            vocab_path: present("vocab.txt"),
            tokenizer_json_path: present("tokenizer.json"),
            sentencepiece_path: scheme.sentencepiece_files().iter().find_map(|name| present(name)),
            lowercase: !matches!(scheme, Scheme::ErnieM(_)),
            strip_accents: None,
            split_cjk: true,
            cls: "[CLS]".into(),
            sep: "[SEP]".into(),
            unk: "[UNK]".into(),
            pad: "[PAD]".into(),
            mask: Some("[MASK]".into()),
            additional_special: Vec::new(),
            never_split: Vec::new(),
            added_tokens: Vec::new(),
        }
    }

    /// Finds the tokenizer of the model in `dir`; `scheme_override` decides the scheme instead of the files.
    ///
    /// # Errors
    /// * [`Error::NotFound`]: the directory, or a file that the scheme needs, is not there.
    /// * [`Error::InvalidModel`]: a configuration is broken.
    /// * [`Error::Unsupported`]: nothing tells the scheme, or it cannot be run faithfully; the message names it.
    /// * [`Error::InvalidArgument`]: not a directory.
    pub fn from_dir(dir: &Path, scheme_override: Option<Scheme>) -> Result<Self> {
        if !dir.is_dir() {
            std::fs::metadata(dir).map_err(|e| Error::io(dir, e))?;
            return Err(Error::argument(format!("{}: not a directory", dir.display())));
        }
        if let (None, Some(manifest)) = (scheme_override, super::manifest::Manifest::read(dir)?) {
            return Self::of_bundle(dir, &manifest);
        }
        let configs = Configs::read(dir)?;
        let scheme = match scheme_override {
            Some(scheme) => scheme,
            None => configs.scheme(dir)?,
        };
        let mut spec = Self::with_defaults(dir, scheme);
        if !scheme.is_seed() {
            configs.apply(dir, &mut spec)?;
        }
        spec.check_files()?;
        Ok(spec)
    }

    /// As [`from_dir`](Self::from_dir), with what `options` say of it.
    ///
    /// # Errors
    /// * Those of [`from_dir`](Self::from_dir).
    /// * [`Error::InvalidArgument`]: an option that a `tokenizer.json` does not have.
    pub fn with_options(dir: &Path, options: &Options) -> Result<Self> {
        let mut spec = Self::from_dir(dir, options.tokenizer)?;
        let overruled = [("lowercase", options.lowercase.is_some()), ("mask_token", options.mask_token == Some(false))];
        if let (Scheme::TokenizerJson, Some((key, _))) = (spec.scheme, overruled.iter().find(|(_, set)| *set)) {
            return Err(Error::argument(format!("option {key} is not for tokenizer.json, which says it itself")));
        }
        spec.lowercase = options.lowercase.unwrap_or(spec.lowercase);
        spec.mask = spec.mask.filter(|_| options.mask_token != Some(false));
        Ok(spec)
    }

    /// The tokenizer that a manifest describes.
    fn of_bundle(dir: &Path, manifest: &super::manifest::Manifest) -> Result<Self> {
        let none = || Error::Unsupported(format!("{}: exported without a tokenizer", dir.display()));
        let spec = manifest.tokenizer(dir)?.ok_or_else(none)?;
        spec.check_files()?;
        Ok(spec)
    }

    /// The SentencePiece model.
    ///
    /// # Errors
    /// * [`Error::NotFound`]: there is none.
    pub fn sentencepiece_path(&self) -> Result<&Path> {
        let name = self.scheme.sentencepiece_files().first().copied().unwrap_or("a SentencePiece model");
        self.sentencepiece_path.as_deref().ok_or_else(|| self.missing(name))
    }

    /// The scheme's files must be there.
    fn check_files(&self) -> Result<()> {
        let (found, name) = match self.scheme {
            Scheme::TokenizerJson => (self.tokenizer_json_path.is_some(), "tokenizer.json"),
            _ => (self.vocab_path.is_some(), "vocab.txt"),
        };
        if !found {
            return Err(self.missing(name));
        }
        if !self.scheme.sentencepiece_files().is_empty() {
            self.sentencepiece_path()?;
        }
        Ok(())
    }

    fn missing(&self, name: &str) -> Error {
        let what = format!("no such file; tokenizer scheme {} needs it", self.scheme.name());
        Error::NotFound { path: self.dir.join(name), what }
    }
}

/// The JSON files that tell about a tokenizer; empty where one is missing.
struct Configs {
    model: Map<String, Value>,
    tokenizer: Map<String, Value>,
    special_tokens: Map<String, Value>,
    added_tokens: Map<String, Value>,
}

impl Configs {
    fn read(dir: &Path) -> Result<Self> {
        let read = |name: &str| read_object(&dir.join(name));
        Ok(Self {
            model: read("config.json")?,
            tokenizer: read("tokenizer_config.json")?,
            special_tokens: read("special_tokens_map.json")?,
            added_tokens: read("added_tokens.json")?,
        })
    }

    /// The scheme that the files tell.
    fn scheme(&self, dir: &Path) -> Result<Scheme> {
        let has = |name: &str| dir.join(name).symlink_metadata().is_ok();
        let class = self.tokenizer.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
        let model_type = self.model.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let paddlenlp = class == "ErnieTokenizer"
            || self.model.contains_key("paddlenlp_version")
            || has("model_state.pdparams")
            || read_object(&dir.join("model_config.json"))?.contains_key("init_class");
        if has("dict.wordseg.pickle") || (class == "ErnieTinyTokenizer" && !has("subword")) {
            return Err(Error::Unsupported(format!(
                "{}: PaddleNLP's ErnieTinyTokenizer is not supported: it cuts words by dict.wordseg.pickle; option tokenizer \
                 = ernie-tiny cuts them by jieba instead, as the paddle-ernie package does",
                dir.display()
            )));
        }
        if class == "ErnieTinyTokenizer" || Scheme::ErnieTiny.sentencepiece_files().iter().any(|name| has(name)) {
            return Ok(Scheme::ErnieTiny);
        }
        let is_ernie_m = model_type == "ernie_m" || has("sentencepiece.bpe.model");
        if class == "ErnieMTokenizer" || (is_ernie_m && !has("tokenizer.json")) {
            let is_hf = !paddlenlp && (self.model.contains_key("transformers_version") || has("pytorch_model.bin"));
            return Ok(Scheme::ErnieM(if is_hf { ErnieMVariant::Hf } else { ErnieMVariant::PaddleNlp }));
        }
        if has("ernie_config.json") {
            return Ok(Scheme::Ernie);
        }
        if has("tokenizer.json") {
            return Ok(Scheme::TokenizerJson);
        }
        match class {
            _ if paddlenlp => Ok(Scheme::Bert(BertVariant::PaddleNlp)),
            "BertTokenizerFast" => Ok(Scheme::Bert(BertVariant::HfFast)),
            "BertTokenizer" => Ok(Scheme::Bert(BertVariant::HfSlow)),
            "" if matches!(model_type, "ernie" | "bert") => Ok(Scheme::Bert(BertVariant::HfSlow)),
            "" => Err(self.untold(dir)),
            _ => Err(Error::Unsupported(format!("{}: tokenizer class {class:?} is not supported", dir.display()))),
        }
    }

    /// Why no scheme could be told: an empty directory is another mistake than a bare vocabulary.
    fn untold(&self, dir: &Path) -> Error {
        if dir.join("vocab.txt").symlink_metadata().is_err() {
            return Error::NotFound {
                path: dir.to_owned(),
                what: "no tokenizer files (vocab.txt or tokenizer.json)".into(),
            };
        }
        let names: Vec<_> = Scheme::ALL.iter().map(|scheme| scheme.name()).collect();
        Error::Unsupported(format!(
            "{}: nothing beside this vocabulary tells its tokenizer scheme; option tokenizer can name it ({})",
            dir.join("vocab.txt").display(),
            names.join(", ")
        ))
    }

    /// Takes over the settings that the reference of the scheme honours.
    fn apply(&self, dir: &Path, spec: &mut TokenizerSpec) -> Result<()> {
        let config = Settings { path: dir.join("tokenizer_config.json"), map: &self.tokenizer };
        if let Some(lowercase) = config.boolean("do_lower_case")? {
            spec.lowercase = lowercase;
        }
        // PaddleNLP passes none of these on to its basic tokenizer.
        if !matches!(spec.scheme, Scheme::Bert(BertVariant::PaddleNlp) | Scheme::ErnieM(_)) {
            spec.strip_accents = config.boolean("strip_accents")?;
            spec.split_cjk = config.boolean("tokenize_chinese_chars")?.unwrap_or(true);
        }
        if spec.scheme == Scheme::Bert(BertVariant::HfSlow) {
            spec.never_split = config.strings("never_split")?;
            if config.boolean("do_basic_tokenize")? == Some(false) {
                return Err(Error::Unsupported(format!(
                    "{}: do_basic_tokenize false is not supported",
                    config.path.display()
                )));
            }
        }
        let special = Settings { path: dir.join("special_tokens_map.json"), map: &self.special_tokens };
        let name = |key: &str| -> Result<Option<String>> { Ok(config.token(key)?.or(special.token(key)?)) };
        for (key, slot) in [
            ("cls_token", &mut spec.cls),
            ("sep_token", &mut spec.sep),
            ("unk_token", &mut spec.unk),
            ("pad_token", &mut spec.pad),
        ] {
            if let Some(token) = name(key)? {
                *slot = token;
            }
        }
        spec.mask = name("mask_token")?.or(spec.mask.take());
        spec.additional_special = config.strings("additional_special_tokens")?;
        if spec.additional_special.is_empty() {
            spec.additional_special = special.strings("additional_special_tokens")?;
        }
        spec.added_tokens = self.added(dir, &config)?;
        Ok(())
    }

    /// `added_tokens_decoder` of the tokenizer configuration, or the older `added_tokens.json`.
    fn added(&self, dir: &Path, config: &Settings<'_>) -> Result<Vec<AddedToken>> {
        let mut tokens = Vec::new();
        match self.tokenizer.get("added_tokens_decoder") {
            Some(Value::Object(decoder)) => {
                for (id, entry) in decoder {
                    let content = entry.get("content").and_then(Value::as_str);
                    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
                    let (true, Ok(id), Some(content)) = (digits, id.parse(), content) else {
                        return Err(config.wrong("added_tokens_decoder", "a map from ids to tokens"));
                    };
                    let special = entry.get("special").and_then(Value::as_bool).unwrap_or(false);
                    tokens.push(AddedToken { content: content.to_owned(), id, special });
                }
            }
            Some(Value::Null) | None => {
                for (content, id) in &self.added_tokens {
                    let id = id.as_i64().ok_or_else(|| {
                        Error::model(dir.join("added_tokens.json"), format!("the id of {content:?} is not an integer"))
                    })?;
                    tokens.push(AddedToken { content: content.clone(), id, special: false });
                }
            }
            Some(_) => return Err(config.wrong("added_tokens_decoder", "a map from ids to tokens")),
        }
        tokens.sort_by_key(|token| token.id);
        if tokens.iter().any(|token| token.content.is_empty() || !(0..1 << 31).contains(&token.id)) {
            return Err(config.wrong("added_tokens_decoder", "a map from ids below 2^31 to non-empty tokens"));
        }
        Ok(tokens)
    }
}

/// A configuration file and typed access to its keys; `null` counts as absent.
struct Settings<'a> {
    path: PathBuf,
    map: &'a Map<String, Value>,
}

impl Settings<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, wanted: &str) -> Error {
        Error::model(&self.path, format!("{key} is not {wanted}"))
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.get(key).map(|value| value.as_bool().ok_or_else(|| self.wrong(key, "true or false"))).transpose()
    }

    /// A token, written as a string or as an object with `content`.
    fn token(&self, key: &str) -> Result<Option<String>> {
        self.get(key).map(|value| token_content(value).ok_or_else(|| self.wrong(key, "a token"))).transpose()
    }

    fn strings(&self, key: &str) -> Result<Vec<String>> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| token_content(value).ok_or_else(|| self.wrong(key, "a list of tokens")))
                .collect(),
            Some(_) => Err(self.wrong(key, "a list of tokens")),
        }
    }
}

fn token_content(value: &Value) -> Option<String> {
    let content = value.as_str().or_else(|| value.get("content").and_then(Value::as_str))?;
    (!content.is_empty()).then(|| content.to_owned())
}

/// The JSON object in a file, empty when there is no such file.
fn read_object(path: &Path) -> Result<Map<String, Value>> {
    match super::config::read_json(path) {
        Err(Error::NotFound { .. }) => Ok(Map::new()),
        read => read,
    }
}
