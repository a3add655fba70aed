//! The smallest graph, by which a runtime or device is tried.

use super::writer::{Dimension, GraphWriter};

/// The input and the output of [`build`].
pub(crate) const INPUT: &str = "x";

/// `[n]` numbers, each added to itself.
pub(crate) fn build() -> Vec<u8> {
    let mut writer = GraphWriter::new(&[], ".");
    let x = writer.float_input(INPUT, &[Dimension::Symbol("n")]);
    let sum = writer.node("Add", &[&x, &x], &[]);
    writer.output(&sum, "sum", &[Dimension::Symbol("n")]);
    writer.finish("probe").0
}
