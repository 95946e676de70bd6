//! Fully connected layers.

use runtime_nostd::geometry::{Op, Shape};

use super::error::Refusal;
use super::import::Reader;
use super::node::Node;
use super::tensor::Tensor;
use super::value::{Form, Map, Order, extents};
use crate::network::Parameters;

impl<'m> Reader<'m> {
    /// `Gemm`: `alpha * x * B + beta * C`, where B is `[features, outputs]` unless transposed.
    pub(super) fn gemm(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        node.require_int("transA", 0, "the features must be the second dimension")?;
        let map = self.map(node, 0)?;
        let matrix = self.weights(node, 1)?;
        let rows = match node.int("transB") {
            Some(1) => matrix.clone(),
            _ => transposed(matrix)?,
        };
        let bias = self.constant(node, 2)?.cloned();
        let (alpha, beta) = (node.float("alpha"), node.float("beta"));
        let mut parameters = dense_parameters(&map, &rows, alpha.unwrap_or(1.0))?;
        if let Some(bias) = bias {
            add_bias(&mut parameters.bias, &bias, beta.unwrap_or(1.0))?;
        }
        self.dense(node, &map, parameters)
    }

    /// `MatMul` by `[features, outputs]`. An addition after it becomes the bias.
    pub(super) fn mat_mul(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let map = self.map(node, 0)?;
        let rows = transposed(self.weights(node, 1)?)?;
        let parameters = dense_parameters(&map, &rows, 1.0)?;
        self.dense(node, &map, parameters)
    }

    fn dense(&mut self, node: Node<'m>, map: &Map, parameters: Parameters) -> Result<(), Refusal> {
        let outputs = parameters.bias.len();
        let outputs = u16::try_from(outputs).map_err(|_| Refusal::Dimensions {
            what: "the weights",
            found: vec![outputs],
            expected: "up to 65535 outputs".into(),
        })?;
        self.append(node, map, Op::Dense { outputs }, Some(parameters))
    }
}

fn transposed(matrix: &Tensor) -> Result<Tensor, Refusal> {
    matrix.transposed().ok_or_else(|| Refusal::Dimensions {
        what: "the weights",
        found: matrix.dims.clone(),
        expected: "a matrix".into(),
    })
}

/// `matrix` is `[outputs, features]`, the features in the map's order.
fn dense_parameters(map: &Map, matrix: &Tensor, alpha: f32) -> Result<Parameters, Refusal> {
    if map.form != Form::Flat {
        return Err(Refusal::Form(
            "reads a map, not a row of features; put a Flatten before it",
        ));
    }
    let features = map.shape.elements();
    let outputs = match matrix.dims.as_slice() {
        &[outputs, columns] if columns == features => outputs,
        _ => {
            return Err(Refusal::Dimensions {
                what: "the weights",
                found: matrix.dims.clone(),
                expected: format!("{features} features"),
            });
        }
    };
    let neurons = matrix.floats()?.chunks_exact(features);
    let position = match map.order {
        Order::Chw => channels_first(map.shape),
        Order::Hwc => (0..features).collect(),
    };
    let weights = neurons.flat_map(|neuron| position.iter().map(move |&at| alpha * neuron[at]));
    Ok(Parameters {
        weights: weights.collect(),
        bias: vec![0.0; outputs],
        norm: None,
    })
}

/// Where a channels-first map has each element of ours, whose order is rows, columns, channels.
pub(super) fn channels_first(shape: Shape) -> Vec<usize> {
    let [h, w, c] = extents(shape);
    (0..h * w)
        .flat_map(|pixel| (0..c).map(move |channel| channel * h * w + pixel))
        .collect()
}

fn add_bias(bias: &mut [f32], tensor: &Tensor, beta: f32) -> Result<(), Refusal> {
    let values = tensor.floats()?;
    if values.len() != 1 && values.len() != bias.len() {
        return Err(Refusal::Dimensions {
            what: "the bias",
            found: tensor.dims.clone(),
            expected: format!("[{}]", bias.len()),
        });
    }
    for (bias, value) in bias.iter_mut().zip(values.iter().cycle()) {
        *bias += beta * value;
    }
    Ok(())
}
