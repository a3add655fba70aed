//! The command line: what all commands that read texts share.

mod encode;
mod generate;
mod infer;

pub(crate) use encode::{EncodeArgs, PoolingArgs};
pub(crate) use generate::{Form, GenerateArgs};
pub(crate) use infer::InferArgs;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ernie::error::{Error, Result};
use ernie::options::{Options, Precision, Problem, Task};
use ernie::pipeline::Call;

use crate::output_file::Existing;

/// What the shell is told, below the commands.
const EXIT_STATUS: &str = "\
Exit status:
  0  All lines were read, also where some were bad; or the reader of standard output closed it, as `head` does.
  1  The run failed; --strict: at a bad line, --fail: after one.
  2  The command line is wrong.";

/// Runs Baidu ERNIE models.
#[derive(Parser)]
#[command(version, about, after_help = EXIT_STATUS, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show where models can run: each provider, or what it lacks in the words of the loader or the device.
    Devices(DevicesArgs),
    /// Show what a directory holds: family, task, sizes, tokenizer, inputs and outputs, and what is missing.
    Inspect(InspectArgs),
    /// Write a checkpoint as a bundle: manifest, weights, graph and tokenizer, which opens at once. Needs no ONNX Runtime.
    Export(ExportArgs),
    /// Turn texts into token ids with byte offsets. Needs no ONNX Runtime.
    Tokenize(TokenizeArgs),
    /// Turn texts into vectors: JSON Lines, or with `--output FILE.npy` a NumPy array.
    Encode(EncodeArgs),
    /// Answer the model's task: labels, entities, answers, words of a `[MASK]`, what a schema names, a written text.
    Infer(Box<InferArgs>),
    /// Put candidates in order for a query: JSON Lines `{"query": ..., "candidates": [...]}`.
    Rank(RankArgs),
    /// Write a text for each text, by beam search, greedily or by chance: JSON Lines, or with `--stream` and on a terminal the
    /// texts as they come.
    Generate(Box<GenerateArgs>),
}

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// The model's directory, or an .onnx file in one.
    pub(crate) dir: PathBuf,
    /// One JSON object instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

#[derive(Args)]
pub(crate) struct DevicesArgs {
    /// One JSON object instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    set: SetArgs,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// The checkpoint's directory.
    pub(crate) dir: PathBuf,
    /// The bundle's directory; it must not exist or be empty, and appears when it is complete.
    pub(crate) out: PathBuf,
    /// How the weights are stored; without it as they are.
    #[arg(long, value_enum)]
    precision: Option<PrecisionArg>,
    /// Write a graph of standard operators with a text a row, for other runtimes and TensorRT.
    #[arg(long)]
    pub(crate) plain: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

#[derive(Args)]
pub(crate) struct TokenizeArgs {
    /// The tokenizer's directory, or an .onnx file in one.
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    text: TextArgs,
}

#[derive(Args)]
pub(crate) struct RankArgs {
    /// The model's directory, or an .onnx file in one.
    pub(crate) dir: PathBuf,
    /// Candidates of each ranking at most; the scores are those of all.
    #[arg(long, value_name = "K", value_parser = positive)]
    top_k: Option<usize>,
    /// What raw scores mean, where the model is to be overruled (classifiers of pairs).
    #[arg(long, value_enum)]
    problem: Option<ProblemArg>,
    #[command(flatten)]
    pooling: PoolingArgs,
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    text: TextArgs,
}

/// Options of the library by their names.
#[derive(Args)]
pub(crate) struct SetArgs {
    /// Set an option of the library: `--set threads=2`. May be given several times; an unknown key lists them all.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

/// How the model is opened.
#[derive(Args)]
pub(crate) struct ModelArgs {
    #[command(flatten)]
    set: SetArgs,
    /// The weights, where they lie apart from the config, as fine-tuned ones do (`ckpt.bin`).
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The task, where the directory does not tell it or is overruled.
    #[arg(long)]
    task: Option<String>,
}

/// How texts become tokens.
#[derive(Args)]
pub(crate) struct TextArgs {
    /// Tokens of a text or pair at most, special tokens included.
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// Refuse longer texts instead of cutting them.
    #[arg(long)]
    no_truncation: bool,
    /// Give a longer text (or pair) to the model in windows that begin N tokens after one another instead of cutting it.
    #[arg(long, value_name = "N", conflicts_with = "no_truncation")]
    doc_stride: Option<usize>,
    /// Treat `[CLS]`-like strings in the texts as plain text.
    #[arg(long)]
    plain_special_tokens: bool,
}

/// What is read and written.
#[derive(Args)]
pub(crate) struct BulkArgs {
    /// Files and patterns (`'data/*.jsonl'`), read one after the other; standard input when absent or `-`.
    pub(crate) files: Vec<PathBuf>,
    /// Write the answers there; to standard output when absent or `-`.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on with the output of a run of the same inputs that was broken off.
    #[arg(long, requires = "output", conflicts_with = "force")]
    resume: bool,
    /// Write the output anew where it is there already.
    #[arg(long, requires = "output")]
    force: bool,
    /// Stop at the first bad line instead of naming it and going on.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Answer all lines, but exit with status 1 when one of them was bad; lines that an earlier run answered do not count.
    #[arg(long)]
    pub(crate) fail: bool,
    /// Say on standard error how far the work is, every 10 seconds and at the end, also where no terminal watches.
    #[arg(long)]
    pub(crate) progress: bool,
}

/// How texts are read.
#[derive(Args)]
pub(crate) struct ReadArgs {
    /// How lines are read; `auto` takes JSON Lines from `*.jsonl`, and where the first line that is not blank begins with `{`.
    /// A blank line is an empty text, of JSON Lines a bad line.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(crate) format: Format,
    /// Lines that are worked on together.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) chunk: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Auto,
    Text,
    Jsonl,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionArg {
    F32,
    F16,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProblemArg {
    SingleLabel,
    MultiLabel,
    Regression,
}

impl ProblemArg {
    fn problem(self) -> Problem {
        match self {
            Self::SingleLabel => Problem::SingleLabel,
            Self::MultiLabel => Problem::MultiLabel,
            Self::Regression => Problem::Regression,
        }
    }
}

/// A flag, whether it was given, and the tasks that it changes.
type Flag<'a> = (&'a str, bool, &'a [&'a [Task]]);

const CLASSIFIES: &[Task] = &[Task::SequenceClassification, Task::CrossEncoder, Task::MultipleChoice];
const SCORES_PAIRS: &[Task] = &[Task::SequenceClassification, Task::CrossEncoder];
const COMPARES_VECTORS: &[Task] = &[Task::Encoder, Task::DualEncoder];

/// Refuses what would change nothing.
fn refuse_idle(task: Task, flags: &[Flag<'_>]) -> Result<()> {
    let is_idle = |(_, is_given, tasks): &&Flag<'_>| *is_given && !tasks.concat().contains(&task);
    match flags.iter().find(is_idle) {
        Some((flag, ..)) => Err(Error::InvalidArgument(format!("--{flag} changes nothing of task {}", task.name()))),
        None => Ok(()),
    }
}

fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Whether a file is to be an array, by its name.
fn is_array(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"))
}

fn positive(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a number from 1".to_owned())
}

/// A whole number; clap's own parser does not say which there are.
fn whole<T: FromStr>(text: &str) -> std::result::Result<T, String> {
    text.parse().map_err(|_| "expected a whole number from 0".to_owned())
}

impl SetArgs {
    fn options(&self) -> Result<Options> {
        let mut options = Options::default();
        self.set.iter().try_for_each(|(key, value)| options.set(key, value))?;
        Ok(options)
    }
}

impl DevicesArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        self.set.options()
    }
}

impl ModelArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        let mut options = self.set.options()?;
        if let Some(weights) = &self.weights {
            let text = weights.to_str().ok_or_else(|| {
                Error::InvalidArgument(format!("--weights {}: the path is not UTF-8", weights.display()))
            })?;
            options.set("weights", text)?;
        }
        if let Some(task) = &self.task {
            options.set("task", task)?;
        }
        Ok(options)
    }
}

impl TextArgs {
    fn add_to(&self, mut options: Options) -> Result<Options> {
        if let Some(max_tokens) = self.max_tokens {
            options.set("max_tokens", &max_tokens.to_string())?;
        }
        if self.no_truncation {
            options.set("truncation", "error")?;
        }
        if let Some(doc_stride) = self.doc_stride {
            options.set("truncation", "windows")?;
            options.set("doc_stride", &doc_stride.to_string())?;
        }
        if self.plain_special_tokens {
            options.set("special_tokens", "plain")?;
        }
        Ok(options)
    }
}

impl ExportArgs {
    pub(crate) fn precision(&self) -> Option<Precision> {
        self.precision.map(|precision| match precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::F16 => Precision::F16,
        })
    }
}

impl TokenizeArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        self.text.add_to(self.set.options()?)
    }
}

impl RankArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        self.text.add_to(self.model.options()?)
    }

    /// What is asked of a model with this task, whose scores mean `of_model` as far as it says so.
    pub(crate) fn call(&self, task: Task, of_model: Option<Problem>) -> Result<Call> {
        let given: [Flag<'_>; 3] = [
            ("problem", self.problem.is_some(), &[SCORES_PAIRS]),
            ("pooling", self.pooling.pooling.is_some(), &[COMPARES_VECTORS]),
            ("normalize", self.pooling.normalize, &[COMPARES_VECTORS]),
        ];
        refuse_idle(task, &given)?;
        let problem = self.problem.map(ProblemArg::problem);
        // Pairs of any labels are scored in two ways: by a sigmoid, or not.
        let is_sigmoid = |problem: Option<Problem>| problem == Some(Problem::MultiLabel);
        if problem.is_some() && is_sigmoid(problem) == is_sigmoid(of_model) {
            return Err(Error::InvalidArgument("--problem changes nothing of how this model ranks".into()));
        }
        Ok(Call { top_k: self.top_k, problem, ..self.pooling.call() })
    }

    /// Every line is a batch of its own.
    pub(crate) fn read(&self) -> ReadArgs {
        ReadArgs { format: Format::Jsonl, chunk: 1 }
    }
}

impl BulkArgs {
    /// The file that answers are written to; without one they go to standard output.
    pub(crate) fn output(&self) -> Result<Option<&Path>> {
        let output = self.output.as_deref().filter(|path| *path != Path::new("-"));
        match output.is_none() && (self.resume || self.force) {
            true => Err(Error::InvalidArgument("--resume and --force are for an output file".into())),
            false => Ok(output),
        }
    }

    /// The same of commands that write lines.
    pub(crate) fn lines_output(&self) -> Result<Option<&Path>> {
        match self.output()?.filter(|path| is_array(path)) {
            Some(path) => {
                let path = path.display();
                Err(Error::InvalidArgument(format!("{path}: an array is written by `encode`, this writes JSON Lines")))
            }
            None => self.output(),
        }
    }

    /// What happens to an output that is there already.
    pub(crate) fn existing(&self) -> Existing {
        match (self.resume, self.force) {
            (true, _) => Existing::Kept,
            (false, true) => Existing::Replaced,
            (false, false) => Existing::Refused,
        }
    }
}
