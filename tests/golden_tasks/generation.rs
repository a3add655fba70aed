//! What the reference's scripts write: greedily and by beams, alone and in padded batches.

use std::path::Path;

use ernie::pipeline::{Call, Decoding, Generated, Generation, Input, Model, SourcePadding};
use serde_json::Value;

use super::data::Case;

/// The end of a text in the reference's ids, which repeat it or go on behind it.
fn reference_ids(ids: &Value, end: i64) -> (Vec<i64>, bool) {
    let ids: Vec<i64> = ids.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
    match ids.iter().position(|id| *id == end) {
        Some(at) => (ids[..at].to_vec(), true),
        None => (ids, false),
    }
}

/// Two texts whose scores lie closer than this may change places.
fn is_tie(result: &Value, row: usize, limit: f64) -> bool {
    let gaps =
        if result["method"] == "greedy" { &result["smallest_top1_top2_gap"] } else { &result["smallest_score_gap"] };
    gaps[row].as_f64().unwrap() < limit
}

fn settings(result: &Value, most: usize, source_padding: SourcePadding) -> Generation {
    let base = Generation { max_new_tokens: Some(most), source_padding, ..Generation::default() };
    match result["method"].as_str().unwrap() {
        "greedy" => Generation { decoding: Decoding::Greedy, ..base },
        _ => Generation {
            n_beams: result["beam_width"].as_u64().unwrap() as usize,
            length_penalty: result["length_penalty"].as_f64().unwrap() as f32,
            ..base
        },
    }
}

fn is_same(found: &Generated, result: &Value, row: usize, end: i64) -> bool {
    let (ids, is_ended) = reference_ids(&result["ids"][row], end);
    found.token_ids == ids
        && found.text == result["text"][row].as_str().unwrap()
        && is_ended == (found.finish == ernie::pipeline::Finish::End)
}

fn write(model: &Model, texts: &[&str], call: &Call, settings: &Generation) -> Vec<Generated> {
    let inputs: Vec<Input<'_>> = texts.iter().map(|text| Input { text, pair: None }).collect();
    let output = model.generate(&inputs, call, settings, None).unwrap();
    output.generated.into_iter().map(|mut sequences| sequences.swap_remove(0)).collect()
}

fn compare(golden: &Path, name: &str, sub: &str) {
    let case = Case::open(golden, name);
    let options = &case.expect["options"];
    let [most_source, most, target] =
        ["max_encode_len", "max_decode_len", "tgt_type_id"].map(|key| options[key].as_u64().unwrap() as usize);
    let model = case.model(sub, &[("target_type_id", &target.to_string())]);
    let end = model.tokenizer().unwrap().special_ids().sep.unwrap();
    let call = Call { seed_truncate_to: Some(most_source), ..Call::default() };
    let (mut n_equal, mut n_ties) = (0, 0);
    let texts: Vec<&str> = case.inputs().iter().map(|input| input["text"].as_str().unwrap()).collect();
    let first = case.inputs()[0]["results"].as_array().unwrap();
    for (number, result) in first.iter().enumerate() {
        let settings = settings(result, most, SourcePadding::None);
        let all = write(&model, &texts, &call, &settings);
        for (input, together) in case.inputs().iter().zip(&all) {
            let result = &input["results"][number];
            let alone = write(&model, &[input["text"].as_str().unwrap()], &call, &settings).swap_remove(0);
            assert_eq!(&alone, together, "{name} {} {settings:?}: alone and in a batch", input["id"]);
            if is_same(&alone, result, 0, end) {
                n_equal += 1;
            } else {
                assert!(is_tie(result, 0, 2e-4), "{name} {}: {result} but {alone:?}", input["id"]);
                n_ties += 1;
            }
        }
    }
    let (n_alone, n_ties_alone) = (n_equal, n_ties);
    let text = |id: &Value| case.inputs().iter().find(|input| input["id"] == *id).unwrap()["text"].as_str().unwrap();
    for batch in case.expect["batches"].as_array().unwrap() {
        let texts: Vec<&str> = batch["members"].as_array().unwrap().iter().map(text).collect();
        for result in batch["results"].as_array().unwrap() {
            let all = write(&model, &texts, &call, &settings(result, most, SourcePadding::Reference));
            for (row, found) in all.iter().enumerate() {
                if is_same(found, result, row, end) {
                    n_equal += 1;
                } else {
                    assert!(is_tie(result, row, 2e-3), "{name} {:?}[{row}]: {result} but {found:?}", batch["members"]);
                    n_ties += 1;
                }
            }
        }
    }
    case.says(n_alone, &format!("texts alone ({n_ties_alone} at a tie differ)"));
    case.says(n_equal - n_alone, &format!("texts in padded batches ({} at a tie differ)", n_ties - n_ties_alone));
}

pub(crate) fn all(golden: &Path) {
    compare(golden, "06a_seed_gen_attn", "pretrained");
    compare(golden, "06b_seed_gen_mask", "");
}
