//! A graph as it is written, node by node.

use runtime_nostd::geometry::{Op, Shape};

use super::CLASSES_KEY;
use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataType;
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use crate::network::Network;

/// The operators' version: the oldest with all that are written, so that most runtimes know it.
const OPERATOR_SET: i64 = 13;

/// The file format's version that belongs to it.
const IR_VERSION: i64 = 7;

/// The name of the input: bytes, `[batch, rows, columns, channels]`.
pub(super) const IMAGE: &str = "image";

/// The name of the output: `[batch, classes]`.
pub(super) const LOGITS: &str = "logits";

/// A graph under construction.
#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

/// The name of a value.
pub(super) type Name = String;

impl Graph {
    /// Appends a node, and names what it computes.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> Name {
        let name = format!("{operator}_{}", self.nodes.len());
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(operator.to_owned()),
            attribute: attributes,
            ..NodeProto::default()
        });
        name
    }

    pub(super) fn floats(&mut self, dims: &[usize], values: &[f32]) -> Name {
        let raw = values.iter().flat_map(|value| value.to_le_bytes());
        self.initializer(DataType::Float, dims, raw.collect())
    }

    pub(super) fn ints(&mut self, dims: &[usize], values: &[i32]) -> Name {
        let raw = values.iter().flat_map(|value| value.to_le_bytes());
        self.initializer(DataType::Int32, dims, raw.collect())
    }

    /// A list of sizes or positions.
    pub(super) fn list(&mut self, values: &[i64]) -> Name {
        let raw = values.iter().flat_map(|value| value.to_le_bytes());
        self.initializer(DataType::Int64, &[values.len()], raw.collect())
    }

    /// A tensor of other dimensions with the same elements; 0 keeps one, for the batch.
    pub(super) fn reshaped(&mut self, value: &str, dims: &[i64]) -> Name {
        let dims = self.list(dims);
        self.node("Reshape", &[value, &dims], Vec::new())
    }

    fn initializer(&mut self, data_type: DataType, dims: &[usize], raw: Vec<u8>) -> Name {
        let name = format!("constant_{}", self.initializers.len());
        self.initializers.push(TensorProto {
            name: Some(name.clone()),
            data_type: Some(data_type.into()),
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            raw_data: Some(raw),
            ..TensorProto::default()
        });
        name
    }

    /// The model of `network` whose last node computes the logits, of type `logits`.
    pub(super) fn finish(mut self, network: &Network, logits: DataType) -> ModelProto {
        if let Some(last) = self.nodes.last_mut() {
            last.output = vec![LOGITS.to_owned()];
        }
        let Shape {
            height,
            width,
            channels,
        } = network.input.shape;
        let pixels = [height, width, channels].map(i64::from);
        let classes = [network.classes.len() as i64];
        let graph = GraphProto {
            name: Some("network".to_owned()),
            node: self.nodes,
            initializer: self.initializers,
            input: vec![interface(IMAGE, DataType::Uint8, &pixels)],
            output: vec![interface(LOGITS, logits, &classes)],
            ..GraphProto::default()
        };
        ModelProto {
            ir_version: Some(IR_VERSION),
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: Some(OPERATOR_SET),
            }],
            producer_name: Some("EA4CNN".to_owned()),
            doc_string: Some(network.provenance.clone()),
            metadata_props: vec![StringStringEntryProto {
                key: Some(CLASSES_KEY.to_owned()),
                value: Some(network.classes.join("\n")),
            }],
            graph: Some(graph),
            ..ModelProto::default()
        }
    }
}

/// The first of the dense layers at the end: from there on, a tensor is `[batch, features]`, and
/// before it, a map.
pub(super) fn first_of_dense_tail(
    ops: impl DoubleEndedIterator<Item = Op> + ExactSizeIterator,
) -> usize {
    let layers = ops.len();
    layers
        - ops
            .rev()
            .take_while(|op| matches!(op, Op::Dense { .. }))
            .count()
}

/// An input or output of an open batch of `dims`.
fn interface(name: &str, element: DataType, dims: &[i64]) -> ValueInfoProto {
    let batch = dimension::Value::DimParam("batch".to_owned());
    let sizes = dims.iter().map(|&size| dimension::Value::DimValue(size));
    let dim = std::iter::once(batch).chain(sizes).map(|value| Dimension {
        value: Some(value),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: Some(element.into()),
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// An attribute that is an integer.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: Some(value),
        ..attribute(name, AttributeType::Int)
    }
}

/// An attribute that is a list of integers.
pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: values.to_vec(),
        ..attribute(name, AttributeType::Ints)
    }
}

/// An attribute that is a floating-point number.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        f: Some(value),
        ..attribute(name, AttributeType::Float)
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(kind.into()),
        ..AttributeProto::default()
    }
}

/// The type of integers, for a `Cast`.
pub(super) fn cast_to(kind: DataType) -> Vec<AttributeProto> {
    vec![int("to", i64::from(i32::from(kind)))]
}
