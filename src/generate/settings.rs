//! How words are chosen, and what no model could follow.

use std::collections::HashSet;

use crate::error::{Error, Result};

/// Beams, and sequences of a text, at most.
pub const MOST_ROWS_OF_A_TEXT: usize = 64;

/// How words are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decoding {
    /// The best of several hypotheses, as the reference's script finds it.
    #[default]
    Beam,
    /// The likeliest word, each time.
    Greedy,
    /// By chance, as likely as the model says.
    Sample,
}

/// What of a batch a text's words see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourcePadding {
    /// Their own source.
    #[default]
    None,
    /// Their source, filled up to the longest of the call, as the reference's batches have it: there words see padding, and a
    /// text's words depend on the others.
    Reference,
}

/// How a text is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// How words are chosen.
    pub decoding: Decoding,
    /// Hypotheses of beam search.
    pub n_beams: usize,
    /// Of beam search: hypotheses are compared by `log p / ((5 + n) / 6)^length_penalty`; 0 = by `log p`.
    pub length_penalty: f32,
    /// Of sampling: logits are divided by it, above 0 and finite; below 1 likely words become likelier.
    pub temperature: f32,
    /// Of sampling: only so many of the likeliest words; `None` = all.
    pub top_k: Option<usize>,
    /// Of sampling: only the likeliest words that together have this probability; 1 = all.
    pub top_p: f32,
    /// Of sampling: the same seed gives the same text, so that equal inputs of a call have equal samples.
    pub seed: u64,
    /// Texts wanted for each input: the best hypotheses, or samples.
    pub n_sequences: usize,
    /// Tokens of a text at most; `None` = 120, or a quarter of the model's positions where that is less.
    pub max_new_tokens: Option<usize>,
    /// Tokens of a text at least.
    pub min_new_tokens: usize,
    /// Logits of tokens that were written are divided by it, or multiplied where they are negative, from 0.001 to 1000; 1 = none.
    pub repetition_penalty: f32,
    /// No sequence of so many tokens is written twice; 0 = any may be.
    pub no_repeat_ngram: usize,
    /// Tokens that are not written.
    pub forbidden_tokens: Vec<i64>,
    /// Tokens that a text begins with, whatever else is asked for; none that is forbidden or ends a text.
    pub forced_tokens: Vec<i64>,
    /// A text ends before any of these.
    pub stop: Vec<String>,
    /// What of a batch a text's words see.
    pub source_padding: SourcePadding,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            decoding: Decoding::Beam,
            n_beams: 5,
            length_penalty: 1.0,
            temperature: 1.0,
            top_k: None,
            top_p: 1.0,
            seed: 0,
            n_sequences: 1,
            max_new_tokens: None,
            min_new_tokens: 0,
            repetition_penalty: 1.0,
            no_repeat_ngram: 0,
            forbidden_tokens: Vec::new(),
            forced_tokens: Vec::new(),
            stop: Vec::new(),
            source_padding: SourcePadding::None,
        }
    }
}

impl Generation {
    /// Rows that a text needs in a step at most.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        match self.decoding {
            Decoding::Beam => self.n_beams,
            Decoding::Greedy | Decoding::Sample => self.n_sequences,
        }
    }

    /// Whether all this can be followed by a model with so many words, of which the first `n_words` have a token and `end` ends a
    /// text.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`]: a value out of its range, settings that contradict each other or count for another way of
    ///   choosing words.
    pub fn check(&self, vocab_size: usize, n_words: usize, end: i64) -> Result<()> {
        self.check_ranges(vocab_size)?;
        self.check_tokens(vocab_size, n_words, end)?;
        let of_sampling = [
            ("temperature", self.temperature != 1.0),
            ("top_k", self.top_k.is_some()),
            ("top_p", self.top_p != 1.0),
            ("seed", self.seed != 0),
        ];
        if self.decoding != Decoding::Sample
            && let Some((name, _)) = of_sampling.iter().find(|(_, is_set)| *is_set)
        {
            return refuse(format!("{name} changes nothing unless words are sampled"));
        }
        match self.decoding {
            Decoding::Greedy if self.n_sequences > 1 => {
                refuse(format!("n_sequences is {}, greedy search gives 1", self.n_sequences))
            }
            Decoding::Beam if self.n_sequences > self.n_beams => {
                refuse(format!("n_sequences is {}, {} beams give no more than that", self.n_sequences, self.n_beams))
            }
            _ => Ok(()),
        }
    }

    fn check_ranges(&self, vocab_size: usize) -> Result<()> {
        let most = MOST_ROWS_OF_A_TEXT;
        let counts = [("n_sequences", self.n_sequences, most), ("n_beams", self.n_beams, most.min(vocab_size))];
        let n_counts = if self.decoding == Decoding::Beam { 2 } else { 1 };
        for (name, count, most) in counts.into_iter().take(n_counts) {
            if !(1..=most).contains(&count) {
                return refuse(format!("{name} is {count}, it goes from 1 to {most}"));
            }
        }
        if self.max_new_tokens == Some(0) {
            return refuse("max_new_tokens is 0, at least 1 token is written".to_owned());
        }
        if let Some(most) = self.max_new_tokens.filter(|most| self.min_new_tokens > *most) {
            return refuse(format!("min_new_tokens is {}, max_new_tokens {most}", self.min_new_tokens));
        }
        let is_positive = |number: f32| number.is_finite() && number > 0.0;
        if !is_positive(self.temperature) {
            return refuse(format!("temperature is {}, it is above 0 and finite", self.temperature));
        }
        if !(1e-3..=1e3).contains(&self.repetition_penalty) {
            return refuse(format!("repetition_penalty is {}, it goes from 0.001 to 1000", self.repetition_penalty));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse(format!("top_p is {}, it is above 0 and 1 at most", self.top_p));
        }
        if !(-10.0..=10.0).contains(&self.length_penalty) {
            return refuse(format!("length_penalty is {}, it goes from -10 to 10", self.length_penalty));
        }
        match self.top_k {
            Some(0) => refuse("top_k is 0, at least 1 word can be chosen".to_owned()),
            _ => Ok(()),
        }
    }

    fn check_tokens(&self, vocab_size: usize, n_words: usize, end: i64) -> Result<()> {
        let lists =
            [("forbidden_tokens", &self.forbidden_tokens, vocab_size), ("forced_tokens", &self.forced_tokens, n_words)];
        for (name, ids, n_ids) in lists {
            let is_outside = |id: &i64| usize::try_from(*id).map_or(true, |id| id >= n_ids);
            if let Some(index) = ids.iter().position(is_outside) {
                return refuse(format!("{name}[{index}] is {}, ids go from 0 to {}", ids[index], n_ids - 1));
            }
        }
        let forbidden: HashSet<i64> = self.forbidden_tokens.iter().copied().collect();
        if let Some(index) = self.forced_tokens.iter().position(|id| *id == end || forbidden.contains(id)) {
            let id = self.forced_tokens[index];
            let reason = if id == end { "the token that ends a text" } else { "forbidden" };
            return refuse(format!("forced_tokens[{index}] is {id}, which is {reason}"));
        }
        if let Some(most) = self.max_new_tokens.filter(|most| self.forced_tokens.len() > *most) {
            return refuse(format!("{} tokens are forced, max_new_tokens is {most}", self.forced_tokens.len()));
        }
        match self.stop.iter().position(String::is_empty) {
            Some(index) => refuse(format!("stop[{index}] is empty")),
            None => Ok(()),
        }
    }
}

fn refuse(reason: String) -> Result<()> {
    Err(Error::argument(format!("generation: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_followed_is_refused_by_name() {
        let base = Generation::default();
        let sample = Generation { decoding: Decoding::Sample, ..base.clone() };
        let greedy = Generation { decoding: Decoding::Greedy, ..base.clone() };
        let all = [
            ("n_beams is 0", Generation { n_beams: 0, ..base.clone() }),
            ("n_beams is 65, it goes from 1 to 64", Generation { n_beams: 65, ..base.clone() }),
            ("n_sequences is 0", Generation { n_sequences: 0, ..base.clone() }),
            ("5 beams", Generation { n_sequences: 6, ..base.clone() }),
            ("greedy", Generation { n_sequences: 2, ..greedy.clone() }),
            ("temperature changes", Generation { temperature: 0.5, ..greedy }),
            ("top_k changes", Generation { top_k: Some(3), ..base.clone() }),
            ("seed changes", Generation { seed: 3, ..base.clone() }),
            ("temperature is 0", Generation { temperature: 0.0, ..sample.clone() }),
            ("temperature is NaN", Generation { temperature: f32::NAN, ..sample.clone() }),
            ("top_p is 1.5", Generation { top_p: 1.5, ..sample.clone() }),
            ("top_k is 0", Generation { top_k: Some(0), ..sample }),
            ("max_new_tokens is 0", Generation { max_new_tokens: Some(0), ..base.clone() }),
            ("min_new_tokens is 4", Generation { min_new_tokens: 4, max_new_tokens: Some(3), ..base.clone() }),
            ("repetition_penalty", Generation { repetition_penalty: -1.0, ..base.clone() }),
            ("it goes from 0.001 to 1000", Generation { repetition_penalty: 1e-30, ..base.clone() }),
            ("length_penalty", Generation { length_penalty: f32::INFINITY, ..base.clone() }),
            ("forbidden_tokens[1] is 100", Generation { forbidden_tokens: vec![0, 100], ..base.clone() }),
            ("forced_tokens[0] is -1", Generation { forced_tokens: vec![-1], ..base.clone() }),
            ("forced_tokens[0] is 99", Generation { forced_tokens: vec![99], ..base.clone() }),
            ("ends a text", Generation { forced_tokens: vec![3, 2], ..base.clone() }),
            ("which is forbidden", Generation { forced_tokens: vec![3], forbidden_tokens: vec![3], ..base.clone() }),
            ("2 tokens are forced", Generation { forced_tokens: vec![3, 3], max_new_tokens: Some(1), ..base.clone() }),
            ("stop[0] is empty", Generation { stop: vec![String::new()], ..base.clone() }),
        ];
        for (reason, settings) in all {
            let message = settings.check(100, 99, 2).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
        assert!(base.check(100, 100, 2).is_ok() && base.check(4, 4, 2).is_err());
    }
}
