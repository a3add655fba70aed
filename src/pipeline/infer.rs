//! Texts -> what the model's task gives.

use super::forward::Wanted;
use super::{Call, Generation, Input, Model, Output};
use crate::error::{Error, Result};
use crate::options::Task;
use crate::tokenize::{Encoding, Truncation};

impl Model {
    /// What the model's task gives for texts: [`Output::items`], and numbers in [`Output::matrix`].
    ///
    /// - Classification, cross-encoder, multiple choice: labels, best first; logits.
    /// - Token classification: entities, or the labels of words.
    /// - Reading comprehension (text = question, pair = passage): answers, best first.
    /// - Cloze: the likeliest words of every `[MASK]`.
    /// - Generation: the text that [`Self::generate`] writes by default; with raw outputs those of the sources, and no text.
    /// - Extraction: what the call's schema names, or what the text (a prompt) names in its pair.
    ///
    /// # Errors
    /// - Those of [`Self::tokenize`].
    /// - [`Error::InvalidArgument`]: a text that the task cannot answer; the message names it.
    /// - [`Error::Unsupported`]: the model has no head, or one whose answers this version does not make; its raw
    ///   outputs can still be had.
    /// - [`Error::Runtime`]: ONNX Runtime failed.
    pub fn infer(&self, inputs: &[Input<'_>], call: &Call) -> Result<Output> {
        match self.task {
            Task::SequenceClassification | Task::CrossEncoder | Task::MultipleChoice => self.classify(inputs, call),
            Task::TokenClassification => self.tag(inputs, call),
            Task::QuestionAnswering => self.answer(inputs, call),
            Task::MaskedLm => self.fill_masks(inputs, call),
            Task::InformationExtraction if call.schema.is_some() => self.extract(inputs, call),
            Task::InformationExtraction => self.extract_prompts(inputs, call),
            Task::Encoder | Task::DualEncoder | Task::Generation | Task::Tensors if call.with_raw_outputs => {
                self.infer_raw(self.tokenize_by(inputs, call, Truncation::Truncate)?, call)
            }
            Task::Generation => self.generate(inputs, call, &Generation::default(), None),
            Task::Encoder | Task::DualEncoder | Task::Tensors => Err(Error::Unsupported(format!(
                "task {} gives no answers to texts; encode gives vectors, and raw outputs (ERNIE_OUTPUT_RAW, --raw) what \
                 the head gives",
                self.task.name()
            ))),
        }
    }

    /// The same for texts that are token ids already, as [`Self::tokenize`] gives them: labels of a classification, else the
    /// raw outputs alone.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`]: a text without tokens, with more than the model takes, or with ids that it lacks.
    /// - Those of [`Self::infer`], but for tokenizing.
    pub fn infer_encoded(&self, encodings: Vec<Encoding>, call: &Call) -> Result<Output> {
        let n_inputs = encodings.len();
        let alone = encodings.into_iter().enumerate().map(|(input, encoding)| Encoding { input, ..encoding });
        match self.classifies() {
            true => self.classify_encoded(alone.collect(), n_inputs, call),
            false => self.infer_raw(alone.collect(), call),
        }
    }

    fn infer_raw(&self, encodings: Vec<Encoding>, call: &Call) -> Result<Output> {
        self.check_encodings(&encodings)?;
        let mut output = Output::default();
        self.forward(&encodings, call, Wanted::default(), &mut output.raw_outputs, |_, _| Ok(()))?;
        output.encodings = encodings;
        Ok(output)
    }

    /// What happens to texts that are too long where nobody says it: with raw outputs every text has one encoding.
    pub(super) fn windows_unless_raw(call: &Call) -> Truncation {
        if call.with_raw_outputs { Truncation::Truncate } else { Truncation::Windows }
    }
}
