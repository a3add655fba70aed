//! The command line of `generate`.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ernie::error::{Error, Result};
use ernie::options::Options;
use ernie::pipeline::{Decoding, Generation, SourcePadding};

use super::{BulkArgs, ModelArgs, ReadArgs, TextArgs, positive, whole};

/// What comes out, below the options.
const OUTPUT: &str = "\
JSON Lines have:
  id                  That of the line, where it has one.
  text                The text, the first of several.
  score               Of beam search what texts are compared by, else the same as log_probability.
  log_probability     The logarithm of the text's probability.
  finish              Why it ends: end (by the model), length (--max-new-tokens), stop_string (--stop), exhausted (all tokens
                      are forbidden).
  token_ids           Its tokens (--ids).
  sequences           All texts, of beam search the best first (--sequences above 1).
  n_truncated_tokens  How much of the source was cut, where it was.

`ernie inspect` shows how many new tokens and how long a source a model has room for.";

/// A text takes many steps, so chunks are smaller than those of other commands. Windows would give several sources of a text.
#[derive(Args)]
#[command(after_help = OUTPUT)]
#[command(mut_arg("chunk", |chunk| chunk.default_value("64")))]
#[command(mut_arg("doc_stride", |doc_stride| doc_stride.hide(true)))]
pub(crate) struct GenerateArgs {
    /// The model's directory.
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// What of a chunk the words of a text see: its own source, or also the padding up to the longest, as in batches of the
    /// reference.
    #[arg(long, value_enum, default_value_t = SourcePaddingArg::None)]
    source_padding: SourcePaddingArg,
    /// Add token_ids to every text.
    #[arg(long)]
    pub(crate) ids: bool,
    /// Write texts alone, one input after the other and each piece as soon as it is certain (several sequences: a line each, at
    /// their end; a bad line: as many empty ones). So it is without this where standard output is a terminal.
    #[arg(long, conflicts_with_all = ["json", "ids", "output", "chunk"])]
    stream: bool,
    /// Write JSON Lines on a terminal too.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    text: TextArgs,
}

/// Flags of other ways to choose words. A flag that requires sampling needs them as well: clap takes a requirement for met where
/// what is required cannot be given.
const NOT_SAMPLING: [&str; 3] = ["greedy", "beams", "length_penalty"];

/// The same for beam search.
const NOT_BEAMS: [&str; 2] = ["greedy", "sample"];

/// How words are chosen.
#[derive(Args)]
struct DecodingArgs {
    /// Beam search, which is the default: hypotheses that are followed, from 1 to 64 (5).
    #[arg(
        long, value_name = "N", conflicts_with_all = NOT_BEAMS,
        allow_negative_numbers = true, value_parser = whole::<usize>
    )]
    beams: Option<usize>,
    /// Beam search: hypotheses are compared by `log p / ((5 + tokens) / 6)^X`, from -10 to 10 (1).
    #[arg(long, value_name = "X", conflicts_with_all = NOT_BEAMS, allow_negative_numbers = true)]
    length_penalty: Option<f32>,
    /// The likeliest token, each time.
    #[arg(long, conflicts_with = "sample")]
    greedy: bool,
    /// Tokens by chance, as likely as the model says.
    #[arg(long)]
    sample: bool,
    /// Sampling: logits are divided by it, above 0 and finite; below 1 likely tokens become likelier (1).
    #[arg(
        long, value_name = "X", requires = "sample", conflicts_with_all = NOT_SAMPLING,
        allow_negative_numbers = true
    )]
    temperature: Option<f32>,
    /// Sampling: only so many of the likeliest tokens (all).
    #[arg(
        long, value_name = "K", requires = "sample", conflicts_with_all = NOT_SAMPLING,
        allow_negative_numbers = true, value_parser = positive
    )]
    top_k: Option<usize>,
    /// Sampling: only the likeliest tokens that together have this probability, above 0 and up to 1 (1: all).
    #[arg(
        long, value_name = "P", requires = "sample", conflicts_with_all = NOT_SAMPLING,
        allow_negative_numbers = true
    )]
    top_p: Option<f32>,
    /// Sampling: the same seed gives the same texts, and equal lines the same samples (0).
    #[arg(
        long, value_name = "N", requires = "sample", conflicts_with_all = NOT_SAMPLING,
        allow_negative_numbers = true, value_parser = whole::<u64>
    )]
    seed: Option<u64>,
    /// Texts for each input: the best hypotheses, no more than beams, or so many samples, up to 64 (1).
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    sequences: Option<usize>,
}

/// What is written and what is not.
#[derive(Args)]
struct LimitArgs {
    /// Tokens of a text at most (120, or a quarter of the model's positions where that is less).
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    max_new_tokens: Option<usize>,
    /// Tokens of a text at least (0).
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    min_new_tokens: Option<usize>,
    /// Logits of tokens that were written are divided by it, or multiplied where they are negative; from 0.001 to 1000 (1: neither).
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    repetition_penalty: Option<f32>,
    /// No sequence of N tokens is written twice (0: any may be).
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    no_repeat_ngram: Option<usize>,
    /// End a text before this string. May be given several times.
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// The id of a token that is not written. May be given several times.
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    forbid: Vec<i64>,
    /// The id of a token that every text begins with, none that is forbidden or ends a text. May be given several times, in the
    /// order of the tokens.
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    begin_with: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SourcePaddingArg {
    None,
    Reference,
}

/// How answers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    JsonLines,
    /// Texts alone, as they come.
    Texts,
}

impl GenerateArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        self.text.add_to(self.model.options()?)
    }

    /// How texts are written; whether a model can follow it is found out by the model.
    pub(crate) fn settings(&self) -> Generation {
        let Self { decoding, limits, .. } = self;
        let default = Generation::default();
        Generation {
            decoding: match (decoding.greedy, decoding.sample) {
                (true, _) => Decoding::Greedy,
                (false, true) => Decoding::Sample,
                (false, false) => Decoding::Beam,
            },
            n_beams: decoding.beams.unwrap_or(default.n_beams),
            length_penalty: decoding.length_penalty.unwrap_or(default.length_penalty),
            temperature: decoding.temperature.unwrap_or(default.temperature),
            top_k: decoding.top_k,
            top_p: decoding.top_p.unwrap_or(default.top_p),
            seed: decoding.seed.unwrap_or(default.seed),
            n_sequences: decoding.sequences.unwrap_or(default.n_sequences),
            max_new_tokens: limits.max_new_tokens,
            min_new_tokens: limits.min_new_tokens.unwrap_or(default.min_new_tokens),
            repetition_penalty: limits.repetition_penalty.unwrap_or(default.repetition_penalty),
            no_repeat_ngram: limits.no_repeat_ngram.unwrap_or(default.no_repeat_ngram),
            forbidden_tokens: limits.forbid.clone(),
            forced_tokens: limits.begin_with.clone(),
            stop: limits.stop.clone(),
            source_padding: match self.source_padding {
                SourcePaddingArg::None => SourcePadding::None,
                SourcePaddingArg::Reference => SourcePadding::Reference,
            },
        }
    }

    /// How answers are written: as texts where that is asked for, or where a person watches and asks for nothing else.
    pub(crate) fn form(&self) -> Result<Form> {
        let asks_for_json = self.json || self.ids || self.bulk.output.is_some();
        if !self.stream && (asks_for_json || !std::io::stdout().is_terminal()) {
            return Ok(Form::JsonLines);
        }
        if self.source_padding == SourcePaddingArg::Reference {
            let reason = "--source-padding reference fills up the sources of a chunk, and texts that are written as they come \
                          (--stream, or a terminal without --json) have none";
            return Err(Error::InvalidArgument(reason.into()));
        }
        Ok(Form::Texts)
    }

    /// How texts are read; what is written as it comes is read a line at a time.
    pub(crate) fn read(&self, form: Form) -> ReadArgs {
        let chunk = if form == Form::Texts { 1 } else { self.read.chunk };
        ReadArgs { format: self.read.format, chunk }
    }
}
