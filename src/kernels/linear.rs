//! `rows x weights + bias`, for few rows: every weight is read once, as fast as memory gives it.
//!
//! `output[row][o] = sum over i of input[row][i] * weight[i][o] + bias[o]`, summed in the order of the inputs by every row and every
//! instruction set. Panels are shared out between threads; a panel goes through all rows, some at a time, while it is in
//! cache.

use super::panels::PANEL_WIDTH;
use super::{InstructionSet, PORTABLE_FUSES, Parts, Shared, Spread};

/// A product to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear<'a> {
    /// `[panels, inputs, 32]`.
    pub(crate) weights: &'a [f32],
    /// `[outputs]`.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) n_outputs: usize,
}

/// What a few rows and one panel need. Pointers are those of slices that were checked.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// `[inputs, rows]`.
    pub(super) input: *const f32,
    pub(super) n_inputs: usize,
    /// `[inputs, 32]`.
    pub(super) weights: *const f32,
}

/// The number of weights of a packed matrix; `None` where there cannot be so many.
fn n_packed(n_inputs: usize, n_outputs: usize) -> Option<usize> {
    n_outputs.div_ceil(PANEL_WIDTH).checked_mul(n_inputs)?.checked_mul(PANEL_WIDTH)
}

/// Multiplies `input`, `[rows, inputs]`, by each of `layers` into its output, `[rows, outputs]`; `false` where lengths do not fit, and
/// nothing was done.
pub(crate) fn multiply(
    set: InstructionSet,
    input: &[f32],
    n_inputs: usize,
    layers: &[Linear<'_>],
    outputs: &mut [&mut [f32]],
    n_threads: usize,
    spread: &Spread<'_>,
) -> bool {
    let n_rows = input.len() / n_inputs.max(1);
    let fits = |(layer, output): (&Linear<'_>, &&mut [f32])| {
        n_packed(n_inputs, layer.n_outputs) == Some(layer.weights.len())
            && layer.bias.is_none_or(|bias| bias.len() == layer.n_outputs)
            && n_rows.checked_mul(layer.n_outputs) == Some(output.len())
    };
    if n_inputs == 0 || input.len() != n_rows * n_inputs || layers.len() != outputs.len() {
        return false;
    }
    if !layers.iter().zip(outputs.iter()).all(fits) {
        return false;
    }
    let tile_rows = tile_rows(set);
    let mut tiles = Vec::with_capacity(input.len());
    for tile in input.chunks(tile_rows * n_inputs) {
        // One place after another is read for all rows: with as many streams as rows the processor would run out of registers.
        (0..n_inputs).for_each(|i| tiles.extend(tile.iter().skip(i).step_by(n_inputs)));
    }
    let input = tiles.as_slice();
    let outputs: Vec<Shared<'_>> = outputs.iter_mut().map(|output| Shared::new(output)).collect();
    let n_panels: Vec<usize> = layers.iter().map(|layer| layer.n_outputs.div_ceil(PANEL_WIDTH)).collect();
    let parts = Parts::new(n_panels.iter().sum());
    let work = || {
        while let Some(part) = parts.take() {
            let (mut number, mut panel) = (0, part);
            while panel >= n_panels[number] {
                panel -= n_panels[number];
                number += 1;
            }
            // SAFETY: each panel is taken once, and writes to its own columns.
            unsafe { multiply_panel(set, input, n_inputs, &layers[number], panel, outputs[number]) };
        }
    };
    let n_workers = n_threads.min(parts.n_parts);
    if n_workers > 1 {
        spread(n_workers, &work);
    }
    // Whatever the threads left.
    work();
    true
}

/// Rows that go through a panel together at most, by any instruction set.
pub(super) const MOST_ROWS: usize = 12;

/// The same by one: more would not find room in its registers.
fn tile_rows(set: InstructionSet) -> usize {
    match set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => MOST_ROWS,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => 3,
        InstructionSet::Portable => 4,
    }
}

/// # Safety
/// - Lengths fit, as [`multiply`] checks; nobody else uses the panel's columns of `output`.
unsafe fn multiply_panel(
    set: InstructionSet,
    input: &[f32],
    n_inputs: usize,
    layer: &Linear<'_>,
    panel: usize,
    output: Shared<'_>,
) {
    let n_rows = input.len() / n_inputs;
    let first = panel * PANEL_WIDTH;
    let n_columns = PANEL_WIDTH.min(layer.n_outputs - first);
    let weights = layer.weights[panel * n_inputs * PANEL_WIDTH..].as_ptr();
    let mut sums = [[0.0_f32; PANEL_WIDTH]; MOST_ROWS];
    let mut row = 0;
    while row < n_rows {
        let n_done = tile_rows(set).min(n_rows - row);
        let work = Panel { input: input[row * n_inputs..].as_ptr(), n_inputs, weights };
        // SAFETY: a tile of so many rows begins at `input`, and `n_inputs` rows of 32 at `weights`; the set is one that the
        // processor has.
        unsafe { rows(set, work, n_done, &mut sums) };
        for (offset, sums) in sums[..n_done].iter().enumerate() {
            // SAFETY: columns of this panel.
            let columns = unsafe { output.part((row + offset) * layer.n_outputs + first, n_columns) };
            match layer.bias {
                Some(bias) => {
                    let added = sums.iter().zip(&bias[first..]);
                    columns.iter_mut().zip(added).for_each(|(column, (sum, bias))| *column = sum + bias);
                }
                None => columns.copy_from_slice(&sums[..n_columns]),
            }
        }
        row += n_done;
    }
}

/// Sums of a tile's rows.
///
/// # Safety
/// - `panel.input` begins a tile of `n_rows` rows, from 1 to [`tile_rows`], `panel.weights` `n_inputs` rows of 32; the processor has
///   `set`.
unsafe fn rows(set: InstructionSet, panel: Panel, n_rows: usize, sums: &mut [[f32; PANEL_WIDTH]; MOST_ROWS]) {
    // SAFETY: the caller's obligation.
    unsafe {
        match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => super::x86::rows_avx512(panel, n_rows, sums),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => super::x86::rows_avx2(panel, n_rows, sums),
            InstructionSet::Portable => match n_rows {
                1 => portable::<1>(panel, sums),
                2 => portable::<2>(panel, sums),
                3 => portable::<3>(panel, sums),
                _ => portable::<4>(panel, sums),
            },
        }
    }
}

/// # Safety
/// - As [`rows`], with `ROWS` rows.
unsafe fn portable<const ROWS: usize>(panel: Panel, sums: &mut [[f32; PANEL_WIDTH]; MOST_ROWS]) {
    let mut totals = [[0.0_f32; PANEL_WIDTH]; ROWS];
    for i in 0..panel.n_inputs {
        // SAFETY: row `i` of the panel and of the tile, by the caller's obligation.
        let (weights, input) = unsafe {
            let weights = &*panel.weights.add(i * PANEL_WIDTH).cast::<[f32; PANEL_WIDTH]>();
            (weights, &*panel.input.add(i * ROWS).cast::<[f32; ROWS]>())
        };
        for (total, x) in totals.iter_mut().zip(input) {
            for (total, weight) in total.iter_mut().zip(weights) {
                *total = super::exponential::multiply_add::<PORTABLE_FUSES>(*x, *weight, *total);
            }
        }
    }
    sums[..ROWS].copy_from_slice(&totals);
}

#[cfg(test)]
mod tests {
    use super::super::panels::{Order, Panels};
    use super::*;
    use proptest::prelude::*;

    /// Numbers that look random.
    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    fn packed(n_inputs: usize, n_outputs: usize, matrix: &[f32]) -> Panels {
        let mut panels = Panels::new(n_inputs, n_outputs).unwrap();
        panels.fill(Order::InOut, 0, matrix);
        panels
    }

    fn on_threads(n: usize, work: &(dyn Fn() + Sync)) {
        std::thread::scope(|scope| (0..n).for_each(|_| drop(scope.spawn(work))));
    }

    fn product(set: InstructionSet, input: &[f32], n_inputs: usize, layer: &Linear<'_>, n_threads: usize) -> Vec<f32> {
        let mut output = vec![f32::NAN; input.len() / n_inputs * layer.n_outputs];
        assert!(multiply(set, input, n_inputs, &[*layer], &mut [&mut output], n_threads, &on_threads));
        output
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn products_are_those_of_the_definition(
            n_rows in 1_usize..41, n_inputs in 1_usize..70, n_outputs in 1_usize..100, seed in 0_u32..1000, with_bias in any::<bool>(),
        ) {
            let (input, matrix, bias) =
                (numbers(n_rows * n_inputs, seed), numbers(n_inputs * n_outputs, seed + 1), numbers(n_outputs, seed + 2));
            let panels = packed(n_inputs, n_outputs, &matrix);
            let layer = Linear { weights: panels.as_floats(), bias: with_bias.then_some(&bias), n_outputs };
            for set in InstructionSet::all() {
                let output = product(set, &input, n_inputs, &layer, 2);
                for row in 0..n_rows {
                    for o in 0..n_outputs {
                        let terms = (0..n_inputs).map(|i| f64::from(input[row * n_inputs + i]) * f64::from(matrix[i * n_outputs + o]));
                        let wanted = terms.sum::<f64>() + if with_bias { f64::from(bias[o]) } else { 0.0 };
                        let given = f64::from(output[row * n_outputs + o]);
                        prop_assert!((given - wanted).abs() < 1e-5, "{set:?} [{row}][{o}]: {given}, not {wanted}");
                    }
                }
                // A row alone, and any number of threads, give the same bits.
                let last = &input[(n_rows - 1) * n_inputs..];
                prop_assert_eq!(&product(set, last, n_inputs, &layer, 1), &output[(n_rows - 1) * n_outputs..]);
                prop_assert_eq!(&product(set, &input, n_inputs, &layer, 7), &output);
            }
        }
    }

    #[test]
    fn several_layers_share_their_input() {
        let (input, n_inputs) = (numbers(6, 1), 3);
        let matrices = [numbers(3 * 5, 2), numbers(3 * 40, 3)];
        let panels = [packed(3, 5, &matrices[0]), packed(3, 40, &matrices[1])];
        let layers = [(&panels[0], 5), (&panels[1], 40)].map(|(panels, n_outputs)| Linear {
            weights: panels.as_floats(),
            bias: None,
            n_outputs,
        });
        let set = InstructionSet::best();
        let (mut first, mut second) = (vec![0.0; 10], vec![0.0; 80]);
        assert!(multiply(set, &input, n_inputs, &layers, &mut [&mut first, &mut second], 2, &on_threads));
        assert_eq!(first, product(set, &input, n_inputs, &layers[0], 1));
        assert_eq!(second, product(set, &input, n_inputs, &layers[1], 1));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let panels = packed(3, 5, &numbers(15, 2));
        let layer = Linear { weights: panels.as_floats(), bias: None, n_outputs: 5 };
        let set = InstructionSet::best();
        let refused = |input: &[f32], layer: Linear<'_>, output: &mut [f32]| {
            !multiply(set, input, 3, &[layer], &mut [output], 1, &on_threads)
        };
        assert!(refused(&[0.0; 4], layer, &mut [0.0; 5]) && refused(&[0.0; 3], layer, &mut [0.0; 4]));
        assert!(refused(&[0.0; 3], Linear { n_outputs: 40, ..layer }, &mut [0.0; 40]));
        assert!(refused(&[0.0; 3], Linear { bias: Some(&[0.0; 4]), ..layer }, &mut [0.0; 5]));
        assert!(!refused(&[], layer, &mut []));
    }
}
