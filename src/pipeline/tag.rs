//! Texts -> entities, or labels of words.

use std::ops::Range;

use super::encodings::of_input;
use super::forward::Wanted;
use super::{Call, Input, Item, Model, Output, Tags, Words, windows};
use crate::error::{Error, Result};
use crate::graph::binding::OutputRole;
use crate::heads::tag::{Prediction, TagScheme, Word, entities, mean, predict};
use crate::tensor::Matrix;
use crate::tokenize::{Encoding, Pieces, SpecialTokensInText, Tokenizer, Truncation};

/// What separates words that the caller gives.
const SEPARATOR: char = '\u{2}';

/// A text and its words.
struct Worded<'a> {
    text: &'a str,
    words: Vec<Word>,
    /// Whether the caller gave the words.
    is_separated: bool,
}

impl Model {
    /// Entities of texts, or labels of their words. The logits of a token are those of the window that shows most around it,
    /// so that windows neither repeat nor cut an entity.
    pub(super) fn tag(&self, inputs: &[Input<'_>], call: &Call) -> Result<Output> {
        let options = self.encode_options(call, Truncation::Truncate)?;
        let tokenizer = self.tokenizer()?;
        let mut texts = Vec::with_capacity(inputs.len());
        let mut encodings: Vec<Encoding> = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            let (pieces, worded) = worded(tokenizer, input.text, call.words, options.special_tokens_in_text)?;
            if input.pair.is_some() && !call.with_raw_outputs {
                let reason = "token classification takes a text without a pair; raw outputs are given of both";
                return Err(of_input(Error::argument(reason), index));
            }
            let before = encodings.len();
            let pair = input.pair.map(|pair| tokenizer.cut_pair(pair, options.special_tokens_in_text)).transpose()?;
            let done = tokenizer.assemble(&pieces, pair.flatten().as_ref(), &options, &mut encodings);
            done.map_err(|error| of_input(error, index))?;
            encodings[before..].iter_mut().for_each(|encoding| encoding.input = index);
            texts.push(worded);
        }
        self.check_encodings(&encodings)?;
        let mut logits: Vec<(Vec<f32>, usize)> = vec![(Vec::new(), 0); encodings.len()];
        let mut output = Output::default();
        let wanted = Wanted { tokens: true, ..Wanted::default() };
        self.forward(&encodings, call, wanted, &mut output.raw_outputs, |index, row| {
            let (rows, width) = row
                .token_rows(OutputRole::Logits)?
                .ok_or_else(|| Error::Unsupported("the graph gives no logits of tokens".into()))?;
            logits[index] = (rows.to_vec(), width);
            Ok(())
        })?;
        for (range, text) in windows::of_inputs(&encodings, inputs.len()).into_iter().zip(&texts) {
            let (windows, logits) = (&encodings[range.clone()], &logits[range]);
            let rows = self.word_logits(windows, logits, &text.words);
            output.items.push(self.tagged(text, &rows, call));
            if call.with_token_vectors {
                let n_columns = logits.first().map_or(0, |(_, width)| *width);
                let data: Vec<f32> = rows.iter().flatten().flatten().copied().collect();
                let n_rows = data.len() / n_columns.max(1);
                output.token_vectors.push(Matrix { n_rows, n_columns, data });
            }
        }
        output.encodings = encodings;
        Ok(output)
    }

    /// The mean of the logits of each word's tokens; `None` for a word without any.
    fn word_logits(&self, windows: &[Encoding], logits: &[(Vec<f32>, usize)], words: &[Word]) -> Vec<Option<Vec<f32>>> {
        // The script of 2021 takes no token up to `[MASK]` for one of the text.
        let mask_id = self.tokenizer().ok().and_then(|tokenizer| tokenizer.special_ids().mask);
        let most_special = mask_id.filter(|_| self.is_seed()).unwrap_or(i64::MIN);
        let places = windows::places(windows, 0);
        let row = |token: usize| {
            let (window, place) = *places.get(token)?;
            let (rows, width) = &logits[window];
            let counts = windows[window].input_ids[place] > most_special;
            rows.get(place * width..(place + 1) * width).filter(|_| counts)
        };
        words.iter().map(|word| mean(word.tokens.clone().filter_map(row))).collect()
    }

    fn tagged(&self, text: &Worded<'_>, rows: &[Option<Vec<f32>>], call: &Call) -> Vec<Item> {
        let predictions: Vec<Option<Prediction>> = rows.iter().map(|row| row.as_deref().and_then(predict)).collect();
        let has_names = !self.spec.labels.is_empty();
        let mut items: Vec<Item> = if call.tags == Tags::Words || !has_names {
            let words = text.words.iter().zip(&predictions);
            words.map(|(word, prediction)| self.tagged_word(text, word, prediction.as_ref())).collect()
        } else {
            let found = entities(&predictions, &TagScheme::of(&self.spec.labels));
            let bytes = |words: &Range<usize>| text.words[words.start].bytes.start..text.words[words.end - 1].bytes.end;
            let item = |entity: crate::heads::tag::Entity| Item {
                id: entity.label as i64,
                score: entity.score,
                label: entity.kind,
                ..text.item(bytes(&entity.words))
            };
            found.into_iter().map(item).collect()
        };
        if let (Some(threshold), Tags::Entities) = (call.threshold, call.tags) {
            items.retain(|item| item.score > threshold);
        }
        items
    }

    fn tagged_word(&self, text: &Worded<'_>, word: &Word, prediction: Option<&Prediction>) -> Item {
        let item = text.item(word.bytes.clone());
        match prediction {
            Some(Prediction { label, score }) => {
                Item { id: *label as i64, score: *score, label: self.label(*label).to_owned(), ..item }
            }
            None => Item { id: -1, ..item },
        }
    }
}

impl Worded<'_> {
    /// An item for these bytes; separators are no part of what was found.
    fn item(&self, bytes: Range<usize>) -> Item {
        let text = &self.text[bytes.clone()];
        let text = if self.is_separated { text.replace(SEPARATOR, "") } else { text.to_owned() };
        Item { text, begin: bytes.start, end: bytes.end, ..Item::default() }
    }
}

/// The tokens of a text, and which of them each word has.
fn worded<'a>(
    tokenizer: &Tokenizer,
    text: &'a str,
    words: Words,
    special: SpecialTokensInText,
) -> Result<(Pieces, Worded<'a>)> {
    let is_separated = match words {
        Words::Auto => text.contains(SEPARATOR),
        Words::Separated => true,
        Words::Found => false,
    };
    let mut found = Worded { text, words: Vec::new(), is_separated };
    if !is_separated {
        let pieces = tokenizer.cut(text, special)?;
        let bytes = |tokens: &Range<usize>| {
            let spans = &pieces.spans[tokens.clone()];
            let begin = spans.iter().map(|span| span.begin).min().unwrap_or(0);
            begin..spans.iter().map(|span| span.end).max().unwrap_or(begin)
        };
        let word = |tokens: Range<usize>| Word { bytes: bytes(&tokens), tokens };
        found.words = tokenizer.words(&pieces).into_iter().map(word).collect();
        return Ok((pieces, found));
    }
    let mut pieces = Pieces::default();
    let mut begin = 0;
    for part in text.split(SEPARATOR) {
        let first = pieces.len();
        pieces.append(&tokenizer.cut(part, special)?, begin);
        found.words.push(Word { tokens: first..pieces.len(), bytes: begin..begin + part.len() });
        begin += part.len() + SEPARATOR.len_utf8();
    }
    Ok((pieces, found))
}
