//! The command line of `encode`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ernie::error::{Error, Result};
use ernie::options::Options;
use ernie::pipeline::{Call, Normalize, Pooling, VectorType};

use super::{BulkArgs, ModelArgs, ReadArgs, TextArgs, is_array};

#[derive(Args)]
pub(crate) struct EncodeArgs {
    /// The model's directory, or an .onnx file in one.
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pooling: PoolingArgs,
    /// Add the vectors of all tokens.
    #[arg(long)]
    tokens: bool,
    /// Add input_ids, token_type_ids and the graph's own outputs to every line.
    #[arg(long)]
    raw: bool,
    /// How numbers are stored, an int8 vector as integers and their scale. With --output FILE.npy they are a NumPy array, a
    /// row a line and NaN for a bad line; the scales are in FILE.scales.npy.
    #[arg(long = "type", value_enum, default_value_t = TypeArg::F32)]
    vector_type: TypeArg,
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    text: TextArgs,
}

/// How vectors of texts are made.
#[derive(Args)]
pub(crate) struct PoolingArgs {
    /// How one vector is made of a text's token vectors.
    #[arg(long, value_enum)]
    pub(super) pooling: Option<PoolingArg>,
    /// Divide every vector by its Euclidean length.
    #[arg(long)]
    pub(super) normalize: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum PoolingArg {
    Default,
    Pooler,
    Cls,
    Mean,
    Max,
}

#[derive(Clone, Copy, ValueEnum)]
enum TypeArg {
    F32,
    F16,
    Int8,
}

impl PoolingArgs {
    pub(super) fn call(&self) -> Call {
        Call {
            pooling: self.pooling.map_or_else(Pooling::default, |pooling| match pooling {
                PoolingArg::Default => Pooling::Default,
                PoolingArg::Pooler => Pooling::Pooler,
                PoolingArg::Cls => Pooling::Cls,
                PoolingArg::Mean => Pooling::Mean,
                PoolingArg::Max => Pooling::Max,
            }),
            normalize: if self.normalize { Normalize::L2 } else { Normalize::None },
            ..Call::default()
        }
    }
}

impl EncodeArgs {
    pub(crate) fn options(&self) -> Result<Options> {
        self.text.add_to(self.model.options()?)
    }

    pub(crate) fn call(&self) -> Call {
        Call { with_token_vectors: self.tokens, with_raw_outputs: self.raw, ..self.pooling.call() }
    }

    pub(crate) fn vector_type(&self) -> VectorType {
        match self.vector_type {
            TypeArg::F32 => VectorType::F32,
            TypeArg::F16 => VectorType::F16,
            TypeArg::Int8 => VectorType::I8,
        }
    }

    /// The output, where it is an array.
    pub(crate) fn array(&self) -> Result<Option<&Path>> {
        let output = self.bulk.output()?.filter(|path| is_array(path));
        if output.is_some() && (self.tokens || self.raw) {
            return Err(Error::InvalidArgument("an array (.npy) has no room for --tokens and --raw".into()));
        }
        Ok(output)
    }
}
