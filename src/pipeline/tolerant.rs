//! Calls in which one bad text does not spoil the others.

use super::encodings::{of_input, told};
use super::{Call, Input, Model, Output};
use crate::error::{Error, Result};
use crate::tensor::Matrix;
use crate::tokenize::Encoding;

/// What answers a batch.
type Work<'a> = dyn Fn(&[Input<'_>]) -> Result<Output> + 'a;

impl Model {
    /// [`Self::infer`] with an entry of [`Output::errors`] for each text: a text that cannot be answered has no findings,
    /// a row of NaN and an encoding without tokens. Texts that are errors already are given as such.
    ///
    /// # Errors
    /// - What no text could change, and [`Error::Runtime`].
    pub fn infer_each(&self, inputs: Vec<Result<Input<'_>>>, call: &Call) -> Result<Output> {
        let n_inputs = inputs.len();
        let mut output = each(inputs, &|inputs| self.infer(inputs, call))?;
        // Also where none was answered, none has findings.
        output.items.resize(n_inputs, Vec::new());
        Ok(output)
    }

    /// The same of [`Self::encode`].
    ///
    /// # Errors
    /// - Those of [`Self::infer_each`].
    pub fn encode_each(&self, inputs: Vec<Result<Input<'_>>>, call: &Call) -> Result<Output> {
        each(inputs, &|inputs| self.encode(inputs, call))
    }
}

/// Answers what can be answered.
pub(super) fn each(inputs: Vec<Result<Input<'_>>>, work: &Work<'_>) -> Result<Output> {
    // What no text can change is found out without any.
    let without = work(&[])?;
    let (mut good, mut places) = (Vec::with_capacity(inputs.len()), Vec::with_capacity(inputs.len()));
    let mut errors: Vec<Option<Error>> = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.into_iter().enumerate() {
        match input {
            Ok(input) => {
                good.push(input);
                places.push(index);
                errors.push(None);
            }
            Err(error) => errors.push(Some(error)),
        }
    }
    // It tells how wide rows are, where no text is answered.
    let mut parts: Vec<(usize, Output)> = vec![(0, without)];
    halve(&good, &places, work, &mut parts, &mut errors)?;
    Ok(put_together(parts, &places, errors))
}

/// Answers all texts at once, or each half alone where one of them cannot be.
fn halve(
    inputs: &[Input<'_>],
    places: &[usize],
    work: &Work<'_>,
    parts: &mut Vec<(usize, Output)>,
    errors: &mut [Option<Error>],
) -> Result<()> {
    let (Some(first), false) = (places.first(), inputs.is_empty()) else { return Ok(()) };
    match work(inputs) {
        Ok(output) => parts.push((inputs.len(), output)),
        Err(error) if !is_of_text(&error) => return Err(error),
        Err(error) if inputs.len() == 1 => {
            errors[*first] = Some(moved(error, *first));
            parts.push((1, Output::default()));
        }
        Err(_) => {
            let middle = inputs.len() / 2;
            halve(&inputs[..middle], &places[..middle], work, parts, errors)?;
            halve(&inputs[middle..], &places[middle..], work, parts, errors)?;
        }
    }
    Ok(())
}

pub(super) fn is_of_text(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidArgument(_) | Error::InvalidUtf8 { .. } | Error::TextTooLong { .. } | Error::Unsupported(_)
    )
}

/// The error of a text that was alone, with its index among all.
pub(super) fn moved(error: Error, index: usize) -> Error {
    const ALONE: &str = "input 0: ";
    let stripped = told(error, |text| text.strip_prefix(ALONE).unwrap_or(text).to_owned());
    of_input(stripped, index)
}

/// The outputs of parts, whose texts stand at `places` among all.
fn put_together(parts: Vec<(usize, Output)>, places: &[usize], errors: Vec<Option<Error>>) -> Output {
    let n_inputs = errors.len();
    let has = |holds: fn(&Output) -> bool| parts.iter().any(|(_, output)| holds(output));
    let (has_items, has_vectors) = (has(|o| !o.items.is_empty()), has(|o| !o.token_vectors.is_empty()));
    let has_generated = has(|o| !o.generated.is_empty());
    let has_raw = has(|o| !o.raw_outputs.is_empty());
    let width = parts.iter().find_map(|(_, output)| output.matrix.as_ref().map(|matrix| matrix.n_columns));
    let mut whole = Output {
        items: vec![Vec::new(); if has_items { n_inputs } else { 0 }],
        token_vectors: vec![Matrix::default(); if has_vectors { n_inputs } else { 0 }],
        generated: vec![Vec::new(); if has_generated { n_inputs } else { 0 }],
        matrix: width.map(|width| Matrix {
            n_rows: n_inputs,
            n_columns: width,
            data: vec![f32::NAN; n_inputs.saturating_mul(width)],
        }),
        ..Output::default()
    };
    // Each text's encodings with their outputs, to be put in order.
    let mut encoded: Vec<(Encoding, Option<Vec<crate::tensor::Tensor>>)> = Vec::new();
    let mut first = 0;
    for (n_texts, output) in parts {
        let places = &places[first..first + n_texts];
        first += n_texts;
        for (place, items) in places.iter().zip(output.items) {
            whole.items[*place] = items;
        }
        for (place, generated) in places.iter().zip(output.generated) {
            whole.generated[*place] = generated;
        }
        for (place, vectors) in places.iter().zip(output.token_vectors) {
            whole.token_vectors[*place] = vectors;
        }
        if let (Some(whole), Some(matrix)) = (&mut whole.matrix, &output.matrix) {
            for (row, place) in places.iter().enumerate().take(matrix.n_rows) {
                whole.data[place * whole.n_columns..(place + 1) * whole.n_columns].copy_from_slice(matrix.row(row));
            }
        }
        let mut raw = output.raw_outputs.into_iter();
        let place = |encoding: Encoding| Encoding { input: places[encoding.input], ..encoding };
        encoded.extend(output.encodings.into_iter().map(|encoding| (place(encoding), raw.next())));
    }
    let failed = errors.iter().enumerate().filter(|(_, error)| error.is_some());
    encoded.extend(failed.map(|(input, _)| (Encoding { input, ..Encoding::default() }, None)));
    encoded.sort_by_key(|(encoding, _)| (encoding.input, encoding.window));
    let (encodings, raw): (Vec<Encoding>, Vec<_>) = encoded.into_iter().unzip();
    whole.encodings = encodings;
    if has_raw {
        whole.raw_outputs = raw.into_iter().map(Option::unwrap_or_default).collect();
    }
    whole.errors = errors;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::Item;
    use std::cell::Cell;

    fn text(text: &str) -> Result<Input<'_>> {
        Ok(Input { text, pair: None })
    }

    #[test]
    fn one_bad_text_is_named_and_the_others_are_answered() {
        let n_calls = Cell::new(0);
        let work = |inputs: &[Input<'_>]| {
            n_calls.set(n_calls.get() + 1);
            if let Some(index) = inputs.iter().position(|input| input.text == "bad") {
                return Err(of_input(Error::argument("it is bad"), index));
            }
            let items = inputs.iter().map(|input| vec![Item { text: input.text.into(), ..Item::default() }]).collect();
            let matrix = Matrix { n_rows: inputs.len(), n_columns: 1, data: vec![1.0; inputs.len()] };
            let encoding = |(input, _)| Encoding { input, ..Encoding::default() };
            let encodings = inputs.iter().enumerate().map(encoding).collect();
            Ok(Output { items, matrix: Some(matrix), encodings, ..Output::default() })
        };
        let mut inputs: Vec<_> = (0..100).map(|_| text("good")).collect();
        inputs[41] = text("bad");
        inputs[7] = Err(Error::argument("input 7: not a text"));
        let output = each(inputs, &work).unwrap();
        assert!(n_calls.get() < 20, "{}", n_calls.get());
        for index in 0..100 {
            let is_bad = index == 41 || index == 7;
            assert_eq!(output.items[index].is_empty(), is_bad);
            assert_eq!(output.errors[index].is_some(), is_bad);
            assert_eq!(output.matrix.as_ref().unwrap().row(index)[0].is_nan(), is_bad);
            assert_eq!(output.encodings[index].input, index);
        }
        assert_eq!(output.errors[41].as_ref().unwrap().to_string(), "input 41: it is bad");
    }

    #[test]
    fn what_no_text_can_change_is_an_error_of_the_call() {
        let work = |_: &[Input<'_>]| Err(Error::argument("a bad call"));
        assert!(each(vec![text("a")], &work).is_err());
        let broken = |inputs: &[Input<'_>]| match inputs.len() {
            0 => Ok(Output::default()),
            _ => Err(Error::Runtime { context: "broken".into(), source: None }),
        };
        assert!(each(vec![text("a"), text("b")], &broken).is_err());
    }
}
