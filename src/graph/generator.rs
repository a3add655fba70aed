//! The two graphs of a generator: a source's keys and values, and a step that writes one more token.
//!
//! [`build_source`] takes packed texts like the encoder and gives what every layer's attention is to look back at, no more: the
//! last layer ends with it. [`build_step`] feeds each row two tokens, `[previous, attention token]`; the first is what the next
//! steps look back at, the second predicts the next word. Keys and values of earlier tokens are read where they lie
//! (`cache`), by number.
//!
//! Reference: `demo/seq2seq/decode.py` in PaddlePaddle/ERNIE 3b9d92f.

use super::network::{BuiltGraph, Dialect, Interface, Network};
use super::packed::Seen;
use super::writer::{Dimension, GraphWriter, WeightInfo};
use crate::architecture::Architecture;

/// The graph of sources: `key.N` and `value.N` of every layer, `[tokens, width]`, in this order.
pub(crate) fn build_source(architecture: &Architecture, weights: &[WeightInfo], weights_file: &str) -> BuiltGraph {
    let mut network = network(architecture, weights, weights_file);
    let dimensions = network.token_dimensions();
    let ids = network.writer.input("input_ids", &dimensions);
    let mut hidden = network.embeddings(&ids, &dimensions);
    let seen = network.seen_texts();
    for index in 0..architecture.n_layers {
        if index + 1 == architecture.n_layers {
            let [key, value] = ["key", "value"].map(|part| network.linear(&hidden, &format!("layer.{index}.{part}")));
            network.hand_out(index, &key, &value);
            break;
        }
        let layer = network.packed_layer(index, &hidden, &seen, None);
        network.hand_out(index, &layer.key, &layer.value);
        hidden = layer.hidden;
    }
    finish(network)
}

/// The graph of a step: `logits [rows, words]`, then `key.N` and `value.N` of every layer, `[rows * 2, width]`.
pub(crate) fn build_step(architecture: &Architecture, weights: &[WeightInfo], weights_file: &str) -> BuiltGraph {
    let mut network = network(architecture, weights, weights_file);
    let tokens = network.token_dimensions();
    let ids = network.writer.input("input_ids", &tokens);
    let mut hidden = network.embeddings(&ids, &tokens);
    let entry_size = architecture.n_layers * layer_size(architecture);
    let cache = network.writer.float_input("cache", &[Dimension::Symbol("entries"), Dimension::Size(entry_size)]);
    let entries = network.writer.input("seen_entries", &[Dimension::Symbol("seen")]);
    let row_ends = network.writer.input("row_ends", &[Dimension::Symbol("rows")]);
    let predicting = network.writer.input("predicting_tokens", &[Dimension::Symbol("rows")]);
    let layer_size = layer_size(architecture);
    let seen = Seen::Cache { cache, entries, row_ends, layer_size };
    let mut written = Vec::new();
    for index in 0..architecture.n_layers {
        let is_last = index + 1 == architecture.n_layers;
        let layer = network.packed_layer(index, &hidden, &seen, is_last.then_some(&predicting));
        hidden = layer.hidden;
        written.push((layer.key, layer.value));
    }
    let (logits, _) = network.word_logits(&hidden);
    let words = Dimension::Size(architecture.vocab_size);
    network.writer.output(&logits, "logits", &[Dimension::Symbol("rows"), words]);
    for (index, (key, value)) in written.iter().enumerate() {
        network.hand_out(index, key, value);
    }
    finish(network)
}

/// Numbers that a layer keeps of a token: its key and its value.
pub(crate) fn layer_size(architecture: &Architecture) -> usize {
    architecture.n_heads * (architecture.query_head_size + architecture.value_head_size)
}

fn network<'a>(architecture: &'a Architecture, weights: &'a [WeightInfo], weights_file: &'a str) -> Network<'a> {
    let writer = GraphWriter::new(weights, weights_file);
    Network { a: architecture, writer, dialect: Dialect::Packed, interface: Interface::Packed, outputs: Vec::new() }
}

fn finish(network: Network<'_>) -> BuiltGraph {
    let Network { writer, outputs, .. } = network;
    let (model, weights) = writer.finish("ernie");
    BuiltGraph { model, outputs, weights }
}

impl Network<'_> {
    fn hand_out(&mut self, index: usize, key: &str, value: &str) {
        let width = |head_size: usize| [Dimension::Symbol("tokens"), Dimension::Size(self.a.n_heads * head_size)];
        let (key_width, value_width) = (width(self.a.query_head_size), width(self.a.value_head_size));
        self.writer.output(key, &format!("key.{index}"), &key_width);
        self.writer.output(value, &format!("value.{index}"), &value_width);
    }
}
