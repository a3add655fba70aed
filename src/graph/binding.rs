//! Which input and output of a foreign graph plays which role.
//!
//! In: the graph's inputs and outputs, the caller's own assignment. Out: a [`Binding`]. Names decide (the aliases of
//! the known exporters), then position for purely numbered names, then shape; what stays ambiguous is refused with
//! the list of what the graph has, because a wrong guess gives wrong numbers without a sign.

use crate::error::{Error, Result};
use crate::tensor::{ElementType, TensorInfo};

/// What an input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputRole {
    InputIds,
    TokenTypeIds,
    AttentionMask,
    PositionIds,
    TaskTypeIds,
}

/// What an output holds, by the name that the references give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputRole {
    /// `[rows, labels]`, `[rows, tokens, labels]` or `[rows, tokens, vocabulary]`.
    Logits,
    /// `[rows, tokens, hidden]`.
    LastHiddenState,
    /// `[rows, hidden]`.
    PoolerOutput,
    /// `[rows, tokens]`.
    StartLogits,
    /// `[rows, tokens]`.
    EndLogits,
    /// `[rows, 2]`: the second text follows the first, or not.
    NextSentenceLogits,
    /// `[masked tokens, hidden]`: what the product with the word embedding takes.
    WordTransform,
    /// `[rows, width]`: the vector of a dual encoder.
    Embedding,
    /// `[rows, labels]`: softmax of the logits.
    MatchingProbabilities,
    /// `[rows, labels]`: the classifier on the first token's vector.
    FirstTokenLogits,
}

/// Outputs that only graphs of this library have.
const OWN_NAMES: &[(OutputRole, &str)] = &[
    (OutputRole::NextSentenceLogits, "nsp_logits"),
    (OutputRole::WordTransform, "mlm_transform"),
    (OutputRole::Embedding, "embedding"),
    (OutputRole::MatchingProbabilities, "matching_probs"),
    (OutputRole::FirstTokenLogits, "matching_v2"),
];

const INPUT_ALIASES: &[(InputRole, &[&str])] = &[
    (InputRole::InputIds, &["input_ids", "src_ids", "ids", "token_ids"]),
    (InputRole::TokenTypeIds, &["token_type_ids", "segment_ids", "sent_ids", "sentence_ids", "type_ids"]),
    (InputRole::AttentionMask, &["attention_mask", "att_mask", "input_mask", "mask"]),
    (InputRole::PositionIds, &["position_ids", "pos_ids"]),
    (InputRole::TaskTypeIds, &["task_type_ids", "task_ids"]),
];

const OUTPUT_ALIASES: &[(OutputRole, &[&str])] = &[
    (OutputRole::Logits, &["logits", "prediction_logits", "matching_v3"]),
    (
        OutputRole::LastHiddenState,
        &["last_hidden_state", "sequence_output", "encoded", "hidden_states", "token_embeddings"],
    ),
    (OutputRole::PoolerOutput, &["pooler_output", "pooled_output", "pooled"]),
    (OutputRole::StartLogits, &["start_logits", "start_prob"]),
    (OutputRole::EndLogits, &["end_logits", "end_prob"]),
];

/// The most rows, and tokens a row, that a graph may insist on.
const LARGEST_FIXED: [usize; 2] = [1 << 12, 1 << 16];

/// Names that carry nothing but a position.
const NUMBERED_PREFIXES: &[&str] = &["placeholder_", "feed_", "x", "input_", "input."];

impl InputRole {
    pub(crate) fn name(self) -> &'static str {
        INPUT_ALIASES.iter().find(|(role, _)| *role == self).map_or("", |(_, names)| names[0])
    }
}

impl OutputRole {
    pub(crate) fn name(self) -> &'static str {
        let aliases = OUTPUT_ALIASES.iter().find(|(role, _)| *role == self).map(|(_, names)| names[0]);
        let own = OWN_NAMES.iter().find(|(role, _)| *role == self).map(|(_, name)| *name);
        aliases.or(own).unwrap_or("")
    }

    /// Whether a reference calls this role so.
    pub(crate) fn is_known_name(self, name: &str) -> bool {
        OUTPUT_ALIASES.iter().any(|(role, names)| *role == self && names.contains(&name))
    }
}

/// An input with its role.
#[derive(Clone, Debug)]
pub(crate) struct BoundInput {
    pub(crate) role: InputRole,
    pub(crate) name: String,
    pub(crate) element_type: ElementType,
    /// 2 for `[rows, tokens]`, 3 for `[rows, tokens, 1]`.
    pub(crate) rank: usize,
}

/// An output with its role, where it has one.
#[derive(Clone, Debug)]
pub(crate) struct BoundOutput {
    pub(crate) role: Option<OutputRole>,
    pub(crate) info: TensorInfo,
}

/// A graph whose inputs and outputs are known.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) inputs: Vec<BoundInput>,
    pub(crate) outputs: Vec<BoundOutput>,
    /// The number of rows the graph insists on.
    pub(crate) fixed_rows: Option<usize>,
    /// The number of tokens the graph insists on.
    pub(crate) fixed_tokens: Option<usize>,
}

/// What is known of the model beside the graph.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hints {
    pub(crate) hidden_size: Option<usize>,
    pub(crate) n_labels: Option<usize>,
    pub(crate) vocab_size: Option<usize>,
    /// Whether the model answers with spans (reading comprehension, extraction).
    pub(crate) answers_with_spans: bool,
    /// Whether the model classifies tokens or predicts words rather than encodes.
    pub(crate) has_head: bool,
}

impl Binding {
    /// Tells the inputs and outputs apart.
    ///
    /// # Errors
    /// - [`Error::Unsupported`]: something cannot be told apart; the message lists what the graph has.
    /// - [`Error::InvalidArgument`]: the caller's assignment names what the graph does not have.
    pub(crate) fn new(
        inputs: &[TensorInfo],
        outputs: &[TensorInfo],
        named_inputs: &[(String, String)],
        named_outputs: &[(String, String)],
        hints: Hints,
    ) -> Result<Self> {
        let bound = bind_inputs(inputs, named_inputs).map_err(|e| with_list(e, inputs, outputs))?;
        let (fixed_rows, fixed_tokens) = fixed_dims(inputs)?;
        let outputs_bound = bind_outputs(outputs, named_outputs, hints).map_err(|e| with_list(e, inputs, outputs))?;
        let binding = Self { inputs: bound, outputs: outputs_bound, fixed_rows, fixed_tokens };
        if fixed_tokens.is_some() && !binding.takes_mask() {
            let error = refuse("rows of a fixed length need padding, and no input can say what is padding");
            return Err(with_list(error, inputs, outputs));
        }
        Ok(binding)
    }

    /// The position of the output with this role.
    pub(crate) fn output(&self, role: OutputRole) -> Option<usize> {
        self.outputs.iter().position(|o| o.role == Some(role))
    }

    /// Whether the graph takes a mask; one without may or may not ignore padding.
    pub(crate) fn takes_mask(&self) -> bool {
        self.inputs.iter().any(|i| i.role == InputRole::AttentionMask)
    }
}

fn with_list(error: Error, inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Error {
    let list = |infos: &[TensorInfo]| infos.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let text = format!("{error}; inputs: {}; outputs: {}", list(inputs), list(outputs));
    match error {
        Error::InvalidArgument(_) => Error::InvalidArgument(text),
        _ => Error::Unsupported(text),
    }
}

fn refuse(reason: impl std::fmt::Display) -> Error {
    Error::Unsupported(format!(
        "the graph's inputs or outputs cannot be told apart: {reason}; options `inputs` and `outputs` can name them, option `task` = `tensors` runs any graph"
    ))
}

fn bind_inputs(inputs: &[TensorInfo], named: &[(String, String)]) -> Result<Vec<BoundInput>> {
    let roles = if named.is_empty() { roles_by_name(inputs)? } else { roles_by_caller(inputs, named)? };
    for (index, role) in roles.iter().enumerate() {
        if let Some(other) = roles[..index].iter().position(|r| r == role) {
            return Err(refuse(format!("{} and {} are both {}", inputs[other].name, inputs[index].name, role.name())));
        }
    }
    if !roles.contains(&InputRole::InputIds) {
        return Err(refuse("no input holds the token ids"));
    }
    inputs.iter().zip(roles).map(|(info, role)| bound_input(info, role)).collect()
}

fn roles_by_name(inputs: &[TensorInfo]) -> Result<Vec<InputRole>> {
    let by_alias: Vec<Option<InputRole>> = inputs.iter().map(|info| find_alias(INPUT_ALIASES, &info.name)).collect();
    if let Some(roles) = by_alias.iter().copied().collect::<Option<Vec<_>>>() {
        return Ok(roles);
    }
    // Numbered names follow the order of the reference's arguments: ids, then sentence ids; further ones vary.
    let numbered = inputs.iter().all(|info| is_numbered(&info.name));
    match (inputs.len(), numbered) {
        (1, true) => Ok(vec![InputRole::InputIds]),
        (2, true) => Ok(vec![InputRole::InputIds, InputRole::TokenTypeIds]),
        _ => {
            let unknown: Vec<&str> = inputs
                .iter()
                .zip(&by_alias)
                .filter(|(_, role)| role.is_none())
                .map(|(info, _)| info.name.as_str())
                .collect();
            Err(refuse(format!("unknown input {}", unknown.join(", "))))
        }
    }
}

fn roles_by_caller(inputs: &[TensorInfo], named: &[(String, String)]) -> Result<Vec<InputRole>> {
    let known: Vec<&str> = INPUT_ALIASES.iter().map(|(role, _)| role.name()).collect();
    check_named("inputs", "input", inputs, named, &known)?;
    let role_of = |info: &TensorInfo| {
        let given = named.iter().find(|(_, name)| *name == info.name).map(|(role, _)| role.as_str());
        find_alias(INPUT_ALIASES, given.unwrap_or(&info.name))
            .ok_or_else(|| refuse(format!("unknown input {}", info.name)))
    };
    inputs.iter().map(role_of).collect()
}

/// Whether the caller's roles are known and the names are the graph's.
fn check_named(
    option: &str,
    what: &str,
    infos: &[TensorInfo],
    named: &[(String, String)],
    known: &[&str],
) -> Result<()> {
    for (role, name) in named {
        if !known.contains(&role.as_str()) {
            let list = known.join(", ");
            return Err(Error::argument(format!("option {option}: \"{role}\" is not one of the roles {list}")));
        }
        if !infos.iter().any(|info| info.name == *name) {
            return Err(Error::argument(format!("option {option}: the graph has no {what} \"{name}\"")));
        }
    }
    Ok(())
}

fn find_alias<R: Copy>(aliases: &[(R, &[&str])], name: &str) -> Option<R> {
    let plain = name.split(':').next().unwrap_or(name).to_ascii_lowercase();
    aliases.iter().find(|(_, names)| names.contains(&plain.as_str())).map(|(role, _)| *role)
}

fn is_numbered(name: &str) -> bool {
    NUMBERED_PREFIXES
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix))
        .any(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn bound_input(info: &TensorInfo, role: InputRole) -> Result<BoundInput> {
    let element_type =
        info.element_type.filter(|t| t.is_integer() || (role == InputRole::AttentionMask && *t != ElementType::String));
    let Some(element_type) = element_type else {
        return Err(refuse(format!("input {info} has a type that {} cannot have", role.name())));
    };
    match info.dims.as_slice() {
        [_, _] | [_, _, Some(1)] => {}
        _ => return Err(refuse(format!("input {info} is not of shape [rows, tokens]"))),
    }
    Ok(BoundInput { role, name: info.name.clone(), element_type, rank: info.dims.len() })
}

fn fixed_dims(inputs: &[TensorInfo]) -> Result<(Option<usize>, Option<usize>)> {
    let mut fixed = [None, None];
    for info in inputs {
        for (axis, known) in fixed.iter_mut().enumerate() {
            let Some(Some(size)) = info.dims.get(axis).copied() else { continue };
            if size == 0 || size > LARGEST_FIXED[axis] {
                return Err(refuse(format!("input {info} is of a size that no run can have")));
            }
            if known.is_some_and(|other| other != size) {
                return Err(refuse(format!("input {info} contradicts the sizes of the others")));
            }
            *known = Some(size);
        }
    }
    Ok((fixed[0], fixed[1]))
}

fn bind_outputs(outputs: &[TensorInfo], named: &[(String, String)], hints: Hints) -> Result<Vec<BoundOutput>> {
    let known: Vec<&str> = OUTPUT_ALIASES.iter().map(|(role, _)| role.name()).collect();
    check_named("outputs", "output", outputs, named, &known)?;
    // A role that the caller gives to one output is taken from all others.
    let role_of = |info: &TensorInfo| match named.iter().find(|(_, name)| *name == info.name) {
        Some((role, _)) => find_alias(OUTPUT_ALIASES, role),
        None => {
            find_alias(OUTPUT_ALIASES, &info.name).filter(|role| !named.iter().any(|(given, _)| given == role.name()))
        }
    };
    let mut roles: Vec<Option<OutputRole>> = outputs.iter().map(role_of).collect();
    if roles.iter().all(Option::is_none) {
        roles = roles_by_shape(outputs, hints)?;
    }
    for (index, role) in roles.iter().enumerate().filter(|(_, role)| role.is_some()) {
        if let Some(other) = roles[..index].iter().position(|r| r == role) {
            let name = role.map_or("", OutputRole::name);
            return Err(refuse(format!("{} and {} are both {name}", outputs[other].name, outputs[index].name)));
        }
    }
    Ok(outputs.iter().zip(roles).map(|(info, role)| BoundOutput { role, info: info.clone() }).collect())
}

/// Roles of outputs whose names say nothing, from their number, ranks and last dimensions.
fn roles_by_shape(outputs: &[TensorInfo], hints: Hints) -> Result<Vec<Option<OutputRole>>> {
    let last = |info: &TensorInfo| info.dims.last().copied().flatten();
    match outputs {
        [] => Err(refuse("the graph has no output")),
        [one] => role_of_single(one, last(one), hints).map(|role| vec![Some(role)]),
        [first, second] if first.dims.len() == 3 && second.dims.len() == 2 && !hints.answers_with_spans => {
            Ok(vec![Some(OutputRole::LastHiddenState), Some(OutputRole::PoolerOutput)])
        }
        [first, second] if first.dims.len() == 2 && second.dims.len() == 3 && !hints.answers_with_spans => {
            Ok(vec![Some(OutputRole::PoolerOutput), Some(OutputRole::LastHiddenState)])
        }
        [first, second] if first.dims.len() == 2 && second.dims.len() == 2 && hints.answers_with_spans => {
            Ok(vec![Some(OutputRole::StartLogits), Some(OutputRole::EndLogits)])
        }
        _ => Err(refuse("the outputs' names are unknown and their shapes fit no task")),
    }
}

fn role_of_single(info: &TensorInfo, last: Option<usize>, hints: Hints) -> Result<OutputRole> {
    let (is_hidden, is_head) = (
        last.is_some() && last == hints.hidden_size,
        last.is_some() && (last == hints.n_labels || last == hints.vocab_size),
    );
    match info.dims.len() {
        2 | 3 if hints.has_head || is_head && !is_hidden => Ok(OutputRole::Logits),
        2 if is_hidden => Ok(OutputRole::PoolerOutput),
        3 if is_hidden => Ok(OutputRole::LastHiddenState),
        2 if hints.hidden_size.is_some() => Ok(OutputRole::Logits),
        _ => Err(refuse(format!("output {info} may be anything"))),
    }
}

#[cfg(test)]
mod tests;
