//! What a config says of the network beyond its sizes, as it stands in the file.
//!
//! In: the JSON object that holds the sizes, and the whole file. Out: [`NetworkConfig`]. Defaults are not filled in
//! here: they differ between the references and are decided where the weights are known.

use serde_json::{Map, Value};

use super::config::ConfigFile;
use crate::error::Result;

/// Keys of a config that decide how the network computes; `None` where the file does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkConfig {
    /// The file, for messages.
    pub path: std::path::PathBuf,
    /// The class that saved the model: `ErnieForSequenceClassification`.
    pub class: Option<String>,
    /// `ernie`, `ernie_m`, ...
    pub model_type: Option<String>,
    /// The name of the activation.
    pub hidden_act: Option<String>,
    /// Added to the variance, as Hugging Face writes it.
    pub layer_norm_eps: Option<f64>,
    /// The same, as some paddle-ernie configs write it.
    pub epsilon: Option<f64>,
    /// Width inside a feed-forward layer.
    pub intermediate_size: Option<usize>,
    /// Width of a word's vector, where it may differ from the hidden size.
    pub embedding_size: Option<usize>,
    /// Width of a head's queries.
    pub query_head_size: Option<usize>,
    /// Width of a head's values.
    pub value_head_size: Option<usize>,
    /// Whether a task embedding is added.
    pub use_task_id: Option<bool>,
    /// Row of the task embedding.
    pub task_id: Option<usize>,
    /// Rows of the task embedding.
    pub n_task_types: Option<usize>,
    /// The id of padding.
    pub pad_token_id: Option<usize>,
    /// Whether the word head shares the word embedding.
    pub tie_word_embeddings: Option<bool>,
    /// Whether tokens see only those before them.
    pub is_decoder: Option<bool>,
    /// Whether there is attention to another text.
    pub add_cross_attention: Option<bool>,
    /// `absolute` and the like.
    pub position_embedding_type: Option<String>,
    /// The pooler's activation.
    pub pool_act: Option<String>,
}

impl NetworkConfig {
    pub(super) fn read(file: &ConfigFile, sizes: &Map<String, Value>) -> Result<Self> {
        let text = |key| file.text(sizes, key);
        let size = |keys: &[&str]| file.size(sizes, keys);
        Ok(Self {
            path: file.path().to_owned(),
            class: file.architecture().map(ToOwned::to_owned),
            model_type: text("model_type")?,
            hidden_act: text("hidden_act")?,
            layer_norm_eps: file.positive(sizes, "layer_norm_eps")?,
            epsilon: file.positive(sizes, "epsilon")?,
            intermediate_size: size(&["intermediate_size"])?,
            embedding_size: size(&["emb_size", "embedding_size"])?,
            query_head_size: size(&["query_hidden_size_per_head"])?,
            value_head_size: size(&["value_hidden_size_per_head"])?,
            use_task_id: file.boolean(sizes, "use_task_id")?,
            task_id: file.index(sizes, "task_id")?,
            n_task_types: file.index(sizes, "task_type_vocab_size")?,
            pad_token_id: file.index(sizes, "pad_token_id")?,
            tie_word_embeddings: file.boolean(sizes, "tie_word_embeddings")?,
            is_decoder: file.boolean(sizes, "is_decoder")?,
            add_cross_attention: file.boolean(sizes, "add_cross_attention")?,
            position_embedding_type: text("position_embedding_type")?,
            pool_act: text("pool_act")?,
        })
    }
}
