//! What acts on every element alike: batch normalization, activations, sums, and constants.

use super::chain::{ACTIVATION_LIMIT, Source};
use super::error::Refusal;
use super::import::Reader;
use super::node::Node;
use super::tensor::Tensor;
use super::value::{Map, Value};
use crate::network::{BATCH_NORM_EPSILON, BatchNorm};
use runtime_nostd::q8_8::ACTIVATION_FRAC_BITS;

impl<'m> Reader<'m> {
    /// `BatchNormalization` by running statistics; it becomes part of the layer before it.
    pub(super) fn batch_normalization(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        node.require_int("training_mode", 0, "export the model in evaluation mode")?;
        let map = self.map(node, 0)?;
        if map.channel_axis() != Some(1) {
            return Err(Refusal::NotNchw);
        }
        let channels = usize::from(map.shape.channels);
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|index| {
            let tensor = self.weights(node, index)?;
            if tensor.dims != [channels] {
                return Err(Refusal::Dimensions {
                    what: "a parameter",
                    found: tensor.dims.clone(),
                    expected: format!("[{channels}]"),
                });
            }
            Ok(tensor.floats()?.to_vec())
        });
        // A network's epsilon is always the same: what another one adds is part of the variance.
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        let moved = (epsilon - f64::from(BATCH_NORM_EPSILON)) as f32;
        let norm = BatchNorm {
            gamma: gamma?,
            beta: beta?,
            mean: mean?,
            variance: variance?.iter().map(|value| value + moved).collect(),
        };
        let layer = self.layer(&map)?;
        let result = self.chain.normalize(layer, norm)?;
        self.finish_element_wise(node, &map, layer, result)
    }

    /// `Relu`; it becomes part of the layer before it.
    pub(super) fn relu(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let map = self.map(node, 0)?;
        let layer = self.layer(&map)?;
        let result = self.chain.rectify(layer)?;
        self.finish_element_wise(node, &map, layer, result)
    }

    /// `Clip` from 0, as in `ReLU6`. A maximum below the largest activation becomes
    /// `m - relu(m - x)`, two layers of one weight each, which is exact where m is exact in Q8.8.
    pub(super) fn clip(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let limit = |index, name, absent| {
            let value = match self.constant(node, index)? {
                Some(tensor) => tensor.floats()?.first().copied(),
                None => node.float(name),
            };
            Ok::<f32, Refusal>(value.unwrap_or(absent))
        };
        let min = limit(1, "min", f32::NEG_INFINITY)?;
        let max = limit(2, "max", f32::INFINITY)?;
        if min != 0.0 || !is_exact_maximum(max) {
            return Err(Refusal::Clip { min, max });
        }
        let map = self.map(node, 0)?;
        let layer = self.layer(&map)?;
        let rectified = self.chain.rectify(layer)?;
        let result = self.chain.minimum(rectified, max)?;
        self.finish_element_wise(node, &map, layer, result)
    }

    /// `Max` of a map and 0, which is ReLU, and `Min` of a map and a number, as `Clip` has them.
    pub(super) fn limit(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let refused = Refusal::Form("of a map and one number is supported");
        let operands = (self.value(node, 0)?, self.value(node, 1)?);
        let (map, constant) = match operands {
            (Value::Map(map), Value::Constant(constant))
            | (Value::Constant(constant), Value::Map(map)) => (map.clone(), constant),
            _ => return Err(refused),
        };
        let (&[number], 2) = (constant.floats()?, node.0.input.len()) else {
            return Err(refused);
        };
        let is_minimum = node.operator() == "Min";
        if !is_minimum && number != 0.0 {
            return Err(Refusal::Form("with a number other than 0"));
        }
        if is_minimum && !is_exact_maximum(number) {
            return Err(Refusal::Clip {
                min: f32::NEG_INFINITY,
                max: number,
            });
        }
        let layer = self.layer(&map)?;
        let result = if is_minimum {
            self.chain.minimum(layer, number)?
        } else {
            self.chain.rectify(layer)?
        };
        self.finish_element_wise(node, &map, layer, result)
    }

    /// `Add` of two maps; `Add`, `Sub`, `Mul`, `Div` of a map and a constant per channel.
    pub(super) fn arithmetic(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let (map, constant, map_is_first) = match (self.value(node, 0)?, self.value(node, 1)?) {
            (Value::Map(map), Value::Constant(tensor)) => (map.clone(), tensor.clone(), true),
            (Value::Constant(tensor), Value::Map(map)) => (map.clone(), tensor.clone(), false),
            (Value::Map(a), Value::Map(b)) => {
                let (a, b) = (a.clone(), b.clone());
                return self.add(node, &a, &b);
            }
            (Value::Constant(_), Value::Constant(_)) => return Err(Refusal::NotAMap(0)),
            (Value::Padded(..), _) | (_, Value::Padded(..)) => return Err(Refusal::Padded),
        };
        let values = per_channel(&map, &constant)?;
        let channels = values.len();
        let negated = || values.iter().map(|value| -value).collect();
        let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
        let (scale, shift): (Vec<f64>, Vec<f64>) = match (node.operator(), map_is_first) {
            ("Add", _) => (ones, values),
            ("Sub", true) => (ones, negated()),
            ("Sub", false) => (vec![-1.0; channels], values),
            ("Mul", _) => (values, zeros),
            ("Div", true) => (values.iter().map(|value| 1.0 / value).collect(), zeros),
            _ => return Err(Refusal::Form("divides by a map")),
        };
        match &map.source {
            Source::Image(affine) => {
                let mut affine = affine.clone();
                affine.then(&scale, &shift);
                let source = Source::Image(affine);
                self.rename(node, Value::Map(Map { source, ..map }))
            }
            &Source::Layer(layer) => {
                let result = self.chain.scale(layer, &scale, &shift)?;
                self.finish_element_wise(node, &map, layer, result)
            }
        }
    }

    fn add(&mut self, node: Node<'m>, a: &Map, b: &Map) -> Result<(), Refusal> {
        if node.operator() != "Add" {
            return Err(Refusal::Form("of two maps: only a sum is supported"));
        }
        if (a.order, a.form) != (b.order, b.form) {
            return Err(Refusal::Form("adds maps of different order"));
        }
        let (first, second) = (self.layer(a)?, self.layer(b)?);
        let layer = self.chain.append_add(first, second)?;
        self.output(node, layer, a)
    }

    /// The node's output is that of `result`, which may be the layer that the node reads.
    fn finish_element_wise(
        &mut self,
        node: Node<'m>,
        map: &Map,
        layer: usize,
        result: usize,
    ) -> Result<(), Refusal> {
        if result == layer {
            self.chain.remove_read(layer);
        }
        self.output(node, result, map)
    }
}

/// Whether a maximum of the activations is beyond them, or can be written in Q8.8.
fn is_exact_maximum(max: f32) -> bool {
    let raw = max * f32::from(1u16 << ACTIVATION_FRAC_BITS);
    max >= ACTIVATION_LIMIT || (max > 0.0 && raw.fract() == 0.0)
}

/// A constant that broadcasts to one value per channel of `map`.
fn per_channel(map: &Map, constant: &Tensor) -> Result<Vec<f64>, Refusal> {
    let channels = usize::from(map.shape.channels);
    let values = constant.floats()?;
    let unfit = || Refusal::Dimensions {
        what: "the constant",
        found: constant.dims.clone(),
        expected: format!("one value, or one for each of {channels} channels"),
    };
    match values {
        [one] => Ok(vec![f64::from(*one); channels]),
        _ => {
            let rank = map.dims(1).len();
            let axis = map.channel_axis().ok_or_else(unfit)?;
            // Dimensions are aligned at the last; all but the channels are 1.
            let expected = |index| if index == axis { channels } else { 1 };
            let missing = rank.checked_sub(constant.dims.len()).ok_or_else(unfit)?;
            let dims = constant.dims.iter().enumerate();
            let fits = axis >= missing
                && dims.fold(true, |fits, (index, &dim)| {
                    fits && dim == expected(index + missing)
                });
            if fits {
                Ok(values.iter().copied().map(f64::from).collect())
            } else {
                Err(unfit())
            }
        }
    }
}
