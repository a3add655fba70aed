//! Weights of a linear layer, packed once so that products read them from the first to the last.
//!
//! A panel holds [`PANEL_WIDTH`] outputs. It is a list of steps of 128 bytes, each of which has four bytes for every output: one
//! input as `f32`, two as `bf16`, four as `i8` ([`Format`]). Outputs and inputs that fill up a panel or step are zeros. A panel of `i8` ends
//! with the outputs' scales (`f32`) and sums (`i32`): `weight = scale * stored`.

use half::bf16;

use crate::error::{Error, Result};

/// Outputs of a panel.
pub(crate) const PANEL_WIDTH: usize = 32;
/// Bytes of a step.
const STEP: usize = PANEL_WIDTH * 4;
/// Added to a number below 2^22, it leaves the rounded number in the low bits.
const ROUNDER: f32 = 12_582_912.0;
/// The largest `i8`, whose sign may be either.
const MOST: f32 = 127.0;
/// Inputs of an `i8` product at most, whose sum is an `i32`: more than any network of this library has.
const MOST_INPUTS: usize = 1 << 16;

/// How weights are kept, and rows multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// 32 bits.
    F32,
    /// 16 bits; rows are rounded to it too, sums are `f32`.
    Bf16,
    /// 8 bits and a scale for each output; rows become 8 bits with a scale and a zero of their own, sums are exact.
    Int8,
}

impl Format {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// The number by which operators know it.
    pub(crate) const fn number(self) -> i64 {
        self as i64
    }

    /// The format of a number.
    pub(crate) fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.number() == number)
    }

    /// Inputs of a step.
    pub(super) const fn group(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }

    /// Steps of a panel.
    pub(super) const fn n_steps(self, n_inputs: usize) -> usize {
        n_inputs.div_ceil(self.group())
    }

    const fn panel_bytes(self, n_inputs: usize) -> usize {
        let scales = if matches!(self, Self::Int8) { 2 * STEP } else { 0 };
        self.n_steps(n_inputs) * STEP + scales
    }

    fn n_bytes(self, n_inputs: usize, n_outputs: usize) -> Option<usize> {
        let fits = n_inputs <= MOST_INPUTS;
        n_outputs.div_ceil(PANEL_WIDTH).checked_mul(self.panel_bytes(n_inputs)).filter(|_| fits)
    }
}

/// Bytes that begin at a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Packed weights.
#[derive(Clone)]
pub(crate) struct Packed {
    format: Format,
    n_inputs: usize,
    n_outputs: usize,
    lines: Vec<Line>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed").field("n_bytes", &self.bytes().len()).finish()
    }
}

/// Packed weights, where they lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(super) format: Format,
    pub(super) n_inputs: usize,
    pub(super) n_outputs: usize,
    bytes: &'a [u8],
}

/// A panel of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    /// `[steps][32][4 bytes]`.
    pub(super) steps: &'a [u8],
    /// Of `i8`: what stored weights are multiplied by.
    pub(super) scales: &'a [u8],
    /// Of `i8`: the sum of all stored weights of an output.
    pub(super) sums: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// `bytes` as [`Packed`] makes them; `None` where they have another length.
    pub(crate) fn new(format: Format, n_inputs: usize, n_outputs: usize, bytes: &'a [u8]) -> Option<Self> {
        let fits = n_inputs > 0 && format.n_bytes(n_inputs, n_outputs) == Some(bytes.len());
        fits.then_some(Self { format, n_inputs, n_outputs, bytes })
    }

    pub(super) fn n_panels(&self) -> usize {
        self.n_outputs.div_ceil(PANEL_WIDTH)
    }

    /// A panel, where there is one of this number.
    pub(super) fn find_panel(&self, number: usize) -> Option<Panel<'a>> {
        (number < self.n_panels()).then(|| self.panel(number))
    }

    pub(super) fn panel(&self, number: usize) -> Panel<'a> {
        let size = self.format.panel_bytes(self.n_inputs);
        let bytes = &self.bytes[number * size..(number + 1) * size];
        let (steps, rest) = bytes.split_at(self.format.n_steps(self.n_inputs) * STEP);
        let (scales, sums) = rest.split_at(rest.len() / 2);
        Panel { steps, scales, sums }
    }
}

/// How a matrix lies in memory before it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// `[inputs, outputs]`.
    InOut,
    /// `[outputs, inputs]`.
    OutIn,
}

impl Packed {
    /// Packs a matrix.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`], also where the format cannot have so many inputs.
    pub(crate) fn new(
        format: Format,
        order: Order,
        n_inputs: usize,
        n_outputs: usize,
        elements: &[f32],
    ) -> Result<Self> {
        let mut packed = Self::zeros(format, n_inputs, n_outputs)?;
        let mut columns = Columns { n_inputs, n_outputs, order, elements, block: Vec::new() };
        for (number, panel) in packed.panels_mut().enumerate() {
            columns.read(number * PANEL_WIDTH);
            pack(&columns.block, format, panel);
        }
        Ok(packed)
    }

    /// The same matrix in another format, of one whose format is [`Format::F32`].
    ///
    /// # Errors
    /// - [`Error::Internal`]: its format is another.
    /// - [`Error::OutOfMemory`].
    pub(crate) fn converted(&self, format: Format) -> Result<Self> {
        if self.format != Format::F32 {
            return Err(Error::Internal(format!("a matrix of {:?} has lost what another format needs", self.format)));
        }
        let mut converted = Self::zeros(format, self.n_inputs, self.n_outputs)?;
        let mut block = vec![[0.0; PANEL_WIDTH]; self.n_inputs];
        let panels = self.bytes().chunks_exact(self.format.panel_bytes(self.n_inputs).max(1));
        for (from, to) in panels.zip(converted.panels_mut()) {
            for (weight, bytes) in block.as_flattened_mut().iter_mut().zip(from.as_chunks::<4>().0) {
                *weight = f32::from_le_bytes(*bytes);
            }
            pack(&block, format, to);
        }
        Ok(converted)
    }

    fn zeros(format: Format, n_inputs: usize, n_outputs: usize) -> Result<Self> {
        let n_bytes = format.n_bytes(n_inputs, n_outputs).ok_or(Error::OutOfMemory)?;
        let n_lines = n_bytes.div_ceil(size_of::<Line>());
        let mut lines = Vec::new();
        lines.try_reserve_exact(n_lines).map_err(|_| Error::OutOfMemory)?;
        lines.resize(n_lines, Line([0; 64]));
        Ok(Self { format, n_inputs, n_outputs, lines })
    }

    fn panels_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let panel_bytes = self.format.panel_bytes(self.n_inputs).max(1);
        self.bytes_mut().chunks_exact_mut(panel_bytes)
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: lines are arrays of so many bytes without anything between them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), size_of_val(self.lines.as_slice())) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), size_of_val(self.lines.as_slice())) }
    }
}

/// Some outputs of a matrix that is being packed.
struct Columns<'a> {
    n_inputs: usize,
    n_outputs: usize,
    order: Order,
    elements: &'a [f32],
    /// `[inputs][32]`.
    block: Vec<[f32; PANEL_WIDTH]>,
}

impl Columns<'_> {
    /// Takes the weights of 32 outputs, from number `first` on.
    fn read(&mut self, first: usize) {
        let n_columns = PANEL_WIDTH.min(self.n_outputs - first);
        self.block.clear();
        self.block.resize(self.n_inputs, [0.0; PANEL_WIDTH]);
        match self.order {
            Order::InOut => {
                for (to, row) in self.block.iter_mut().zip(self.elements.chunks_exact(self.n_outputs)) {
                    to[..n_columns].copy_from_slice(&row[first..first + n_columns]);
                }
            }
            Order::OutIn => {
                let rows = self.elements.chunks_exact(self.n_inputs).skip(first).take(n_columns);
                for (column, row) in rows.enumerate() {
                    self.block.iter_mut().zip(row).for_each(|(to, from)| to[column] = *from);
                }
            }
        }
    }
}

/// Packs a panel, whose weights are `block`: `[inputs][32]`.
fn pack(block: &[[f32; PANEL_WIDTH]], format: Format, panel: &mut [u8]) {
    let (steps, rest) = panel.split_at_mut(format.n_steps(block.len()) * STEP);
    let steps = steps.chunks_exact_mut(STEP).zip(block.chunks(format.group()));
    match format {
        Format::F32 => {
            for (step, inputs) in steps {
                put(step, inputs, |weight, _| weight.to_le_bytes());
            }
        }
        Format::Bf16 => {
            for (step, inputs) in steps {
                put(step, inputs, |weight, _| bf16::from_f32(weight).to_le_bytes());
            }
        }
        Format::Int8 => {
            let mut most = [0.0_f32; PANEL_WIDTH];
            for row in block {
                most.iter_mut().zip(row).for_each(|(most, weight)| *most = most.max(weight.abs()));
            }
            let scales = most.map(|most| if most > 0.0 { most / MOST } else { 1.0 });
            let inverses = scales.map(|scale| 1.0 / scale);
            let mut sums = [0_i32; PANEL_WIDTH];
            for (step, inputs) in steps {
                put(step, inputs, |weight, output| {
                    let stored = ((weight * inverses[output]).clamp(-MOST, MOST) + ROUNDER).to_bits() as i8;
                    sums[output] += i32::from(stored);
                    stored.to_le_bytes()
                });
            }
            let tail = scales.iter().map(|scale| scale.to_le_bytes()).chain(sums.iter().map(|sum| sum.to_le_bytes()));
            rest.as_chunks_mut::<4>().0.iter_mut().zip(tail).for_each(|(to, from)| *to = from);
        }
    }
}

/// Writes the inputs of a step, output by output.
fn put<const BYTES: usize>(
    step: &mut [u8],
    inputs: &[[f32; PANEL_WIDTH]],
    mut stored: impl FnMut(f32, usize) -> [u8; BYTES],
) {
    for (output, four) in step.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        for (to, input) in four.as_chunks_mut::<BYTES>().0.iter_mut().zip(inputs) {
            *to = stored(input[output], output);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(input: usize, output: usize) -> f32 {
        ((input * 7 + output * 3) % 255) as f32 - 127.0
    }

    proptest! {
        #[test]
        fn every_weight_is_where_its_panel_says(n_inputs in 1_usize..19, n_outputs in 1_usize..70) {
            for (order, format) in [Order::InOut, Order::OutIn].into_iter().flat_map(|o| Format::ALL.map(|f| (o, f))) {
                let elements: Vec<f32> = match order {
                    Order::InOut => (0..n_inputs).flat_map(|i| (0..n_outputs).map(move |o| at(i, o))).collect(),
                    Order::OutIn => (0..n_outputs).flat_map(|o| (0..n_inputs).map(move |i| at(i, o))).collect(),
                };
                let packed = Packed::new(format, order, n_inputs, n_outputs, &elements).unwrap();
                let matrix = Matrix::new(format, n_inputs, n_outputs, packed.bytes()).unwrap();
                prop_assert!(Matrix::new(format, n_inputs, n_outputs + 32, packed.bytes()).is_none());
                let exact = Packed::new(Format::F32, order, n_inputs, n_outputs, &elements).unwrap();
                let converted = exact.converted(format).unwrap();
                prop_assert_eq!(converted.bytes(), packed.bytes());
                prop_assert!(format == Format::F32 || packed.converted(format).is_err());
                for output in 0..matrix.n_panels() * PANEL_WIDTH {
                    let panel = matrix.panel(output / PANEL_WIDTH);
                    let lane = output % PANEL_WIDTH;
                    let four = |bytes: &[u8], begin: usize| bytes[begin..begin + 4].try_into().unwrap();
                    let mut sum = 0.0;
                    for input in 0..format.n_steps(n_inputs) * format.group() {
                        let wanted = if output < n_outputs && input < n_inputs { at(input, output) } else { 0.0 };
                        let step = input / format.group() * STEP + lane * 4;
                        let inner = input % format.group();
                        let given = match format {
                            Format::F32 => f32::from_le_bytes(four(panel.steps, step)),
                            Format::Bf16 => bf16::from_le_bytes([panel.steps[step + 2 * inner], panel.steps[step + 2 * inner + 1]]).to_f32(),
                            Format::Int8 => {
                                let stored = f32::from(panel.steps[step + inner].cast_signed());
                                sum += stored;
                                stored * f32::from_le_bytes(four(panel.scales, lane * 4))
                            }
                        };
                        let allowed = if format == Format::Int8 { 0.51 } else { 0.0 };
                        prop_assert!((given - wanted).abs() <= allowed, "{format:?} {order:?} {input} {output}: {given}, not {wanted}");
                    }
                    if format == Format::Int8 {
                        prop_assert_eq!(i32::from_le_bytes(four(panel.sums, lane * 4)) as f32, sum);
                    }
                }
            }
        }
    }
}
