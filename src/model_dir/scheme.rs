//! The names of tokenization: schemes, their variants, added tokens.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::CStr;

/// Whose BERT tokenizer. They differ in symbols, normal forms, empty pairs and ties of truncation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BertVariant {
    /// `BertTokenizer` of Hugging Face, written in Python.
    HfSlow,
    /// `BertTokenizerFast` of Hugging Face, as built from a `vocab.txt`.
    HfFast,
    /// `ErnieTokenizer` of PaddleNLP.
    PaddleNlp,
}

/// Whose tokenizer of ERNIE-M. They differ in blanks before long words and around special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErnieMVariant {
    /// `ErnieMTokenizer` of PaddleNLP.
    PaddleNlp,
    /// `ErnieMTokenizer` of Hugging Face.
    Hf,
}

/// How texts become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// The regular expression and WordPiece of the 2021 `paddle-ernie` package.
    Ernie,
    /// BERT's basic tokenizer and WordPiece.
    Bert(BertVariant),
    /// Words by jieba and SentencePiece, of the 2021 `paddle-ernie` package.
    ErnieTiny,
    /// SentencePiece, and pieces split at ideographs, punctuation and digits.
    ErnieM(ErnieMVariant),
    /// As a `tokenizer.json` says.
    TokenizerJson,
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Self; 8] = [
        Self::Ernie,
        Self::Bert(BertVariant::HfSlow),
        Self::Bert(BertVariant::HfFast),
        Self::Bert(BertVariant::PaddleNlp),
        Self::ErnieTiny,
        Self::ErnieM(ErnieMVariant::PaddleNlp),
        Self::ErnieM(ErnieMVariant::Hf),
        Self::TokenizerJson,
    ];

    /// The name used in options and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The same for C.
    #[must_use]
    pub fn c_name(self) -> &'static CStr {
        match self {
            Self::Ernie => c"ernie",
            Self::Bert(BertVariant::HfSlow) => c"bert",
            Self::Bert(BertVariant::HfFast) => c"bert-fast",
            Self::Bert(BertVariant::PaddleNlp) => c"bert-paddlenlp",
            Self::ErnieTiny => c"ernie-tiny",
            Self::ErnieM(ErnieMVariant::PaddleNlp) => c"ernie-m",
            Self::ErnieM(ErnieMVariant::Hf) => c"ernie-m-hf",
            Self::TokenizerJson => c"tokenizer.json",
        }
    }

    /// Whether texts are framed and cut as the 2021 `paddle-ernie` package does it.
    #[must_use]
    pub fn is_seed(self) -> bool {
        matches!(self, Self::Ernie | Self::ErnieTiny)
    }

    /// Where the SentencePiece model of the scheme may lie in a directory.
    pub(super) fn sentencepiece_files(self) -> &'static [&'static str] {
        match self {
            Self::ErnieTiny => &["subword/spm_cased_simp_sampled.model", "spm_cased_simp_sampled.model"],
            Self::ErnieM(_) => &["sentencepiece.bpe.model"],
            Self::Ernie | Self::Bert(_) | Self::TokenizerJson => &[],
        }
    }

    /// The scheme with this name.
    ///
    /// # Errors
    /// * [`Error::InvalidArgument`]: no scheme has this name; the message lists them.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|scheme| scheme.name()).collect();
            Error::argument(format!("tokenizer scheme {name:?} is not one of {}", names.join(", ")))
        })
    }
}

/// A token that a configuration adds to the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedToken {
    /// How it is written in a text.
    pub content: String,
    /// Its id.
    pub id: i64,
    /// Whether it is a special token, which decoding can leave out.
    pub special: bool,
}
