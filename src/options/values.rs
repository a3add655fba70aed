//! The values that options have.

/// Where the graph runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU through CUDA.
    Cuda,
    /// An NVIDIA GPU through TensorRT, with CUDA for what TensorRT does not take.
    TensorRt,
    /// The processor through OpenVINO.
    OpenVino,
}

impl Provider {
    /// All of them.
    pub const ALL: &'static [(&'static str, Self)] =
        &[("cpu", Self::Cpu), ("cuda", Self::Cuda), ("tensorrt", Self::TensorRt), ("openvino", Self::OpenVino)];

    /// The name as options and reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(Self::ALL, self)
    }
}

/// What happens where the provider asked for cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// Opening fails.
    #[default]
    Error,
    /// The model runs on the processor, and says so.
    Cpu,
}

/// Whether idle threads of the runtime spin, which answers sooner and takes a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spinning {
    /// [`Self::Runs`] for layers of this library, each of which has many short products, else [`Self::Off`].
    #[default]
    Auto,
    /// Never.
    Off,
    /// As long as a run is under way.
    Runs,
    /// Also between runs.
    On,
}

/// What happens to the memory that runs have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arena {
    /// Kept for the next run: fastest.
    #[default]
    Keep,
    /// Kept during a run and given back after it.
    Shrink,
    /// No arena: every tensor is allocated and freed by itself.
    Off,
}

/// How the weights of a checkpoint are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits; computed in what the provider can, which on a processor is 32 bits.
    F16,
    /// Products of 16 bits with the range of 32 (bfloat16), sums of 32: about twice as fast where the processor has instructions for
    /// them.
    Bf16,
    /// Products of 8 bits with a scale for every output of a matrix and for every token.
    Int8,
}

impl Precision {
    pub(crate) const ALL: &'static [(&'static str, Self)] =
        &[("f32", Self::F32), ("f16", Self::F16), ("bf16", Self::Bf16), ("int8", Self::Int8)];

    /// Those in which weights are stored; in the others they are only multiplied.
    pub(crate) const STORED: &'static [(&'static str, Self)] = Self::ALL.split_at(2).0;

    /// The name as options and manifests write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(Self::ALL, self)
    }
}

/// Which tokens of a text are attended to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttentionMask {
    /// Those that the model's reference attends to when nobody gives a mask: paddle-ernie and PaddleNLP leave a literal
    /// `[PAD]` out, ERNIE-M leaves `[CLS]` out.
    #[default]
    Reference,
    /// All.
    All,
}

/// What a classifier's raw scores mean, where the model itself does not say or is overruled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// One label of several: softmax.
    SingleLabel,
    /// Any number of labels: a sigmoid each.
    MultiLabel,
    /// A number: the raw value.
    Regression,
}

impl Problem {
    pub(super) const ALL: &'static [(&'static str, Self)] =
        &[("single_label", Self::SingleLabel), ("multi_label", Self::MultiLabel), ("regression", Self::Regression)];

    /// The name as options and manifests write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(Self::ALL, self)
    }
}

/// What the model is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// Vectors of texts and tokens.
    Encoder,
    /// One decision about a text or pair.
    SequenceClassification,
    /// One decision about every token.
    TokenClassification,
    /// The span of a passage that answers a question.
    QuestionAnswering,
    /// The words behind `[MASK]`.
    MaskedLm,
    /// Spans named by a prompt.
    InformationExtraction,
    /// One number for each choice, given as the pair of its question.
    MultipleChoice,
    /// Vectors whose dot product ranks passages for a query.
    DualEncoder,
    /// A score for a query with a passage.
    CrossEncoder,
    /// Texts that follow a text.
    Generation,
    /// Any graph: tensors in, tensors out.
    Tensors,
}

impl Task {
    pub(super) const ALL: &'static [(&'static str, Self)] = &[
        ("encoder", Self::Encoder),
        ("sequence_classification", Self::SequenceClassification),
        ("token_classification", Self::TokenClassification),
        ("question_answering", Self::QuestionAnswering),
        ("masked_lm", Self::MaskedLm),
        ("information_extraction", Self::InformationExtraction),
        ("multiple_choice", Self::MultipleChoice),
        ("dual_encoder", Self::DualEncoder),
        ("cross_encoder", Self::CrossEncoder),
        ("generation", Self::Generation),
        ("tensors", Self::Tensors),
    ];

    /// The name as options and reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(Self::ALL, self)
    }
}

fn name_in<T: Copy + PartialEq>(all: &[(&'static str, T)], value: T) -> &'static str {
    all.iter().find(|(_, known)| *known == value).map_or("unknown", |(name, _)| name)
}
