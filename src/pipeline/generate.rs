//! Sources -> texts that are written word by word.
//!
//! Texts are read in as long as there is room for their rows, written together a word at a time, and leave when they are done;
//! others take their place.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::encodings::{encode_all, of_input};
use super::generator::{Generator, Step, StepRow, Steps};
use super::guess::Guessing;
use super::room::Room;
use super::tolerant::{is_of_text, moved};
use super::writing::{Source, Writing};
use super::{Call, Generated, Generation, Input, Layout, Model, NetworkLayout, Output, SourcePadding, Task};
use crate::error::{Error, Result};
use crate::generate::cache::Cache;
use crate::generate::search::Search;
use crate::heads::Item;
use crate::tokenize::{Encoding, Tokenizer};

/// A piece of a text, which follows the pieces before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The index of the input in the call.
    pub input: usize,
    /// Which of the sequences of that input.
    pub sequence: usize,
    /// Whole characters.
    pub text: &'a str,
}

/// Takes pieces of texts as soon as they are certain; `false` ends that sequence, with beam search all of its input.
pub type OnText<'a> = dyn FnMut(Piece<'_>) -> bool + 'a;

/// The token of padding, whose number of the others is where the first word's position lies.
const PADDING: i64 = 0;

impl Model {
    /// Writes a text for each input (its source; a pair goes with it): [`Output::generated`], and the first of each as
    /// [`Output::items`]. A text is the same alone and in any batch, unless [`SourcePadding::Reference`] is asked for.
    ///
    /// Sources that leave no room for `max_new_tokens` among the model's positions are cut, but not below half of the
    /// positions.
    ///
    /// # Errors
    /// - [`Error::Unsupported`]: the model writes no texts.
    /// - [`Error::InvalidArgument`]: settings that contradict each other, or that leave no room among the model's positions; the
    ///   message names the limit, and the input where it is that one's.
    /// - [`Error::Cancelled`]: the call was cancelled; nothing of it is left.
    /// - Those of [`Self::tokenize`], [`Error::Runtime`], [`Error::OutOfMemory`].
    pub fn generate(
        &self,
        inputs: &[Input<'_>],
        call: &Call,
        settings: &Generation,
        on_text: Option<&mut OnText<'_>>,
    ) -> Result<Output> {
        call.check_cancelled()?;
        let room = self.room(call, settings)?;
        let sources = self.sources(inputs, call, settings, &room)?;
        self.write_all(sources, inputs.len(), call, settings, &room, on_text)
    }

    /// The same with an entry of [`Output::errors`] for each text; a text that cannot be a source is not written.
    ///
    /// # Errors
    /// - What no text could change, and [`Error::Runtime`].
    pub fn generate_each(
        &self,
        inputs: Vec<Result<Input<'_>>>,
        call: &Call,
        settings: &Generation,
        on_text: Option<&mut OnText<'_>>,
    ) -> Result<Output> {
        call.check_cancelled()?;
        let room = self.room(call, settings)?;
        let n_inputs = inputs.len();
        let (mut sources, mut errors) = (Vec::new(), Vec::with_capacity(n_inputs));
        for (index, input) in inputs.into_iter().enumerate() {
            let read = input.and_then(|input| {
                let made = self.sources(&[input], call, settings, &room);
                made.map_err(|error| moved(error, index))
            });
            match read {
                Ok(encodings) => {
                    sources.extend(encodings.into_iter().map(|encoding| Encoding { input: index, ..encoding }));
                    errors.push(None);
                }
                Err(error) if is_of_text(&error) => errors.push(Some(error)),
                Err(error) => return Err(error),
            }
        }
        let mut output = self.write_all(sources, n_inputs, call, settings, &room, on_text)?;
        let failed = errors.iter().enumerate().filter(|(_, error)| error.is_some());
        output.encodings.extend(failed.map(|(input, _)| Encoding { input, ..Encoding::default() }));
        output.encodings.sort_by_key(|encoding| encoding.input);
        output.errors = errors;
        Ok(output)
    }

    pub(super) fn generator(&self) -> Result<(&NetworkLayout, &Generator)> {
        if let Layout::Packed(network) = &self.layout
            && let Some(generator) = &network.generator
        {
            return Ok((network, generator));
        }
        let reason = match (&self.layout, self.task) {
            (Layout::Padded(_), Task::Generation) => "it is a graph, which keeps nothing between words",
            _ => "it has no head that does",
        };
        Err(Error::Unsupported(format!("a model for task {} writes no texts: {reason}", self.task.name())))
    }

    fn sources(&self, inputs: &[Input<'_>], call: &Call, settings: &Generation, room: &Room) -> Result<Vec<Encoding>> {
        let encodings = encode_all(self.tokenizer()?, inputs, &room.options, self.options.n_threads)
            .map_err(|error| room.explained(error))?;
        self.check_encodings(&encodings)?;
        call.check_cancelled()?;
        let longest = encodings.iter().map(Encoding::len).max().unwrap_or(0);
        // Padding makes all sources as long as the longest, which is the one to be named.
        let is_checked =
            |encoding: &&Encoding| settings.source_padding == SourcePadding::None || encoding.len() == longest;
        for encoding in encodings.iter().filter(is_checked) {
            room.check(encoding.len()).map_err(|error| of_input(error, encoding.input))?;
        }
        Ok(encodings)
    }

    fn write_all(
        &self,
        encodings: Vec<Encoding>,
        n_inputs: usize,
        call: &Call,
        settings: &Generation,
        room: &Room,
        mut on_text: Option<&mut OnText<'_>>,
    ) -> Result<Output> {
        let mut group = Group::new(self, call, settings, room)?;
        let mut waiting = sources(&encodings, settings.source_padding);
        let mut generated: Vec<Vec<Generated>> = vec![Vec::new(); n_inputs];
        while !(group.is_empty() && waiting.is_empty()) {
            call.check_cancelled()?;
            let n_joining = group.n_free().min(waiting.len());
            if n_joining > 0 {
                group.join(waiting.drain(..n_joining).collect())?;
                call.check_cancelled()?;
            }
            for (input, sequences) in group.write(&mut on_text)? {
                generated[input] = sequences;
            }
        }
        let item = |(id, sequence): (usize, &Generated)| Item {
            id: id as i64,
            score: sequence.score,
            text: sequence.text.clone(),
            ..Item::default()
        };
        let items = generated.iter().map(|sequences| sequences.iter().enumerate().map(item).collect()).collect();
        Ok(Output { encodings, items, generated, ..Output::default() })
    }
}

/// What is fed of each input, filled up to the longest where the reference does that.
fn sources(encodings: &[Encoding], padding: SourcePadding) -> VecDeque<Encoding> {
    let longest = encodings.iter().map(Encoding::len).max().unwrap_or(0);
    let source = |encoding: &Encoding| {
        let (mut input_ids, mut token_type_ids) = (encoding.input_ids.clone(), encoding.token_type_ids.clone());
        if padding == SourcePadding::Reference {
            input_ids.resize(longest, PADDING);
            token_type_ids.resize(longest, 0);
        }
        Encoding { input: encoding.input, input_ids, token_type_ids, ..Encoding::default() }
    };
    encodings.iter().map(source).collect()
}

/// Texts that are written together, a word at a time, over one cache.
struct Group<'a> {
    model: &'a Model,
    call: &'a Call,
    /// How often sources were read.
    n_runs: usize,
    network: &'a NetworkLayout,
    generator: &'a Generator,
    tokenizer: &'a Tokenizer,
    settings: &'a Generation,
    max_new_tokens: usize,
    cache: Cache,
    texts: Vec<Writing<'a>>,
    step: Step,
    guessing: Guessing,
}

impl<'a> Group<'a> {
    fn new(model: &'a Model, call: &'a Call, settings: &'a Generation, room: &Room) -> Result<Self> {
        let (network, generator) = model.generator()?;
        Ok(Self {
            model,
            call,
            n_runs: 0,
            network,
            generator,
            tokenizer: model.tokenizer()?,
            settings,
            max_new_tokens: room.max_new_tokens,
            cache: Cache::new(generator.entry_size, Arc::clone(&model.counters.cache)),
            texts: Vec::new(),
            step: Step::default(),
            guessing: Guessing::new(&model.options),
        })
    }

    fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// How many texts may join; of none there is room for one, whatever rows it needs.
    fn n_free(&self) -> usize {
        let n_rows = self.settings.n_rows();
        let n_free = self.model.options.max_rows.saturating_sub(self.texts.len() * n_rows) / n_rows;
        n_free.max(usize::from(self.is_empty()))
    }

    /// Reads sources, whose texts are written from now on.
    fn join(&mut self, sources: Vec<Encoding>) -> Result<()> {
        let caller = self.call.caller(self.n_runs);
        let entries = self.generator.read_sources(self.model, self.network, &sources, &mut self.cache, caller)?;
        self.n_runs += 1;
        for (source, entries) in sources.into_iter().zip(entries) {
            let Generator { start, end, n_words, .. } = *self.generator;
            let search = Search::new(self.settings, end, self.max_new_tokens, n_words);
            let n_seen = source.input_ids.iter().filter(|id| **id != PADDING).count();
            let source = Source { input: source.input, entries, start, first_position: n_seen };
            self.texts.push(Writing::new(source, self.settings, self.tokenizer, search));
        }
        Ok(())
    }

    /// Writes one more word of each text, and those after it that were guessed; gives the texts that are done, by input.
    fn write(&mut self, on_text: &mut Option<&mut OnText<'_>>) -> Result<Vec<(usize, Vec<Generated>)>> {
        let Self { model, network, generator, call, n_runs, .. } = *self;
        let steps = Steps { generator, model, network, caller: call.caller(n_runs) };
        let mut step = std::mem::take(&mut self.step);
        let guessed = steps.guess(call, &self.texts, &mut self.guessing, &mut self.cache, &mut step)?;
        call.check_cancelled()?;
        let with_guesses = self.texts.iter().zip(&guessed);
        let rows: Vec<StepRow<'_>> = with_guesses.flat_map(|(writing, words)| writing.rows_with(words)).collect();
        let n_rows = rows.len();
        steps.step(&generator.step, &rows, &self.cache, &mut step)?;
        let entries = steps.keep(&step, n_rows, &mut self.cache)?;
        let logits: Vec<&[f32]> = step.rows(n_rows).collect();
        let (mut first, mut done) = (0, Vec::new());
        for (mut writing, guessed) in std::mem::take(&mut self.texts).into_iter().zip(guessed) {
            let part = first..first + writing.rows().count() * (1 + guessed.len());
            first = part.end;
            self.take(&mut writing, &guessed, &entries[part.clone()], &logits[part], on_text)?;
            if writing.is_done() {
                done.push((writing.input(), writing.finish(on_text)?));
                self.cache.give_back(writing.into_entries());
            } else {
                self.texts.push(writing);
            }
        }
        self.step = step;
        Ok(done)
    }

    /// Takes what a step gave for the rows of a text: those of its next word, then one for each word after a guess, until one was wrong.
    fn take(
        &mut self,
        writing: &mut Writing<'_>,
        guessed: &[i64],
        mut entries: &[usize],
        mut logits: &[&[f32]],
        on_text: &mut Option<&mut OnText<'_>>,
    ) -> Result<()> {
        let counters = &self.model.counters;
        let mut n_right = 0;
        loop {
            let n_rows = writing.rows().count();
            let (of_word, logits_of_word);
            ((of_word, entries), (logits_of_word, logits)) = (entries.split_at(n_rows), logits.split_at(n_rows));
            self.cache.hold(n_rows);
            self.cache.give_back(writing.advance(of_word, logits_of_word)?);
            counters.n_new_tokens.fetch_add(n_rows as u64, Ordering::Relaxed);
            writing.tell(on_text)?;
            let is_right = guessed.get(n_right).is_some_and(|word| writing.search().last_word() == Some(*word));
            if !is_right || writing.is_done() {
                break;
            }
            n_right += 1;
            self.call.check_cancelled()?;
        }
        // Where a text ends for another reason, the guesses behind it were not wrong.
        let n_judged = if writing.is_done() { n_right } else { guessed.len() };
        self.guessing.learn(n_judged, n_right);
        counters.n_accepted_tokens.fetch_add(n_right as u64, Ordering::Relaxed);
        self.cache.discard(entries.iter().copied());
        Ok(())
    }
}
