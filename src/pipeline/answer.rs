//! Questions and passages -> answers.

use std::collections::{HashMap, HashSet};

use super::encodings::of_input;
use super::forward::{TextOutputs, Wanted};
use super::{AnswerSpan, Call, Input, Item, Model, NoAnswer, Output, windows};
use crate::batch::context::windows_of_tokens;
use crate::error::{Error, Result};
use crate::graph::binding::OutputRole;
use crate::heads::answer::{Candidate, Rules, Window, candidates, no_answer_score};
use crate::heads::softmax;
use crate::tensor::Matrix;
use crate::tokenize::{DEFAULT_DOC_STRIDE, EncodeOptions, Encoding, FinalText, Pieces, Span, Truncation};

/// Tokens of a window, answers, and tokens of answer and question, as `demo/finetune_mrc.py` has them.
const MAX_WINDOW_TOKENS: usize = 512;
const N_BEST: usize = 20;
const MAX_N_BEST: usize = 1000;
const MAX_ANSWER_TOKENS: usize = 100;
const MAX_QUESTION_TOKENS: usize = 64;
/// How many candidates for each answer are compared with those before it.
const MOST_CANDIDATES: usize = 100;

/// Logits of the tokens of one encoding, as a start and as an end.
type StartAndEnd = (Vec<f32>, Vec<f32>);

impl Model {
    /// Answers to questions (text) from passages (pair), best first; [`Output::matrix`] has the scores of the best answer
    /// and of none.
    pub(super) fn answer(&self, inputs: &[Input<'_>], call: &Call) -> Result<Output> {
        let encodings = self.questions(inputs, call)?;
        self.check_encodings(&encodings)?;
        let mut logits: Vec<StartAndEnd> = vec![Default::default(); encodings.len()];
        let mut output = Output::default();
        let wanted = Wanted { tokens: true, ..Wanted::default() };
        self.forward(&encodings, call, wanted, &mut output.raw_outputs, |index, row| {
            logits[index] = start_and_end(row)?;
            Ok(())
        })?;
        let mut scores = Vec::with_capacity(inputs.len() * 2);
        for (range, input) in windows::of_inputs(&encodings, inputs.len()).into_iter().zip(inputs) {
            let encodings = &encodings[range.clone()];
            let windows = self.answer_windows(encodings, &mut logits[range]);
            let (items, best) = self.answers(input.pair.unwrap_or_default(), encodings, &windows, call);
            output.items.push(items);
            scores.extend([best.unwrap_or(f32::NAN), no_answer_score(&windows).unwrap_or(f32::NAN)]);
        }
        output.matrix = Some(Matrix { n_rows: inputs.len(), n_columns: 2, data: scores });
        output.encodings = encodings;
        Ok(output)
    }

    /// Every question with the windows of its passage; a passage of several questions is cut into tokens once.
    fn questions(&self, inputs: &[Input<'_>], call: &Call) -> Result<Vec<Encoding>> {
        let options = self.question_options(call)?;
        let special = options.special_tokens_in_text;
        // With raw outputs a text is taken as it is.
        let most_of_question = match (call.max_question_tokens, call.with_raw_outputs) {
            (Some(most), _) => most,
            (None, true) => usize::MAX,
            (None, false) => MAX_QUESTION_TOKENS,
        };
        let tokenizer = self.tokenizer()?;
        let mut passages: HashMap<&str, Option<Pieces>> = HashMap::new();
        let mut encodings: Vec<Encoding> = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            let missing =
                |what: &str| of_input(Error::argument(format!("{what}: the pair is what is searched")), index);
            let passage = match input.pair {
                None if call.with_raw_outputs => None,
                None => return Err(missing("reading comprehension wants a passage")),
                Some(text) if passages.contains_key(text) => passages[text].as_ref(),
                Some(text) => {
                    let cut = tokenizer.cut_pair(text, special)?;
                    passages.entry(text).or_insert(cut).as_ref()
                }
            };
            if !call.with_raw_outputs && passage.is_none_or(Pieces::is_empty) {
                return Err(missing("the passage is empty"));
            }
            let whole = tokenizer.cut(input.text, special)?;
            if options.truncation == Truncation::Error && whole.len() > most_of_question {
                let (n_tokens, max_tokens) = (whole.len(), most_of_question);
                return Err(of_input(Error::TextTooLong { what: "the question".into(), n_tokens, max_tokens }, index));
            }
            let question = whole.first(most_of_question);
            let before = encodings.len();
            let done = tokenizer.assemble(&question, passage, &options, &mut encodings);
            done.map_err(|error| of_input(error, index))?;
            for encoding in &mut encodings[before..] {
                encoding.input = index;
                if question.len() < whole.len() {
                    encoding.truncated[0] = whole.truncated(question.len());
                }
            }
        }
        Ok(encodings)
    }

    fn question_options(&self, call: &Call) -> Result<EncodeOptions> {
        if let Some(n_best) = call.n_best.filter(|n_best| *n_best > MAX_N_BEST) {
            return Err(Error::argument(format!("n_best is {n_best}, {MAX_N_BEST} are allowed")));
        }
        let mut options = self.encode_options(call, Self::windows_unless_raw(call))?;
        if options.truncation == Truncation::Windows {
            options.doc_stride = options.doc_stride.or(Some(DEFAULT_DOC_STRIDE));
            if call.max_tokens.or(self.options.max_tokens).is_none() {
                options.max_tokens =
                    Some(options.max_tokens.map_or(MAX_WINDOW_TOKENS, |most| most.min(MAX_WINDOW_TOKENS)));
            }
        }
        Ok(options)
    }

    /// What the model said of each window. The script of 2021 takes a start from the window alone that shows most around it.
    fn answer_windows(&self, encodings: &[Encoding], logits: &mut [StartAndEnd]) -> Vec<Window> {
        let ranges = windows::ranges(encodings, 1);
        let n_tokens = ranges.last().map_or(0, |range| range.end);
        let owners = windows_of_tokens(&ranges, n_tokens);
        let window = |(number, (encoding, logits)): (usize, (&Encoding, &mut StartAndEnd))| {
            let passage = windows::content(encoding, 1);
            let owned = match self.is_seed() {
                true => {
                    let begin = owners.partition_point(|owner| *owner < number);
                    let end = owners.partition_point(|owner| *owner <= number);
                    let first = ranges[number].start;
                    begin.saturating_sub(first)..end.saturating_sub(first)
                }
                false => 0..passage.len(),
            };
            let (start, end) = std::mem::take(logits);
            Window { start, end, passage, owned }
        };
        encodings.iter().zip(logits).enumerate().map(window).collect()
    }

    fn answers(
        &self,
        passage: &str,
        encodings: &[Encoding],
        windows: &[Window],
        call: &Call,
    ) -> (Vec<Item>, Option<f32>) {
        let n_best = call.n_best.unwrap_or(N_BEST);
        let rules = Rules { n_best, max_answer_tokens: call.max_answer_tokens.unwrap_or(MAX_ANSWER_TOKENS) };
        let found = candidates(windows, rules);
        let mut chosen: Vec<(Candidate, Span)> = Vec::new();
        let mut by_reference = (call.answer_span == AnswerSpan::Reference && self.is_seed())
            .then(|| FinalText::new(passage, self.tokenizer().is_ok_and(|tokenizer| tokenizer.lowercases())));
        let (mut seen_texts, mut seen_spans) = (HashSet::new(), HashSet::new());
        for candidate in found.into_iter().take(n_best.saturating_mul(MOST_CANDIDATES)) {
            if chosen.len() >= n_best {
                break;
            }
            let encoding = &encodings[candidate.window];
            let (first, last) = (encoding.offsets[candidate.first], encoding.offsets[candidate.last]);
            let span = match &mut by_reference {
                Some(text) => text.span(first, last, &self.tokens_of(encoding, &candidate)),
                None => Span { begin: first.begin, end: last.end.max(first.begin) },
            };
            // The script of 2021 gives a text once, wherever it stands.
            let is_new = match by_reference.is_some() {
                true => seen_texts.insert(&passage[span.begin..span.end]),
                false => seen_spans.insert(span),
            };
            if is_new {
                chosen.push((candidate, span));
            }
        }
        let best = chosen.first().map(|(candidate, _)| candidate.score());
        let mut items: Vec<(f32, Item)> =
            chosen.into_iter().enumerate().map(|(rank, found)| item(rank, found, passage)).collect();
        if let (NoAnswer::Allowed, Some(score)) = (call.no_answer, no_answer_score(windows)) {
            let place = items.partition_point(|(known, _)| *known >= score);
            items.insert(place, (score, Item { id: -1, sequence: 1, ..Item::default() }));
        }
        let scores: Vec<f32> = items.iter().map(|(score, _)| *score).collect();
        let with_probability = |((_, item), score)| Item { score, ..item };
        let mut items: Vec<Item> = items.into_iter().zip(softmax(&scores)).map(with_probability).collect();
        items.truncate(call.top_k.unwrap_or(usize::MAX));
        (items, best)
    }

    fn tokens_of(&self, encoding: &Encoding, candidate: &Candidate) -> Vec<String> {
        let ids = &encoding.input_ids[candidate.first..=candidate.last];
        let token = |id: &i64| self.tokenizer().ok().and_then(|tokenizer| tokenizer.token(*id)).unwrap_or_default();
        ids.iter().map(token).collect()
    }
}

fn item(rank: usize, (candidate, span): (Candidate, Span), passage: &str) -> (f32, Item) {
    let item = Item {
        id: rank as i64,
        text: passage[span.begin..span.end].to_owned(),
        begin: span.begin,
        end: span.end,
        sequence: 1,
        begin_score: candidate.start_logit,
        end_score: candidate.end_logit,
        ..Item::default()
    };
    (candidate.score(), item)
}

/// Two outputs with a number for each token, or one with two.
fn start_and_end(row: &TextOutputs<'_>) -> Result<StartAndEnd> {
    let column = |role| row.token_rows(role).map(|rows| rows.map(|(values, _)| values.to_vec()));
    if let (Some(start), Some(end)) = (column(OutputRole::StartLogits)?, column(OutputRole::EndLogits)?) {
        return Ok((start, end));
    }
    match row.token_rows(OutputRole::Logits)? {
        Some((values, 2)) => Ok(values.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip()),
        _ => Err(Error::Unsupported("the graph gives no logits of start and end".into())),
    }
}
