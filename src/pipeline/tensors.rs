//! The usual padded tensors of a caller, laid out without padding for graphs of this library.

use super::forward::{Predicted, Wanted};
use super::packed::Chosen;
use super::{Model, NetworkLayout};
use crate::architecture::Architecture;
use crate::batch::rows::{PackedRows, Token, pack};
use crate::error::{Error, Result};
use crate::graph::outputs::{Axis, OutputSpec};
use crate::scheduler::Caller;
use crate::tensor::{Tensor, TensorDataRef, TensorView};

impl Model {
    /// Runs the usual tensors of padded texts: `[rows, tokens]` each, all but `input_ids` optional.
    pub(super) fn infer_padded_tensors(
        &self,
        network: &NetworkLayout,
        tensors: &[TensorView<'_>],
    ) -> Result<Vec<Tensor>> {
        let given = PaddedInputs::read(tensors, network.architecture())?;
        let (n_rows, n_tokens) = (given.n_rows, given.n_tokens);
        let mut all: Vec<Tensor> = Vec::new();
        for (number, run) in pack(&vec![n_tokens; n_rows], &network.budget).into_iter().enumerate() {
            let mut chosen = Chosen::default();
            for text in &run.texts {
                chosen.push(text, Wanted { tokens: true, words: Predicted::All }, |_| true);
            }
            let rows = PackedRows::new(&run, |text, number| given.token(text.index * n_tokens + number));
            let caller = Caller::default().after(number);
            let outputs = self.engines.with_least(|engine| {
                let run_rows = || self.run_rows(engine, network, &run, &rows, &chosen);
                engine.queue.scheduler.alone(caller, run_rows)
            })?;
            self.count(run.texts.len(), run.n_tokens, 0);
            match all.is_empty() {
                true => all = outputs,
                // Rows of one length are packed in their order.
                false => all.iter_mut().zip(outputs).for_each(|(all, more)| all.data.append(more.data)),
            }
        }
        let in_rows = |(spec, tensor): (&OutputSpec, Tensor)| {
            let mut shape = if spec.axis == Axis::Text { vec![n_rows] } else { vec![n_rows, n_tokens] };
            shape.extend(spec.width);
            Tensor { name: spec.name.to_owned(), shape, data: tensor.data }
        };
        Ok(network.outputs.iter().zip(all).map(in_rows).collect())
    }
}

/// Tensors of a caller, checked and with the model's own values where one is not given.
#[derive(Default)]
struct PaddedInputs {
    n_rows: usize,
    n_tokens: usize,
    input_ids: Vec<i64>,
    token_type_ids: Vec<i64>,
    position_ids: Vec<i64>,
    task_type_ids: Vec<i64>,
    attention_mask: Vec<i64>,
}

/// Names under which a caller may give each input.
const INPUTS: &[(&str, &[&str])] = &[
    ("input_ids", &["input_ids", "src_ids"]),
    ("token_type_ids", &["token_type_ids", "sent_ids"]),
    ("position_ids", &["position_ids", "pos_ids"]),
    ("task_type_ids", &["task_type_ids", "task_ids"]),
    ("attention_mask", &["attention_mask", "input_mask", "mask"]),
];

impl PaddedInputs {
    fn read(tensors: &[TensorView<'_>], architecture: &Architecture) -> Result<Self> {
        let mut found: Vec<(&str, &TensorView<'_>)> = Vec::new();
        for tensor in tensors {
            let entry = INPUTS.iter().find(|(_, names)| names.contains(&tensor.name));
            let Some((name, _)) = entry else {
                return Err(refuse(format!("the model has no input \"{}\"", tensor.name.escape_debug())));
            };
            if found.iter().any(|(known, _)| known == name) {
                return Err(refuse(format!("input {name} is given twice")));
            }
            found.push((name, tensor));
        }
        let get = |name: &str| found.iter().find(|(known, _)| *known == name).map(|(_, tensor)| *tensor);
        let ids = get("input_ids").ok_or_else(|| refuse("input input_ids is missing"))?;
        let (n_rows, n_tokens) = match ids.shape {
            [n_rows, n_tokens] | [n_rows, n_tokens, 1] if *n_rows > 0 && *n_tokens > 0 => (*n_rows, *n_tokens),
            other => {
                return Err(refuse(format!(
                    "input input_ids has shape {other:?}, not [rows, tokens] of at least 1 each"
                )));
            }
        };
        let read = |name: &str| get(name).map(|tensor| integers(tensor, n_rows, n_tokens)).transpose();
        Self { n_rows, n_tokens, ..Self::default() }.filled(&read, architecture)
    }

    fn filled(self, read: &dyn Fn(&str) -> Result<Option<Vec<i64>>>, architecture: &Architecture) -> Result<Self> {
        let (size, n_tokens) = (self.n_rows * self.n_tokens, self.n_tokens);
        let offset = architecture.position_offset as i64;
        let input_ids = read("input_ids")?.unwrap_or_default();
        check_range("input_ids", &input_ids, architecture.vocab_size, n_tokens)?;
        let bounded = |name: &str, most: usize, default: i64| -> Result<Vec<i64>> {
            let Some(values) = read(name)? else { return Ok(vec![default; size]) };
            // An embedding that the model does not have takes no part, as in the references.
            if most > 0 {
                check_range(name, &values, most, n_tokens)?;
            }
            Ok(values)
        };
        let most = architecture.max_tokens();
        if n_tokens > most {
            return Err(Error::argument(format!("input_ids has rows of {n_tokens} tokens, the model takes {most}")));
        }
        let positions = match read("position_ids")? {
            Some(positions) => positions,
            None => (0..size).map(|at| (at % n_tokens) as i64).collect(),
        };
        check_range("position_ids", &positions, most, n_tokens)?;
        let masked_id = architecture.mask_rule.masked_id();
        let by_rule = || input_ids.iter().map(|id| i64::from(masked_id != Some(*id))).collect();
        Ok(Self {
            token_type_ids: bounded("token_type_ids", architecture.n_token_types, 0)?,
            task_type_ids: bounded("task_type_ids", architecture.n_task_types, architecture.task_id as i64)?,
            position_ids: positions.into_iter().map(|position| position + offset).collect(),
            attention_mask: read("attention_mask")?.unwrap_or_else(by_rule),
            input_ids,
            ..self
        })
    }

    fn token(&self, at: usize) -> Token {
        Token {
            id: self.input_ids[at],
            type_id: self.token_type_ids[at],
            position: self.position_ids[at],
            task_id: self.task_type_ids[at],
            is_masked: self.attention_mask[at] == 0,
        }
    }
}

fn refuse(reason: impl std::fmt::Display) -> Error {
    let names: Vec<&str> = INPUTS.iter().map(|(name, _)| *name).collect();
    Error::argument(format!(
        "{reason}; the model takes int64 or int32 tensors of shape [rows, tokens]: {}, all but the first optional (a mask also float or bool)",
        names.join(", ")
    ))
}

/// The elements of an input with the shape of `input_ids`.
fn integers(tensor: &TensorView<'_>, n_rows: usize, n_tokens: usize) -> Result<Vec<i64>> {
    let name = tensor.name;
    if !matches!(tensor.shape, [r, t] | [r, t, 1] if (*r, *t) == (n_rows, n_tokens)) {
        return Err(refuse(format!("input {name} has shape {:?}, input_ids [{n_rows}, {n_tokens}]", tensor.shape)));
    }
    let values: Vec<i64> = match tensor.data {
        TensorDataRef::I64(values) => values.to_vec(),
        TensorDataRef::I32(values) => values.iter().map(|value| i64::from(*value)).collect(),
        // Masks come as numbers of other types too.
        TensorDataRef::F32(values) if INPUTS[4].1.contains(&name) => {
            values.iter().map(|value| i64::from(*value != 0.0)).collect()
        }
        TensorDataRef::Bool(values) if INPUTS[4].1.contains(&name) => {
            values.iter().map(|value| i64::from(*value)).collect()
        }
        other => return Err(refuse(format!("input {name} has elements of type {}", other.element_type().name()))),
    };
    if values.len() != n_rows * n_tokens {
        return Err(refuse(format!("input {name} holds {} elements", values.len())));
    }
    Ok(values)
}

fn check_range(name: &str, values: &[i64], most: usize, n_tokens: usize) -> Result<()> {
    let is_outside = |value: &i64| usize::try_from(*value).map_or(true, |value| value >= most);
    match values.iter().position(is_outside) {
        None => Ok(()),
        Some(at) => {
            let (row, token, value) = (at / n_tokens, at % n_tokens, values[at]);
            Err(Error::argument(format!(
                "input {name}[{row}][{token}] is {value}, not a number from 0 and below {most}"
            )))
        }
    }
}
