//! Words that a copy of the network in 8 bits guesses ahead, for the network itself to check in one run.
//!
//! A step reads all weights for a few rows: several words of a text, each fed as if those before it were right, cost little more than
//! one. The guesses of the copy, which is read in a quarter of the time, are right mostly. What is written is what the network says,
//! to the last bit: a row that follows rows of its run gets what it would have got after them (`kernels::attention`), and what follows a
//! wrong guess is dropped.
//!
//! Only texts with one hypothesis guess: the rows of beams and of several sequences are used well already.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::call::Call;
use super::generator::{Step, StepRow, Steps};
use super::network::Loaded;
use super::writing::Writing;
use crate::error::{Error, Result};
use crate::generate::cache::Cache;
use crate::generate::search::Search;
use crate::options::Options;
use crate::session::Session;

/// Rows of a run at most, those of guesses included, of two tokens each, unless more are asked for: with more, products take longer than
/// reading the weights does.
const MOST_ROWS: usize = 6;
/// Words that are guessed at first.
const FIRST: usize = 2;
/// What guessing a word costs, as a part of what writing one without guesses does.
const COST: f32 = 0.4;
/// Steps without guesses after they did not pay; twice as many each time.
const PAUSE: usize = 16;

/// Steps over weights of 8 bits, made by the first call that guesses.
#[derive(Debug)]
pub(super) struct Draft {
    loaded: Arc<Loaded>,
    path: PathBuf,
    options: Options,
    /// None where it could not be made.
    session: OnceLock<Option<Session>>,
    /// Held by who makes it.
    making: Mutex<()>,
    /// It gives no words.
    is_broken: AtomicBool,
}

impl Draft {
    pub(super) fn new(loaded: Arc<Loaded>, path: PathBuf, options: Options) -> Self {
        Self {
            loaded,
            path,
            options,
            session: OnceLock::new(),
            making: Mutex::new(()),
            is_broken: AtomicBool::new(false),
        }
    }

    /// None where it cannot be made, which is no reason to write nothing, while another thread makes it, and when the call is cancelled.
    fn session(&self, call: &Call) -> Option<&Session> {
        if self.session.get().is_none() {
            let _making = self.making.try_lock().ok()?;
            if self.session.get().is_none() {
                let made = self.make(call);
                if matches!(made, Err(Error::Cancelled)) {
                    return None;
                }
                let made = made.inspect_err(|e| self.warn("words are not guessed", e));
                self.session.set(made.ok()).ok()?;
            }
        }
        self.session.get()?.as_ref().filter(|_| !self.is_broken.load(Ordering::Relaxed))
    }

    fn make(&self, call: &Call) -> Result<Session> {
        let (graph, weights) = self.loaded.build_draft(|| call.check_cancelled())?;
        Session::open_built(&graph.model, &graph.weights, weights, &self.path, &self.options)
    }

    fn warn(&self, what: &str, error: &Error) {
        log::warn!("{}: {what}: {}", self.path.display(), error.report());
    }
}

/// How many words are worth guessing in a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guessing {
    /// Words, and rows, at most.
    most: usize,
    most_rows: usize,
    /// With the next step.
    n_ahead: usize,
    /// Words that guesses saved lately, less what they cost.
    gain: f32,
    /// Steps until guesses are tried again, and how many it will be the next time.
    n_paused: usize,
    next_pause: usize,
}

impl Guessing {
    /// As many words as the options say.
    pub(super) fn new(options: &Options) -> Self {
        let most = options.draft_tokens;
        let n_tokens = 2 * MOST_ROWS.max(most + 1);
        let most_rows = options.max_rows.min(options.max_batch_tokens.min(n_tokens) / 2);
        Self { most, most_rows, n_ahead: FIRST.min(most), gain: 0.0, n_paused: 0, next_pause: PAUSE }
    }

    /// Words to guess for each of so many rows.
    fn n_words(&mut self, n_rows: usize) -> usize {
        if self.n_paused > 0 {
            self.n_paused -= 1;
            return 0;
        }
        self.n_ahead.min((self.most_rows / n_rows.max(1)).saturating_sub(1))
    }

    /// Takes how many words of a text were guessed, and how many were right.
    pub(super) fn learn(&mut self, n_guessed: usize, n_right: usize) {
        if n_guessed == 0 {
            return;
        }
        self.n_ahead = if n_right == n_guessed { self.n_ahead + 1 } else { (self.n_ahead + n_right).div_ceil(2) };
        self.n_ahead = self.n_ahead.clamp(1, self.most);
        self.gain = 0.9 * self.gain + n_right as f32 - COST * n_guessed as f32;
        if self.gain < -1.0 {
            (self.n_ahead, self.gain) = (1, 0.0);
            (self.n_paused, self.next_pause) = (self.next_pause, 2 * self.next_pause);
        }
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
        call: &Call,
        texts: &[Writing<'_>],
        guessing: &mut Guessing,
        cache: &mut Cache,
        step: &mut Step,
    ) -> Result<Vec<Vec<i64>>> {
        let mut guessed = vec![Vec::new(); texts.len()];
        let Some(draft) = &self.generator.draft else { return Ok(guessed) };
        // The last word that a text may have is not fed.
        let n_left = texts.iter().map(|writing| writing.search().n_left()).max().unwrap_or(0).saturating_sub(1);
        let n_words = guessing.n_words(texts.iter().map(|writing| writing.rows().count()).sum()).min(n_left);
        if n_words == 0 {
            return Ok(guessed);
        }
        let mut ahead: Vec<Option<Search<'_>>> = texts.iter().map(|writing| writing.search().ahead()).collect();
        if ahead.iter().all(Option::is_none) {
            return Ok(guessed);
        }
        let Some(session) = draft.session(call) else { return Ok(guessed) };
        let mut taken = Vec::new();
        for _ in 0..n_words {
            match self.guess_one(session, texts, &mut ahead, cache, step, &mut taken) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error @ (Error::Cancelled | Error::Busy { .. })) => {
                    cache.discard(taken);
                    return Err(error);
                }
                Err(error) => {
                    draft.is_broken.store(true, Ordering::Relaxed);
                    draft.warn("words are not guessed any more", &error);
                    break;
                }
            }
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

    /// One word more of each text that goes on, whose entries are added to those `taken`; `false` where no text goes on.
    fn guess_one(
        &self,
        session: &Session,
        texts: &[Writing<'_>],
        ahead: &mut [Option<Search<'_>>],
        cache: &mut Cache,
        step: &mut Step,
        taken: &mut Vec<usize>,
    ) -> Result<bool> {
        let going_on = texts.iter().zip(&*ahead).filter_map(|(writing, search)| Some((writing, search.as_ref()?)));
        let rows: Vec<StepRow<'_>> = going_on.flat_map(|(writing, search)| writing.rows_of(search)).collect();
        let n_rows = rows.len();
        if n_rows == 0 {
            return Ok(false);
        }
        self.step(session, &rows, cache, step)?;
        let entries = self.keep(step, n_rows, cache)?;
        taken.extend_from_slice(&entries);
        let live = ahead.iter_mut().flatten().filter(|search| !search.is_done());
        for ((search, entry), logits) in live.zip(&entries).zip(step.rows(n_rows)) {
            search.advance(&[*entry], &[logits])?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessing(draft_tokens: usize, max_rows: usize) -> Guessing {
        Guessing::new(&Options { draft_tokens, max_rows, ..Options::default() })
    }

    #[test]
    fn guesses_follow_how_often_they_are_right() {
        let mut five = guessing(5, 32);
        assert_eq!(five.n_words(1), FIRST);
        (2..5).for_each(|n| five.learn(n, n));
        assert_eq!((five.n_words(1), five.n_words(2), five.n_words(3), five.n_words(6)), (5, 2, 1, 0));
        five.learn(5, 5);
        assert_eq!(five.n_words(1), 5);
        five.learn(5, 1);
        assert_eq!(five.n_words(1), 3);
        // One of five, each alone, does not pay.
        let mut n_guessed = 0;
        for n in 0..300 {
            if five.n_words(1) > 0 {
                n_guessed += 1;
                five.learn(1, usize::from(n % 5 == 0));
            }
        }
        assert!((3..100).contains(&n_guessed), "{n_guessed}");
    }

    #[test]
    fn rows_are_no_more_than_the_options_allow() {
        assert_eq!((guessing(0, 32).n_words(1), guessing(5, 1).n_words(1), guessing(5, 2).n_words(1)), (0, 0, 1));
        let mut many = guessing(16, 32);
        (0..40).for_each(|_| many.learn(16, 16));
        assert_eq!((many.n_words(1), many.n_words(2), many.n_words(17)), (16, 7, 0));
        let options = Options { max_batch_tokens: 7, ..Options::default() };
        assert_eq!(Guessing::new(&options).n_words(1), 2);
    }
}
