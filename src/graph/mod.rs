//! Graphs: building our own, and what a foreign one holds and how its inputs and outputs are told apart.
//!
//! In: an architecture and where its weights lie, or the bytes of `model.onnx`, names and shapes. Out: an ONNX model
//! ([`network::BuiltGraph`]), facts ([`onnx::GraphFacts`]), a [`binding::Binding`] from roles to names. Running a graph
//! is the work of `session`.

mod activation;
pub(crate) mod binding;
pub(crate) mod generator;
pub(crate) mod heads;
mod message;
pub(crate) mod network;
pub(crate) mod onnx;
pub(crate) mod outputs;
mod packed;
pub(crate) mod probe;
mod writer;

pub(crate) use writer::{WeightInfo, add_weight};
