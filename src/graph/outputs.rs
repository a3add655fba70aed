//! What a built graph gives, under the reference's names.

use super::binding::OutputRole;
use crate::architecture::{Architecture, Head, OutputNames};

/// What the first axis of an output counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Texts.
    Text,
    /// Tokens that were kept.
    Token,
    /// Tokens whose word is predicted.
    Prediction,
}

/// An output of a built graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputSpec {
    pub(crate) role: OutputRole,
    /// The reference's name.
    pub(crate) name: &'static str,
    pub(crate) axis: Axis,
    /// Values for each entry of the axis; `None` for one value without an axis of its own.
    pub(crate) width: Option<usize>,
}

/// The reference's name for an output of this architecture.
pub(super) fn output_name(architecture: &Architecture, role: OutputRole) -> &'static str {
    use OutputNames::{HuggingFace, PaddleErnie, PaddleNlp};
    let names = architecture.output_names;
    match (role, architecture.head) {
        (OutputRole::LastHiddenState, _) => match names {
            PaddleErnie => "encoded",
            PaddleNlp => "sequence_output",
            HuggingFace => "last_hidden_state",
        },
        (OutputRole::PoolerOutput, _) => match names {
            PaddleErnie => "pooled",
            PaddleNlp => "pooled_output",
            HuggingFace => "pooler_output",
        },
        (OutputRole::NextSentenceLogits, _) => match names {
            PaddleErnie => "nsp_logits",
            PaddleNlp => "seq_relationship_score",
            HuggingFace => "seq_relationship_logits",
        },
        (OutputRole::Logits, Head::MaskedLm) if names == PaddleNlp => "prediction_logits",
        (OutputRole::Logits, Head::CrossEncoder { .. }) => "matching_v3",
        (OutputRole::StartLogits, Head::Extraction) => "start_prob",
        (OutputRole::EndLogits, Head::Extraction) => "end_prob",
        (role, _) => role.name(),
    }
}
