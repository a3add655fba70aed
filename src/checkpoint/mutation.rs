//! Broken files made of whole ones, the same ones in each run, for the tests of the readers beside.

/// The generator `xorshift64*` (Vigna 2016): small, seeded, good enough to choose where to break a file.
struct Random(u64);

impl Random {
    /// A number below `limit`, or 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }
}

/// `n_files` files, each made of `whole` by one to three changes: flipped bits, bytes at their limits, cut ends, parts
/// removed, repeated elsewhere or replaced by numbers that are far too large.
pub(crate) fn mutations(whole: &[u8], n_files: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..n_files).map(move |_| {
        let mut bytes = whole.to_vec();
        for _ in 0..=random.below(3) {
            change(&mut bytes, &mut random);
        }
        bytes
    })
}

/// Breaks `bytes` in one place.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let end = at + random.below(bytes.len() - at + 1).min(24);
    match random.below(6) {
        _ if bytes.is_empty() => bytes.push(random.below(256) as u8),
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF, b'9', b'"', b'{'][random.below(8)],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let part = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, part);
        }
        _ => {
            let large = [u64::MAX, 1 << 63, 1 << 40, i64::MAX as u64][random.below(4)].to_le_bytes();
            bytes.iter_mut().skip(at).zip(large).for_each(|(byte, new)| *byte = new);
        }
    }
}
