//! Graphs of this library: texts without padding, and the usual padded tensors laid out as such.

use super::forward::{Piece, Predicted, TextOutputs, Wanted, as_floats};
use super::{Model, NetworkLayout};
use crate::architecture::{Architecture, OutputNames};
use crate::batch::rows::{PackedRows, PackedRun, Placed, Token, pack};
use crate::error::{Error, Result};
use crate::graph::outputs::{Axis, OutputSpec};
use crate::session::Session;
use crate::tensor::{Tensor, TensorDataRef, TensorView};
use crate::tokenize::Encoding;

/// Which tokens of a run go through the last layer's products, and whose words are predicted.
#[derive(Debug, Default)]
struct Chosen {
    /// Tokens of the run's flat list.
    kept: Vec<i64>,
    /// Positions in `kept` of each text's first token.
    first: Vec<i64>,
    /// Positions in `kept`.
    predicted: Vec<i64>,
    /// Where each text's part begins in `kept` and `predicted`, and one past the last.
    kept_ends: Vec<usize>,
    predicted_ends: Vec<usize>,
}

impl Chosen {
    /// Takes a text's tokens: all of them or the first, and of those the words that `predicts` says.
    fn push(&mut self, text: &Placed, wanted: Wanted<'_>, predicts: impl Fn(usize) -> bool) {
        let start = self.kept.len();
        self.first.push(start as i64);
        let n_kept = if wanted.tokens { text.n_tokens } else { 1 };
        self.kept.extend((text.first_token..text.first_token + n_kept).map(|token| token as i64));
        if wanted.words != Predicted::Nothing {
            self.predicted.extend((0..n_kept).filter(|token| predicts(*token)).map(|token| (start + token) as i64));
        }
        self.kept_ends.push(self.kept.len());
        self.predicted_ends.push(self.predicted.len());
    }

    /// Where text number `text` of the run begins and ends on an axis.
    fn range(&self, axis: Axis, text: usize) -> (usize, usize) {
        let of = |ends: &[usize]| {
            let begin = text.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
            (begin, ends.get(text).copied().unwrap_or(begin))
        };
        match axis {
            Axis::Text => (text, text + 1),
            Axis::Token => of(&self.kept_ends),
            Axis::Prediction => of(&self.predicted_ends),
        }
    }
}

/// An input of integers: name, shape, elements.
pub(super) type RowInput<'a> = (&'static str, &'a [usize], &'a [i64]);

/// The shapes of a run's inputs: a list of tokens, and rows of them.
pub(super) struct RowShapes {
    tokens: [usize; 1],
    texts: [usize; 1],
    rows: [usize; 2],
}

impl RowShapes {
    pub(super) fn of(run: &PackedRun) -> Self {
        Self { tokens: [run.n_tokens], texts: [run.texts.len()], rows: [run.texts.len(), run.n_row_tokens] }
    }
}

/// What graphs of this library take of the rows of a run.
pub(super) fn row_inputs<'a>(rows: &'a PackedRows, shapes: &'a RowShapes) -> [RowInput<'a>; 9] {
    [
        ("input_ids", &shapes.tokens, &rows.input_ids),
        ("token_type_ids", &shapes.tokens, &rows.token_type_ids),
        ("position_ids", &shapes.tokens, &rows.position_ids),
        ("task_type_ids", &shapes.tokens, &rows.task_type_ids),
        ("slots", &shapes.tokens, &rows.slots),
        ("row_tokens", &shapes.rows, &rows.row_tokens),
        ("attention_mask", &shapes.rows, &rows.attention_mask),
        ("token_mask", &shapes.tokens, &rows.token_mask),
        ("text_ends", &shapes.texts, &rows.text_ends),
    ]
}

/// Those inputs that a graph takes.
pub(super) fn taken<'a>(session: &Session, inputs: &[RowInput<'a>]) -> Vec<TensorView<'a>> {
    let is_taken = |(name, ..): &&RowInput<'_>| session.inputs().iter().any(|info| info.name == *name);
    let view = |(name, shape, data): &RowInput<'a>| TensorView { name, shape, data: TensorDataRef::I64(data) };
    inputs.iter().filter(is_taken).map(view).collect()
}

impl Model {
    pub(super) fn forward_packed(
        &self,
        encodings: &[Encoding],
        network: &NetworkLayout,
        wanted: Wanted<'_>,
        each: &mut dyn FnMut(usize, &TextOutputs<'_>) -> Result<()>,
    ) -> Result<()> {
        let lengths: Vec<usize> = encodings.iter().map(Encoding::len).collect();
        let is_seed = network.architecture().output_names == OutputNames::PaddleErnie && !network.is_generator();
        let only_masks = wanted.words == Predicted::Masks || wanted.words == Predicted::Reference && is_seed;
        let mask_id = self.tokenizer().ok().and_then(|tokenizer| tokenizer.special_ids().mask);
        for run in pack(&lengths, &network.budget) {
            let mut chosen = Chosen::default();
            for text in &run.texts {
                let ids = &encodings[text.index].input_ids;
                chosen.push(text, wanted, |token| match wanted.words {
                    Predicted::Places(places) => places[text.index].contains(&token),
                    _ => !only_masks || ids.get(token).copied() == mask_id,
                });
            }
            let rows = PackedRows::of_encodings(&run, encodings, network.architecture(), self.options.attention_mask);
            let tensors = self.run_packed(network, &run, &rows, &chosen)?;
            self.count(run.texts.len(), run.n_tokens, 0);
            let floats = as_floats(&tensors);
            for (number, text) in run.texts.iter().enumerate() {
                let outputs = network.outputs.iter().zip(tensors.iter().zip(&floats));
                let pieces = outputs.map(|(spec, (tensor, floats))| {
                    let (begin, end) = chosen.range(spec.axis, number);
                    piece(spec, tensor, floats.as_deref(), begin, end)
                });
                each(text.index, &TextOutputs { pieces: pieces.collect() })?;
            }
        }
        Ok(())
    }

    /// Runs texts; outputs in the order of the network's.
    fn run_packed(
        &self,
        network: &NetworkLayout,
        run: &PackedRun,
        rows: &PackedRows,
        chosen: &Chosen,
    ) -> Result<Vec<Tensor>> {
        let kept_slots: Vec<i64> = chosen.kept.iter().map(|token| rows.slots[*token as usize]).collect();
        let shapes = RowShapes::of(run);
        let lengths = [[chosen.kept.len()], [chosen.first.len()], [chosen.predicted.len()]];
        let of_chosen: [RowInput<'_>; 4] = [
            ("kept_tokens", &lengths[0], &chosen.kept),
            ("kept_slots", &lengths[0], &kept_slots),
            ("first_tokens", &lengths[1], &chosen.first),
            ("predicted_tokens", &lengths[2], &chosen.predicted),
        ];
        let views = taken(&self.session, &[&row_inputs(rows, &shapes)[..], &of_chosen].concat());
        let tensors = self.timed_run(&views)?;
        for (spec, tensor) in network.outputs.iter().zip(&tensors) {
            let n_entries = match spec.axis {
                Axis::Text => chosen.first.len(),
                Axis::Token => chosen.kept.len(),
                Axis::Prediction => chosen.predicted.len(),
            };
            if tensor.shape.first() != Some(&n_entries) || tensor.shape.get(1).copied() != spec.width {
                let context = format!("output {} has shape {:?} for {n_entries} entries", tensor.name, tensor.shape);
                return Err(Error::Runtime { context, source: None });
            }
        }
        Ok(tensors)
    }

    /// Runs the usual tensors of padded texts: `[rows, tokens]` each, all but `input_ids` optional.
    pub(super) fn infer_padded_tensors(
        &self,
        network: &NetworkLayout,
        tensors: &[TensorView<'_>],
    ) -> Result<Vec<Tensor>> {
        let given = PaddedInputs::read(tensors, network.architecture())?;
        let (n_rows, n_tokens) = (given.n_rows, given.n_tokens);
        let mut all: Vec<Tensor> = Vec::new();
        for run in pack(&vec![n_tokens; n_rows], &network.budget) {
            let mut chosen = Chosen::default();
            for text in &run.texts {
                chosen.push(text, Wanted { tokens: true, words: Predicted::All }, |_| true);
            }
            let rows = PackedRows::new(&run, |text, number| given.token(text.index * n_tokens + number));
            let outputs = self.run_packed(network, &run, &rows, &chosen)?;
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

/// The entries `begin..end` of an output.
fn piece<'a>(
    spec: &'a OutputSpec,
    tensor: &'a Tensor,
    floats: Option<&'a [f32]>,
    begin: usize,
    end: usize,
) -> Piece<'a> {
    let mut shape = match spec.axis {
        Axis::Text => vec![1],
        Axis::Token | Axis::Prediction => vec![1, end - begin],
    };
    shape.extend(spec.width);
    let begin = begin * spec.width.unwrap_or(1);
    Piece { role: Some(spec.role), name: spec.name, tensor, floats, begin, shape }
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
