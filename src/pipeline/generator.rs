//! A generator's graphs: sources and steps, over keys and values that stay where they are.

use std::path::Path;
use std::sync::Arc;

use super::guess::Draft;
use super::network::Loaded;
use super::packed::{RowShapes, row_inputs, taken};
use super::queue::Queue;
use super::{Model, NetworkLayout};
use crate::architecture::Head;
use crate::batch::rows::{PackedRows, pack};
use crate::error::{Error, Result};
use crate::generate::cache::Cache;
use crate::graph::generator::layer_size;
use crate::graph::network::BuiltGraph;
use crate::kernels::matrix::Format;
use crate::model_dir::ModelSpec;
use crate::options::Options;
use crate::scheduler::Caller;
use crate::session::Session;
use crate::tensor::{TensorDataRef, TensorView};
use crate::tokenize::{Encoding, Tokenizer};

/// Tokens that a step feeds for each row.
const TOKENS_OF_A_ROW: usize = 2;

/// The sessions of a generator, and the tokens that its steps are made of.
#[derive(Debug)]
pub(super) struct Generator {
    source: Session,
    source_queue: Queue,
    pub(super) step: Session,
    step_queue: Queue,
    /// None where no words are guessed.
    pub(super) draft: Option<Draft>,
    /// What is fed before the first word.
    pub(super) start: i64,
    /// What ends a text.
    pub(super) end: i64,
    /// What asks for the next word.
    pub(super) attention_token: i64,
    /// The type of tokens that are written.
    pub(super) target_type_id: i64,
    /// Words that the tokenizer knows.
    pub(super) n_words: usize,
    /// Numbers of an entry of the cache.
    pub(super) entry_size: usize,
    layer_size: usize,
    /// Numbers of a layer's key.
    key_size: usize,
}

/// A row of a step.
pub(super) struct StepRow<'a> {
    /// The token that was written last.
    pub(super) previous: i64,
    /// Its position.
    pub(super) position: usize,
    /// The entries it sees: those of the source, and of the tokens before it.
    pub(super) entries: [&'a [usize]; 2],
    /// How many of the rows right before this one it follows: it sees what they are fed too.
    pub(super) n_followed: usize,
}

/// What a step gives: for each row logits, and the entry of the token that was fed.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) logits: Vec<f32>,
    pub(super) entries: Vec<f32>,
}

impl Step {
    /// The logits of each of so many rows.
    pub(super) fn rows(&self, n_rows: usize) -> impl Iterator<Item = &[f32]> {
        self.logits.chunks_exact((self.logits.len() / n_rows.max(1)).max(1))
    }
}

impl Generator {
    /// Opens the graphs, where the network has the head and there is a tokenizer.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`]: an option names a token or type that the model lacks.
    /// - [`Error::Unsupported`]: the vocabulary has no token that asks for the next word, or none that ends a text.
    /// - Those of [`Session::open_built`].
    pub(super) fn open(
        loaded: &Arc<Loaded>,
        spec: &ModelSpec,
        tokenizer: &std::result::Result<Arc<Tokenizer>, String>,
        path: &Path,
        options: &Options,
        queue: &Queue,
    ) -> Result<Option<Self>> {
        let architecture = &loaded.architecture;
        let (Head::Generator, Ok(tokenizer)) = (architecture.head, tokenizer) else { return Ok(None) };
        let said = spec.manifest.as_ref().and_then(|manifest| manifest.generator.clone()).unwrap_or_default();
        let attention_token =
            attention_token(tokenizer, options.attention_token.as_ref().or(said.attention_token.as_ref()))?;
        let target_type_id = options.target_type_id.or(said.target_type_id);
        let special = tokenizer.special_ids();
        let (Some(start), Some(end)) = (special.cls, special.sep) else {
            let reason = format!("{}: the vocabulary lacks [CLS] or [SEP], which begin and end a text", path.display());
            return Err(Error::Unsupported(reason));
        };
        let n_types = architecture.n_token_types;
        if let Some(id) = target_type_id.filter(|id| *id >= n_types) {
            return Err(Error::argument(format!("option target_type_id is {id}, the model has {n_types} token types")));
        }
        // Each graph has a profile of its own.
        let options_of = |name: &str| {
            let profile = options.profile.as_ref().map(|prefix| format!("{prefix}.{name}"));
            Options { profile, ..options.clone() }
        };
        let open = |graph: BuiltGraph, name: &str| {
            Session::open_built(&graph.model, &graph.weights, loaded.shared.clone(), path, &options_of(name))
        };
        let guesses = options.draft_tokens > 0 && loaded.is_multiplied_as(Format::F32);
        let draft = guesses.then(|| Draft::new(Arc::clone(loaded), path.to_owned(), options_of("draft")));
        let layer_size = layer_size(architecture);
        Ok(Some(Self {
            source: open(loaded.build_source(), "source")?,
            source_queue: queue.beside(options),
            step: open(loaded.build_step(), "step")?,
            step_queue: queue.beside(options),
            draft,
            start,
            end,
            attention_token,
            target_type_id: target_type_id.unwrap_or(n_types.saturating_sub(1).min(3)) as i64,
            n_words: tokenizer.vocab_size().min(architecture.vocab_size),
            entry_size: architecture.n_layers * layer_size,
            layer_size,
            key_size: architecture.n_heads * architecture.query_head_size,
        }))
    }

    /// Makes entries of the cache for all tokens of `sources`; for each source its entries in order.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`], [`Error::Runtime`].
    pub(super) fn read_sources(
        &self,
        model: &Model,
        network: &NetworkLayout,
        sources: &[Encoding],
        cache: &mut Cache,
        caller: Caller<'_>,
    ) -> Result<Vec<Vec<usize>>> {
        let lengths: Vec<usize> = sources.iter().map(Encoding::len).collect();
        let mut entries = vec![Vec::new(); sources.len()];
        for (number, run) in pack(&lengths, &network.budget).into_iter().enumerate() {
            let architecture = network.architecture();
            let rows = PackedRows::of_encodings(&run, sources, architecture, model.options().attention_mask);
            let shapes = RowShapes::of(&run);
            let views = taken(&self.source, &row_inputs(&rows, &shapes));
            for text in &run.texts {
                entries[text.index] = cache.take(text.n_tokens)?;
                cache.hold(text.n_tokens);
            }
            let mut keep = |outputs: &[&[f32]]| {
                for text in &run.texts {
                    for (number, entry) in entries[text.index].iter().enumerate() {
                        self.parts_of(outputs, text.first_token + number, |begin, part| {
                            cache.write(*entry, begin, part);
                        })?;
                    }
                }
                Ok(())
            };
            let caller = caller.after(number);
            self.source_queue.scheduler.alone(caller, || model.timed(|| self.source.run_reading(&views, &mut keep)))?;
            model.count(run.texts.len(), run.n_tokens, 0);
        }
        Ok(entries)
    }

    /// Hands out the parts of a token's entry: keys and values of all layers, with their places.
    fn parts_of(&self, outputs: &[&[f32]], token: usize, mut put: impl FnMut(usize, &[f32])) -> Result<()> {
        let value_size = self.layer_size - self.key_size;
        for (layer, pair) in outputs.chunks_exact(2).enumerate() {
            let begin = layer * self.layer_size;
            for (output, begin, size) in [(pair[0], begin, self.key_size), (pair[1], begin + self.key_size, value_size)]
            {
                put(begin, output.get(token * size..(token + 1) * size).ok_or_else(|| short("a key or value"))?);
            }
        }
        Ok(())
    }
}

/// Steps of a call.
#[derive(Clone, Copy)]
pub(super) struct Steps<'a> {
    pub(super) generator: &'a Generator,
    pub(super) model: &'a Model,
    pub(super) network: &'a NetworkLayout,
    pub(super) caller: Caller<'a>,
}

impl Steps<'_> {
    /// Feeds a token to each row and asks for the next word, by the session of the network or of its draft.
    ///
    /// # Errors
    /// - [`Error::Runtime`].
    pub(super) fn step(&self, session: &Session, rows: &[StepRow<'_>], cache: &Cache, step: &mut Step) -> Result<()> {
        let Self { generator, model, network, caller } = *self;
        let n_tokens = [rows.len() * TOKENS_OF_A_ROW];
        let offset = network.architecture().position_offset;
        let input_ids: Vec<i64> = rows.iter().flat_map(|row| [row.previous, generator.attention_token]).collect();
        let positions = rows.iter().flat_map(|row| [row.position, row.position + 1]);
        let position_ids: Vec<i64> = positions.map(|position| (position + offset) as i64).collect();
        let token_type_ids = vec![generator.target_type_id; n_tokens[0]];
        let task_type_ids = vec![network.architecture().task_id as i64; n_tokens[0]];
        let predicting: Vec<i64> = (0..rows.len()).map(|row| (row * TOKENS_OF_A_ROW + 1) as i64).collect();
        let (mut seen, mut row_ends) = (Vec::new(), Vec::with_capacity(rows.len()));
        let cache_shape = cache.shape();
        for (number, row) in rows.iter().enumerate() {
            seen.extend(row.entries.iter().flat_map(|part| part.iter()).map(|entry| *entry as i64));
            // What is fed in this run lies behind the cache.
            let followed = number.saturating_sub(row.n_followed)..number;
            seen.extend(followed.map(|other| (cache_shape[0] + other * TOKENS_OF_A_ROW) as i64));
            row_ends.push(seen.len() as i64);
        }
        let (n_rows, n_seen) = ([rows.len()], [seen.len()]);
        let mut views = taken(
            session,
            &[
                ("input_ids", &n_tokens, &input_ids),
                ("token_type_ids", &n_tokens, &token_type_ids),
                ("position_ids", &n_tokens, &position_ids),
                ("task_type_ids", &n_tokens, &task_type_ids),
                ("seen_entries", &n_seen, &seen),
                ("row_ends", &n_rows, &row_ends),
                ("predicting_tokens", &n_rows, &predicting),
            ],
        );
        views.push(TensorView { name: "cache", shape: &cache_shape, data: TensorDataRef::F32(cache.numbers()) });
        let mut keep = |outputs: &[&[f32]]| {
            let (logits, written) = outputs.split_first().ok_or_else(|| short("logits"))?;
            step.logits.clear();
            step.logits.extend_from_slice(logits);
            step.entries.clear();
            step.entries.resize(rows.len() * generator.entry_size, 0.0);
            for (row, entry) in step.entries.chunks_exact_mut(generator.entry_size).enumerate() {
                generator.parts_of(written, row * TOKENS_OF_A_ROW, |begin, part| {
                    entry[begin..begin + part.len()].copy_from_slice(part);
                })?;
            }
            Ok(())
        };
        generator.step_queue.scheduler.alone(caller, || model.timed(|| session.run_reading(&views, &mut keep)))
    }

    /// Keeps what the rows of a step were fed; the entry of each, which no text holds yet.
    ///
    /// # Errors
    /// - [`Error::OutOfMemory`].
    pub(super) fn keep(&self, step: &Step, n_rows: usize, cache: &mut Cache) -> Result<Vec<usize>> {
        let entries = cache.take(n_rows)?;
        for (entry, numbers) in entries.iter().zip(step.entries.chunks_exact(self.generator.entry_size)) {
            cache.write(*entry, 0, numbers);
        }
        Ok(entries)
    }
}

fn short(what: &str) -> Error {
    Error::Runtime { context: format!("the graph gives too little of {what}"), source: None }
}

fn attention_token(tokenizer: &Tokenizer, wanted: Option<&String>) -> Result<i64> {
    const TOKENS: [&str; 2] = ["[ATTN]", "[MASK]"];
    match wanted {
        Some(token) => tokenizer.id(token).ok_or_else(|| {
            Error::argument(format!("option attention_token is \"{}\", which is no token", token.escape_debug()))
        }),
        None => TOKENS.into_iter().find_map(|token| tokenizer.id(token)).ok_or_else(|| {
            Error::Unsupported("the vocabulary has neither [ATTN] nor [MASK] to ask for the next word by".into())
        }),
    }
}
