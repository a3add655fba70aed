//! Texts -> vectors.

use super::forward::{TextOutputs, Wanted};
use super::{Call, Input, Model, Output, matrix, windows};
use crate::error::{Error, Result};
use crate::graph::binding::OutputRole;
use crate::heads::embed::{Pooling, average, normalized, pool};
use crate::tensor::Matrix;
use crate::tokenize::{Encoding, Truncation};

/// What one encoding gave.
#[derive(Default)]
struct Part {
    vector: Vec<f32>,
    /// Vectors of its tokens, where they are needed later.
    tokens: Vec<f32>,
    width: usize,
}

impl Model {
    /// Vectors of texts: [`Output::matrix`] `[texts, hidden]`, and on request [`Output::token_vectors`].
    ///
    /// With [`Truncation::Windows`] mean and maximum are over all tokens of the text, each as the window shows it that has most
    /// around it; the other poolings give the mean of the windows' vectors.
    ///
    /// # Errors
    /// - Those of [`Self::tokenize`].
    /// - [`Error::Unsupported`]: the graph gives no vectors, or not those of the pooling asked for.
    /// - [`Error::Runtime`]: ONNX Runtime failed.
    pub fn encode(&self, inputs: &[Input<'_>], call: &Call) -> Result<Output> {
        self.check_vectors(call)?;
        let encodings = self.tokenize_by(inputs, call, Truncation::Truncate)?;
        self.check_encodings(&encodings)?;
        let of_all_tokens = call.with_token_vectors || matches!(call.pooling, Pooling::Mean | Pooling::Max);
        let mut parts: Vec<Part> = Vec::new();
        parts.resize_with(encodings.len(), Part::default);
        let mut output = Output::default();
        let wanted = Wanted { tokens: of_all_tokens, ..Wanted::default() };
        self.forward(&encodings, call, wanted, &mut output.raw_outputs, |index, row| {
            parts[index] = part(row, call, encodings[index].n_windows > 1 && of_all_tokens)?;
            Ok(())
        })?;
        let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(inputs.len());
        for range in windows::of_inputs(&encodings, inputs.len()) {
            let (windows, parts) = (&encodings[range.clone()], &mut parts[range]);
            let (vector, tokens) = joined(windows, parts, call)?;
            vectors.push(vector);
            output.token_vectors.extend(call.with_token_vectors.then_some(tokens));
        }
        let n_columns = vectors.first().map_or_else(|| self.hidden_size().unwrap_or(0), Vec::len);
        output.matrix = Some(matrix(vectors, n_columns)?);
        output.encodings = encodings;
        Ok(output)
    }

    /// Whether the graph gives what the call's vectors are made of.
    fn check_vectors(&self, call: &Call) -> Result<()> {
        let binding = self.binding()?;
        let has = |role| binding.output(role).is_some();
        if !has(OutputRole::LastHiddenState) && !has(OutputRole::PoolerOutput) {
            let names: Vec<&str> = binding.outputs.iter().map(|o| o.info.name.as_str()).collect();
            return Err(Error::Unsupported(format!(
                "this model's graph gives no vectors of texts or tokens; its outputs are {}",
                names.join(", ")
            )));
        }
        let needs_tokens =
            call.with_token_vectors || matches!(call.pooling, Pooling::Cls | Pooling::Mean | Pooling::Max);
        if needs_tokens && !has(OutputRole::LastHiddenState) {
            return Err(Error::Unsupported("this model's graph gives no token vectors".into()));
        }
        if call.pooling == Pooling::Pooler && !has(OutputRole::PoolerOutput) {
            return Err(Error::Unsupported("this model has no pooler".into()));
        }
        Ok(())
    }
}

fn part(row: &TextOutputs<'_>, call: &Call, keeps_tokens: bool) -> Result<Part> {
    let tokens = row.token_rows(OutputRole::LastHiddenState)?;
    let pooler = match (call.pooling, row.vector(OutputRole::Embedding)?) {
        (Pooling::Default, Some(embedding)) => Some(embedding),
        _ => row.vector(OutputRole::PoolerOutput)?,
    };
    let (kept, width) = tokens.filter(|_| keeps_tokens || call.with_token_vectors).unwrap_or((&[], 0));
    Ok(Part { vector: pool(call.pooling, tokens, pooler)?, tokens: kept.to_vec(), width })
}

/// What the windows of one text give together.
fn joined(windows: &[Encoding], parts: &mut [Part], call: &Call) -> Result<(Vec<f32>, Matrix)> {
    if let [part] = parts {
        let (vector, data) = (std::mem::take(&mut part.vector), std::mem::take(&mut part.tokens));
        let n_rows = data.len() / part.width.max(1);
        return Ok((normalized(vector, call.normalize), Matrix { n_rows, n_columns: part.width, data }));
    }
    let mut tokens = Matrix { n_columns: parts.first().map_or(0, |part| part.width), ..Matrix::default() };
    if tokens.n_columns > 0 {
        for (window, token) in windows::all_places(windows) {
            let begin = token * tokens.n_columns;
            tokens.data.extend(parts[window].tokens.get(begin..begin + tokens.n_columns).unwrap_or_default());
            tokens.n_rows += 1;
        }
    }
    let vector = match call.pooling {
        Pooling::Mean | Pooling::Max => pool(call.pooling, Some((&tokens.data, tokens.n_columns)), None)?,
        _ => average(parts.iter().map(|part| part.vector.as_slice())),
    };
    Ok((normalized(vector, call.normalize), tokens))
}
