//! The model's input, and who reads what.

use std::collections::HashMap;

use runtime_nostd::geometry::Shape;

use super::chain::Source;
use super::error::ImportError;
use super::node::Node;
use super::normalize::{Affine, Normalization};
use super::proto::tensor_proto::DataType;
use super::proto::{GraphProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use super::value::{Form, Map, Order};

/// How many nodes read every value, the graph's outputs included.
pub(super) fn count_readers(graph: &GraphProto) -> HashMap<&str, usize> {
    let nodes = graph.node.iter().map(Node);
    let inputs = nodes
        .filter(|node| node.operator() != "Shape")
        .flat_map(|node| node.0.input.iter().map(String::as_str));
    let outputs = graph.output.iter().map(ValueInfoProto::name);
    let mut readers = HashMap::new();
    for name in inputs.chain(outputs) {
        *readers.entry(name).or_insert(0) += 1;
    }
    readers
}

/// The images of a batch (1 where that is open), and one of them.
pub(super) fn image_map(
    graph: &GraphProto,
    image: &ValueInfoProto,
    normalization: &Normalization,
) -> Result<(usize, Map), ImportError> {
    let order = order_of_image(graph, image);
    let (batch, shape) = image_shape(image, order)?;
    let channels = shape.channels.into();
    let affine = match element_type(image) {
        // Bytes are pixels; the model itself normalizes them.
        DataType::Uint8 => Affine::of_bytes(normalization, channels)?,
        _ => Affine::new(normalization, channels)?,
    };
    let map = Map {
        source: Source::Image(affine),
        shape,
        order,
        form: Form::Map,
    };
    Ok((batch, map))
}

/// Channels last, if the first thing done to the image is to put them first.
fn order_of_image(graph: &GraphProto, image: &ValueInfoProto) -> Order {
    let mut name = image.name();
    for node in graph.node.iter().map(Node) {
        if !node.0.input.iter().any(|input| input == name) {
            continue;
        }
        match node.operator() {
            // Does nothing to it.
            "Shape" => {}
            "Transpose" if node.ints("perm") == Some(&[0, 3, 1, 2]) => return Order::Hwc,
            // Converters write the transposition of one channel as a new shape.
            "Reshape" => return order_of_one_channel(image),
            // What normalizes or pads may come before.
            "Cast" | "Identity" | "Add" | "Sub" | "Mul" | "Div" | "Pad" => name = node.output(),
            _ => return Order::Chw,
        }
    }
    Order::Chw
}

fn order_of_one_channel(image: &ValueInfoProto) -> Order {
    match image_shape(image, Order::Hwc) {
        Ok((_, shape)) if shape.channels == 1 => Order::Hwc,
        _ => Order::Chw,
    }
}

fn tensor_type(value: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor),
        _ => None,
    }
}

fn element_type(value: &ValueInfoProto) -> DataType {
    let found = tensor_type(value).map_or(0, type_proto::Tensor::elem_type);
    DataType::try_from(found).unwrap_or(DataType::Undefined)
}

/// The images in a batch, and the shape of one.
fn image_shape(image: &ValueInfoProto, order: Order) -> Result<(usize, Shape), ImportError> {
    let refused = |what: &str| {
        let name = image.name();
        ImportError::Interface(format!(
            "input {name:?}: {what}; the input must be [batch, channels, rows, columns], of which \
             only the batch may be open"
        ))
    };
    let dims = tensor_type(image).and_then(|tensor| tensor.shape.as_ref());
    let dims = dims.ok_or_else(|| refused("it has no shape"))?;
    let sizes = dims.dim.iter().map(|dim| match &dim.value {
        Some(dimension::Value::DimValue(size)) => u16::try_from(*size).ok(),
        _ => None,
    });
    match sizes.collect::<Vec<_>>().as_slice() {
        &[batch, Some(a), Some(b), Some(c)] => {
            let shape = match order {
                Order::Chw => Shape::new(b, c, a),
                Order::Hwc => Shape::new(a, b, c),
            };
            let shape = shape.check().map_err(|error| refused(&error.to_string()))?;
            Ok((batch.unwrap_or(1).max(1).into(), shape))
        }
        [_, _, _, _] => Err(refused("a dimension is open, or beyond 65535")),
        _ => Err(refused("it has not four dimensions")),
    }
}
