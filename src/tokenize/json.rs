//! Scheme `tokenizer.json`: as the file says, by the `tokenizers` crate, which only this file names.
//!
//! What the file says about padding and truncation is not used: the caller decides, as `max_length` does in Python, and
//! both texts of a pair are cut as the fast tokenizers do it with `longest_first`. The content of the texts is encoded
//! without post-processor, cut, and only then framed, so that nothing is processed twice.

use super::assemble::seed_only;
use super::encoding::{ADDED_TOKEN, Pieces, Truncated};
use super::truncation::{Lengths, Limited, Windows};
use super::{
    EncodeOptions, Encoding, Span, SpecialIds, SpecialTokensInDecoded, SpecialTokensInText, Texts, outside_vocabulary,
};
use crate::bounded_file;
use crate::error::{Error, Result, Source};
use crate::model_dir::tokenizer::{Scheme, TokenizerSpec};
use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tokenizers::{ModelWrapper, NormalizedString, Normalizer, PostProcessor, PostProcessorWrapper};

/// Largest file read; that of a vocabulary of 250,000 pieces has 17 MB.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// A tokenizer made from a `tokenizer.json`.
#[derive(Debug)]
pub(super) struct JsonTokenizer {
    path: PathBuf,
    /// The file's tokenizer without post-processor, padding and truncation.
    content: tokenizers::Tokenizer,
    /// The same, taking special tokens for text; made when first asked for.
    plain: OnceLock<Box<tokenizers::Tokenizer>>,
    processor: Option<PostProcessorWrapper>,
    special_ids: SpecialIds,
    /// Ids of all tokens that the file or the configuration calls special, without the unknown token.
    all_special: BTreeSet<i64>,
    vocab_size: usize,
}

impl JsonTokenizer {
    /// Reads the `tokenizer.json` of `spec`.
    pub(super) fn open(spec: &TokenizerSpec) -> Result<Self> {
        let path = spec.tokenizer_json_path.clone().unwrap_or_else(|| spec.dir.join("tokenizer.json"));
        let bytes = bounded_file::read(&path, MAX_JSON_BYTES)?;
        let mut content = guarded(&path, || tokenizers::Tokenizer::from_bytes(bytes))?;
        if let ModelWrapper::BPE(model) = content.get_model()
            && model.dropout.is_some_and(|dropout| dropout > 0.0)
        {
            let reason = "its BPE dropout gives other ids at every call";
            return Err(Error::Unsupported(format!("{}: {reason}", path.display())));
        }
        let processor = content.get_post_processor().cloned();
        content.with_post_processor(None::<PostProcessorWrapper>);
        content.with_padding(None);
        content.with_truncation(None).map_err(|source| failed(&path, source))?;
        let id = |name: &str| content.token_to_id(name).map(i64::from);
        let special_ids = SpecialIds {
            cls: id(&spec.cls),
            sep: id(&spec.sep),
            pad: id(&spec.pad),
            unk: id(&spec.unk),
            mask: spec.mask.as_deref().and_then(id),
        };
        let added = content.get_added_tokens_decoder();
        for token in added.values().filter(|token| token.normalized) {
            check_added(&path, &content, &token.content)?;
        }
        let flagged = added.iter().filter(|(_, token)| token.special).map(|(id, _)| i64::from(*id));
        let all_special = flagged.chain(special_ids.known()).filter(|&id| Some(id) != special_ids.unk).collect();
        let vocab_size = content.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        Ok(Self { path, content, plain: OnceLock::new(), processor, special_ids, all_special, vocab_size })
    }

    /// In Python an empty pair counts as none.
    pub(super) fn keeps_pair_text(pair: &str) -> bool {
        !pair.is_empty()
    }

    /// Truncates and adds what the file's post-processor adds. Appends one encoding, or one for each window.
    pub(super) fn assemble(
        &self,
        first: &Pieces,
        second: Option<&Pieces>,
        options: &EncodeOptions,
        out: &mut Vec<Encoding>,
    ) -> Result<()> {
        if options.seed_truncate_to.is_some() {
            return Err(seed_only());
        }
        let lengths = Lengths { first: first.len(), second: second.map(Pieces::len) };
        let mut windows = Windows::one(lengths);
        if let Some(max_tokens) = options.max_tokens {
            let n_added = if options.add_special_tokens { self.n_added_tokens(lengths.texts()) } else { 0 };
            match lengths.limit(max_tokens, n_added, options, Scheme::TokenizerJson)? {
                Limited::Kept(kept) => windows = Windows::one(kept),
                Limited::Windows(found) => windows = found,
            }
        }
        let cut = |pieces: &Pieces, kept| if windows.is_one() { pieces.truncated(kept) } else { Truncated::default() };
        let kept_of_pair = windows.last.second.unwrap_or(0);
        let truncated = [
            cut(first, windows.last.first),
            second.map_or_else(Truncated::default, |second| cut(second, kept_of_pair)),
        ];
        let n_windows = windows.len();
        for window in 0..n_windows {
            let (range_1, range_2) = windows.ranges(window);
            let part_2 = second.zip(range_2).map(|(second, range)| self.part(second, range));
            let framed = self.frame(self.part(first, range_1), part_2, options.add_special_tokens)?;
            let mut encoding = self.checked(convert(&framed), options)?;
            (encoding.truncated, encoding.window, encoding.n_windows) = (truncated, window, n_windows);
            encoding.first_token = windows.first_token(window);
            out.push(encoding);
        }
        Ok(())
    }

    /// Some of a text's tokens, as the post-processor takes them.
    fn part(&self, pieces: &Pieces, range: Range<usize>) -> tokenizers::Encoding {
        let tokens = pieces.ids[range.clone()].iter().zip(&pieces.spans[range]);
        let token = |(id, span): (&i64, &Span)| tokenizers::Token {
            id: u32::try_from(*id).unwrap_or(u32::MAX),
            value: self.token(*id).unwrap_or_default(),
            offsets: (span.begin, span.end),
        };
        tokenizers::Encoding::from_tokens(tokens.map(token).collect(), 0)
    }

    /// The content tokens of one text, on its boundaries and never going back.
    pub(super) fn cut(&self, text: &str, special: SpecialTokensInText) -> Result<Pieces> {
        let encoding = self.encode_content(text, special)?;
        let mut pieces = Pieces::default();
        let mut last = Span::default();
        for (&id, &(begin, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            let (begin, end) = (text.floor_char_boundary(begin), text.ceil_char_boundary(end));
            last = Span { begin: begin.max(last.begin), end: end.max(last.end) };
            pieces.push(i64::from(id), last.begin, last.end);
        }
        Ok(pieces)
    }

    fn encode_content(&self, text: &str, special: SpecialTokensInText) -> Result<tokenizers::Encoding> {
        let tokenizer = match special {
            SpecialTokensInText::Recognize => &self.content,
            SpecialTokensInText::Plain => self.plain.get_or_init(|| {
                let mut plain = self.content.clone();
                plain.set_encode_special_tokens(true);
                Box::new(plain)
            }),
        };
        let encoding = guarded(&self.path, || tokenizer.encode(text, false))?;
        if special == SpecialTokensInText::Plain
            && self.special_ids.unk.is_none()
            && encoding.get_ids().iter().any(|&id| self.all_special.contains(&i64::from(id)))
        {
            return Err(Error::Unsupported(format!(
                "{}: plain text gives a special token even when none is recognised, and there is no unknown token",
                self.path.display()
            )));
        }
        Ok(encoding)
    }

    /// What a file's post-processor made, as the library promises it.
    fn checked(&self, mut encoding: Encoding, options: &EncodeOptions) -> Result<Encoding> {
        if let Some(max_tokens) = options.max_tokens.filter(|&max_tokens| encoding.len() > max_tokens) {
            let n_tokens = encoding.len();
            let reason = format!("its post-processor makes {n_tokens} tokens where {max_tokens} are allowed");
            return Err(Error::model(&self.path, reason));
        }
        let in_vocab = |id: &i64| usize::try_from(*id).is_ok_and(|id| id < self.vocab_size);
        if let Some(id) = encoding.input_ids.iter().find(|id| !in_vocab(id)) {
            return Err(Error::model(&self.path, format!("its post-processor adds id {id}, which no token has")));
        }
        if let (SpecialTokensInText::Plain, Some(unk)) = (options.special_tokens_in_text, self.special_ids.unk) {
            let content = encoding.input_ids.iter_mut().zip(&encoding.sequence);
            for (id, _) in content.filter(|(id, sequence)| **sequence != ADDED_TOKEN && self.all_special.contains(id)) {
                *id = unk;
            }
        }
        Ok(encoding)
    }

    /// Adds the file's special tokens and sets the type ids.
    fn frame(
        &self,
        first: tokenizers::Encoding,
        mut second: Option<tokenizers::Encoding>,
        add_special_tokens: bool,
    ) -> Result<tokenizers::Encoding> {
        if let Some(second) = &mut second {
            second.set_type_ids(vec![1; second.len()]);
        }
        match (&self.processor, second) {
            (Some(processor), second) => guarded(&self.path, || processor.process(first, second, add_special_tokens)),
            (None, None) => Ok(first),
            (None, Some(mut second)) => {
                let mut joined = tokenizers::Encoding::default();
                let mut first = first;
                first.set_sequence_id(0);
                second.set_sequence_id(1);
                joined.merge_with(first, false);
                joined.merge_with(second, false);
                Ok(joined)
            }
        }
    }

    /// See [`Tokenizer::decode`](super::Tokenizer::decode).
    pub(super) fn decode(&self, ids: &[i64], special_tokens: SpecialTokensInDecoded) -> Result<String> {
        let mut checked: Vec<u32> = ids
            .iter()
            .enumerate()
            .map(|(index, &id)| {
                let known = u32::try_from(id).ok().filter(|&id| self.content.id_to_token(id).is_some());
                known.ok_or_else(|| outside_vocabulary(index, id, self.vocab_size))
            })
            .collect::<Result<_>>()?;
        let is = |id: &u32, special: Option<i64>| Some(i64::from(*id)) == special;
        if special_tokens == SpecialTokensInDecoded::Generated {
            let end = checked.iter().position(|id| is(id, self.special_ids.sep));
            checked.truncate(end.unwrap_or(checked.len()));
            checked.retain(|id| !is(id, self.special_ids.pad) && !is(id, self.special_ids.unk));
        }
        let skip = special_tokens == SpecialTokensInDecoded::Skip;
        guarded(&self.path, || self.content.decode(&checked, skip))
    }

    /// One more than the largest id.
    pub(super) fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token with this id.
    pub(super) fn token(&self, id: i64) -> Option<String> {
        self.content.id_to_token(u32::try_from(id).ok()?)
    }

    /// The id of this token.
    pub(super) fn id(&self, token: &str) -> Option<i64> {
        self.content.token_to_id(token).map(i64::from)
    }

    /// Ids of the special tokens that the configuration names and the file has.
    pub(super) fn special_ids(&self) -> SpecialIds {
        self.special_ids
    }

    /// Number of tokens that the post-processor adds.
    pub(super) fn n_added_tokens(&self, texts: Texts) -> usize {
        self.processor.as_ref().map_or(0, |processor| processor.added_tokens(texts == Texts::Pair))
    }
}

/// Runs `work` of the `tokenizers` crate; where a file makes it panic, the file is at fault.
fn guarded<T>(path: &Path, work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(|source| failed(path, source)),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text =
                text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it contradicts itself");
            Err(Error::model(path, format!("not a usable tokenizer.json: {text}")))
        }
    }
}

/// An added token that normalisation leaves nothing of would be found everywhere, without end.
fn check_added(path: &Path, tokenizer: &tokenizers::Tokenizer, content: &str) -> Result<()> {
    let mut normalized = NormalizedString::from(content);
    if let Some(normalizer) = tokenizer.get_normalizer() {
        guarded(path, || normalizer.normalize(&mut normalized))?;
    }
    if normalized.get().is_empty() {
        return Err(Error::model(
            path,
            format!("nothing is left of its added token {content:?} when it is normalised"),
        ));
    }
    Ok(())
}

fn failed(path: &Path, source: Source) -> Error {
    Error::model_from(path, "not a usable tokenizer.json", source)
}

fn convert(framed: &tokenizers::Encoding) -> Encoding {
    let mut encoding = Encoding::with_capacity(framed.len());
    encoding.input_ids.extend(framed.get_ids().iter().map(|&id| i64::from(id)));
    encoding.token_type_ids.extend(framed.get_type_ids().iter().map(|&id| i64::from(id)));
    encoding.attention_mask.resize(framed.len(), 1);
    let added = framed.get_special_tokens_mask();
    for (index, sequence) in framed.get_sequence_ids().into_iter().enumerate() {
        let sequence = match sequence {
            _ if added.get(index) == Some(&1) => ADDED_TOKEN,
            Some(0) => 0,
            Some(_) => 1,
            None => ADDED_TOKEN,
        };
        let (begin, end) = framed.get_offsets().get(index).copied().unwrap_or_default();
        let is_added = sequence == ADDED_TOKEN;
        encoding.offsets.push(if is_added { Span::default() } else { Span { begin, end } });
        encoding.sequence.push(sequence);
    }
    encoding
}
