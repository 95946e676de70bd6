//! A model's graph, node by node, into a [`Network`].

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use runtime_nostd::geometry::{Activation, Op};

use super::CLASSES_KEY;
use super::chain::{Chain, Source};
use super::error::{ImportError, Refusal};
use super::interface::{count_readers, image_map};
use super::node::Node;
use super::normalize::Normalization;
use super::proto::tensor_proto::DataType;
use super::proto::{GraphProto, MAX_FILE_BYTES, ModelProto, OperatorSetIdProto, decode};
use super::tensor::Tensor;
use super::value::{Form, Map, Padding, Value};
use crate::fold::fold;
use crate::network::{Input, Layer, Network, Parameters};

/// The oldest and the newest version of the operators that are read.
const OPERATOR_SETS: std::ops::RangeInclusive<i64> = 9..=28;

/// A model as a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The network. Its classes are named by the model if it was exported from a network, and
    /// otherwise by their numbers.
    pub network: Network,
    /// How much a sum of the first layer can differ from the model's at most where its window
    /// reaches into the padding: 0 if that layer has none, or the network's 0 is the model's.
    pub padding_error: f64,
}

/// Reads the file of an ONNX model; see [`import`].
///
/// # Errors
/// Those of the file system, and as [`import`].
pub fn import_file(path: &Path, normalization: &Normalization) -> Result<Imported, ImportError> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > MAX_FILE_BYTES as u64 {
        return Err(ImportError::TooLarge { bytes });
    }
    let mut model = Vec::new();
    // A device may give more than it says.
    file.take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut model)?;
    import(&model, normalization)
}

/// Reads an ONNX model that classifies images.
///
/// # Errors
/// Anything that a network cannot express exactly ([`ImportError`]).
pub fn import(bytes: &[u8], normalization: &Normalization) -> Result<Imported, ImportError> {
    let model = decode(bytes)?;
    let graph = model.graph.as_ref().ok_or(ImportError::NoGraph)?;
    check_operator_set(&model)?;
    let mut reader = Reader::new(graph, normalization)?;
    for node in graph.node.iter().map(Node) {
        reader.read(node).map_err(|reason| ImportError::Node {
            node: node.name().to_owned(),
            operator: node.0.op_type().to_owned(),
            reason,
        })?;
    }
    let mut chain = reader.finish(graph)?;
    chain.end_dense();
    let network = Network {
        input: Input {
            shape: chain.input,
            zero: chain.zero.unwrap_or_default(),
        },
        classes: class_names(&model, &chain.layers),
        layers: chain.layers,
        provenance: provenance(&model),
    };
    network.check()?;
    check_finite(&network)?;
    check_finite(&fold(&network))?;
    Ok(Imported {
        network,
        padding_error: chain.padding_error,
    })
}

fn check_operator_set(model: &ModelProto) -> Result<(), ImportError> {
    let own = |domain: &str| matches!(domain, "" | "ai.onnx");
    let set = model.opset_import.iter().find(|set| own(set.domain()));
    match set.map_or(0, OperatorSetIdProto::version) {
        version if OPERATOR_SETS.contains(&version) => Ok(()),
        found => Err(ImportError::OperatorSet {
            found,
            newest: *OPERATOR_SETS.end(),
        }),
    }
}

/// Names from the model's metadata, or numbers.
fn class_names(model: &ModelProto, layers: &[Layer]) -> Vec<String> {
    let count = match layers.last().map(|layer| layer.op) {
        Some(Op::Dense { outputs }) => usize::from(outputs),
        _ => 0,
    };
    let mut properties = model.metadata_props.iter();
    let named = properties.find(|property| property.key() == CLASSES_KEY);
    let names = named.map(|names| names.value().lines().map(str::to_owned).collect());
    names
        .filter(|names: &Vec<String>| names.len() == count)
        .unwrap_or_else(|| (0..count).map(|class| class.to_string()).collect())
}

fn provenance(model: &ModelProto) -> String {
    let producer = [model.producer_name(), model.producer_version()].join(" ");
    match producer.trim() {
        "" => "imported from ONNX".into(),
        producer => format!("imported from ONNX, written by {producer}"),
    }
}

fn check_finite(network: &Network) -> Result<(), ImportError> {
    let finite = |values: &Vec<f32>| values.iter().all(|value| value.is_finite());
    for (layer, parameters) in network.layers.iter().map(|l| &l.parameters).enumerate() {
        let Some(parameters) = parameters else {
            continue;
        };
        let norm = parameters.norm.iter();
        let norm = norm.flat_map(|norm| [&norm.gamma, &norm.beta, &norm.mean, &norm.variance]);
        let mut all = norm.chain([&parameters.weights, &parameters.bias]);
        if !all.all(finite) {
            return Err(ImportError::NotFinite { layer });
        }
    }
    Ok(())
}

/// What has been read of the graph.
pub(super) struct Reader<'m> {
    /// Images in a batch; 1 where the model leaves that open.
    pub(super) batch: usize,
    pub(super) chain: Chain,
    values: HashMap<&'m str, Value>,
    /// How many nodes read a value; those that read its dimensions only do not count.
    readers: HashMap<&'m str, usize>,
    /// What a softmax wrote, which no node may read.
    probabilities: Option<&'m str>,
}

impl<'m> Reader<'m> {
    fn new(graph: &'m GraphProto, normalization: &Normalization) -> Result<Self, ImportError> {
        if !graph.sparse_initializer.is_empty() {
            return Err(ImportError::Interface(
                "the model has sparse initializers: only dense ones are read".into(),
            ));
        }
        let mut values = HashMap::new();
        for initializer in &graph.initializer {
            let tensor = Tensor::read(initializer).map_err(|reason| ImportError::Initializer {
                name: initializer.name().to_owned(),
                reason,
            })?;
            values.insert(initializer.name(), Value::Constant(tensor));
        }
        // Before IR version 4, initializers are listed among the inputs.
        let inputs = graph.input.iter();
        let mut images = inputs.filter(|input| !values.contains_key(input.name()));
        let (Some(image), None) = (images.next(), images.next()) else {
            return Err(ImportError::Interface(
                "the model must have one input, the image".into(),
            ));
        };
        let (batch, map) = image_map(graph, image, normalization)?;
        let mut reader = Self {
            batch,
            chain: Chain::new(map.shape),
            values,
            readers: count_readers(graph),
            probabilities: None,
        };
        let refused = |reason: Refusal| ImportError::Interface(reason.to_string());
        reader
            .bind(image.name(), map, Value::Map)
            .map_err(refused)?;
        Ok(reader)
    }

    fn read(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let mut inputs = node.0.input.iter().map(String::as_str);
        if inputs.any(|name| Some(name) == self.probabilities) {
            return Err(Refusal::NotLast);
        }
        match node.operator() {
            "Constant" => {
                let tensor = node.constant()?.ok_or(Refusal::Form(
                    "only tensors, numbers and lists of numbers are read",
                ))?;
                self.define(node.output(), Value::Constant(tensor))
            }
            "Conv" => self.conv(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.mat_mul(node),
            "BatchNormalization" => self.batch_normalization(node),
            "Relu" => self.relu(node),
            "Clip" => self.clip(node),
            "Min" | "Max" => self.limit(node),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "GlobalMaxPool" | "GlobalAveragePool" => self.global_pool(node),
            "ReduceMax" | "ReduceMean" => self.reduce(node),
            "Pad" => self.pad(node),
            "Flatten" => self.flatten(node),
            "Reshape" => self.reshape(node),
            "Squeeze" | "Unsqueeze" => self.squeeze(node),
            "Transpose" => self.transpose(node),
            "Shape" | "Gather" | "Slice" | "Concat" => self.shape_arithmetic(node),
            "Identity" => self.rename(node, self.value(node, 0)?.clone()),
            "Cast" => self.cast(node),
            "Dropout" => self.dropout(node),
            "Softmax" | "LogSoftmax" => self.softmax(node),
            _ => Err(Refusal::Operator),
        }
    }

    /// The chain, once the graph's output is its last layer.
    fn finish(self, graph: &'m GraphProto) -> Result<Chain, ImportError> {
        let [output] = graph.output.as_slice() else {
            return Err(ImportError::Interface(
                "the model must have one output, the logits".into(),
            ));
        };
        let name = output.name();
        let reason = match self.values.get(name) {
            Some(Value::Map(Map {
                source: Source::Layer(layer),
                ..
            })) if *layer + 1 == self.chain.layers.len() => return Ok(self.chain),
            Some(_) => "is not what the last node with weights computes",
            None => "is written by no node",
        };
        Err(ImportError::Interface(format!("output {name:?} {reason}")))
    }

    /// An input.
    pub(super) fn value(&self, node: Node<'m>, index: usize) -> Result<&Value, Refusal> {
        let name = node.input(index).ok_or(Refusal::MissingInput(index))?;
        let value = self.values.get(name);
        value.ok_or_else(|| Refusal::Unwritten(name.to_owned()))
    }

    /// An input that depends on the image.
    pub(super) fn map(&self, node: Node<'m>, index: usize) -> Result<Map, Refusal> {
        match self.value(node, index)? {
            Value::Map(map) => Ok(map.clone()),
            Value::Constant(_) => Err(Refusal::NotAMap(index)),
            Value::Padded(..) => Err(Refusal::Padded),
        }
    }

    /// The first input, which may be padded.
    pub(super) fn padded_map(&self, node: Node<'m>) -> Result<(Map, Padding), Refusal> {
        match self.value(node, 0)? {
            Value::Padded(map, padding) => Ok((map.clone(), *padding)),
            _ => Ok((self.map(node, 0)?, Padding::default())),
        }
    }

    /// The layer that gives `map`, which the node at hand reads.
    pub(super) fn layer(&mut self, map: &Map) -> Result<usize, Refusal> {
        match &map.source {
            Source::Layer(layer) => Ok(*layer),
            Source::Image(affine) => {
                let layer = self.chain.image_layer(affine)?;
                self.chain.add_reads(layer, 1);
                Ok(layer)
            }
        }
    }

    /// An input that is known; `None` where an optional one is left out.
    pub(super) fn constant(
        &self,
        node: Node<'m>,
        index: usize,
    ) -> Result<Option<&Tensor>, Refusal> {
        if node.input(index).is_none() {
            return Ok(None);
        }
        match self.value(node, index)? {
            Value::Constant(tensor) => Ok(Some(tensor)),
            Value::Map(_) | Value::Padded(..) => Err(Refusal::NotConstant(index)),
        }
    }

    /// An input that must be there and known.
    pub(super) fn weights(&self, node: Node<'m>, index: usize) -> Result<&Tensor, Refusal> {
        let constant = self.constant(node, index)?;
        constant.ok_or(Refusal::MissingInput(index))
    }

    /// Gives a value to a name.
    pub(super) fn define(&mut self, name: &'m str, value: Value) -> Result<(), Refusal> {
        match self.values.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(Refusal::WrittenTwice(name.to_owned())),
        }
    }

    /// Gives the value that `of` makes of a map to a name, and counts who will read it.
    fn bind(
        &mut self,
        name: &'m str,
        mut map: Map,
        of: impl FnOnce(Map) -> Value,
    ) -> Result<(), Refusal> {
        let readers = self.readers.get(name).copied().unwrap_or(0);
        if let Source::Image(affine) = &map.source
            && readers > 1
        {
            // Only one layer can read the image.
            map.source = Source::Layer(self.chain.image_layer(affine)?);
        }
        if let Source::Layer(layer) = map.source {
            self.chain.add_reads(layer, readers);
        }
        self.define(name, of(map))
    }

    /// The node's output is what a new layer computes of `map`.
    pub(super) fn append(
        &mut self,
        node: Node<'m>,
        map: &Map,
        op: Op,
        parameters: Option<Parameters>,
    ) -> Result<(), Refusal> {
        let source = &map.source;
        let layer = self
            .chain
            .append(source, op, Activation::Linear, parameters)?;
        self.output(node, layer, map)
    }

    /// The node's output is that of `layer`, in the order and form of `like`.
    pub(super) fn output(
        &mut self,
        node: Node<'m>,
        layer: usize,
        like: &Map,
    ) -> Result<(), Refusal> {
        let source = Source::Layer(layer);
        let map = Map {
            shape: self.chain.shape(&source),
            source,
            ..*like
        };
        self.bind(node.output(), map, Value::Map)
    }

    /// The node's output is `value`, which has one reader less.
    pub(super) fn rename(&mut self, node: Node<'m>, value: Value) -> Result<(), Refusal> {
        if let Value::Map(map) | Value::Padded(map, _) = &value
            && let Source::Layer(layer) = map.source
        {
            self.chain.remove_read(layer);
        }
        let name = node.output();
        match value {
            Value::Constant(_) => self.define(name, value),
            Value::Map(map) => self.bind(name, map, Value::Map),
            Value::Padded(map, padding) => self.bind(name, map, |map| Value::Padded(map, padding)),
        }
    }

    /// `Cast`: a map stays one of floating-point numbers; constants say their type when they are read.
    fn cast(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let value = self.value(node, 0)?.clone();
        let to = node.int("to").unwrap_or(0);
        let target = i32::try_from(to)
            .ok()
            .and_then(|to| DataType::try_from(to).ok());
        let is_real = matches!(
            target,
            Some(DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16)
        );
        if !is_real && !matches!(value, Value::Constant(_)) {
            return Err(Refusal::Attribute {
                name: "to",
                found: target.map_or(to.to_string(), |target| target.as_str_name().to_lowercase()),
                supported: "a map can be cast to floating-point numbers only",
            });
        }
        self.rename(node, value)
    }

    /// `Dropout` only does something in training, which older models cannot ask for.
    fn dropout(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        if let Some(mode) = self.constant(node, 2)?
            && mode.ints()? != [0]
        {
            return Err(Refusal::Form(
                "is in training mode; export the model in evaluation mode",
            ));
        }
        let value = self.value(node, 0)?.clone();
        self.rename(node, value)
    }

    fn softmax(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let map = self.map(node, 0)?;
        match node.int("axis") {
            None | Some(-1 | 1) if map.form == Form::Flat => {}
            axis => {
                return Err(Refusal::Attribute {
                    name: "axis",
                    found: axis.unwrap_or(-1).to_string(),
                    supported: "the classes of a row of logits are supported",
                });
            }
        }
        self.probabilities = Some(node.output());
        self.rename(node, Value::Map(map))
    }
}
