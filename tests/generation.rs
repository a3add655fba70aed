//! Texts that generators write: what the reference's script writes for the fixture, and laws that hold for any weights.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ernie::error::Error;
use ernie::options::{Options, Precision};
use ernie::pipeline::export::{GraphKind, export};
use ernie::pipeline::{
    Call, Cancel, Decoding, Finish, Generated, Generation, Input, Model, OnText, Output, Piece, SourcePadding,
};
use ernie::tokenize::Truncation;
use serde_json::Value;

const SEED: &str = "paddle_ernie_generator";
/// `[SEP]`, which ends a text.
const END: i64 = 2;
const MOST_NEW: usize = 16;
/// Bytes that a token's keys and values take: 2 layers of 3 heads of 10.
const ENTRY: u64 = 4 * 2 * 2 * 30;
const TEXTS: [&str; 8] = [
    "今天天气很好。",
    "The quick brown fox jumps",
    "",
    "北京是[MASK]国的[MASK]京",
    "Ok! 我们1去北京, a GOOD 天气?",
    "今天[SEP]天气很好",
    "今天我们去北京，天气很好。A very long story of the north, 很好很好！我们是中国的。",
    "你说什么？",
];

fn dir(name: &str) -> PathBuf {
    support::root().join("tests/fixtures/checkpoints").join(name)
}

fn try_open(path: &Path, options: &[(&str, &str)]) -> Result<Model, Error> {
    support::load_runtime();
    let mut all = Options::default();
    options.iter().for_each(|(key, value)| all.set(key, value).unwrap());
    Model::open(path, &all)
}

fn open(options: &[(&str, &str)]) -> Model {
    try_open(&dir(SEED), options).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn text(text: &str) -> Input<'_> {
    Input { text, pair: None }
}

/// All texts, and one with a pair.
fn inputs() -> Vec<Input<'static>> {
    let pair = Input { text: "天气好", pair: Some("好天气 is ok") };
    TEXTS.iter().map(|one| text(one)).chain([pair]).collect()
}

fn base() -> Generation {
    Generation { max_new_tokens: Some(MOST_NEW), ..Generation::default() }
}

fn greedy() -> Generation {
    Generation { decoding: Decoding::Greedy, ..base() }
}

fn sample(seed: u64, n_sequences: usize) -> Generation {
    Generation { decoding: Decoding::Sample, seed, n_sequences, ..base() }
}

/// One of each way to choose words.
fn ways() -> [Generation; 4] {
    [
        base(),
        Generation { n_sequences: 3, n_beams: 3, length_penalty: 0.6, ..base() },
        greedy(),
        Generation { top_k: Some(20), top_p: 0.9, temperature: 1.3, ..sample(3, 3) },
    ]
}

fn generate(model: &Model, inputs: &[Input<'_>], settings: &Generation, on_text: Option<&mut OnText<'_>>) -> Output {
    model.generate(inputs, &Call::default(), settings, on_text).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn write(model: &Model, inputs: &[Input<'_>], settings: &Generation) -> Vec<Vec<Generated>> {
    generate(model, inputs, settings, None).generated
}

/// The pieces of each sequence.
type Pieces = BTreeMap<(usize, usize), Vec<String>>;

fn stream(model: &Model, inputs: &[Input<'_>], settings: &Generation) -> (Vec<Vec<Generated>>, Pieces) {
    let mut pieces = Pieces::new();
    let mut on_text = |piece: Piece<'_>| {
        pieces.entry((piece.input, piece.sequence)).or_default().push(piece.text.to_owned());
        true
    };
    let written = generate(model, inputs, settings, Some(&mut on_text)).generated;
    (written, pieces)
}

/// All of what was written, the numbers bit by bit.
fn bits(written: &[Generated]) -> Vec<(&str, &[i64], u32, u32, Finish)> {
    let one = |g: &Generated| (g.score.to_bits(), g.log_probability.to_bits());
    written.iter().map(|g| (g.text.as_str(), &g.token_ids[..], one(g).0, one(g).1, g.finish)).collect()
}

fn message<T>(result: Result<T, Error>) -> String {
    result.map(|_| ()).unwrap_err().report()
}

// What the reference writes.

fn settings_of(result: &Value, source_padding: SourcePadding) -> Generation {
    let base = Generation { source_padding, ..base() };
    match result["method"].as_str().unwrap() {
        "greedy" => Generation { decoding: Decoding::Greedy, ..base },
        _ => Generation {
            n_beams: result["beam_width"].as_u64().unwrap() as usize,
            length_penalty: result["length_penalty"].as_f64().unwrap() as f32,
            ..base
        },
    }
}

fn expect_same(what: &str, found: &Generated, result: &Value, atol: f32) -> f32 {
    let ids: Vec<i64> = serde_json::from_value(result["ids"].clone()).unwrap();
    let finish = if result["is_ended"].as_bool().unwrap() { Finish::End } else { Finish::Length };
    let wanted = (&ids, result["text"].as_str().unwrap(), finish);
    assert_eq!((&found.token_ids, found.text.as_str(), found.finish), wanted, "{what}: {result}");
    let number = |key: &str| result[key].as_f64().unwrap() as f32;
    let wanted = [number("score"), number("log_probability")];
    support::assert_close(what, &[found.score, found.log_probability], &wanted, atol, 0.0)
}

#[test]
fn the_fixture_is_written_as_the_reference_writes_it() {
    let expect: Value =
        serde_json::from_slice(&std::fs::read(dir(SEED).join("expect_generation.json")).unwrap()).unwrap();
    let model = open(&[]);
    let most = expect["options"]["max_encode_len"].as_u64().unwrap() as usize;
    let call = Call { seed_truncate_to: Some(most), ..Call::default() };
    let sources = expect["inputs"].as_array().unwrap();
    let all: Vec<Input<'_>> = sources.iter().map(|source| text(source["text"].as_str().unwrap())).collect();
    for (encoding, source) in model.tokenize(&all, &call).unwrap().iter().zip(sources) {
        let wanted: Vec<i64> = serde_json::from_value(source["input_ids"].clone()).unwrap();
        assert_eq!(encoding.input_ids, wanted, "{}", source["id"]);
    }
    let (mut worst, mut worst_padded, mut n_compared) = (0.0_f32, 0.0_f32, 0);
    for (index, source) in sources.iter().enumerate() {
        for result in source["results"].as_array().unwrap() {
            let settings = settings_of(result, SourcePadding::None);
            let alone = model.generate(&all[index..=index], &call, &settings, None).unwrap().generated;
            let together = model.generate(&all, &call, &settings, None).unwrap().generated;
            assert_eq!(bits(&alone[0]), bits(&together[index]), "{} {settings:?}", source["id"]);
            // Tokens of padding see all others by scores of 10,000, in which little of what they differ by is left.
            let atol = if source["id"] == "padding_in_text" { 2e-3 } else { 1e-4 };
            let difference = expect_same(&format!("{} {settings:?}", source["id"]), &alone[0][0], result, atol);
            let worst = if atol < 1e-3 { &mut worst } else { &mut worst_padded };
            *worst = worst.max(difference);
            n_compared += 1;
        }
    }
    let place = |id: &Value| all[sources.iter().position(|source| source["id"] == *id).unwrap()];
    for batch in expect["batches"].as_array().unwrap() {
        let members: Vec<Input<'_>> = batch["members"].as_array().unwrap().iter().map(place).collect();
        for (row, results) in batch["results"].as_array().unwrap().iter().enumerate() {
            for result in results.as_array().unwrap() {
                let settings = settings_of(result, SourcePadding::Reference);
                let written = model.generate(&members, &call, &settings, None).unwrap().generated;
                let what = format!("{}[{row}] {settings:?}", batch["members"]);
                worst_padded = worst_padded.max(expect_same(&what, &written[row][0], result, 2e-3));
                n_compared += 1;
            }
        }
    }
    // Written directly: what a passing test prints through the macros is not shown.
    let mut stderr = std::io::stderr();
    writeln!(
        stderr,
        "{SEED}: {n_compared} texts equal; scores differ by {worst:.1e}, with padding by {worst_padded:.1e}"
    )
    .unwrap();
}

// Laws.

#[test]
fn a_text_is_the_same_alone_and_in_any_batch_by_any_threads_and_rows() {
    let model = open(&[]);
    let all = inputs();
    let many = Generation { no_repeat_ngram: 2, repetition_penalty: 1.4, stop: vec!["g".into()], ..base() };
    let ways: Vec<Generation> = ways().into_iter().chain([many]).collect();
    let alone = |settings: &Generation| -> Vec<Vec<Generated>> {
        all.iter().map(|input| write(&model, &[*input], settings).swap_remove(0)).collect()
    };
    let alone: Vec<Vec<Vec<Generated>>> = ways.iter().map(alone).collect();
    let padded = Generation { source_padding: SourcePadding::Reference, ..base() };
    let wanted_padded = write(&model, &all, &padded);
    assert!(wanted_padded.iter().zip(&alone[0]).any(|(a, b)| a[0].token_ids != b[0].token_ids), "padding is not seen");
    let order: Vec<usize> = (0..all.len()).map(|i| (i * 5 + 3) % all.len()).collect();
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), all.len());
    let shuffled: Vec<Input<'_>> = order.iter().map(|i| all[*i]).collect();
    let places = (1..=7).map(|max_rows| (["1", "2", "4"][max_rows % 3], max_rows)).chain([("1", 32), ("4", 4)]);
    for (threads, max_rows) in places {
        let model = open(&[("threads", threads), ("max_rows", &max_rows.to_string())]);
        for (settings, alone) in ways.iter().zip(&alone) {
            let what = format!("{threads} threads, {max_rows} rows, {settings:?}");
            for (place, written) in order.iter().zip(write(&model, &shuffled, settings)) {
                assert_eq!(bits(&written), bits(&alone[*place]), "{what}: {place} of all, in another order");
            }
            for part in [0..2, 3..7, 8..9] {
                for (written, alone) in write(&model, &all[part.clone()], settings).iter().zip(&alone[part]) {
                    assert_eq!(bits(written), bits(alone), "{what}: a few");
                }
            }
        }
        for (written, wanted) in write(&model, &all, &padded).iter().zip(&wanted_padded) {
            assert_eq!(bits(written), bits(wanted), "{threads} threads, {max_rows} rows, padded");
        }
    }
}

#[test]
fn calls_at_once_write_what_each_writes_alone() {
    let model = open(&[]);
    let all = inputs();
    let wanted: Vec<_> = ways().iter().map(|settings| write(&model, &all, settings)).collect();
    std::thread::scope(|scope| {
        for (settings, wanted) in ways().into_iter().zip(&wanted) {
            let (model, all) = (&model, &all);
            scope.spawn(move || (0..3).for_each(|_| assert_eq!(&write(model, all, &settings), wanted)));
        }
    });
    assert_eq!(model.stats().cache_bytes, 0);
}

#[test]
fn chance_is_that_of_the_seed_and_the_sequence_alone() {
    let model = open(&[]);
    let all = inputs();
    let many = write(&model, &all, &sample(7, 6));
    for (input, sequences) in all.iter().zip(&many) {
        let differing: BTreeSet<&[i64]> = sequences.iter().map(|g| &g.token_ids[..]).collect();
        assert!(sequences.len() == 6 && differing.len() > 4, "{input:?}: {differing:?}");
        for n_sequences in [1, 2, 5] {
            let few = write(&model, &[*input], &sample(7, n_sequences)).swap_remove(0);
            assert_eq!(bits(&few), bits(&sequences[..n_sequences]));
        }
    }
    assert_ne!(write(&model, &all, &sample(8, 6)), many);
    let best = write(&model, &all, &greedy());
    for likely in [
        Generation { temperature: 1e-4, ..sample(3, 2) },
        Generation { top_k: Some(1), ..sample(4, 2) },
        Generation { top_p: 1e-6, ..sample(5, 2) },
    ] {
        for (sequences, best) in write(&model, &all, &likely).iter().zip(&best) {
            for sequence in sequences {
                assert_eq!(bits(std::slice::from_ref(sequence)), bits(best), "{likely:?}");
            }
        }
    }
}

#[test]
fn more_beams_asked_for_are_further_texts_in_order() {
    let model = open(&[]);
    let all = inputs();
    for length_penalty in [-1.0, 0.0, 0.6, 1.0, 1.4] {
        let one = Generation { length_penalty, ..base() };
        let first = write(&model, &all, &one);
        for n_sequences in 2..=5 {
            let several = write(&model, &all, &Generation { n_sequences, ..one.clone() });
            for (several, first) in several.iter().zip(&first) {
                assert_eq!(
                    bits(&several[..1]),
                    bits(first),
                    "{n_sequences} sequences, length penalty {length_penalty}"
                );
                let different: BTreeSet<_> = several.iter().map(|g| (&g.token_ids, g.finish == Finish::End)).collect();
                assert_eq!((several.len(), different.len()), (n_sequences, n_sequences));
                assert!(several.is_sorted_by(|a, b| a.score >= b.score), "{several:?}");
                for g in several {
                    let length = ((5.0 + g.token_ids.len() as f32) / 6.0).powf(length_penalty);
                    assert!((g.score - g.log_probability / length).abs() < 1e-4 * g.score.abs(), "{g:?}");
                }
            }
        }
    }
    // What was found is listed for programs that know nothing of generation.
    let output = generate(&model, &all[..1], &Generation { n_sequences: 2, ..base() }, None);
    for (item, g) in output.items[0].iter().zip(&output.generated[0]) {
        assert_eq!((&item.text, item.score), (&g.text, g.score));
    }
}

/// Settings under which stop strings end some texts.
fn with_stops(settings: &Generation) -> Generation {
    Generation { stop: vec!["g b".into(), "中。".into(), "z".into(), "f m\u{FFFD}".into()], ..settings.clone() }
}

#[test]
fn pieces_are_the_text() {
    let model = open(&[]);
    let all = inputs();
    let mut n_pieces = 0;
    for settings in ways().iter().flat_map(|way| [way.clone(), with_stops(way)]) {
        let wanted = write(&model, &all, &settings);
        let (written, mut pieces) = stream(&model, &all, &settings);
        assert_eq!(written, wanted, "{settings:?}: listening changes nothing");
        for (input, sequences) in written.iter().enumerate() {
            for (sequence, g) in sequences.iter().enumerate() {
                let pieces = pieces.remove(&(input, sequence)).unwrap_or_default();
                assert_eq!(pieces.concat(), g.text, "{settings:?}: text {input}, sequence {sequence}: {pieces:?}");
                assert!(pieces.iter().all(|piece| !piece.is_empty()), "{pieces:?}");
                n_pieces += pieces.len();
            }
        }
        assert!(pieces.is_empty(), "{settings:?}: {pieces:?}");
        // Where words are final at once they are told at once.
        if settings.decoding == Decoding::Greedy && settings.stop.is_empty() {
            assert!(stream(&model, &all[..1], &settings).1[&(0, 0)].len() > 8);
        }
    }
    assert!(n_pieces > 500, "{n_pieces}");
}

#[test]
fn a_listener_stops_one_text_and_no_other() {
    let model = open(&[]);
    let all = inputs();
    for settings in [greedy(), with_stops(&greedy()), sample(5, 3)] {
        let unstopped = write(&model, &all, &settings);
        for n_wanted in 1..4 {
            let mut pieces = Pieces::new();
            let mut on_text = |piece: Piece<'_>| {
                let told = pieces.entry((piece.input, piece.sequence)).or_default();
                told.push(piece.text.to_owned());
                piece.input != 3 || piece.sequence != 0 || told.len() < n_wanted
            };
            let written = generate(&model, &all, &settings, Some(&mut on_text)).generated;
            for (input, (written, unstopped)) in written.iter().zip(&unstopped).enumerate() {
                for (sequence, (written, unstopped)) in written.iter().zip(unstopped).enumerate() {
                    let told = pieces.get(&(input, sequence)).map(|pieces| pieces.concat()).unwrap_or_default();
                    if (input, sequence) != (3, 0) {
                        assert_eq!((written, &told), (unstopped, &unstopped.text), "{settings:?}: {input}, {sequence}");
                        continue;
                    }
                    let n_told = pieces[&(3, 0)].len();
                    assert!(n_told <= n_wanted, "{settings:?}: {n_told} pieces, {n_wanted} were wanted");
                    assert!(unstopped.text.starts_with(&told) && unstopped.text.starts_with(&written.text));
                    assert!(written.text.starts_with(&told), "{written:?}: {told}");
                    let is_cut = written.token_ids.len() < unstopped.token_ids.len();
                    assert!(!is_cut || written.finish == Finish::Stopped, "{settings:?}: {written:?}");
                }
            }
        }
    }
}

#[test]
fn a_listener_stops_all_beams_of_a_text() {
    let model = open(&[]);
    let all = inputs();
    for settings in [base(), Generation { length_penalty: 0.6, n_sequences: 3, ..base() }, with_stops(&base())] {
        let unstopped = write(&model, &all, &settings);
        for stopped in 0..all.len() {
            let mut after = Vec::new();
            let mut is_stopped = false;
            let mut on_text = |piece: Piece<'_>| {
                if piece.input != stopped {
                    return true;
                }
                if is_stopped {
                    after.push(piece.text.to_owned());
                }
                is_stopped = true;
                false
            };
            let written = generate(&model, &all, &settings, Some(&mut on_text)).generated;
            assert_eq!(after, Vec::<String>::new(), "{settings:?}: more of {stopped} after it was stopped");
            for (input, (written, unstopped)) in written.iter().zip(&unstopped).enumerate() {
                assert!(input == stopped || written == unstopped, "{settings:?}: {input} beside {stopped}");
            }
        }
    }
}

#[test]
fn a_text_ends_before_a_stop_string() {
    let model = open(&[]);
    let all = inputs();
    for settings in ways() {
        let without = write(&model, &all, &settings);
        let stops = with_stops(&settings);
        let written = write(&model, &all, &stops);
        let mut n_stopped = 0;
        for (written, without) in written.iter().flatten().zip(without.iter().flatten()) {
            assert!(stops.stop.iter().all(|stop| !written.text.contains(stop)), "{written:?}");
            if settings.decoding != Decoding::Beam {
                let is_cut = written.text != without.text;
                assert!(without.text.starts_with(&written.text), "{written:?} of {without:?}");
                assert_eq!(written.finish == Finish::StopString, is_cut, "{written:?} of {without:?}");
                assert!(without.token_ids.starts_with(&written.token_ids), "{written:?} of {without:?}");
            }
            n_stopped += usize::from(written.finish == Finish::StopString);
        }
        assert!(n_stopped > 1, "{settings:?}");
    }
}

#[test]
fn a_stop_string_at_the_last_token_is_why_a_text_ends() {
    let model = open(&[]);
    let (input, full) = ([text(TEXTS[0])], write(&model, &[text(TEXTS[0])], &greedy()).swap_remove(0).swap_remove(0));
    let pieces = stream(&model, &input, &greedy()).1.remove(&(0, 0)).unwrap();
    assert_eq!(full.finish, Finish::Length);
    // Two words that occur together at the end only.
    let stop = pieces[pieces.len() - 2..].concat();
    assert_eq!(full.text.find(&stop), Some(full.text.len() - stop.len()), "{full:?}");
    for settings in [greedy(), Generation { top_k: Some(1), ..sample(1, 1) }, Generation { n_beams: 1, ..base() }] {
        let settings = Generation { stop: vec![stop.clone()], ..settings };
        let g = write(&model, &input, &settings).swap_remove(0).swap_remove(0);
        assert_eq!((g.text.as_str(), g.finish), (&full.text[..full.text.len() - stop.len()], Finish::StopString));
    }
}

#[test]
fn words_are_those_that_settings_allow() {
    let model = open(&[]);
    let tokenizer = model.tokenizer().unwrap();
    let id = |token: &str| tokenizer.id(token).unwrap();
    let all = inputs();
    let ids = |settings: &Generation| -> Vec<Generated> { write(&model, &all, settings).concat() };
    for way in ways() {
        let usual = ids(&way);
        let forbidden = vec![id("f"), id("b"), id("中"), id("##o"), id("。")];
        assert!(usual.iter().any(|g| g.token_ids.iter().any(|id| forbidden.contains(id))));
        for g in ids(&Generation { forbidden_tokens: forbidden.clone(), ..way.clone() }) {
            assert!(g.token_ids.iter().all(|id| !forbidden.contains(id)), "{way:?}: {g:?}");
        }
        for g in ids(&Generation { forbidden_tokens: vec![END], ..way.clone() }) {
            assert_eq!((g.token_ids.len(), g.finish), (MOST_NEW, Finish::Length), "{way:?}");
        }
        let forced = vec![id("国"), id("##x"), id("国"), 0, id("[UNK]")];
        for g in ids(&Generation { forced_tokens: forced.clone(), ..way.clone() }) {
            assert!(g.token_ids.starts_with(&forced) && g.text.starts_with("国x国"), "{way:?}: {g:?}");
        }
        assert!(usual.iter().any(|g| g.token_ids.len() < 12));
        for g in ids(&Generation { min_new_tokens: 12, ..way.clone() }) {
            assert!((12..=MOST_NEW).contains(&g.token_ids.len()), "{way:?}: {g:?}");
        }
        for most in [1, 2, 7] {
            for g in ids(&Generation { max_new_tokens: Some(most), ..way.clone() }) {
                let is_full = g.token_ids.len() == most;
                assert_eq!((g.token_ids.len() <= most, g.finish == Finish::Length), (true, is_full), "{way:?}: {g:?}");
            }
        }
        for n in 1..4 {
            let mut n_differ = 0;
            for (g, usual) in ids(&Generation { no_repeat_ngram: n, ..way.clone() }).iter().zip(&usual) {
                let grams: BTreeSet<&[i64]> = g.token_ids.windows(n).collect();
                assert_eq!(grams.len(), g.token_ids.windows(n).len(), "{way:?}, {n}: {g:?}");
                n_differ += usize::from(g != usual);
            }
            assert!(n_differ > 0 || n == 3, "{way:?}: nothing was repeated");
        }
        assert_eq!(ids(&Generation { repetition_penalty: 1.0, ..way.clone() }), usual, "{way:?}");
        let repeated = |all: &[Generated]| -> usize {
            all.iter().map(|g| g.token_ids.len() - g.token_ids.iter().collect::<BTreeSet<_>>().len()).sum()
        };
        let penalised = ids(&Generation { repetition_penalty: 3.0, ..way.clone() });
        assert!(2 * repeated(&penalised) < repeated(&usual), "{way:?}");
        // Two words, each once: then no word is left, and the model has not ended the text.
        let but = |kept: &[i64]| (0..81).filter(|id| !kept.contains(id)).collect::<Vec<i64>>();
        let two = [id("f"), id("##m")];
        for g in ids(&Generation { forbidden_tokens: but(&two), no_repeat_ngram: 1, ..way.clone() }) {
            assert_eq!((g.token_ids.len(), g.finish), (2, Finish::Exhausted), "{way:?}: {g:?}");
            assert!(g.score.is_finite() && g.log_probability.is_finite());
        }
    }
}

#[test]
fn cancelled_calls_end_and_leave_nothing() {
    let model = open(&[("max_rows", "4")]);
    let all = inputs();
    for settings in ways() {
        let wanted = write(&model, &all, &settings);
        let cancel = Arc::new(Cancel::default());
        let call = Call { cancel: Some(cancel.clone()), ..Call::default() };
        assert_eq!(model.generate(&all, &call, &settings, None).unwrap().generated, wanted);
        let mut n_told = 0;
        let mut on_text = |_: Piece<'_>| {
            n_told += 1;
            cancel.signal();
            true
        };
        let result = model.generate(&all, &call, &settings, Some(&mut on_text));
        assert!(matches!(result, Err(Error::Cancelled)), "{settings:?}: {result:?}");
        // The texts of one step were told, no more.
        assert!((1..=4).contains(&n_told), "{settings:?}: {n_told}");
        let before = model.stats();
        assert!(matches!(model.generate(&all, &call, &settings, None), Err(Error::Cancelled)));
        assert!(matches!(model.generate(&[], &call, &settings, None), Err(Error::Cancelled)));
        assert_eq!((model.stats(), before.cache_bytes), (before, 0));
        assert_eq!(write(&model, &all, &settings), wanted, "{settings:?}");
    }
}

#[test]
fn guesses_change_nothing_but_the_time() {
    let (alone, guessing) = (open(&[("draft_tokens", "0")]), open(&[("draft_tokens", "16")]));
    let all = inputs();
    let more = [
        Generation { stop: vec!["a".into(), "上".into()], ..greedy() },
        Generation { forced_tokens: vec![20, 21, 22], max_new_tokens: Some(5), ..greedy() },
        Generation { no_repeat_ngram: 2, repetition_penalty: 1.7, min_new_tokens: 9, ..greedy() },
        Generation { decoding: Decoding::Sample, temperature: 2.0, top_k: Some(9), seed: 5, ..greedy() },
        Generation { decoding: Decoding::Sample, top_p: 0.9, seed: 6, ..greedy() },
        Generation { max_new_tokens: Some(1), ..greedy() },
        Generation { source_padding: SourcePadding::Reference, ..greedy() },
    ];
    for settings in ways().into_iter().chain(more) {
        let told = |model: &Model| {
            let mut pieces = vec![String::new(); all.len()];
            let mut keep = |piece: Piece<'_>| {
                pieces[piece.input].push_str(piece.text);
                // One text is stopped where it has some words.
                !(piece.input == 1 && pieces[1].chars().count() > 3)
            };
            let generated = model.generate(&all, &Call::default(), &settings, Some(&mut keep)).unwrap().generated;
            (generated, pieces)
        };
        // Together, and each alone, where more is guessed.
        assert_eq!(told(&guessing), told(&alone), "{settings:?}");
        for input in &all {
            let one = |model: &Model| write(model, &[*input], &settings);
            assert_eq!(one(&guessing), one(&alone), "{settings:?}");
        }
        assert_eq!(guessing.stats().cache_bytes, 0);
    }
    let stats = guessing.stats();
    assert!(stats.n_accepted_tokens > 100 && stats.n_accepted_tokens < stats.n_draft_tokens, "{stats:?}");
    assert_eq!((stats.n_new_tokens, alone.stats().n_draft_tokens), (alone.stats().n_new_tokens, 0));
}

#[test]
fn what_caches_take_is_counted_and_given_back() {
    let mut n_accepted = 0;
    for (input, n_guessed) in TEXTS.iter().flat_map(|input| [(*input, "0"), (*input, "5")]) {
        let model = open(&[("draft_tokens", n_guessed)]);
        let output = generate(&model, &[text(input)], &greedy(), None);
        let g = &output.generated[0][0];
        // The last word is asked for and not fed; the end is asked for too.
        let n_steps = g.token_ids.len() + usize::from(g.finish == Finish::End);
        let n_source = output.encodings[0].len();
        let stats = model.stats();
        assert_eq!(stats.peak_cache_bytes, ENTRY * (n_source + n_steps) as u64, "{g:?}");
        assert_eq!((stats.cache_bytes, stats.n_new_tokens), (0, n_steps as u64), "{g:?}");
        assert_eq!((stats.n_texts, stats.n_tokens), (1, n_source as u64));
        n_accepted += stats.n_accepted_tokens;
        // The source's run, those of the model, each of which writes a word and those guessed right, and one for each guess; one more of
        // each of them may have guessed the end.
        let of_model = n_steps as u64 - stats.n_accepted_tokens;
        let least = 1 + of_model + stats.n_draft_tokens;
        assert!((least..=least + of_model).contains(&stats.n_runs), "{stats:?}");
        if n_guessed == "0" {
            assert_eq!((stats.n_runs, stats.n_draft_tokens), (1 + n_steps as u64, 0));
        }
    }
    assert!(n_accepted > 0);
    let model = open(&[]);
    let all = inputs();
    let mut most = 0;
    for settings in ways() {
        let n_source = write_counted(&model, &all, &settings);
        let stats = model.stats();
        most = most.max(ENTRY * (n_source + all.len() * settings.n_rows() * MOST_NEW) as u64);
        assert!(stats.cache_bytes == 0 && stats.peak_cache_bytes <= most, "{settings:?}: {stats:?}, at most {most}");
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            // Not `panic!`, which would be told on the terminal.
            model.generate(
                &all,
                &Call::default(),
                &settings,
                Some(&mut |_| resume_unwind(Box::new("a listener's own"))),
            )
        }));
        assert_eq!((unwound.is_err(), model.stats().cache_bytes), (true, 0), "{settings:?}");
        let wrong = Generation { max_new_tokens: Some(500), ..settings.clone() };
        assert!(model.generate(&all, &Call::default(), &wrong, None).is_err());
        assert_eq!(model.stats().cache_bytes, 0, "{settings:?}");
    }
    // Beams share the source and what they have in common.
    let (one, five) = (open(&[]), open(&[]));
    let n_source = write_counted(&one, &all[1..2], &greedy());
    write_counted(&five, &all[1..2], &Generation { min_new_tokens: MOST_NEW, ..base() });
    let apart = ENTRY * (n_source + 5 * MOST_NEW) as u64;
    assert!(five.stats().peak_cache_bytes < apart * 3 / 4, "{:?}, apart {apart}", five.stats());
}

/// Writes, and gives the number of the sources' tokens.
fn write_counted(model: &Model, inputs: &[Input<'_>], settings: &Generation) -> usize {
    generate(model, inputs, settings, None).encodings.iter().map(|encoding| encoding.len()).sum()
}

#[test]
fn what_cannot_be_written_is_refused() {
    support::load_runtime();
    let call = Call::default();
    for (name, task) in [("paddle_ernie_pdparams", "encoder"), ("paddlenlp_mlm", "masked_lm")] {
        let model = try_open(&dir(name), &[]).unwrap();
        let result = model.generate(&[text("好")], &call, &base(), None);
        assert!(matches!(result, Err(Error::Unsupported(_))), "{name}");
        let message = message(result);
        assert!(message.contains(task) && message.contains("no head"), "{name}: {message}");
    }
    for (options, wanted) in [
        (&[("attention_token", "[NOPE]")][..], "[NOPE]"),
        (&[("target_type_id", "9")], "target_type_id is 9, the model has 4"),
        (&[("target_type_id", "4")], "4"),
    ] {
        let result = try_open(&dir(SEED), options);
        assert!(matches!(result, Err(Error::InvalidArgument(_))), "{options:?}");
        let message = message(result);
        assert!(message.contains(wanted), "{options:?}: {message}");
    }
    let model = open(&[]);
    let long = "今天天气很好".repeat(30);
    let texts = [text("好"), text(&long), text("天气")];
    let most = |n| Generation { max_new_tokens: Some(n), ..greedy() };
    let refused = |call: &Call, settings: &Generation| {
        let result = model.generate(&texts, call, settings, None);
        assert!(
            matches!(result, Err(Error::InvalidArgument(_) | Error::TextTooLong { .. })),
            "{settings:?}: {result:?}"
        );
        message(result)
    };
    // 96 positions; the shortest source has 2 tokens, and the last step one more than what is written.
    for settings in [most(94), most(5000), Generation { min_new_tokens: 94, max_new_tokens: None, ..base() }] {
        let message = refused(&call, &settings);
        assert!(message.contains("96") && message.contains("93"), "{message}");
    }
    let longest = Generation { min_new_tokens: 93, ..most(93) };
    assert_eq!(write(&model, &[text("")], &longest)[0][0].token_ids.len(), 93);
    // Half of the positions are the source's; what goes beyond is refused by its number.
    assert_eq!(write(&model, &texts, &Generation { min_new_tokens: 47, ..most(47) })[1][0].token_ids.len(), 47);
    let beyond = refused(&call, &most(48));
    let wanted =
        "input 1: 48 tokens, 48 new ones (max_new_tokens) and the one that asks for the next need 97 positions";
    assert!(beyond.contains(wanted) && beyond.contains("96"), "{beyond}");
    let windows = Call { truncation: Some(Truncation::Windows), ..Call::default() };
    assert!(refused(&windows, &greedy()).contains("windows"));
    let strict = Call { truncation: Some(Truncation::Error), ..Call::default() };
    let too_long = refused(&strict, &greedy());
    let wanted = "input 1: the text, which shares 96 positions with 16 new tokens (max_new_tokens) and the one that asks for \
                  the next, has 182 tokens, more than the 79 allowed";
    assert_eq!(too_long, wanted);
    // A limit of the caller's own has nothing to do with new tokens.
    let short = refused(&Call { max_tokens: Some(9), ..strict.clone() }, &greedy());
    assert_eq!(short, "input 1: the text has 182 tokens, more than the 9 allowed");
    let only_second = Call { truncation: Some(Truncation::OnlySecond), ..Call::default() };
    assert!(refused(&only_second, &greedy()).contains("which may not be cut, which shares 96 positions"));
    // What is not given is to be had elsewhere.
    let raw = Call { with_raw_outputs: true, ..Call::default() };
    assert!(refused(&raw, &greedy()).contains("no raw outputs (outputs); ernie_infer gives"));
    assert!(model.infer(&texts, &raw).unwrap().raw_outputs.iter().all(|outputs| !outputs.is_empty()));
    let of_tokens = Call { with_token_vectors: true, ..Call::default() };
    for message in [refused(&of_tokens, &greedy()), message(model.infer(&texts, &of_tokens))] {
        assert!(message.contains("no vectors of tokens (outputs); ernie_encode gives"), "{message}");
    }
    assert_eq!(model.encode(&texts, &of_tokens).unwrap().token_vectors.len(), texts.len());
    let both = Generation { n_sequences: 6, ..base() };
    assert!(refused(&call, &both).contains("n_sequences"));

    // Each text by itself: what cannot be a source spoils no other.
    let bad = || Err(Error::InvalidArgument("the caller's own".into()));
    let inputs = || vec![Ok(text("好")), Ok(text(&long)), bad(), Ok(text("天气"))];
    let output = model.generate_each(inputs(), &strict, &greedy(), None).unwrap();
    let wanted = write(&model, &[text("好"), text("天气")], &greedy());
    assert_eq!((&output.generated[0], &output.generated[3]), (&wanted[0], &wanted[1]));
    assert!(output.generated[1].is_empty() && output.generated[2].is_empty());
    assert_eq!(output.errors.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true, false]);
    assert_eq!(output.encodings.iter().map(|encoding| encoding.input).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let each = model.generate_each(inputs(), &call, &most(48), None).unwrap();
    assert_eq!(each.errors.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true, false]);
    assert!(model.generate_each(inputs(), &call, &most(94), None).is_err());
    assert!(generate(&model, &[], &base(), None).generated.is_empty());
}

#[test]
fn a_batch_that_is_too_long_names_its_longest_source() {
    let long = "今天天气很好".repeat(30);
    let settings = Generation { max_new_tokens: Some(48), source_padding: SourcePadding::Reference, ..base() };
    let result = open(&[]).generate(&[text("好"), text(&long), text("天气")], &Call::default(), &settings, None);
    let message = message(result);
    assert!(message.contains("input 1"), "{message}");
}

#[test]
fn a_word_without_a_token_cannot_be_forced() {
    // The model has 81 words, the vocabulary 79.
    let model = open(&[]);
    for settings in ways() {
        let forced = Generation { forced_tokens: vec![79], ..settings };
        let result = model.generate(&[text("好")], &Call::default(), &forced, None);
        assert!(matches!(result, Err(Error::InvalidArgument(_))), "{result:?}");
    }
}

#[test]
fn a_report_says_how_a_generator_is_fed_and_how_much_it_writes() {
    let report = open(&[]).generator_report().unwrap();
    assert_eq!((report.attention_token.as_str(), report.target_type_id), ("[ATTN]", 3));
    assert_eq!((report.max_new_tokens, report.max_source_tokens), (24, 71));
    // So much is written and so much of a source is read where nobody says it.
    let long = "今天天气很好".repeat(30);
    let output = generate(&open(&[]), &[text(&long), text("今天")], &Generation::default(), None);
    assert_eq!(output.encodings[0].len(), report.max_source_tokens);
    let longest = output.generated.iter().map(|sequences| sequences[0].token_ids.len()).max();
    assert_eq!(longest, Some(report.max_new_tokens));
    let other = open(&[("attention_token", "[MASK]"), ("target_type_id", "1"), ("max_tokens", "40")])
        .generator_report()
        .unwrap();
    assert_eq!((other.attention_token.as_str(), other.target_type_id), ("[MASK]", 1));
    assert_eq!(other.max_source_tokens, 40);
    assert_eq!(try_open(&dir("paddle_ernie_pdparams"), &[]).unwrap().generator_report(), None);
}

#[test]
fn options_say_what_asks_for_words_and_of_which_type_they_are() {
    let all = inputs();
    let usual = write(&open(&[]), &all, &greedy());
    assert_eq!(write(&open(&[("attention_token", "[ATTN]"), ("target_type_id", "3")]), &all, &greedy()), usual);
    for option in [("attention_token", "[MASK]"), ("target_type_id", "1")] {
        assert_ne!(write(&open(&[option]), &all, &greedy()), usual, "{option:?}");
    }
    for option in [("prepacking", "off"), ("arena", "off"), ("spinning", "on"), ("max_batch_tokens", "1")] {
        for (written, usual) in write(&open(&[option]), &all, &greedy()).iter().zip(&usual) {
            assert_eq!(written[0].token_ids, usual[0].token_ids, "{option:?}");
            support::assert_close(option.0, &[written[0].score], &[usual[0].score], 1e-4, 0.0);
        }
    }
}

#[test]
fn a_bundle_writes_the_same_and_a_plain_graph_nothing() {
    let model = open(&[]);
    let all = inputs();
    let out = tempfile::tempdir().unwrap();
    for (kind, name) in [(GraphKind::Own, "own"), (GraphKind::Plain, "plain")] {
        let bundle = out.path().join(name);
        assert_eq!(export(&dir(SEED), &bundle, &Options::default(), kind).unwrap().task, "generation");
        let opened = try_open(&bundle, &[]).unwrap();
        for settings in ways() {
            for (written, wanted) in write(&opened, &all, &settings).iter().zip(write(&model, &all, &settings)) {
                assert_eq!(bits(written), bits(&wanted), "{name}: {settings:?}");
            }
        }
    }
    let half = Options { precision: Some(Precision::F16), ..Options::default() };
    export(&dir(SEED), &out.path().join("half"), &half, GraphKind::Own).unwrap();
    let written = write(&try_open(&out.path().join("half"), &[]).unwrap(), &all, &greedy());
    assert!(written.iter().zip(write(&model, &all, &greedy())).filter(|(a, b)| a[0].text == b[0].text).count() > 6);

    let graph = out.path().join("plain/model.onnx");
    for options in [&[][..], &[("task", "generation")]] {
        let opened = try_open(&graph, options).unwrap_or_else(|e| panic!("{}", e.report()));
        let result = opened.generate(&all, &Call::default(), &greedy(), None);
        assert!(matches!(result, Err(Error::Unsupported(_))), "{options:?}");
        let message = message(result);
        assert!(message.contains("writes no texts") && message.contains("graph"), "{options:?}: {message}");
    }
}

#[test]
fn the_weights_in_a_folder_of_paddlenlp_write_the_same() {
    let (seed, paddlenlp) = (open(&[]), try_open(&dir("paddlenlp_generator"), &[]).unwrap());
    let all = inputs();
    let of = |model: &Model| model.tokenize(&all, &Call::default()).unwrap();
    let is_alike: Vec<bool> = of(&seed).iter().zip(of(&paddlenlp)).map(|(a, b)| a.input_ids == b.input_ids).collect();
    assert!(is_alike.iter().filter(|is_alike| **is_alike).count() > 4, "{is_alike:?}");
    for settings in ways() {
        let (wanted, found) = (write(&seed, &all, &settings), write(&paddlenlp, &all, &settings));
        for ((wanted, found), _) in wanted.iter().zip(&found).zip(&is_alike).filter(|(_, is_alike)| **is_alike) {
            assert_eq!(bits(wanted), bits(found), "{settings:?}");
        }
    }
}

#[test]
fn mask_is_a_token_in_sources_of_paddlenlp_and_text_in_those_of_the_seed() {
    let ids = |path: &Path, one: &str| {
        let model = try_open(path, &[]).unwrap();
        model.tokenize(&[text(one)], &Call::default()).unwrap().swap_remove(0).input_ids
    };
    assert!(!ids(&dir(SEED), "[MASK]").contains(&4));
    if let Some(data) = support::reference_data("a generator of PaddleNLP") {
        let golden = data.join("golden/08i_pnlp_ernie_gen");
        let expect: Value = serde_json::from_slice(&std::fs::read(golden.join("expect.json")).unwrap()).unwrap();
        let masked = expect["inputs"].as_array().unwrap().iter().find(|input| input["id"] == "sp_mask").unwrap();
        let wanted: Vec<i64> = serde_json::from_value(masked["input_ids"].clone()).unwrap();
        assert_eq!(ids(&golden, masked["text"].as_str().unwrap()), wanted);
    }
    assert_eq!(ids(&dir("paddlenlp_generator"), "[MASK]"), [1, 4, 2]);
}

#[test]
fn generators_open_at_the_same_time() {
    support::load_runtime();
    let dir = support::root().join("tests/fixtures/checkpoints/paddle_ernie_generator");
    std::thread::scope(|scope| {
        let opening: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Model::open(&dir, &Options::default()).map(drop))).collect();
        for thread in opening {
            thread.join().unwrap().unwrap_or_else(|e| panic!("{}", e.report()));
        }
    });
}
