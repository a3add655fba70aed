//! Texts and pairs -> labels.

use super::forward::Wanted;
use super::{Call, Input, Item, Model, Output, matrix, windows};
use crate::error::{Error, Result};
use crate::graph::binding::OutputRole;
use crate::heads::{classify, embed};
use crate::options::Problem;
use crate::tokenize::{Encoding, Truncation};

impl Model {
    /// Labels of texts, best first; of a text in windows by the mean of their logits.
    pub(super) fn classify(&self, inputs: &[Input<'_>], call: &Call) -> Result<Output> {
        let encodings = self.tokenize_by(inputs, call, Truncation::Truncate)?;
        self.classify_encoded(encodings, inputs.len(), call)
    }

    pub(super) fn classify_encoded(&self, encodings: Vec<Encoding>, n_inputs: usize, call: &Call) -> Result<Output> {
        let mut output = Output::default();
        let of_encodings = self.logits(&encodings, call, &mut output)?;
        let mut logits: Vec<Vec<f32>> = Vec::with_capacity(n_inputs);
        for range in windows::of_inputs(&encodings, n_inputs) {
            logits.push(match &of_encodings[range] {
                [one] => one.clone(),
                several => embed::average(several.iter().map(Vec::as_slice)),
            });
        }
        output.items = logits.iter().map(|values| self.labels(values, call)).collect();
        let n_columns = logits.first().map_or_else(|| self.n_labels(), Vec::len);
        output.matrix = Some(matrix(logits, n_columns)?);
        output.encodings = encodings;
        Ok(output)
    }

    /// The logits of every encoding.
    pub(super) fn logits(&self, encodings: &[Encoding], call: &Call, output: &mut Output) -> Result<Vec<Vec<f32>>> {
        self.check_encodings(encodings)?;
        let mut logits: Vec<Vec<f32>> = vec![Vec::new(); encodings.len()];
        self.forward(encodings, call, Wanted::default(), &mut output.raw_outputs, |index, row| {
            let values = row.vector(OutputRole::Logits)?;
            logits[index] = values.ok_or_else(|| Error::Unsupported("the graph gives no logits".into()))?.to_vec();
            Ok(())
        })?;
        Ok(logits)
    }

    /// What scores of `n_labels` labels mean.
    pub(super) fn problem(&self, n_labels: usize, call: &Call) -> Problem {
        call.problem.or(self.spec.problem).unwrap_or_else(|| classify::default_problem(n_labels))
    }

    fn labels(&self, logits: &[f32], call: &Call) -> Vec<Item> {
        let problem = self.problem(logits.len(), call);
        let top_k = call.top_k.unwrap_or(usize::MAX);
        let mut items = classify::items(logits, problem, top_k, |id| self.label(id).to_owned());
        if let Some(threshold) = call.threshold {
            items.retain(|item| item.score > threshold);
        }
        items
    }
}
