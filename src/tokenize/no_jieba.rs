//! What stands in for `jieba` where the library was built without the feature `ernie-tiny`.

use crate::error::{Error, Result};
use std::ops::Range;

/// There is none.
#[derive(Debug)]
pub(super) struct Segmenter(std::convert::Infallible);

impl Segmenter {
    /// Refuses.
    pub(super) fn new() -> Result<Self> {
        Err(Error::Unsupported("tokenizer scheme ernie-tiny: this libernie was built without it".into()))
    }

    /// Never called.
    pub(super) fn words(&self, _text: &str, _emit: impl FnMut(Range<usize>)) {
        match self.0 {}
    }
}
