//! Queries with candidates.

use ernie::options::Options;
use ernie::pipeline::{Call, Model, Normalize, Similarity, rank_vectors};
use ernie::tokenize::Truncation;

use crate::{message, open, pair, text};

const CANDIDATES: [&str; 4] = ["今天天气很好", "", "我们去看书", "今天天气很好"];

#[test]
fn a_ranking_is_that_of_the_pairs_alone() {
    let model = open("paddlenlp_cross_encoder", &[]);
    let ranked = model.rank("天气", &CANDIDATES, &Call::default()).unwrap();
    let scores = &ranked.matrix.as_ref().unwrap().data;
    for (candidate, score) in CANDIDATES.iter().zip(scores) {
        let alone = model.infer(&[pair("天气", candidate)], &Call::default()).unwrap();
        let wanted = alone.items[0].iter().find(|item| item.id == 1).unwrap().score;
        assert_eq!(*score, wanted);
    }
    assert_eq!(scores[0], scores[3]);
    let order: Vec<f32> = ranked.items[0].iter().map(|item| item.score).collect();
    assert!(order.windows(2).all(|pair| pair[0] >= pair[1]) && order.len() == 4);
    let best = model.rank("天气", &CANDIDATES, &Call { top_k: Some(1), ..Call::default() }).unwrap();
    assert_eq!(best.items[0][..], ranked.items[0][..1]);
    assert!(model.rank("天气", &[], &Call::default()).unwrap().items[0].is_empty());
}

#[test]
fn a_long_candidate_counts_by_its_best_window() {
    let model = open("paddlenlp_cross_encoder", &[]);
    let long = "今天天气很好，我们去看书。".repeat(8);
    let call = Call { truncation: Some(Truncation::Windows), doc_stride: Some(10), ..Call::default() };
    let score = model.rank("天气", &[&long], &call).unwrap().matrix.unwrap().data[0];
    let windows = model.tokenize(&[pair("天气", &long)], &call).unwrap();
    assert!(windows.len() > 3);
    let alone = model.infer_encoded(windows, &Call::default()).unwrap();
    let best =
        alone.items.iter().map(|items| items.iter().find(|item| item.id == 1).unwrap().score).fold(0.0, f32::max);
    assert_eq!(score, best);
    let error =
        message(model.rank("天气", &["好", &long], &Call { truncation: Some(Truncation::Error), ..Call::default() }));
    assert!(error.starts_with("candidate 1: "), "{error}");
}

#[test]
fn choices_share_a_probability_of_one() {
    let model = open("hf_multiple_choice", &[]);
    let ranked = model.rank("今天天气", &CANDIDATES, &Call::default()).unwrap();
    let sum: f32 = ranked.matrix.unwrap().data.iter().sum();
    assert!((sum - 1.0).abs() < 1e-6);
}

#[test]
fn kept_vectors_rank_as_texts_do() {
    let model = open("paddlenlp_dual_encoder", &[]);
    let texts: Vec<_> = CANDIDATES.iter().map(|t| text(t)).collect();
    for (normalize, similarity) in [(Normalize::None, Similarity::Dot), (Normalize::L2, Similarity::Cosine)] {
        let call = Call { normalize, ..Call::default() };
        let kept = model.encode(&texts, &Call::default()).unwrap().matrix.unwrap();
        let query = model.encode(&[text("天气")], &Call::default()).unwrap().matrix.unwrap();
        let by_vectors = rank_vectors(query.row(0), &kept.data, 4, similarity, None).unwrap().matrix.unwrap();
        let by_texts = model.rank("天气", &CANDIDATES, &call).unwrap().matrix.unwrap();
        crate::support::assert_close("scores", &by_vectors.data, &by_texts.data, 1e-6, 1e-6);
    }
    assert!(message(rank_vectors(&[], &[], 1 << 45, Similarity::Dot, None)).contains("no numbers"));
    let error = message(rank_vectors(&[1.0, 2.0], &[1.0, 2.0, 3.0], 2, Similarity::Dot, None));
    assert!(error.contains("3 numbers are not 2 vectors of 2"), "{error}");
}

#[test]
fn what_ranks_nothing_says_so() {
    let error = message(open("paddle_ernie_ner", &[]).rank("a", &["b"], &Call::default()));
    assert!(error.contains("task token_classification ranks nothing"), "{error}");
    // Found out without a candidate: the fine-tuned weights have three labels.
    let dir = crate::support::root().join("tests/fixtures/checkpoints/paddle_ernie_finetuned");
    let mut options = Options::default();
    options.set("weights", dir.join("save_dir/ckpt.bin").to_str().unwrap()).unwrap();
    let model = Model::open(&dir.join("pretrained"), &options).unwrap();
    let error = message(model.rank("a", &[], &Call::default()));
    assert!(error.contains(&format!("a classifier with {} labels ranks nothing", model.n_labels())), "{error}");
    let model = open("paddlenlp_cross_encoder", &[]);
    let error = message(model.rank("a", &[], &Call { max_tokens: Some(1), ..Call::default() }));
    assert!(error.contains("max_tokens 1 has no room"), "{error}");
    let call = Call { truncation: Some(Truncation::Error), ..Call::default() };
    let error = message(open("paddlenlp_dual_encoder", &[]).rank(&"今".repeat(90), &["好"], &call));
    assert!(error.starts_with("query: the text has 92 tokens"), "{error}");
}

#[test]
fn a_text_in_windows_has_the_mean_of_their_logits() {
    let model = open("paddlenlp_legacy_seqcls", &[]);
    let long = "今天天气很好，我们去看书。".repeat(8);
    let call = Call { truncation: Some(Truncation::Windows), doc_stride: Some(10), ..Call::default() };
    let whole = model.infer(&[text(&long), text("好")], &call).unwrap();
    let windows = model.tokenize(&[text(&long)], &call).unwrap();
    let alone = model.infer_encoded(windows, &Call::default()).unwrap().matrix.unwrap();
    let mean: Vec<f32> = (0..alone.n_columns)
        .map(|k| ((0..alone.n_rows).map(|row| f64::from(alone.row(row)[k])).sum::<f64>() / alone.n_rows as f64) as f32)
        .collect();
    crate::support::assert_close("logits", whole.matrix.as_ref().unwrap().row(0), &mean, 1e-6, 1e-6);
    assert_eq!(
        whole.matrix.unwrap().row(1),
        model.infer(&[text("好")], &Call::default()).unwrap().matrix.unwrap().row(0)
    );
}

#[test]
fn a_bad_candidate_is_told_and_the_others_are_ranked() {
    let long = "今".repeat(90);
    let call = Call { truncation: Some(Truncation::Error), ..Call::default() };
    for name in ["paddlenlp_cross_encoder", "paddlenlp_dual_encoder", "hf_multiple_choice"] {
        let model = open(name, &[]);
        let output = model.rank_each("天气", vec![Ok("今天"), Ok(&long), Ok("我们")], &call).unwrap();
        let error = output.errors[1].as_ref().unwrap().to_string();
        assert!(error.starts_with("candidate 1: ") && output.errors[0].is_none(), "{name}: {error}");
        let scores = output.matrix.unwrap();
        assert!(scores.data[1].is_nan() && scores.n_rows == 3, "{name}");
        let good = model.rank("天气", &["今天", "我们"], &call).unwrap();
        assert_eq!([scores.data[0], scores.data[2]], good.matrix.unwrap().data[..], "{name}");
        assert_eq!(
            output.items[0].iter().map(|item| item.score).collect::<Vec<_>>(),
            good.items[0].iter().map(|item| item.score).collect::<Vec<_>>()
        );
        let none = model.rank_each("天气", vec![Ok(&long)], &call).unwrap();
        assert!(none.items[0].is_empty() && none.matrix.unwrap().data[0].is_nan());
        // A query that cannot be is no fault of the candidates.
        assert!(
            name == "paddlenlp_cross_encoder"
                || name == "hf_multiple_choice"
                || model.rank_each(&long, vec![Ok("今")], &call).is_err()
        );
        // What was cut is told.
        let cut = model.rank("天气", &["今天", &long], &Call::default()).unwrap().encodings;
        assert_eq!(cut.iter().map(|encoding| encoding.n_truncated_tokens() > 0).collect::<Vec<_>>(), [false, true]);
    }
}
