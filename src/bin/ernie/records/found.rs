//! What extraction found: a list, or by the names of a schema, to any depth.

use ernie::pipeline::Item;

use super::Object;

/// What a prompt found.
pub(super) fn list(items: &[Item]) -> Object {
    let list: Vec<Object> = items.iter().map(finding).collect();
    Object::default().with("found", &list)
}

/// What the names of a schema found, each with what belongs to it.
pub(super) fn by_name(items: &[Item]) -> Object {
    let mut roots: Vec<usize> = Vec::new();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (index, item) in items.iter().enumerate() {
        match item.parent.and_then(|parent| children.get_mut(parent)) {
            Some(siblings) => siblings.push(index),
            None => roots.push(index),
        }
    }
    Object::default().with("found", &named(&roots, items, &children))
}

/// Lists of findings under their names. A schema nests a few levels, which bounds how deep this goes.
fn named(indices: &[usize], items: &[Item], children: &[Vec<usize>]) -> Object {
    let with_relations = |index: &usize| {
        let object = finding(&items[*index]);
        match children[*index].as_slice() {
            [] => object,
            below => object.with("relations", &named(below, items, children)),
        }
    };
    let of_names = indices.chunk_by(|a, b| items[*a].id == items[*b].id);
    of_names.fold(Object::default(), |object, same| {
        let list: Vec<Object> = same.iter().map(with_relations).collect();
        object.with(&items[same[0]].label, &list)
    })
}

/// A finding; an option of the prompt has no place in the text.
fn finding(item: &Item) -> Object {
    let object = Object::default().with("text", &item.text);
    let object = match item.end {
        0 => object,
        _ => object.with("begin", &item.begin).with("end", &item.end),
    };
    object.with("score", &item.score)
}
