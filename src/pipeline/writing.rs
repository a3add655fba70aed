//! A text that is being written: its hypotheses, their entries of the cache, and what of it was handed out.

use super::Generated;
use super::generate::{OnText, Piece};
use super::generator::StepRow;
use crate::error::{Error, Result};
use crate::generate::search::{Finish, Hypothesis, Search};
use crate::generate::text::{TextStream, before_stop};
use crate::generate::{Decoding, Generation};
use crate::tokenize::{SpecialTokensInDecoded, Tokenizer};

/// What a text is written for.
pub(super) struct Source {
    pub(super) input: usize,
    /// Its tokens in the cache.
    pub(super) entries: Vec<usize>,
    /// What is fed before the first word.
    pub(super) start: i64,
    /// The position of that.
    pub(super) first_position: usize,
}

/// A text that is being written.
pub(super) struct Writing<'a> {
    source: Source,
    settings: &'a Generation,
    tokenizer: &'a Tokenizer,
    search: Search<'a>,
    /// Entries of written tokens that some hypothesis sees.
    entries: Vec<usize>,
    /// What was handed out of each sequence.
    streams: Vec<TextStream>,
    /// Whether all of a sequence was.
    is_told: Vec<bool>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(source: Source, settings: &'a Generation, tokenizer: &'a Tokenizer, search: Search<'a>) -> Self {
        let n = settings.n_sequences;
        let (streams, is_told) = (vec![TextStream::default(); n], vec![false; n]);
        Self { source, settings, tokenizer, search, entries: Vec::new(), streams, is_told }
    }

    pub(super) fn input(&self) -> usize {
        self.source.input
    }

    /// The rows of the next step.
    pub(super) fn rows(&self) -> impl Iterator<Item = StepRow<'_>> {
        self.rows_of(&self.search)
    }

    /// The same, of a search that may be ahead.
    pub(super) fn rows_of<'s>(&'s self, search: &'s Search<'a>) -> impl Iterator<Item = StepRow<'s>> {
        search.live().map(|hypothesis| StepRow {
            previous: hypothesis.tokens.last().copied().unwrap_or(self.source.start),
            position: self.source.first_position + hypothesis.tokens.len(),
            entries: [&self.source.entries, &hypothesis.entries],
            n_followed: 0,
        })
    }

    /// The rows of the next step, of a text with one, and of so many steps after it as if `guessed` were written.
    pub(super) fn rows_with(&self, guessed: &[i64]) -> impl Iterator<Item = StepRow<'_>> {
        let guesses = guessed.iter().enumerate();
        self.rows().flat_map(move |row| {
            let next = guesses.clone().map(move |(number, word)| StepRow {
                previous: *word,
                position: row.position + 1 + number,
                entries: row.entries,
                n_followed: 1 + number,
            });
            std::iter::once(row).chain(next)
        })
    }

    pub(super) fn search(&self) -> &Search<'a> {
        &self.search
    }

    /// Takes what a step gave for the rows; gives back the entries that nothing sees any more.
    pub(super) fn advance(&mut self, entries: &[usize], logits: &[&[f32]]) -> Result<Vec<usize>> {
        self.search.advance(entries, logits).map_err(|error| self.of_input(error))?;
        self.entries.extend_from_slice(entries);
        let mut seen: Vec<usize> = self.search.live().flat_map(|hypothesis| &hypothesis.entries).copied().collect();
        seen.sort_unstable();
        let (kept, unseen) = self.entries.iter().partition(|entry| seen.binary_search(entry).is_ok());
        self.entries = kept;
        Ok(unseen)
    }

    /// What the model cannot do for this source.
    fn of_input(&self, error: Error) -> Error {
        match error {
            Error::Runtime { context, source } => {
                Error::Runtime { context: format!("input {}: {context}", self.input()), source }
            }
            other => other,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.search.is_done()
    }

    /// All entries, when nothing is to be written any more.
    pub(super) fn into_entries(self) -> impl Iterator<Item = usize> {
        self.source.entries.into_iter().chain(self.entries)
    }

    /// Ends hypotheses that stop strings end, and hands out what is certain.
    pub(super) fn tell(&mut self, on_text: &mut Option<&mut OnText<'_>>) -> Result<()> {
        let (settings, tokenizer) = (self.settings, self.tokenizer);
        if !settings.stop.is_empty() {
            self.search.end_before_stop_strings(|hypothesis| {
                Ok(before_stop(&decode(tokenizer, &hypothesis.tokens)?, &settings.stop).1)
            })?;
        }
        let Some(on_text) = on_text else { return Ok(()) };
        match self.settings.decoding {
            Decoding::Beam => self.tell_agreed(on_text),
            Decoding::Greedy | Decoding::Sample => self.tell_each(on_text),
        }
    }

    /// What all hypotheses begin with is part of the best one.
    fn tell_agreed(&mut self, on_text: &mut OnText<'_>) -> Result<()> {
        let hypotheses = self.search.hypotheses();
        let Some(first) = hypotheses.first() else { return Ok(()) };
        let agrees = |at: &usize| hypotheses.iter().all(|other| other.tokens.get(*at) == first.tokens.get(*at));
        let n_agreed = (0..first.tokens.len()).take_while(agrees).count();
        let text = decode(self.tokenizer, &first.tokens[..n_agreed])?;
        let piece = self.streams[0].next(before_stop(&text, &self.settings.stop).0, &self.settings.stop);
        if !hand_out(on_text, self.source.input, 0, piece) {
            self.search.stop();
        }
        Ok(())
    }

    fn tell_each(&mut self, on_text: &mut OnText<'_>) -> Result<()> {
        let mut stopped = Vec::new();
        for hypothesis in self.search.hypotheses() {
            let sequence = hypothesis.sequence;
            if self.is_told[sequence] {
                continue;
            }
            let text = decode(self.tokenizer, &hypothesis.tokens)?;
            let text = before_stop(&text, &self.settings.stop).0;
            let piece = match hypothesis.finish {
                Some(_) => self.streams[sequence].finish(text),
                None => self.streams[sequence].next(text, &self.settings.stop),
            };
            self.is_told[sequence] = hypothesis.finish.is_some();
            if !hand_out(on_text, self.source.input, sequence, piece) {
                self.is_told[sequence] = true;
                stopped.push(sequence);
            }
        }
        let is_stopped = |hypothesis: &Hypothesis| stopped.contains(&hypothesis.sequence).then_some(Finish::Stopped);
        self.search.end_where(is_stopped);
        Ok(())
    }

    /// The sequences asked for; hands out what was not yet.
    pub(super) fn finish(&mut self, on_text: &mut Option<&mut OnText<'_>>) -> Result<Vec<Generated>> {
        let is_beam = self.settings.decoding == Decoding::Beam;
        let mut all = Vec::with_capacity(self.settings.n_sequences);
        let found = self.search.hypotheses().iter().take(self.settings.n_sequences).enumerate();
        for (sequence, hypothesis) in found {
            let text = decode(self.tokenizer, &hypothesis.tokens)?;
            let text = before_stop(&text, &self.settings.stop).0.to_owned();
            let finish = hypothesis.finish.unwrap_or(Finish::Length);
            if let (Some(on_text), false, true) = (&mut *on_text, self.is_told[sequence], finish != Finish::Stopped) {
                let piece = self.streams[sequence].finish(&text);
                let goes_on = hand_out(on_text, self.source.input, sequence, piece);
                // With beam search all of an input ends.
                if is_beam && !goes_on {
                    self.is_told.fill(true);
                }
            }
            let score =
                if is_beam { hypothesis.score(self.settings.length_penalty) } else { hypothesis.log_probability };
            all.push(Generated {
                text,
                token_ids: hypothesis.tokens.clone(),
                score: score as f32,
                log_probability: hypothesis.log_probability as f32,
                finish,
            });
        }
        Ok(all)
    }
}

fn decode(tokenizer: &Tokenizer, tokens: &[i64]) -> Result<String> {
    tokenizer.decode(tokens, SpecialTokensInDecoded::Generated)
}

/// Whether more is wanted.
fn hand_out(on_text: &mut OnText<'_>, input: usize, sequence: usize, text: &str) -> bool {
    text.is_empty() || on_text(Piece { input, sequence, text })
}
