//! The command line of `infer`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use ernie::error::Result;
use ernie::options::{Options, Task};
use ernie::pipeline::{AnswerSpan, Call, NoAnswer, Schema, SchemaLanguage, Tags, Words};

use super::{BulkArgs, CLASSIFIES, Flag, ModelArgs, ProblemArg, ReadArgs, TextArgs, positive, refuse_idle};
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct InferArgs {
    /// The model's directory, or an .onnx file in one.
    pub(crate) dir: PathBuf,
    /// Labels, answers or words of a `[MASK]` at most.
    #[arg(long, value_name = "K", value_parser = positive)]
    top_k: Option<usize>,
    /// The probability, above 0 and up to 1, above which something is found (labels, entities; extraction: without it 0.5).
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,
    /// Add input_ids, token_type_ids and the graph's own outputs to every line; generation gives them instead of texts.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    labels: LabelArgs,
    #[command(flatten)]
    answers: AnswerArgs,
    #[command(flatten)]
    masks: MaskArgs,
    #[command(flatten)]
    extraction: ExtractionArgs,
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    text: TextArgs,
}

/// Classification of texts and words.
#[derive(Args)]
struct LabelArgs {
    /// Classification: what raw scores mean, where the model is to be overruled.
    #[arg(long, value_enum)]
    problem: Option<ProblemArg>,
    /// Token classification: where words begin: between bytes 0x02, as the tokenizer finds them, or (auto) as the text is.
    #[arg(long, value_enum)]
    words: Option<WordsArg>,
    /// Token classification: entities, or a label for every word.
    #[arg(long, value_enum)]
    tags: Option<TagsArg>,
}

/// Reading comprehension.
#[derive(Args)]
struct AnswerArgs {
    /// Reading comprehension: an answer is what the reference prints, or what its tokens cover.
    #[arg(long, value_enum)]
    answer_span: Option<AnswerSpanArg>,
    /// Reading comprehension: a question may have no answer, as in SQuAD 2.0.
    #[arg(long)]
    no_answer: bool,
    /// Reading comprehension: starts and ends that are paired, and answers at most (20).
    #[arg(long, value_name = "N", value_parser = positive)]
    n_best: Option<usize>,
    /// Reading comprehension: tokens of an answer at most (100).
    #[arg(long, value_name = "N", value_parser = positive)]
    max_answer_tokens: Option<usize>,
    /// Reading comprehension: tokens of a question at most (64).
    #[arg(long, value_name = "N", value_parser = positive)]
    max_question_tokens: Option<usize>,
}

/// Cloze.
#[derive(Args)]
struct MaskArgs {
    /// Cloze: a word that may stand for a `[MASK]`. May be given several times.
    #[arg(long, value_name = "WORD")]
    candidates: Vec<String>,
    /// Cloze: a file with such a word a line; they come behind those of --candidates.
    #[arg(long, value_name = "FILE")]
    candidates_file: Option<PathBuf>,
    /// Cloze: only tokens that are words of their own, no pieces and no special tokens.
    #[arg(long, conflicts_with_all = ["candidates", "candidates_file"])]
    whole_words: bool,
}

/// Extraction.
#[derive(Args)]
struct ExtractionArgs {
    /// Extraction: what is to be found, as JSON or @FILE: `["人物", {"竞赛名称": ["主办方"]}]`.
    #[arg(long, value_name = "JSON")]
    schema: Option<String>,
    /// Extraction: the language in which the names of a schema are put together with what they belong to.
    #[arg(long, value_enum, requires = "schema")]
    schema_language: Option<SchemaLanguageArg>,
}

fn probability(text: &str) -> std::result::Result<f32, String> {
    let parsed = text.parse().ok().filter(|p: &f32| *p > 0.0 && *p <= 1.0);
    parsed.ok_or_else(|| "expected a probability above 0 and up to 1".to_owned())
}

#[derive(Clone, Copy, ValueEnum)]
enum WordsArg {
    Auto,
    Separated,
    Found,
}

#[derive(Clone, Copy, ValueEnum)]
enum TagsArg {
    Entities,
    Words,
}

#[derive(Clone, Copy, ValueEnum)]
enum AnswerSpanArg {
    Reference,
    Tokens,
}

#[derive(Clone, Copy, ValueEnum)]
enum SchemaLanguageArg {
    Chinese,
    English,
}

const TAGS: &[Task] = &[Task::TokenClassification];
const ANSWERS: &[Task] = &[Task::QuestionAnswering];
const FILLS: &[Task] = &[Task::MaskedLm];
const EXTRACTS: &[Task] = &[Task::InformationExtraction];

impl InferArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        self.text.add_to(self.model.options()?)
    }

    /// What is asked of a model with this task.
    pub(crate) fn call(&self, task: Task) -> Result<Call, Failure> {
        self.check(task)?;
        let Self { labels, answers, masks, extraction, .. } = self;
        Ok(Call {
            top_k: self.top_k,
            threshold: self.threshold,
            with_raw_outputs: self.raw,
            problem: labels.problem.map(ProblemArg::problem),
            words: labels.words.map_or_else(Words::default, |words| match words {
                WordsArg::Auto => Words::Auto,
                WordsArg::Separated => Words::Separated,
                WordsArg::Found => Words::Found,
            }),
            tags: labels.tags.map_or_else(Tags::default, |tags| match tags {
                TagsArg::Entities => Tags::Entities,
                TagsArg::Words => Tags::Words,
            }),
            answer_span: answers.answer_span.map_or_else(AnswerSpan::default, |span| match span {
                AnswerSpanArg::Reference => AnswerSpan::Reference,
                AnswerSpanArg::Tokens => AnswerSpan::Tokens,
            }),
            no_answer: if answers.no_answer { NoAnswer::Allowed } else { NoAnswer::Never },
            n_best: answers.n_best,
            max_answer_tokens: answers.max_answer_tokens,
            max_question_tokens: answers.max_question_tokens,
            candidates: masks.all()?,
            whole_words: masks.whole_words,
            schema: extraction.parsed()?,
            schema_language: extraction.schema_language.map_or_else(
                SchemaLanguage::default,
                |language| match language {
                    SchemaLanguageArg::Chinese => SchemaLanguage::Chinese,
                    SchemaLanguageArg::English => SchemaLanguage::English,
                },
            ),
            ..Call::default()
        })
    }

    /// Refuses what would change nothing.
    fn check(&self, task: Task) -> Result<()> {
        let Self { labels, answers, masks, extraction, .. } = self;
        let given: [Flag<'_>; 14] = [
            ("top-k", self.top_k.is_some(), &[CLASSIFIES, ANSWERS, FILLS]),
            ("threshold", self.threshold.is_some(), &[CLASSIFIES, TAGS, EXTRACTS]),
            ("problem", labels.problem.is_some(), &[CLASSIFIES]),
            ("words", labels.words.is_some(), &[TAGS]),
            ("tags", labels.tags.is_some(), &[TAGS]),
            ("answer-span", answers.answer_span.is_some(), &[ANSWERS]),
            ("no-answer", answers.no_answer, &[ANSWERS]),
            ("n-best", answers.n_best.is_some(), &[ANSWERS]),
            ("max-answer-tokens", answers.max_answer_tokens.is_some(), &[ANSWERS]),
            ("max-question-tokens", answers.max_question_tokens.is_some(), &[ANSWERS]),
            ("candidates", !masks.candidates.is_empty(), &[FILLS]),
            ("candidates-file", masks.candidates_file.is_some(), &[FILLS]),
            ("whole-words", masks.whole_words, &[FILLS]),
            ("schema", extraction.schema.is_some(), &[EXTRACTS]),
        ];
        refuse_idle(task, &given)
    }
}

impl MaskArgs {
    fn all(&self) -> Result<Vec<String>, Failure> {
        let mut words = self.candidates.clone();
        if let Some(path) = &self.candidates_file {
            let text = read(path)?;
            words.extend(text.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned));
            if words.is_empty() {
                return Err(Failure::Refused(format!("{}: no words", path.display())));
            }
        }
        Ok(words)
    }
}

impl ExtractionArgs {
    fn parsed(&self) -> Result<Option<Arc<Schema>>, Failure> {
        let Some(schema) = &self.schema else { return Ok(None) };
        let parsed = match schema.strip_prefix('@') {
            Some(path) => {
                let text = read(Path::new(path))?;
                Schema::parse(&text).map_err(|e| Failure::Refused(format!("{path}: {}", e.report())))?
            }
            None => Schema::parse(schema).map_err(|e| Failure::Refused(format!("--schema: {}", e.report())))?,
        };
        Ok(Some(Arc::new(parsed)))
    }
}

/// A file as text, without a byte order mark.
fn read(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::of(path))?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), ToOwned::to_owned))
}
