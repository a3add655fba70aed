//! A query and candidates -> the candidates in order.

use super::encodings::told;
use super::{Call, Input, Item, Model, Output, windows};
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
    /// With [`Truncation::Windows`] a candidate counts by its best window.
    ///
    /// # Errors
    /// - Those of [`Self::infer`]; a message names the candidate's index, or the query.
    /// - [`Error::Unsupported`]: the task ranks nothing, or a classifier with three labels or more.
    pub fn rank(&self, query: &str, candidates: &[&str], call: &Call) -> Result<Output> {
        let scores = match self.task {
            Task::DualEncoder | Task::Encoder => self.vector_scores(query, candidates, call)?,
            _ if self.classifies() => self.pair_scores(query, candidates, call)?,
            other => {
                return Err(Error::Unsupported(format!(
                    "task {} ranks nothing; cross_encoder, dual_encoder, sequence_classification, multiple_choice and encoder do",
                    other.name()
                )));
            }
        };
        Ok(ranked(scores, call.top_k))
    }

    fn vector_scores(&self, query: &str, candidates: &[&str], call: &Call) -> Result<Vec<f32>> {
        let call = Call { with_token_vectors: false, with_raw_outputs: false, ..call.clone() };
        let of_query = self.encode(&[Input { text: query, pair: None }], &call).map_err(|error| {
            told(error, |reason| {
                reason.strip_prefix("input 0").map_or(reason.to_owned(), |rest| format!("query{rest}"))
            })
        })?;
        let of_query = of_query.matrix.unwrap_or_default();
        let texts: Vec<Input<'_>> = candidates.iter().map(|text| Input { text, pair: None }).collect();
        let vectors = self.encode(&texts, &call).map_err(|error| {
            told(error, |reason| {
                reason.strip_prefix("input ").map_or(reason.to_owned(), |rest| format!("candidate {rest}"))
            })
        })?;
        let vectors = vectors.matrix.unwrap_or_default();
        Ok((0..vectors.n_rows).map(|row| Similarity::Dot.of(of_query.row(0), vectors.row(row))).collect())
    }

    fn pair_scores(&self, query: &str, candidates: &[&str], call: &Call) -> Result<Vec<f32>> {
        self.check_ranks(self.n_labels())?;
        let call = Call { with_raw_outputs: false, ..call.clone() };
        let encodings = self.pairs(query, candidates, &call)?;
        let logits = self.logits(&encodings, &call, &mut Output::default())?;
        // A graph may say only now how many there are.
        self.check_ranks(logits.first().map_or(0, Vec::len))?;
        let mut scores = Vec::with_capacity(candidates.len());
        for range in windows::of_inputs(&encodings, candidates.len()) {
            let score = |row: &Vec<f32>| match self.task {
                Task::MultipleChoice => row.first().copied(),
                _ => pair_score(row, self.problem(row.len(), &call)),
            };
            scores.push(logits[range].iter().filter_map(score).fold(f32::NEG_INFINITY, f32::max));
        }
        Ok(if self.task == Task::MultipleChoice { softmax(&scores) } else { scores })
    }

    fn check_ranks(&self, n_labels: usize) -> Result<()> {
        match n_labels <= 2 || self.task == Task::MultipleChoice {
            true => Ok(()),
            false => Err(Error::Unsupported(format!("a classifier with {n_labels} labels ranks nothing, 1 or 2 do"))),
        }
    }

    /// The query with each candidate; the query is cut into tokens once.
    fn pairs(&self, query: &str, candidates: &[&str], call: &Call) -> Result<Vec<Encoding>> {
        let options: EncodeOptions = self.encode_options(call, Truncation::Truncate)?;
        let tokenizer = self.tokenizer()?;
        let cut_query = tokenizer.cut(query, options.special_tokens_in_text)?;
        let mut encodings = Vec::with_capacity(candidates.len());
        for (index, candidate) in candidates.iter().enumerate() {
            let before = encodings.len();
            let pair = tokenizer.cut_pair(candidate, options.special_tokens_in_text)?;
            let done = tokenizer.assemble(&cut_query, pair.as_ref(), &options, &mut encodings);
            done.map_err(|error| told(error, |reason| format!("candidate {index}: {reason}")))?;
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
        return Ok(ranked(vec![0.0; n_candidates], top_k));
    }
    Ok(ranked(candidates.chunks_exact(width).map(|vector| similarity.of(query, vector)).collect(), top_k))
}

fn ranked(scores: Vec<f32>, top_k: Option<usize>) -> Output {
    let items: Vec<Item> = ranking(&scores, top_k.unwrap_or(usize::MAX));
    let matrix = Matrix { n_rows: scores.len(), n_columns: 1, data: scores };
    Output { items: vec![items], matrix: Some(matrix), ..Output::default() }
}
