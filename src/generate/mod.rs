//! The logits of one more word -> which words are written: greedily, by beams, or by chance.
//!
//! In: a [`Generation`] and, step by step, a row of logits for each hypothesis that goes on. Out: hypotheses, and text as far as it
//! is certain. [`search`] keeps the hypotheses of one text and what each is to be fed, [`logits`] forbids and penalises, [`choice`]
//! picks, [`cache`] keeps numbers of tokens that hypotheses share, [`text`] writes what is certain. Running graphs and
//! tokenizing is the work of `pipeline`.
//!
//! A text's words depend on its own logits, the settings and the seed only: not on its place in a batch, nor on its neighbours.
//!
//! Reference: `demo/seq2seq/decode.py` in PaddlePaddle/ERNIE 3b9d92f for greedy and beam search; Keskar et al. 2019 (CTRL),
//! section 4.1, for the repetition penalty; Holtzman et al. 2020 for `top_p`.

pub(crate) mod cache;
pub(crate) mod choice;
pub(crate) mod logits;
pub(crate) mod search;
pub(crate) mod settings;
pub(crate) mod text;

pub use search::Finish;
pub use settings::{Decoding, Generation, MOST_ROWS_OF_A_TEXT, SourcePadding};
