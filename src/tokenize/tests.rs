//! Laws of the tokenizers, on a small vocabulary of our own.
