//! Runs a case in every way and compares.

use std::collections::BTreeSet;

use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model, Output};
use ernie::tensor::{Tensor, TensorDataRef, TensorView};

use crate::case::{Case, Padded, Text, Wanted};

/// What was compared.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) n_texts: usize,
    /// The largest difference from the reference.
    pub(crate) worst: f32,
    /// The largest difference of a text alone and in a batch.
    pub(crate) worst_batch: f32,
    pub(crate) outputs: Vec<String>,
}

/// A text alone and in a batch differ by no more than this.
const BATCH_ATOL: f32 = 1e-6;
/// The same with option `prepacking` = `off`.
const UNPACKED_ATOL: f32 = 5e-6;

type Outcome<T> = Result<T, String>;

pub(crate) fn case(case: &Case) -> Outcome<Report> {
    let model = open(case, &[])?;
    let call = Call { with_raw_outputs: true, ..Call::default() };
    let encodings: Vec<_> = case.texts.iter().map(|text| text.encoding.clone()).collect();
    let run = |model: &Model, encodings: Vec<_>| model.infer_encoded(encodings, &call).map_err(|e| e.report());
    let together = run(&model, encodings.clone())?;
    let small = open(case, &[("max_batch_tokens", "150"), ("max_rows", "3"), ("threads", "1")])?;
    let in_small_runs = run(&small, encodings.clone())?;
    let unpacked = open(case, &[("prepacking", "off")])?;
    let unpacked_together = run(&unpacked, encodings)?;
    let mut report = Report { n_texts: case.texts.len(), ..Report::default() };
    let mut names = BTreeSet::new();
    for (index, text) in case.texts.iter().enumerate() {
        let alone = run(&model, vec![text.encoding.clone()])?;
        for outputs in [&alone.raw_outputs[0], &together.raw_outputs[index], &in_small_runs.raw_outputs[index]] {
            let worst = compare(case, text, outputs)?;
            report.worst = report.worst.max(worst);
        }
        for other in [&together.raw_outputs[index], &in_small_runs.raw_outputs[index]] {
            report.worst_batch = report.worst_batch.max(same(text, &alone.raw_outputs[0], other, BATCH_ATOL)?);
        }
        // Weights that are used where they lie are multiplied in an order that depends on the run: rounding may show.
        let unpacked_alone = run(&unpacked, vec![text.encoding.clone()])?;
        report.worst = report.worst.max(compare(case, text, &unpacked_alone.raw_outputs[0])?);
        same(text, &unpacked_alone.raw_outputs[0], &unpacked_together.raw_outputs[index], UNPACKED_ATOL)?;
        names.extend(text.wanted.iter().map(|wanted| wanted.name.clone()));
        report.worst = report.worst.max(as_tensors(&model, case, text)?);
    }
    for padded in &case.padded {
        report.worst = report.worst.max(compare_padded(&model, case, padded)?);
    }
    report.outputs = names.into_iter().collect();
    if !case.padded.is_empty() {
        report.outputs.push(format!("+{} batches and variants", case.padded.len()));
    }
    report.outputs.push(from_text(&model, case, &together)?);
    Ok(report)
}

fn open(case: &Case, more: &[(&str, &str)]) -> Outcome<Model> {
    let mut options: Options = case.options.clone();
    more.iter().for_each(|(key, value)| options.set(key, value).unwrap());
    Model::open(&case.dir, &options).map_err(|e| e.report())
}

fn find<'a>(outputs: &'a [Tensor], name: &str) -> Outcome<&'a Tensor> {
    let names = || outputs.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>().join(", ");
    outputs.iter().find(|tensor| tensor.name == name).ok_or_else(|| format!("no output {name} among {}", names()))
}

/// Compares what one text gave with the reference.
fn compare(case: &Case, text: &Text, outputs: &[Tensor]) -> Outcome<f32> {
    let mut worst = 0.0_f32;
    for wanted in &text.wanted {
        let output = find(outputs, &wanted.name)?;
        if output.shape != wanted.shape {
            return Err(format!("{}: {} has shape {:?}, not {:?}", text.id, wanted.name, output.shape, wanted.shape));
        }
        let is_noise = |token: usize| case.skips_masked_rows && text.encoding.input_ids[token] == 0;
        let got = output.to_f32().unwrap();
        worst = worst.max(close(&text.id, wanted, &got, case.atol, text.encoding.len(), is_noise)?);
    }
    for top in &text.top {
        let logits = find(outputs, "logits").or_else(|_| find(outputs, "prediction_logits"))?;
        let width = *logits.shape.last().unwrap();
        let masked: Vec<usize> = text.top.iter().map(|top| top.position).collect();
        // Either all words are predicted or those of masked tokens only.
        let at = if logits.shape[1] == text.encoding.len() {
            top.position
        } else {
            masked.iter().position(|p| *p == top.position).unwrap()
        };
        let row = &logits.to_f32().unwrap()[at * width..(at + 1) * width];
        for (id, logit) in top.ids.iter().zip(&top.logits) {
            if (row[*id] - logit).abs() > case.atol {
                return Err(format!(
                    "{}: logit of word {id} at token {} is {}, not {logit}",
                    text.id, top.position, row[*id]
                ));
            }
        }
        let best = row.iter().copied().fold(f32::MIN, f32::max);
        if best > row[top.ids[0]] + 2.0 * case.atol {
            return Err(format!("{}: another word is better at token {}", text.id, top.position));
        }
    }
    Ok(worst)
}

/// The largest difference; an error where one is larger than allowed. `is_noise` says of a token that it is not
/// compared.
fn close(
    id: &str,
    wanted: &Wanted,
    got: &[f32],
    atol: f32,
    n_tokens: usize,
    is_noise: impl Fn(usize) -> bool,
) -> Outcome<f32> {
    let of_tokens = wanted.shape.len() >= 2 && wanted.shape[1] == n_tokens && wanted.name != "mlm_transform";
    let width: usize = wanted.shape.get(2..).map_or(1, |rest| rest.iter().product());
    let mut worst = 0.0_f32;
    for (index, (a, b)) in got.iter().zip(&wanted.data).enumerate() {
        if of_tokens && is_noise(index / width % n_tokens) {
            continue;
        }
        let difference = (a - b).abs();
        if difference.is_nan() || difference > atol {
            return Err(format!("{id}: {} element {index} is {a}, not {b} (off by {difference:e})", wanted.name));
        }
        worst = worst.max(difference);
    }
    Ok(worst)
}

/// Compares a text alone with the same text in a batch: all outputs and all rows.
fn same(text: &Text, alone: &[Tensor], other: &[Tensor], atol: f32) -> Outcome<f32> {
    let mut worst = 0.0_f32;
    for (one, two) in alone.iter().zip(other) {
        for (index, (a, b)) in one.to_f32().unwrap().iter().zip(two.to_f32().unwrap().iter()).enumerate() {
            let difference = (a - b).abs();
            // A masked token's row is moved by -10000 as in the reference, where an f32 has steps of 1e-3.
            let is_noise = text.encoding.input_ids.contains(&0) && one.shape.get(1) == Some(&text.encoding.len()) && {
                let width: usize = one.shape.get(2..).map_or(1, |rest| rest.iter().product());
                text.encoding.input_ids[index / width] == 0
            };
            if !is_noise && (difference.is_nan() || difference > atol) {
                return Err(format!("{}: {} element {index} is {a} alone and {b} in a batch", text.id, one.name));
            }
            worst = worst.max(if is_noise { 0.0 } else { difference });
        }
    }
    Ok(worst)
}

fn run_tensors(model: &Model, inputs: &[(String, Vec<i64>)], shape: [usize; 2]) -> Outcome<Vec<Tensor>> {
    let known = |name: &str| model.graph_inputs().iter().any(|info| info.name == name);
    let views: Vec<TensorView<'_>> = inputs
        .iter()
        .filter(|(name, _)| known(name))
        .map(|(name, data)| TensorView { name, shape: &shape, data: TensorDataRef::I64(data) })
        .collect();
    model.infer_tensors(&views).map_err(|e| e.report())
}

/// The same text as tensors of one row.
fn as_tensors(model: &Model, case: &Case, text: &Text) -> Outcome<f32> {
    let mut inputs = vec![
        ("input_ids".to_owned(), text.encoding.input_ids.clone()),
        ("token_type_ids".to_owned(), text.encoding.token_type_ids.clone()),
    ];
    if text.has_mask {
        inputs.push(("attention_mask".to_owned(), text.encoding.attention_mask.clone()));
    }
    let outputs = run_tensors(model, &inputs, [1, text.encoding.len()])?;
    // Tensors give the words of all tokens.
    let whole =
        Text { wanted: text.wanted.iter().filter(|w| w.name != "mlm_transform").cloned().collect(), ..text.clone() };
    compare(case, &whole, &outputs)
}

/// Batches and variants; rows of padding are not compared.
fn compare_padded(model: &Model, case: &Case, padded: &Padded) -> Outcome<f32> {
    let n_tokens = padded.inputs[0].1.len() / padded.n_rows;
    let outputs = run_tensors(model, &padded.inputs, [padded.n_rows, n_tokens])?;
    let mut worst = 0.0_f32;
    for wanted in &padded.wanted {
        let output = find(&outputs, &wanted.name)?;
        if output.shape != wanted.shape {
            return Err(format!(
                "{}: {} has shape {:?}, not {:?}",
                padded.name, wanted.name, output.shape, wanted.shape
            ));
        }
        let got = output.to_f32().unwrap();
        let size = got.len() / padded.n_rows;
        for row in 0..padded.n_rows {
            let ids = &padded.inputs[0].1[row * n_tokens..(row + 1) * n_tokens];
            let is_noise = |token: usize| token >= padded.lengths[row] || case.skips_masked_rows && ids[token] == 0;
            let mut shape = wanted.shape.clone();
            shape[0] = 1;
            let part =
                Wanted { name: wanted.name.clone(), shape, data: wanted.data[row * size..(row + 1) * size].to_vec() };
            let got = &got[row * size..(row + 1) * size];
            let id = format!("{} row {row}", padded.name);
            worst = worst.max(close(&id, &part, got, case.atol, n_tokens, is_noise)?);
        }
    }
    Ok(worst)
}

/// Texts whose tokens are those of the reference give the same from the text itself.
fn from_text(model: &Model, case: &Case, together: &Output) -> Outcome<String> {
    let call = Call { with_raw_outputs: true, ..Call::default() };
    if model.tokenizer().is_err() {
        return Ok("(ids only)".to_owned());
    }
    let mut n_equal = 0;
    let mut n_texts = 0;
    for (index, text) in case.texts.iter().enumerate() {
        let Some(given) = &text.text else { continue };
        n_texts += 1;
        let input = [Input { text: given, pair: text.pair.as_deref() }];
        let output = model.infer(&input, &call).map_err(|e| e.report())?;
        if output.encodings[0].input_ids == text.encoding.input_ids {
            n_equal += 1;
            same(text, &together.raw_outputs[index], &output.raw_outputs[0], BATCH_ATOL)?;
        }
    }
    if n_texts > 0 && n_equal == 0 {
        return Err("no text is tokenized as by the reference".to_owned());
    }
    Ok(format!("({n_equal} of {n_texts} from the text itself)"))
}
