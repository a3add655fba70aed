//! What a network computes, in plain data: sizes, rules and head, without weights.
//!
//! Made from a config and the weights found (`checkpoint`), or read from the manifest of a bundle (`model_dir`); `graph`
//! builds the network from it and `batch` prepares its inputs. The rules differ between the references; where, is said
//! at each field.

use serde::{Deserialize, Serialize};

/// The function between the two products of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x / 2 * (1 + erf(x / sqrt 2))`.
    Gelu,
    /// Gelu by the hyperbolic tangent, `gelu_new` of Hugging Face.
    GeluTanh,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Relu, Self::Gelu, Self::GeluTanh];
}

/// Which tokens do not attend, or are not attended to, when a caller gives no mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MaskRule {
    /// Hugging Face: every token is attended to.
    Everything,
    /// PaddleNLP: tokens with this id are not attended to; they attend as others do.
    Key {
        /// The id.
        masked_id: i64,
    },
    /// paddle-ernie: -10000 is added where either token has this id, so that all of a masked token's row is moved.
    KeyAndQuery {
        /// The id.
        masked_id: i64,
    },
}

impl MaskRule {
    /// The id that is masked.
    #[must_use]
    pub const fn masked_id(self) -> Option<i64> {
        match self {
            Self::Everything => None,
            Self::Key { masked_id } | Self::KeyAndQuery { masked_id } => Some(masked_id),
        }
    }
}

/// How the matrices of linear layers lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinearLayout {
    /// `[inputs, outputs]`, as Paddle stores them.
    InOut,
    /// `[outputs, inputs]`, as torch stores them.
    OutIn,
}

/// How the reference of a model names its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutputNames {
    /// `pooled`, `encoded`.
    PaddleErnie,
    /// `pooled_output`, `sequence_output`.
    PaddleNlp,
    /// `pooler_output`, `last_hidden_state`.
    HuggingFace,
}

/// What stands on top of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Head {
    /// Nothing.
    None,
    /// A linear layer on the pooled vector: `logits [texts, labels]`.
    Classifier {
        /// Labels.
        n_labels: usize,
    },
    /// A linear layer on every token: `logits [tokens, labels]`.
    TokenClassifier {
        /// Labels.
        n_labels: usize,
    },
    /// Two columns on every token: `start_logits`, `end_logits`.
    Span,
    /// A word for every token: transform, LayerNorm, product with the word embedding, bias.
    MaskedLm,
    /// The same without a pooler, as ERNIE-GEN has it.
    Generator,
    /// Two columns on every token with a sigmoid each: `start_prob`, `end_prob`.
    Extraction,
    /// RocketQA's dual encoder: the first token's vector, reduced by a linear layer where there is one.
    DualEncoder {
        /// Width of the vectors.
        embedding_size: usize,
        /// Whether there is a reducing layer.
        is_reduced: bool,
    },
    /// RocketQA's cross encoder: a classifier on the pooled vector, and on the first token's.
    CrossEncoder {
        /// Labels.
        n_labels: usize,
    },
    /// One number for each choice: `logits [texts, 1]`.
    MultipleChoice,
}

/// A post-norm transformer encoder with a head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Width of a token's vector.
    pub hidden_size: usize,
    /// Encoder layers.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of a head's queries and keys.
    pub query_head_size: usize,
    /// Width of a head's values.
    pub value_head_size: usize,
    /// Width inside a feed-forward layer.
    pub intermediate_size: usize,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Rows of the position embedding.
    pub n_positions: usize,
    /// Row of the first position: 2 for ERNIE-M, else 0.
    pub position_offset: usize,
    /// Rows of the token type embedding; 0 where there is none.
    pub n_token_types: usize,
    /// Rows of the task embedding; 0 where there is none.
    pub n_task_types: usize,
    /// Row of the task embedding for every token.
    pub task_id: usize,
    /// The function inside feed-forward layers and the transform of a word head.
    pub activation: Activation,
    /// Added to the variance by every LayerNorm.
    pub layer_norm_epsilon: f32,
    /// Which tokens are masked when ids come without a mask.
    pub mask_rule: MaskRule,
    /// Which tokens of a text are masked: the same, but where the reference's own code gives texts a mask.
    pub text_mask_rule: MaskRule,
    /// The word whose vector is zero whatever is stored: the padding of PaddleNLP.
    pub zero_word: Option<i64>,
    /// How linear layers are stored.
    pub linear_layout: LinearLayout,
    /// How outputs are named.
    pub output_names: OutputNames,
    /// Whether there is a pooler: `tanh(W h + b)` of the first token.
    pub has_pooler: bool,
    /// Whether there is a next-sentence head on the pooled vector.
    pub has_next_sentence: bool,
    /// What stands on top.
    pub head: Head,
}

/// The largest width of anything but the vocabulary, and the most layers.
const MAX_WIDTH: usize = 1 << 16;
const MAX_LAYERS: usize = 1 << 10;
const MAX_ROWS: usize = 1 << 24;

impl Architecture {
    /// Whether a network can have these sizes.
    ///
    /// # Errors
    /// What cannot be.
    pub fn check(&self) -> Result<(), String> {
        let widths = [
            ("hidden_size", self.hidden_size),
            ("query width", self.n_heads.saturating_mul(self.query_head_size)),
            ("value width", self.n_heads.saturating_mul(self.value_head_size)),
            ("intermediate_size", self.intermediate_size),
        ];
        for (name, width) in widths {
            if !(1..=MAX_WIDTH).contains(&width) {
                return Err(format!("{name} {width} is not between 1 and {MAX_WIDTH}"));
            }
        }
        if !(1..=MAX_LAYERS).contains(&self.n_layers) {
            return Err(format!("{} layers are not between 1 and {MAX_LAYERS}", self.n_layers));
        }
        let rows = [self.vocab_size, self.n_positions, self.n_token_types, self.n_task_types];
        if rows.iter().any(|rows| *rows > MAX_ROWS) || self.vocab_size == 0 || self.n_positions <= self.position_offset
        {
            return Err(format!("embeddings of {rows:?} rows (words, positions, types, tasks)"));
        }
        if self.task_id >= self.n_task_types.max(MAX_WIDTH)
            || self.n_task_types > 0 && self.task_id >= self.n_task_types
        {
            return Err(format!("task_id {} is outside the {} task types", self.task_id, self.n_task_types));
        }
        if !(self.layer_norm_epsilon.is_finite() && self.layer_norm_epsilon > 0.0) {
            return Err(format!("an epsilon of {}", self.layer_norm_epsilon));
        }
        self.check_head()
    }

    fn check_head(&self) -> Result<(), String> {
        let width = match self.head {
            Head::Classifier { n_labels } | Head::TokenClassifier { n_labels } | Head::CrossEncoder { n_labels } => {
                n_labels
            }
            Head::DualEncoder { embedding_size, is_reduced: true } => embedding_size,
            Head::DualEncoder { embedding_size, is_reduced: false } if embedding_size != self.hidden_size => 0,
            _ => 1,
        };
        let needs_pooler =
            matches!(self.head, Head::Classifier { .. } | Head::CrossEncoder { .. } | Head::MultipleChoice)
                || self.has_next_sentence;
        match (1..=MAX_ROWS).contains(&width) && (self.has_pooler || !needs_pooler) {
            true => Ok(()),
            false => Err(format!("a head {:?} with{} a pooler", self.head, if self.has_pooler { "" } else { "out" })),
        }
    }

    /// Tokens of a text at most.
    #[must_use]
    pub const fn max_tokens(&self) -> usize {
        self.n_positions.saturating_sub(self.position_offset)
    }

    /// The shape of a linear layer's matrix, as it is stored.
    #[must_use]
    pub const fn linear_shape(&self, n_in: usize, n_out: usize) -> [usize; 2] {
        match self.linear_layout {
            LinearLayout::InOut => [n_in, n_out],
            LinearLayout::OutIn => [n_out, n_in],
        }
    }

    /// Labels of the head; 0 where it has none.
    #[must_use]
    pub const fn n_labels(&self) -> usize {
        match self.head {
            Head::Classifier { n_labels } | Head::TokenClassifier { n_labels } | Head::CrossEncoder { n_labels } => {
                n_labels
            }
            Head::MultipleChoice => 1,
            _ => 0,
        }
    }

    /// Every tensor that the network takes, by canonical name and shape as stored. The word head shares the word
    /// embedding.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = TensorList { architecture: self, tensors: Vec::new() };
        list.embeddings();
        for index in 0..self.n_layers {
            list.layer(index);
        }
        if self.has_pooler {
            list.linear("pooler", self.hidden_size, self.hidden_size);
        }
        if self.has_next_sentence {
            list.linear("next_sentence", self.hidden_size, 2);
        }
        list.head();
        list.tensors
    }
}

struct TensorList<'a> {
    architecture: &'a Architecture,
    tensors: Vec<(String, Vec<usize>)>,
}

impl TensorList<'_> {
    fn push(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.tensors.push((name.into(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, n_in: usize, n_out: usize) {
        let shape = self.architecture.linear_shape(n_in, n_out);
        self.push(format!("{name}.weight"), &shape);
        self.push(format!("{name}.bias"), &[n_out]);
    }

    fn norm(&mut self, name: &str) {
        let width = self.architecture.hidden_size;
        self.push(format!("{name}.weight"), &[width]);
        self.push(format!("{name}.bias"), &[width]);
    }

    fn embeddings(&mut self) {
        let a = self.architecture;
        self.push("embeddings.word", &[a.vocab_size, a.hidden_size]);
        self.push("embeddings.position", &[a.n_positions, a.hidden_size]);
        if a.n_token_types > 0 {
            self.push("embeddings.token_type", &[a.n_token_types, a.hidden_size]);
        }
        if a.n_task_types > 0 {
            self.push("embeddings.task_type", &[a.n_task_types, a.hidden_size]);
        }
        self.norm("embeddings.norm");
    }

    fn layer(&mut self, index: usize) {
        let a = self.architecture;
        let name = |part: &str| format!("layer.{index}.{part}");
        self.linear(&name("query"), a.hidden_size, a.n_heads * a.query_head_size);
        self.linear(&name("key"), a.hidden_size, a.n_heads * a.query_head_size);
        self.linear(&name("value"), a.hidden_size, a.n_heads * a.value_head_size);
        self.linear(&name("attention_output"), a.n_heads * a.value_head_size, a.hidden_size);
        self.norm(&name("attention_norm"));
        self.linear(&name("ffn_in"), a.hidden_size, a.intermediate_size);
        self.linear(&name("ffn_out"), a.intermediate_size, a.hidden_size);
        self.norm(&name("ffn_norm"));
    }

    fn head(&mut self) {
        let width = self.architecture.hidden_size;
        match self.architecture.head {
            Head::None => {}
            Head::Classifier { n_labels } | Head::TokenClassifier { n_labels } | Head::CrossEncoder { n_labels } => {
                self.linear("classifier", width, n_labels);
            }
            Head::Span => self.linear("classifier", width, 2),
            Head::MultipleChoice => self.linear("classifier", width, 1),
            Head::MaskedLm | Head::Generator => {
                self.linear("word_transform", width, width);
                self.norm("word_norm");
                self.push("word_bias", &[self.architecture.vocab_size]);
            }
            Head::Extraction => {
                self.linear("start", width, 1);
                self.linear("end", width, 1);
            }
            Head::DualEncoder { embedding_size, is_reduced } => {
                if is_reduced {
                    self.linear("reduce", width, embedding_size);
                }
            }
        }
    }
}
