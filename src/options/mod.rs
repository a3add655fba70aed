//! How a model or tokenizer is opened: the keys, their values and defaults.
//!
//! In: text keys and values. Out: checked [`Options`]. An unknown key or value is an error that lists what exists.

#[cfg(test)]
mod tests;
mod values;

pub use values::{Arena, AttentionMask, Fallback, Precision, Problem, Provider, Spinning, Task};

use crate::error::{Error, Result};
use crate::model_dir::tokenizer::Scheme;
use crate::tokenize::{SpecialTokensInText, Truncation};

/// Names given by the caller to a graph's inputs or outputs: role and name in the graph.
pub type Bindings = Vec<(String, String)>;

/// How a model or tokenizer is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the graph runs. Key `provider`: `cpu` (default), `cuda`, `tensorrt`, `openvino`.
    pub provider: Provider,
    /// Which GPUs, at least one. Each has a session of its own, and runs go to the one with the least to do. Key `device_id`: a number, default 0, or
    /// several separated by commas, each once, 64 at most.
    pub device_ids: Vec<i32>,
    /// What happens where the provider cannot be had. Key `fallback`: `error` (default), `cpu`.
    pub fallback: Fallback,
    /// Megabytes that CUDA's arena takes of the device's memory at most. Key `device_memory_mb`; 0 (default) = no limit.
    pub device_memory_mb: usize,
    /// Folders whose libraries a provider needs (CUDA's, cuDNN's, TensorRT's), which are loaded before it. Key `provider_libraries`: folders separated by
    /// colons, in which `lib`, `*/lib` and `*/*/lib` are looked through too; default none: the loader finds them.
    pub provider_libraries: Option<String>,
    /// Where TensorRT keeps what it compiled of checkpoints, in a folder for each graph, device and runtime. Key `engine_cache`: a directory that
    /// exists; default none: it compiles at every opening.
    pub engine_cache: Option<String>,
    /// Threads inside one operator, the caller's included, and for tokenizing large batches. Key `threads`; 0 (default) = one per physical core.
    pub n_threads: usize,
    /// Whether idle threads of the runtime spin. Key `spinning`: `auto` (default: `runs` for a checkpoint with no more threads than cores, else `off`), `off`, `runs` (while
    /// a run is under way), `on`.
    pub spinning: Spinning,
    /// Whether the weights of a checkpoint are packed for the products of this library. Without it they are used where they lie by
    /// ONNX Runtime's: a model opens in milliseconds and takes no memory but its file's pages, is slower, and a text alone and
    /// in a batch agree to rounding only. Key `prepacking`: `on` (default), `off`.
    pub prepacking: bool,
    /// What happens to the memory of runs. Key `arena`: `keep` (default), `shrink`, `off`.
    pub arena: Arena,
    /// Where ONNX Runtime's profile of every run is written. Key `profile`: the beginning of a path, to which the time and `.json` are
    /// added when the model is freed; default none.
    pub profile: Option<String>,
    /// Texts in one run at most. Key `max_rows`, default 32.
    pub max_rows: usize,
    /// Tokens in one run at most, padding included; a longer text runs alone. Key `max_batch_tokens`, default 1024.
    pub max_batch_tokens: usize,
    /// Calls that may wait for the model at a time, asynchronous ones until they end; more are refused. Key `max_queue`; 0 (default) = any number.
    pub max_queue: Option<usize>,
    /// Microseconds that a run which is not full waits for texts of more callers. Key `max_wait_us`; 0 (default) = it waits only for those that shared
    /// the run before it, a sixteenth of that run's time at most.
    pub max_wait_us: u64,
    /// Threads at most that asynchronous calls of a model are made in. Key `async_threads`, default 32.
    pub async_threads: usize,
    /// Tokens of a text or pair at most, special tokens included. Key `max_tokens`; 0 (default) = what the model has.
    pub max_tokens: Option<usize>,
    /// What happens to longer texts. Key `truncation`: `auto` (default: windows for reading comprehension and extraction,
    /// else `truncate`), `truncate`, `error`, `longest_first`, `only_first`, `only_second`, `windows`.
    pub truncation: Option<Truncation>,
    /// By how many tokens a window begins after the one before. Key `doc_stride`; 0 (default) = 128, but half a window at
    /// most.
    pub doc_stride: Option<usize>,
    /// `truncate_to` of the 2021 tokenizer. Key `seed_truncate_to`; 0 (default) = none.
    pub seed_truncate_to: Option<usize>,
    /// Whether `[CLS]`-like strings of a text are special tokens. Key `special_tokens`: `recognize` (default), `plain`.
    pub special_tokens_in_text: SpecialTokensInText,
    /// The tokenizer scheme, where the directory does not tell it or is overruled. Key `tokenizer`, default `auto`.
    pub tokenizer: Option<Scheme>,
    /// Whether texts are lower-cased, where the directory is overruled. Key `lowercase`: `auto` (default), `on`, `off`.
    pub lowercase: Option<bool>,
    /// Whether the tokenizer has a `[MASK]`, where that is overruled. Key `mask_token`: `auto` (default: as the directory says,
    /// but none for generators of paddle-ernie, whose reference takes `[MASK]` in a source for text), `special`, `none`.
    pub mask_token: Option<bool>,
    /// Of a generator: the token that asks for the next word. Key `attention_token`: a token, default `auto`: `[ATTN]`, else
    /// `[MASK]`.
    pub attention_token: Option<String>,
    /// Of a generator: the type of tokens that it writes. Key `target_type_id`: a number, default `auto`: 3, or the last that
    /// the model has.
    pub target_type_id: Option<usize>,
    /// Of a generator on the processor whose weights are multiplied as `f32`: words that greedy search, or sampling of one sequence, has guessed ahead by a
    /// copy of the weights in 8 bits, which the first such call makes and models of the same files share. The model itself checks them: texts
    /// and scores are the same. Key `draft_tokens`, 16 at most, default 5; 0 = none, and no copy.
    pub draft_tokens: usize,
    /// The task, where the directory does not tell it or is overruled. Key `task`, default `auto`.
    pub task: Option<Task>,
    /// What raw scores mean. Key `problem`: `auto` (default), `single_label`, `multi_label`, `regression`.
    pub problem: Option<Problem>,
    /// The weights of a checkpoint, where they lie elsewhere or are several. Key `weights`: a file of the
    /// model's directory, or a path.
    pub weights: Option<String>,
    /// The names of labels, where the directory does not tell them or is overruled. Key `labels`: a file of the model's directory, or
    /// a path: JSON `{"name": id}`, `{"id": "name"}` or `["name", ...]`, or lines `name` or `name<TAB>id`.
    pub labels: Option<String>,
    /// Of how many of the last layers tokens' vectors are the mean. Key `average_layers`, default 1: the last layer.
    pub average_layers: usize,
    /// In which precision a checkpoint's weights are kept and multiplied. Key `precision`: `auto` (default: as stored, multiplied as f32), `f32`,
    /// `f16` (multiplied as f32), `bf16`, `int8`.
    pub precision: Option<Precision>,
    /// Which tokens of a text are attended to. Key `attention_mask`: `reference` (default), `all`.
    pub attention_mask: AttentionMask,
    /// The graph's file name in the directory. Key `graph`, default: `model.onnx` or the only `.onnx` file.
    pub graph: Option<String>,
    /// The graph's inputs by role. Key `inputs`: `input_ids=NAME,token_type_ids=NAME`.
    pub inputs: Bindings,
    /// The graph's outputs by role. Key `outputs`: `logits=NAME` and the like.
    pub outputs: Bindings,
    /// Whose graph is built, whatever it runs on.
    #[cfg(feature = "test-hooks")]
    pub test_graph_of: Option<Provider>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            provider: Provider::Cpu,
            device_ids: vec![0],
            fallback: Fallback::Error,
            device_memory_mb: 0,
            provider_libraries: None,
            engine_cache: None,
            n_threads: 0,
            spinning: Spinning::Auto,
            prepacking: true,
            arena: Arena::Keep,
            profile: None,
            max_rows: 32,
            max_batch_tokens: 1024,
            max_queue: None,
            max_wait_us: 0,
            async_threads: 32,
            max_tokens: None,
            truncation: None,
            doc_stride: None,
            seed_truncate_to: None,
            special_tokens_in_text: SpecialTokensInText::Recognize,
            tokenizer: None,
            lowercase: None,
            mask_token: None,
            attention_token: None,
            target_type_id: None,
            draft_tokens: 5,
            task: None,
            problem: None,
            weights: None,
            labels: None,
            average_layers: 1,
            precision: None,
            attention_mask: AttentionMask::Reference,
            graph: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            #[cfg(feature = "test-hooks")]
            test_graph_of: None,
        }
    }
}

/// Every key with a line about its values.
pub const KEYS: &[(&str, &str)] = &[
    ("provider", "cpu, cuda, tensorrt or openvino"),
    ("device_id", "a number from 0, which GPU; or several, separated by commas, each once, 64 at most"),
    ("fallback", "error or cpu"),
    ("device_memory_mb", "a number of megabytes, 16777216 at most, for the arena of CUDA; 0 = no limit"),
    ("provider_libraries", "folders with the libraries that a provider needs, separated by colons"),
    ("engine_cache", "a directory"),
    ("threads", "a number of threads inside one operator and for tokenizing, 4096 at most; 0 = one per physical core"),
    ("spinning", "auto, off, runs or on"),
    ("prepacking", "on or off"),
    ("arena", "keep, shrink or off"),
    ("profile", "the beginning of a path"),
    ("precision", "auto (as stored), f32, f16, bf16 or int8"),
    ("max_rows", "a number from 1, of texts in one run at most"),
    ("max_batch_tokens", "a number from 1, of tokens in one run at most"),
    ("max_queue", "a number of calls that may wait at a time; 0 = any number"),
    (
        "max_wait_us",
        "a number of microseconds, 10000000 at most, that a run waits for more callers; 0 = only for those who come back",
    ),
    ("async_threads", "a number from 1 to 4096, of threads for asynchronous calls at most"),
    ("max_tokens", "tokens of a text at most, special tokens included; 0 = what the model has"),
    ("truncation", "auto, truncate, error, longest_first, only_first, only_second or windows"),
    (
        "doc_stride",
        "a number of tokens, by which a window begins after the one before; 0 = 128, but half a window at most",
    ),
    ("seed_truncate_to", "a number of content tokens, cut to as the 2021 tokenizer does; 0 = none"),
    ("special_tokens", "recognize or plain"),
    ("tokenizer", "auto, ernie, bert, bert-fast, bert-paddlenlp, ernie-tiny, ernie-m, ernie-m-hf or tokenizer.json"),
    ("lowercase", "auto, on or off"),
    ("mask_token", "auto, special or none"),
    ("attention_token", "auto; else a token, which asks a generator for the next one"),
    ("target_type_id", "auto; else a number, the type of tokens that a generator writes"),
    ("draft_tokens", "a number, 16 at most, of words that a generator guesses ahead; 0 = none"),
    (
        "task",
        "auto, encoder, sequence_classification, token_classification, question_answering, masked_lm, \
              information_extraction, multiple_choice, dual_encoder, cross_encoder, generation or tensors",
    ),
    ("problem", "auto, single_label, multi_label or regression"),
    ("weights", "the weights of a checkpoint: a file of the model's directory, or a path"),
    ("labels", "the names of labels: a file of the model's directory, or a path"),
    ("average_layers", "of how many of the last layers vectors are the mean, from 1"),
    ("attention_mask", "reference or all"),
    ("graph", "the graph's file name in the directory"),
    ("inputs", "role=name,... with the roles input_ids, token_type_ids, attention_mask, position_ids, task_type_ids"),
    ("outputs", "role=name,... with the roles logits, last_hidden_state, pooler_output, start_logits, end_logits"),
];

impl Options {
    /// Sets one option.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`]: unknown key (the message lists the keys) or a value the key does not have.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let done = match key {
            "provider" => choose(value, Provider::ALL, &mut self.provider),
            "device_id" => parse_devices(value).map(|devices| self.device_ids = devices),
            "fallback" => choose(value, &[("error", Fallback::Error), ("cpu", Fallback::Cpu)], &mut self.fallback),
            "device_memory_mb" => parse(value, |n| *n <= 1 << 24, &mut self.device_memory_mb),
            "provider_libraries" => set_text(value, &mut self.provider_libraries),
            "engine_cache" => set_text(value, &mut self.engine_cache),
            "threads" => parse(value, |n| *n <= 4096, &mut self.n_threads),
            "spinning" => {
                let values =
                    [("auto", Spinning::Auto), ("off", Spinning::Off), ("runs", Spinning::Runs), ("on", Spinning::On)];
                choose(value, &values, &mut self.spinning)
            }
            "prepacking" => choose(value, &[("on", true), ("off", false)], &mut self.prepacking),
            "arena" => {
                choose(value, &[("keep", Arena::Keep), ("shrink", Arena::Shrink), ("off", Arena::Off)], &mut self.arena)
            }
            "precision" => auto_or(value, Precision::ALL, &mut self.precision),
            "profile" => set_text(value, &mut self.profile),
            "max_rows" => parse(value, |n| *n > 0, &mut self.max_rows),
            "max_batch_tokens" => parse(value, |n| *n > 0, &mut self.max_batch_tokens),
            "max_queue" => parse_or_none(value, &mut self.max_queue),
            "max_wait_us" => parse(value, |n| *n <= 10_000_000, &mut self.max_wait_us),
            "async_threads" => parse(value, |n| (1..=4096).contains(n), &mut self.async_threads),
            "max_tokens" => parse_or_none(value, &mut self.max_tokens),
            "truncation" => {
                let values = [
                    ("truncate", Truncation::Truncate),
                    ("error", Truncation::Error),
                    ("longest_first", Truncation::LongestFirst),
                    ("only_first", Truncation::OnlyFirst),
                    ("only_second", Truncation::OnlySecond),
                    ("windows", Truncation::Windows),
                ];
                auto_or(value, &values, &mut self.truncation)
            }
            "doc_stride" => parse_or_none(value, &mut self.doc_stride),
            "seed_truncate_to" => parse_or_none(value, &mut self.seed_truncate_to),
            "special_tokens" => {
                let values = [("recognize", SpecialTokensInText::Recognize), ("plain", SpecialTokensInText::Plain)];
                choose(value, &values, &mut self.special_tokens_in_text)
            }
            "tokenizer" => self.set_tokenizer(value),
            "lowercase" => auto_or(value, &[("on", true), ("off", false)], &mut self.lowercase),
            "mask_token" => auto_or(value, &[("special", true), ("none", false)], &mut self.mask_token),
            "attention_token" => unless_auto(value, |value| Some(value.to_owned()), &mut self.attention_token),
            "target_type_id" => unless_auto(value, |value| value.parse().ok(), &mut self.target_type_id),
            "draft_tokens" => parse(value, |n| *n <= 16, &mut self.draft_tokens),
            "task" => auto_or(value, Task::ALL, &mut self.task),
            "problem" => auto_or(value, Problem::ALL, &mut self.problem),
            "weights" => set_text(value, &mut self.weights),
            "labels" => set_text(value, &mut self.labels),
            "average_layers" => parse(value, |n| *n > 0, &mut self.average_layers),
            "attention_mask" => {
                let values = [("reference", AttentionMask::Reference), ("all", AttentionMask::All)];
                choose(value, &values, &mut self.attention_mask)
            }
            "graph" => self.set_graph(value),
            "inputs" => parse_bindings(value).map(|b| self.inputs = b),
            "outputs" => parse_bindings(value).map(|b| self.outputs = b),
            #[cfg(feature = "test-hooks")]
            "test_panic" => test_panic(value),
            #[cfg(feature = "test-hooks")]
            "test_graph_of" => auto_or(value, Provider::ALL, &mut self.test_graph_of),
            _ => return Err(unknown_key(key)),
        };
        done.ok_or_else(|| bad_value(key, value))
    }

    /// The first device.
    #[must_use]
    pub fn device_id(&self) -> i32 {
        self.device_ids.first().copied().unwrap_or(0)
    }

    /// The options of each device's session.
    pub(crate) fn of_each_device(&self) -> Vec<Self> {
        let of_one = |device: &i32| {
            let is_one_of_many = self.device_ids.len() > 1;
            let own_profile =
                |prefix: &String| if is_one_of_many { format!("{prefix}.{device}") } else { prefix.clone() };
            Self { device_ids: vec![*device], profile: self.profile.as_ref().map(own_profile), ..self.clone() }
        };
        self.device_ids.iter().map(of_one).collect()
    }

    /// The provider that the graph of a checkpoint is made for.
    pub(crate) fn graph_provider(&self) -> Provider {
        #[cfg(feature = "test-hooks")]
        if let Some(provider) = self.test_graph_of {
            return provider;
        }
        self.provider
    }

    fn set_tokenizer(&mut self, value: &str) -> Option<()> {
        if value == "auto" {
            self.tokenizer = None;
            return Some(());
        }
        Scheme::parse(value).ok().map(|scheme| self.tokenizer = Some(scheme))
    }

    fn set_graph(&mut self, value: &str) -> Option<()> {
        let mut parts = std::path::Path::new(value).components().peekable();
        let inside = parts.peek().is_some() && parts.all(|part| matches!(part, std::path::Component::Normal(_)));
        (inside && !value.contains('\0')).then(|| self.graph = Some(value.to_owned()))
    }
}

#[cfg(feature = "test-hooks")]
#[expect(clippy::panic, reason = "the hook exists to panic")]
fn test_panic(value: &str) -> Option<()> {
    panic!("test hook: {value}")
}

fn unknown_key(key: &str) -> Error {
    let keys: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
    Error::argument(format!("unknown option \"{}\"; the options are {}", key.escape_debug(), keys.join(", ")))
}

fn bad_value(key: &str, value: &str) -> Error {
    let values = KEYS.iter().find(|(k, _)| *k == key).map_or("", |(_, values)| values);
    Error::argument(format!("option {key} cannot be \"{}\": it takes {values}", value.escape_debug()))
}

fn parse<T: std::str::FromStr>(value: &str, allowed: impl Fn(&T) -> bool, target: &mut T) -> Option<()> {
    value.parse().ok().filter(allowed).map(|parsed| *target = parsed)
}

fn unless_auto<T>(value: &str, parse: impl Fn(&str) -> Option<T>, target: &mut Option<T>) -> Option<()> {
    *target = if value == "auto" { None } else { Some(parse(value)?) };
    Some(())
}

/// A text that is not empty.
fn set_text(value: &str, target: &mut Option<String>) -> Option<()> {
    (!value.is_empty() && !value.contains('\0')).then(|| *target = Some(value.to_owned()))
}

/// A number; 0 stands for none.
fn parse_or_none(value: &str, target: &mut Option<usize>) -> Option<()> {
    value.parse().ok().map(|n: usize| *target = (n > 0).then_some(n))
}

fn choose<T: Copy>(value: &str, values: &[(&str, T)], target: &mut T) -> Option<()> {
    values.iter().find(|(name, _)| *name == value).map(|(_, chosen)| *target = *chosen)
}

fn auto_or<T: Copy>(value: &str, values: &[(&str, T)], target: &mut Option<T>) -> Option<()> {
    if value == "auto" {
        *target = None;
        return Some(());
    }
    values.iter().find(|(name, _)| *name == value).map(|(_, chosen)| *target = Some(*chosen))
}

fn parse_devices(value: &str) -> Option<Vec<i32>> {
    const MOST: usize = 64;
    let devices: Option<Vec<i32>> = value.split(',').map(|id| id.trim().parse().ok().filter(|id| *id >= 0)).collect();
    let is_once = |devices: &Vec<i32>| (1..devices.len()).all(|n| !devices[..n].contains(&devices[n]));
    devices.filter(|devices| devices.len() <= MOST && is_once(devices))
}

fn parse_bindings(value: &str) -> Option<Bindings> {
    if value.is_empty() {
        return Some(Vec::new());
    }
    value
        .split(',')
        .map(|part| {
            let (role, name) = part.split_once('=')?;
            (!role.is_empty() && !name.is_empty()).then(|| (role.trim().to_owned(), name.trim().to_owned()))
        })
        .collect()
}
