//! Probabilities of a prompt with its text -> what was found.

use super::{Item, windows};
use crate::heads::extract::{Span, spans};
use crate::tokenize::Encoding;

/// What the model said of the tokens of one encoding, as a start and as an end.
pub(super) type Probabilities = (Vec<f32>, Vec<f32>);

/// What a prompt found: places of the text, and options of the prompt itself (without a place).
pub(super) fn findings(
    windows: &[Encoding],
    probabilities: &[Probabilities],
    prompt: &str,
    text: &str,
    threshold: f32,
) -> Vec<Item> {
    let mut items = match (windows, probabilities) {
        ([encoding], [(start, end)]) => {
            spans(start, end, threshold).iter().filter_map(|span| in_text(encoding, span, text)).collect()
        }
        _ => over_windows(windows, probabilities, text, threshold),
    };
    items.sort_by_key(|item| (item.begin, item.end));
    items.dedup_by_key(|item| (item.begin, item.end));
    let of_windows = windows.iter().zip(probabilities).map(|(encoding, (start, end))| {
        let spans = spans(start, end, threshold);
        spans.iter().filter_map(|span| in_prompt(encoding, span, prompt)).collect::<Vec<Item>>()
    });
    let options: Vec<Vec<Item>> = of_windows.collect();
    match items.is_empty() {
        true => voted(&options).into_iter().collect(),
        false => {
            items.extend(options.into_iter().flatten());
            items
        }
    }
}

/// The finding of a span of the text. As in the reference, an added token stands before the text's first byte.
fn in_text(encoding: &Encoding, span: &Span, text: &str) -> Option<Item> {
    if encoding.sequence.get(span.last) != Some(&1) || encoding.sequence.get(span.first) == Some(&0) {
        return None;
    }
    let begin = match windows::is_added(encoding, span.first) {
        true => 0,
        false => encoding.offsets[span.first].begin,
    };
    item(begin, encoding.offsets[span.last].end, text, span)
}

/// The option of a prompt.
fn in_prompt(encoding: &Encoding, span: &Span, prompt: &str) -> Option<Item> {
    let is_prompt = |token: usize| encoding.sequence.get(token) == Some(&0);
    if !is_prompt(span.first) || !is_prompt(span.last) {
        return None;
    }
    let found = item(encoding.offsets[span.first].begin, encoding.offsets[span.last].end, prompt, span)?;
    Some(Item { begin: 0, end: 0, ..found })
}

fn item(begin: usize, end: usize, text: &str, span: &Span) -> Option<Item> {
    let found = text.get(begin..end).filter(|found| !found.is_empty())?;
    Some(Item {
        score: span.score(),
        text: found.to_owned(),
        begin,
        end,
        begin_score: span.start_probability,
        end_score: span.end_probability,
        ..Item::default()
    })
}

/// Spans of a text in windows: every token by the window that shows most around it.
fn over_windows(windows: &[Encoding], probabilities: &[Probabilities], text: &str, threshold: f32) -> Vec<Item> {
    let places = windows::places(windows, 1);
    let of = |column: fn(&Probabilities) -> &Vec<f32>| -> Vec<f32> {
        let value =
            |(window, token): &(usize, usize)| column(&probabilities[*window]).get(*token).copied().unwrap_or(0.0);
        places.iter().map(value).collect()
    };
    let found = spans(&of(|(start, _)| start), &of(|(_, end)| end), threshold);
    let offsets = |token: usize| windows[places[token].0].offsets[places[token].1];
    found.iter().filter_map(|span| item(offsets(span.first).begin, offsets(span.last).end, text, span)).collect()
}

/// The option that most windows name, of equals that with the highest sum; its score is the mean.
fn voted(options: &[Vec<Item>]) -> Option<Item> {
    let mut votes: Vec<(Item, usize, f32)> = Vec::new();
    for best in options.iter().filter_map(|options| options.iter().max_by(|a, b| a.score.total_cmp(&b.score))) {
        match votes.iter_mut().find(|(item, ..)| item.text == best.text) {
            Some((_, n_votes, sum)) => (*n_votes, *sum) = (*n_votes + 1, *sum + best.score),
            None => votes.push((best.clone(), 1, best.score)),
        }
    }
    let most = votes.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(a.2.total_cmp(&b.2)));
    most.map(|(item, n_votes, sum)| Item { score: sum / n_votes as f32, ..item })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_windows_decide_about_options() {
        let item = |text: &str, score| Item { text: text.into(), score, ..Item::default() };
        let options =
            [vec![item("good", 0.6)], vec![item("bad", 0.9)], vec![], vec![item("good", 0.8), item("bad", 0.7)]];
        let best = voted(&options).unwrap();
        assert!(best.text == "good" && (best.score - 0.7).abs() < 1e-6, "{best:?}");
    }
}
