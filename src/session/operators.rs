//! The operators of this library, which run on ONNX Runtime's own threads: [`kernels`](crate::kernels) behind the names that
//! `graph` writes.
//!
//! - `Linear`: `x [rows, inputs]`, then weights `[panels, inputs, 32]` and a bias `[outputs]` for each of its outputs; as
//!   many outputs `[rows, outputs]`. `Linear3` has three.
//! - `CachedAttention`: queries, keys, values `[rows * 2, width]`, the cache `[entries, entry size]`, the entries of all rows, one past the
//!   last of each row; `[rows * 2, value width]`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput};
use ort::value::{TensorElementType, ValueRef, ValueRefMut};

use crate::kernels::attention::{CachedAttention, attend};
use crate::kernels::linear::{Linear, multiply};
use crate::kernels::{InstructionSet, OPERATOR_DOMAIN};
use crate::panics;

/// All operators, for a session with so many threads.
pub(super) fn domain(n_threads: usize) -> ort::Result<OperatorDomain> {
    let domain = OperatorDomain::new(OPERATOR_DOMAIN)?;
    let domain = domain.add(LinearOperator::<1> { name: "Linear", n_threads })?;
    let domain = domain.add(LinearOperator::<3> { name: "Linear3", n_threads })?;
    domain.add(CachedAttentionOperator { n_threads })
}

/// Held while a session with these operators is created. The runtime keeps the names of domains for the whole process, and two
/// sessions that are the first at the same time would both enter this one.
pub(super) fn registering() -> MutexGuard<'static, ()> {
    static REGISTERING: Mutex<()> = Mutex::new(());
    REGISTERING.lock().unwrap_or_else(PoisonError::into_inner)
}

const FLOATS: OperatorInput = OperatorInput::required(TensorElementType::Float32);
const INTEGERS: OperatorInput = OperatorInput::required(TensorElementType::Int64);
const RESULT: OperatorOutput = OperatorOutput::required(TensorElementType::Float32);

fn missing(what: &str) -> ort::Error {
    ort::Error::new(format!("{what} is missing"))
}

fn input<'a>(context: &'a ComputeContext, index: usize) -> ort::Result<ValueRef<'a>> {
    context.input(index)?.ok_or_else(|| missing("an input"))
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
        (false, false) => Err(ort::Error::new("lengths do not fit")),
        (false, true) => Ok(()),
    }
}

struct LinearOperator<const LAYERS: usize> {
    name: &'static str,
    n_threads: usize,
}

impl<const LAYERS: usize> Operator for LinearOperator<LAYERS> {
    type Kernel<'attr> = LinearKernel<LAYERS>;

    fn name(&self) -> &str {
        self.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let bias = || OperatorInput::optional(TensorElementType::Float32);
        [FLOATS].into_iter().chain((0..LAYERS).flat_map(move |_| [FLOATS, bias()]))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        (0..LAYERS).map(|_| RESULT)
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let n_outputs: Vec<i64> = context.get("outputs").ok_or_else(|| missing("attribute outputs"))?;
        if n_outputs.len() != LAYERS {
            return Err(ort::Error::new("attribute outputs has another length than there are layers"));
        }
        let n_outputs = n_outputs.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect();
        Ok(LinearKernel { n_outputs, set: InstructionSet::best(), n_threads: self.n_threads })
    }
}

struct LinearKernel<const LAYERS: usize> {
    n_outputs: Vec<usize>,
    set: InstructionSet,
    n_threads: usize,
}

impl<const LAYERS: usize> Kernel for LinearKernel<LAYERS> {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let x = input(context, 0)?;
        let (shape, x) = x.try_extract_tensor::<f32>()?;
        let [n_rows, n_inputs] = [0, 1].map(|axis| shape.get(axis).and_then(|n| usize::try_from(*n).ok()).unwrap_or(0));
        let given: Vec<(ValueRef<'_>, Option<ValueRef<'_>>)> = (0..LAYERS)
            .map(|layer| Ok((input(context, 1 + 2 * layer)?, context.input(2 + 2 * layer)?)))
            .collect::<ort::Result<_>>()?;
        let mut layers = Vec::with_capacity(LAYERS);
        for ((weights, bias), n_outputs) in given.iter().zip(&self.n_outputs) {
            let (_, weights) = weights.try_extract_tensor::<f32>()?;
            let bias = bias.as_ref().map(|bias| bias.try_extract_tensor::<f32>()).transpose()?.map(|(_, bias)| bias);
            layers.push(Linear { weights, bias, n_outputs: *n_outputs });
        }
        let mut values: Vec<ValueRefMut<'_>> = self
            .n_outputs
            .iter()
            .enumerate()
            .map(|(index, n_outputs)| output(context, index, [n_rows, *n_outputs]))
            .collect::<ort::Result<_>>()?;
        let mut outputs: Vec<&mut [f32]> = values
            .iter_mut()
            .map(|value| value.try_extract_tensor_mut::<f32>().map(|(_, output)| output))
            .collect::<ort::Result<_>>()?;
        let (set, n_threads) = (self.set, self.n_threads);
        computed(context, |spread| multiply(set, x, n_inputs, &layers, &mut outputs, n_threads, spread))
    }
}

struct CachedAttentionOperator {
    n_threads: usize,
}

impl Operator for CachedAttentionOperator {
    type Kernel<'attr> = CachedAttentionKernel;

    fn name(&self) -> &str {
        "CachedAttention"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [FLOATS, FLOATS, FLOATS, FLOATS, INTEGERS, INTEGERS]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [RESULT]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let size = |name: &str| {
            let size = context.get::<i64>(name).and_then(|size| usize::try_from(size).ok());
            size.ok_or_else(|| missing(name))
        };
        Ok(CachedAttentionKernel {
            n_heads: size("num_heads")?,
            query_head_size: size("query_head_size")?,
            value_head_size: size("value_head_size")?,
            layer_begin: size("layer_begin")?,
            set: InstructionSet::best(),
            n_threads: self.n_threads,
        })
    }
}

struct CachedAttentionKernel {
    n_heads: usize,
    query_head_size: usize,
    value_head_size: usize,
    layer_begin: usize,
    set: InstructionSet,
    n_threads: usize,
}

impl Kernel for CachedAttentionKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let [queries, keys, values, cache, entries, row_ends] = [0, 1, 2, 3, 4, 5].map(|index| input(context, index));
        let (queries, keys, values, cache) = (queries?, keys?, values?, cache?);
        let (entries, row_ends) = (entries?, row_ends?);
        let (shape, cache) = cache.try_extract_tensor::<f32>()?;
        let entry_size = shape.get(1).and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
        let work = CachedAttention {
            n_heads: self.n_heads,
            query_head_size: self.query_head_size,
            value_head_size: self.value_head_size,
            queries: queries.try_extract_tensor()?.1,
            keys: keys.try_extract_tensor()?.1,
            values: values.try_extract_tensor()?.1,
            cache,
            entry_size,
            layer_begin: self.layer_begin,
            entries: entries.try_extract_tensor()?.1,
            row_ends: row_ends.try_extract_tensor()?.1,
        };
        let shape = [work.row_ends.len() * 2, self.n_heads * self.value_head_size];
        let mut output = output(context, 0, shape)?;
        let (_, output) = output.try_extract_tensor_mut::<f32>()?;
        computed(context, |spread| attend(self.set, &work, output, self.n_threads, spread))
    }
}
