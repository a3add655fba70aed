//! Weights of a linear layer, packed once so that products read them from the first to the last.
//!
//! A panel holds [`PANEL_WIDTH`] outputs for every input: `[outputs / 32][inputs][32]`, the last one filled up with zeros.

use crate::error::{Error, Result};

/// Outputs of a panel.
pub(crate) const PANEL_WIDTH: usize = 32;
const LANES: usize = 16;

/// Sixteen numbers that begin at a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Lanes([f32; LANES]);

/// Packed weights.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    lanes: Vec<Lanes>,
    n_inputs: usize,
    n_outputs: usize,
}

/// How a matrix lies in memory before it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// `[inputs, outputs]`.
    InOut,
    /// `[outputs, inputs]`.
    OutIn,
}

impl Panels {
    /// Room for a matrix, of zeros.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`].
    pub(crate) fn new(n_inputs: usize, n_outputs: usize) -> Result<Self> {
        let n_lanes =
            n_outputs.div_ceil(PANEL_WIDTH).checked_mul(n_inputs).and_then(|n| n.checked_mul(PANEL_WIDTH / LANES));
        let n_lanes = n_lanes.ok_or(Error::OutOfMemory)?;
        let mut lanes = Vec::new();
        lanes.try_reserve_exact(n_lanes).map_err(|_| Error::OutOfMemory)?;
        lanes.resize(n_lanes, Lanes::default());
        Ok(Self { lanes, n_inputs, n_outputs })
    }

    /// Takes the matrix's elements from number `begin` on, in its own order.
    pub(crate) fn fill(&mut self, order: Order, begin: usize, elements: &[f32]) {
        let (n_inputs, n_outputs) = (self.n_inputs, self.n_outputs);
        let n_columns = if order == Order::InOut { n_outputs } else { n_inputs };
        let (mut row, mut column) = (begin / n_columns.max(1), begin % n_columns.max(1));
        let mut elements = elements;
        while let (false, true) = (elements.is_empty(), column < n_columns) {
            // A run of the matrix's row that lies in one panel.
            let (panel, input, n_run) = match order {
                Order::InOut => (column / PANEL_WIDTH, row, PANEL_WIDTH - column % PANEL_WIDTH),
                Order::OutIn => (row / PANEL_WIDTH, column, n_inputs - column),
            };
            let (run, rest) = elements.split_at(n_run.min(n_columns - column).min(elements.len()));
            let begin = (panel * n_inputs + input) * PANEL_WIDTH;
            let floats = self.as_floats_mut().get_mut(begin..).unwrap_or_default();
            match order {
                Order::InOut => {
                    floats.iter_mut().skip(column % PANEL_WIDTH).zip(run).for_each(|(to, from)| *to = *from)
                }
                Order::OutIn => {
                    let places = floats.iter_mut().skip(row % PANEL_WIDTH).step_by(PANEL_WIDTH);
                    places.zip(run).for_each(|(to, from)| *to = *from);
                }
            }
            column += run.len();
            if column == n_columns {
                (row, column) = (row + 1, 0);
            }
            elements = rest;
        }
    }

    fn as_floats_mut(&mut self) -> &mut [f32] {
        let n_floats = self.lanes.len() * LANES;
        // SAFETY: lanes are arrays of so many floats without anything between them.
        unsafe { std::slice::from_raw_parts_mut(self.lanes.as_mut_ptr().cast(), n_floats) }
    }

    /// `[panels, inputs, 32]`.
    pub(crate) fn shape(&self) -> [usize; 3] {
        [self.n_outputs.div_ceil(PANEL_WIDTH), self.n_inputs, PANEL_WIDTH]
    }

    /// All numbers, as they lie.
    pub(crate) fn as_floats(&self) -> &[f32] {
        let n_floats = self.lanes.len() * LANES;
        // SAFETY: lanes are arrays of so many floats without anything between them.
        unsafe { std::slice::from_raw_parts(self.lanes.as_ptr().cast(), n_floats) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_weight_is_where_its_panel_says(n_inputs in 1_usize..9, n_outputs in 1_usize..70, piece in 1_usize..40) {
            for order in [Order::InOut, Order::OutIn] {
                let at = |input: usize, output: usize| (input * 1000 + output + 1) as f32;
                let matrix: Vec<f32> = match order {
                    Order::InOut => (0..n_inputs).flat_map(|i| (0..n_outputs).map(move |o| at(i, o))).collect(),
                    Order::OutIn => (0..n_outputs).flat_map(|o| (0..n_inputs).map(move |i| at(i, o))).collect(),
                };
                let mut panels = Panels::new(n_inputs, n_outputs).unwrap();
                for (number, elements) in matrix.chunks(piece).enumerate() {
                    panels.fill(order, number * piece, elements);
                }
                let [n_panels, inputs, width] = panels.shape();
                prop_assert_eq!((inputs, width), (n_inputs, PANEL_WIDTH));
                for panel in 0..n_panels {
                    for input in 0..n_inputs {
                        for lane in 0..PANEL_WIDTH {
                            let output = panel * PANEL_WIDTH + lane;
                            let wanted = if output < n_outputs { at(input, output) } else { 0.0 };
                            prop_assert_eq!(panels.as_floats()[(panel * n_inputs + input) * PANEL_WIDTH + lane], wanted);
                        }
                    }
                }
            }
        }
    }
}
