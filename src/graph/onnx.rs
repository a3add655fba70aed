//! What must be known of an ONNX file before a runtime sees it.
//!
//! In: the path of a `model.onnx`. Out: [`GraphFacts`], after every external data reference was checked to lie inside
//! the model's own directory. The weights themselves are skipped over, never copied.
//!
//! Only the fields of `onnx.proto3` that matter here are declared; the field numbers are those of the ONNX
//! specification (`onnx/onnx.proto`). Nesting deeper than 100 messages is refused by the decoder.

use std::path::{Component, Path};

use prost::Message;

use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<FunctionProto>,
}

#[derive(Clone, PartialEq, Message)]
struct FunctionProto {
    #[prost(message, repeated, tag = "7")]
    node: Vec<NodeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "15")]
    sparse_initializer: Vec<SparseTensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(message, optional, tag = "5")]
    t: Option<TensorProto>,
    #[prost(message, optional, tag = "6")]
    g: Option<GraphProto>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<GraphProto>,
    #[prost(message, optional, tag = "22")]
    sparse_tensor: Option<SparseTensorProto>,
    #[prost(message, repeated, tag = "23")]
    sparse_tensors: Vec<SparseTensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct SparseTensorProto {
    #[prost(message, optional, tag = "1")]
    values: Option<TensorProto>,
    #[prost(message, optional, tag = "2")]
    indices: Option<TensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<StringStringEntryProto>,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

#[derive(Clone, PartialEq, Message)]
struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// What was found in an ONNX file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GraphFacts {
    /// Whether activations are quantised while running, with one scale for everything in a run: then what a text
    /// gives depends on its neighbours.
    pub(crate) quantizes_activations_per_run: bool,
    /// Whether weights lie in other files.
    pub(crate) has_external_data: bool,
}

impl GraphFacts {
    /// Reads the graph at `path`.
    ///
    /// # Errors
    /// - [`Error::NotFound`], [`Error::Io`]: the file, or a file with its weights, is not there or not readable.
    /// - [`Error::InvalidModel`]: empty, truncated or not ONNX; weights outside the model's directory, or claimed to
    ///   be longer than their file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path)?;
        if file.bytes().is_empty() {
            return Err(Error::model(path, "the file is empty"));
        }
        let model = ModelProto::decode(file.bytes())
            .map_err(|e| Error::model_from(path, "not an ONNX graph, or truncated", e))?;
        let graph = model.graph.ok_or_else(|| Error::model(path, "not an ONNX graph: the file holds no graph"))?;
        let mut visit = Visit { path, facts: Self::default() };
        visit.graph(&graph)?;
        for function in &model.functions {
            visit.nodes(&function.node)?;
        }
        Ok(visit.facts)
    }
}

/// One walk over all nodes and tensors of a file, nested graphs included.
struct Visit<'a> {
    path: &'a Path,
    facts: GraphFacts,
}

impl Visit<'_> {
    fn graph(&mut self, graph: &GraphProto) -> Result<()> {
        self.nodes(&graph.node)?;
        graph.initializer.iter().try_for_each(|t| self.tensor(t))?;
        graph.sparse_initializer.iter().try_for_each(|t| self.sparse(t))
    }

    fn nodes(&mut self, nodes: &[NodeProto]) -> Result<()> {
        for node in nodes {
            // These operators take one scale from the smallest and largest value of the whole activation tensor.
            self.facts.quantizes_activations_per_run |=
                matches!(node.op_type.as_str(), "DynamicQuantizeLinear" | "DynamicQuantizeMatMul" | "QAttention");
            for attribute in &node.attribute {
                self.attribute(attribute)?;
            }
        }
        Ok(())
    }

    fn attribute(&mut self, attribute: &AttributeProto) -> Result<()> {
        attribute.t.iter().chain(&attribute.tensors).try_for_each(|t| self.tensor(t))?;
        attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors).try_for_each(|t| self.sparse(t))?;
        attribute.g.iter().chain(&attribute.graphs).try_for_each(|g| self.graph(g))
    }

    fn sparse(&mut self, tensor: &SparseTensorProto) -> Result<()> {
        tensor.values.iter().chain(&tensor.indices).try_for_each(|t| self.tensor(t))
    }

    fn tensor(&mut self, tensor: &TensorProto) -> Result<()> {
        const EXTERNAL: i32 = 1;
        if tensor.data_location != EXTERNAL && tensor.external_data.is_empty() {
            return Ok(());
        }
        self.facts.has_external_data = true;
        check_external(self.path, tensor)
    }
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str())
}

fn number(path: &Path, tensor: &TensorProto, key: &str) -> Result<Option<u64>> {
    let Some(text) = entry(tensor, key) else { return Ok(None) };
    text.parse().map(Some).map_err(|e| {
        Error::model_from(path, format!("tensor {}: external data {key} \"{}\"", tensor.name, text.escape_debug()), e)
    })
}

/// Refuses weights outside the directory of the graph, through `..`, an absolute path or a link, and weights that
/// their file does not hold.
fn check_external(path: &Path, tensor: &TensorProto) -> Result<()> {
    let fail = |reason: String| Error::model(path, format!("tensor {}: external data {reason}", tensor.name));
    let location = entry(tensor, "location").ok_or_else(|| fail("without a location".into()))?;
    let relative = Path::new(location);
    let shown = location.escape_debug().to_string();
    if relative.components().next().is_none()
        || !relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
    {
        return Err(fail(format!("\"{shown}\" is not inside the model's directory")));
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = parent.join(relative);
    let missing = |e| fail(format!("\"{shown}\": {e}"));
    let (real_parent, real_file) = (parent.canonicalize().map_err(missing)?, file.canonicalize().map_err(missing)?);
    if !real_file.starts_with(&real_parent) {
        return Err(fail(format!("\"{shown}\" leads outside the model's directory, to {}", real_file.display())));
    }
    let metadata = std::fs::metadata(&real_file).map_err(missing)?;
    let offset = number(path, tensor, "offset")?.unwrap_or(0);
    let end = offset.checked_add(number(path, tensor, "length")?.unwrap_or(0));
    if !metadata.is_file() || end.is_none_or(|end| end > metadata.len()) {
        let size = metadata.len();
        return Err(fail(format!("\"{shown}\" holds {size} bytes, fewer than the tensor takes")));
    }
    Ok(())
}
