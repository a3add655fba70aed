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
use super::logits::process;
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
            // Where no word may be written the text is at its end.
            let Some(Word { id, logit }) = word else {
                hypothesis.finish = Some(Finish::End);
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
            self.end_where(|_| Some(Finish::End));
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
    // Words without a name have their share of the probability, as in the reference, which fails when one is chosen.
    scratch.iter_mut().skip(n_words).for_each(|logit| *logit = f32::NEG_INFINITY);
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const END: i64 = 0;
    const N_WORDS: usize = 7;

    /// Logits that depend on all tokens so far.
    fn logits_after(tokens: &[i64], seed: u64) -> Vec<f32> {
        let state = tokens.iter().fold(seed.wrapping_mul(31).wrapping_add(7), |state, token| {
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(*token as u64 + 11)
        });
        let logit = |word: u64| {
            let mixed = (state ^ word.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            ((mixed >> 40) as f32 / (1_u64 << 24) as f32) * 5.0
        };
        (0..N_WORDS as u64).map(logit).collect()
    }

    fn run(settings: &Generation, most: usize, seed: u64) -> Vec<Hypothesis> {
        let mut search = Search::new(settings, END, most, N_WORDS);
        let mut next_entry = 0;
        while !search.is_done() {
            let logits: Vec<Vec<f32>> = search.live().map(|h| logits_after(&h.tokens, seed)).collect();
            for hypothesis in search.live() {
                assert_eq!(hypothesis.entries.len(), hypothesis.tokens.len());
            }
            let entries: Vec<usize> = (0..logits.len()).map(|row| next_entry + row).collect();
            next_entry += logits.len();
            let logits: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
            search.advance(&entries, &logits).unwrap();
        }
        search.hypotheses
    }

    fn log_softmax(logits: &[f32]) -> Vec<f64> {
        let sum = log_sum_exp(logits);
        logits.iter().map(|logit| f64::from(*logit) - sum).collect()
    }

    /// The reference's algorithm, step by step over all words of all beams, without an early end.
    fn naive_beams(n_beams: usize, penalty: f32, most: usize, seed: u64) -> Vec<i64> {
        struct Beam {
            ids: Vec<i64>,
            log_probability: f64,
            length: usize,
            is_finished: bool,
        }
        let mut beams = vec![Beam { ids: Vec::new(), log_probability: 0.0, length: 0, is_finished: false }];
        for _ in 0..most {
            let mut all = Vec::new();
            for (parent, beam) in beams.iter().enumerate() {
                let log_softmax = log_softmax(&logits_after(&beam.ids, seed));
                for word in 0..N_WORDS as i64 {
                    let (added, longer) = match (beam.is_finished, word == END) {
                        (true, true) => (0.0, 0),
                        (true, false) => (-9999.0, 0),
                        (false, is_end) => (log_softmax[word as usize], usize::from(!is_end)),
                    };
                    let (total, length) = (beam.log_probability + added, beam.length + longer);
                    all.push((
                        total / ((5.0 + length as f64) / 6.0).powf(f64::from(penalty)),
                        parent,
                        word,
                        total,
                        length,
                    ));
                }
            }
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            let next = all.iter().take(n_beams).map(|(_, parent, word, total, length)| {
                let mut ids = beams[*parent].ids.clone();
                ids.push(*word);
                let is_finished = beams[*parent].is_finished || *word == END;
                Beam { ids, log_probability: *total, length: *length, is_finished }
            });
            beams = next.collect();
            if beams.iter().all(|beam| beam.is_finished) {
                break;
            }
        }
        let ids = beams.swap_remove(0).ids;
        ids.into_iter().take_while(|id| *id != END).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn beams_are_those_of_the_reference(
            n_beams in 1_usize..7, penalty in -1.0_f32..2.0, most in 1_usize..12, seed in any::<u64>(),
        ) {
            let settings = Generation { n_beams, length_penalty: penalty, ..Generation::default() };
            let found = run(&settings, most, seed);
            prop_assert_eq!(&found[0].tokens, &naive_beams(n_beams, penalty, most, seed));
            // A hypothesis has the probability of its tokens.
            for hypothesis in &found {
                let mut wanted = 0.0;
                for (at, token) in hypothesis.tokens.iter().enumerate() {
                    wanted += log_softmax(&logits_after(&hypothesis.tokens[..at], seed))[*token as usize];
                }
                if hypothesis.finish == Some(Finish::End) {
                    wanted += log_softmax(&logits_after(&hypothesis.tokens, seed))[END as usize];
                }
                prop_assert!((hypothesis.log_probability - wanted).abs() < 1e-6);
            }
        }

        #[test]
        fn one_beam_without_a_penalty_and_greedy_search_agree(most in 1_usize..12, seed in any::<u64>()) {
            let beam = Generation { n_beams: 1, length_penalty: 0.0, ..Generation::default() };
            let greedy = Generation { decoding: Decoding::Greedy, ..Generation::default() };
            prop_assert_eq!(&run(&beam, most, seed)[0].tokens, &run(&greedy, most, seed)[0].tokens);
        }

        #[test]
        fn sequences_are_the_best_hypotheses_and_keep_their_order(n_sequences in 1_usize..5, seed in any::<u64>()) {
            let settings = Generation { n_beams: 4, n_sequences, ..Generation::default() };
            let found = run(&settings, 9, seed);
            let scores: Vec<f64> = found.iter().take(n_sequences).map(|h| h.score(1.0)).collect();
            prop_assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]));
        }
    }

    #[test]
    fn hypotheses_share_the_entries_of_what_they_have_in_common() {
        let settings = Generation { n_beams: 3, ..Generation::default() };
        for seed in 0..50 {
            let found = run(&settings, 8, seed);
            for pair in found.windows(2) {
                let common = pair[0].tokens.iter().zip(&pair[1].tokens).take_while(|(a, b)| a == b).count();
                // An entry is that of the token fed, which is the one before.
                assert_eq!(pair[0].entries.iter().zip(&pair[1].entries).take_while(|(a, b)| a == b).count(), {
                    (common + 1).min(pair[0].entries.len()).min(pair[1].entries.len())
                });
            }
        }
    }

    #[test]
    fn where_nothing_may_be_written_the_text_ends() {
        let forbidden_tokens: Vec<i64> = (0..N_WORDS as i64).collect();
        for decoding in [Decoding::Beam, Decoding::Greedy, Decoding::Sample] {
            let settings = Generation { decoding, forbidden_tokens: forbidden_tokens.clone(), ..Generation::default() };
            let found = run(&settings, 5, 1);
            assert_eq!((found[0].tokens.len(), found[0].finish), (0, Some(Finish::End)));
        }
    }

    #[test]
    fn logits_that_are_no_numbers_are_an_error() {
        let settings = Generation::default();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(Search::new(&settings, END, 5, 3).advance(&[0], &[&[0.0, bad, 1.0]]).is_err());
        }
    }
}
