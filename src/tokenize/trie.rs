//! A set of byte strings with values, walked byte by byte: the vocabulary for longest-match search.
//!
//! A double-array trie (J. Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989) with
//! the XOR form of the transition: the child of state `s` by byte `b` is `base[s] ^ b` if that state's `parent` is `s`.
//! One step is one load, which is what makes longest-match search cheap.

/// Marks an unused state.
const FREE: u32 = u32::MAX;
/// The parent of the root: not `FREE`, and no state, so that no step leads to the root.
const ABOVE_ROOT: u32 = u32::MAX - 1;
/// States in a block; every byte leads to a state of the block of its `base`.
const BLOCK: usize = 256;
/// Places looked at for a state's children before a new block is taken, so that building stays linear.
const MAX_TRIALS: usize = 64;

/// In [`State::base`]: a string ends here.
const HAS_VALUE: u32 = 1 << 31;

/// A state: where its children are, whose child it is. Kept apart from the values, so that a walk touches little memory.
#[derive(Clone, Copy, Debug)]
struct State {
    base: u32,
    parent: u32,
}

const UNUSED: State = State { base: 0, parent: FREE };

/// `entries` in the order that [`Trie::build`] wants; of equal strings the one with the largest value comes first.
pub(super) fn sorted(mut entries: Vec<(&[u8], i32)>) -> Vec<(&[u8], i32)> {
    entries.sort_unstable_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
    entries
}

/// The trie.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    states: Vec<State>,
    /// By state: the value of the string that ends there.
    values: Vec<i32>,
}

/// A place in a [`Trie`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(u32);

impl Trie {
    /// Builds a trie of `entries`, which must be sorted by their strings, without duplicates and with values >= 0.
    pub(super) fn build(entries: &[(&[u8], i32)]) -> Self {
        let mut builder = Builder { states: Vec::new(), values: Vec::new(), free: Vec::new(), hole: 0, cursor: 0 };
        builder.add_block();
        builder.take(0, ABOVE_ROOT);
        // (state, its entries, number of bytes they share)
        let mut work = vec![(0_u32, 0_usize, entries.len(), 0_usize)];
        let mut bytes = Vec::new();
        while let Some((state, mut begin, end, depth)) = work.pop() {
            if begin < end && entries[begin].0.len() == depth {
                builder.values[state as usize] = entries[begin].1;
                builder.states[state as usize].base |= HAS_VALUE;
                begin += 1;
            }
            bytes.clear();
            bytes.extend(entries[begin..end].iter().map(|(string, _)| string[depth]));
            bytes.dedup();
            if bytes.is_empty() {
                continue;
            }
            let base = builder.place(&bytes);
            builder.states[state as usize].base |= base;
            for &byte in &bytes {
                let child = base ^ u32::from(byte);
                builder.take(child, state);
                let n_entries = entries[begin..end].partition_point(|(string, _)| string[depth] <= byte);
                work.push((child, begin, begin + n_entries, depth + 1));
                begin += n_entries;
            }
        }
        builder.states.shrink_to_fit();
        builder.values.shrink_to_fit();
        Self { states: builder.states, values: builder.values }
    }

    /// The place of the empty string.
    pub(super) fn root(&self) -> Node {
        Node(0)
    }

    /// The place after `byte`, if any string goes on so.
    #[inline]
    pub(super) fn step(&self, node: Node, byte: u8) -> Option<Node> {
        let child = (self.states[node.0 as usize].base & !HAS_VALUE) ^ u32::from(byte);
        (self.states[child as usize].parent == node.0).then_some(Node(child))
    }

    /// The value of the string that ends at `node`.
    #[inline]
    pub(super) fn value(&self, node: Node) -> Option<i32> {
        let has_value = self.states[node.0 as usize].base & HAS_VALUE != 0;
        has_value.then(|| self.values[node.0 as usize])
    }

    /// Length and value of the longest string that `text` begins with.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(usize, i32)> {
        let mut node = self.root();
        let mut found = None;
        for (index, &byte) in text.iter().enumerate() {
            match self.step(node, byte) {
                Some(next) => node = next,
                None => break,
            }
            if let Some(value) = self.value(node) {
                found = Some((index + 1, value));
            }
        }
        found
    }

    /// The place of `string`.
    pub(super) fn find(&self, string: &[u8]) -> Option<Node> {
        string.iter().try_fold(self.root(), |node, &byte| self.step(node, byte))
    }
}

/// Characters that a table leads from the root of a [`ScoredTrie`]; the rest of Unicode is walked.
const N_TABLED: usize = 0x1_0000;

/// A trie whose values have scores, laid out so that a step of a walk touches one place in memory: state, value, score.
#[derive(Debug)]
pub(super) struct ScoredTrie {
    states: Vec<State>,
    values: Vec<(i32, f32)>,
    /// By character of the first 65,536: the state after it, `FREE` where no string begins with it.
    after_first: Vec<u32>,
}

impl ScoredTrie {
    /// The trie of `entries`, sorted UTF-8 without duplicates, with the scores of their values.
    pub(super) fn new(entries: &[(&[u8], i32)], scores: &[f32]) -> Self {
        let trie = Trie::build(entries);
        let states = trie.states.into_iter().zip(trie.values).map(|(State { base, parent }, value)| {
            let score = if base & HAS_VALUE != 0 { scores.get(value as usize).copied() } else { None };
            (State { base, parent }, (value, score.unwrap_or_default()))
        });
        let (states, values) = states.unzip();
        let mut built = Self { states, values, after_first: Vec::new() };
        let mut after_first = vec![FREE; N_TABLED];
        for (entry, _) in entries {
            let first = entry.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
            if let Some(c) = first
                && after_first.get(c as usize) == Some(&FREE)
                && let Some(node) = entry[..c.len_utf8()].iter().try_fold(0, |node, &byte| built.step(node, byte))
            {
                after_first[c as usize] = node;
            }
        }
        built.after_first = after_first;
        built
    }

    #[inline]
    fn step(&self, node: u32, byte: u8) -> Option<u32> {
        let child = (self.states[node as usize].base & !HAS_VALUE) ^ u32::from(byte);
        (self.states[child as usize].parent == node).then_some(child)
    }

    /// Calls `found` with the length, the value and the score of every string that `text` begins with, shortest first.
    /// `first` is the first character of `text`; no string ends inside it.
    #[inline]
    pub(super) fn walk(&self, text: &[u8], first: char, mut found: impl FnMut(usize, i32, f32)) {
        let n_bytes = first.len_utf8();
        let mut node = match self.after_first.get(first as usize) {
            Some(&node) => node,
            None => text[..n_bytes].iter().try_fold(0, |node, &byte| self.step(node, byte)).unwrap_or(FREE),
        };
        if node == FREE {
            return;
        }
        let mut length = n_bytes;
        loop {
            let base = self.states[node as usize].base;
            if base & HAS_VALUE != 0 {
                let (value, score) = self.values[node as usize];
                found(length, value, score);
            }
            let Some(&byte) = text.get(length) else { return };
            let child = (base & !HAS_VALUE) ^ u32::from(byte);
            if self.states[child as usize].parent != node {
                return;
            }
            node = child;
            length += 1;
        }
    }
}

/// A trie being built. `free` lists states in rising order as they were when unused; those taken since are passed over.
/// Only children are put from `hole` on, into any unused state; siblings from `cursor` on, where there is room for them.
struct Builder {
    states: Vec<State>,
    values: Vec<i32>,
    free: Vec<u32>,
    hole: usize,
    cursor: usize,
}

impl Builder {
    fn add_block(&mut self) {
        let begin = self.states.len();
        self.states.resize(begin + BLOCK, UNUSED);
        self.values.resize(begin + BLOCK, 0);
        self.free.extend((begin..begin + BLOCK).map(|state| state as u32));
    }

    fn is_free(&self, state: u32) -> bool {
        self.states[state as usize].parent == FREE
    }

    fn take(&mut self, state: u32, parent: u32) {
        self.states[state as usize].parent = parent;
    }

    /// A `base` for which the states of all `bytes` are unused.
    fn place(&mut self, bytes: &[u8]) -> u32 {
        let first = u32::from(bytes[0]);
        if bytes.len() == 1 {
            while self.hole < self.free.len() {
                let state = self.free[self.hole];
                self.hole += 1;
                if self.is_free(state) {
                    return state ^ first;
                }
            }
        }
        while self.cursor < self.free.len() {
            let end = self.free.len().min(self.cursor + MAX_TRIALS);
            for &state in &self.free[self.cursor..end] {
                let base = state ^ first;
                if bytes.iter().all(|&byte| self.is_free(base ^ u32::from(byte))) {
                    return base;
                }
            }
            self.cursor = end;
        }
        let base = self.states.len() as u32;
        self.add_block();
        base
    }
}
