//! Texts and a schema -> what the schema names.
//!
//! Reference: `UIETask` of `paddlenlp/taskflow/information_extraction.py` (2.8.1). A name is the prompt, of what belongs to a finding `X`
//! the prompt is `X的name`; all prompts of one depth go through the model together, equal ones of a text once. Where the
//! reference loses answers, this does not: long texts come in windows of tokens that overlap, where it cuts between any
//! two characters (its limit counts the prompt that sorts last, not the longest); and a prompt with options, answered out of itself, does not
//! change what the other prompts of a call give.

use std::collections::HashMap;

use super::encodings::of_input;
use super::findings::{Probabilities, findings};
use super::forward::Wanted;
use super::{Admission, Call, Input, Item, Model, Output, Schema, SchemaLanguage, windows};
use crate::error::{Error, Result};
use crate::graph::binding::OutputRole;
use crate::tokenize::{EncodeOptions, Encoding, Pieces, Texts, Truncation};

/// Tokens of a window, and by how many windows overlap, where nobody says it.
const MAX_WINDOW_TOKENS: usize = 512;
const OVERLAP_TOKENS: usize = 128;
/// The probability above which a place counts.
const THRESHOLD: f32 = 0.5;
/// Prompts of one depth for a text at most.
const MAX_PROMPTS: usize = 4096;
/// Findings of a text at most, and of all texts of a call: a schema can ask for each finding in each finding.
const MAX_FINDINGS: usize = 1 << 16;
const MAX_FINDINGS_OF_CALL: usize = 1 << 20;

/// A prompt for a text.
struct Request {
    input: usize,
    prompt: String,
}

/// A node of the schema to be looked for, for the text or for a finding in it.
struct Wish {
    node: usize,
    input: usize,
    parent: Option<usize>,
    request: usize,
}

impl Model {
    /// What the schema names, in the order of the schema and of the text; what belongs to a finding follows it.
    pub(super) fn extract(&self, inputs: &[Input<'_>], call: &Call) -> Result<Output> {
        let Some(schema) = call.schema.clone() else { return Err(Error::Internal("no schema".into())) };
        if call.with_raw_outputs {
            return Err(Error::argument(
                "raw outputs are those of one prompt: give it as the text and what is searched as its pair, without schema",
            ));
        }
        let options = self.extract_options(call)?;
        let special = options.special_tokens_in_text;
        let mut texts = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            if input.pair.is_some() {
                return Err(of_input(
                    Error::argument("with a schema there are texts alone, this one has a pair"),
                    index,
                ));
            }
            texts.push(self.tokenizer()?.cut(input.text, special)?);
        }
        let mut call = call.clone();
        let mut found: Vec<Vec<Item>> = vec![Vec::new(); inputs.len()];
        let (mut first_prompts, mut n_found) = (Vec::new(), 0);
        let deepest = schema.nodes.iter().map(|node| node.depth).max().unwrap_or(0);
        for depth in 0..=deepest {
            let (wishes, requests) = wishes(&schema, depth, &found, &call)?;
            let (answers, encodings) = self.ask(&requests, inputs, &texts, &call, &options)?;
            // What follows from findings is part of a call that was let in.
            call.admission = Admission::Granted;
            if depth == 0 {
                first_prompts = of_first_prompts(&requests, encodings);
            }
            for Wish { node, input, parent, request } in wishes {
                let label = schema.nodes[node].name.clone();
                let item = |item: &Item| Item { id: node as i64, label: label.clone(), parent, ..item.clone() };
                n_found += answers[request].len();
                let n_of_input = found[input].len() + answers[request].len();
                if n_of_input > MAX_FINDINGS || n_found > MAX_FINDINGS_OF_CALL {
                    return Err(of_input(too_much(depth, "findings", n_of_input, n_found), input));
                }
                found[input].extend(answers[request].iter().map(item));
            }
        }
        let items = found.into_iter().map(in_order).collect();
        Ok(Output { items, encodings: first_prompts, ..Output::default() })
    }

    /// What the texts, as prompts, name in their pairs.
    pub(super) fn extract_prompts(&self, inputs: &[Input<'_>], call: &Call) -> Result<Output> {
        let mut options = self.extract_options(call)?;
        if call.with_raw_outputs {
            let truncation = Self::windows_unless_raw(call);
            options = self.encode_options(call, truncation)?;
        }
        let tokenizer = self.tokenizer()?;
        let mut encodings = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            if input.pair.is_none() && !call.with_raw_outputs {
                let reason = "extraction wants a schema, or a prompt with what is searched as its pair";
                return Err(of_input(Error::argument(reason), index));
            }
            let prompt = tokenizer.cut(input.text, options.special_tokens_in_text)?;
            let text = input.pair.map(|pair| tokenizer.cut_pair(pair, options.special_tokens_in_text)).transpose()?;
            let text = text.flatten();
            let done = self.add(&mut encodings, &prompt, text.as_ref(), &options, index);
            done.map_err(|error| of_input(error, index))?;
        }
        let mut output = Output::default();
        let probabilities = self.probabilities(&encodings, call, &mut output)?;
        for (range, input) in windows::of_inputs(&encodings, inputs.len()).into_iter().zip(inputs) {
            let (windows, probabilities) = (&encodings[range.clone()], &probabilities[range]);
            let items = findings(windows, probabilities, input.text, input.pair.unwrap_or_default(), threshold(call));
            output.items.push(items.into_iter().map(|item| Item { sequence: 1, ..item }).collect());
        }
        output.encodings = encodings;
        Ok(output)
    }

    fn extract_options(&self, call: &Call) -> Result<EncodeOptions> {
        let mut options = self.encode_options(call, Truncation::Windows)?;
        if call.max_tokens.or(self.options.max_tokens).is_none() {
            options.max_tokens = Some(options.max_tokens.map_or(MAX_WINDOW_TOKENS, |most| most.min(MAX_WINDOW_TOKENS)));
        }
        Ok(options)
    }

    /// The findings of each prompt in its text, and its encodings.
    fn ask(
        &self,
        requests: &[Request],
        inputs: &[Input<'_>],
        texts: &[Pieces],
        call: &Call,
        options: &EncodeOptions,
    ) -> Result<(Vec<Vec<Item>>, Vec<Encoding>)> {
        let mut encodings = Vec::with_capacity(requests.len());
        let mut prompts: HashMap<&str, Pieces> = HashMap::new();
        for (index, Request { input, prompt }) in requests.iter().enumerate() {
            let cut = match prompts.get(prompt.as_str()) {
                Some(known) => known,
                None => {
                    let cut = self.tokenizer()?.cut(prompt, options.special_tokens_in_text)?;
                    prompts.entry(prompt).or_insert(cut)
                }
            };
            let done = self.add(&mut encodings, cut, Some(&texts[*input]), options, index);
            done.map_err(|error| of_input(of_prompt(error, prompt), *input))?;
        }
        let probabilities = self.probabilities(&encodings, call, &mut Output::default())?;
        let ranges = windows::of_inputs(&encodings, requests.len());
        let answer = |(range, request): (std::ops::Range<usize>, &Request)| {
            let text = inputs[request.input].text;
            findings(&encodings[range.clone()], &probabilities[range], &request.prompt, text, threshold(call))
        };
        let answers = ranges.into_iter().zip(requests).map(answer).collect();
        Ok((answers, encodings))
    }

    /// Appends the windows of a text with its prompt, as those of input `index`.
    fn add(
        &self,
        encodings: &mut Vec<Encoding>,
        prompt: &Pieces,
        text: Option<&Pieces>,
        options: &EncodeOptions,
        index: usize,
    ) -> Result<()> {
        let tokenizer = self.tokenizer()?;
        let mut options = options.clone();
        if let (None, Some(most)) = (options.doc_stride, options.max_tokens) {
            let room = most.saturating_sub(tokenizer.n_added_tokens(Texts::Pair) + prompt.len());
            options.doc_stride = Some(room.saturating_sub(OVERLAP_TOKENS.min(room / 2)).max(1));
        }
        let before = encodings.len();
        tokenizer.assemble(prompt, text, &options, encodings)?;
        encodings[before..].iter_mut().for_each(|encoding| encoding.input = index);
        encodings[before..].iter().try_for_each(|encoding| self.check_encoding(encoding))
    }

    fn probabilities(&self, encodings: &[Encoding], call: &Call, output: &mut Output) -> Result<Vec<Probabilities>> {
        let mut all: Vec<Probabilities> = vec![Default::default(); encodings.len()];
        let wanted = Wanted { tokens: true, ..Wanted::default() };
        self.forward(encodings, call, wanted, &mut output.raw_outputs, |index, row| {
            let column = |role| match row.token_rows(role)? {
                Some((values, _)) => Ok(values.to_vec()),
                None => Err(Error::Unsupported("the graph gives no probabilities of start and end".into())),
            };
            all[index] = (column(OutputRole::StartLogits)?, column(OutputRole::EndLogits)?);
            Ok(())
        })?;
        Ok(all)
    }
}

/// The encodings of the first prompt of each text: they tell which part of it was searched.
fn of_first_prompts(requests: &[Request], encodings: Vec<Encoding>) -> Vec<Encoding> {
    let is_first = |request: usize| request == 0 || requests[request - 1].input != requests[request].input;
    let first = encodings.into_iter().filter(|encoding| is_first(encoding.input));
    first.map(|encoding| Encoding { input: requests[encoding.input].input, ..encoding }).collect()
}

fn threshold(call: &Call) -> f32 {
    call.threshold.unwrap_or(THRESHOLD)
}

/// The prompts of all nodes of one depth, each of a text once.
fn wishes(schema: &Schema, depth: usize, found: &[Vec<Item>], call: &Call) -> Result<(Vec<Wish>, Vec<Request>)> {
    let (mut wishes, mut requests) = (Vec::new(), Vec::new());
    for (input, items) in found.iter().enumerate() {
        let mut known: HashMap<String, usize> = HashMap::new();
        let n_before = wishes.len();
        for (node, of_node) in schema.nodes.iter().enumerate().filter(|(_, node)| node.depth == depth) {
            let is_parent = |item: &usize| Some(items[*item].id) == of_node.parent.map(|parent| parent as i64);
            let parents = (0..items.len()).filter(is_parent).map(Some);
            for parent in parents.chain(of_node.parent.is_none().then_some(None)) {
                let prompt = prompt(&of_node.name, parent.map(|item| items[item].text.as_str()), call.schema_language);
                let request = *known.entry(prompt.clone()).or_insert_with(|| {
                    requests.push(Request { input, prompt });
                    requests.len() - 1
                });
                wishes.push(Wish { node, input, parent, request });
                let n_wishes = wishes.len() - n_before;
                if known.len() > MAX_PROMPTS || n_wishes > MAX_FINDINGS {
                    return Err(of_input(too_much(depth, "prompts", known.len(), n_wishes), input));
                }
            }
        }
    }
    Ok((wishes, requests))
}

fn too_much(depth: usize, what: &str, n_of_text: usize, n_of_all: usize) -> Error {
    Error::argument(format!(
        "at depth {depth} the schema makes more {what} than are allowed ({n_of_text} so far for this text, {n_of_all} in all); a higher \
         threshold, a smaller schema or fewer texts make fewer"
    ))
}

/// The prompt for a name, or for what of this name belongs to a finding.
fn prompt(name: &str, of: Option<&str>, language: SchemaLanguage) -> String {
    let prompt = match (of, language) {
        (None, _) => name.to_owned(),
        (Some(of), SchemaLanguage::Chinese) => format!("{of}的{name}"),
        // Options stay at the end: `Sentiment classification of X [positive, negative]`.
        (Some(of), SchemaLanguage::English) => match name.find('[').filter(|at| *at > 0 && name.ends_with(']')) {
            Some(at) => format!("{} of {of} {}", name[..at].trim(), &name[at..]),
            None => format!("{name} of {of}"),
        },
    };
    prompt.chars().map(half_width).collect()
}

/// Full-width ASCII as ASCII.
fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

fn of_prompt(error: Error, prompt: &str) -> Error {
    match error {
        Error::TextTooLong { what, n_tokens, max_tokens } => {
            let part = if what.contains("one token") { "one token of the text" } else { "the text" };
            let what = format!("prompt \"{}\" with {part}", prompt.escape_debug());
            Error::TextTooLong { what, n_tokens, max_tokens }
        }
        other => other,
    }
}

/// Findings with what belongs to each behind it.
fn in_order(items: Vec<Item>) -> Vec<Item> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    let mut stack = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.parent {
            Some(parent) => children[parent].push(index),
            None => stack.push((index, None)),
        }
    }
    let by_node = |list: &mut Vec<usize>| list.sort_by_key(|index| items[*index].id);
    children.iter_mut().for_each(by_node);
    stack.sort_by_key(|(index, _)| items[*index].id);
    stack.reverse();
    let mut ordered: Vec<Item> = Vec::with_capacity(items.len());
    while let Some((index, parent)) = stack.pop() {
        let place = ordered.len();
        ordered.push(Item { parent, ..items[index].clone() });
        stack.extend(children[index].iter().rev().map(|child| (*child, Some(place))));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_put_together_as_the_reference_does() {
        assert_eq!(prompt("时间（年）", None, SchemaLanguage::Chinese), "时间(年)");
        assert_eq!(prompt("主办方", Some("大赛"), SchemaLanguage::Chinese), "大赛的主办方");
        assert_eq!(prompt("Company", Some("Steve"), SchemaLanguage::English), "Company of Steve");
        let sentiment = prompt("Sentiment [good, bad]", Some("food"), SchemaLanguage::English);
        assert_eq!(sentiment, "Sentiment of food [good, bad]");
        assert_eq!(half_width('\u{3000}'), '\u{3000}');
    }

    #[test]
    fn what_belongs_to_a_finding_follows_it() {
        let item = |id, text: &str, parent| Item { id, text: text.into(), parent, ..Item::default() };
        let items = vec![
            item(2, "c", None),
            item(0, "a", None),
            item(0, "b", None),
            item(1, "a1", Some(1)),
            item(1, "b1", Some(2)),
        ];
        let ordered: Vec<_> = in_order(items).into_iter().map(|item| (item.text, item.parent)).collect();
        let wanted = [("a", None), ("a1", Some(0)), ("b", None), ("b1", Some(2)), ("c", None)];
        assert_eq!(ordered, wanted.map(|(text, parent)| (text.to_owned(), parent)));
    }
}
