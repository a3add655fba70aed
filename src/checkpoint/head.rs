//! Which head a checkpoint has, and which one is wanted.
//!
//! The caller's task decides, then the class that the config names, then the tensors. A head that is wanted and not
//! there is refused: the references would go on with a random one.

use super::canonical::Found;
use super::names::Scheme;
use crate::architecture::{Head, LinearLayout};
use crate::error::{Error, Result};
use crate::options::Task;

/// A head, and whether there is a next-sentence head beside it.
pub(super) struct Kind {
    pub(super) head: Head,
    pub(super) has_next_sentence: bool,
}

/// Finds the head.
pub(super) fn find(found: &Found<'_>, wanted: Option<Task>, hidden_size: usize, layout: LinearLayout) -> Result<Kind> {
    if let (Some(wanted), Some(declared)) = (wanted, found.spec.declared_task)
        && !may_serve(declared, wanted)
    {
        return Err(Error::Unsupported(format!(
            "{}: made for task {}; its head cannot serve task {}",
            found.spec.dir.display(),
            declared.name(),
            wanted.name()
        )));
    }
    let task = wanted.or(found.spec.declared_task).unwrap_or_else(|| task_of_tensors(found));
    let heads = Heads { found, hidden_size, layout, task };
    let head = heads.head()?;
    let beside = matches!(head, Head::MaskedLm | Head::None);
    Ok(Kind { head, has_next_sentence: beside && found.get("next_sentence.weight").is_some() })
}

/// Whether weights that a config declares for one task can be meant for another: heads of one shape under one name are
/// not told apart by their tensors.
fn may_serve(declared: Task, wanted: Task) -> bool {
    const PAIRS: [Task; 2] = [Task::SequenceClassification, Task::CrossEncoder];
    declared == wanted
        || wanted == Task::Encoder
        || declared == Task::Encoder
        || PAIRS.contains(&declared) && PAIRS.contains(&wanted)
}

/// The task that the tensors tell.
fn task_of_tensors(found: &Found<'_>) -> Task {
    let has = |name: &str| found.get(name).is_some();
    let by_name: &[(&str, Task)] = &[
        ("cls_seq_label_out_w", Task::TokenClassification),
        ("cls_mrc_out_w", Task::QuestionAnswering),
        ("qa_outputs.weight", Task::QuestionAnswering),
    ];
    if let Some((_, task)) = by_name.iter().find(|(name, _)| found.has_name(name)) {
        return *task;
    }
    let has_pooler = has("pooler.weight");
    if has("reduce.weight") {
        Task::DualEncoder
    } else if has("start.weight") && has("end.weight") {
        Task::InformationExtraction
    } else if has("classifier.weight") {
        let is_rocketqa = found.spec.network.as_ref().and_then(|n| n.class.as_deref()) == Some("ErnieEncoder");
        match (has_pooler, is_rocketqa) {
            (true, true) => Task::CrossEncoder,
            (true, false) => Task::SequenceClassification,
            (false, _) => Task::TokenClassification,
        }
    } else if has("word_transform.weight") {
        // Only paddle-ernie's generator has words to predict and no pooler; the libraries' word heads need none.
        let is_seed = matches!(found.names.scheme, Scheme::PaddleErnie | Scheme::Fluid);
        if is_seed && !has_pooler { Task::Generation } else { Task::MaskedLm }
    } else {
        Task::Encoder
    }
}

struct Heads<'a> {
    found: &'a Found<'a>,
    hidden_size: usize,
    layout: LinearLayout,
    task: Task,
}

impl Heads<'_> {
    fn head(&self) -> Result<Head> {
        match self.task {
            Task::Encoder | Task::Tensors => Ok(Head::None),
            Task::SequenceClassification => {
                self.need_pooler()?;
                Ok(Head::Classifier { n_labels: self.n_labels()? })
            }
            Task::TokenClassification => Ok(Head::TokenClassifier { n_labels: self.n_labels()? }),
            Task::QuestionAnswering => self.need_labels(2).map(|()| Head::Span),
            Task::MultipleChoice => {
                self.need_pooler()?;
                self.need_labels(1).map(|()| Head::MultipleChoice)
            }
            Task::CrossEncoder => {
                self.need_pooler()?;
                Ok(Head::CrossEncoder { n_labels: self.n_labels()? })
            }
            Task::MaskedLm => {
                self.need("word_transform.weight")?;
                self.need_tied_words().map(|()| Head::MaskedLm)
            }
            Task::Generation => self.need("word_transform.weight").map(|()| Head::Generator),
            Task::InformationExtraction => {
                self.need("start.weight")?;
                self.need("end.weight").map(|()| Head::Extraction)
            }
            Task::DualEncoder => Ok(match self.n_outputs("reduce") {
                Some(embedding_size) => Head::DualEncoder { embedding_size, is_reduced: true },
                None => Head::DualEncoder { embedding_size: self.hidden_size, is_reduced: false },
            }),
        }
    }

    fn need(&self, name: &str) -> Result<()> {
        // Hugging Face names the two kinds of classifier differently.
        let is_span = self.task == Task::QuestionAnswering;
        let fits = self.found.names.scheme != Scheme::HuggingFace
            || name != "classifier.weight"
            || self.found.has_name("qa_outputs.weight") == is_span;
        if fits && self.found.get(name).is_some() {
            return Ok(());
        }
        let usual = self.found.names.head_name(name);
        let name = if is_span && usual == "classifier.weight" && self.found.names.scheme == Scheme::HuggingFace {
            "qa_outputs.weight".to_owned()
        } else {
            usual
        };
        let task = self.task.name();
        Err(self.found.fail(format!("task {task} needs a head ({name}), which is not there")))
    }

    fn need_pooler(&self) -> Result<()> {
        if self.found.get("pooler.weight").is_some() {
            return Ok(());
        }
        let task = self.task.name();
        Err(self.found.fail(format!("task {task} needs a pooler, which is not there")))
    }

    /// The product that predicts words shares the word embedding. Transformers tie a stored decoder whatever it holds,
    /// unless the config says otherwise; in PaddleNLP which of two that differ would count is chance.
    fn need_tied_words(&self) -> Result<()> {
        let untied = self.found.spec.network.as_ref().and_then(|network| network.tie_word_embeddings) == Some(false);
        let is_bound = self.found.names.scheme == Scheme::HuggingFace && !untied;
        let (word, decoder) =
            (self.found.get("embeddings.word"), self.found.by_own_name("cls.predictions.decoder.weight"));
        match (word, decoder) {
            (Some(word), Some(decoder)) if !is_bound && word.bytes() != decoder.bytes() => {
                Err(Error::Unsupported(format!(
                    "{}: a word head of its own ({}), not that of the word embedding, is not supported",
                    self.found.spec.dir.display(),
                    decoder.name
                )))
            }
            _ => Ok(()),
        }
    }

    fn n_outputs(&self, linear: &str) -> Option<usize> {
        let shape = &self.found.get(&format!("{linear}.weight"))?.shape;
        match (self.layout, shape.as_slice()) {
            (LinearLayout::InOut, [_, n_out]) | (LinearLayout::OutIn, [n_out, _]) => Some(*n_out),
            _ => None,
        }
    }

    fn n_labels(&self) -> Result<usize> {
        self.need("classifier.weight")?;
        let n_labels = self.n_outputs("classifier").filter(|n| *n > 0);
        n_labels.ok_or_else(|| self.found.fail("the classifier's matrix has no labels"))
    }

    fn need_labels(&self, wanted: usize) -> Result<()> {
        match self.n_labels()? {
            n_labels if n_labels == wanted => Ok(()),
            n_labels => {
                let task = self.task.name();
                let reason = format!("task {task} needs a classifier with {wanted} columns, this one has {n_labels}");
                Err(Error::Unsupported(self.found.fail(reason).to_string()))
            }
        }
    }
}
