//! Words that a copy of the network in 8 bits guesses ahead, for the network itself to check in one run.
//!
//! A step reads all weights for a few rows: several words of a text, each fed as if those before it were right, cost little more than
//! one. The guesses of the copy, which is read in a quarter of the time, are right mostly. What is written is what the network says,
//! to the last bit: a row that follows rows of its run gets what it would have got after them (`kernels::attention`), and what follows a
//! wrong guess is dropped.
//!
//! Only texts with one hypothesis guess: the rows of beams and of several sequences are used well already.

use std::sync::atomic::Ordering;

use super::generator::{By, Step, StepRow, Steps};
use super::writing::Writing;
use crate::error::{Error, Result};
use crate::generate::cache::Cache;
use crate::generate::search::Search;

/// Rows of a run at most, those of guesses included, of two tokens each, unless more are asked for: with more, products take longer than
/// reading the weights does.
const MOST_ROWS: usize = 6;
/// Steps without guesses after some that were all wrong.
const PAUSE: usize = 16;

/// How many words are worth guessing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guessing {
    /// At most.
    most: usize,
    /// With the next step.
    n_ahead: usize,
    /// Steps until guesses are tried again.
    n_paused: usize,
    /// Steps in a row whose first guess was wrong.
    n_wrong: usize,
}

impl Guessing {
    /// So many words at most; 0 = none.
    pub(super) fn new(most: usize) -> Self {
        Self { most, n_ahead: most, n_paused: 0, n_wrong: 0 }
    }

    /// Words to guess for each of so many rows.
    pub(super) fn n_words(&mut self, n_rows: usize) -> usize {
        if self.n_paused > 0 {
            self.n_paused -= 1;
            return 0;
        }
        let most_rows = MOST_ROWS.max(self.most + 1);
        self.n_ahead.min((most_rows / n_rows.max(1)).saturating_sub(1))
    }

    /// Takes how many words of a text were guessed, and how many were right.
    pub(super) fn learn(&mut self, n_guessed: usize, n_right: usize) {
        if n_guessed == 0 {
            return;
        }
        self.n_ahead = if n_right == n_guessed { self.n_ahead + 1 } else { (self.n_ahead + n_right).div_ceil(2) };
        self.n_ahead = self.n_ahead.clamp(self.most.min(1), self.most);
        self.n_wrong = if n_right == 0 { self.n_wrong + 1 } else { 0 };
        if self.n_wrong > 2 {
            self.n_paused = PAUSE;
        }
    }

    fn end(&mut self) {
        *self = Self::new(0);
    }
}

impl Steps<'_> {
    /// For each text the words that probably follow, without the one that ends it; none for texts with several hypotheses. Where guesses
    /// fail, none are made from then on.
    ///
    /// # Errors
    /// - [`Error::Cancelled`], [`Error::Busy`].
    pub(super) fn guess(
        &self,
        texts: &[Writing<'_>],
        guessing: &mut Guessing,
        cache: &mut Cache,
        step: &mut Step,
    ) -> Result<Vec<Vec<i64>>> {
        let mut guessed = vec![Vec::new(); texts.len()];
        let mut ahead: Vec<Option<Search<'_>>> = texts.iter().map(|writing| writing.search().ahead()).collect();
        let n_words = guessing.n_words(texts.iter().map(|writing| writing.rows().count()).sum());
        // The last word that a text may have is not fed.
        let n_left = ahead.iter().flatten().map(Search::n_left).max().unwrap_or(0);
        let n_words = n_words.min(n_left.saturating_sub(1));
        if n_words == 0 || !self.generator.has_draft() {
            return Ok(guessed);
        }
        let mut taken = Vec::new();
        for _ in 0..n_words {
            let entries = match self.guess_one(texts, &mut ahead, cache, step) {
                Ok(entries) if entries.is_empty() => break,
                Ok(entries) => entries,
                Err(error @ (Error::Cancelled | Error::Busy { .. })) => {
                    cache.discard(taken);
                    return Err(error);
                }
                Err(error) => {
                    log::warn!("words are not guessed any more: {}", error.report());
                    guessing.end();
                    break;
                }
            };
            taken.extend(entries);
            for (words, search) in guessed.iter_mut().zip(&ahead) {
                let live = search.as_ref().filter(|search| !search.is_done());
                words.extend(live.and_then(Search::last_word));
            }
        }
        cache.discard(taken);
        let n_guessed = guessed.iter().map(|words| words.len() as u64).sum();
        self.model.counters.n_draft_tokens.fetch_add(n_guessed, Ordering::Relaxed);
        Ok(guessed)
    }

    /// One word more of each text that goes on; gives the entries of what was fed, none where no text goes on.
    fn guess_one(
        &self,
        texts: &[Writing<'_>],
        ahead: &mut [Option<Search<'_>>],
        cache: &mut Cache,
        step: &mut Step,
    ) -> Result<Vec<usize>> {
        let going_on = texts.iter().zip(&*ahead).filter_map(|(writing, search)| Some((writing, search.as_ref()?)));
        let rows: Vec<StepRow<'_>> = going_on.flat_map(|(writing, search)| writing.rows_of(search)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let n_rows = rows.len();
        self.step(By::Draft, &rows, cache, step)?;
        let entries = self.keep(step, n_rows, cache)?;
        let live = ahead.iter_mut().flatten().filter(|search| !search.is_done());
        for ((search, entry), logits) in live.zip(&entries).zip(step.rows(n_rows)) {
            search.advance(&[*entry], &[logits])?;
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_follow_how_often_they_are_right() {
        let mut guessing = Guessing::new(6);
        assert_eq!((guessing.n_words(1), guessing.n_words(2), guessing.n_words(6)), (6, 2, 0));
        assert_eq!((Guessing::new(2).n_words(1), Guessing::new(2).n_words(2), Guessing::new(2).n_words(3)), (2, 2, 1));
        guessing.learn(6, 1);
        assert_eq!(guessing.n_words(1), 4);
        guessing.learn(4, 4);
        assert_eq!(guessing.n_words(1), 5);
        (0..3).for_each(|_| guessing.learn(3, 0));
        assert!((0..PAUSE).all(|_| guessing.n_words(1) == 0));
        assert_eq!(guessing.n_words(1), 1);
        (0..9).for_each(|n| guessing.learn(n + 1, n + 1));
        assert_eq!(guessing.n_words(1), 6);
        assert_eq!(Guessing::new(0).n_words(1), 0);
    }
}
