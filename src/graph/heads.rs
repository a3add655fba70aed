//! What stands on top of the encoder, as nodes.

use super::binding::OutputRole;
use super::network::{Dialect, Interface, Network};
use super::outputs::{Axis, OutputSpec, output_name};
use super::writer::{Attribute, Dimension};
use crate::architecture::{Head, OutputNames};

/// The word embedding once more, as the weights of the last product.
pub(crate) const PACKED_WORDS: &str = "embeddings.word.packed";

impl Network<'_> {
    /// Writes all outputs; `layers` are the tokens' vectors after the last layers, flat.
    pub(super) fn heads(&mut self, layers: &[String]) {
        let Some(encoded) = layers.last().cloned() else { return };
        let first = self.first_tokens(&encoded);
        let pooled = self.a.has_pooler.then(|| {
            let dense = self.linear(&first, "pooler");
            self.writer.node("Tanh", &[&dense], &[])
        });
        match self.a.head {
            Head::None => {}
            Head::Classifier { n_labels } => self.classify(pooled.as_deref(), n_labels),
            Head::MultipleChoice => self.classify(pooled.as_deref(), 1),
            Head::CrossEncoder { n_labels } => self.match_pair(&first, pooled.as_deref(), n_labels),
            Head::TokenClassifier { n_labels } => {
                let logits = self.linear(&encoded, "classifier");
                self.emit(&logits, OutputRole::Logits, Axis::Token, Some(n_labels));
            }
            Head::Span => self.span(&encoded),
            Head::Extraction => self.extract(&encoded),
            Head::MaskedLm | Head::Generator => self.predict_words(&encoded),
            Head::DualEncoder { embedding_size, is_reduced } => {
                let vector = if is_reduced { self.linear(&first, "reduce") } else { first };
                self.emit(&vector, OutputRole::Embedding, Axis::Text, Some(embedding_size));
            }
        }
        if let (true, Some(pooled)) = (self.a.has_next_sentence, &pooled) {
            let logits = self.linear(pooled, "next_sentence");
            self.emit(&logits, OutputRole::NextSentenceLogits, Axis::Text, Some(2));
        }
        if let Some(pooled) = pooled {
            self.emit(&pooled, OutputRole::PoolerOutput, Axis::Text, Some(self.a.hidden_size));
        }
        let mean = self.mean(layers, encoded);
        self.emit(&mean, OutputRole::LastHiddenState, Axis::Token, Some(self.a.hidden_size));
    }

    fn mean(&mut self, layers: &[String], last: String) -> String {
        let Some((first, others)) = layers.split_first().filter(|(_, others)| !others.is_empty()) else { return last };
        let sum = others.iter().fold(first.clone(), |sum, layer| self.writer.node("Add", &[&sum, layer], &[]));
        let n_layers = self.writer.float(layers.len() as f32);
        self.writer.node("Div", &[&sum, &n_layers], &[])
    }

    /// The vector of each text's first token.
    fn first_tokens(&mut self, encoded: &str) -> String {
        match self.interface {
            Interface::Packed => {
                let first = self.writer.input("first_tokens", &[Dimension::Symbol("texts")]);
                self.writer.node("Gather", &[encoded, &first], &[])
            }
            Interface::Padded => {
                let rows = self.in_rows(encoded, Some(self.a.hidden_size));
                let zero = self.writer.int(0);
                self.writer.node("Gather", &[&rows, &zero], &[("axis", Attribute::Int(1))])
            }
        }
    }

    fn classify(&mut self, pooled: Option<&str>, n_labels: usize) {
        let Some(pooled) = pooled else { return };
        let logits = self.linear(pooled, "classifier");
        self.emit(&logits, OutputRole::Logits, Axis::Text, Some(n_labels));
    }

    /// RocketQA scores a pair by the pooled vector, as probabilities too, and by the first token's vector.
    fn match_pair(&mut self, first: &str, pooled: Option<&str>, n_labels: usize) {
        let Some(pooled) = pooled else { return };
        let logits = self.linear(pooled, "classifier");
        let probabilities = self.writer.node("Softmax", &[&logits], &[("axis", Attribute::Int(-1))]);
        let of_first = self.linear(first, "classifier");
        self.emit(&probabilities, OutputRole::MatchingProbabilities, Axis::Text, Some(n_labels));
        self.emit(&of_first, OutputRole::FirstTokenLogits, Axis::Text, Some(n_labels));
        self.emit(&logits, OutputRole::Logits, Axis::Text, Some(n_labels));
    }

    fn span(&mut self, encoded: &str) {
        let both = self.linear(encoded, "classifier");
        for (column, role) in [(0, OutputRole::StartLogits), (1, OutputRole::EndLogits)] {
            let column = self.writer.int(column);
            let logits = self.writer.node("Gather", &[&both, &column], &[("axis", Attribute::Int(1))]);
            self.emit(&logits, role, Axis::Token, None);
        }
    }

    fn extract(&mut self, encoded: &str) {
        for (linear, role) in [("start", OutputRole::StartLogits), ("end", OutputRole::EndLogits)] {
            let logits = self.linear(encoded, linear);
            let probabilities = self.writer.node("Sigmoid", &[&logits], &[]);
            let column = self.writer.int(0);
            let flat = self.writer.node("Gather", &[&probabilities, &column], &[("axis", Attribute::Int(1))]);
            self.emit(&flat, role, Axis::Token, None);
        }
    }

    fn predict_words(&mut self, encoded: &str) {
        let chosen = match self.interface {
            Interface::Packed => {
                let predicted = self.writer.input("predicted_tokens", &[Dimension::Symbol("predicted")]);
                self.writer.node("Gather", &[encoded, &predicted], &[])
            }
            Interface::Padded => encoded.to_owned(),
        };
        let (logits, normed) = self.word_logits(&chosen);
        self.emit(&logits, OutputRole::Logits, Axis::Prediction, Some(self.a.vocab_size));
        if self.a.output_names == OutputNames::PaddleErnie {
            self.emit(&normed, OutputRole::WordTransform, Axis::Prediction, Some(self.a.hidden_size));
        }
    }

    /// The logits of all words for each vector, and what they are the product of.
    pub(super) fn word_logits(&mut self, vectors: &str) -> (String, String) {
        let transformed = self.activated(vectors, "word_transform");
        let normed = self.layer_norm(&transformed, "word_norm");
        let bias = self.writer.weight("word_bias");
        let logits = match self.dialect {
            Dialect::Packed => self.packed_product(&normed, PACKED_WORDS, &bias),
            Dialect::OnnxRuntime | Dialect::Cuda | Dialect::Standard => {
                let words = self.writer.weight("embeddings.word");
                self.writer.node("Gemm", &[&normed, &words, &bias], &[("transB", Attribute::Int(1))])
            }
        };
        (logits, normed)
    }

    /// Flat tokens as `[rows, tokens, width]` of a padded batch, or `[rows, tokens]` without a width.
    fn in_rows(&mut self, flat: &str, width: Option<usize>) -> String {
        let rows = self.writer.node("Shape", &["input_ids"], &[]);
        let shape = match width {
            Some(width) => {
                let width = self.writer.ints(&[width as i64]);
                self.writer.node("Concat", &[&rows, &width], &[("axis", Attribute::Int(0))])
            }
            None => rows,
        };
        self.writer.node("Reshape", &[flat, &shape], &[])
    }

    fn emit(&mut self, value: &str, role: OutputRole, axis: Axis, width: Option<usize>) {
        let name = output_name(self.a, role);
        let padded = self.interface == Interface::Padded && axis != Axis::Text;
        let value = if padded { self.in_rows(value, width) } else { value.to_owned() };
        let mut dimensions = match (axis, padded) {
            (_, true) => vec![Dimension::Symbol("rows"), Dimension::Symbol("tokens")],
            (Axis::Text, _) if self.interface == Interface::Padded => vec![Dimension::Symbol("rows")],
            (Axis::Text, _) => vec![Dimension::Symbol("texts")],
            (Axis::Token, _) => vec![Dimension::Symbol("kept")],
            (Axis::Prediction, _) => vec![Dimension::Symbol("predicted")],
        };
        dimensions.extend(width.map(Dimension::Size));
        self.writer.output(&value, name, &dimensions);
        self.outputs.push(OutputSpec { role, name, axis, width });
    }
}
