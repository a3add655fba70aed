//! What is done to the logits of a hypothesis before a word is chosen.

use super::settings::Generation;

/// Applies `settings` to the logits of the word after `tokens`; words that may not be written get -infinity. The probabilities
/// of the others are those among themselves. What a text must begin with is none of this: it is written whatever else is asked for.
pub(crate) fn process(settings: &Generation, end: i64, tokens: &[i64], logits: &mut [f32]) {
    if settings.repetition_penalty != 1.0 {
        penalise(settings.repetition_penalty, tokens, logits);
    }
    let mut forbid = |id: i64| {
        if let Some(logit) = usize::try_from(id).ok().and_then(|id| logits.get_mut(id)) {
            *logit = f32::NEG_INFINITY;
        }
    };
    settings.forbidden_tokens.iter().copied().for_each(&mut forbid);
    if tokens.len() < settings.min_new_tokens {
        forbid(end);
    }
    if settings.no_repeat_ngram > 0 && tokens.len() >= settings.forced_tokens.len() {
        repeating(settings.no_repeat_ngram, tokens).for_each(&mut forbid);
    }
}

/// Leaves only the word that must come after `tokens`, where one must: the logit that it has keeps its meaning.
pub(crate) fn force(settings: &Generation, tokens: &[i64], logits: &mut [f32]) {
    if let Some(forced) = settings.forced_tokens.get(tokens.len()) {
        let kept = usize::try_from(*forced).ok();
        let others = logits.iter_mut().enumerate().filter(|(id, _)| Some(*id) != kept);
        others.for_each(|(_, logit)| *logit = f32::NEG_INFINITY);
    }
}

fn penalise(penalty: f32, tokens: &[i64], logits: &mut [f32]) {
    let mut seen: Vec<usize> = tokens.iter().filter_map(|id| usize::try_from(*id).ok()).collect();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        if let Some(logit) = logits.get_mut(id) {
            let penalised = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
            // However small a penalty is, probabilities stay numbers.
            *logit = penalised.clamp(f32::MIN, f32::MAX);
        }
    }
}

/// Tokens that would end a sequence of `n` which is there already.
fn repeating(n: usize, tokens: &[i64]) -> impl Iterator<Item = i64> {
    let tail = tokens.len().checked_sub(n - 1).map_or(&[][..], |begin| &tokens[begin..]);
    let is_possible = tokens.len() >= n;
    let windows = tokens.windows(n).filter(move |window| is_possible && window[..n - 1] == *tail);
    windows.filter_map(|window| window.last().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: f32 = f32::NEG_INFINITY;

    fn processed(settings: &Generation, tokens: &[i64], mut logits: Vec<f32>) -> Vec<f32> {
        process(settings, 0, tokens, &mut logits);
        logits
    }

    #[test]
    fn written_tokens_are_penalised_once_each() {
        let settings = Generation { repetition_penalty: 2.0, ..Generation::default() };
        assert_eq!(processed(&settings, &[1, 2, 2], vec![1.0, 4.0, -4.0, -3.0]), [1.0, 2.0, -8.0, -3.0]);
        let least = Generation { repetition_penalty: 1e-3, ..Generation::default() };
        assert_eq!(processed(&least, &[0], vec![1e38, 1.0]), [f32::MAX, 1.0]);
    }

    #[test]
    fn no_sequence_is_written_twice() {
        let with = |n| Generation { no_repeat_ngram: n, ..Generation::default() };
        assert_eq!(processed(&with(2), &[1, 2, 3, 1], vec![0.0; 4]), [0.0, 0.0, NEVER, 0.0]);
        assert_eq!(processed(&with(3), &[1, 2, 3, 1, 2], vec![0.0; 4]), [0.0, 0.0, 0.0, NEVER]);
        assert_eq!(processed(&with(1), &[1, 3], vec![0.0; 4]), [0.0, NEVER, 0.0, NEVER]);
        assert_eq!(processed(&with(4), &[1, 2], vec![0.0; 4]), [0.0; 4]);
        assert_eq!(processed(&with(2), &[], vec![0.0; 4]), [0.0; 4]);
    }

    #[test]
    fn a_text_does_not_end_before_its_least_length_and_begins_as_it_must() {
        let settings = Generation {
            min_new_tokens: 2,
            forced_tokens: vec![3],
            forbidden_tokens: vec![1],
            ..Generation::default()
        };
        assert_eq!(processed(&settings, &[], vec![0.0; 4]), [NEVER, NEVER, 0.0, 0.0]);
        let mut forced = vec![0.5; 4];
        force(&settings, &[], &mut forced);
        assert_eq!(forced, [NEVER, NEVER, NEVER, 0.5]);
        force(&settings, &[3], &mut forced);
        assert_eq!(forced, [NEVER, NEVER, NEVER, 0.5]);
        assert_eq!(processed(&settings, &[3], vec![0.0; 4]), [NEVER, NEVER, 0.0, 0.0]);
        assert_eq!(processed(&settings, &[3, 3], vec![0.0; 4]), [0.0, NEVER, 0.0, 0.0]);
    }
}
