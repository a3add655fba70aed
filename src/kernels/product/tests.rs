use super::super::matrix::{Order, Packed};
use super::super::testing::{numbers, on_threads};
use super::*;
use half::bf16;
use proptest::prelude::*;

fn product(set: InstructionSet, input: &[f32], layer: Linear<'_>, n_threads: usize) -> Vec<f32> {
    let mut output = vec![f32::NAN; input.len() / layer.weights.n_inputs * layer.weights.n_outputs];
    assert!(multiply(set, input, &[layer], &mut [&mut output], n_threads, &on_threads));
    output
}

/// What the definition gives, in double precision, and how far from it a result may be.
fn wanted(format: Format, row: &[f32], column: &[f32]) -> (f64, f64) {
    let n = row.len() as f64;
    let largest = |values: &[f32]| values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let (rounded, allowed): (fn(f32) -> f32, f64) = match format {
        Format::F32 => (|x| x, 1e-6 * n),
        Format::Bf16 => (|x| bf16::from_f32(x).to_f32(), 2e-6 * n),
        // Half a step of the row on every weight, half a step of the weights on every number.
        Format::Int8 => (
            |x| x,
            n * f64::from(2.0 / 255.0 * largest(column) * 0.51 + largest(row) * largest(column) / 127.0 * 0.51 + 1e-3),
        ),
    };
    let terms = row.iter().zip(column).map(|(x, weight)| f64::from(rounded(*x)) * f64::from(rounded(*weight)));
    (terms.sum(), allowed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn products_are_those_of_the_definition(
        n_rows in 1_usize..41, n_inputs in 1_usize..90, n_outputs in 1_usize..100, seed in 0_usize..1000,
    ) {
        let (input, elements, bias) =
            (numbers(n_rows * n_inputs, seed), numbers(n_inputs * n_outputs, seed + 1), numbers(n_outputs, seed + 2));
        for format in Format::ALL {
            let packed = Packed::new(format, Order::InOut, n_inputs, n_outputs, &elements).unwrap();
            let layer = Linear { weights: Matrix::new(format, n_inputs, n_outputs, packed.bytes()).unwrap(), bias: &bias };
            let mut of_sets: Vec<Vec<f32>> = Vec::new();
            for set in InstructionSet::all() {
                let output = product(set, &input, layer, 2);
                for row in 0..n_rows {
                    for o in 0..n_outputs {
                        let column: Vec<f32> = elements.iter().skip(o).step_by(n_outputs).copied().collect();
                        let (product, allowed) = wanted(format, &input[row * n_inputs..(row + 1) * n_inputs], &column);
                        let (wanted, given) = (product + f64::from(bias[o]), f64::from(output[row * n_outputs + o]));
                        prop_assert!((given - wanted).abs() <= allowed, "{format:?} {set:?} [{row}][{o}]: {given}, not {wanted}");
                    }
                }
                // A row alone, and any number of threads, give the same bits.
                let last = &input[(n_rows - 1) * n_inputs..];
                prop_assert_eq!(&product(set, last, layer, 1), &output[(n_rows - 1) * n_outputs..]);
                prop_assert_eq!(&product(set, &input, layer, 7), &output);
                of_sets.push(output);
            }
            // Sums of bytes are exact: instruction sets agree to the rounding of what follows.
            if format == Format::Int8 {
                for (a, b) in of_sets.iter().flat_map(|other| other.iter().zip(&of_sets[0])) {
                    prop_assert!((a - b).abs() <= 1e-6 * (1.0 + b.abs()), "{a} {b}");
                }
            }
        }
    }
}

#[test]
fn the_largest_sums_of_bytes_do_not_overflow_or_saturate() {
    let n_inputs = 3000;
    let (rows, elements) = ([[1.0_f32; 3000], [-1.0; 3000]].concat(), vec![1.0_f32; n_inputs * 33]);
    let packed = Packed::new(Format::Int8, Order::OutIn, n_inputs, 33, &elements).unwrap();
    for set in InstructionSet::all() {
        let output = product(
            set,
            &rows,
            Linear { weights: Matrix::new(Format::Int8, n_inputs, 33, packed.bytes()).unwrap(), bias: &[0.0; 33] },
            1,
        );
        for (number, given) in output.iter().enumerate() {
            let wanted = if number < 33 { 3000.0 } else { -3000.0 };
            assert!((given - wanted).abs() < 0.5, "{set:?}: {given}");
        }
    }
}

#[test]
fn several_layers_share_their_input() {
    let input = numbers(6, 1);
    for format in Format::ALL {
        let packed =
            [(5, 2), (40, 3)].map(|(n, seed)| Packed::new(format, Order::InOut, 3, n, &numbers(3 * n, seed)).unwrap());
        let biases = [numbers(5, 4), numbers(40, 5)];
        let layers = [0, 1].map(|i| Linear {
            weights: Matrix::new(format, 3, biases[i].len(), packed[i].bytes()).unwrap(),
            bias: &biases[i],
        });
        let set = InstructionSet::best();
        let (mut first, mut second) = (vec![0.0; 10], vec![0.0; 80]);
        assert!(multiply(set, &input, &layers, &mut [&mut first, &mut second], 2, &on_threads));
        assert_eq!((first, second), (product(set, &input, layers[0], 1), product(set, &input, layers[1], 1)));
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let packed = Packed::new(Format::F32, Order::InOut, 3, 5, &numbers(15, 2)).unwrap();
    let layer = Linear { weights: Matrix::new(Format::F32, 3, 5, packed.bytes()).unwrap(), bias: &[0.0; 5] };
    let set = InstructionSet::best();
    let refused = |input: &[f32], layer: Linear<'_>, output: &mut [f32]| {
        !multiply(set, input, &[layer], &mut [output], 1, &on_threads)
    };
    assert!(refused(&[0.0; 4], layer, &mut [0.0; 5]) && refused(&[0.0; 3], layer, &mut [0.0; 4]));
    assert!(refused(&[0.0; 3], Linear { bias: &[0.0; 4], ..layer }, &mut [0.0; 5]));
    assert!(!refused(&[], layer, &mut []) && !refused(&[0.0; 3], layer, &mut [0.0; 5]));
}
