//! What each task found.

use ernie::options::Task;
use ernie::pipeline::{Call, Finish, Generated, Item, Model, Output, Tags};
use ernie::tokenize::Encoding;

use super::{Object, found};

/// The answer to a text.
pub(crate) fn answer(model: &Model, call: &Call, output: &Output, index: usize) -> Object {
    let Some(items) = output.items.get(index) else { return Object::default() };
    match model.task() {
        Task::TokenClassification if call.tags == Tags::Words || model.spec().labels.is_empty() => words(items),
        Task::TokenClassification => entities(items),
        Task::QuestionAnswering => {
            let scores = output.matrix.as_ref().map(|matrix| matrix.row(index)).unwrap_or_default();
            answers(items, scores.get(1).copied())
        }
        Task::MaskedLm => masks(items, !call.candidates.is_empty()),
        Task::InformationExtraction if call.schema.is_some() => found::by_name(items),
        Task::InformationExtraction => found::list(items),
        Task::Generation => text(items),
        _ => labels(items),
    }
}

/// Candidates: the scores in the caller's order, and the best of them.
pub(crate) fn ranking(output: &Output) -> Object {
    let scores = output.matrix.as_ref().map(|matrix| matrix.data.as_slice()).unwrap_or_default();
    let item = |item: &Item| Object::default().with("index", &item.id).with("score", &item.score);
    let ranking: Vec<Object> = output.items.iter().flatten().map(item).collect();
    let object = Object::default().with("scores", &scores).with("ranking", &ranking);
    // Windows of a candidate cut nothing.
    let cut: Vec<usize> = output.encodings.iter().filter(|e| e.window == 0).map(Encoding::n_truncated_tokens).collect();
    if cut.iter().any(|n_tokens| *n_tokens > 0) { object.with("n_truncated_tokens", &cut) } else { object }
}

/// A text's labels, best first.
fn labels(items: &[Item]) -> Object {
    let list: Vec<Object> = items
        .iter()
        .map(|item| Object::default().with("id", &item.id).with("label", &item.text).with("score", &item.score))
        .collect();
    let best = items.first();
    // A label without a name is known by its id, which is not that of the line.
    let start = match best {
        Some(item) if item.text.is_empty() => Object::default().with("label_id", &item.id),
        _ => Object::default(),
    };
    start.with("label", &best.map(|item| &item.text)).with("score", &best.map(|item| item.score)).with("items", &list)
}

/// Entities in the order of the text.
fn entities(items: &[Item]) -> Object {
    let entity = |item: &Item| place(Object::default().with("type", &item.label).with("text", &item.text), item);
    let list: Vec<Object> = items.iter().map(|item| entity(item).with("score", &item.score)).collect();
    Object::default().with("entities", &list)
}

/// Words with their labels; a label without a name is known by its id.
fn words(items: &[Item]) -> Object {
    let word = |item: &Item| {
        let is_predicted = item.id >= 0;
        let object = Object::default()
            .with("text", &item.text)
            .with("label", &Some(&item.label).filter(|label| !label.is_empty()))
            .with("id", &is_predicted.then_some(item.id))
            .with("score", &is_predicted.then_some(item.score));
        place(object, item)
    };
    let list: Vec<Object> = items.iter().map(word).collect();
    Object::default().with("words", &list)
}

/// Answers, best first. Of no answer there is the score alone.
fn answers(items: &[Item], no_answer_score: Option<f32>) -> Object {
    let with_place = |object: Object, item: Option<&Item>| {
        let item = item.filter(|item| item.id >= 0);
        object.with("begin", &item.map(|item| item.begin)).with("end", &item.map(|item| item.end))
    };
    let one = |item: &Item| {
        let is_answer = item.id >= 0;
        let object = Object::default().with("text", &is_answer.then_some(&item.text)).with("score", &item.score);
        with_place(object, Some(item))
            .with("start_logit", &is_answer.then_some(item.begin_score))
            .with("end_logit", &is_answer.then_some(item.end_score))
    };
    let best = items.first();
    let answer = best.filter(|item| item.id >= 0).map(|item| &item.text);
    let object = Object::default().with("answer", &answer).with("score", &best.map(|item| item.score));
    let list: Vec<Object> = items.iter().map(one).collect();
    with_place(object, best).with("no_answer_score", &no_answer_score).with("answers", &list)
}

/// The text that a generator writes; of raw outputs there is none.
fn text(items: &[Item]) -> Object {
    items
        .first()
        .map_or_else(Object::default, |item| Object::default().with("text", &item.text).with("score", &item.score))
}

/// The sequences that were written for a text: the first of them, and all of them where `is_list`.
pub(crate) fn written(sequences: &[Generated], is_list: bool, with_ids: bool) -> Object {
    let one = |generated: &Generated| {
        let finish = match generated.finish {
            Finish::End => "end",
            Finish::Length => "length",
            Finish::StopString => "stop_string",
            Finish::Exhausted => "exhausted",
            _ => "stopped",
        };
        let object = Object::default()
            .with("text", &generated.text)
            .with("score", &generated.score)
            .with("log_probability", &generated.log_probability)
            .with("finish", &finish);
        if with_ids { object.with("token_ids", &generated.token_ids) } else { object }
    };
    let object = sequences.first().map_or_else(Object::default, one);
    match is_list {
        true => object.with("sequences", &sequences.iter().map(one).collect::<Vec<Object>>()),
        false => object,
    }
}

/// The words of each mask, best first.
fn masks(items: &[Item], are_offered: bool) -> Object {
    let word = |item: &Item| {
        let object = match are_offered {
            true => Object::default().with("candidate", &item.text).with("index", &item.id),
            false => Object::default().with("id", &item.id).with("token", &item.text),
        };
        object.with("score", &item.score)
    };
    let mask = |words: &[Item]| {
        let object = match words.first().map_or(0, |item| item.sequence) {
            0 => Object::default(),
            _ => Object::default().with("sequence", &"pair"),
        };
        let object = words.first().into_iter().fold(object, place);
        object.with("words", &words.iter().map(word).collect::<Vec<Object>>())
    };
    let list: Vec<Object> = items.chunk_by(|a, b| a.group == b.group).map(mask).collect();
    Object::default().with("masks", &list)
}

/// Where it stands in the text, in bytes.
fn place(object: Object, item: &Item) -> Object {
    object.with("begin", &item.begin).with("end", &item.end)
}
