//! Layers and products by this library's own operators, over weights that it packed.
//!
//! Texts have no rows here: `text_ends` says where each ends in the list of tokens, `token_mask` which tokens are masked.
//! What operators take and give is told in `session::operators`.

use super::network::{KEPT_TOKENS, Network};
use super::writer::{Attribute, Dimension};
use crate::architecture::{Activation, MaskRule};

/// What the tokens of a layer see.
pub(super) enum Seen {
    /// Their texts.
    Texts { ends: String, mask: String },
    /// Entries of a cache; how many numbers of an entry a layer has.
    Cache { cache: String, entries: String, row_ends: String, layer_size: usize },
}

/// What a layer gives, by name.
pub(super) struct LayerValues {
    pub(super) hidden: String,
    pub(super) key: String,
    pub(super) value: String,
}

impl Network<'_> {
    /// The texts of a list of tokens.
    pub(super) fn seen_texts(&mut self) -> Seen {
        let ends = self.writer.input("text_ends", &[Dimension::Symbol("texts")]);
        Seen::Texts { ends, mask: self.writer.input("token_mask", &self.token_dimensions()) }
    }

    /// The tokens' vectors after each of the last `n_layers` layers; only those kept.
    pub(super) fn packed_layers(&mut self, mut hidden: String, n_layers: usize) -> Vec<String> {
        let seen = self.seen_texts();
        let kept = self.writer.input(KEPT_TOKENS, &[Dimension::Symbol("kept")]);
        let mut layers = Vec::new();
        for index in 0..self.a.n_layers {
            let is_last = index + 1 == self.a.n_layers;
            hidden = self.packed_layer(index, &hidden, &seen, is_last.then_some(&kept)).hidden;
            if index + n_layers.max(1) >= self.a.n_layers {
                layers.push(hidden.clone());
            }
        }
        if let Some((_, earlier)) = layers.split_last_mut() {
            earlier.iter_mut().for_each(|layer| *layer = self.writer.node("Gather", &[layer, &kept], &[]));
        }
        layers
    }

    /// A whole layer; behind its attention only the tokens `wanted`, where they are given.
    pub(super) fn packed_layer(
        &mut self,
        index: usize,
        hidden: &str,
        seen: &Seen,
        wanted: Option<&String>,
    ) -> LayerValues {
        let (operator, mut inputs) = match seen {
            Seen::Texts { ends, mask } => ("TextLayer", vec![ends, mask]),
            Seen::Cache { cache, entries, row_ends, .. } => ("CachedLayer", vec![cache, entries, row_ends]),
        };
        inputs.extend(wanted);
        let mut inputs: Vec<String> =
            [hidden].into_iter().chain(inputs.into_iter().map(String::as_str)).map(str::to_owned).collect();
        let name = |part: &str| format!("layer.{index}.{part}");
        let linears = ["query", "key", "value", "attention_output", "ffn_in", "ffn_out"].map(name);
        for part in linears.iter().chain(&["attention_norm", "ffn_norm"].map(name)) {
            inputs.extend(["weight", "bias"].map(|kind| self.writer.weight(&format!("{part}.{kind}"))));
        }
        let layer_begin = match seen {
            Seen::Texts { .. } => 0,
            Seen::Cache { layer_size, .. } => index * layer_size,
        };
        let hides_queries = matches!(self.a.mask_rule, MaskRule::KeyAndQuery { .. });
        let numbers = [
            ("num_heads", self.a.n_heads as i64),
            ("query_head_size", self.a.query_head_size as i64),
            ("value_head_size", self.a.value_head_size as i64),
            ("inner_size", self.a.intermediate_size as i64),
            ("activation", activation_number(self.a.activation)),
            ("format", self.writer.weight_format(&format!("{}.weight", linears[0]))),
            ("layer_begin", layer_begin as i64),
            ("hides_queries", i64::from(hides_queries)),
            ("has_wanted", i64::from(wanted.is_some())),
        ];
        let mut attributes: Vec<(&str, Attribute<'_>)> = numbers.map(|(name, n)| (name, Attribute::Int(n))).to_vec();
        attributes.push(("epsilon", Attribute::Float(self.a.layer_norm_epsilon)));
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        // The last is room to work in.
        let mut values = self.writer.own(operator, &inputs, &attributes, 4).into_iter();
        let [hidden, key, value] = [0; 3].map(|_| values.next().unwrap_or_default());
        LayerValues { hidden, key, value }
    }

    /// `W x + b` by weights that are packed.
    pub(super) fn packed_product(&mut self, input: &str, weight: &str, bias: &str) -> String {
        let n_outputs = self.writer.weight_len(bias) as i64;
        let attributes =
            [("outputs", Attribute::Int(n_outputs)), ("format", Attribute::Int(self.writer.weight_format(weight)))];
        let weight = self.writer.weight(weight);
        self.writer.own("Linear", &[input, &weight, bias], &attributes, 1).swap_remove(0)
    }
}

/// The number by which operators know an activation: its place among [`Activation::ALL`].
fn activation_number(activation: Activation) -> i64 {
    Activation::ALL.iter().position(|known| *known == activation).map_or(-1, |place| place as i64)
}
