//! `precompiled_charsmap`: the normalisation rules of a model, as SentencePiece stores them.
//!
//! Four bytes of length, a double array of the library Darts-clone, then the replacements, each ended by a NUL. A unit of
//! the array is 32 bits: the label of a node (bits 0-7, and bit 31, which a value has), whether a value follows (bit 8),
//! and the offset of its children (bits 10-30, times 256 when bit 9 is set).

/// Longest replacement; that of the longest rule of NFKC has 33 bytes.
const MAX_REPLACEMENT_BYTES: usize = 64;
/// How many rules that begin alike are looked at, as in the reference.
const MAX_RESULTS: usize = 32;

/// The rules.
#[derive(Debug)]
pub(super) struct CharsMap {
    units: Vec<u32>,
    replacements: String,
}

impl CharsMap {
    /// Reads and checks the rules.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let broken = |what: &str| format!("precompiled_charsmap: {what}");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(|| broken("no length"))?;
        let n_bytes = u32::from_le_bytes(*length) as usize;
        let (array, replacements) = rest
            .split_at_checked(n_bytes)
            .filter(|(array, replacements)| array.len() % 4 == 0 && !array.is_empty() && !replacements.is_empty())
            .ok_or_else(|| broken(&format!("{n_bytes} bytes of rules do not fit its {}", bytes.len())))?;
        let replacements = std::str::from_utf8(replacements).map_err(|_| broken("a replacement is not UTF-8"))?;
        let (chunks, _) = array.as_chunks();
        let units: Vec<u32> = chunks.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        // Whatever unit a search ends in, its replacement is there, and not of any length.
        let is_good = |unit: &u32| {
            let replacement = replacements.get(value(*unit)..);
            unit >> 31 == 0
                || replacement.is_some_and(|text| text.bytes().take(MAX_REPLACEMENT_BYTES + 1).any(|byte| byte == 0))
        };
        match units.iter().position(|unit| !is_good(unit)) {
            Some(index) => Err(broken(&format!("unit {index} has no replacement"))),
            None => Ok(Self { units, replacements: replacements.to_owned() }),
        }
    }

    /// Whether some rule begins with `text`, or is it.
    pub(super) fn begins(&self, text: &str) -> bool {
        let mut node = offset(self.units[0]);
        for &byte in text.as_bytes() {
            node ^= usize::from(byte);
            match self.units.get(node) {
                Some(&unit) if unit & 0x8000_00FF == u32::from(byte) => node ^= offset(unit),
                _ => return false,
            }
        }
        true
    }

    /// The longest rule that `text` begins with: how many of its bytes are replaced, and by what.
    #[inline]
    pub(super) fn longest<'a>(&'a self, text: &str) -> Option<(usize, &'a str)> {
        let mut node = offset(self.units[0]);
        let mut found = None;
        let mut n_found = 0;
        for (index, &byte) in text.as_bytes().iter().enumerate() {
            node ^= usize::from(byte);
            let Some(&unit) = self.units.get(node) else { break };
            if unit & 0x8000_00FF != u32::from(byte) {
                break;
            }
            node ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                let Some(&leaf) = self.units.get(node) else { break };
                n_found += 1;
                if n_found > MAX_RESULTS {
                    break;
                }
                if text.is_char_boundary(index + 1) {
                    found = Some((index + 1, leaf));
                }
            }
        }
        let (n_bytes, leaf) = found?;
        let replacement = self.replacements.get(value(leaf)..)?;
        let end = replacement.bytes().take(MAX_REPLACEMENT_BYTES + 1).position(|byte| byte == 0)?;
        Some((n_bytes, &replacement[..end]))
    }
}

fn value(unit: u32) -> usize {
    (unit & 0x7FFF_FFFF) as usize
}

#[inline]
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 0x200) >> 6)) as usize
}
