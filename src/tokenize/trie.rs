//! A set of byte strings with values, walked byte by byte: the vocabulary for longest-match search.
//!
//! A double-array trie (J. Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989) with
//! the XOR form of the transition: the child of state `s` by byte `b` is `base[s] ^ b` if that state's `parent` is `s`.
//! One step is one load, which is what makes longest-match search cheap.

/// Marks an unused state.
const FREE: u32 = u32::MAX;
/// The parent of the root: not `FREE`, and no state, so that no step leads to the root.
const ABOVE_ROOT: u32 = u32::MAX - 1;
/// Marks a state where no string ends.
const NO_VALUE: i32 = -1;
/// States in a block; every byte leads to a state of the block of its `base`.
const BLOCK: usize = 256;
/// Places looked at for a state's children before a new block is taken, so that building stays linear.
const MAX_TRIALS: usize = 64;

/// A state: where its children are, whose child it is, the value of the string that ends here.
#[derive(Clone, Copy, Debug)]
struct State {
    base: u32,
    parent: u32,
    value: i32,
}

const UNUSED: State = State { base: 0, parent: FREE, value: NO_VALUE };

/// `entries` in the order that [`Trie::build`] wants; of equal strings the one with the largest value comes first.
pub(super) fn sorted<'a>(mut entries: Vec<(&'a [u8], i32)>) -> Vec<(&'a [u8], i32)> {
    entries.sort_unstable_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
    entries
}

/// The trie.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    states: Vec<State>,
}

/// A place in a [`Trie`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(u32);

impl Trie {
    /// Builds a trie of `entries`, which must be sorted by their strings, without duplicates and with values >= 0.
    pub(super) fn build(entries: &[(&[u8], i32)]) -> Self {
        let mut builder = Builder { states: Vec::new(), free: Vec::new(), hole: 0, cursor: 0 };
        builder.add_block();
        builder.take(0, ABOVE_ROOT);
        // (state, its entries, number of bytes they share)
        let mut work = vec![(0_u32, 0_usize, entries.len(), 0_usize)];
        let mut bytes = Vec::new();
        while let Some((state, mut begin, end, depth)) = work.pop() {
            if begin < end && entries[begin].0.len() == depth {
                builder.states[state as usize].value = entries[begin].1;
                begin += 1;
            }
            bytes.clear();
            bytes.extend(entries[begin..end].iter().map(|(string, _)| string[depth]));
            bytes.dedup();
            if bytes.is_empty() {
                continue;
            }
            let base = builder.place(&bytes);
            builder.states[state as usize].base = base;
            for &byte in &bytes {
                let child = base ^ u32::from(byte);
                builder.take(child, state);
                let n_entries = entries[begin..end].partition_point(|(string, _)| string[depth] <= byte);
                work.push((child, begin, begin + n_entries, depth + 1));
                begin += n_entries;
            }
        }
        builder.states.shrink_to_fit();
        Self { states: builder.states }
    }

    /// The place of the empty string.
    pub(super) fn root(&self) -> Node {
        Node(0)
    }

    /// The place after `byte`, if any string goes on so.
    #[inline]
    pub(super) fn step(&self, node: Node, byte: u8) -> Option<Node> {
        let child = self.states[node.0 as usize].base ^ u32::from(byte);
        (self.states[child as usize].parent == node.0).then_some(Node(child))
    }

    /// The value of the string that ends at `node`.
    #[inline]
    pub(super) fn value(&self, node: Node) -> Option<i32> {
        let value = self.states[node.0 as usize].value;
        (value != NO_VALUE).then_some(value)
    }

    /// Length of the longest string that `text` begins with.
    pub(super) fn longest(&self, text: &[u8]) -> Option<usize> {
        let mut node = self.root();
        let mut found = None;
        for (index, &byte) in text.iter().enumerate() {
            match self.step(node, byte) {
                Some(next) => node = next,
                None => break,
            }
            if self.value(node).is_some() {
                found = Some(index + 1);
            }
        }
        found
    }

    /// The place of `string`.
    pub(super) fn find(&self, string: &[u8]) -> Option<Node> {
        string.iter().try_fold(self.root(), |node, &byte| self.step(node, byte))
    }
}

/// A trie being built. `free` lists states in rising order as they were when unused; those taken since are passed over.
/// Only children are put from `hole` on, into any unused state; siblings from `cursor` on, where there is room for them.
struct Builder {
    states: Vec<State>,
    free: Vec<u32>,
    hole: usize,
    cursor: usize,
}

impl Builder {
    fn add_block(&mut self) {
        let begin = self.states.len();
        self.states.resize(begin + BLOCK, UNUSED);
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
        let end = self.free.len().min(self.cursor + MAX_TRIALS);
        for &state in &self.free[self.cursor..end] {
            let base = state ^ first;
            if bytes.iter().all(|&byte| self.is_free(base ^ u32::from(byte))) {
                return base;
            }
        }
        self.cursor = end.max(self.cursor);
        if self.cursor < self.free.len() {
            return self.place(bytes);
        }
        let base = self.states.len() as u32;
        self.add_block();
        base
    }
}
