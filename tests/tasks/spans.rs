//! Answers to questions.

use ernie::pipeline::{AnswerSpan, Call, NoAnswer};
use ernie::tokenize::Truncation;

use crate::{message, open, pair, text};

const PASSAGE: &str = "今天天气很好，我们去看书。他说这个不错，房间大小干净，服务很好。我在北京上海的房间看书，中国人是好人！今天\
                       天气很好，我们去看书。他说这个不错，房间大小干净，服务很好。";

const TASK: &[(&str, &str)] = &[("task", "question_answering")];

#[test]
fn answers_are_places_of_the_passage_best_first_and_apart() {
    for (name, options) in [("paddle_ernie_mrc", TASK), ("paddlenlp_qa", &[]), ("hf_qa_bf16", &[])] {
        let model = open(name, options);
        let inputs = [pair("我在？", PASSAGE), pair("今天天气很好吗？", PASSAGE), pair("", "好")];
        let call = Call { doc_stride: Some(8), max_answer_tokens: Some(6), ..Call::default() };
        let output = model.infer(&inputs, &call).unwrap();
        for (index, input) in inputs.iter().enumerate() {
            assert_eq!(model.infer(&[*input], &call).unwrap().items[0], output.items[index], "{name}");
            let items = &output.items[index];
            assert!(!items.is_empty() && items.len() <= 20, "{name}: {items:?}");
            let passage = input.pair.unwrap();
            let sum: f32 = items.iter().map(|item| item.score).sum();
            assert!((sum - 1.0).abs() < 1e-4);
            for item in items {
                assert_eq!((item.text.as_str(), item.sequence), (&passage[item.begin..item.end], 1));
                assert!(item.text.chars().count() <= 6, "{name}: {item:?}");
            }
            assert!(items.windows(2).all(|pair| pair[0].score >= pair[1].score));
            let mut places: Vec<_> = items.iter().map(|item| (item.begin, item.end)).collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), items.len(), "{name}: an answer twice");
        }
        assert!(output.encodings.iter().filter(|encoding| encoding.input == 0).count() > 3);
    }
}

/// The best of all windows is the best pair that any of them has, found by asking each alone.
#[test]
fn the_best_answer_is_that_of_the_best_window() {
    let model = open("paddlenlp_qa", &[]);
    let call = Call { truncation: Some(Truncation::Windows), doc_stride: Some(8), ..Call::default() };
    let best = &model.infer(&[pair("我在？", PASSAGE)], &call).unwrap().items[0][0];
    let windows = model.tokenize(&[pair("我在？", PASSAGE)], &call).unwrap();
    let raw = model.infer_encoded(windows.clone(), &Call { with_raw_outputs: true, ..Call::default() }).unwrap();
    let mut most = f32::MIN;
    for (window, outputs) in windows.iter().zip(&raw.raw_outputs) {
        let logits = |name: &str| outputs.iter().find(|t| t.name == name).unwrap().to_f32().unwrap().to_vec();
        let (start, end) = (logits("start_logits"), logits("end_logits"));
        let passage: Vec<usize> = (0..window.len()).filter(|token| window.sequence[*token] == 1).collect();
        for first in &passage {
            for last in passage.iter().filter(|last| *last >= first) {
                most = most.max(start[*first] + end[*last]);
            }
        }
    }
    assert!((best.begin_score + best.end_score - most).abs() < 1e-6, "{best:?} and {most}");
}

#[test]
fn no_answer_is_one_of_the_answers_where_it_may_be() {
    let model = open("paddlenlp_qa", &[]);
    let call = Call { no_answer: NoAnswer::Allowed, ..Call::default() };
    let output = model.infer(&[pair("我在？", "我在北京")], &call).unwrap();
    let none: Vec<_> = output.items[0].iter().filter(|item| item.id == -1).collect();
    assert_eq!((none.len(), none[0].text.as_str()), (1, ""));
    let scores = output.matrix.as_ref().unwrap().row(0);
    assert_eq!(scores[1] > scores[0], output.items[0][0].id == -1);
    let without = model.infer(&[pair("我在？", "我在北京")], &Call::default()).unwrap();
    assert!(without.items[0].iter().all(|item| item.id >= 0));
}

#[test]
fn exact_spans_are_what_the_tokens_cover() {
    let model = open("paddle_ernie_mrc", TASK);
    // Nothing of this is in the vocabulary but `good`: the script of 2021 cannot find its words again.
    let passage = "Zürich good Café";
    let tokens = Call { answer_span: AnswerSpan::Tokens, n_best: Some(50), ..Call::default() };
    let exact = model.infer(&[pair("我？", passage)], &tokens).unwrap();
    let texts: Vec<&str> = exact.items[0].iter().map(|item| item.text.as_str()).collect();
    assert!(texts.contains(&"good") && texts.len() > 3, "{texts:?}");
    let reference = model.infer(&[pair("我？", passage)], &Call { n_best: Some(50), ..Call::default() }).unwrap();
    let texts: Vec<&str> = reference.items[0].iter().map(|item| item.text.as_str()).collect();
    assert!(texts.contains(&passage) && texts.contains(&"good"), "{texts:?}");
}

#[test]
fn questions_without_a_passage_and_without_room_are_named() {
    let model = open("paddle_ernie_mrc", TASK);
    let good = pair("我在？", PASSAGE);
    for (bad, wanted) in [
        (text("我在？"), "input 1: reading comprehension wants a passage"),
        (pair("我在？", ""), "input 1: the passage is empty"),
        (pair("我在？", " \n"), "input 1: the passage is empty"),
        (pair(PASSAGE, "好"), "input 1: the text with one token of its pair has 87 tokens"),
    ] {
        let call = Call { max_question_tokens: Some(1000), ..Call::default() };
        let error = message(model.infer(&[good, bad], &call));
        assert!(error.contains(wanted), "{error}");
        let output = model.infer_each(vec![Ok(good), Ok(bad)], &call).unwrap();
        assert!(!output.items[0].is_empty() && output.items[1].is_empty() && output.errors[1].is_some());
    }
    let error = message(model.infer(&[good], &Call { n_best: Some(1001), ..Call::default() }));
    assert!(error.contains("n_best is 1001, 1000 are allowed"), "{error}");
    // A long question is cut, and said to be.
    let output =
        model.infer(&[pair(PASSAGE, "好")], &Call { max_question_tokens: Some(5), ..Call::default() }).unwrap();
    assert!(output.encodings[0].truncated[0].n_tokens > 50);
    let error = Call { truncation: Some(Truncation::Error), ..Call::default() };
    let long = message(model.infer(&[pair(PASSAGE, "好")], &error));
    assert!(long.contains("input 0: the question has 83 tokens, more than the 64 allowed"), "{long}");
    let error = message(model.infer(&[good], &error));
    assert!(error.contains("input 0"), "{error}");
}
