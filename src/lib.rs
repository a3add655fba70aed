//! Runs Baidu ERNIE models: text in, vectors, labels and tensors out.
//!
//! The modules, in the order the data meets them: [`model_dir`] looks at a directory, `checkpoint` reads its weights,
//! `graph` builds a graph for them or looks at the one that is there, [`tokenize`] turns texts into ids, `batch` into
//! rows, `session` runs them in ONNX Runtime, `scheduler` those of several threads together, `heads` make answers; [`pipeline`] wires them. [`options`],
//! [`architecture`], `weights`, [`tensor`] and [`error`] are the plain data between them. `capi` is the C interface of
//! `libernie.so`.
//!
//! ```no_run
//! use ernie::options::Options;
//! use ernie::pipeline::{Call, Input, Model};
//!
//! let model = Model::open("models/demo".as_ref(), &Options::default())?;
//! let output = model.infer(&[Input { text: "房间很干净", pair: None }], &Call::default())?;
//! assert_eq!(output.items[0][0].text, "positive");
//! # Ok::<(), ernie::error::Error>(())
//! ```

pub mod architecture;
mod batch;
mod bounded_file;
mod cancel;
pub mod capi;
mod checkpoint;
pub mod error;
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
pub mod fuzz;
mod generate;
mod graph;
mod heads;
mod kernels;
mod mapped_file;
pub mod model_dir;
pub mod options;
mod panics;
mod parallel;
pub mod pipeline;
mod scheduler;
mod session;
pub mod tensor;
pub mod tokenize;
mod weights;
mod wire;
mod workers;

pub use session::runtime;
