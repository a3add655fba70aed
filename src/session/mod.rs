//! A graph file and named tensors -> named tensors. The only room that names `ort`.
//!
//! [`runtime`] finds and loads ONNX Runtime, once a process; [`Session`] holds one loaded graph and runs it;
//! `process` asks the dynamic loader, `cores` the operating system.
//!
//! The runtime's threads, memory arena and logging are set here: spinning off (but within the runs of graphs of this library, whose parts are short), arena on, memory patterns off (they
//! keep one plan for every shape ever seen), nothing written to the terminal.

mod convert;
mod cores;
mod initializers;
mod operators;
mod process;
mod providers;
pub mod runtime;
mod threads;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ort::ep::{CPU, ExecutionProvider};
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::session::{RunOptions, Session as OrtSession, SessionInputValue, SessionOutputs};

pub(crate) use cores::usable_threads;
use initializers::HeldSession;

use crate::error::{Error, Result, Source};
use crate::options::{Arena, Options, Provider, Spinning};
use crate::tensor::{Tensor, TensorDataRef, TensorInfo, TensorView};
use crate::weights::{Weight, Weights};

/// Weights, and what the runtime made of them for its products, for all sessions of one network.
#[derive(Debug)]
pub(crate) struct SharedWeights {
    prepacked: PrepackedWeights,
    weights: Arc<Weights>,
    /// Those that are used where there is no other of their name.
    others: Option<Arc<SharedWeights>>,
}

impl SharedWeights {
    /// # Errors
    /// - [`Error::RuntimeMissing`]: no usable ONNX Runtime.
    pub(crate) fn new(weights: Weights) -> Result<Self> {
        runtime::environment()?;
        Ok(Self { prepacked: PrepackedWeights::new(), weights: Arc::new(weights), others: None })
    }

    /// `weights` in the place of those that have their names in `others`.
    ///
    /// # Errors
    /// - [`Error::RuntimeMissing`]: no usable ONNX Runtime.
    pub(crate) fn instead(others: Arc<Self>, weights: Weights) -> Result<Self> {
        Ok(Self { others: Some(others), ..Self::new(weights)? })
    }

    /// The weight of a name.
    fn find(&self, name: &str) -> Option<&Weight> {
        let own = self.weights.all.iter().find(|weight| weight.name == name);
        own.or_else(|| self.others.as_ref().and_then(|others| others.find(name)))
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }
}

/// One loaded graph. Callable from any thread; runs of one session follow one another.
#[derive(Debug)]
pub(crate) struct Session {
    session: Mutex<HeldSession>,
    arena: Arena,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

impl Session {
    /// Loads the graph at `path`.
    ///
    /// # Errors
    /// - [`Error::RuntimeMissing`]: no usable ONNX Runtime.
    /// - [`Error::ProviderUnavailable`]: the provider asked for cannot be used.
    /// - [`Error::InvalidModel`]: ONNX Runtime refuses the graph.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self> {
        let mut builder = session_builder(options, GraphOptimizationLevel::All, None)?;
        let session = builder
            .commit_from_file(path)
            .map_err(|e| load_error(options, path, "ONNX Runtime refuses the graph", e))?;
        Ok(Self::new(HeldSession::new(session), options))
    }

    /// Loads a graph of this library from memory. `names` are those of its weights, which are taken from `shared`
    /// without a copy.
    ///
    /// # Errors
    /// - As [`Self::open`]; the graph is that of the weights in `path`.
    pub(crate) fn open_built(
        model: &[u8],
        names: &[String],
        shared: Arc<SharedWeights>,
        path: &Path,
        options: &Options,
    ) -> Result<Self> {
        let failed = |e: ort::Error| load_error(options, path, "ONNX Runtime refuses the graph made of it", e);
        let spinning = match options.spinning {
            // Threads that sleep between layers come late to each; more than there are processors keep each other from working.
            Spinning::Auto if shared.weights.are_packed() && options.n_threads <= usable_threads(0) => Spinning::Runs,
            said => said,
        };
        let options = &Options { spinning, ..options.clone() };
        // The graph is made of the operators that are wanted: there is nothing to find for the optimiser.
        let engines = engines(options, model)?;
        let builder = session_builder(options, GraphOptimizationLevel::Disable, engines.as_deref())?;
        if !shared.weights.are_packed() {
            return Ok(Self::new(HeldSession::load(builder, model, names, shared, failed)?, options));
        }
        let refused = |e: ort::Error| runtime_error("ONNX Runtime does not take the operators of libernie", e);
        let operators = operators::domain(usable_threads(options.n_threads)).map_err(refused)?;
        let builder = builder.with_operators(operators).map_err(|e| refused(e.into()))?;
        let _first = operators::registering();
        let session = HeldSession::load(builder, model, names, shared, failed)?;
        Ok(Self::new(session, options))
    }

    fn new(session: HeldSession, options: &Options) -> Self {
        let inputs = session.session().inputs().iter().map(convert::info).collect();
        let outputs = session.session().outputs().iter().map(convert::info).collect();
        Self { session: Mutex::new(session), arena: options.arena, inputs, outputs }
    }

    /// What the graph takes.
    pub(crate) fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// What the graph gives.
    pub(crate) fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Runs the graph; all outputs, in the graph's order.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`]: a tensor is missing, unknown, or of another type or rank than the graph's.
    /// - [`Error::Unsupported`]: the graph gives something that is no tensor.
    /// - [`Error::Runtime`]: ONNX Runtime failed.
    pub(crate) fn run(&self, tensors: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        self.run_with(tensors, |outputs| {
            outputs.iter().map(|(name, value)| convert::output(name, &value)).collect::<Result<Vec<_>>>()
        })
    }

    /// Runs the graph and hands its outputs, which are numbers, to `read` in the graph's order, where they lie.
    ///
    /// # Errors
    /// - Those of [`Self::run`].
    pub(crate) fn run_reading<T>(
        &self,
        tensors: &[TensorView<'_>],
        read: impl FnOnce(&[&[f32]]) -> Result<T>,
    ) -> Result<T> {
        self.run_with(tensors, |outputs| {
            let values: Vec<_> = outputs.values().collect();
            let floats = values.iter().map(|value| value.try_extract_tensor::<f32>().map(|(_, floats)| floats));
            let floats: ort::Result<Vec<&[f32]>> = floats.collect();
            read(&floats.map_err(|e| runtime_error("an output cannot be read", e))?)
        })
    }

    fn run_with<T>(
        &self,
        tensors: &[TensorView<'_>],
        read: impl FnOnce(&SessionOutputs<'_>) -> Result<T>,
    ) -> Result<T> {
        self.check(tensors)?;
        let values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = tensors
            .iter()
            .map(|tensor| Ok((Cow::Borrowed(tensor.name), convert::input(tensor)?)))
            .collect::<Result<_>>()?;
        // A panic in another thread's run leaves the runtime's session as it was: it is used through `&self` there.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = session.session_mut();
        let failed = |e: ort::Error| runtime_error("ONNX Runtime could not run the graph", e);
        if self.arena == Arena::Shrink {
            let mut run_options = RunOptions::new().map_err(failed)?;
            run_options.set("memory.enable_memory_arena_shrinkage", "cpu:0").map_err(failed)?;
            return read(&session.run_with_options(values, &run_options).map_err(failed)?);
        }
        read(&session.run(values).map_err(failed)?)
    }

    fn check(&self, tensors: &[TensorView<'_>]) -> Result<()> {
        for (index, tensor) in tensors.iter().enumerate() {
            let Some(info) = self.inputs.iter().find(|info| info.name == tensor.name) else {
                return Err(self.refuse(format!("the graph has no input \"{}\"", tensor.name.escape_debug())));
            };
            if tensors[..index].iter().any(|other| other.name == tensor.name) {
                return Err(self.refuse(format!("input {} is given twice", tensor.name)));
            }
            let given = tensor.data.element_type();
            if info.element_type.is_some_and(|wanted| wanted != given) {
                return Err(self.refuse(format!("input {} has elements of type {}", tensor.name, given.name())));
            }
            let fits = info.dims.is_empty()
                || info.dims.len() == tensor.shape.len()
                    && info.dims.iter().zip(tensor.shape).all(|(wanted, given)| wanted.is_none_or(|w| w == *given));
            if !fits {
                return Err(self.refuse(format!("input {} has shape {:?}", tensor.name, tensor.shape)));
            }
        }
        match self.inputs.iter().find(|info| !tensors.iter().any(|t| t.name == info.name)) {
            Some(info) => Err(self.refuse(format!("input {} is missing", info.name))),
            None => Ok(()),
        }
    }

    fn refuse(&self, reason: String) -> Error {
        let list: Vec<String> = self.inputs.iter().map(ToString::to_string).collect();
        Error::argument(format!("{reason}; the graph takes {}", list.join(", ")))
    }
}

/// Runs `load`, which goes through the weights once, and meanwhile gives the pages of those that were read back: weights
/// in the form that the runtime wants, and weights as they are stored, are not in memory at the same time.
fn releasing_pages<T>(weights: &Weights, load: impl FnOnce() -> T) -> T {
    const INTERVAL: Duration = Duration::from_millis(4);
    if !weights.are_mapped() {
        return load();
    }
    let is_done = AtomicBool::new(false);
    let release = || {
        while !is_done.load(Ordering::Acquire) {
            std::thread::park_timeout(INTERVAL);
            weights.release_pages();
        }
    };
    std::thread::scope(|scope| {
        // Without the thread more memory is used for a moment, nothing else.
        let helper = std::thread::Builder::new().spawn_scoped(scope, release);
        // A panic must not leave the helper waiting for ever: the scope waits for it.
        let guard = SetOnDrop(&is_done);
        let loaded = load();
        drop(guard);
        if let Ok(helper) = helper {
            helper.thread().unpark();
        }
        loaded
    })
}

/// Sets a flag when it goes out of scope.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Tries the provider of `options` with the smallest graph there is, `probe`, whose input of numbers is `input`.
///
/// # Errors
/// - [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`], [`Error::InvalidArgument`].
pub(crate) fn check_provider(options: &Options, probe: &[u8], input: &str) -> Result<()> {
    let of_device = |e: Error| match e {
        Error::Runtime { source: Some(source), .. } => device_error(options, source),
        other => other,
    };
    let mut builder = session_builder(options, GraphOptimizationLevel::Disable, None)?;
    let session = builder.commit_from_memory(probe).map_err(|e| of_device(runtime_error("", e)))?;
    let session = Session::new(HeldSession::new(session), options);
    let tensor = TensorView { name: input, shape: &[1], data: TensorDataRef::F32(&[1.0]) };
    session.run(&[tensor]).map(drop).map_err(of_device)
}

/// Where what TensorRT compiles of `model`, which holds its weights, is kept.
fn engines(options: &Options, model: &[u8]) -> Result<Option<PathBuf>> {
    let (Some(cache), Provider::TensorRt) = (&options.engine_cache, options.provider) else { return Ok(None) };
    let environment = runtime::environment().map(|_| runtime::loaded())?;
    let runtime = environment.map(|loaded| loaded.version.clone()).unwrap_or_default();
    providers::engine_folder(cache, &providers::engine_key(options, model, &runtime)).map(Some)
}

/// Why the graph of `path` could not be loaded: for want of memory, because of the device, or, as `refusal` says, because of the graph.
fn load_error(options: &Options, path: &Path, refusal: &str, e: ort::Error) -> Error {
    const OF_DEVICE: &[&str] = &["CUDA failure", "CUDA error", "no CUDA-capable device", "invalid device ordinal"];
    match runtime_error("", e) {
        Error::Runtime { source: Some(source), .. } => {
            let message = source.to_string();
            if options.provider != Provider::Cpu && OF_DEVICE.iter().any(|sign| message.contains(sign)) {
                return device_error(options, source);
            }
            Error::model_from(path, refusal, source)
        }
        other => other,
    }
}

/// That the device of `options` cannot be used.
fn device_error(options: &Options, source: Source) -> Error {
    providers::unavailable(options.provider, format!("device {} cannot be used", options.device_id()), Some(source))
}

fn runtime_error(context: &str, source: impl Into<Source>) -> Error {
    let source = source.into();
    // ONNX Runtime has no code for this; these are the words of its arena and of the C++ library.
    let message = source.to_string();
    let signs =
        ["Failed to allocate memory", "bad_alloc", "CUDA failure 2: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"];
    if signs.iter().any(|sign| message.contains(sign)) {
        return Error::OutOfMemory;
    }
    Error::Runtime { context: context.to_owned(), source: Some(source) }
}

fn session_builder(options: &Options, level: GraphOptimizationLevel, engines: Option<&Path>) -> Result<SessionBuilder> {
    let environment = runtime::environment()?;
    let failed = |e: ort::Error| runtime_error("ONNX Runtime refuses the session's options", e);
    let n_threads = usable_threads(options.n_threads);
    threads::check(n_threads)?;
    let builder = OrtSession::builder(environment).map_err(failed)?;
    let builder = builder.with_optimization_level(level).map_err(|e| failed(e.into()))?;
    let builder = builder.with_intra_threads(n_threads).map_err(|e| failed(e.into()))?;
    let builder = builder.with_inter_threads(1).map_err(|e| failed(e.into()))?;
    let spins = matches!(options.spinning, Spinning::Runs | Spinning::On);
    let builder = builder.with_intra_op_spinning(spins).map_err(|e| failed(e.into()))?;
    let stops = if options.spinning == Spinning::Runs { "1" } else { "0" };
    let builder = builder.with_config_entry("session.force_spinning_stop", stops).map_err(|e| failed(e.into()))?;
    let builder = builder.with_prepacking(options.prepacking).map_err(|e| failed(e.into()))?;
    let mut builder = builder.with_memory_pattern(false).map_err(|e| failed(e.into()))?;
    if let Some(prefix) = &options.profile {
        builder = builder.with_profiling(prefix).map_err(|e| failed(e.into()))?;
    }
    providers::register(&mut builder, options, engines)?;
    CPU::default().with_arena_allocator(options.arena != Arena::Off).register(&mut builder).map_err(failed)?;
    Ok(builder)
}
