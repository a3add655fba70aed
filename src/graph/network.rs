//! An [`Architecture`] and its weights -> an ONNX graph that ONNX Runtime runs as it stands.
//!
//! In: what the network is and where its weights lie. Out: [`BuiltGraph`]: the model's bytes without the weights, and
//! what it gives. Nothing is left for the runtime's optimiser to find: the operators are those that are measured to be
//! fastest ([`Dialect::OnnxRuntime`], [`Dialect::Packed`], [`Dialect::Cuda`]), or standard ones for other runtimes ([`Dialect::Standard`]).
//!
//! Tokens are one flat list `[tokens, width]` in every product; only the attention sees rows. With
//! [`Interface::Packed`] the list has no padding: `row_tokens` says which token lies where in the rows `[texts, row
//! tokens]`, `slots` where each token is found again, `attention_mask` which places hold one. `kept_tokens` are those
//! that go through the last layer's products (the first of each text where nothing else is asked for), `kept_slots`
//! their places, `first_tokens` and `predicted_tokens` point into them. [`Interface::Padded`] is the usual one: a text a
//! row, and a mask. The layers of [`Dialect::Packed`] have no rows (`packed`).

use super::outputs::OutputSpec;
use super::writer::{Attribute, Dimension, GraphWriter, WeightInfo};
use crate::architecture::{Architecture, LinearLayout, MaskRule};
use crate::tensor::ElementType;

/// Added to the scores of places without a token. Lower than [`MASKED`], so that a token that sees masked ones only
/// still sees nothing else; small enough for half precision.
const NO_TOKEN: f32 = -20000.0;
/// Added to the scores of masked tokens, by the references of Paddle.
const MASKED: f32 = -10000.0;
/// The input that says which tokens go on after the last attention.
pub(super) const KEPT_TOKENS: &str = "kept_tokens";

/// Which operators are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Those of ONNX Runtime.
    OnnxRuntime,
    /// Those of this library for layers and products, over weights that it packed, for texts without rows; else those of ONNX
    /// Runtime.
    Packed,
    /// Those that ONNX Runtime has for CUDA.
    Cuda,
    /// Those of the ONNX standard.
    Standard,
}

/// What the graph takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    /// Texts one after another, and their places in rows.
    Packed,
    /// A text a row, with a mask.
    Padded,
}

/// A graph and what it gives.
#[derive(Clone, Debug)]
pub(crate) struct BuiltGraph {
    /// The ONNX model; its weights are external data.
    pub(crate) model: Vec<u8>,
    /// Outputs, in order.
    pub(crate) outputs: Vec<OutputSpec>,
    /// Names of the weights that the graph takes.
    pub(crate) weights: Vec<String>,
}

/// Builds the graph of `architecture`, whose `weights` lie in a file of this name beside the model. Tokens' vectors are the
/// mean of those after the last `n_averaged_layers` layers; heads see the last layer. `numbers` are what the graph computes with, `f32` or `f16`; it
/// gives `f32`.
pub(crate) fn build(
    architecture: &Architecture,
    weights: &[WeightInfo],
    weights_file: &str,
    dialect: Dialect,
    interface: Interface,
    numbers: ElementType,
    n_averaged_layers: usize,
) -> BuiltGraph {
    let writer = GraphWriter::with_numbers(weights, weights_file, numbers);
    let mut network = Network { a: architecture, writer, dialect, interface, outputs: Vec::new() };
    let layers = network.encoder(n_averaged_layers);
    network.heads(&layers);
    let Network { writer, outputs, .. } = network;
    let (model, weights) = writer.finish("ernie");
    BuiltGraph { model, outputs, weights }
}

/// A network that is being written. Values are held by their names.
pub(super) struct Network<'a> {
    pub(super) a: &'a Architecture,
    pub(super) writer: GraphWriter<'a>,
    pub(super) dialect: Dialect,
    pub(super) interface: Interface,
    pub(super) outputs: Vec<OutputSpec>,
}

/// What all layers share.
struct Shared {
    /// `[rows, 1, tokens, tokens]`, added to the scores.
    bias: String,
    layout: RowLayout,
    /// Shape `[-1, width]` of what attention gives.
    flat_values: String,
}

/// How the flat list of tokens becomes rows.
enum RowLayout {
    /// By the token in each place, and the place of each token.
    Places { row_tokens: String, slots: String },
    /// By shape: `[rows, tokens, width]` of queries and of values.
    Shapes { query: String, value: String },
}

impl Network<'_> {
    /// The tokens' vectors after each of the last `n_layers` layers, flat; only those kept.
    fn encoder(&mut self, n_layers: usize) -> Vec<String> {
        let dimensions = self.token_dimensions();
        let ids = self.writer.input("input_ids", &dimensions);
        let mut hidden = self.embeddings(&ids, &dimensions);
        if self.dialect == Dialect::Packed {
            return self.packed_layers(hidden, n_layers);
        }
        let shared = self.shared(&ids);
        let mut layers = Vec::new();
        for index in 0..self.a.n_layers {
            let projections = self.projections(index, &hidden);
            let attended = self.attention(&projections, &shared);
            let is_last = index + 1 == self.a.n_layers;
            let (attended, residual) = match (&shared.layout, is_last) {
                (RowLayout::Shapes { .. }, _) => (attended, hidden),
                (RowLayout::Places { slots, .. }, false) => {
                    (self.writer.node("Gather", &[&attended, slots], &[]), hidden)
                }
                (RowLayout::Places { .. }, true) => self.keep(&attended, &hidden),
            };
            hidden = self.rest_of_layer(index, &attended, &residual);
            if index + n_layers.max(1) >= self.a.n_layers {
                layers.push(hidden.clone());
            }
        }
        if let (RowLayout::Places { .. }, Some((_, earlier))) = (&shared.layout, layers.split_last_mut()) {
            earlier.iter_mut().for_each(|layer| *layer = self.writer.node("Gather", &[layer, KEPT_TOKENS], &[]));
        }
        layers
    }

    pub(super) fn token_dimensions(&self) -> Vec<Dimension> {
        match self.interface {
            Interface::Packed => vec![Dimension::Symbol("tokens")],
            Interface::Padded => self.row_dimensions(),
        }
    }

    fn row_dimensions(&self) -> Vec<Dimension> {
        match self.interface {
            Interface::Packed => vec![Dimension::Symbol("texts"), Dimension::Symbol("row_tokens")],
            Interface::Padded => vec![Dimension::Symbol("rows"), Dimension::Symbol("tokens")],
        }
    }

    pub(super) fn embeddings(&mut self, ids: &str, dimensions: &[Dimension]) -> String {
        let mut sum = self.lookup("embeddings.word", ids);
        if let Some(word) = self.a.zero_word {
            let word = self.writer.int(word);
            let is_zero = self.writer.node("Equal", &[ids, &word], &[]);
            let last = self.writer.ints(&[-1]);
            let is_zero = self.writer.node("Unsqueeze", &[&is_zero, &last], &[]);
            let zero = self.writer.float(0.0);
            sum = self.writer.node("Where", &[&is_zero, &zero, &sum], &[]);
        }
        let positions = self.position_ids(ids, dimensions);
        let mut parts = vec![self.lookup("embeddings.position", &positions)];
        if self.a.n_token_types > 0 {
            let types = self.writer.input("token_type_ids", dimensions);
            parts.push(self.lookup("embeddings.token_type", &types));
        }
        if self.a.n_task_types > 0 {
            let tasks = match self.interface {
                Interface::Packed => self.writer.input("task_type_ids", dimensions),
                Interface::Padded => self.writer.int(self.a.task_id as i64),
            };
            parts.push(self.lookup("embeddings.task_type", &tasks));
        }
        for part in parts {
            sum = self.writer.node("Add", &[&sum, &part], &[]);
        }
        let flat = self.writer.ints(&[-1, self.a.hidden_size as i64]);
        let flat = self.writer.node("Reshape", &[&sum, &flat], &[]);
        self.layer_norm(&flat, "embeddings.norm")
    }

    fn lookup(&mut self, table: &str, ids: &str) -> String {
        let table = self.writer.weight(table);
        self.writer.node("Gather", &[&table, ids], &[])
    }

    /// Positions as rows of their embedding.
    fn position_ids(&mut self, ids: &str, dimensions: &[Dimension]) -> String {
        let offset = self.a.position_offset as i64;
        match self.interface {
            // The caller adds the offset: positions are given as rows.
            Interface::Packed => self.writer.input("position_ids", dimensions),
            Interface::Padded => {
                let shape = self.writer.node("Shape", &[ids], &[]);
                let (axis, first) = (self.writer.int(1), self.writer.int(offset));
                let n_tokens = self.writer.node("Gather", &[&shape, &axis], &[]);
                let end = self.writer.node("Add", &[&n_tokens, &first], &[]);
                let step = self.writer.int(1);
                self.writer.node("Range", &[&first, &end, &step], &[])
            }
        }
    }

    fn shared(&mut self, ids: &str) -> Shared {
        let [query_width, value_width] =
            [self.a.query_head_size, self.a.value_head_size].map(|size| (self.a.n_heads * size) as i64);
        let layout = match self.interface {
            Interface::Packed => RowLayout::Places {
                row_tokens: self.writer.input("row_tokens", &self.row_dimensions()),
                slots: self.writer.input("slots", &self.token_dimensions()),
            },
            Interface::Padded => {
                let rows = self.writer.node("Shape", &[ids], &[]);
                let mut shape = |width| {
                    let width = self.writer.ints(&[width]);
                    self.writer.node("Concat", &[&rows, &width], &[("axis", Attribute::Int(0))])
                };
                RowLayout::Shapes { query: shape(query_width), value: shape(value_width) }
            }
        };
        Shared { bias: self.attention_bias(ids), layout, flat_values: self.writer.ints(&[-1, value_width]) }
    }

    /// What is added to the scores: nothing between two tokens, unless one is masked.
    fn attention_bias(&mut self, ids: &str) -> String {
        let mask = self.writer.input("attention_mask", &self.row_dimensions());
        let (first, last) = (self.writer.ints(&[1]), self.writer.ints(&[2]));
        let zero = self.writer.int(0);
        let seen = self.writer.node("Greater", &[&mask, &zero], &[]);
        let mut seen = self.writer.as_number(&seen);
        // The mask of a padded batch says what is padding; what the reference masks besides is known here only.
        if let (Interface::Padded, Some(masked_id)) = (self.interface, self.a.text_mask_rule.masked_id()) {
            let masked_id = self.writer.int(masked_id);
            let is_masked = self.writer.node("Equal", &[ids, &masked_id], &[]);
            let is_kept = self.writer.node("Not", &[&is_masked], &[]);
            let is_kept = self.writer.as_number(&is_kept);
            seen = self.writer.node("Mul", &[&seen, &is_kept], &[]);
        }
        let keys = self.writer.node("Unsqueeze", &[&seen, &first], &[]);
        // Every query needs a row of its own, whatever the rule: the runtime does not repeat rows.
        let queries = match self.a.mask_rule {
            MaskRule::KeyAndQuery { .. } => seen,
            MaskRule::Key { .. } | MaskRule::Everything => {
                let nothing = self.writer.node("Sub", &[&seen, &seen], &[]);
                let one = self.writer.float(1.0);
                self.writer.node("Add", &[&nothing, &one], &[])
            }
        };
        let queries = self.writer.node("Unsqueeze", &[&queries, &last], &[]);
        let seen = self.writer.node("Mul", &[&queries, &keys], &[]);
        let (one, masked) = (self.writer.float(1.0), self.writer.float(MASKED));
        let hidden = self.writer.node("Sub", &[&one, &seen], &[]);
        let mut bias = self.writer.node("Mul", &[&hidden, &masked], &[]);
        if self.interface == Interface::Packed {
            let is_empty = self.writer.node("Less", &[&mask, &zero], &[]);
            let (nothing, no_token) = (self.writer.float(0.0), self.writer.float(NO_TOKEN));
            let empty = self.writer.node("Where", &[&is_empty, &no_token, &nothing], &[]);
            let empty = self.writer.node("Unsqueeze", &[&empty, &first], &[]);
            bias = self.writer.node("Add", &[&bias, &empty], &[]);
        }
        self.writer.node("Unsqueeze", &[&bias, &first], &[])
    }

    /// Queries, keys and values of a layer, flat.
    fn projections(&mut self, index: usize, hidden: &str) -> [String; 3] {
        let names = ["query", "key", "value"].map(|part| format!("layer.{index}.{part}"));
        names.map(|name| self.linear(hidden, &name))
    }

    /// Attention of one layer, before its output projection, over all places of the rows.
    fn attention(&mut self, [query, key, value]: &[String; 3], shared: &Shared) -> String {
        let mut in_rows = |flat: &str, is_value: bool| match &shared.layout {
            RowLayout::Places { row_tokens, .. } => self.writer.node("Gather", &[flat, row_tokens], &[]),
            RowLayout::Shapes { query, value } => {
                self.writer.node("Reshape", &[flat, if is_value { value } else { query }], &[])
            }
        };
        let (query, key, value) = (in_rows(query, false), in_rows(key, false), in_rows(value, true));
        let attended = match self.dialect {
            Dialect::OnnxRuntime | Dialect::Packed | Dialect::Cuda => self.writer.microsoft(
                "MultiHeadAttention",
                &[&query, &key, &value, "", "", &shared.bias],
                &[("num_heads", Attribute::Int(self.a.n_heads as i64))],
            ),
            Dialect::Standard => self.standard_attention(&query, &key, &value, &shared.bias),
        };
        self.writer.node("Reshape", &[&attended, &shared.flat_values], &[])
    }

    fn standard_attention(&mut self, query: &str, key: &str, value: &str, bias: &str) -> String {
        let n_heads = self.a.n_heads as i64;
        let mut heads = |rows: &str, width: usize, order: &[i64]| {
            let shape = self.writer.ints(&[0, 0, n_heads, width as i64]);
            let split = self.writer.node("Reshape", &[rows, &shape], &[]);
            self.writer.node("Transpose", &[&split], &[("perm", Attribute::Ints(order))])
        };
        let query = heads(query, self.a.query_head_size, &[0, 2, 1, 3]);
        let key = heads(key, self.a.query_head_size, &[0, 2, 3, 1]);
        let value = heads(value, self.a.value_head_size, &[0, 2, 1, 3]);
        let scale = self.writer.float(1.0 / (self.a.query_head_size as f32).sqrt());
        let query = self.writer.node("Mul", &[&query, &scale], &[]);
        let scores = self.writer.node("MatMul", &[&query, &key], &[]);
        let scores = self.writer.node("Add", &[&scores, bias], &[]);
        let weights = self.writer.node("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
        let mixed = self.writer.node("MatMul", &[&weights, &value], &[]);
        let mixed = self.writer.node("Transpose", &[&mixed], &[("perm", Attribute::Ints(&[0, 2, 1, 3]))]);
        let shape = self.writer.ints(&[0, 0, n_heads * self.a.value_head_size as i64]);
        self.writer.node("Reshape", &[&mixed, &shape], &[])
    }

    /// The tokens that go on after the last attention, and their residuals.
    fn keep(&mut self, attended: &str, hidden: &str) -> (String, String) {
        let kept = [Dimension::Symbol("kept")];
        let (slots, tokens) = (self.writer.input("kept_slots", &kept), self.writer.input(KEPT_TOKENS, &kept));
        let attended = self.writer.node("Gather", &[attended, &slots], &[]);
        (attended, self.writer.node("Gather", &[hidden, &tokens], &[]))
    }

    fn rest_of_layer(&mut self, index: usize, attended: &str, residual: &str) -> String {
        let name = |part: &str| format!("layer.{index}.{part}");
        let middle = self.add_and_norm(attended, residual, &name("attention_output"), &name("attention_norm"));
        let inner = self.activated(&middle, &name("ffn_in"));
        self.add_and_norm(&inner, &middle, &name("ffn_out"), &name("ffn_norm"))
    }

    /// `LayerNorm(residual + W x + b)`.
    fn add_and_norm(&mut self, input: &str, residual: &str, linear: &str, norm: &str) -> String {
        match self.dialect {
            Dialect::OnnxRuntime | Dialect::Packed | Dialect::Cuda => {
                let product = self.gemm(input, linear, None, None);
                let [scale, shift, bias] = [format!("{norm}.weight"), format!("{norm}.bias"), format!("{linear}.bias")]
                    .map(|weight| self.writer.weight(&weight));
                let epsilon = [("epsilon", Attribute::Float(self.a.layer_norm_epsilon))];
                let inputs = [product.as_str(), residual, &scale, &shift, &bias];
                self.writer.microsoft("SkipLayerNormalization", &inputs, &epsilon)
            }
            Dialect::Standard => {
                let product = self.linear(input, linear);
                let sum = self.writer.node("Add", &[&product, residual], &[]);
                self.layer_norm(&sum, norm)
            }
        }
    }

    /// `W x + b`, flat.
    pub(super) fn linear(&mut self, input: &str, linear: &str) -> String {
        let bias = self.writer.weight(&format!("{linear}.bias"));
        self.gemm(input, linear, Some(&bias), None)
    }

    /// `W x`, with a bias and an activation where they are given.
    pub(super) fn gemm(&mut self, input: &str, linear: &str, bias: Option<&str>, activation: Option<&str>) -> String {
        if let (Dialect::Packed, Some(bias)) = (self.dialect, bias) {
            let product = self.packed_product(input, &format!("{linear}.weight"), bias);
            return activation.map_or(product.clone(), |name| self.writer.node(name, &[&product], &[]));
        }
        let weight = self.writer.weight(&format!("{linear}.weight"));
        let is_transposed = i64::from(self.a.linear_layout == LinearLayout::OutIn);
        let mut attributes = vec![("transB", Attribute::Int(is_transposed))];
        let inputs: Vec<&str> = [Some(input), Some(weight.as_str()), bias].into_iter().flatten().collect();
        match activation {
            Some(name) => {
                attributes.push(("activation", Attribute::Text(name)));
                self.writer.microsoft("FusedGemm", &inputs, &attributes)
            }
            None => self.writer.node("Gemm", &inputs, &attributes),
        }
    }

    pub(super) fn layer_norm(&mut self, input: &str, norm: &str) -> String {
        let (scale, shift) =
            (self.writer.weight(&format!("{norm}.weight")), self.writer.weight(&format!("{norm}.bias")));
        let epsilon = Attribute::Float(self.a.layer_norm_epsilon);
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", epsilon)];
        self.writer.node("LayerNormalization", &[input, &scale, &shift], &attributes)
    }
}
