//! Texts with `[MASK]` -> the words behind it.

use std::collections::BTreeSet;
use std::ops::Range;

use super::encodings::of_input;
use super::forward::{Predicted, Wanted};
use super::{Admission, Call, Input, Item, Model, Output, windows};
use crate::error::{Error, Result};
use crate::graph::binding::OutputRole;
use crate::heads::fill_mask::{Place, candidate, top};
use crate::model_dir::limit_tokens;
use crate::tokenize::{Encoding, SpecialTokensInText, Truncation};

/// Words of a `[MASK]` where nobody says how many.
const TOP_K: usize = 5;
/// Tokens of a candidate at most.
const MAX_CANDIDATE_TOKENS: usize = 64;
/// Texts with widened masks that are made together.
const LONGER_AT_A_TIME: usize = 256;

/// A `[MASK]` of a text: which encoding speaks for it, and where it stands there.
#[derive(Clone, Copy, Debug)]
struct Mask {
    encoding: usize,
    token: usize,
}

/// A `[MASK]` of an input to be widened to so many.
#[derive(Clone, Copy, Debug)]
struct Longer {
    input: usize,
    group: usize,
    mask: Mask,
    n_tokens: usize,
}

/// A word that the caller offers.
struct Candidate<'a> {
    index: usize,
    text: &'a str,
    ids: Vec<usize>,
}

impl Model {
    /// The likeliest words of every `[MASK]`, the masks in order ([`Item::group`]), words best first.
    pub(super) fn fill_masks(&self, inputs: &[Input<'_>], call: &Call) -> Result<Output> {
        let offered = self.offered(call)?;
        let encodings = self.with_room(inputs, &offered, call)?;
        self.check_encodings(&encodings)?;
        let mut masks: Vec<Vec<Mask>> = Vec::with_capacity(inputs.len());
        for (index, range) in windows::of_inputs(&encodings, inputs.len()).into_iter().enumerate() {
            let found = self.masks(&encodings[range.clone()], range.start)?;
            if found.is_empty() && !call.with_raw_outputs {
                return Err(of_input(no_mask(&encodings[range]), index));
            }
            masks.push(found);
        }
        let mut output = Output { items: vec![Vec::new(); inputs.len()], ..Output::default() };
        let wanted = Wanted { tokens: true, words: Predicted::Masks };
        self.forward(&encodings, call, wanted, &mut output.raw_outputs, |index, row| {
            let input = encodings[index].input;
            let all = self.mask_tokens(&encodings[index])?;
            let Some(rows) = row.rows_of(OutputRole::Logits, encodings[index].len(), &all)? else {
                return Err(Error::Unsupported("the graph gives no logits of words".into()));
            };
            for (group, mask) in masks[input].iter().enumerate().filter(|(_, mask)| mask.encoding == index) {
                let Some(row) = all.iter().position(|token| *token == mask.token).map(|number| rows[number]) else {
                    continue;
                };
                let place = item(&encodings[index], mask.token, group);
                if offered.is_empty() {
                    output.items[input].extend(self.words(row, call, &place)?);
                } else {
                    let short = offered.iter().filter(|word| word.ids.len() == 1);
                    let places = [Place::new(row)];
                    output.items[input].extend(short.filter_map(|word| scored(word, &places, &place)));
                }
            }
            Ok(())
        })?;
        self.score_longer(&offered, &encodings, &masks, call, &mut output.items)?;
        let top_k = call.top_k.unwrap_or(if offered.is_empty() { TOP_K } else { usize::MAX });
        output.items.iter_mut().for_each(|items| order(items, top_k));
        output.encodings = encodings;
        Ok(output)
    }

    /// The texts, cut so that the longest candidate has room in each.
    fn with_room(&self, inputs: &[Input<'_>], offered: &[Candidate<'_>], call: &Call) -> Result<Vec<Encoding>> {
        let longest = offered.iter().map(|word| word.ids.len()).max().unwrap_or(1);
        let most = limit_tokens(call.max_tokens, self.max_tokens)?;
        let max_tokens = most.map(|most| most.saturating_sub(longest - 1));
        self.tokenize_by(inputs, &Call { max_tokens, ..call.clone() }, Truncation::Truncate)
    }

    /// Candidates of several tokens: the text is run with as many `[MASK]`s in the place of the one.
    fn score_longer(
        &self,
        offered: &[Candidate<'_>],
        encodings: &[Encoding],
        masks: &[Vec<Mask>],
        call: &Call,
        items: &mut [Vec<Item>],
    ) -> Result<()> {
        let lengths: BTreeSet<usize> = offered.iter().map(|word| word.ids.len()).filter(|n| *n > 1).collect();
        let all = masks.iter().enumerate().flat_map(|(input, masks)| {
            let of_mask = move |(group, mask): (usize, &Mask)| (input, group, *mask);
            masks.iter().enumerate().map(of_mask)
        });
        let all = all.flat_map(|(input, group, mask)| {
            lengths.iter().map(move |n_tokens| Longer { input, group, mask, n_tokens: *n_tokens })
        });
        let all: Vec<Longer> = all.collect();
        let call = Call { with_raw_outputs: false, admission: Admission::Granted, ..call.clone() };
        // So many at a time as take little memory.
        for asked in all.chunks(LONGER_AT_A_TIME) {
            let wide = |longer: &Longer| widen(&encodings[longer.mask.encoding], longer.mask.token, longer.n_tokens);
            let widened: Vec<Encoding> = asked.iter().map(wide).collect();
            let range = |longer: &Longer| longer.mask.token..longer.mask.token + longer.n_tokens;
            let predicted: Vec<Range<usize>> = asked.iter().map(range).collect();
            let wanted = Wanted { tokens: true, words: Predicted::Places(&predicted) };
            self.forward(&widened, &call, wanted, &mut Vec::new(), |index, row| {
                let Longer { input, group, mask, n_tokens } = asked[index];
                let tokens: Vec<usize> = predicted[index].clone().collect();
                let rows = row.rows_of(OutputRole::Logits, widened[index].len(), &tokens)?.unwrap_or_default();
                let places: Vec<Place<'_>> = rows.into_iter().map(Place::new).collect();
                let place = item(&encodings[mask.encoding], mask.token, group);
                let fitting = offered.iter().filter(|word| word.ids.len() == n_tokens);
                items[input].extend(fitting.filter_map(|word| scored(word, &places, &place)));
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The caller's candidates as tokens.
    fn offered<'a>(&self, call: &'a Call) -> Result<Vec<Candidate<'a>>> {
        let tokenizer = self.tokenizer()?;
        let unk = tokenizer.special_ids().unk;
        let mut offered = Vec::with_capacity(call.candidates.len());
        for (index, text) in call.candidates.iter().enumerate() {
            let refuse = |reason: &str| {
                Err(Error::argument(format!("candidate {index} (\"{}\") {reason}", text.escape_debug())))
            };
            // A piece of the vocabulary may be named as the vocabulary writes it.
            let whole = tokenizer.id(text).filter(|_| text.starts_with("##")).map(|id| vec![id]);
            let ids = match whole {
                Some(ids) => ids,
                None => tokenizer.cut(text, SpecialTokensInText::Plain)?.ids,
            };
            if ids.is_empty() {
                return refuse("has no tokens");
            }
            if ids.iter().any(|id| Some(*id) == unk) {
                return refuse("is not in the vocabulary");
            }
            if ids.len() > MAX_CANDIDATE_TOKENS {
                return refuse(&format!("has {} tokens, more than {MAX_CANDIDATE_TOKENS}", ids.len()));
            }
            let ids = ids.into_iter().filter_map(|id| usize::try_from(id).ok()).collect();
            offered.push(Candidate { index, text, ids });
        }
        Ok(offered)
    }

    fn mask_tokens(&self, encoding: &Encoding) -> Result<Vec<usize>> {
        let mask_id = self.tokenizer()?.special_ids().mask;
        let mask_id = mask_id.ok_or_else(|| Error::Unsupported("the vocabulary has no [MASK]".into()))?;
        Ok((0..encoding.len()).filter(|token| encoding.input_ids[*token] == mask_id).collect())
    }

    /// The masks of a text, in its order; of one in windows each where most is shown around it.
    fn masks(&self, windows: &[Encoding], first: usize) -> Result<Vec<Mask>> {
        let mut found = Vec::new();
        let tokens = windows.iter().map(|window| self.mask_tokens(window)).collect::<Result<Vec<_>>>()?;
        for sequence in [0, 1] {
            for (window, token) in windows::places(windows, sequence) {
                if tokens[window].binary_search(&token).is_ok() {
                    found.push(Mask { encoding: first + window, token });
                }
            }
        }
        Ok(found)
    }

    /// The likeliest words of the vocabulary.
    fn words(&self, row: &[f32], call: &Call, place: &Item) -> Result<Vec<Item>> {
        let tokenizer = self.tokenizer()?;
        let ids = tokenizer.special_ids();
        let special = [ids.cls, ids.sep, ids.pad, ids.unk, ids.mask];
        let counts = |id: usize| {
            !call.whole_words
                || !special.contains(&Some(id as i64))
                    && !tokenizer.continues_word(id as i64)
                    && tokenizer.token(id as i64).is_some_and(|token| !token.starts_with("[unused"))
        };
        let item = |word: crate::heads::fill_mask::Word| Item {
            id: word.id as i64,
            score: word.log_probability.exp(),
            text: tokenizer.token(word.id as i64).unwrap_or_default(),
            begin_score: word.log_probability,
            ..place.clone()
        };
        Ok(top(row, call.top_k.unwrap_or(TOP_K), counts).into_iter().map(item).collect())
    }
}

fn no_mask(windows: &[Encoding]) -> Error {
    let n_cut: usize = windows.first().map_or(0, Encoding::n_truncated_tokens);
    Error::argument(match n_cut {
        0 => "no [MASK] in the text".to_owned(),
        n => format!("no [MASK] in the text, of which {n} tokens were cut"),
    })
}

/// What is known of every word of a mask.
fn item(encoding: &Encoding, token: usize, group: usize) -> Item {
    let span = encoding.offsets[token];
    let group = u32::try_from(group).unwrap_or(u32::MAX);
    Item { begin: span.begin, end: span.end, sequence: u32::from(encoding.sequence[token]), group, ..Item::default() }
}

fn scored(word: &Candidate<'_>, places: &[Place<'_>], place: &Item) -> Option<Item> {
    let (mean, sum) = candidate(places, &word.ids)?;
    let text = word.text.to_owned();
    Some(Item { id: word.index as i64, score: mean.exp(), text, begin_score: sum, ..place.clone() })
}

/// The encoding with `n_tokens` masks in the place of one.
fn widen(encoding: &Encoding, token: usize, n_tokens: usize) -> Encoding {
    fn repeat<T: Copy>(list: &mut Vec<T>, at: usize, n_more: usize) {
        let value = list[at];
        list.splice(at..at, std::iter::repeat_n(value, n_more));
    }
    let mut wide = encoding.clone();
    repeat(&mut wide.input_ids, token, n_tokens - 1);
    repeat(&mut wide.token_type_ids, token, n_tokens - 1);
    repeat(&mut wide.attention_mask, token, n_tokens - 1);
    repeat(&mut wide.offsets, token, n_tokens - 1);
    repeat(&mut wide.sequence, token, n_tokens - 1);
    wide
}

/// Masks in order, the words of each best first.
fn order(items: &mut Vec<Item>, top_k: usize) {
    items.sort_by(|a, b| a.group.cmp(&b.group).then(b.score.total_cmp(&a.score)).then(a.id.cmp(&b.id)));
    let mut n_of_group = (0, 0_usize);
    items.retain(|item| {
        n_of_group = if item.group == n_of_group.0 { (item.group, n_of_group.1 + 1) } else { (item.group, 1) };
        n_of_group.1 <= top_k
    });
}
