//! Providers: what cannot be had is said and nothing falls back in silence; the graphs that are made for devices give what the processor's
//! own gives, run on the processor. `scripts/gpu_check.py` runs the devices themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ernie::error::Error;
use ernie::options::{Options, Provider};
use ernie::pipeline::{Call, Cancel, Input, Model, check_provider};

const TEXTS: &[&str] =
    &["早餐太差了，无论去多少人", "好", "物流很快，书的质量很好，下次还来。价格也便宜", "hello world 123"];

fn options(set: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    set.iter().for_each(|(key, value)| options.set(key, value).unwrap());
    options
}

fn open(dir: &Path, set: &[(&str, &str)]) -> Model {
    Model::open(dir, &options(set)).unwrap_or_else(|e| panic!("{}: {set:?}: {}", dir.display(), e.report()))
}

/// Raw outputs of all texts in one call, as numbers, and those of the first text alone.
fn outputs(model: &Model) -> (Vec<f32>, Vec<f32>) {
    let call = Call { with_raw_outputs: true, ..Call::default() };
    let run = |texts: &[&str]| {
        let inputs: Vec<Input<'_>> = texts.iter().map(|text| Input { text, pair: None }).collect();
        let output = model.infer(&inputs, &call).unwrap_or_else(|e| panic!("{}", e.report()));
        output
            .raw_outputs
            .iter()
            .map(|tensors| tensors.iter().flat_map(|t| t.to_f32().expect("numbers").into_owned()).collect())
            .collect()
    };
    let all: Vec<Vec<f32>> = run(TEXTS);
    let alone: Vec<Vec<f32>> = run(&TEXTS[..1]);
    assert_eq!(alone[0].len(), all[0].len());
    (all.concat(), alone.concat())
}

fn checkpoints() -> Vec<PathBuf> {
    support::load_runtime();
    let mut all = vec![support::root().join("models/demo")];
    let fixtures = support::root().join("tests/fixtures/checkpoints");
    all.extend(std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
    all.sort();
    all
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f32::max)
}

#[test]
fn graphs_for_devices_give_what_the_processor_gives() {
    let mut n_models = 0;
    for dir in checkpoints() {
        let Ok(reference) = Model::open(&dir, &Options::default()) else { continue };
        if reference.generator_report().is_some() || reference.tokenizer().is_err() {
            continue;
        }
        n_models += 1;
        let (wanted, _) = outputs(&reference);
        for provider in ["cuda", "tensorrt"] {
            for (precision, allowed) in [("f32", 1e-4), ("f16", 2e-2)] {
                let model = open(&dir, &[("test_graph_of", provider), ("precision", precision)]);
                let (given, alone) = outputs(&model);
                let difference = largest_difference(&given, &wanted);
                assert!(difference <= allowed, "{}: {provider} {precision}: {difference}", dir.display());
                let difference = largest_difference(&alone, &given[..alone.len()]);
                assert!(difference <= allowed / 4.0, "{}: {provider} {precision} alone: {difference}", dir.display());
                assert!(precision == "f32" || given != wanted, "{}: f16 did not round", dir.display());
            }
        }
    }
    assert!(n_models >= 5, "{n_models} models");
}

#[test]
fn what_cannot_be_had_is_said_with_the_reason() {
    support::load_runtime();
    let demo = support::root().join("models/demo");
    check_provider(&Options::default()).unwrap();
    for provider in ["cuda", "tensorrt", "openvino"] {
        let asked = options(&[("provider", provider)]);
        for error in [check_provider(&asked).unwrap_err(), Model::open(&demo, &asked).unwrap_err()] {
            let said = error.report();
            assert!(matches!(error, Error::ProviderUnavailable { .. }), "{said}");
            assert!(said.contains(provider) && said.contains("ExecutionProvider"), "{said}");
        }
        let model = open(&demo, &[("provider", provider), ("fallback", "cpu")]);
        assert_eq!(model.options().provider, Provider::Cpu);
        assert_eq!(outputs(&model), outputs(&open(&demo, &[])));
    }
    let error = check_provider(&options(&[("provider", "cuda"), ("provider_libraries", "/nonexistent")])).unwrap_err();
    assert!(
        matches!(error, Error::InvalidArgument(_)) && error.report().contains("/nonexistent"),
        "{}",
        error.report()
    );
    let fallback = [("provider", "cuda"), ("provider_libraries", "/nonexistent"), ("fallback", "cpu")];
    assert!(Model::open(&demo, &options(&fallback)).is_err(), "a wrong option is no reason to fall back");
}

#[test]
fn several_devices_share_the_runs_of_a_call_and_of_callers() {
    support::load_runtime();
    let demo = support::root().join("models/demo");
    // Many runs, of a few texts each.
    let set = |devices: &'static str| [("test_graph_of", "cuda"), ("device_id", devices), ("max_rows", "2")];
    let profiles = tempfile::tempdir().unwrap();
    let prefix = profiles.path().join("of");
    let with_profile = [&set("2,0,7")[..], &[("profile", prefix.to_str().unwrap())]].concat();
    let (one, three) = (open(&demo, &set("0")), open(&demo, &with_profile));
    assert_eq!((one.n_devices(), three.n_devices(), three.options().device_ids.as_slice()), (1, 3, &[2, 0, 7][..]));
    let texts: Vec<String> = (1..60).map(|n| TEXTS[n % 4].repeat(n % 5 + 1)).collect();
    let inputs: Vec<Input<'_>> = texts.iter().map(|text| Input { text, pair: None }).collect();
    let call = Call { with_raw_outputs: true, ..Call::default() };
    let answer = |model: &Model| {
        let output = model.infer(&inputs, &call).unwrap();
        let raw: Vec<Vec<f32>> =
            output.raw_outputs.iter().flatten().map(|tensor| tensor.to_f32().unwrap().into_owned()).collect();
        (raw, output.items)
    };
    let wanted = answer(&one);
    assert_eq!(answer(&three), wanted);
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| (0..3).for_each(|_| assert_eq!(answer(&three), wanted)))));
    });
    let (stats, of_one) = (three.stats(), one.stats());
    assert_eq!((stats.n_texts, stats.n_queued), (13 * of_one.n_texts, 0));
    // A call that is cancelled ends, whoever has its runs; so does one with a bad text among good ones.
    let cancel = Arc::new(Cancel::default());
    cancel.signal();
    let cancelled = Call { cancel: Some(cancel), ..Call::default() };
    assert!(matches!(three.infer(&inputs, &cancelled), Err(Error::Cancelled)));
    assert_eq!(answer(&three), wanted);
    drop(three);
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(profiles.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    for (path, device) in all.iter().zip(["of.0_", "of.2_", "of.7_"]) {
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with(device), "{all:?}");
        assert!(std::fs::read_to_string(path).unwrap().contains("model_run"), "{device} had no run");
    }
    assert_eq!(all.len(), 3);
    for options in [options(&[("device_id", "0,1")]), options(&[("provider", "openvino"), ("device_id", "0,1")])] {
        let error = Model::open(&demo, &options).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)) && error.report().contains("device_id"), "{error}");
    }
    let fallback = [("provider", "cuda"), ("device_id", "0,1"), ("fallback", "cpu")];
    assert_eq!(open(&demo, &fallback).n_devices(), 1);
}

#[test]
fn a_generator_does_not_leave_the_processor_in_silence() {
    let generators = checkpoints().into_iter().filter_map(|dir| {
        let model = Model::open(&dir, &Options::default()).ok()?;
        model.generator_report().is_some().then_some(dir)
    });
    let mut n = 0;
    for dir in generators {
        let error = Model::open(&dir, &options(&[("test_graph_of", "cuda")])).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{}", error.report());
        n += 1;
    }
    assert!(n > 0);
}
