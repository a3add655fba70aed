//! Graphs of this library: texts without padding, those of several callers in one run.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::engines::Engine;
use super::forward::{Piece, Predicted, TextOutputs, Wanted, as_floats};
use super::{Call, Model, NetworkLayout};
use crate::architecture::OutputNames;
use crate::batch::rows::{Budget, PackedRows, PackedRun, Placed, RowPlaces, join, pack};
use crate::error::{Error, Result};
use crate::graph::outputs::{Axis, OutputSpec};
use crate::scheduler::{Joins, Load, Share};
use crate::session::Session;
use crate::tensor::{Tensor, TensorDataRef, TensorView};
use crate::tokenize::Encoding;

/// Which tokens of a run go through the last layer's products, and whose words are predicted.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// Tokens of the run's flat list.
    kept: Vec<i64>,
    /// Positions in `kept` of each text's first token.
    first: Vec<i64>,
    /// Positions in `kept`.
    predicted: Vec<i64>,
    /// Where each text's part begins in `kept` and `predicted`, and one past the last.
    kept_ends: Vec<usize>,
    predicted_ends: Vec<usize>,
}

impl Chosen {
    /// Takes a text's tokens: all of them or the first, and of those the words that `predicts` says.
    pub(super) fn push(&mut self, text: &Placed, wanted: Wanted<'_>, predicts: impl Fn(usize) -> bool) {
        let start = self.kept.len();
        self.first.push(start as i64);
        let n_kept = if wanted.tokens { text.n_tokens } else { 1 };
        self.kept.extend((text.first_token..text.first_token + n_kept).map(|token| token as i64));
        if wanted.words != Predicted::Nothing {
            self.predicted.extend((0..n_kept).filter(|token| predicts(*token)).map(|token| (start + token) as i64));
        }
        self.kept_ends.push(self.kept.len());
        self.predicted_ends.push(self.predicted.len());
    }

    /// Takes all of another run's, whose tokens begin at `first_token` of this one.
    fn append(&mut self, other: &Self, first_token: usize) {
        let (n_kept, n_predicted) = (self.kept.len(), self.predicted.len());
        self.kept.extend(other.kept.iter().map(|token| token + first_token as i64));
        self.first.extend(other.first.iter().map(|place| place + n_kept as i64));
        self.predicted.extend(other.predicted.iter().map(|place| place + n_kept as i64));
        self.kept_ends.extend(other.kept_ends.iter().map(|end| end + n_kept));
        self.predicted_ends.extend(other.predicted_ends.iter().map(|end| end + n_predicted));
    }

    /// Where text number `text` of the run begins and ends on an axis.
    fn range(&self, axis: Axis, text: usize) -> (usize, usize) {
        let of = |ends: &[usize]| {
            let begin = text.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
            (begin, ends.get(text).copied().unwrap_or(begin))
        };
        match axis {
            Axis::Text => (text, text + 1),
            Axis::Token => of(&self.kept_ends),
            Axis::Prediction => of(&self.predicted_ends),
        }
    }
}

/// A run of one caller, ready to go, alone or with those of others.
#[derive(Debug)]
pub(super) struct PackedWork {
    run: PackedRun,
    rows: PackedRows,
    chosen: Chosen,
    budget: Budget,
    /// Whether a text gives the same alone and with others.
    joins: bool,
}

/// What a run gave, and which of its texts is the first of each caller.
#[derive(Debug)]
pub(super) struct PackedOutputs {
    tensors: Vec<Tensor>,
    chosen: Option<Chosen>,
    first_texts: Vec<usize>,
}

/// How much is in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedLoad {
    n_texts: usize,
    n_tokens: usize,
    longest: usize,
    budget: Budget,
    joins: bool,
}

impl Load for PackedLoad {
    fn with(self, more: Self) -> Option<Self> {
        let both = Self {
            n_texts: self.n_texts + more.n_texts,
            n_tokens: self.n_tokens + more.n_tokens,
            longest: self.longest.max(more.longest),
            ..self
        };
        let fits = self.joins && more.joins && self.budget.holds(both.n_texts, both.n_tokens, both.longest);
        fits.then_some(both)
    }

    fn is_full(self) -> bool {
        !self.joins || self.n_texts >= self.budget.max_texts || self.n_tokens >= self.budget.max_tokens
    }
}

impl Joins for Arc<PackedWork> {
    type Load = PackedLoad;

    fn load(&self) -> PackedLoad {
        let PackedRun { texts, n_tokens, n_row_tokens } = &self.run;
        let (budget, joins) = (self.budget, self.joins);
        PackedLoad { n_texts: texts.len(), n_tokens: *n_tokens, longest: *n_row_tokens, budget, joins }
    }
}

/// An input of integers: name, shape, elements.
pub(super) type RowInput<'a> = (&'static str, &'a [usize], &'a [i64]);

/// The shapes of a run's inputs.
pub(super) struct RowShapes {
    tokens: [usize; 1],
    texts: [usize; 1],
}

impl RowShapes {
    pub(super) fn of(run: &PackedRun) -> Self {
        Self { tokens: [run.n_tokens], texts: [run.texts.len()] }
    }
}

/// What all graphs of this library take of a run.
pub(super) fn row_inputs<'a>(rows: &'a PackedRows, shapes: &'a RowShapes) -> [RowInput<'a>; 6] {
    [
        ("input_ids", &shapes.tokens, &rows.input_ids),
        ("token_type_ids", &shapes.tokens, &rows.token_type_ids),
        ("position_ids", &shapes.tokens, &rows.position_ids),
        ("task_type_ids", &shapes.tokens, &rows.task_type_ids),
        ("token_mask", &shapes.tokens, &rows.token_mask),
        ("text_ends", &shapes.texts, &rows.text_ends),
    ]
}

/// Those inputs that a graph takes.
pub(super) fn taken<'a>(session: &Session, inputs: &[RowInput<'a>]) -> Vec<TensorView<'a>> {
    let is_taken = |(name, ..): &&RowInput<'_>| session.inputs().iter().any(|info| info.name == *name);
    let view = |(name, shape, data): &RowInput<'a>| TensorView { name, shape, data: TensorDataRef::I64(data) };
    inputs.iter().filter(is_taken).map(view).collect()
}

impl Model {
    pub(super) fn forward_packed(
        &self,
        encodings: &[Encoding],
        call: &Call,
        network: &NetworkLayout,
        wanted: Wanted<'_>,
        each: &mut dyn FnMut(usize, &TextOutputs<'_>) -> Result<()>,
    ) -> Result<()> {
        let lengths: Vec<usize> = encodings.iter().map(Encoding::len).collect();
        let runs = pack(&lengths, &network.budget);
        let make = |number: usize, run: &PackedRun| {
            let chosen = self.chosen(run, encodings, network, wanted);
            let rows = PackedRows::of_encodings(run, encodings, network.architecture(), self.options.attention_mask);
            let work = Arc::new(self.work(network, run.clone(), rows, chosen));
            let share = self.engines.with_least(|engine| {
                let mut run_packed = |works: &[&Arc<PackedWork>]| self.run_packed(engine, network, works);
                engine.queue.scheduler.run(Arc::clone(&work), call.caller(number), &mut run_packed)
            })?;
            Ok((work, share))
        };
        self.engines.run_all(&runs, make, |(work, Share { outputs, place })| {
            self.count(work.run.texts.len(), work.run.n_tokens, 0);
            let floats = as_floats(&outputs.tensors);
            let chosen = outputs.chosen.as_ref().unwrap_or(&work.chosen);
            let first = outputs.first_texts.get(place).copied().unwrap_or(0);
            for (number, text) in work.run.texts.iter().enumerate() {
                let all = network.outputs.iter().zip(outputs.tensors.iter().zip(&floats));
                let pieces = all.map(|(spec, (tensor, floats))| {
                    let (begin, end) = chosen.range(spec.axis, first + number);
                    piece(spec, tensor, floats.as_deref(), begin, end)
                });
                each(text.index, &TextOutputs { pieces: pieces.collect() })?;
            }
            Ok(())
        })
    }

    /// What of each text of a run goes through the last layer, and which words are predicted.
    fn chosen(&self, run: &PackedRun, encodings: &[Encoding], network: &NetworkLayout, wanted: Wanted<'_>) -> Chosen {
        let is_seed = network.architecture().output_names == OutputNames::PaddleErnie && !network.is_generator();
        let only_masks = wanted.words == Predicted::Masks || wanted.words == Predicted::Reference && is_seed;
        let mask_id = self.tokenizer().ok().and_then(|tokenizer| tokenizer.special_ids().mask);
        let mut chosen = Chosen::default();
        for text in &run.texts {
            let ids = &encodings[text.index].input_ids;
            chosen.push(text, wanted, |token| match wanted.words {
                Predicted::Places(places) => places[text.index].contains(&token),
                _ => !only_masks || ids.get(token).copied() == mask_id,
            });
        }
        chosen
    }

    fn work(&self, network: &NetworkLayout, run: PackedRun, rows: PackedRows, chosen: Chosen) -> PackedWork {
        // Without it texts agree to rounding, and what a caller gets must not depend on who else is there.
        let joins = self.options.prepacking;
        PackedWork { run, rows, chosen, budget: network.budget, joins }
    }

    /// Runs what one caller or several want.
    fn run_packed(
        &self,
        engine: &Engine,
        network: &NetworkLayout,
        works: &[&Arc<PackedWork>],
    ) -> Result<PackedOutputs> {
        if let [work] = works {
            let tensors = self.run_rows(engine, network, &work.run, &work.rows, &work.chosen)?;
            return Ok(PackedOutputs { tensors, chosen: None, first_texts: Vec::new() });
        }
        let parts: Vec<(&PackedRun, &PackedRows)> = works.iter().map(|work| (&work.run, &work.rows)).collect();
        let (run, rows) = join(&parts);
        let (mut chosen, mut first_texts, mut first_token) = (Chosen::default(), Vec::with_capacity(works.len()), 0);
        for work in works {
            first_texts.push(chosen.first.len());
            chosen.append(&work.chosen, first_token);
            first_token += work.run.n_tokens;
        }
        let tensors = self.run_rows(engine, network, &run, &rows, &chosen)?;
        self.counters.n_joined_texts.fetch_add(run.texts.len() as u64, Ordering::Relaxed);
        Ok(PackedOutputs { tensors, chosen: Some(chosen), first_texts })
    }

    /// Runs texts; outputs in the order of the network's.
    pub(super) fn run_rows(
        &self,
        engine: &Engine,
        network: &NetworkLayout,
        run: &PackedRun,
        rows: &PackedRows,
        chosen: &Chosen,
    ) -> Result<Vec<Tensor>> {
        let shapes = RowShapes::of(run);
        let lengths = [[chosen.kept.len()], [chosen.first.len()], [chosen.predicted.len()]];
        let mut inputs = row_inputs(rows, &shapes).to_vec();
        inputs.extend([
            ("kept_tokens", &lengths[0][..], &chosen.kept[..]),
            ("first_tokens", &lengths[1], &chosen.first),
            ("predicted_tokens", &lengths[2], &chosen.predicted),
        ]);
        let in_rows = [run.texts.len(), run.n_row_tokens];
        let places = network.budget.has_rows.then(|| RowPlaces::new(run, rows));
        let slot = |places: &RowPlaces| chosen.kept.iter().map(|token| places.slots[*token as usize]).collect();
        let kept_slots: Vec<i64> = places.as_ref().map(slot).unwrap_or_default();
        if let Some(places) = &places {
            inputs.extend([
                ("slots", &shapes.tokens[..], &places.slots[..]),
                ("row_tokens", &in_rows, &places.row_tokens),
                ("attention_mask", &in_rows, &places.attention_mask),
                ("kept_slots", &lengths[0], &kept_slots),
            ]);
        }
        let views = taken(&engine.session, &inputs);
        let tensors = self.timed(|| engine.session.run(&views))?;
        for (spec, tensor) in network.outputs.iter().zip(&tensors) {
            let n_entries = match spec.axis {
                Axis::Text => chosen.first.len(),
                Axis::Token => chosen.kept.len(),
                Axis::Prediction => chosen.predicted.len(),
            };
            if tensor.shape.first() != Some(&n_entries) || tensor.shape.get(1).copied() != spec.width {
                let context = format!("output {} has shape {:?} for {n_entries} entries", tensor.name, tensor.shape);
                return Err(Error::Runtime { context, source: None });
            }
        }
        Ok(tensors)
    }
}

/// The entries `begin..end` of an output.
fn piece<'a>(
    spec: &'a OutputSpec,
    tensor: &'a Tensor,
    floats: Option<&'a [f32]>,
    begin: usize,
    end: usize,
) -> Piece<'a> {
    let mut shape = match spec.axis {
        Axis::Text => vec![1],
        Axis::Token | Axis::Prediction => vec![1, end - begin],
    };
    shape.extend(spec.width);
    let begin = begin * spec.width.unwrap_or(1);
    Piece { role: Some(spec.role), name: spec.name, tensor, floats, begin, shape }
}
