//! What each task answers.

use serde_json::{Value, json};

use crate::{done, errors, file, lines, refusal, tool};

fn model(name: &str) -> String {
    format!("tests/fixtures/checkpoints/{name}")
}

fn infer(name: &str, arguments: &[&str], input: &str) -> Vec<Value> {
    lines(&done(&[&["infer", &model(name)], arguments].concat(), input))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().map(String::as_str).collect()
}

/// Whether the text of a finding stands where it says.
fn is_in(text: &str, found: &Value) -> bool {
    let place = |key: &str| usize::try_from(found[key].as_u64().unwrap()).unwrap();
    text.get(place("begin")..place("end")) == found["text"].as_str()
}

#[test]
fn token_classification_gives_entities_or_words() {
    let dir = tempfile::tempdir().unwrap();
    let labels = format!("labels={}", file(dir.path(), "labels.json", r#"["B-A", "I-A", "B-C", "I-C", "O"]"#));
    let named = ["--set", &labels];
    let text = "今天天气很好";
    let entities = infer("paddle_ernie_ner", &named, text);
    let entities = list(&entities[0]["entities"]);
    assert!(!entities.is_empty());
    for entity in entities {
        assert_eq!(keys(entity), ["type", "text", "begin", "end", "score"]);
        assert!(is_in(text, entity) && ["A", "C"].map(Value::from).contains(&entity["type"]), "{entity}");
    }
    let most = entities.iter().map(|entity| entity["score"].as_f64().unwrap()).fold(0.0, f64::max);
    let none = infer("paddle_ernie_ner", &[&named[..], &["--threshold", &most.to_string()]].concat(), text);
    assert!(list(&none[0]["entities"]).len() < entities.len());

    let separated = "今天\u{2}\u{2}气";
    let words = infer("paddle_ernie_ner", &[&named[..], &["--tags", "words"]].concat(), separated);
    let words = list(&words[0]["words"]);
    assert_eq!(words.iter().map(|word| word["text"].as_str().unwrap()).collect::<Vec<_>>(), ["今天", "", "气"]);
    assert_eq!(keys(&words[0]), ["text", "label", "id", "score", "begin", "end"]);
    assert!(words[0]["label"].is_string() && words[0]["id"].is_u64() && is_in(separated, &words[2]));
    assert_eq!(words[1], json!({"text": "", "label": null, "id": null, "score": null, "begin": 7, "end": 7}));
    // Without names of labels there are words.
    let found = infer("paddle_ernie_ner", &["--words", "found"], text);
    assert_eq!((list(&found[0]["words"]).len(), &found[0]["words"][0]["label"]), (6, &Value::Null));
}

#[test]
fn reading_comprehension_gives_answers_best_first() {
    let (task, passage) = (["--task", "question_answering"], "房间很大。今天天气很好，我们去看书。");
    let input = format!("{{\"id\": 3, \"question\": \"房间？\", \"passage\": \"{passage}\"}}\n");
    let answers = infer("paddle_ernie_mrc", &[&task[..], &["--top-k", "3"]].concat(), &input);
    let first = &answers[0];
    assert_eq!(keys(first), ["id", "answer", "score", "begin", "end", "no_answer_score", "answers"]);
    assert_eq!(list(&first["answers"]).len(), 3);
    for answer in list(&first["answers"]) {
        assert_eq!(keys(answer), ["text", "score", "begin", "end", "start_logit", "end_logit"]);
        assert!(is_in(passage, answer), "{answer}");
    }
    let best = &first["answers"][0];
    for (key, of_best) in [("answer", "text"), ("score", "score"), ("begin", "begin"), ("end", "end")] {
        assert_eq!(first[key], best[of_best]);
    }
    let as_pair = format!("{{\"id\": 3, \"text\": \"房间？\", \"pair\": \"{passage}\"}}\n");
    assert_eq!(infer("paddle_ernie_mrc", &[&task[..], &["--top-k", "3"]].concat(), &as_pair), answers);

    let with_none = infer("paddle_ernie_mrc", &[&task[..], &["--no-answer"]].concat(), &input);
    let scores: f64 = list(&with_none[0]["answers"]).iter().map(|answer| answer["score"].as_f64().unwrap()).sum();
    assert!((scores - 1.0).abs() < 1e-5, "{scores}");
    let none: Vec<&Value> = list(&with_none[0]["answers"]).iter().filter(|answer| answer["text"].is_null()).collect();
    assert!(none.len() == 1 && none[0]["begin"].is_null() && none[0]["end_logit"].is_null(), "{none:?}");
    // Where no pair of a start and an end is an answer, there is none.
    let short = "{\"question\": \"房间？\", \"passage\": \"房间很大。\"}";
    let nothing = &infer("paddle_ernie_mrc", &[&task[..], &["--n-best", "2"]].concat(), short)[0];
    let (answer, list) = (&nothing["answer"], list(&nothing["answers"]));
    assert!(answer.is_null() && nothing["score"].is_null() && nothing["no_answer_score"].is_f64() && list.is_empty());
}

#[test]
fn a_cloze_gives_words_of_every_mask() {
    let input = "{\"text\": \"今天[MASK]气\", \"pair\": \"很[MASK]\"}\n{\"text\": \"今天\"}\n";
    let answers = infer("paddle_ernie_pretraining", &["--top-k", "2"], input);
    let masks = list(&answers[0]["masks"]);
    assert_eq!(
        (keys(&masks[0]), keys(&masks[1])),
        (vec!["begin", "end", "words"], vec!["sequence", "begin", "end", "words"])
    );
    assert_eq!((&masks[0]["begin"], &masks[0]["end"], &masks[1]["begin"]), (&json!(6), &json!(12), &json!(3)));
    assert_eq!(masks[1]["sequence"], "pair");
    for mask in masks {
        let words = list(&mask["words"]);
        assert_eq!((words.len(), keys(&words[0])), (2, vec!["id", "token", "score"]));
        assert!(words[0]["score"].as_f64() >= words[1]["score"].as_f64());
    }
    assert!(answers[1]["error"].as_str().unwrap().contains("no [MASK]"), "{}", answers[1]);
    let whole = infer("paddle_ernie_pretraining", &["--whole-words", "--top-k", "60"], input);
    let tokens: Vec<&str> =
        list(&whole[0]["masks"][0]["words"]).iter().map(|word| word["token"].as_str().unwrap()).collect();
    assert!(tokens.len() > 20 && tokens.iter().all(|token| !token.starts_with(['[', '#'])), "{tokens:?}");

    let dir = tempfile::tempdir().unwrap();
    let more = file(dir.path(), "words.txt", "好书\r\n\n大\n");
    let offered = infer("paddle_ernie_pretraining", &["--candidates", "今", "--candidates-file", &more], input);
    let words = list(&offered[0]["masks"][0]["words"]);
    let mut found: Vec<(i64, &str)> =
        words.iter().map(|w| (w["index"].as_i64().unwrap(), w["candidate"].as_str().unwrap())).collect();
    found.sort_unstable();
    assert_eq!(found, [(0, "今"), (1, "好书"), (2, "大")]);
    assert_eq!(keys(&words[0]), ["candidate", "index", "score"]);
    let unknown = refusal(&["infer", &model("paddle_ernie_pretraining"), "--candidates", "龘"], input);
    assert!(unknown.contains("candidate 0") && !unknown.contains("line"), "{unknown}");
}

#[test]
fn extraction_gives_what_a_schema_names_to_any_depth() {
    let text = "房间很大。";
    let schema = r#"["房", {"间": ["书", {"天": "大"}]}, "zz[房间,很大]"]"#;
    let arguments = ["--threshold", "0.3", "--schema", schema];
    let answers = infer("paddlenlp_uie", &arguments, text);
    let found = &answers[0]["found"];
    assert_eq!((keys(&answers[0]), keys(found)[..2].to_vec()), (vec!["found"], vec!["房", "间"]));
    assert!(list(&found["房"]).iter().all(|finding| is_in(text, finding) && finding.get("relations").is_none()));
    let first = &found["间"][0];
    assert_eq!(keys(first), ["text", "begin", "end", "score", "relations"]);
    assert!(first["relations"]["天"][0]["relations"]["大"][0]["score"].is_f64(), "{first}");
    // An option of the prompt stands nowhere in the text.
    let everything = answers[0].to_string();
    assert!(everything.contains("{\"text\":\"天\",\"score\":"), "{everything}");

    let dir = tempfile::tempdir().unwrap();
    let path = format!("@{}", file(dir.path(), "schema.json", schema));
    assert_eq!(infer("paddlenlp_uie", &["--threshold", "0.3", "--schema", &path], text), answers);
    let english = infer("paddlenlp_uie", &[&arguments[..], &["--schema-language", "english"]].concat(), text);
    assert_ne!(english, answers);
    let refused = refusal(&["infer", &model("paddlenlp_uie"), "--schema", "[1]"], text);
    assert!(refused.contains("--schema: schema[0] is 1"), "{refused}");

    let input =
        "{\"prompt\": \"房间\", \"text\": \"房间很大。\"}\n{\"text\": \"房间\", \"pair\": \"房间很大。\"}\n好\n";
    let prompts = infer("paddlenlp_uie", &["--threshold", "0.3"], input);
    let (last, with_place) = list(&prompts[0]["found"]).split_last().unwrap();
    assert!(!with_place.is_empty() && with_place.iter().all(|finding| is_in(text, finding)));
    assert_eq!(keys(last), ["text", "score"]);
    assert_eq!(prompts[1], prompts[0]);
    assert!(prompts[2]["error"].is_string());
}

#[test]
fn candidates_are_ranked_by_every_model_that_can() {
    let input = "{\"id\": 9, \"query\": \"房间\", \"candidates\": [\"房间很大。\", \"今天\", \"天气\"]}\n\
                 {\"query\": \"房间\"}\n{\"query\": \"房间\", \"candidates\": []}\n房间\n";
    for name in ["paddlenlp_cross_encoder", "paddlenlp_dual_encoder", "hf_multiple_choice"] {
        let output = done(&["rank", &model(name)], input);
        let answers = lines(&output);
        let scores: Vec<f64> = list(&answers[0]["scores"]).iter().map(|score| score.as_f64().unwrap()).collect();
        let ranking = list(&answers[0]["ranking"]);
        assert_eq!((keys(&answers[0]), scores.len(), ranking.len()), (vec!["id", "scores", "ranking"], 3, 3));
        for pair in ranking.windows(2) {
            assert!(pair[0]["score"].as_f64() >= pair[1]["score"].as_f64(), "{name}");
        }
        for place in ranking {
            assert_eq!(place["score"], json!(scores[usize::try_from(place["index"].as_u64().unwrap()).unwrap()]));
        }
        assert!(answers[1]["error"].as_str().unwrap().contains("`candidates`"), "{}", answers[1]);
        assert_eq!(answers[2], json!({"scores": [], "ranking": []}));
        assert!(answers[3]["error"].is_string() && errors(&output).contains("2 bad lines"));
    }
    let best = lines(&done(&["rank", "--top-k", "1", &model("paddlenlp_cross_encoder")], input));
    assert_eq!((list(&best[0]["scores"]).len(), list(&best[0]["ranking"]).len()), (3, 1));
    // The score of a pair is that of label 1.
    let pair = "{\"text\": \"房间\", \"pair\": \"房间很大。\"}";
    let labels = infer("paddlenlp_cross_encoder", &[], pair);
    let of_one = list(&labels[0]["items"]).iter().find(|item| item["id"] == 1).unwrap();
    assert_eq!(of_one["score"], best[0]["scores"][0]);
    let cosine = lines(&done(&["rank", "--normalize", &model("paddlenlp_dual_encoder")], input));
    assert!(list(&cosine[0]["scores"]).iter().all(|score| score.as_f64().unwrap().abs() <= 1.0 + 1e-6));

    assert!(refusal(&["rank", &model("paddlenlp_uie")], "").contains("ranks nothing"));
    assert!(
        refusal(&["rank", &model("paddle_ernie_finetuned/pretrained"), "--weights", &weights()], "")
            .contains("3 labels")
    );
    let long = format!("{{\"query\": \"好\", \"candidates\": [\"好\", \"{}\"]}}", "好".repeat(99));
    let named = tool(&["rank", "--no-truncation", &model("paddlenlp_cross_encoder")], long.as_bytes());
    assert!(errors(&named).contains("line 1: candidate 1: "), "{}", errors(&named));
}

fn weights() -> String {
    model("paddle_ernie_finetuned/save_dir/ckpt.bin")
}

#[test]
fn what_changes_nothing_is_refused() {
    let infer = |arguments: &[&str]| refusal(&[&["infer", "models/demo"], arguments].concat(), "好");
    for flag in [
        &["--schema", "\"a\""][..],
        &["--words", "found"],
        &["--tags", "words"],
        &["--answer-span", "tokens"],
        &["--no-answer"],
        &["--n-best", "1"],
        &["--max-answer-tokens", "1"],
        &["--max-question-tokens", "1"],
        &["--candidates", "好"],
        &["--candidates-file", "x"],
        &["--whole-words"],
    ] {
        assert!(infer(flag).contains(&format!("{} changes nothing", flag[0])), "{flag:?}");
    }
    assert!(infer(&["--schema-language", "english"]).contains("--schema <JSON>"));
    for flag in ["--raw", "--task", "--weights", "--top-k"] {
        assert!(refusal(&["tokenize", flag, "models/demo"], "好").contains("unexpected argument"), "{flag}");
    }
    for flag in [&["--normalize"][..], &["--pooling", "mean"]] {
        let rank = refusal(&[&["rank", &model("paddlenlp_cross_encoder")], flag].concat(), "");
        assert!(rank.contains(&format!("{} changes nothing", flag[0])), "{rank}");
    }
    assert!(
        refusal(&["rank", &model("paddlenlp_dual_encoder"), "--max-tokens", "1"], "").contains("ernie: max_tokens 1")
    );
    let none = refusal(&["infer", &model("paddlenlp_dual_encoder")], "好");
    assert!(none.contains("gives no answers") && !none.contains("line"), "{none}");
}

#[test]
fn windows_go_through_every_task() {
    let long = format!("{{\"text\": \"{}\"}}", "今天天气很好。".repeat(12));
    let windows = ["--max-tokens", "20", "--doc-stride", "9"];
    let tagged = infer("paddle_ernie_ner", &windows, &long);
    assert_eq!(list(&tagged[0]["words"]).len(), 84);
    let raw = infer("paddle_ernie_ner", &[&windows[..], &["--raw"]].concat(), &long);
    let shown = list(&raw[0]["windows"]);
    assert!(shown.len() > 4 && raw[0].get("outputs").is_none());
    assert_eq!(keys(&shown[1]), ["input_ids", "token_type_ids", "outputs"]);
    assert_eq!(shown[1]["outputs"]["logits"]["shape"], json!([1, 20, 5]));
    let whole = lines(&done(&["encode", "models/demo", "--pooling", "mean"], &long));
    let parts = lines(&done(&[&["encode", "models/demo", "--pooling", "mean"], &windows[..]].concat(), &long));
    assert!(whole != parts && list(&parts[0]["pooled"]).len() == 192);
    let labels = lines(&done(&[&["infer", "models/demo"], &windows[..]].concat(), &long));
    assert!(labels[0]["label"].is_string() && labels[0].get("n_truncated_tokens").is_none());
}

#[test]
fn a_label_without_a_name_does_not_take_the_name_of_its_line() {
    let answers = infer("paddlenlp_cross_encoder", &[], "{\"id\": \"mine\", \"text\": \"天气\", \"pair\": \"好\"}\n");
    assert_eq!(keys(&answers[0])[..2], ["id", "label_id"]);
    assert!(answers[0]["id"] == "mine" && answers[0]["label_id"].is_u64());
}

#[test]
fn candidates_that_were_cut_are_told_and_thresholds_are_probabilities() {
    let long = "今".repeat(90);
    let line = json!({"query": "天气", "candidates": ["好", long]}).to_string() + "\n";
    let arguments = ["rank", &model("paddlenlp_cross_encoder")];
    let ranked = lines(&tool(&arguments, line.as_bytes()));
    let cut = list(&ranked[0]["n_truncated_tokens"]);
    assert!(cut[0] == 0 && cut[1].as_u64().unwrap() > 50, "{ranked:?}");
    for threshold in ["nan", "-1", "0", "2", "x"] {
        let threshold = &format!("--threshold={threshold}");
        let arguments = ["infer", threshold, "models/demo"];
        let refused = tool(&arguments, b"a\n");
        assert!(!refused.status.success() && errors(&refused).contains("above 0 and up to 1"), "{threshold}");
    }
}

#[test]
fn extraction_tells_what_it_did_not_search() {
    let searched = "很".repeat(90);
    let cut = ["--set", "truncation=truncate"];
    let with_prompt = json!({"prompt": "房间", "text": searched}).to_string();
    let line = &infer("paddlenlp_uie", &cut, &with_prompt)[0];
    assert!(line["n_truncated_tokens"].as_u64().unwrap() >= 55, "{line}");
    let by_name = &infer("paddlenlp_uie", &[&cut[..], &["--schema", r#"["房", "间"]"#]].concat(), &searched)[0];
    assert!(keys(by_name) == ["found", "n_truncated_tokens"], "{by_name}");
    // Windows search all of it.
    let windows = &infer("paddlenlp_uie", &["--schema", r#"["房"]"#], &searched)[0];
    assert_eq!(keys(windows), ["found"]);
}

#[test]
fn a_meaning_of_scores_that_changes_no_ranking_is_refused() {
    let line = json!({"query": "天气", "candidates": ["今天天气很好", "我们去看书"]}).to_string();
    let rank = ["rank", &model("paddlenlp_cross_encoder")];
    for problem in ["single-label", "regression"] {
        let refused = refusal(&[&rank[..], &["--problem", problem]].concat(), &line);
        assert!(refused.contains("--problem changes nothing"), "{refused}");
    }
    let scores = |arguments: &[&str]| lines(&done(&[&rank[..], arguments].concat(), &line))[0]["scores"].clone();
    assert_ne!(scores(&["--problem", "multi-label"]), scores(&[]));
}

#[test]
fn an_array_is_written_by_encode_only() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.npy", "A.NPY"] {
        let path = dir.path().join(name);
        let path = path.to_str().unwrap();
        let ranker = model("paddlenlp_cross_encoder");
        for (command, model) in [("tokenize", "models/demo"), ("infer", "models/demo"), ("rank", &ranker)] {
            let refused = refusal(&[command, model, "-o", path], "");
            assert!(refused.contains("an array is written by `encode`"), "{refused}");
            assert!(!std::fs::exists(path).unwrap());
        }
        done(&["encode", "models/demo", "-o", path], "好\n");
        assert!(std::fs::read(path).unwrap().starts_with(b"\x93NUMPY"));
    }
}
