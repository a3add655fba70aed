//! Logits of tokens -> labels of words -> entities.
//!
//! A word's logits are the mean of those of its tokens, as `demo/finetune_ner.py` of paddle-ernie has it. Entities are
//! read from the labels' names: `B-`, `I-` (or `M-`), `E-` (or `L-`) and `S-` (or `U-`, `W-`) before or behind the type,
//! `O` (also `X`, `[CLS]`, `[SEP]`, `[PAD]`) for none, or types alone. What does not fit the rules (`I-` behind another type, no `E-`) begins or ends an entity as
//! the CoNLL evaluation has it.

use std::ops::Range;

use super::softmax;

/// A word of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Its content tokens.
    pub(crate) tokens: Range<usize>,
    /// Its bytes.
    pub(crate) bytes: Range<usize>,
}

/// What was predicted for a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prediction {
    pub(crate) label: usize,
    /// The label's probability.
    pub(crate) score: f32,
}

/// The mean of the rows that are there; `None` without any.
pub(crate) fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Option<Vec<f32>> {
    let mut sum: Option<Vec<f32>> = None;
    let mut n_rows = 0_u32;
    for row in rows {
        n_rows += 1;
        match &mut sum {
            None => sum = Some(row.to_vec()),
            Some(sum) => sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x),
        }
    }
    let mut sum = sum?;
    sum.iter_mut().for_each(|x| *x /= n_rows as f32);
    Some(sum)
}

/// The label with the largest logit, the first of equals.
pub(crate) fn predict(logits: &[f32]) -> Option<Prediction> {
    let best = |best: Option<usize>, label: usize| match best {
        Some(known) if logits[known] >= logits[label] => Some(known),
        _ => Some(label),
    };
    let label = (0..logits.len()).fold(None, best)?;
    Some(Prediction { label, score: softmax(logits)[label] })
}

/// Where in an entity a label stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Begin,
    Inside,
    End,
    Single,
}

/// What labels mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagScheme {
    /// Place and type of each label; `None` for those outside of entities.
    labels: Vec<Option<(Place, String)>>,
}

impl TagScheme {
    /// Reads the labels' names.
    pub(crate) fn of(names: &[String]) -> Self {
        // Some taggers were trained with labels for pieces and special tokens.
        let is_outside =
            |name: &str| matches!(name, "O" | "o" | "" | "X" | "[CLS]" | "[SEP]" | "[PAD]" | "<PAD>" | "<pad>");
        let with = |split: fn(&str) -> Option<(Place, &str)>| -> Option<Vec<Option<(Place, String)>>> {
            let read = |name: &String| match is_outside(name) {
                true => Some(None),
                false => split(name).map(|(place, kind)| Some((place, kind.to_owned()))),
            };
            names.iter().map(read).collect()
        };
        let alone = |name: &String| (!is_outside(name)).then(|| (Place::Inside, name.clone()));
        let labels = with(prefixed).or_else(|| with(suffixed));
        Self { labels: labels.unwrap_or_else(|| names.iter().map(alone).collect()) }
    }
}

fn place(letter: &str) -> Option<Place> {
    match letter {
        "B" => Some(Place::Begin),
        "I" | "M" => Some(Place::Inside),
        "E" | "L" => Some(Place::End),
        "S" | "U" | "W" => Some(Place::Single),
        _ => None,
    }
}

fn prefixed(name: &str) -> Option<(Place, &str)> {
    let (letter, kind) = name.split_once(['-', '_']).unwrap_or((name, ""));
    Some((place(letter)?, kind))
}

fn suffixed(name: &str) -> Option<(Place, &str)> {
    let (kind, letter) = name.rsplit_once(['-', '_']).unwrap_or(("", name));
    Some((place(letter)?, kind))
}

/// Words that belong together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entity {
    pub(crate) words: Range<usize>,
    pub(crate) kind: String,
    /// The label of its first word.
    pub(crate) label: usize,
    /// The mean of its words' probabilities.
    pub(crate) score: f32,
}

/// An entity that may go on.
struct Open {
    entity: Entity,
    sum: f32,
    n_words: u32,
}

/// Reads entities from the words' predictions. A word without one (white space, or cut) neither ends nor extends one.
pub(crate) fn entities(predictions: &[Option<Prediction>], scheme: &TagScheme) -> Vec<Entity> {
    let mut found = Vec::new();
    let mut open: Option<Open> = None;
    let close = |open: &mut Option<Open>, found: &mut Vec<Entity>| {
        if let Some(Open { mut entity, sum, n_words }) = open.take() {
            entity.score = sum / n_words as f32;
            found.push(entity);
        }
    };
    for (word, prediction) in predictions.iter().enumerate() {
        let Some(prediction) = prediction else { continue };
        let Some((place, kind)) = scheme.labels.get(prediction.label).and_then(Option::as_ref) else {
            close(&mut open, &mut found);
            continue;
        };
        let goes_on =
            matches!(place, Place::Inside | Place::End) && open.as_ref().is_some_and(|o| o.entity.kind == *kind);
        if !goes_on {
            close(&mut open, &mut found);
        }
        let Prediction { label, score } = *prediction;
        let entity = || Entity { words: word..word, kind: kind.clone(), label, score: 0.0 };
        let current = open.get_or_insert_with(|| Open { entity: entity(), sum: 0.0, n_words: 0 });
        current.entity.words.end = word + 1;
        current.sum += score;
        current.n_words += 1;
        if matches!(place, Place::End | Place::Single) {
            close(&mut open, &mut found);
        }
    }
    close(&mut open, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(names: &[&str], labels: &[&str]) -> Vec<(String, Range<usize>)> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let scheme = TagScheme::of(&names);
        let predictions: Vec<Option<Prediction>> = labels
            .iter()
            .map(|label| names.iter().position(|name| name == label))
            .map(|label| label.map(|label| Prediction { label, score: 0.5 }))
            .collect();
        entities(&predictions, &scheme).into_iter().map(|entity| (entity.kind, entity.words)).collect()
    }

    fn wanted(list: &[(&str, Range<usize>)]) -> Vec<(String, Range<usize>)> {
        list.iter().map(|(kind, words)| ((*kind).to_owned(), words.clone())).collect()
    }

    #[test]
    fn bio_labels_before_and_behind_the_type() {
        let names = ["B-PER", "I-PER", "B-ORG", "I-ORG", "O"];
        let labels = ["B-PER", "I-PER", "B-PER", "O", "I-ORG", "I-PER", "B-ORG", "?", "I-ORG"];
        let entities = [("PER", 0..2), ("PER", 2..3), ("ORG", 4..5), ("PER", 5..6), ("ORG", 6..9)];
        assert_eq!(found(&names, &labels), wanted(&entities));
        assert_eq!(
            found(&["[PAD]", "X", "B-A", "I-A", "O"], &["B-A", "X", "I-A"]),
            wanted(&[("A", 0..1), ("A", 2..3)])
        );
        let names = ["n-B", "n-I", "v_n-B", "v_n-I", "O"];
        assert_eq!(found(&names, &["n-B", "n-I", "v_n-B", "v_n-I"]), wanted(&[("n", 0..2), ("v_n", 2..4)]));
    }

    #[test]
    fn bioes_bmes_and_bilou_end_where_they_say() {
        let names = ["O", "B-T", "I-T", "E-T", "S-T"];
        let labels = ["B-T", "I-T", "E-T", "I-T", "S-T", "S-T", "E-T"];
        assert_eq!(found(&names, &labels), wanted(&[("T", 0..3), ("T", 3..4), ("T", 4..5), ("T", 5..6), ("T", 6..7)]));
        assert_eq!(found(&["B", "M", "E", "S"], &["B", "M", "E", "S"]), wanted(&[("", 0..3), ("", 3..4)]));
        assert_eq!(found(&["B-T", "L-T", "U-T", "O"], &["B-T", "L-T", "U-T"]), wanted(&[("T", 0..2), ("T", 2..3)]));
    }

    #[test]
    fn types_alone_join_neighbours() {
        let names = ["O", "PER", "B-SIDE", "ORG"];
        assert_eq!(
            found(&names, &["PER", "PER", "ORG", "O", "PER"]),
            wanted(&[("PER", 0..2), ("ORG", 2..3), ("PER", 4..5)])
        );
    }

    #[test]
    fn the_first_of_equal_logits_is_predicted() {
        assert_eq!(predict(&[1.0, 2.0, 2.0]).map(|p| p.label), Some(1));
        assert_eq!(predict(&[]), None);
        assert_eq!(mean([[1.0_f32, 2.0].as_slice(), &[3.0, 6.0]].into_iter()), Some(vec![2.0, 4.0]));
    }

    proptest! {
        #[test]
        fn entities_are_apart_and_in_order(labels in proptest::collection::vec(0_usize..6, 0..30)) {
            let names: Vec<String> = ["O", "B-A", "I-A", "B-B", "I-B", "E-B"].map(str::to_owned).to_vec();
            let predictions: Vec<_> = labels.iter().map(|label| Some(Prediction { label: *label, score: 1.0 })).collect();
            let found = entities(&predictions, &TagScheme::of(&names));
            let covered: usize = found.iter().map(|entity| entity.words.len()).sum();
            prop_assert_eq!(covered, labels.iter().filter(|label| **label != 0).count());
            for pair in found.windows(2) {
                prop_assert!(pair[0].words.end <= pair[1].words.start);
            }
        }
    }
}
