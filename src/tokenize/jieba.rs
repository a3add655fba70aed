//! Chinese word segmentation as `jieba.cut` of Python does it, by the `jieba-rs` crate, which only this file names.
//!
//! Reference: jieba 0.42.1 with its default dictionary and its hidden Markov model. The crate differs in four things,
//! which are set right here: which characters can be in words of several (more ideographs), what it joins of letters and
//! digits (also over `.`, `-` and `_`), one entry that its dictionary lacks, and the digits of its Markov model (six).

use crate::error::{Error, Result};
use jieba_rs::{HmmModel, Jieba};
use std::fmt::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Shared by all tokenizers of the process while there are any: the dictionary has 350,000 words.
static SHARED: Mutex<Weak<Jieba>> = Mutex::new(Weak::new());

fn shared() -> MutexGuard<'static, Weak<Jieba>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the crate's dictionary lacks of the reference's.
const MISSING: &str = "B超 3 n\n";

/// The reference's Markov model, written by `scripts/jieba_hmm.py`, which says how.
const HMM: &[u8] = include_bytes!("jieba_hmm.bin");
/// States of the model.
const N_STATES: usize = 4;

/// Cuts texts into words.
#[derive(Debug)]
pub(super) struct Segmenter(Arc<Jieba>);

impl Segmenter {
    /// The segmenter with the default dictionary.
    pub(super) fn new() -> Result<Self> {
        if let Some(jieba) = shared().upgrade() {
            return Ok(Self(jieba));
        }
        // Built without the lock, which a process that forks meanwhile would inherit.
        let mut jieba = Jieba::new();
        let broken = |what: String| Error::Internal(format!("jieba: {what}"));
        jieba.load_dict(&mut MISSING.as_bytes()).map_err(|e| broken(e.to_string()))?;
        let model = hmm_as_text().ok_or_else(|| broken("its Markov model is cut off".into()))?;
        jieba.set_hmm_model(HmmModel::load(&mut model.as_bytes()).map_err(|e| broken(e.to_string()))?);
        let mut shared = shared();
        if let Some(other) = shared.upgrade() {
            return Ok(Self(other));
        }
        let jieba = Arc::new(jieba);
        *shared = Arc::downgrade(&jieba);
        Ok(Self(jieba))
    }

    /// Gives every word of `text`, in order: all of the text, white space too.
    pub(super) fn words(&self, text: &str, mut emit: impl FnMut(Range<usize>)) {
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            if may_join(c) {
                let n_bytes = text[at..].find(|c| !may_join(c)).unwrap_or(text.len() - at);
                self.cut(&text[at..at + n_bytes], |word| emit(at + word.start..at + word.end));
                at += n_bytes;
            } else {
                let n_bytes = if text[at..].starts_with("\r\n") { 2 } else { c.len_utf8() };
                emit(at..at + n_bytes);
                at += n_bytes;
            }
        }
    }

    /// The words of a run of characters that may join.
    fn cut(&self, run: &str, mut emit: impl FnMut(Range<usize>)) {
        for token in self.0.cut(run, true) {
            let (begin, end) = (token.byte_start, token.byte_end);
            if !is_joined(token.word) {
                emit(begin..end);
                continue;
            }
            let mut at = begin;
            while at < end {
                let n_bytes = part_len(&run.as_bytes()[at..end]);
                emit(at..at + n_bytes);
                at += n_bytes;
            }
        }
    }
}

/// [`HMM`] in the form that the crate reads: lines of probabilities, and of `character:probability`.
fn hmm_as_text() -> Option<String> {
    let mut rest = HMM;
    let mut text = String::with_capacity(3 * HMM.len());
    for _ in 0..1 + N_STATES {
        for _ in 0..N_STATES {
            write!(text, "{:?} ", f64::from_le_bytes(take(&mut rest)?)).ok()?;
        }
        text.push('\n');
    }
    for _ in 0..N_STATES {
        for index in 0..u32::from_le_bytes(take(&mut rest)?) {
            let c = char::from_u32(u16::from_le_bytes(take(&mut rest)?).into())?;
            let comma = if index > 0 { "," } else { "" };
            write!(text, "{comma}{c}:{:?}", f64::from_le_bytes(take(&mut rest)?)).ok()?;
        }
        text.push('\n');
    }
    Some(text)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// `[\u4E00-\u9FD5a-zA-Z0-9+#&\._%\-]`: what the reference looks up in its dictionary.
fn may_join(c: char) -> bool {
    match c {
        '\u{4e00}'..='\u{9fd5}' | '+' | '#' | '&' | '.' | '_' | '%' | '-' => true,
        _ => c.is_ascii_alphanumeric(),
    }
}

/// Whether the crate joined this out of parts of the reference: no word of the dictionary looks like it.
fn is_joined(word: &str) -> bool {
    word.as_bytes()[0].is_ascii_alphanumeric() && word.is_ascii() && word.contains(['.', '_', '-'])
}

/// Length of the first match of `[a-zA-Z0-9]+(?:\.\d+)?%?` if it is at the beginning, else of what is before it.
fn part_len(bytes: &[u8]) -> usize {
    let count = |from: usize, is: fn(&u8) -> bool| bytes[from..].iter().take_while(|byte| is(byte)).count();
    let mut n_bytes = count(0, u8::is_ascii_alphanumeric);
    if n_bytes == 0 {
        return count(0, |byte| !byte.is_ascii_alphanumeric());
    }
    if bytes.get(n_bytes) == Some(&b'.') {
        let n_digits = count(n_bytes + 1, u8::is_ascii_digit);
        n_bytes += if n_digits > 0 { 1 + n_digits } else { 0 };
    }
    n_bytes + usize::from(bytes.get(n_bytes) == Some(&b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut words = Vec::new();
        Segmenter::new().unwrap().words(text, |range| words.push(&text[range]));
        words
    }

    /// Checked with jieba 0.42.1.
    #[test]
    fn words_are_those_of_the_reference() {
        assert_eq!(words("我来到北京清华大学"), ["我", "来到", "北京", "清华大学"]);
        assert_eq!(words("2019-01-12"), ["2019", "-", "01", "-", "12"]);
        assert_eq!(words("a_b.c 1.5% 1.2.3"), ["a", "_", "b", ".", "c", " ", "1.5%", " ", "1.2", ".", "3"]);
        assert_eq!(words("做B超\r\n\t。"), ["做", "B超", "\r\n", "\t", "。"]);
        assert_eq!(words("㐀㐁"), ["㐀", "㐁"]);
        // Decided by the seventh digit of a probability.
        assert_eq!(words("我们常在我爸家聚会"), ["我们", "常", "在", "我", "爸家", "聚会"]);
        assert_eq!(words(""), [""; 0]);
    }
}
