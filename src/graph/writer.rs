//! Nodes, constants and weights -> the bytes of an ONNX model.
//!
//! Fields are written in the wire format of protocol buffers; their numbers are those of `onnx/onnx.proto`. Weights are
//! never written here: an initializer says where its bytes lie, as external data.

use super::message::Message;
use crate::kernels::OPERATOR_DOMAIN;
use crate::kernels::matrix::Format;
use crate::tensor::ElementType;

/// The version of the standard operators.
const OPSET: u64 = 17;
/// The version of the ONNX format.
const IR_VERSION: u64 = 8;
/// The domain of ONNX Runtime's own operators.
const MICROSOFT: &str = "com.microsoft";

/// An attribute of a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Float(f32),
    Text(&'a str),
}

/// A dimension of an input or output.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dimension {
    Symbol(&'static str),
    Size(usize),
}

/// A tensor that lies in another file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WeightInfo {
    /// Its name in the graph.
    pub(crate) name: String,
    /// The type it is stored in.
    pub(crate) element_type: ElementType,
    /// Its dimensions.
    pub(crate) shape: Vec<usize>,
    /// First byte in the weights file.
    pub(crate) byte_offset: u64,
    /// How it is packed, where it is.
    pub(crate) format: Option<Format>,
}

impl WeightInfo {
    fn n_bytes(&self) -> u64 {
        self.shape.iter().product::<usize>() as u64 * self.element_type.size_bytes() as u64
    }
}

/// A node whose names may still change.
#[derive(Debug)]
struct Node {
    domain: &'static str,
    operator: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    attributes: Message,
}

/// A graph that is being written.
#[derive(Debug)]
pub(super) struct GraphWriter<'a> {
    nodes: Vec<Node>,
    initializers: Message,
    inputs: Vec<(String, ElementType, Vec<Dimension>)>,
    outputs: Message,
    n_names: usize,
    weights: &'a [WeightInfo],
    weights_file: &'a str,
    /// The type of numbers between inputs and outputs.
    numbers: ElementType,
    /// Weights written so far, with the name of their value as such numbers.
    used: Vec<(String, String)>,
    /// Values that became outputs, with their new names.
    renamed: Vec<(String, String)>,
}

impl<'a> GraphWriter<'a> {
    /// A graph whose weights are some of `weights`, which lie in the file of this name beside the model; without a name they are left out, to be
    /// added by [`add_weight`].
    pub(super) fn new(weights: &'a [WeightInfo], weights_file: &'a str) -> Self {
        Self::with_numbers(weights, weights_file, ElementType::F32)
    }

    /// The same, whose numbers are `f32` or `f16`; outputs are `f32`.
    pub(super) fn with_numbers(weights: &'a [WeightInfo], weights_file: &'a str, numbers: ElementType) -> Self {
        Self {
            numbers,
            nodes: Vec::new(),
            initializers: Message::default(),
            inputs: Vec::new(),
            outputs: Message::default(),
            n_names: 0,
            weights,
            weights_file,
            used: Vec::new(),
            renamed: Vec::new(),
        }
    }

    /// A node of a standard operator; gives the name of its only output.
    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> String {
        self.push_node("", operator, inputs, attributes, 1).swap_remove(0)
    }

    /// A node of one of ONNX Runtime's own operators.
    pub(super) fn microsoft(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> String {
        self.push_node(MICROSOFT, operator, inputs, attributes, 1).swap_remove(0)
    }

    /// A node of one of this library's operators; gives the names of its outputs.
    pub(super) fn own(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
        n_outputs: usize,
    ) -> Vec<String> {
        self.push_node(OPERATOR_DOMAIN, operator, inputs, attributes, n_outputs)
    }

    /// Hands a node's value out under `name`; each value once.
    pub(super) fn output(&mut self, value: &str, name: &str, dimensions: &[Dimension]) {
        let value = &match self.numbers {
            ElementType::F32 => value.to_owned(),
            _ => self.node("Cast", &[value], &[("to", Attribute::Int(ElementType::F32 as i64))]),
        };
        for node in &mut self.nodes {
            let names = node.inputs.iter_mut().chain(&mut node.outputs);
            names.filter(|known| *known == value).for_each(|known| name.clone_into(known));
        }
        self.renamed.push((value.clone(), name.to_owned()));
        write_value_info(&mut self.outputs, 12, name, ElementType::F32, dimensions);
    }

    /// An input of 64-bit integers.
    pub(super) fn input(&mut self, name: &str, dimensions: &[Dimension]) -> String {
        self.inputs.push((name.to_owned(), ElementType::I64, dimensions.to_vec()));
        name.to_owned()
    }

    /// An input of numbers.
    pub(super) fn float_input(&mut self, name: &str, dimensions: &[Dimension]) -> String {
        self.inputs.push((name.to_owned(), ElementType::F32, dimensions.to_vec()));
        name.to_owned()
    }

    /// The number of elements of a weight; 0 where there is none of this name.
    pub(super) fn weight_len(&self, name: &str) -> usize {
        self.weights.iter().find(|weight| weight.name == name).map_or(0, |weight| weight.shape.iter().product())
    }

    /// How a weight is packed, as operators are told.
    pub(super) fn weight_format(&self, name: &str) -> i64 {
        let format = self.weights.iter().find(|weight| weight.name == name).and_then(|weight| weight.format);
        format.map_or(0, Format::number)
    }

    /// A constant vector of integers.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(ElementType::I64, &[values.len()], &raw)
    }

    /// A constant integer without dimensions.
    pub(super) fn int(&mut self, value: i64) -> String {
        self.constant(ElementType::I64, &[], &value.to_le_bytes())
    }

    /// A constant number without dimensions.
    pub(super) fn float(&mut self, value: f32) -> String {
        match self.numbers {
            ElementType::F16 => self.constant(ElementType::F16, &[], &half::f16::from_f32(value).to_le_bytes()),
            _ => self.constant(ElementType::F32, &[], &value.to_le_bytes()),
        }
    }

    /// A value as the graph's numbers.
    pub(super) fn as_number(&mut self, value: &str) -> String {
        self.node("Cast", &[value], &[("to", Attribute::Int(self.numbers as i64))])
    }

    /// A weight as the graph's numbers, or packed. Weights that are not among those given are a bug of the caller and give an unknown name,
    /// which no runtime accepts.
    pub(super) fn weight(&mut self, name: &str) -> String {
        if let Some((_, value)) = self.used.iter().find(|(used, _)| used == name) {
            return value.clone();
        }
        let Some(info) = self.weights.iter().find(|weight| weight.name == name) else { return name.to_owned() };
        self.write_weight(info);
        let value = match info.element_type {
            stored if stored == self.numbers => name.to_owned(),
            _ if info.format.is_some() => name.to_owned(),
            _ => self.as_number(name),
        };
        self.used.push((name.to_owned(), value.clone()));
        value
    }

    fn fresh(&mut self, operator: &str) -> String {
        self.n_names += 1;
        format!("{operator}_{}", self.n_names)
    }

    fn push_node(
        &mut self,
        domain: &'static str,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
        n_outputs: usize,
    ) -> Vec<String> {
        let outputs: Vec<String> = (0..n_outputs).map(|_| self.fresh(operator)).collect();
        let mut written = Message::default();
        for (name, attribute) in attributes {
            written.message(5, |message| write_attribute(message, name, *attribute));
        }
        let current = |value: &&str| {
            let renamed = self.renamed.iter().find(|(old, _)| old == value);
            renamed.map_or_else(|| (*value).to_owned(), |(_, new)| new.clone())
        };
        let inputs = inputs.iter().map(current).collect();
        let node =
            Node { domain, operator: operator.to_owned(), inputs, outputs: outputs.clone(), attributes: written };
        self.nodes.push(node);
        outputs
    }

    fn constant(&mut self, element_type: ElementType, shape: &[usize], raw: &[u8]) -> String {
        let name = self.fresh("constant");
        self.initializers.message(5, |tensor| {
            write_tensor_type(tensor, &name, element_type, shape);
            tensor.bytes(9, raw);
        });
        name
    }

    fn write_weight(&mut self, info: &WeightInfo) {
        if self.weights_file.is_empty() {
            return;
        }
        let entries = [
            ("location", self.weights_file.to_owned()),
            ("offset", info.byte_offset.to_string()),
            ("length", info.n_bytes().to_string()),
        ];
        self.initializers.message(5, |tensor| {
            write_tensor_type(tensor, &info.name, info.element_type, &info.shape);
            for (key, value) in &entries {
                tensor.message(13, |entry| {
                    entry.text(1, key).text(2, value);
                });
            }
            tensor.number(14, 1);
        });
    }

    /// The model's bytes, and the names of the weights it takes. An input that no node takes is left out: providers that compile a graph leave it
    /// out themselves, and lose count of the others.
    pub(super) fn finish(self, name: &str) -> (Vec<u8>, Vec<String>) {
        let mut model = Message::default();
        model.number(1, IR_VERSION).text(2, "libernie").text(3, env!("CARGO_PKG_VERSION"));
        model.message(7, |graph| {
            self.nodes.iter().for_each(|node| write_node(graph, node));
            graph.text(2, name);
            graph.0.extend_from_slice(&self.initializers.0);
            let is_taken = |name: &String| self.nodes.iter().any(|node| node.inputs.contains(name));
            for (name, element_type, dimensions) in self.inputs.iter().filter(|(name, ..)| is_taken(name)) {
                write_value_info(graph, 11, name, *element_type, dimensions);
            }
            graph.0.extend_from_slice(&self.outputs.0);
        });
        let is_used = |domain: &&str| self.nodes.iter().any(|node| node.domain == *domain);
        let others = [MICROSOFT, OPERATOR_DOMAIN].into_iter().filter(is_used).map(|domain| (domain, 1));
        for (domain, version) in [("", OPSET)].into_iter().chain(others) {
            model.message(8, |opset| {
                opset.text(1, domain).number(2, version);
            });
        }
        (model.0, self.used.into_iter().map(|(name, _)| name).collect())
    }
}

/// Adds a weight, given by its name, type, shape and little-endian elements, to the bytes of a model that was written without weights: what
/// follows a message of protocol buffers is merged into it.
pub(crate) fn add_weight(model: &mut Vec<u8>, name: &str, element_type: ElementType, shape: &[usize], elements: &[u8]) {
    let mut tensor = Message::default();
    write_tensor_type(&mut tensor, name, element_type, shape);
    // Three messages in one another, whose lengths are those of what they hold.
    let mut before_elements = Message::default();
    before_elements.varint(9 << 3 | 2);
    before_elements.varint(elements.len() as u64);
    let n_tensor = tensor.0.len() + before_elements.0.len() + elements.len();
    let mut graph = Message::default();
    graph.varint(5 << 3 | 2);
    graph.varint(n_tensor as u64);
    let mut head = Message::default();
    head.varint(7 << 3 | 2);
    head.varint((graph.0.len() + n_tensor) as u64);
    for part in [&head.0, &graph.0, &tensor.0, &before_elements.0] {
        model.extend_from_slice(part);
    }
    model.extend_from_slice(elements);
}

fn write_node(graph: &mut Message, node: &Node) {
    graph.message(1, |message| {
        for input in &node.inputs {
            message.text(1, input);
        }
        for output in &node.outputs {
            message.text(2, output);
        }
        message.text(3, node.outputs.first().map_or("", String::as_str)).text(4, &node.operator);
        message.0.extend_from_slice(&node.attributes.0);
        message.text(7, node.domain);
    });
}

fn write_attribute(message: &mut Message, name: &str, attribute: Attribute<'_>) {
    message.text(1, name);
    match attribute {
        Attribute::Float(value) => message.float(2, value).number(20, 1),
        Attribute::Int(value) => message.number(3, value.cast_unsigned()).number(20, 2),
        Attribute::Text(value) => message.text(4, value).number(20, 3),
        Attribute::Ints(values) => {
            for value in values {
                message.number(8, value.cast_unsigned());
            }
            message.number(20, 7)
        }
    };
}

fn write_tensor_type(message: &mut Message, name: &str, element_type: ElementType, shape: &[usize]) {
    for dimension in shape {
        message.number(1, *dimension as u64);
    }
    message.number(2, element_type as u64).text(8, name);
}

fn write_value_info(target: &mut Message, field: u64, name: &str, element_type: ElementType, dimensions: &[Dimension]) {
    let shape = |shape: &mut Message| {
        for dimension in dimensions {
            shape.message(1, |message| {
                match dimension {
                    Dimension::Size(size) => message.number(1, *size as u64),
                    Dimension::Symbol(symbol) => message.text(2, symbol),
                };
            });
        }
    };
    target.message(field, |info| {
        info.text(1, name).message(2, |ty| {
            ty.message(1, |tensor| {
                tensor.number(1, element_type as u64).message(2, shape);
            });
        });
    });
}
