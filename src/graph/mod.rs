//! Graphs: what an ONNX file holds and how its inputs and outputs are told apart.
//!
//! In: the bytes of `model.onnx`, names and shapes. Out: facts ([`onnx::GraphFacts`]) and a
//! [`binding::Binding`] from roles to names. Running a graph is the work of `session`.

pub(crate) mod binding;
pub(crate) mod onnx;
