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
                all.push((total / ((5.0 + length as f64) / 6.0).powf(f64::from(penalty)), parent, word, total, length));
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
        assert_eq!((found[0].tokens.len(), found[0].finish), (0, Some(Finish::Exhausted)));
    }
}

#[test]
fn logits_that_are_no_numbers_are_an_error() {
    let settings = Generation::default();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(Search::new(&settings, END, 5, 3).advance(&[0], &[&[0.0, bad, 1.0]]).is_err());
    }
}

#[test]
fn a_text_begins_as_it_must_whatever_else_is_asked_for() {
    for decoding in [Decoding::Beam, Decoding::Greedy, Decoding::Sample] {
        let settings = Generation {
            decoding,
            forced_tokens: vec![3, 3, 3],
            no_repeat_ngram: 1,
            min_new_tokens: 5,
            ..Generation::default()
        };
        let found = run(&settings, 6, 4);
        assert_eq!(found[0].tokens[..3], [3, 3, 3], "{decoding:?}");
        assert!(found[0].tokens.len() >= 5, "{decoding:?}");
        // Forced tokens have the probabilities that they have.
        let forced: f64 = (0..3).map(|n| log_softmax(&logits_after(&vec![3; n], 4))[3]).sum();
        let only = Generation { no_repeat_ngram: 0, min_new_tokens: 0, ..settings };
        let found = run(&only, 3, 4);
        assert!((found[0].log_probability - forced).abs() < 1e-6, "{} {forced}", found[0].log_probability);
    }
}
