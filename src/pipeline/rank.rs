//! A query and candidates -> the candidates in order.

use super::encodings::{of_input, told};
use super::tolerant::each;
use super::{Call, Input, Model, Output, windows};
use crate::error::{Error, Result};
use crate::heads::classify::pair_score;
use crate::heads::similarity::{Similarity, ranking};
use crate::heads::softmax;
use crate::options::Task;
use crate::tensor::Matrix;
use crate::tokenize::{EncodeOptions, Encoding, Truncation};

impl Model {
    /// How well each of `candidates` fits `query`: [`Output::items`] has one entry, the candidates best first (`id` is a
    /// candidate's index), and [`Output::matrix`] `[candidates, 1]` their scores in the caller's order.
    ///
    /// - Cross-encoder, classifier of pairs with two labels: the probability of label 1; with one label its value.
    /// - Multiple choice: the choices' probabilities.
    /// - Dual encoder, encoder: the dot product of the vectors of query and candidate (with [`super::Normalize::L2`] their
    ///   cosine). Queries and candidates with encoders of their own: [`rank_vectors`].
    ///
    /// With [`Truncation::Windows`] a candidate counts by its best window, or by the vector that [`Self::encode`] gives it.
    ///
    /// # Errors
    /// - Those of [`Self::infer`]; a message names the candidate's index, or the query.
    /// - [`Error::Unsupported`]: the task ranks nothing, or a classifier with three labels or more.
    pub fn rank(&self, query: &str, candidates: &[&str], call: &Call) -> Result<Output> {
        let inputs: Vec<Input<'_>> = candidates.iter().map(|text| Input { text, pair: None }).collect();
        let scored = self.scored(query, &inputs, call).map_err(of_candidate)?;
        Ok(self.ranked(scored, call.top_k))
    }

    /// The same with an entry of [`Output::errors`] for each candidate: one that cannot be scored has a score of NaN and is not
    /// ranked.
    ///
    /// # Errors
    /// - What no candidate could change, and [`Error::Runtime`].
    pub fn rank_each(&self, query: &str, candidates: Vec<Result<&str>>, call: &Call) -> Result<Output> {
        let input = |text: Result<_>| text.map(|text| Input { text, pair: None });
        let inputs = candidates.into_iter().map(input).collect();
        let mut scored = each(inputs, &|inputs| self.scored(query, inputs, call))?;
        scored.errors.iter_mut().for_each(|error| *error = error.take().map(of_candidate));
        Ok(self.ranked(scored, call.top_k))
    }

    /// Scores of candidates in [`Output::matrix`]; of choices their logits.
    fn scored(&self, query: &str, candidates: &[Input<'_>], call: &Call) -> Result<Output> {
        let call = Call { with_token_vectors: false, with_raw_outputs: false, ..call.clone() };
        let (scores, encodings) = match self.task {
            Task::DualEncoder | Task::Encoder => self.vector_scores(query, candidates, &call)?,
            _ if self.classifies() => self.pair_scores(query, candidates, &call)?,
            other => {
                return Err(Error::Unsupported(format!(
                    "task {} ranks nothing; cross_encoder, dual_encoder, sequence_classification, multiple_choice and encoder do",
                    other.name()
                )));
            }
        };
        let matrix = Matrix { n_rows: scores.len(), n_columns: 1, data: scores };
        Ok(Output { matrix: Some(matrix), encodings, ..Output::default() })
    }

    fn ranked(&self, mut scored: Output, top_k: Option<usize>) -> Output {
        let Some(matrix) = &mut scored.matrix else { return scored };
        let failed = |index: usize| scored.errors.get(index).is_some_and(Option::is_some);
        let good: Vec<usize> = (0..matrix.n_rows).filter(|index| !failed(*index)).collect();
        if self.task == Task::MultipleChoice {
            let logits: Vec<f32> = good.iter().map(|index| matrix.data[*index]).collect();
            for (index, probability) in good.iter().zip(softmax(&logits)) {
                matrix.data[*index] = probability;
            }
        }
        let mut items = ranking(&matrix.data, usize::MAX);
        items.retain(|item| !failed(item.id as usize));
        items.truncate(top_k.unwrap_or(usize::MAX));
        scored.items = vec![items];
        scored
    }

    fn vector_scores(&self, query: &str, candidates: &[Input<'_>], call: &Call) -> Result<(Vec<f32>, Vec<Encoding>)> {
        let of_query = self.encode(&[Input { text: query, pair: None }], call).map_err(|error| {
            told(error, |reason| {
                reason.strip_prefix("input 0").map_or(reason.to_owned(), |rest| format!("query{rest}"))
            })
        })?;
        let of_query = of_query.matrix.unwrap_or_default();
        let Output { matrix, encodings, .. } = self.encode(candidates, call)?;
        let vectors = matrix.unwrap_or_default();
        let scores = (0..vectors.n_rows).map(|row| Similarity::Dot.of(of_query.row(0), vectors.row(row)));
        Ok((scores.collect(), encodings))
    }

    fn pair_scores(&self, query: &str, candidates: &[Input<'_>], call: &Call) -> Result<(Vec<f32>, Vec<Encoding>)> {
        self.check_ranks(self.n_labels())?;
        let encodings = self.pairs(query, candidates, call)?;
        let logits = self.logits(&encodings, call, &mut Output::default())?;
        // A graph may say only now how many there are.
        self.check_ranks(logits.first().map_or(0, Vec::len))?;
        let mut scores = Vec::with_capacity(candidates.len());
        for range in windows::of_inputs(&encodings, candidates.len()) {
            let score = |row: &Vec<f32>| match self.task {
                Task::MultipleChoice => row.first().copied(),
                _ => pair_score(row, self.problem(row.len(), call)),
            };
            scores.push(logits[range].iter().filter_map(score).fold(f32::NEG_INFINITY, f32::max));
        }
        Ok((scores, encodings))
    }

    fn check_ranks(&self, n_labels: usize) -> Result<()> {
        match n_labels <= 2 || self.task == Task::MultipleChoice {
            true => Ok(()),
            false => Err(Error::Unsupported(format!("a classifier with {n_labels} labels ranks nothing, 1 or 2 do"))),
        }
    }

    /// The query with each candidate; the query is cut into tokens once.
    fn pairs(&self, query: &str, candidates: &[Input<'_>], call: &Call) -> Result<Vec<Encoding>> {
        let options: EncodeOptions = self.encode_options(call, Truncation::Truncate)?;
        let tokenizer = self.tokenizer()?;
        let cut_query = tokenizer.cut(query, options.special_tokens_in_text)?;
        let mut encodings = Vec::with_capacity(candidates.len());
        for (index, candidate) in candidates.iter().enumerate() {
            let before = encodings.len();
            let pair = tokenizer.cut_pair(candidate.text, options.special_tokens_in_text)?;
            let done = tokenizer.assemble(&cut_query, pair.as_ref(), &options, &mut encodings);
            done.map_err(|error| of_input(error, index))?;
            encodings[before..].iter_mut().for_each(|encoding| encoding.input = index);
        }
        Ok(encodings)
    }
}

/// Vectors in order of how alike they are to that of a query: [`Output`] as of [`Model::rank`]. For vectors that were made
/// before, such as those of a dual encoder's passages.
///
/// # Errors
/// - [`Error::InvalidArgument`]: the vectors are of another width than the query's.
pub fn rank_vectors(
    query: &[f32],
    candidates: &[f32],
    n_candidates: usize,
    similarity: Similarity,
    top_k: Option<usize>,
) -> Result<Output> {
    let width = query.len();
    if n_candidates.checked_mul(width) != Some(candidates.len()) {
        return Err(Error::argument(format!(
            "{} numbers are not {n_candidates} vectors of {width} numbers, as the query has",
            candidates.len()
        )));
    }
    if width == 0 {
        return Err(Error::argument("vectors of no numbers cannot be compared"));
    }
    let scores: Vec<f32> = candidates.chunks_exact(width).map(|vector| similarity.of(query, vector)).collect();
    let items = vec![ranking(&scores, top_k.unwrap_or(usize::MAX))];
    Ok(Output { items, matrix: Some(Matrix { n_rows: n_candidates, n_columns: 1, data: scores }), ..Output::default() })
}

/// What is wrong with an input, said of a candidate.
fn of_candidate(error: Error) -> Error {
    told(error, |reason| reason.strip_prefix("input ").map_or(reason.to_owned(), |rest| format!("candidate {rest}")))
}
