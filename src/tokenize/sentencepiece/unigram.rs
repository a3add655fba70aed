//! The segmentation with the best sum of scores: Viterbi over a text, piece by piece.
//!
//! Reference: `unigram::Model::EncodeOptimized` of SentencePiece 0.2.3, which sums in 32 bits and starts again from 0 where
//! sums grow large (older versions summed in 64 and cut some repetitive texts otherwise). The cost is the length of the
//! text times that of the longest piece.

use super::super::trie::{ScoredTrie, sorted};
use super::Piece;
use super::model::{Kind, Model, ModelPiece};

/// What an unknown character costs beyond the worst piece.
const UNKNOWN_PENALTY: f32 = 10.0;
/// Beyond this, sums lose the digits that decide.
const RESET_SCORE: f32 = 100_000.0;
/// In [`Best::id`]: an unknown character.
const UNKNOWN: u32 = u32::MAX;

/// The best segmentation that ends at a byte: its score, its last piece and how long that is (0 = none yet).
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    score: f32,
    id: u32,
    n_bytes: u32,
}

const NONE: Best = Best { score: 0.0, id: UNKNOWN, n_bytes: 0 };

/// Pieces with their scores.
#[derive(Debug)]
pub(super) struct Unigram {
    trie: ScoredTrie,
    unknown_score: f32,
    /// The pieces of the 256 bytes, where the model falls back to them.
    bytes: Option<Box<[u32; 256]>>,
}

impl Unigram {
    /// The pieces of `model`.
    pub(super) fn new(model: &Model<'_>) -> Result<Self, String> {
        let mut entries = Vec::with_capacity(model.pieces.len());
        let mut min_score = f32::MAX;
        let mut n_unknown = 0;
        let mut bytes = Box::new([UNKNOWN; 256]);
        for (index, piece) in model.pieces.iter().enumerate() {
            match piece.kind {
                Kind::Normal => min_score = min_score.min(piece.score),
                Kind::Unknown => n_unknown += 1,
                Kind::Byte => bytes[usize::from(byte_of(index, piece.text)?)] = index as u32,
                Kind::Control | Kind::UserDefined | Kind::Unused => {}
            }
            if matches!(piece.kind, Kind::Normal | Kind::UserDefined) {
                entries.push((piece.text.as_bytes(), index as i32));
            }
        }
        if n_unknown != 1 {
            return Err(format!("{n_unknown} pieces for unknown characters, there must be one"));
        }
        if model.byte_fallback && bytes.contains(&UNKNOWN) {
            return Err("byte_fallback without a piece for each byte".into());
        }
        let entries = sorted(entries);
        if let Some(twice) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("pieces {} and {} are the same", twice[1].1, twice[0].1));
        }
        // User-defined pieces win over all others: a bonus for their length.
        let score = |piece: &ModelPiece<'_>| match piece.kind {
            Kind::UserDefined => (0.1 * (piece.text.len() - 1) as f64) as f32,
            _ => piece.score,
        };
        Ok(Self {
            trie: ScoredTrie::new(&entries, &model.pieces.iter().map(score).collect::<Vec<_>>()),
            unknown_score: min_score - UNKNOWN_PENALTY,
            bytes: model.byte_fallback.then_some(bytes),
        })
    }

    /// Replaces `pieces` by those of `text`, which is normalised.
    pub(super) fn cut(&self, text: &str, best: &mut Vec<Best>, pieces: &mut Vec<Piece>) {
        pieces.clear();
        best.clear();
        best.resize(text.len() + 1, NONE);
        let bytes = text.as_bytes();
        let mut frontier = 0;
        for (begin, first) in text.char_indices() {
            if best[begin].score.abs() > RESET_SCORE {
                let offset = best[begin].score;
                best[begin..=frontier.max(begin)].iter_mut().for_each(|best| best.score -= offset);
            }
            frontier = frontier.max(self.extend(bytes, begin, first, best));
        }
        let mut end = text.len();
        while end > 0 {
            let Best { id, n_bytes, .. } = best[end];
            let begin = end - n_bytes as usize;
            self.push_before(bytes, id, begin, end, pieces);
            end = begin;
        }
        pieces.reverse();
    }

    /// Tries all pieces that begin at `begin`, where `first` stands, and gives the end of the longest.
    #[inline]
    fn extend(&self, bytes: &[u8], begin: usize, first: char, best: &mut [Best]) -> usize {
        let n_bytes = first.len_utf8();
        let so_far = best[begin].score;
        let mut has_single = false;
        let mut frontier = 0;
        let mut consider = |length: usize, score: f32, id: u32| {
            let target = &mut best[begin + length];
            let score = score + so_far;
            if target.n_bytes == 0 || score > target.score {
                *target = Best { score, id, n_bytes: length as u32 };
            }
            frontier = begin + length;
        };
        self.trie.walk(&bytes[begin..], first, |length, id, score| {
            consider(length, score, id as u32);
            has_single |= length == n_bytes;
        });
        if !has_single {
            consider(n_bytes, self.unknown_score, UNKNOWN);
        }
        frontier
    }

    /// Appends a piece to `pieces`, which are collected from the last to the first: neighbouring unknown characters are
    /// one piece, or the bytes of each.
    fn push_before(&self, text: &[u8], id: u32, begin: usize, end: usize, pieces: &mut Vec<Piece>) {
        if id != UNKNOWN {
            pieces.push(Piece { id: Some(id), begin, end });
        } else if let Some(bytes) = &self.bytes {
            let ids = text[begin..end].iter().rev().map(|&byte| bytes[usize::from(byte)]);
            pieces.extend(ids.map(|id| Piece { id: Some(id), begin, end }));
        } else if let Some(last) = pieces.last_mut().filter(|last| last.id.is_none() && last.begin == end) {
            last.begin = begin;
        } else {
            pieces.push(Piece { id: None, begin, end });
        }
    }
}

/// The byte that a piece such as `<0xE4>` stands for.
fn byte_of(index: usize, text: &str) -> Result<u8, String> {
    let digits = text
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        .filter(|digits| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    digits
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("piece {index}: {text:?} is not a byte as <0x41>"))
}
