//! Encodings through the graph, a run at a time, and what each text got.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Call, Model};
use crate::batch::{Policy, Rows, Run, plan};
use crate::error::{Error, Result};
use crate::graph::binding::{Binding, BoundInput, InputRole, OutputRole};
use crate::tensor::{ElementType, Tensor, TensorData, TensorDataRef, TensorView};
use crate::tokenize::Encoding;

/// What the graph gave in one run.
struct RunOutputs<'a> {
    binding: &'a Binding,
    run: &'a Run,
    tensors: &'a [Tensor],
    /// The same, as `f32` where they are of a floating-point type.
    floats: Vec<Option<Cow<'a, [f32]>>>,
}

/// What the graph gave for one text.
pub(super) struct RowOutputs<'a> {
    all: &'a RunOutputs<'a>,
    row: usize,
    n_tokens: usize,
}

impl Model {
    /// Runs all encodings and hands each text's outputs to `each`, run by run; raw outputs are collected where the
    /// call wants them.
    pub(super) fn forward(
        &self,
        encodings: &[Encoding],
        call: &Call,
        raw_outputs: &mut Vec<Vec<Tensor>>,
        mut each: impl FnMut(usize, &RowOutputs<'_>) -> Result<()>,
    ) -> Result<()> {
        let binding = self.binding()?;
        if call.with_raw_outputs {
            raw_outputs.resize_with(encodings.len(), Vec::new);
        }
        let lengths: Vec<usize> = encodings.iter().map(Encoding::len).collect();
        for run in plan(&lengths, &self.run_policy(binding, call)) {
            let tensors = self.run_rows(binding, &run, encodings)?;
            let floats = tensors.iter().map(Tensor::to_f32).collect();
            let all = RunOutputs { binding, run: &run, tensors: &tensors, floats };
            all.check()?;
            for (row, index) in run.members.iter().copied().enumerate() {
                let outputs = RowOutputs { all: &all, row, n_tokens: lengths[index] };
                if call.with_raw_outputs {
                    raw_outputs[index] = outputs.tensors()?;
                }
                each(index, &outputs)?;
            }
        }
        Ok(())
    }

    /// Padding can be removed only from outputs whose axes are known: for raw outputs of unknown ones, texts run alone.
    fn run_policy(&self, binding: &Binding, call: &Call) -> Policy {
        let unknown = call.with_raw_outputs && binding.outputs.iter().any(|output| output.role.is_none());
        Policy { max_rows: if unknown { 1 } else { self.policy.max_rows }, ..self.policy }
    }

    fn run_rows(&self, binding: &Binding, run: &Run, encodings: &[Encoding]) -> Result<Vec<Tensor>> {
        let pad_id = self.tokenizer()?.special_ids().pad.unwrap_or(0);
        let rows = Rows::new(run, encodings, pad_id);
        let task_type_ids = if binding.inputs.iter().any(|i| i.role == InputRole::TaskTypeIds) {
            vec![0; rows.input_ids.len()]
        } else {
            Vec::new()
        };
        let columns: Vec<(&BoundInput, Column<'_>)> = binding
            .inputs
            .iter()
            .map(|input| {
                let values = match input.role {
                    InputRole::InputIds => &rows.input_ids,
                    InputRole::TokenTypeIds => &rows.token_type_ids,
                    InputRole::AttentionMask => &rows.attention_mask,
                    InputRole::PositionIds => &rows.position_ids,
                    InputRole::TaskTypeIds => &task_type_ids,
                };
                (input, Column::new(values, input.element_type))
            })
            .collect();
        let shape = [run.n_rows, run.n_tokens, 1];
        let views: Vec<TensorView<'_>> = columns
            .iter()
            .map(|(input, column)| TensorView { name: &input.name, shape: &shape[..input.rank], data: column.data() })
            .collect();
        let tensors = self.timed_run(&views)?;
        self.count(run, encodings);
        Ok(tensors)
    }

    fn count(&self, run: &Run, encodings: &[Encoding]) {
        let n_tokens: usize = run.members.iter().map(|index| encodings[*index].len()).sum();
        let add = |counter: &std::sync::atomic::AtomicU64, n: usize| counter.fetch_add(n as u64, Ordering::Relaxed);
        add(&self.counters.n_texts, run.members.len());
        add(&self.counters.n_tokens, n_tokens);
        add(&self.counters.n_padding_tokens, (run.n_rows * run.n_tokens).saturating_sub(n_tokens));
    }

    pub(super) fn timed_run(&self, views: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        let start = Instant::now();
        let tensors = self.session.run(views)?;
        let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counters.run_time_ns.fetch_add(elapsed, Ordering::Relaxed);
        self.counters.n_runs.fetch_add(1, Ordering::Relaxed);
        Ok(tensors)
    }
}

/// Integers as the graph's input wants them.
enum Column<'a> {
    Same(&'a [i64]),
    Converted(TensorData),
}

impl<'a> Column<'a> {
    fn new(values: &'a [i64], element_type: ElementType) -> Self {
        macro_rules! convert {
            ($variant:ident, $convert:expr) => {
                Self::Converted(TensorData::$variant(values.iter().copied().map($convert).collect()))
            };
        }
        match element_type {
            ElementType::I32 => convert!(I32, |x| x as i32),
            ElementType::F32 => convert!(F32, |x| x as f32),
            ElementType::F16 => convert!(F16, |x| half::f16::from_f32(x as f32)),
            ElementType::Bf16 => convert!(Bf16, |x| half::bf16::from_f32(x as f32)),
            ElementType::F64 => convert!(F64, |x| x as f64),
            ElementType::Bool => convert!(Bool, |x| x != 0),
            ElementType::I16 => convert!(I16, |x| x as i16),
            ElementType::I8 => convert!(I8, |x| x as i8),
            ElementType::U8 => convert!(U8, |x| x as u8),
            ElementType::U16 => convert!(U16, |x| x as u16),
            ElementType::U32 => convert!(U32, |x| x as u32),
            ElementType::U64 => convert!(U64, |x| x as u64),
            ElementType::I64 | ElementType::String => Self::Same(values),
        }
    }

    fn data(&self) -> TensorDataRef<'_> {
        match self {
            Self::Same(values) => TensorDataRef::I64(values),
            Self::Converted(data) => data.as_ref(),
        }
    }
}

impl RunOutputs<'_> {
    /// Every output whose role is known must have a row for each row that went in, and tokens where it has tokens.
    fn check(&self) -> Result<()> {
        for (bound, tensor) in self.binding.outputs.iter().zip(self.tensors) {
            let Some(role) = bound.role else { continue };
            let has_tokens = has_token_axis(role, tensor);
            let fits = tensor.shape.len() >= 2
                && tensor.shape[0] == self.run.n_rows
                && (!has_tokens || tensor.shape[1] == self.run.n_tokens);
            if !fits {
                let context = format!(
                    "output {} has shape {:?} for {} rows of {} tokens",
                    tensor.name, tensor.shape, self.run.n_rows, self.run.n_tokens
                );
                return Err(Error::Runtime { context, source: None });
            }
        }
        Ok(())
    }

    fn floats(&self, role: OutputRole) -> Result<Option<(&Tensor, &[f32])>> {
        let Some(index) = self.binding.output(role) else { return Ok(None) };
        let tensor = &self.tensors[index];
        match &self.floats[index] {
            Some(values) => Ok(Some((tensor, values))),
            None => Err(Error::Unsupported(format!(
                "output {} holds {}, not floating-point numbers",
                tensor.name,
                tensor.data.element_type().name()
            ))),
        }
    }
}

impl RowOutputs<'_> {
    /// The text's row of a `[rows, width]` output; `None` where the graph has no such output.
    pub(super) fn vector(&self, role: OutputRole) -> Result<Option<&[f32]>> {
        let Some((tensor, values)) = self.all.floats(role)? else { return Ok(None) };
        let width: usize = tensor.shape[1..].iter().product();
        Ok(values.get(self.row * width..(self.row + 1) * width))
    }

    /// The text's tokens of a `[rows, tokens, width]` output without padding, and the width.
    pub(super) fn token_rows(&self, role: OutputRole) -> Result<Option<(&[f32], usize)>> {
        let Some((tensor, values)) = self.all.floats(role)? else { return Ok(None) };
        let width: usize = tensor.shape[2..].iter().product();
        let begin = self.row * self.all.run.n_tokens * width;
        Ok(values.get(begin..begin + self.n_tokens * width).map(|rows| (rows, width)))
    }

    /// All outputs of this text alone, under the references' names, padding removed, a leading dimension of 1.
    fn tensors(&self) -> Result<Vec<Tensor>> {
        self.all
            .binding
            .outputs
            .iter()
            .zip(self.all.tensors)
            .map(|(bound, tensor)| {
                let name = match bound.role {
                    Some(role) if !role.is_known_name(&tensor.name) => role.name(),
                    _ => &tensor.name,
                };
                self.cut(tensor, name, bound.role)
            })
            .collect()
    }

    fn cut(&self, tensor: &Tensor, name: &str, role: Option<OutputRole>) -> Result<Tensor> {
        let whole = || Tensor { name: name.to_owned(), ..tensor.clone() };
        if tensor.shape.first() != Some(&self.all.run.n_rows) {
            return Ok(whole());
        }
        let size: usize = tensor.shape[1..].iter().product();
        let mut shape = tensor.shape.clone();
        shape[0] = 1;
        if role.is_some_and(|role| has_token_axis(role, tensor)) {
            shape[1] = self.n_tokens;
        }
        let begin = self.row * size;
        let length: usize = shape[1..].iter().product();
        let data = tensor.data.copy_range(begin..begin + length);
        let data =
            data.ok_or_else(|| Error::Runtime { context: format!("output {} is short", tensor.name), source: None })?;
        Ok(Tensor { name: name.to_owned(), shape, data })
    }
}

/// Whether the second axis of an output with this role is that of the tokens.
fn has_token_axis(role: OutputRole, tensor: &Tensor) -> bool {
    match role {
        OutputRole::LastHiddenState | OutputRole::StartLogits | OutputRole::EndLogits => true,
        OutputRole::Logits => tensor.shape.len() > 2,
        OutputRole::PoolerOutput => false,
    }
}
