//! The operators of this library, which run on ONNX Runtime's own threads: [`kernels`](crate::kernels) behind the names that
//! `graph` writes.
//!
//! - `Linear`: `x [rows, inputs]`, packed weights, bias `[outputs]`; `[rows, outputs]`. Attributes: `outputs`, `format`.
//! - `TextLayer`: `x [tokens, width]`, `text_ends [texts]`, `token_mask [tokens]`, then, with `has_wanted`, the tokens that go on behind the
//!   attention, then packed weights and bias of query, key, value, attention output, and the two products of the feed-forward
//!   network, then weights and bias of both LayerNorms; `[wanted, width]`, keys and values of all tokens, and bytes to work in.
//! - `CachedLayer`: the same, but instead of the texts a cache `[entries, entry size]`, the entries of all rows and one past the last of each
//!   row; tokens come in pairs, one for each row.
//!
//! Packed weights are bytes, whose format is an attribute ([`Format::number`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput};
use ort::value::{TensorElementType, ValueRef, ValueRefMut};

use crate::architecture::Activation;
use crate::kernels::attention::Cache;
use crate::kernels::layer::{Layer, LayerRun, LayerTensors, Norm, Sight};
use crate::kernels::matrix::{Format, Matrix};
use crate::kernels::product::{Linear, multiply};
use crate::kernels::texts::Texts;
use crate::kernels::{InstructionSet, OPERATOR_DOMAIN};
use crate::panics;

/// All operators, for a session with so many threads.
pub(super) fn domain(n_threads: usize) -> ort::Result<OperatorDomain> {
    let domain = OperatorDomain::new(OPERATOR_DOMAIN)?;
    let domain = domain.add(LinearOperator { n_threads })?;
    let domain = domain.add(LayerOperator { sees_cache: false, n_threads })?;
    domain.add(LayerOperator { sees_cache: true, n_threads })
}

/// Held while a session with these operators is created. The runtime keeps the names of domains for the whole process, and two
/// sessions that are the first at the same time would both enter this one.
pub(super) fn registering() -> MutexGuard<'static, ()> {
    static REGISTERING: Mutex<()> = Mutex::new(());
    REGISTERING.lock().unwrap_or_else(PoisonError::into_inner)
}

const FLOATS: OperatorInput = OperatorInput::required(TensorElementType::Float32);
const INTEGERS: OperatorInput = OperatorInput::required(TensorElementType::Int64);
const BYTES: OperatorInput = OperatorInput::required(TensorElementType::Uint8);
const RESULT: OperatorOutput = OperatorOutput::required(TensorElementType::Float32);

fn missing(what: &str) -> ort::Error {
    ort::Error::new(format!("{what} is missing"))
}

fn input<'a>(context: &'a ComputeContext, index: usize) -> ort::Result<ValueRef<'a>> {
    context.input(index)?.ok_or_else(|| missing("an input"))
}

/// A number that a node says.
fn attribute(context: &KernelContext<'_>, name: &str) -> ort::Result<usize> {
    let number = context.get::<i64>(name).and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| missing(name))
}

fn format(context: &KernelContext<'_>) -> ort::Result<Format> {
    let format = context.get::<i64>("format").and_then(Format::of_number);
    format.ok_or_else(|| missing("attribute format"))
}

fn dimension(shape: &[i64], axis: usize) -> usize {
    shape.get(axis).and_then(|n| usize::try_from(*n).ok()).unwrap_or(0)
}

fn does_not_fit() -> ort::Error {
    ort::Error::new("lengths do not fit")
}

fn output<'a>(context: &'a ComputeContext, index: usize, shape: [usize; 2]) -> ort::Result<ValueRefMut<'a>> {
    context.output(index, shape.map(|n| n as i64).to_vec())?.ok_or_else(|| missing("an output"))
}

/// Runs a kernel; what it makes of lengths that do not fit, and of a panic, is an error.
fn computed(context: &ComputeContext, work: impl FnOnce(&crate::kernels::Spread<'_>) -> bool) -> ort::Result<()> {
    let has_panicked = AtomicBool::new(false);
    let guarded = |work: &dyn Fn()| {
        let outcome = panics::with_inside(true, || catch_unwind(AssertUnwindSafe(work)));
        has_panicked.fetch_or(outcome.is_err(), Ordering::Relaxed);
    };
    // What other threads do not do, the kernel does itself: that there are none is no error.
    let spread = |n: usize, work: &(dyn Fn() + Sync)| {
        let done = context.par_for(n, 0, |_| guarded(work));
        done.unwrap_or_else(|error| log::debug!("no threads for a kernel: {error}"));
    };
    let mut fits = false;
    let outcome = panics::with_inside(true, || catch_unwind(AssertUnwindSafe(|| work(&spread))));
    match outcome {
        Ok(done) => fits = done,
        Err(_) => has_panicked.store(true, Ordering::Relaxed),
    }
    match (has_panicked.load(Ordering::Relaxed), fits) {
        (true, _) => Err(ort::Error::new("a kernel panicked")),
        (false, false) => Err(does_not_fit()),
        (false, true) => Ok(()),
    }
}

struct LinearOperator {
    n_threads: usize,
}

impl Operator for LinearOperator {
    type Kernel<'attr> = LinearKernel;

    fn name(&self) -> &str {
        "Linear"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [FLOATS, BYTES, FLOATS]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [RESULT]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        Ok(LinearKernel {
            n_outputs: attribute(context, "outputs")?,
            format: format(context)?,
            set: InstructionSet::best(),
            n_threads: self.n_threads,
        })
    }
}

struct LinearKernel {
    n_outputs: usize,
    format: Format,
    set: InstructionSet,
    n_threads: usize,
}

impl Kernel for LinearKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let (x, weights, bias) = (input(context, 0)?, input(context, 1)?, input(context, 2)?);
        let (shape, x) = x.try_extract_tensor::<f32>()?;
        let (n_rows, n_inputs) = (dimension(shape, 0), dimension(shape, 1));
        let (_, bytes) = weights.try_extract_tensor::<u8>()?;
        let weights = Matrix::new(self.format, n_inputs, self.n_outputs, bytes).ok_or_else(does_not_fit)?;
        let layer = Linear { weights, bias: bias.try_extract_tensor()?.1 };
        let mut output = output(context, 0, [n_rows, self.n_outputs])?;
        let (_, output) = output.try_extract_tensor_mut::<f32>()?;
        computed(context, |spread| multiply(self.set, x, &[layer], &mut [output], self.n_threads, spread))
    }
}

struct LayerOperator {
    sees_cache: bool,
    n_threads: usize,
}

impl Operator for LayerOperator {
    type Kernel<'attr> = LayerKernel;

    fn name(&self) -> &str {
        if self.sees_cache { "CachedLayer" } else { "TextLayer" }
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let seen = if self.sees_cache { vec![FLOATS, INTEGERS, INTEGERS] } else { vec![INTEGERS, INTEGERS] };
        [FLOATS].into_iter().chain(seen).chain([OperatorInput::variadic(1)])
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [RESULT, RESULT, RESULT, OperatorOutput::required(TensorElementType::Uint8)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let number = |name: &str| attribute(context, name);
        let activation = Activation::ALL.get(number("activation")?).copied();
        Ok(LayerKernel {
            sees_cache: self.sees_cache,
            has_wanted: number("has_wanted")? != 0,
            hides_queries: number("hides_queries")? != 0,
            layer_begin: number("layer_begin")?,
            n_heads: number("num_heads")?,
            query_head_size: number("query_head_size")?,
            value_head_size: number("value_head_size")?,
            inner_size: number("inner_size")?,
            activation: activation.ok_or_else(|| missing("attribute activation"))?,
            epsilon: context.get::<f32>("epsilon").ok_or_else(|| missing("attribute epsilon"))?,
            format: format(context)?,
            set: InstructionSet::best(),
            n_threads: self.n_threads,
        })
    }
}

struct LayerKernel {
    sees_cache: bool,
    has_wanted: bool,
    hides_queries: bool,
    layer_begin: usize,
    n_heads: usize,
    query_head_size: usize,
    value_head_size: usize,
    inner_size: usize,
    activation: Activation,
    epsilon: f32,
    format: Format,
    set: InstructionSet,
    n_threads: usize,
}

impl LayerKernel {
    /// The layer, of the weights from input number `first` on.
    fn layer<'a>(&self, weights: &'a [ValueRef<'a>], width: usize) -> ort::Result<Layer<'a>> {
        let (key_width, value_width) = (self.n_heads * self.query_head_size, self.n_heads * self.value_head_size);
        let floats = |index: usize| weights[index].try_extract_tensor::<f32>().map(|(_, floats)| floats);
        let linear = |number: usize, n_inputs: usize, n_outputs: usize| -> ort::Result<Linear<'a>> {
            let (_, bytes) = weights[2 * number].try_extract_tensor::<u8>()?;
            let weights = Matrix::new(self.format, n_inputs, n_outputs, bytes).ok_or_else(does_not_fit)?;
            Ok(Linear { weights, bias: floats(2 * number + 1)? })
        };
        let norm = |number: usize| -> ort::Result<Norm<'a>> {
            Ok(Norm { scale: floats(2 * number)?, shift: floats(2 * number + 1)? })
        };
        Ok(Layer {
            n_heads: self.n_heads,
            query_head_size: self.query_head_size,
            value_head_size: self.value_head_size,
            activation: self.activation,
            epsilon: self.epsilon,
            projections: [linear(0, width, key_width)?, linear(1, width, key_width)?, linear(2, width, value_width)?],
            attention_output: linear(3, value_width, width)?,
            ffn_in: linear(4, width, self.inner_size)?,
            ffn_out: linear(5, self.inner_size, width)?,
            attention_norm: norm(6)?,
            ffn_norm: norm(7)?,
        })
    }
}

/// Weights of a layer.
const N_WEIGHTS: usize = 16;

impl Kernel for LayerKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let n_seen = if self.sees_cache { 3 } else { 2 };
        let first_weight = 1 + n_seen + usize::from(self.has_wanted);
        let values =
            (0..first_weight + N_WEIGHTS).map(|index| input(context, index)).collect::<ort::Result<Vec<_>>>()?;
        let (shape, x) = values[0].try_extract_tensor::<f32>()?;
        let (n_tokens, width) = (dimension(shape, 0), dimension(shape, 1));
        let integers = |index: usize| values[index].try_extract_tensor::<i64>().map(|(_, integers)| integers);
        let layer = self.layer(&values[first_weight..], width)?;
        let wanted = if self.has_wanted { Some(integers(n_seen + 1)?) } else { None };
        let sight = if self.sees_cache {
            let (shape, numbers) = values[1].try_extract_tensor::<f32>()?;
            let entry_size = dimension(shape, 1);
            let (entries, row_ends) = (integers(2)?, integers(3)?);
            Sight::Cache(Cache { numbers, entry_size, layer_begin: self.layer_begin, entries, row_ends })
        } else {
            let mask = Some(integers(2)?).filter(|mask| mask.contains(&0));
            Sight::Texts(Texts { ends: integers(1)?, mask, hides_queries: self.hides_queries, wanted: None })
        };
        let run = LayerRun::new(self.set, layer, sight, wanted, n_tokens, self.n_threads).ok_or_else(does_not_fit)?;
        let [key_width, value_width] = [self.query_head_size, self.value_head_size].map(|size| self.n_heads * size);
        let mut floats = [(0, [run.n_wanted(), width]), (1, [n_tokens, key_width]), (2, [n_tokens, value_width])]
            .into_iter()
            .map(|(index, shape)| output(context, index, shape))
            .collect::<ort::Result<Vec<_>>>()?;
        let mut scratch = output(context, 3, [1, run.scratch_size()])?;
        let (_, scratch) = scratch.try_extract_tensor_mut::<u8>()?;
        let mut outputs = floats
            .iter_mut()
            .map(|value| value.try_extract_tensor_mut::<f32>().map(|(_, output)| output))
            .collect::<ort::Result<Vec<_>>>()?
            .into_iter();
        let (Some(output), Some(keys), Some(values)) = (outputs.next(), outputs.next(), outputs.next()) else {
            return Err(missing("an output"));
        };
        computed(context, |spread| run.run(LayerTensors { input: x, keys, values, output, scratch }, spread))
    }
}
