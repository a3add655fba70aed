//! The C interface: translation only, one file for each C type, every function `ernie_<type>_<verb>`.
//!
//! In: raw pointers. Out: handles, results and statuses that the caller frees. All work is done elsewhere. This is
//! one of the rooms where `unsafe` lives; every export goes through [`boundary`], so that no panic crosses into C.
//!
//! The contract that every function shares stands once at the top of `include/ernie.h` (its source is
//! `include/cbindgen.toml`): ownership, threads, texts, errors.

#![expect(non_camel_case_types, reason = "types are spelled as in C")]

pub mod asynchronous;
pub mod boundary;
pub mod call;
pub mod cancel;
pub mod generate;
pub mod generated;
pub mod input;
pub mod library;
pub mod model;
pub mod options;
pub mod result;
pub mod spans;
pub mod status;
pub mod tensor;
pub mod tokenizer;
pub mod tokens;
pub mod vectors;
