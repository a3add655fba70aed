//! Config, names and tensors -> [`Architecture`]: sizes, and the rules of the reference that wrote the names.
//!
//! Sources: PaddlePaddle/ERNIE of 2021 (`modeling_ernie.py`), PaddleNLP 2.8 (`transformers/ernie*/modeling.py`),
//! transformers 4.57 (`models/ernie`). Where a reference ignores a key of its own config, so does this.

use super::canonical::Found;
use super::head::{self, Kind};
use super::names::Scheme;
use crate::architecture::{Activation, Architecture, Head, LinearLayout, MaskRule, OutputNames};
use crate::error::{Error, Result};
use crate::model_dir::{Dimensions, NetworkConfig};
use crate::options::Task;

/// Layers are not counted further than this.
const MAX_LAYERS: usize = 1 << 10;

/// Variants of the encoder in PaddleNLP, which differ in their rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Ernie,
    ErnieM,
    Gram,
}

/// What the reference of a scheme does where configs say nothing.
struct Rules {
    epsilon: f32,
    mask_rule: MaskRule,
    zero_word: Option<i64>,
    layout: LinearLayout,
    names: OutputNames,
    position_offset: usize,
}

/// The architecture of what was found; `wanted` is the task that the caller names.
pub(super) fn of(found: &Found<'_>, wanted: Option<Task>) -> Result<Architecture> {
    let none = NetworkConfig::default();
    let config = found.spec.network.as_ref().unwrap_or(&none);
    let variant = variant(found, config)?;
    let rules = rules(found, config, variant);
    let sizes = Sizes::of(found, config, variant)?;
    let Kind { head, has_next_sentence } = head::find(found, wanted, sizes.hidden_size, rules.layout)?;
    let architecture = Architecture {
        hidden_size: sizes.hidden_size,
        n_layers: sizes.n_layers,
        n_heads: sizes.n_heads,
        query_head_size: sizes.query_head_size,
        value_head_size: sizes.value_head_size,
        intermediate_size: sizes.intermediate_size,
        vocab_size: sizes.vocab_size,
        n_positions: sizes.n_positions,
        position_offset: rules.position_offset,
        n_token_types: sizes.n_token_types,
        n_task_types: sizes.n_task_types,
        task_id: sizes.task_id,
        activation: activation(found, config)?,
        layer_norm_epsilon: rules.epsilon,
        mask_rule: rules.mask_rule,
        // UIE is always called with a mask of ones; UIE-M, whose exported graph takes none, is not.
        text_mask_rule: match (head, variant) {
            (Head::Extraction, Variant::Ernie) => MaskRule::Everything,
            _ => rules.mask_rule,
        },
        zero_word: rules.zero_word,
        linear_layout: rules.layout,
        output_names: rules.names,
        has_pooler: found.get("pooler.weight").is_some() && head != Head::Generator,
        has_next_sentence,
        head,
    };
    let path = if found.spec.network.is_some() { &config.path } else { &found.spec.dir };
    architecture.check().map_err(|reason| Error::model(path, reason))?;
    Ok(architecture)
}

/// Networks that look alike but compute something else are refused by name.
fn variant(found: &Found<'_>, config: &NetworkConfig) -> Result<Variant> {
    let class = config.class.as_deref().unwrap_or_default();
    let model_type = config.model_type.as_deref().unwrap_or_default();
    let refuse = |what: &str| {
        let dir = found.spec.dir.display();
        Err(Error::Unsupported(format!("{dir}: {what}, which computes something else than ERNIE's encoder")))
    };
    let known_class = ["Ernie", "UIE", "Bert", ""]
        .iter()
        .any(|begin| class.starts_with(begin) && (!begin.is_empty() || class.is_empty()));
    let other_class = ["ErnieDoc", "ErnieCtm", "ErnieViL", "ErnieLayout", "ErnieCode", "Ernie4"];
    if !known_class || other_class.iter().any(|begin| class.starts_with(begin)) {
        return refuse(&format!("class {class}"));
    }
    if !matches!(
        model_type,
        "" | "ernie" | "ernie_m" | "ernie_gram" | "ernie-m" | "ernie-gram" | "ernie_gen" | "uie" | "bert"
    ) {
        return refuse(&format!("model type {model_type}"));
    }
    if found.any_name_with("r_w_bias") {
        return refuse("the weights of ERNIE-Doc (r_w_bias), a recurrent encoder");
    }
    if config.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
        return refuse(&format!(
            "position_embedding_type {:?}",
            config.position_embedding_type.as_deref().unwrap_or_default()
        ));
    }
    if config.is_decoder == Some(true) || config.add_cross_attention == Some(true) {
        return refuse("is_decoder or add_cross_attention");
    }
    if config.pool_act.as_deref().is_some_and(|name| name != "tanh") {
        return refuse(&format!("pool_act {:?}", config.pool_act.as_deref().unwrap_or_default()));
    }
    let is_gram = class.starts_with("ErnieGram") || model_type.ends_with("gram");
    if found.names.scheme != Scheme::PaddleNlp
        && (is_gram || found.names.prefix.contains("ernie_gram") || found.any_name_with("rel_pos"))
    {
        return refuse("ERNIE-Gram with relative positions (ernie_gram, rel_pos)");
    }
    if class.starts_with("ErnieM") && !class.starts_with("ErnieMo")
        || matches!(model_type, "ernie_m" | "ernie-m")
        || class == "UIEM"
    {
        return if found.names.scheme == Scheme::PaddleNlp {
            Ok(Variant::ErnieM)
        } else {
            refuse("ERNIE-M under other names than PaddleNLP's")
        };
    }
    Ok(if is_gram { Variant::Gram } else { Variant::Ernie })
}

fn rules(found: &Found<'_>, config: &NetworkConfig, variant: Variant) -> Rules {
    let pad = config.pad_token_id.map_or(0, |id| id as i64);
    let program = found.checkpoint.program.as_ref().and_then(|program| program.layer_norm_epsilon);
    match found.names.scheme {
        Scheme::PaddleErnie | Scheme::Fluid => Rules {
            epsilon: program.or(config.epsilon.map(|e| e as f32)).unwrap_or(1e-5),
            mask_rule: MaskRule::KeyAndQuery { masked_id: 0 },
            zero_word: None,
            layout: LinearLayout::InOut,
            names: OutputNames::PaddleErnie,
            position_offset: 0,
        },
        // PaddleNLP sets the epsilon when it makes a model, whatever `layer_norm_eps` says.
        Scheme::PaddleNlp => Rules {
            epsilon: if variant == Variant::Ernie { 1e-12 } else { 1e-5 },
            // ERNIE-M compares with 0, which is `[CLS]` in its vocabulary.
            mask_rule: MaskRule::Key { masked_id: if variant == Variant::ErnieM { 0 } else { pad } },
            zero_word: (variant != Variant::ErnieM).then_some(pad),
            layout: LinearLayout::InOut,
            names: OutputNames::PaddleNlp,
            position_offset: if variant == Variant::ErnieM { 2 } else { 0 },
        },
        Scheme::HuggingFace | Scheme::Canonical => Rules {
            epsilon: config.layer_norm_eps.unwrap_or(1e-12) as f32,
            mask_rule: MaskRule::Everything,
            zero_word: None,
            layout: LinearLayout::OutIn,
            names: OutputNames::HuggingFace,
            position_offset: 0,
        },
    }
}

fn activation(found: &Found<'_>, config: &NetworkConfig) -> Result<Activation> {
    let of_program = found.checkpoint.program.as_ref().and_then(|program| program.activation);
    // Both libraries make a model without this key with gelu; paddle-ernie insists on it.
    let by_default = matches!(found.names.scheme, Scheme::PaddleNlp | Scheme::HuggingFace).then_some("gelu");
    match of_program.or(config.hidden_act.as_deref()).or(by_default) {
        Some("relu") => Ok(Activation::Relu),
        Some("gelu") => Ok(Activation::Gelu),
        Some("gelu_new" | "gelu_tanh" | "gelu_pytorch_tanh")
            if found.names.scheme == Scheme::HuggingFace || of_program.is_some() =>
        {
            Ok(Activation::GeluTanh)
        }
        Some(other) => {
            Err(Error::model(&config.path, format!("hidden_act: \"{}\" is not known", other.escape_debug())))
        }
        None => Err(Error::model(&config.path, "hidden_act is missing")),
    }
}

struct Sizes {
    hidden_size: usize,
    n_layers: usize,
    n_heads: usize,
    query_head_size: usize,
    value_head_size: usize,
    intermediate_size: usize,
    vocab_size: usize,
    n_positions: usize,
    n_token_types: usize,
    n_task_types: usize,
    task_id: usize,
}

impl Sizes {
    fn of(found: &Found<'_>, config: &NetworkConfig, variant: Variant) -> Result<Self> {
        let given = &found.spec.dimensions;
        let rows = |name: &str| found.get(name).and_then(|tensor| tensor.shape.first().copied());
        let width = found.get("embeddings.word").and_then(|tensor| tensor.shape.get(1).copied());
        let hidden_size =
            require(found, config, given.hidden_size.or(width_without_config(found, width)), "hidden_size")?;
        let n_layers = require(found, config, n_layers(found, given), "num_hidden_layers")?;
        let n_heads = require(found, config, n_heads(found, given), "num_attention_heads")?;
        let (query_head_size, value_head_size) = head_sizes(config, hidden_size, n_heads)?;
        if config.embedding_size.is_some_and(|size| size != hidden_size) {
            let size = config.embedding_size.unwrap_or_default();
            return Err(Error::Unsupported(format!(
                "{}: an embedding size of {size} beside a hidden size of {hidden_size} is not supported",
                config.path.display()
            )));
        }
        let intermediate_size = match (found.names.scheme, variant) {
            (_, Variant::ErnieM) => 4 * hidden_size,
            (Scheme::PaddleErnie | Scheme::Fluid, _) => config.intermediate_size.unwrap_or(4 * hidden_size),
            _ => config.intermediate_size.unwrap_or(3072),
        };
        let sizes = Self {
            hidden_size,
            n_layers,
            n_heads,
            query_head_size,
            value_head_size,
            intermediate_size,
            vocab_size: require(found, config, given.vocab_size.or(rows("embeddings.word")), "vocab_size")?,
            n_positions: require(
                found,
                config,
                given.max_positions.or(rows("embeddings.position")),
                "max_position_embeddings",
            )?,
            n_token_types: n_token_types(found, config, given, variant)?,
            n_task_types: n_task_types(found, config)?,
            task_id: if found.names.scheme == Scheme::PaddleNlp { config.task_id.unwrap_or(0) } else { 0 },
        };
        Ok(sizes)
    }
}

/// Without a config file the tensors themselves give the sizes.
fn width_without_config(found: &Found<'_>, width: Option<usize>) -> Option<usize> {
    width.filter(|_| found.spec.network.is_none())
}

fn require(found: &Found<'_>, config: &NetworkConfig, value: Option<usize>, key: &str) -> Result<usize> {
    value.ok_or_else(|| match found.spec.network {
        Some(_) => Error::model(&config.path, format!("{key} is missing")),
        None => Error::NotFound {
            path: found.spec.dir.join("ernie_config.json"),
            what: format!("no such file, nor config.json or model_config.json, and nothing else tells {key}"),
        },
    })
}

fn n_layers(found: &Found<'_>, given: &Dimensions) -> Option<usize> {
    let counted = || (0..MAX_LAYERS).take_while(|i| found.get(&format!("layer.{i}.query.weight")).is_some()).count();
    match (given.n_layers, found.spec.network.is_some()) {
        (None, false) => Some(counted()),
        (None, true) => default_of_libraries(found),
        (given, _) => given,
    }
}

fn n_heads(found: &Found<'_>, given: &Dimensions) -> Option<usize> {
    let of_program = found.checkpoint.program.as_ref().and_then(|program| program.n_heads);
    // What the program computes is what the reference runs.
    of_program.or(given.n_heads).or_else(|| found.spec.network.as_ref().and_then(|_| default_of_libraries(found)))
}

/// PaddleNLP and transformers make a model without a key with 12 layers and heads; paddle-ernie insists on the key.
fn default_of_libraries(found: &Found<'_>) -> Option<usize> {
    matches!(found.names.scheme, Scheme::PaddleNlp | Scheme::HuggingFace).then_some(12)
}

fn head_sizes(config: &NetworkConfig, hidden_size: usize, n_heads: usize) -> Result<(usize, usize)> {
    let (query, value) = (config.query_head_size, config.value_head_size);
    if (query.is_none() || value.is_none()) && !hidden_size.is_multiple_of(n_heads) {
        let reason = format!("hidden_size {hidden_size} is not divisible by num_attention_heads {n_heads} (heads)");
        return Err(Error::model(&config.path, reason));
    }
    Ok((query.unwrap_or(hidden_size / n_heads), value.unwrap_or(hidden_size / n_heads)))
}

fn n_token_types(found: &Found<'_>, config: &NetworkConfig, given: &Dimensions, variant: Variant) -> Result<usize> {
    if variant == Variant::ErnieM {
        return Ok(0);
    }
    let rows = found.get("embeddings.token_type").and_then(|tensor| tensor.shape.first().copied());
    let by_default = match (found.names.scheme, found.spec.network.is_some()) {
        (Scheme::PaddleNlp | Scheme::HuggingFace, true) => Some(2),
        (_, true) => None,
        (_, false) => rows,
    };
    let n_types = require(found, config, given.n_token_types.or(by_default), "type_vocab_size")?;
    if n_types == 0 && found.names.scheme != Scheme::PaddleNlp {
        return Err(Error::model(&config.path, "type_vocab_size: 0 is not a size"));
    }
    Ok(n_types)
}

fn n_task_types(found: &Found<'_>, config: &NetworkConfig) -> Result<usize> {
    let rows = found.get("embeddings.task_type").and_then(|tensor| tensor.shape.first().copied());
    match (found.names.scheme, config.use_task_id, rows) {
        // PaddleNLP's configs say `true` by default, also where a model never had such an embedding.
        (Scheme::PaddleNlp, Some(true) | None, Some(rows)) => Ok(config.n_task_types.unwrap_or(rows)),
        (_, Some(true), Some(rows)) => Ok(config.n_task_types.unwrap_or(rows)),
        (Scheme::HuggingFace | Scheme::PaddleErnie | Scheme::Fluid, Some(true), None) => {
            Err(found.fail("use_task_id is true, but there is no task embedding"))
        }
        _ => Ok(0),
    }
}
