//! Scheme `bert`: BERT's basic tokenizer (clean, split ideographs, lower-case, strip accents, split punctuation) and
//! WordPiece, in the three variants that differ.
//!
//! References: `BertTokenizer` and `BertTokenizerFast` of transformers 4.57, `ErnieTokenizer` of PaddleNLP 2.8.1. Both
//! Python references lower-case character by character before anything else, so the context rule for the final sigma
//! never applies; the fast one lower-cases after decomposing, with the compiler's Unicode tables, as the crate does.
//!
//! One pass over the text. Each of the first 65,536 code points has a class in a table, so that only characters that
//! normalisation changes take the long way.

use super::encoding::Pieces;
use super::nfc::{self, Sourced};
use super::special::{Search, SpecialTokens, is_lower, special_names};
use super::vocab::Vocab;
use super::wordpiece::WordPiece;
use super::words::Words;
use super::{SpecialTokensInText, unicode, unicode_tables as tables};
use crate::model_dir::tokenizer::{BertVariant, TokenizerSpec};

/// Size of the table of characters; the rest of Unicode is looked up.
const N_TABLED: usize = 0x1_0000;

/// What `_is_symbol` of PaddleNLP counts as symbols besides category S.
const PADDLENLP_SYMBOLS: [char; 8] =
    ['\u{ad}', '\u{b2}', '\u{b5}', '\u{ba}', '\u{d8}', '\u{14b}', '\u{1b1}', '\u{3007}'];

/// Ideographs that the fast tokenizer does not split: its range begins at U+2B920 where BERT's begins at U+2B820.
const FAST_NOT_CJK: std::ops::RangeInclusive<char> = '\u{2b820}'..='\u{2b91f}';

/// What happens to a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Part of a word, unchanged.
    Plain,
    /// Ends a word.
    Space,
    /// Dropped without ending a word.
    Drop,
    /// A word of its own, unchanged.
    Single,
    /// Changed by normalisation, or a mark that can change places.
    Mapped,
}

/// How characters are normalised.
#[derive(Clone, Copy, Debug)]
struct Rules {
    variant: BertVariant,
    lowercase: bool,
    strip_accents: bool,
    split_cjk: bool,
}

impl Rules {
    /// Puts what `c` becomes into `mapped.out`.
    fn map(&self, c: char, mapped: &mut Mapped) {
        let Mapped { out, between } = mapped;
        out.clear();
        between.clear();
        if self.variant == BertVariant::HfFast {
            match self.strip_accents {
                true => unicode::push_nfd_fast(c, between),
                false => between.push(c),
            }
            let kept = between.iter().filter(|&&c| !self.strip_accents || !unicode::in_ranges(tables::FAST_MARK, c));
            match self.lowercase {
                true => out.extend(kept.flat_map(|c| c.to_lowercase())),
                false => out.extend(kept),
            }
            return;
        }
        match self.lowercase {
            true => unicode::push_lower(c, between),
            false => between.push(c),
        }
        if self.strip_accents {
            between.iter().for_each(|&c| unicode::push_nfd(c, out));
            out.retain(|&c| !unicode::in_ranges(tables::MARK, c));
        } else {
            out.append(between);
        }
    }

    /// Whether `c`, already normalised, is a word of its own.
    fn is_split_off(&self, c: char) -> bool {
        c.is_ascii_punctuation()
            || !c.is_ascii()
                && match self.variant {
                    BertVariant::HfSlow => unicode::in_ranges(tables::PUNCTUATION, c),
                    BertVariant::HfFast => unicode::in_ranges(tables::FAST_PUNCTUATION, c),
                    BertVariant::PaddleNlp => {
                        unicode::in_ranges(tables::PUNCTUATION, c)
                            || unicode::in_ranges(tables::SYMBOL, c)
                            || PADDLENLP_SYMBOLS.contains(&c)
                    }
                }
    }

    /// The combining class, where normalisation puts marks in order.
    fn combining_class(&self, c: char) -> u8 {
        if self.strip_accents { unicode::combining_class(c) } else { 0 }
    }

    fn is_dropped(&self, c: char) -> bool {
        let control = match self.variant {
            BertVariant::HfFast => tables::FAST_CONTROL,
            BertVariant::HfSlow | BertVariant::PaddleNlp => tables::CONTROL,
        };
        matches!(c, '\0' | '\u{fffd}') || unicode::in_ranges(control, c)
    }

    fn is_space(&self, c: char) -> bool {
        match self.variant {
            BertVariant::HfFast => unicode::in_ranges(tables::FAST_SPACE, c),
            BertVariant::HfSlow | BertVariant::PaddleNlp => unicode::is_space(c),
        }
    }

    fn class(&self, c: char, mapped: &mut Mapped) -> Class {
        if self.is_dropped(c) {
            return Class::Drop;
        }
        if self.is_space(c) {
            return Class::Space;
        }
        self.map(c, mapped);
        if mapped.out != [c] || self.combining_class(c) != 0 {
            Class::Mapped
        } else if self.splits_around(c) || self.is_split_off(c) {
            Class::Single
        } else {
            Class::Plain
        }
    }

    fn splits_around(&self, c: char) -> bool {
        self.split_cjk && unicode::is_cjk(c) && !(self.variant == BertVariant::HfFast && FAST_NOT_CJK.contains(&c))
    }
}

/// What a character becomes; kept from one to the next for its memory.
#[derive(Debug, Default)]
struct Mapped {
    out: Vec<char>,
    between: Vec<char>,
}

/// Cuts texts as described above.
#[derive(Debug)]
pub(super) struct BertCutter {
    rules: Rules,
    word_piece: WordPiece,
    special: SpecialTokens,
    /// Words that are neither lower-cased nor split, with their ids. Sorted.
    never_split: Vec<(String, Vec<i64>)>,
    /// The same for special tokens, which only count where cleaning made them: `[MA<NUL>SK]`. Sorted.
    special_words: Vec<(String, Vec<i64>)>,
    classes: Vec<Class>,
    /// Ids of the characters of class `Single`.
    singles: Vec<i32>,
}

impl BertCutter {
    /// A cutter for `vocab` whose unknown token is `unk`.
    pub(super) fn new(variant: BertVariant, vocab: &Vocab, spec: &TokenizerSpec, unk: i64) -> Self {
        let rules = Rules {
            variant,
            lowercase: spec.lowercase,
            strip_accents: spec.strip_accents.unwrap_or(spec.lowercase),
            split_cjk: spec.split_cjk,
        };
        let word_piece = WordPiece::new(vocab, unk);
        let search = if variant == BertVariant::HfFast { Search::Exact } else { Search::LowerCased };
        let special = SpecialTokens::new(vocab, spec, search);
        let (mut never_split, mut special_words) = (Vec::new(), Vec::new());
        if variant == BertVariant::HfSlow {
            let with_id = |word: &String| (word.clone(), vec![vocab.id(word).unwrap_or(unk)]);
            never_split.extend(spec.never_split.iter().map(with_id));
            never_split.sort();
            // The reference gives these to WordPiece, which knows no added tokens.
            let names = special_names(spec).filter(|name| !spec.lowercase || is_lower(name));
            special_words.extend(names.map(|name| (name.to_owned(), word_piece.ids_of(name))));
            special_words.sort();
        }
        let mut mapped = Mapped::default();
        let code_points = (0..N_TABLED).map(|code| char::from_u32(code as u32));
        let classes: Vec<Class> = code_points.map(|c| c.map_or(Class::Drop, |c| rules.class(c, &mut mapped))).collect();
        let mut singles = vec![0; N_TABLED];
        for (code, single) in singles.iter_mut().enumerate().filter(|(code, _)| classes[*code] == Class::Single) {
            let Some(c) = char::from_u32(code as u32) else { continue };
            let id = word_piece.whole(c.encode_utf8(&mut [0; 4]).as_bytes()).unwrap_or(unk);
            *single = i32::try_from(id).unwrap_or(i32::MAX);
        }
        Self { rules, word_piece, special, never_split, special_words, classes, singles }
    }

    #[inline]
    fn class(&self, c: char, mapped: &mut Mapped) -> Class {
        self.classes.get(c as usize).copied().unwrap_or_else(|| self.rules.class(c, mapped))
    }

    /// The tokens of `text`.
    pub(super) fn cut(&self, text: &str, special: SpecialTokensInText) -> Pieces {
        let mut words = Words::new(&self.word_piece, Pieces::with_capacity_for(text));
        let mut at = 0;
        if special == SpecialTokensInText::Recognize {
            while let Some((begin, end, id)) = self.special.next_in(text, at) {
                self.cut_segment(&text[at..begin], at, special, &mut words);
                words.out.push(id, begin, end);
                at = end;
            }
        }
        self.cut_segment(&text[at..], at, special, &mut words);
        words.out
    }

    /// Appends the tokens of `text`, which holds no special tokens and begins at `offset` of the caller's text.
    fn cut_segment(&self, text: &str, offset: usize, special: SpecialTokensInText, words: &mut Words<'_>) {
        let composes = self.rules.variant == BertVariant::HfSlow && !self.rules.strip_accents;
        let special_words: &[_] = match special {
            SpecialTokensInText::Recognize if self.special.may_be_in(text) => &self.special_words,
            _ => &[],
        };
        let mut mapped = Mapped::default();
        if !self.never_split.is_empty()
            || (composes && text.chars().any(nfc::is_trigger))
            || (!special_words.is_empty() && text.chars().any(|c| self.class(c, &mut mapped) == Class::Drop))
        {
            self.cut_collected(text, offset, special_words, words);
        } else {
            self.cut_stream(text, offset, words);
        }
        self.flush(words);
    }

    /// The usual way: characters go into words as they come.
    fn cut_stream(&self, text: &str, offset: usize, words: &mut Words<'_>) {
        let bytes = text.as_bytes();
        let mut mapped = Mapped::default();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at].is_ascii_alphanumeric() {
                let n_bytes = bytes[at..].iter().position(|byte| !byte.is_ascii_alphanumeric());
                let end = n_bytes.map_or(bytes.len(), |n_bytes| at + n_bytes);
                words.push_ascii(&bytes[at..end], offset + at, self.rules.lowercase);
                at = end;
                continue;
            }
            let Some(c) = text[at..].chars().next() else { return };
            let end = at + c.len_utf8();
            self.push(c, offset + at, offset + end, words, &mut mapped);
            at = end;
        }
    }

    /// One character of the text.
    #[inline]
    fn push(&self, c: char, begin: usize, end: usize, words: &mut Words<'_>, mapped: &mut Mapped) {
        match self.class(c, mapped) {
            Class::Plain => words.push(c, 0, begin, end),
            Class::Space => self.flush(words),
            Class::Drop => {}
            Class::Single if (c as usize) < N_TABLED => {
                self.flush(words);
                words.out.push(i64::from(self.singles[c as usize]), begin, end);
            }
            Class::Single | Class::Mapped => self.push_mapped(c, begin, end, words, mapped),
        }
    }

    /// One character that normalisation changes, or that the table does not hold.
    fn push_mapped(&self, c: char, begin: usize, end: usize, words: &mut Words<'_>, mapped: &mut Mapped) {
        let splits_around = self.rules.splits_around(c);
        if splits_around {
            self.flush(words);
        }
        self.rules.map(c, mapped);
        if mapped.out.is_empty() {
            words.skip(self.rules.combining_class(c));
        }
        for &c in &mapped.out {
            if self.rules.is_split_off(c) {
                self.flush(words);
                words.push(c, 0, begin, end);
                self.flush(words);
            } else {
                words.push(c, self.rules.combining_class(c), begin, end);
            }
        }
        if splits_around {
            self.flush(words);
        }
    }

    /// Ends a word; one that is never split has an id of its own.
    #[inline]
    fn flush(&self, words: &mut Words<'_>) {
        if !self.never_split.is_empty()
            && words.in_word()
            && let Some(ids) = words.word().and_then(|word| find_word(&self.never_split, word))
        {
            words.flush_as(ids);
            return;
        }
        words.flush();
    }

    /// The long way, for texts to be composed and for words that are never split: the cleaned characters are collected,
    /// composed, and taken between white space.
    fn cut_collected(&self, text: &str, offset: usize, special_words: &[(String, Vec<i64>)], words: &mut Words<'_>) {
        let mut cleaned = Vec::with_capacity(text.len());
        let mut lower = Vec::new();
        for (at, c) in text.char_indices() {
            if self.rules.is_dropped(c) {
                continue;
            }
            lower.clear();
            match self.rules.lowercase {
                true => unicode::push_lower(c, &mut lower),
                false => lower.push(c),
            }
            let (begin, end) = (offset + at, offset + at + c.len_utf8());
            cleaned.extend(lower.iter().map(|&c| Sourced { c, begin, end }));
        }
        let composed = nfc::compose(&cleaned);
        let mut mapped = Mapped::default();
        let is_boundary = |c: char| self.rules.is_space(c) || self.rules.splits_around(c);
        for word in composed.chunk_by(|a, b| !is_boundary(a.c) && !is_boundary(b.c)) {
            let text: String = word.iter().map(|source| source.c).collect();
            let kept = find_word(&self.never_split, text.as_bytes());
            if let Some(ids) = kept.or_else(|| find_word(special_words, text.as_bytes())) {
                self.flush(words);
                ids.iter().for_each(|&id| words.out.push(id, word[0].begin, word[word.len() - 1].end));
                continue;
            }
            for source in word {
                self.push(source.c, source.begin, source.end, words, &mut mapped);
            }
        }
    }
}

/// The ids of `word` in a sorted list.
fn find_word<'a>(list: &'a [(String, Vec<i64>)], word: &[u8]) -> Option<&'a [i64]> {
    let index = list.binary_search_by(|(other, _)| other.as_bytes().cmp(word)).ok()?;
    Some(&list[index].1)
}
