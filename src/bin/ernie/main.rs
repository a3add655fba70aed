//! The command-line tool: `inspect`, `export`, `tokenize`, `encode` and `infer` on a model's directory.
//!
//! In: text lines or JSON Lines, from a file or standard input. Out: JSON Lines on standard output, in input order,
//! flushed as they come. Messages go to standard error. A file of any size takes the memory of one chunk of lines.

mod export;
mod inspect;
mod lines;
mod records;
mod stream;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ernie::error::{Error, Result};
use ernie::options::{Options, Precision, Problem};
use ernie::pipeline::{Call, Normalize, Pooling};

/// Runs Baidu ERNIE models.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what a directory holds: family, task, sizes, tokenizer, inputs and outputs, and what is missing.
    Inspect(InspectArgs),
    /// Write a checkpoint as a bundle: manifest, weights, graph and tokenizer, which opens at once. Needs no ONNX Runtime.
    Export(ExportArgs),
    /// Turn texts into token ids with byte offsets. Needs no ONNX Runtime.
    Tokenize(RunArgs),
    /// Turn texts into vectors.
    Encode(EncodeArgs),
    /// Answer the model's task: labels with scores.
    Infer(InferArgs),
}

#[derive(Args)]
struct InspectArgs {
    /// The model's directory, or an .onnx file in one.
    dir: PathBuf,
    /// One JSON object instead of lines for people.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Args)]
struct ExportArgs {
    /// The checkpoint's directory.
    dir: PathBuf,
    /// The bundle's directory; it must not exist or be empty, and appears when it is complete.
    out: PathBuf,
    /// How the weights are stored; without it as they are.
    #[arg(long, value_enum)]
    precision: Option<PrecisionArg>,
    /// Write a graph of standard operators with a text a row, for other runtimes and TensorRT.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// How the model is opened.
#[derive(Args)]
pub(crate) struct ModelArgs {
    /// Set an option of the library: `--set threads=2`. May be given several times; an unknown key lists them all.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
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
    /// Give a longer text (or pair) in windows that begin N tokens after one another instead of cutting it (tokenize).
    #[arg(long, value_name = "N", conflicts_with = "no_truncation")]
    doc_stride: Option<usize>,
    /// Treat `[CLS]`-like strings in the texts as plain text.
    #[arg(long)]
    plain_special_tokens: bool,
}

/// What is read and written.
#[derive(Args)]
pub(crate) struct RunArgs {
    /// The model's directory, or an .onnx file in one.
    pub(crate) dir: PathBuf,
    /// Text lines or JSON Lines `{"text": ..., "pair": ...}`; standard input when absent or `-`.
    pub(crate) file: Option<PathBuf>,
    /// How lines are read; `auto` takes JSON Lines when the first line is a JSON object.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(crate) format: Format,
    /// Stop at the first bad line instead of naming it and going on.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Add input_ids, token_type_ids and the graph's own outputs to every line (encode, infer).
    #[arg(long)]
    pub(crate) raw: bool,
    /// Lines that are worked on together.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) chunk: u32,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    text: TextArgs,
}

#[derive(Args)]
struct EncodeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// How one vector is made of a text's token vectors.
    #[arg(long, value_enum, default_value_t = PoolingArg::Default)]
    pooling: PoolingArg,
    /// Divide every vector by its Euclidean length.
    #[arg(long)]
    normalize: bool,
    /// Add the vectors of all tokens.
    #[arg(long)]
    tokens: bool,
}

#[derive(Args)]
struct InferArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Labels of each text at most.
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// What raw scores mean, where the model is to be overruled.
    #[arg(long, value_enum)]
    problem: Option<ProblemArg>,
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
enum PoolingArg {
    Default,
    Pooler,
    Cls,
    Mean,
    Max,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProblemArg {
    SingleLabel,
    MultiLabel,
    Regression,
}

fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl ModelArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        let mut options = Options::default();
        for (key, value) in &self.set {
            options.set(key, value)?;
        }
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

impl RunArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        let mut options = self.model.options()?;
        if let Some(max_tokens) = self.text.max_tokens {
            options.set("max_tokens", &max_tokens.to_string())?;
        }
        if self.text.no_truncation {
            options.set("truncation", "error")?;
        }
        if let Some(doc_stride) = self.text.doc_stride {
            options.set("truncation", "windows")?;
            options.set("doc_stride", &doc_stride.to_string())?;
        }
        if self.text.plain_special_tokens {
            options.set("special_tokens", "plain")?;
        }
        Ok(options)
    }
}

impl ExportArgs {
    fn precision(&self) -> Option<Precision> {
        self.precision.map(|precision| match precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::F16 => Precision::F16,
        })
    }
}

impl EncodeArgs {
    fn call(&self) -> Call {
        Call {
            pooling: match self.pooling {
                PoolingArg::Default => Pooling::Default,
                PoolingArg::Pooler => Pooling::Pooler,
                PoolingArg::Cls => Pooling::Cls,
                PoolingArg::Mean => Pooling::Mean,
                PoolingArg::Max => Pooling::Max,
            },
            normalize: if self.normalize { Normalize::L2 } else { Normalize::None },
            with_token_vectors: self.tokens,
            with_raw_outputs: self.run.raw,
            ..Call::default()
        }
    }
}

impl InferArgs {
    fn call(&self) -> Call {
        Call {
            top_k: self.top_k.filter(|k| *k > 0),
            problem: self.problem.map(|problem| match problem {
                ProblemArg::SingleLabel => Problem::SingleLabel,
                ProblemArg::MultiLabel => Problem::MultiLabel,
                ProblemArg::Regression => Problem::Regression,
            }),
            with_raw_outputs: self.run.raw,
            ..Call::default()
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command-line tool reports on standard error")]
fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Inspect(args) => inspect::run(&args.dir, &args.model, args.json),
        Command::Export(args) => export::run(&args),
        Command::Tokenize(args) => stream::run(&args, &Call::default(), stream::Kind::Tokenize),
        Command::Encode(args) => stream::run(&args.run, &args.call(), stream::Kind::Encode),
        Command::Infer(args) => stream::run(&args.run, &args.call(), stream::Kind::Infer),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has had enough, as `head` does.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ernie: {error}");
            ExitCode::FAILURE
        }
    }
}
