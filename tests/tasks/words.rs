//! Labels of words, and words behind `[MASK]`.

use ernie::options::Options;
use ernie::pipeline::{Call, Model, Tags, Words};
use ernie::tokenize::Truncation;

use crate::{message, open, pair, text};

const LONG: &str = "今天天气很好，我们去看书。他说这个不错，房间大小干净，服务很好。我在北京上海的房间看书，中国人是好人！\
                    good hotel rooms looking 12，今天天气很好，我们去看书。他说这个不错。";

/// The fixture with names for its labels.
fn tagger(names: &[&str]) -> Model {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_string(names).unwrap()).unwrap();
    open("paddle_ernie_ner", &[("labels", file.path().to_str().unwrap())])
}

fn names() -> Vec<String> {
    let n_labels = open("paddle_ernie_ner", &[]).n_labels();
    let places = ["B", "I", "B", "I"];
    (0..n_labels).map(|id| places.get(id).map_or("O".into(), |place| format!("{place}-T{}", id / 2))).collect()
}

#[test]
fn windows_give_every_word_a_label_and_cut_no_entity() {
    let names = names();
    let model = tagger(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let windows = Call { truncation: Some(Truncation::Windows), doc_stride: Some(9), ..Call::default() };
    let words = Call { tags: Tags::Words, ..windows.clone() };
    let output = model.infer(&[text(LONG), text("今天天气很好")], &words).unwrap();
    assert!(output.encodings.iter().filter(|encoding| encoding.input == 0).count() > 4);
    assert!(output.items[0].iter().all(|item| item.id >= 0 && LONG[item.begin..item.end] == item.text));
    let covered: usize = output.items[0].iter().map(|item| item.end - item.begin).sum();
    assert_eq!(covered, LONG.chars().filter(|c| *c != ' ').map(char::len_utf8).sum::<usize>());
    let entities = &model.infer(&[text(LONG)], &windows).unwrap().items[0];
    assert!(!entities.is_empty());
    for pair in entities.windows(2) {
        assert!(pair[0].end <= pair[1].begin, "{pair:?}");
    }
    for entity in entities {
        assert_eq!(entity.text, LONG[entity.begin..entity.end]);
        assert!(entity.label.starts_with('T') && (0.0..=1.0).contains(&entity.score), "{entity:?}");
    }
    // What fits is answered as if there were no windows.
    let whole = model.infer(&[text("今天天气很好")], &Call { tags: Tags::Words, ..Call::default() }).unwrap();
    assert_eq!(whole.items[0], output.items[1]);
}

/// Every word has the label that the window gives which shows most around it, found by asking each window alone.
#[test]
fn a_word_is_what_the_window_says_that_shows_most_around_it() {
    let model = open("paddle_ernie_ner", &[]);
    let call =
        Call { truncation: Some(Truncation::Windows), doc_stride: Some(7), max_tokens: Some(20), ..Call::default() };
    let tagged =
        model.infer(&[text(LONG)], &Call { words: Words::Found, with_token_vectors: true, ..call.clone() }).unwrap();
    let windows = model.tokenize(&[text(LONG)], &call).unwrap();
    let raw = model.infer_encoded(windows.clone(), &Call { with_raw_outputs: true, ..Call::default() }).unwrap();
    let n_labels = model.n_labels();
    let mut rows: Vec<(f64, Vec<f32>)> = Vec::new();
    for (window, outputs) in windows.iter().zip(&raw.raw_outputs) {
        let logits = outputs.iter().find(|tensor| tensor.name == "logits").unwrap().to_f32().unwrap().to_vec();
        let n_content = window.len() - 2;
        for place in 0..n_content {
            let token = window.first_token + place;
            let context = place.min(n_content - 1 - place) as f64 + 0.01 * n_content as f64;
            let row = logits[(place + 1) * n_labels..(place + 2) * n_labels].to_vec();
            if rows.len() <= token {
                rows.push((context, row));
            } else if context > rows[token].0 {
                rows[token] = (context, row);
            }
        }
    }
    // Each character is a word here, but for the English ones.
    let ours = &tagged.token_vectors[0];
    for (index, item) in tagged.items[0].iter().enumerate().take_while(|(_, item)| !item.text.is_ascii()) {
        assert_eq!(ours.row(index), rows[index].1.as_slice(), "{item:?}");
    }
}

#[test]
fn words_between_separators_are_the_callers() {
    let model = tagger(&names().iter().map(String::as_str).collect::<Vec<_>>());
    let words = "北京\u{2}上\u{2}\u{2}hotels\u{2} ";
    let items = &model.infer(&[text(words)], &Call { tags: Tags::Words, ..Call::default() }).unwrap().items[0];
    let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
    assert_eq!(texts, ["北京", "上", "", "hotels", " "]);
    assert_eq!(items.iter().map(|item| item.id >= 0).collect::<Vec<_>>(), [true, true, false, true, false]);
    // As part of an entity a separator is not in the text, but the bytes are the caller's.
    let outside = names().iter().position(|name| name == "O").is_some();
    let entities = &model.infer(&[text(words)], &Call::default()).unwrap().items[0];
    assert!(outside && entities.iter().all(|entity| !entity.text.contains('\u{2}')));
    let found = Call { words: Words::Found, tags: Tags::Words, ..Call::default() };
    assert_ne!(model.infer(&[text(words)], &found).unwrap().items[0].len(), 5);
}

#[test]
fn labels_that_do_not_fit_the_head_are_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"O": 0, "B-X": 1}"#).unwrap();
    let mut options = Options::default();
    options.set("labels", file.path().to_str().unwrap()).unwrap();
    let dir = crate::support::root().join("tests/fixtures/checkpoints/paddle_ernie_ner");
    let message = message(Model::open(&dir, &options));
    assert!(
        message.contains("2 labels are named, the head has") && message.contains(file.path().to_str().unwrap()),
        "{message}"
    );
    options.set("labels", "missing.json").unwrap();
    assert!(crate::message(Model::open(&dir, &options)).contains("option labels names no file"));
    // Without names there are words with ids.
    let model = open("paddle_ernie_ner", &[]);
    let items = &model.infer(&[text("今天")], &Call::default()).unwrap().items[0];
    assert!(items.len() == 2 && items.iter().all(|item| item.label.is_empty() && item.id >= 0));
}

#[test]
fn candidates_have_the_probabilities_that_they_have_among_all_words() {
    for name in ["paddle_ernie_pretraining", "paddlenlp_mlm", "hf_mlm_torch_zip"] {
        let model = open(name, &[]);
        let input = text("今天[MASK]气很[MASK]，good hotel[MASK]");
        let all = model.infer(&[input], &Call { top_k: Some(60), ..Call::default() }).unwrap();
        assert_eq!(all.items[0].len(), 180);
        for group in 0..3 {
            let sum: f32 = all.items[0].iter().filter(|item| item.group == group).map(|item| item.score).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{name}: {sum}");
        }
        let candidates = ["好", "天", "##ing"].map(str::to_owned).to_vec();
        let chosen = model.infer(&[input], &Call { candidates, ..Call::default() }).unwrap();
        assert_eq!(chosen.items[0].len(), 9);
        for item in &chosen.items[0] {
            let of_all =
                all.items[0].iter().find(|other| other.group == item.group && other.text == item.text).unwrap();
            assert!((of_all.score - item.score).abs() < 1e-6 && (of_all.begin, of_all.end) == (item.begin, item.end));
            assert_eq!(&input.text[item.begin..item.end], "[MASK]");
        }
        let whole = model.infer(&[input], &Call { top_k: Some(60), whole_words: true, ..Call::default() }).unwrap();
        assert!(whole.items[0].iter().all(|item| !item.text.starts_with("##") && !item.text.starts_with('[')));
        assert!(whole.items[0].len() > 90);
    }
}

#[test]
fn a_candidate_of_several_tokens_is_scored_in_as_many_places() {
    let model = open("paddle_ernie_pretraining", &[]);
    let candidates = vec!["北京上".to_owned(), "好".to_owned()];
    let found = model.infer(&[text("我在[MASK]看书")], &Call { candidates, ..Call::default() }).unwrap();
    let wide =
        model.infer(&[text("我在[MASK][MASK][MASK]看书")], &Call { top_k: Some(60), ..Call::default() }).unwrap();
    let sum: f32 = ["北", "京", "上"]
        .iter()
        .zip(0..)
        .map(|(word, group)| wide.items[0].iter().find(|i| i.group == group && i.text == *word).unwrap().begin_score)
        .sum();
    let item = found.items[0].iter().find(|item| item.id == 0).unwrap();
    assert!((item.begin_score - sum).abs() < 1e-5 && (item.score - (sum / 3.0).exp()).abs() < 1e-6, "{item:?}");
    // There is room for it also where the text is as long as the model.
    let long = "今".repeat(37) + "[MASK]";
    let call = Call { candidates: vec!["北京上".into()], truncation: Some(Truncation::Windows), ..Call::default() };
    assert_eq!(model.infer(&[text(&long)], &call).unwrap().items[0].len(), 1);
}

#[test]
fn masks_of_long_texts_are_found_in_windows() {
    let model = open("paddle_ernie_pretraining", &[]);
    let long = format!("[MASK]{}[MASK]{}[MASK]", "今天".repeat(25), "我们".repeat(25));
    let call = Call { truncation: Some(Truncation::Windows), top_k: Some(2), ..Call::default() };
    let items = &model.infer(&[text(&long)], &call).unwrap().items[0];
    let places: Vec<usize> = items.iter().map(|item| item.begin).collect();
    assert_eq!(places, [0, 0, 156, 156, 312, 312]);
}

#[test]
fn a_text_without_a_mask_and_words_without_a_token_are_named() {
    let model = open("paddle_ernie_pretraining", &[]);
    let error = message(model.infer(&[text("今[MASK]"), text("今天")], &Call::default()));
    assert!(error.contains("input 1: no [MASK] in the text"), "{error}");
    let error = message(model.infer(&[text(&("今".repeat(50) + "[MASK]"))], &Call::default()));
    assert!(error.contains("no [MASK] in the text, of which"), "{error}");
    for (candidate, wanted) in [("龘", "(\"龘\") is not in the vocabulary"), (" ", "has no tokens")] {
        let candidates = vec!["好".to_owned(), candidate.to_owned()];
        let error = message(model.infer(&[text("今[MASK]")], &Call { candidates, ..Call::default() }));
        assert!(error.contains("candidate 1") && error.contains(wanted), "{error}");
    }
    // One bad text does not spoil the others.
    let inputs = vec![Ok(text("今[MASK]")), Ok(text("今天")), Ok(pair("我", "[MASK]们"))];
    let output = model.infer_each(inputs, &Call::default()).unwrap();
    assert_eq!(output.items.iter().map(Vec::len).collect::<Vec<_>>(), [5, 0, 5]);
    assert!(output.errors[1].as_ref().unwrap().to_string().starts_with("input 1: no [MASK]"));
    assert_eq!(output.items[2][0].sequence, 1);
    // Also where none is answered.
    let none = model.infer_each(vec![Ok(text("今天"))], &Call::default()).unwrap();
    assert!(none.items[0].is_empty() && none.errors[0].is_some());
    let tagger = open("paddle_ernie_ner", &[]);
    let error = message(tagger.infer(&[text("今天"), pair("今天", "我")], &Call::default()));
    assert!(error.contains("input 1: token classification takes a text without a pair"), "{error}");
}

#[test]
fn many_masks_and_many_long_candidates_are_scored_one_by_one() {
    let model = open("paddle_ernie_pretraining", &[]);
    let masks = "[MASK]".repeat(12);
    let long: Vec<String> = (2..20).map(|n| "北京上".chars().cycle().take(n).collect()).collect();
    let call = Call { candidates: long.clone(), ..Call::default() };
    let together = model.infer(&[text(&masks)], &call).unwrap();
    assert_eq!(together.items[0].len(), 12 * long.len());
    for (index, candidate) in long.iter().enumerate() {
        let alone =
            model.infer(&[text(&masks)], &Call { candidates: vec![candidate.clone()], ..Call::default() }).unwrap();
        for item in &alone.items[0] {
            let same = |other: &&ernie::pipeline::Item| other.group == item.group && other.id as usize == index;
            let other = together.items[0].iter().find(same).unwrap();
            assert!((item.score - other.score).abs() < 1e-7 && other.text == *candidate);
        }
    }
}
