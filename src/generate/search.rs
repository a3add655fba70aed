//! The hypotheses of one text: what each is to be fed, and what becomes of them with the next logits.
//!
//! A hypothesis is a row of the step until it ends. With beam search hypotheses compete: after each step the best of all
//! continuations go on, each with the entries of the one that it continues; with greedy search and sampling each goes its own
//! way. The score of a hypothesis is that of the reference: `log p / ((5 + n) / 6)^length_penalty`, where the token that ends a
//! text adds to `log p`, not to `n`.
//!
//! Beam search ends earlier than the reference's where the result is certain: probabilities only fall, so a hypothesis that goes on
//! can at best keep its own.
//!
//! Reference: `beam_search_step` in `demo/seq2seq/decode.py` of PaddlePaddle/ERNIE 3b9d92f.

use super::choice::{Chance, Word, largest, sample};
use super::logits::{force, process};
use super::settings::{Decoding, Generation};
use crate::error::{Error, Result};
use crate::kernels::exponential::log_sum_exp;

/// Why a text ends where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// The model ended it.
    End,
    /// It has as many tokens as it may have.
    Length,
    /// A stop string follows.
    StopString,
    /// The caller stopped it.
    Stopped,
    /// Nothing may follow: all tokens are forbidden.
    Exhausted,
}

/// A text that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Hypothesis {
    /// Its tokens, without the one that ends it.
    pub(crate) tokens: Vec<i64>,
    /// Entries of the tokens that were fed.
    pub(crate) entries: Vec<usize>,
    /// The logarithm of its probability.
    pub(crate) log_probability: f64,
    /// Why it goes on no more.
    pub(crate) finish: Option<Finish>,
    /// Which of the sequences asked for it is, where they go their own ways.
    pub(crate) sequence: usize,
    chance: Chance,
}

impl Hypothesis {
    fn new(seed: u64, sequence: usize) -> Self {
        Self {
            tokens: Vec::new(),
            entries: Vec::new(),
            log_probability: 0.0,
            finish: None,
            sequence,
            chance: Chance::new(seed, sequence),
        }
    }

    /// By what hypotheses are compared.
    pub(crate) fn score(&self, length_penalty: f32) -> f64 {
        score(self.log_probability, self.tokens.len(), length_penalty)
    }
}

/// `log p / ((5 + n) / 6)^length_penalty`.
fn score(log_probability: f64, n_tokens: usize, length_penalty: f32) -> f64 {
    log_probability / ((5.0 + n_tokens as f64) / 6.0).powf(f64::from(length_penalty))
}

/// The hypotheses of one text.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    settings: &'a Generation,
    end: i64,
    max_new_tokens: usize,
    /// Words that have a name: others are not written.
    n_words: usize,
    /// With beam search best first.
    hypotheses: Vec<Hypothesis>,
    /// A row of logits that is being worked on.
    scratch: Vec<f32>,
}

/// A continuation of a hypothesis.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    parent: usize,
    /// `None` for a hypothesis that has ended and stays.
    word: Option<usize>,
    log_probability: f64,
    score: f64,
}

impl<'a> Search<'a> {
    /// No words yet; `end` ends a text, which has `max_new_tokens` at most, all below `n_words`.
    pub(crate) fn new(settings: &'a Generation, end: i64, max_new_tokens: usize, n_words: usize) -> Self {
        let n_alone = if settings.decoding == Decoding::Beam { 1 } else { settings.n_sequences };
        let hypotheses = (0..n_alone).map(|sequence| Hypothesis::new(settings.seed, sequence)).collect();
        Self { settings, end, max_new_tokens, n_words, hypotheses, scratch: Vec::new() }
    }

    /// The same hypotheses, to be led on by guesses; `None` where there are several, which guesses would have to take apart.
    pub(crate) fn ahead(&self) -> Option<Self> {
        let is_one = self.settings.decoding != Decoding::Beam && self.hypotheses.len() == 1;
        let copied = || Self { hypotheses: self.hypotheses.clone(), scratch: Vec::new(), ..*self };
        is_one.then(copied)
    }

    /// Words that the shortest of those that go on may still have.
    pub(crate) fn n_left(&self) -> usize {
        self.live().map(|hypothesis| self.max_new_tokens.saturating_sub(hypothesis.tokens.len())).max().unwrap_or(0)
    }

    /// Of a single hypothesis: its last word, also the one that ended it.
    pub(crate) fn last_word(&self) -> Option<i64> {
        let hypothesis = self.hypotheses.first()?;
        if hypothesis.finish == Some(Finish::End) { Some(self.end) } else { hypothesis.tokens.last().copied() }
    }

    /// All hypotheses.
    pub(crate) fn hypotheses(&self) -> &[Hypothesis] {
        &self.hypotheses
    }

    /// Those that go on, in the order of their rows.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Hypothesis> {
        self.hypotheses.iter().filter(|hypothesis| hypothesis.finish.is_none())
    }

    /// Ends hypotheses that `why` gives a reason for.
    pub(crate) fn end_where(&mut self, mut why: impl FnMut(&Hypothesis) -> Option<Finish>) {
        for hypothesis in self.hypotheses.iter_mut().filter(|hypothesis| hypothesis.finish.is_none()) {
            hypothesis.finish = why(hypothesis);
        }
    }

    /// Ends all hypotheses, also those that had ended.
    pub(crate) fn stop(&mut self) {
        self.hypotheses.iter_mut().for_each(|hypothesis| hypothesis.finish = Some(Finish::Stopped));
    }

    /// Ends hypotheses before a stop string, where `is_before` says so: those that go on, and those that have just become as
    /// long as they may be.
    pub(crate) fn end_before_stop_strings(
        &mut self,
        mut is_before: impl FnMut(&Hypothesis) -> Result<bool>,
    ) -> Result<()> {
        for hypothesis in &mut self.hypotheses {
            if matches!(hypothesis.finish, None | Some(Finish::Length)) && is_before(hypothesis)? {
                hypothesis.finish = Some(Finish::StopString);
            }
        }
        Ok(())
    }

    /// Whether nothing more is to be fed.
    pub(crate) fn is_done(&self) -> bool {
        self.live().next().is_none() || self.settings.decoding == Decoding::Beam && self.is_decided()
    }

    /// Takes the entry of what each live hypothesis was fed and its logits, and goes on.
    ///
    /// # Errors
    /// - [`Error::Runtime`]: logits are not numbers.
    pub(crate) fn advance(&mut self, entries: &[usize], logits: &[&[f32]]) -> Result<()> {
        let live = self.hypotheses.iter_mut().filter(|hypothesis| hypothesis.finish.is_none());
        live.zip(entries).for_each(|(hypothesis, entry)| hypothesis.entries.push(*entry));
        match self.settings.decoding {
            Decoding::Beam => self.advance_beams(logits)?,
            Decoding::Greedy | Decoding::Sample => self.advance_each(logits)?,
        }
        let most = self.max_new_tokens;
        self.end_where(|hypothesis| (hypothesis.tokens.len() >= most).then_some(Finish::Length));
        Ok(())
    }

    fn advance_each(&mut self, logits: &[&[f32]]) -> Result<()> {
        let live = self.hypotheses.iter_mut().filter(|hypothesis| hypothesis.finish.is_none());
        for (hypothesis, logits) in live.zip(logits) {
            let sum =
                processed(self.settings, (self.end, self.n_words), &hypothesis.tokens, logits, &mut self.scratch)?;
            let word = match self.settings.decoding {
                Decoding::Sample => sample(self.settings, &self.scratch, &mut hypothesis.chance),
                Decoding::Greedy | Decoding::Beam => largest(&self.scratch, 1).first().copied(),
            };
            let Some(Word { id, logit }) = word else {
                hypothesis.finish = Some(Finish::Exhausted);
                continue;
            };
            hypothesis.log_probability += f64::from(logit) - sum;
            if id as i64 == self.end {
                hypothesis.finish = Some(Finish::End);
            } else {
                hypothesis.tokens.push(id as i64);
            }
        }
        Ok(())
    }

    fn advance_beams(&mut self, logits: &[&[f32]]) -> Result<()> {
        let candidates = self.candidates(logits)?;
        if candidates.is_empty() {
            self.end_where(|_| Some(Finish::Exhausted));
            return Ok(());
        }
        let next = candidates.iter().map(|candidate| {
            let mut hypothesis = self.hypotheses[candidate.parent].clone();
            hypothesis.log_probability = candidate.log_probability;
            match candidate.word {
                None => {}
                Some(id) if id as i64 == self.end => hypothesis.finish = Some(Finish::End),
                Some(id) => hypothesis.tokens.push(id as i64),
            }
            hypothesis
        });
        self.hypotheses = next.collect();
        Ok(())
    }

    /// The best continuations of all hypotheses, best first; of equals that of the better hypothesis, then the smaller id.
    fn candidates(&mut self, logits: &[&[f32]]) -> Result<Vec<Candidate>> {
        let (n_beams, penalty) = (self.settings.n_beams, self.settings.length_penalty);
        let mut all = Vec::new();
        let mut rows = logits.iter();
        for (parent, hypothesis) in self.hypotheses.iter().enumerate() {
            let n_tokens = hypothesis.tokens.len();
            if hypothesis.finish.is_some() {
                let log_probability = hypothesis.log_probability;
                all.push(Candidate { parent, word: None, log_probability, score: hypothesis.score(penalty) });
                continue;
            }
            let Some(logits) = rows.next() else { break };
            let sum =
                processed(self.settings, (self.end, self.n_words), &hypothesis.tokens, logits, &mut self.scratch)?;
            let end = usize::try_from(self.end).ok().and_then(|end| self.scratch.get_mut(end));
            let of_end = end.map_or(f32::NEG_INFINITY, |logit| std::mem::replace(logit, f32::NEG_INFINITY));
            let mut words = largest(&self.scratch, n_beams);
            if of_end > f32::NEG_INFINITY {
                words.push(Word { id: self.end as usize, logit: of_end });
            }
            all.extend(words.into_iter().map(|Word { id, logit }| {
                let log_probability = hypothesis.log_probability + f64::from(logit) - sum;
                let length = n_tokens + usize::from(id as i64 != self.end);
                Candidate { parent, word: Some(id), log_probability, score: score(log_probability, length, penalty) }
            }));
        }
        let order = |candidate: &Candidate| (candidate.parent, candidate.word.unwrap_or(0));
        all.sort_by(|a, b| b.score.total_cmp(&a.score).then(order(a).cmp(&order(b))));
        all.truncate(n_beams);
        Ok(all)
    }

    /// Whether the best hypotheses have ended and no other can become better.
    fn is_decided(&self) -> bool {
        let penalty = self.settings.length_penalty;
        let Some(wanted) = self.hypotheses.get(..self.settings.n_sequences) else { return false };
        let Some(least) = wanted.last().filter(|_| wanted.iter().all(|hypothesis| hypothesis.finish.is_some())) else {
            return false;
        };
        let least = least.score(penalty);
        self.live().all(|hypothesis| {
            let bound = |n_tokens| score(hypothesis.log_probability, n_tokens, penalty);
            bound(hypothesis.tokens.len()).max(bound(self.max_new_tokens)) < least
        })
    }
}

/// Copies logits, applies the settings, and gives the logarithm of the sum of what is left.
fn processed(
    settings: &Generation,
    (end, n_words): (i64, usize),
    tokens: &[i64],
    logits: &[f32],
    scratch: &mut Vec<f32>,
) -> Result<f64> {
    // A sum shows every NaN and both infinities.
    if !logits.iter().fold(0.0, |sum, logit| sum + logit * 0.0).is_finite() {
        return Err(Error::Runtime { context: "the model gives logits that are no numbers".into(), source: None });
    }
    scratch.clear();
    scratch.extend_from_slice(logits);
    process(settings, end, tokens, scratch);
    let sum = log_sum_exp(scratch);
    force(settings, tokens, scratch);
    // Words without a name have their share of the probability, as in the reference, which fails when one is chosen.
    scratch.iter_mut().skip(n_words).for_each(|logit| *logit = f32::NEG_INFINITY);
    Ok(sum)
}

#[cfg(test)]
mod tests;
