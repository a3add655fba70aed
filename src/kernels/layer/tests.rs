use super::super::matrix::{Format, Order, Packed};
use super::super::testing::{numbers, on_threads};
use super::*;
use proptest::prelude::*;

/// Weights of a layer.
struct Owned {
    sizes: [usize; 5],
    format: Format,
    matrices: Vec<Packed>,
    plain: Vec<Vec<f32>>,
    biases: Vec<Vec<f32>>,
    norms: Vec<[Vec<f32>; 2]>,
}

impl Owned {
    /// Heads, sizes of a head's queries and values, width, width inside.
    fn new(format: Format, sizes: [usize; 5]) -> Self {
        let [heads, query, value, width, inner] = sizes;
        let shapes = [
            (width, heads * query),
            (width, heads * query),
            (width, heads * value),
            (heads * value, width),
            (width, inner),
            (inner, width),
        ];
        let plain: Vec<Vec<f32>> = shapes.iter().enumerate().map(|(seed, (i, o))| numbers(i * o, seed)).collect();
        let matrices =
            plain.iter().zip(shapes).map(|(all, (i, o))| Packed::new(format, Order::InOut, i, o, all).unwrap());
        let norm = |seed: usize| [numbers(width, seed), numbers(width, seed + 1)];
        Self {
            sizes,
            format,
            matrices: matrices.collect(),
            biases: shapes.iter().enumerate().map(|(seed, (_, o))| numbers(*o, seed + 10)).collect(),
            norms: vec![norm(20), norm(30)],
            plain,
        }
    }

    fn layer(&self) -> Layer<'_> {
        let linear = |i: usize| {
            let (bytes, bias) = (self.matrices[i].bytes(), &self.biases[i]);
            let n_inputs = self.plain[i].len() / bias.len();
            Linear { weights: Matrix::new(self.format, n_inputs, bias.len(), bytes).unwrap(), bias }
        };
        let norm = |i: usize| Norm { scale: &self.norms[i][0], shift: &self.norms[i][1] };
        Layer {
            n_heads: self.sizes[0],
            query_head_size: self.sizes[1],
            value_head_size: self.sizes[2],
            activation: Activation::Gelu,
            epsilon: 1e-5,
            projections: [linear(0), linear(1), linear(2)],
            attention_output: linear(3),
            attention_norm: norm(0),
            ffn_in: linear(4),
            ffn_out: linear(5),
            ffn_norm: norm(1),
        }
    }

    fn multiply(&self, number: usize, row: &[f64]) -> Vec<f64> {
        let bias = &self.biases[number];
        let term = |i: usize, o: usize| row[i] * f64::from(self.plain[number][i * bias.len() + o]);
        (0..bias.len()).map(|o| f64::from(bias[o]) + (0..row.len()).map(|i| term(i, o)).sum::<f64>()).collect()
    }

    fn norm(&self, number: usize, row: &[f64]) -> Vec<f64> {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let deviation = (row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + 1e-5).sqrt();
        let [scale, shift] = &self.norms[number];
        let normed = row.iter().zip(scale.iter().zip(shift));
        normed.map(|(x, (scale, shift))| (x - mean) / deviation * f64::from(*scale) + f64::from(*shift)).collect()
    }

    /// The definition, in double precision, for one text.
    fn naive(&self, text: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let [heads, query, value, ..] = self.sizes;
        let of = |number: usize| text.iter().map(|row| self.multiply(number, row)).collect::<Vec<_>>();
        let (q, k, v) = (of(0), of(1), of(2));
        let tokens = 0..text.len();
        let mut all = Vec::new();
        for token in tokens.clone() {
            let mut mixed = vec![0.0; heads * value];
            for head in 0..heads {
                let dot = |other: usize| {
                    (0..query).map(|i| q[token][head * query + i] * k[other][head * query + i]).sum::<f64>()
                };
                let weights: Vec<f64> =
                    tokens.clone().map(|other| (dot(other) / (query as f64).sqrt()).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for i in 0..value {
                    let terms = weights.iter().zip(&v).map(|(weight, v)| weight / sum * v[head * value + i]);
                    mixed[head * value + i] = terms.sum();
                }
            }
            let add = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f64>>();
            let middle = self.norm(0, &add(&self.multiply(3, &mixed), &text[token]));
            let gelu = |x: f64| x / (1.0 + (-1.702 * x).exp());
            let exact = |x: f64| {
                // erf by its series; numbers here are small.
                let t = x / std::f64::consts::SQRT_2;
                let (mut term, mut sum, mut n) = (t, t, 0.0);
                while term.abs() > 1e-17 && t.abs() < 5.0 {
                    n += 1.0;
                    term *= -t * t / n;
                    sum += term / (2.0 * n + 1.0);
                }
                if t.abs() >= 5.0 { gelu(x) } else { 0.5 * x * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt()) }
            };
            let inner: Vec<f64> = self.multiply(4, &middle).into_iter().map(exact).collect();
            all.push(self.norm(1, &add(&self.multiply(5, &inner), &middle)));
        }
        all
    }
}

fn run(
    set: InstructionSet,
    owned: &Owned,
    ends: &[i64],
    wanted: Option<&[i64]>,
    input: &[f32],
    n_threads: usize,
) -> Vec<f32> {
    let [heads, query, value, width, _] = owned.sizes;
    let n_tokens = input.len() / width;
    let sight = Sight::Texts(Texts { ends, mask: None, hides_queries: false, wanted: None });
    let layer = LayerRun::new(set, owned.layer(), sight, wanted, n_tokens, n_threads).unwrap();
    let (mut keys, mut values) = (vec![0.0; n_tokens * heads * query], vec![0.0; n_tokens * heads * value]);
    let (mut output, mut scratch) = (vec![f32::NAN; layer.n_wanted() * width], vec![0xff; layer.scratch_size()]);
    let tensors =
        LayerTensors { input, keys: &mut keys, values: &mut values, output: &mut output, scratch: &mut scratch };
    assert!(layer.run(tensors, &on_threads));
    output
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn layers_are_those_of_the_definition(
        lengths in proptest::collection::vec(1_usize..30, 1..5), heads in 1_usize..4, query in 1_usize..27, value in 1_usize..27,
        width in 1_usize..50, inner in 1_usize..80,
    ) {
        let n_tokens: usize = lengths.iter().sum();
        let input = numbers(n_tokens * width, 77);
        let ends: Vec<i64> = lengths.iter().scan(0, |sum, n| { *sum += *n as i64; Some(*sum) }).collect();
        let first: Vec<i64> = ends.iter().zip(&lengths).map(|(end, n)| end - *n as i64).collect();
        for format in [Format::F32, Format::Bf16, Format::Int8] {
            let owned = Owned::new(format, [heads, query, value, width, inner]);
            for set in InstructionSet::all() {
                let output = run(set, &owned, &ends, None, &input, 2);
                for n_threads in [1, 5] {
                    prop_assert_eq!(&run(set, &owned, &ends, None, &input, n_threads), &output);
                }
                // The first tokens alone, and the last text alone, give the same bits.
                let of_first = run(set, &owned, &ends, Some(&first), &input, 2);
                for (row, token) in of_first.chunks(width).zip(&first) {
                    prop_assert_eq!(row, &output[*token as usize * width..][..width]);
                }
                let last = *first.last().unwrap() as usize * width;
                let n_last = *lengths.last().unwrap() as i64;
                prop_assert_eq!(&run(set, &owned, &[n_last], None, &input[last..], 1)[..], &output[last..]);
                if format != Format::F32 {
                    prop_assert!(output.iter().all(|x| x.is_finite()));
                    continue;
                }
                let rows: Vec<Vec<f64>> = input.chunks(width).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
                let wanted = ends.iter().zip(&first).flat_map(|(end, first)| owned.naive(&rows[*first as usize..*end as usize]));
                for (given, wanted) in output.iter().zip(wanted.flatten()) {
                    prop_assert!((f64::from(*given) - wanted).abs() < 2e-4 * (1.0 + wanted.abs()), "{set:?} {given}, not {wanted}");
                }
            }
        }
    }
}

#[test]
fn more_rows_than_a_chunk_give_what_each_gives_alone() {
    for format in Format::ALL {
        let owned = Owned::new(format, [2, 8, 8, 16, 40]);
        let input = numbers(700 * 16, 5);
        let ends = [300, 301, 700];
        for set in InstructionSet::all() {
            let output = run(set, &owned, &ends, None, &input, 3);
            let mut begin = 0;
            for end in ends {
                let alone = run(set, &owned, &[end - begin], None, &input[begin as usize * 16..end as usize * 16], 1);
                assert_eq!(alone, output[begin as usize * 16..end as usize * 16], "{format:?} {set:?}");
                begin = end;
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let owned = Owned::new(Format::F32, [2, 3, 4, 6, 9]);
    let other = Owned::new(Format::Bf16, [2, 3, 4, 6, 9]);
    let set = InstructionSet::best();
    let texts = Sight::Texts(Texts { ends: &[5], mask: None, hides_queries: false, wanted: None });
    let refused =
        |layer: Layer<'_>, wanted: Option<&[i64]>, n: usize| LayerRun::new(set, layer, texts, wanted, n, 1).is_none();
    let layer = owned.layer();
    assert!(
        !refused(layer, None, 5)
            && refused(layer, None, 6)
            && refused(layer, Some(&[5]), 5)
            && refused(layer, Some(&[-1]), 5)
    );
    assert!(
        refused(Layer { n_heads: 1, ..layer }, None, 5)
            && refused(Layer { ffn_in: other.layer().ffn_in, ..layer }, None, 5)
    );
    let run = LayerRun::new(set, layer, texts, None, 5, 1).unwrap();
    let (mut keys, mut values, mut output) = ([0.0; 30], [0.0; 40], [0.0; 30]);
    let mut scratch = vec![0; run.scratch_size()];
    let mut tensors = |input: &[f32], n_scratch: usize| {
        let tensors = LayerTensors {
            input,
            keys: &mut keys,
            values: &mut values,
            output: &mut output,
            scratch: &mut scratch[..n_scratch],
        };
        let run = LayerRun::new(set, layer, texts, None, 5, 1).unwrap();
        run.run(tensors, &on_threads)
    };
    assert!(
        !tensors(&[0.0; 29], run.scratch_size())
            && !tensors(&[0.0; 30], 100)
            && tensors(&[0.0; 30], run.scratch_size())
    );
}
