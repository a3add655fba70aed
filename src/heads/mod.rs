//! What a graph gave for a text -> what the caller asked for.
//!
//! In: plain slices of one text. Out: vectors ([`embed`]) and labelled scores ([`classify`]).

pub(crate) mod classify;
pub(crate) mod embed;

/// One finding: a label, with its score and, where it lies in the text, its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The label's id.
    pub id: i64,
    /// Probability, or the raw value of a regression.
    pub score: f32,
    /// The label's name; empty where the model has no names.
    pub text: String,
    /// First byte in the caller's text.
    pub begin: usize,
    /// One past the last byte in the caller's text.
    pub end: usize,
}
