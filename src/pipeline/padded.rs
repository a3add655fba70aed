//! Foreign graphs: a text a row, padded to the longest.

use super::forward::{Piece, TextOutputs, as_floats};
use super::{Call, Model};
use crate::batch::{Policy, Rows, Run, plan};
use crate::error::{Error, Result};
use crate::graph::binding::{Binding, BoundInput, BoundOutput, InputRole, OutputRole};
use crate::scheduler::Caller;
use crate::tensor::{ElementType, Tensor, TensorData, TensorDataRef, TensorView};
use crate::tokenize::Encoding;

impl Model {
    pub(super) fn forward_padded(
        &self,
        encodings: &[Encoding],
        call: &Call,
        policy: &Policy,
        each: &mut dyn FnMut(usize, &TextOutputs<'_>) -> Result<()>,
    ) -> Result<()> {
        let binding = self.binding()?;
        let lengths: Vec<usize> = encodings.iter().map(Encoding::len).collect();
        let runs = plan(&lengths, &run_policy(policy, binding, call));
        let make = |number: usize, run: &Run| {
            let tensors = self.run_padded(binding, run, encodings, call.caller(number))?;
            check(binding, run, &tensors)?;
            Ok((number, tensors))
        };
        self.engines.run_all(&runs, make, |(number, tensors)| {
            let (run, floats) = (&runs[number], as_floats(&tensors));
            for (row, index) in run.members.iter().copied().enumerate() {
                let outputs = binding.outputs.iter().zip(tensors.iter().zip(&floats));
                let pieces = outputs.map(|(bound, (tensor, floats))| {
                    let floats = floats.as_deref();
                    piece(bound, tensor, floats, run, row, lengths[index])
                });
                each(index, &TextOutputs { pieces: pieces.collect() })?;
            }
            Ok(())
        })
    }

    /// By itself: what padding a text has beside others changes its numbers in the last bits, and they must not depend on
    /// who else is there.
    fn run_padded(
        &self,
        binding: &Binding,
        run: &Run,
        encodings: &[Encoding],
        caller: Caller<'_>,
    ) -> Result<Vec<Tensor>> {
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
        let tensors = self.run_alone(caller, &views)?;
        let n_tokens: usize = run.members.iter().map(|index| encodings[*index].len()).sum();
        self.count(run.members.len(), n_tokens, (run.n_rows * run.n_tokens).saturating_sub(n_tokens));
        Ok(tensors)
    }
}

/// Padding can be removed only from outputs whose axes are known: for raw outputs of unknown ones, texts run alone.
fn run_policy(policy: &Policy, binding: &Binding, call: &Call) -> Policy {
    let unknown = call.with_raw_outputs && binding.outputs.iter().any(|output| output.role.is_none());
    Policy { max_rows: if unknown { 1 } else { policy.max_rows }, ..*policy }
}

/// Every output whose role is known must have a row for each row that went in, and tokens where it has tokens.
fn check(binding: &Binding, run: &Run, tensors: &[Tensor]) -> Result<()> {
    for (bound, tensor) in binding.outputs.iter().zip(tensors) {
        let Some(role) = bound.role else { continue };
        let has_tokens = has_token_axis(role, tensor);
        let fits = tensor.shape.len() >= 2
            && tensor.shape[0] == run.n_rows
            && (!has_tokens || tensor.shape[1] == run.n_tokens);
        if !fits {
            let context = format!(
                "output {} has shape {:?} for {} rows of {} tokens",
                tensor.name, tensor.shape, run.n_rows, run.n_tokens
            );
            return Err(Error::Runtime { context, source: None });
        }
    }
    Ok(())
}

/// The part of `row`, whose text has `n_tokens`.
fn piece<'a>(
    bound: &'a BoundOutput,
    tensor: &'a Tensor,
    floats: Option<&'a [f32]>,
    run: &Run,
    row: usize,
    n_tokens: usize,
) -> Piece<'a> {
    let name = match bound.role {
        Some(role) if !role.is_known_name(&tensor.name) => role.name(),
        _ => &tensor.name,
    };
    let mut shape = tensor.shape.clone();
    let mut begin = 0;
    if shape.first() == Some(&run.n_rows) {
        begin = row * shape[1..].iter().product::<usize>();
        shape[0] = 1;
        if bound.role.is_some_and(|role| has_token_axis(role, tensor)) {
            shape[1] = n_tokens;
        }
    }
    Piece { role: bound.role, name, tensor, floats, begin, shape }
}

/// Whether the second axis of an output with this role is that of the tokens.
fn has_token_axis(role: OutputRole, tensor: &Tensor) -> bool {
    match role {
        OutputRole::LastHiddenState | OutputRole::StartLogits | OutputRole::EndLogits => true,
        OutputRole::Logits => tensor.shape.len() > 2,
        _ => false,
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
