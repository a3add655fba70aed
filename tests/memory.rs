//! Memory is steady under load. A program of its own, as other tests beside it would be measured too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model, Schema};

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// All in one test: another thread's memory would be measured too.
#[test]
fn memory_is_steady_under_load_and_over_opening() {
    under_load();
    over_opening();
    over_tasks();
    over_callers();
}

/// Many callers at the same time, and threads that come and go.
fn over_callers() {
    let model = Model::open(&support::root().join("models/demo"), &Options::default()).unwrap();
    let words = "房间很干净，服务也好，下次还会再来。".repeat(3);
    let chars: Vec<usize> = words.char_indices().map(|(at, _)| at).collect();
    let load = |n_rounds: usize| {
        for _ in 0..n_rounds {
            std::thread::scope(|scope| {
                for thread in 0..16 {
                    let (model, words, chars) = (&model, &words, &chars);
                    scope.spawn(move || {
                        for call in 0..20 {
                            let text = &words[..chars[(call * 37 + thread * 61) % chars.len()]];
                            model.infer(&[Input { text, pair: None }], &Call::default()).unwrap();
                        }
                    });
                }
            });
        }
        assert_eq!(model.stats().n_queued, 0);
    };
    load(10);
    let before = resident_kib();
    load(20);
    let after = resident_kib();
    assert!(after < before + 4 * 1024, "{before} KiB grew to {after} KiB");
    assert!(model.stats().n_joined_texts > 0);
}

fn over_tasks() {
    let root = support::root().join("tests/fixtures/checkpoints");
    let open = |name: &str, task: &str| {
        let mut options = Options::default();
        options.set("task", task).unwrap();
        Model::open(&root.join(name), &options).unwrap()
    };
    let (tagger, reader) = (open("paddle_ernie_ner", "auto"), open("paddle_ernie_mrc", "question_answering"));
    let (cloze, extractor) = (open("paddle_ernie_pretraining", "auto"), open("paddlenlp_uie", "auto"));
    let words = "今天天气很好，我们去看书。他说这个不错，房间大小干净。".repeat(8);
    let masked = format!("{words}[MASK]{words}");
    let chars: Vec<usize> = words.char_indices().map(|(at, _)| at).collect();
    let windows = Call { truncation: Some(ernie::tokenize::Truncation::Windows), ..Call::default() };
    let candidates = Call { candidates: vec!["好".into(), "北京上".into()], ..windows.clone() };
    let schema = Schema::parse(r#"["人", {"房间": ["大小"]}]"#).unwrap();
    let schema = Call { schema: Some(schema.into()), threshold: Some(0.45), ..Call::default() };
    let load = |n_calls: usize| {
        for call in 0..n_calls {
            let text = &words[..chars[(call * 37) % chars.len()]];
            let single = Input { text, pair: None };
            tagger.infer(&[single], &windows).unwrap();
            // Every tenth text is empty, or has no mask.
            let asked = [Input { text: "我在？", pair: Some(text) }, single].map(Ok).into_iter().collect();
            assert!(reader.infer_each(asked, &Call::default()).unwrap().errors[1].is_some());
            cloze.infer_each(vec![Ok(Input { text: &masked, pair: None }), Ok(single)], &candidates).unwrap();
            extractor.infer(&[single], &schema).unwrap();
        }
    };
    load(20);
    let before = resident_kib();
    load(60);
    let after = resident_kib();
    assert!(after < before + 4 * 1024, "{before} KiB grew to {after} KiB");
}

fn over_opening() {
    let root = support::root().join("tests/fixtures/checkpoints");
    let open = |n_rounds: usize| {
        for _ in 0..n_rounds {
            for name in ["paddle_ernie_protocol2", "hf_seqcls_torch_legacy", "hf_tokcls_sharded", "fluid_params"] {
                let model = Model::open(&root.join(name), &Options::default()).unwrap();
                model.infer_encoded(Vec::new(), &Call { with_raw_outputs: true, ..Call::default() }).unwrap();
            }
            for name in ["nan_weight", "missing_tensor", "pickle_os_system", "truncated_safetensors"] {
                assert!(Model::open(&root.join("refused").join(name), &Options::default()).is_err());
            }
        }
    };
    open(20);
    let before = resident_kib();
    open(60);
    let after = resident_kib();
    assert!(after < before + 2 * 1024, "{before} KiB grew to {after} KiB");
}

fn under_load() {
    support::load_runtime();
    let model = Model::open(&support::root().join("models/demo"), &Options::default()).unwrap();
    let text = |text| Input { text, pair: None };
    let words = "房间很干净，服务也好，下次还会再来。".repeat(30);
    let chars: Vec<usize> = words.char_indices().map(|(at, _)| at).collect();
    let load = |n_calls: usize| {
        for call in 0..n_calls {
            let inputs: Vec<Input<'_>> =
                (0..8).map(|i| text(&words[..chars[(call * 37 + i * 61) % chars.len()]])).collect();
            model.infer(&inputs, &Call::default()).unwrap();
            assert!(model.infer(&[text(&words)], &Call { max_tokens: Some(1), ..Call::default() }).is_err());
        }
    };
    // Every length has been seen once after this.
    load(150);
    let before = resident_kib();
    load(450);
    let after = resident_kib();
    assert!(after < before + 4 * 1024, "{before} KiB grew to {after} KiB");
}
