//! Encodings through the graph, a run at a time, and what each text got.
//!
//! Foreign graphs run padded (`padded`), graphs of this library run packed (`packed`); both hand out [`TextOutputs`].

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::engines::Engine;
use super::{Call, Layout, Model};
use crate::error::{Error, Result};
use crate::graph::binding::OutputRole;
use crate::scheduler::Caller;
use crate::tensor::{Tensor, TensorView};
use crate::tokenize::Encoding;

/// What a call needs of each text; the rest need not be computed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    /// All tokens, not only the first.
    pub(super) tokens: bool,
    /// Of which tokens the words are predicted.
    pub(super) words: Predicted<'a>,
}

/// Tokens whose words are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Predicted<'a> {
    /// None.
    #[default]
    Nothing,
    /// Those behind `[MASK]`.
    Masks,
    /// Those that the reference predicts: behind `[MASK]` by the code of 2021, all by the libraries after it.
    Reference,
    /// Of each encoding these.
    Places(&'a [Range<usize>]),
    /// All.
    All,
}

/// An output of the graph, and where one text's part of it lies.
pub(super) struct Piece<'a> {
    pub(super) role: Option<OutputRole>,
    /// The reference's name.
    pub(super) name: &'a str,
    pub(super) tensor: &'a Tensor,
    /// The elements as `f32`, where they are of a floating-point type.
    pub(super) floats: Option<&'a [f32]>,
    /// The first element of the text.
    pub(super) begin: usize,
    /// The shape of the text's part, with a leading dimension of 1.
    pub(super) shape: Vec<usize>,
}

/// What the graph gave for one text.
pub(super) struct TextOutputs<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
}

impl Model {
    /// Runs all encodings and hands each text's outputs to `each`, run by run; raw outputs are collected where the
    /// call wants them.
    pub(super) fn forward(
        &self,
        encodings: &[Encoding],
        call: &Call,
        wanted: Wanted<'_>,
        raw_outputs: &mut Vec<Vec<Tensor>>,
        mut each: impl FnMut(usize, &TextOutputs<'_>) -> Result<()>,
    ) -> Result<()> {
        if call.with_raw_outputs {
            raw_outputs.resize_with(encodings.len(), Vec::new);
        }
        call.check_cancelled()?;
        let mut collect = |index: usize, outputs: &TextOutputs<'_>| {
            call.check_cancelled()?;
            if call.with_raw_outputs {
                raw_outputs[index] = outputs.tensors()?;
            }
            each(index, outputs)
        };
        match &self.layout {
            Layout::Padded(policy) => self.forward_padded(encodings, call, policy, &mut collect),
            Layout::Packed(network) => {
                let wanted = match call.with_raw_outputs {
                    true => Wanted { tokens: true, words: Predicted::Reference },
                    false => wanted,
                };
                self.forward_packed(encodings, call, network, wanted, &mut collect)
            }
        }
    }

    pub(super) fn count(&self, n_texts: usize, n_tokens: usize, n_padding_tokens: usize) {
        let add = |counter: &AtomicU64, n: usize| counter.fetch_add(n as u64, Ordering::Relaxed);
        add(&self.counters.n_texts, n_texts);
        add(&self.counters.n_tokens, n_tokens);
        add(&self.counters.n_padding_tokens, n_padding_tokens);
    }

    /// Counts a run, and the time that it takes.
    pub(super) fn timed<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let outcome = run()?;
        let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counters.run_time_ns.fetch_add(elapsed, Ordering::Relaxed);
        self.counters.n_runs.fetch_add(1, Ordering::Relaxed);
        Ok(outcome)
    }

    /// A run that nobody shares.
    pub(super) fn run_alone(&self, caller: Caller<'_>, views: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        let run = |engine: &Engine| engine.queue.scheduler.alone(caller, || self.timed(|| engine.session.run(views)));
        self.engines.with_least(run)
    }
}

/// All outputs as `f32`, where they are of a floating-point type.
pub(super) fn as_floats(tensors: &[Tensor]) -> Vec<Option<Cow<'_, [f32]>>> {
    tensors.iter().map(Tensor::to_f32).collect()
}

impl Piece<'_> {
    fn values(&self) -> Result<Option<&[f32]>> {
        let floats = self.floats.ok_or_else(|| {
            let held = self.tensor.data.element_type().name();
            Error::Unsupported(format!("output {} holds {held}, not floating-point numbers", self.tensor.name))
        })?;
        Ok(floats.get(self.begin..self.begin + self.shape.iter().product::<usize>()))
    }

    fn copy(&self) -> Result<Tensor> {
        let end = self.begin + self.shape.iter().product::<usize>();
        let data = self.tensor.data.copy_range(self.begin..end);
        let data = data
            .ok_or_else(|| Error::Runtime { context: format!("output {} is short", self.tensor.name), source: None })?;
        Ok(Tensor { name: self.name.to_owned(), shape: self.shape.clone(), data })
    }
}

impl TextOutputs<'_> {
    fn piece(&self, role: OutputRole) -> Option<&Piece<'_>> {
        self.pieces.iter().find(|piece| piece.role == Some(role))
    }

    /// The text's vector of an output with one for each text; `None` where the graph has no such output.
    pub(super) fn vector(&self, role: OutputRole) -> Result<Option<&[f32]>> {
        self.piece(role).map_or(Ok(None), Piece::values)
    }

    /// The text's tokens of an output with one vector for each, without padding, and the width.
    pub(super) fn token_rows(&self, role: OutputRole) -> Result<Option<(&[f32], usize)>> {
        let Some(piece) = self.piece(role) else { return Ok(None) };
        let width = piece.shape.get(2..).map_or(1, |rest| rest.iter().product());
        Ok(piece.values()?.map(|values| (values, width)))
    }

    /// The numbers that an output has for tokens, by their places in the text: of all tokens, or of those that were predicted.
    pub(super) fn rows_of(&self, role: OutputRole, n_tokens: usize, tokens: &[usize]) -> Result<Option<Vec<&[f32]>>> {
        let Some((data, width)) = self.token_rows(role)? else { return Ok(None) };
        let rows: Vec<&[f32]> = data.chunks_exact(width.max(1)).collect();
        let is_of_all = rows.len() == n_tokens;
        let row = |(number, token): (usize, &usize)| rows.get(if is_of_all { *token } else { number }).copied();
        let found: Option<Vec<&[f32]>> = tokens.iter().enumerate().map(row).collect();
        let short = || Error::Runtime { context: format!("output {} has too few rows", role.name()), source: None };
        found.map(Some).ok_or_else(short)
    }

    /// All outputs of this text alone, under the references' names.
    fn tensors(&self) -> Result<Vec<Tensor>> {
        self.pieces.iter().map(Piece::copy).collect()
    }
}
