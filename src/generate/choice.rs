//! Picking words of a row of logits: the best, the few best, one by chance.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::settings::Generation;
use crate::kernels::selection::{FEW, best};

/// A word and its logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) id: usize,
    pub(crate) logit: f32,
}

/// The words that may be written, each with its logit.
fn words(logits: &[f32]) -> impl Iterator<Item = (usize, f32)> + Clone {
    logits.iter().copied().enumerate().filter(|(_, logit)| *logit > f32::NEG_INFINITY)
}

/// The `n` words with the largest logits, largest first, of equals the smaller id; fewer where the rest is -infinity.
pub(crate) fn largest(logits: &[f32], n: usize) -> Vec<Word> {
    best(words(logits), n).into_iter().map(|(id, logit)| Word { id, logit }).collect()
}

/// Chance of one sequence: the same seed and number of the sequence give the same.
#[derive(Clone, Debug)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn new(seed: u64, sequence: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(sequence as u64);
        Self(random)
    }

    /// A number from 0 and below 1.
    fn next(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A word as likely as its probability among those that `settings` leaves; `None` where all are -infinity.
pub(crate) fn sample(settings: &Generation, logits: &[f32], chance: &mut Chance) -> Option<Word> {
    let drawn = chance.next();
    let best = *largest(logits, 1).first()?;
    let weight = |word: &Word| (f64::from(word.logit - best.logit) / f64::from(settings.temperature)).exp();
    let is_limited = settings.top_k.is_some_and(|k| k < logits.len());
    if !is_limited && settings.top_p >= 1.0 {
        let words = words(logits).map(|(id, logit)| Word { id, logit });
        let total: f64 = words.clone().map(|word| weight(&word)).sum();
        return pick(words, weight, drawn * total);
    }
    let total = |words: &[Word]| words.iter().map(weight).sum::<f64>();
    let mut words = match settings.top_k.filter(|_| is_limited) {
        Some(k) => largest(logits, k),
        None => Vec::new(),
    };
    let all: f64 = match is_limited {
        true => total(&words),
        false => logits.iter().map(|logit| weight(&Word { id: 0, logit: *logit })).sum(),
    };
    let wanted = f64::from(settings.top_p) * all;
    if !is_limited {
        // Few words are enough nearly always.
        let mut n = FEW;
        words = largest(logits, n);
        while n < logits.len() && total(&words) < wanted {
            n = n.saturating_mul(8).min(logits.len());
            words = largest(logits, n);
        }
    }
    if settings.top_p < 1.0 {
        let mut sum = 0.0;
        let is_missing = |word: &Word| {
            let before = sum;
            sum += weight(word);
            before < wanted
        };
        let n_likely = words.iter().map(is_missing).take_while(|is_missing| *is_missing).count();
        words.truncate(n_likely.max(1));
    }
    let sum = total(&words);
    pick(words.into_iter(), weight, drawn * sum)
}

/// The word in whose part of the sum of all weights `place` lies.
fn pick(words: impl Iterator<Item = Word>, weight: impl Fn(&Word) -> f64, place: f64) -> Option<Word> {
    let (mut sum, mut last) = (0.0, None);
    for word in words {
        let of_word = weight(&word);
        sum += of_word;
        if of_word > 0.0 {
            last = Some(word);
        }
        if sum > place && of_word > 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::settings::Decoding;
    use super::*;

    fn sampling(temperature: f32, top_k: Option<usize>, top_p: f32) -> Generation {
        Generation { decoding: Decoding::Sample, temperature, top_k, top_p, ..Generation::default() }
    }

    /// How often each word is drawn in 20,000 draws.
    fn shares(settings: &Generation, logits: &[f32]) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        let mut chance = Chance::new(7, 0);
        for _ in 0..20_000 {
            counts[sample(settings, logits, &mut chance).unwrap().id] += 1.0 / 20_000.0;
        }
        counts
    }

    #[test]
    fn words_are_drawn_as_often_as_they_are_likely() {
        let logits: Vec<f32> = [0.5_f32, 0.25, 0.125, 0.125].iter().map(|p| p.ln() + 3.0).collect();
        let near = |settings: &Generation, wanted: &[f64]| {
            for (share, wanted) in shares(settings, &logits).iter().zip(wanted) {
                assert!((share - wanted).abs() < 0.012, "{settings:?}: {share}, not {wanted}");
                assert!(*wanted > 0.0 || *share == 0.0);
            }
        };
        near(&sampling(1.0, None, 1.0), &[0.5, 0.25, 0.125, 0.125]);
        near(&sampling(1.0, Some(2), 1.0), &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]);
        near(&sampling(1.0, None, 0.7), &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]);
        near(&sampling(1.0, Some(3), 0.6), &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]);
        near(&sampling(1.0, Some(3), 0.5), &[1.0, 0.0, 0.0, 0.0]);
        near(&sampling(1.0, None, 1e-6), &[1.0, 0.0, 0.0, 0.0]);
        near(&sampling(0.5, None, 1.0), &[16.0 / 22.0, 4.0 / 22.0, 1.0 / 22.0, 1.0 / 22.0]);
        near(&sampling(1.0, Some(9), 1.0), &[0.5, 0.25, 0.125, 0.125]);
    }

    #[test]
    fn sequences_of_one_seed_differ_and_each_is_given_again() {
        let draw = |seed, sequence| {
            let mut chance = Chance::new(seed, sequence);
            (0..4).map(|_| chance.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(3, 1), draw(3, 1));
        assert!(draw(3, 1) != draw(3, 2) && draw(3, 1) != draw(4, 1));
        assert_eq!(draw(0, 0).iter().filter(|x| (0.0..1.0).contains(*x)).count(), 4);
    }

    #[test]
    fn what_is_forbidden_is_never_drawn() {
        let never = f32::NEG_INFINITY;
        let mut chance = Chance::new(1, 0);
        for settings in [sampling(1.0, None, 1.0), sampling(1.0, Some(2), 0.9), sampling(9.0, None, 0.99)] {
            assert_eq!(sample(&settings, &[never; 3], &mut chance), None);
            for _ in 0..100 {
                assert_eq!(sample(&settings, &[never, 1.0, never], &mut chance).unwrap().id, 1);
            }
        }
    }

    #[test]
    fn a_nucleus_of_many_words_is_found() {
        let logits = vec![0.0; 3000];
        let settings = sampling(1.0, None, 0.5);
        let mut chance = Chance::new(5, 0);
        let most = (0..2000).map(|_| sample(&settings, &logits, &mut chance).unwrap().id).max().unwrap();
        assert!((1400..1500).contains(&most), "{most}");
    }
}
