//! The trained f32 network: plain data, and the file that carries it from the evolver (or an
//! importer) to the exporter.

use runtime_nostd::Chain;
use runtime_nostd::geometry::{Activation, GeometryError, Op, Shape};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Added to a variance before its square root is taken, in training and in folding alike.
pub const BATCH_NORM_EPSILON: f32 = 1e-5;

/// A trained network: a chain of layers from an image to one logit per class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// What the first layer reads.
    pub input: Input,
    /// The layers, first to last. The last is [`Op::Dense`] with one output per class.
    pub layers: Vec<Layer>,
    /// Names of the classes, in label order.
    pub classes: Vec<String>,
    /// Where the network comes from (run, seed, data set), for people.
    pub provenance: String,
}

/// The image a network reads: 8-bit pixels, HWC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Rows, columns, channels.
    pub shape: Shape,
    /// The pixel value of each channel that means 0: pixel `p` is the activation
    /// `(p - zero[channel]) / 256`, in training and on the device alike.
    pub zero: Vec<u8>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// What it computes.
    pub op: Op,
    /// What follows the sum (after batch normalization). [`Activation::Linear`] where there is none:
    /// for pooling and branches.
    pub activation: Activation,
    /// Weights; `None` exactly where [`Op::filters`] is 0.
    pub parameters: Option<Parameters>,
}

/// The trained values of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// `[filters, fan_in]`, row-major: a convolution's filter is
    /// `[kernel_h, kernel_w, in_channels]`, `[kernel_h, kernel_w]` if depthwise, a dense neuron's
    /// `[height, width, channels]`.
    pub weights: Vec<f32>,
    /// One per filter; all 0 where batch normalization follows.
    pub bias: Vec<f32>,
    /// Batch normalization between the sum and the activation.
    pub norm: Option<BatchNorm>,
}

impl Parameters {
    /// Weights per filter; at least 1, so that it can divide.
    pub fn fan_in(&self) -> usize {
        (self.weights.len() / self.bias.len().max(1)).max(1)
    }
}

/// Batch normalization, one value per filter:
/// `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Learned scale.
    pub gamma: Vec<f32>,
    /// Learned shift.
    pub beta: Vec<f32>,
    /// Running mean of the training batches.
    pub mean: Vec<f32>,
    /// Running variance of the training batches.
    pub variance: Vec<f32>,
}

impl BatchNorm {
    /// The state before any training: normalizes by mean 0 and variance 1, then changes nothing.
    pub fn identity(filters: usize) -> Self {
        Self {
            gamma: vec![1.0; filters],
            beta: vec![0.0; filters],
            mean: vec![0.0; filters],
            variance: vec![1.0; filters],
        }
    }
}

impl Network {
    /// The shape that every layer reads, first to last, then the shape of the logits.
    ///
    /// # Errors
    /// The index of the first layer whose geometry is impossible, and why.
    pub fn shapes(&self) -> Result<Vec<Shape>, (usize, GeometryError)> {
        let mut chain = Chain::new(self.input.shape);
        let mut shapes = Vec::new();
        let mut output = self.input.shape;
        for (index, layer) in self.layers.iter().enumerate() {
            output = chain.push(layer.op).map_err(|error| (index, error))?;
            shapes.push(chain.last_input());
        }
        shapes.push(output);
        Ok(shapes)
    }

    /// The shapes of [`Network::shapes`], once everything that the types leave open is in order:
    /// geometry, lengths of all vectors, and a last layer that gives one logit per class. Code that
    /// walks a checked network indexes without fear.
    ///
    /// # Errors
    /// The first [`NetworkError`], first layer to last.
    pub fn check(&self) -> Result<Vec<Shape>, NetworkError> {
        let shapes = self
            .shapes()
            .map_err(|(layer, source)| NetworkError::Geometry { layer, source })?;
        let channels = usize::from(self.input.shape.channels);
        if self.input.zero.len() != channels {
            return Err(NetworkError::InputZero {
                found: self.input.zero.len(),
                expected: channels,
            });
        }
        for (index, (layer, &input)) in self.layers.iter().zip(&shapes).enumerate() {
            layer.check(index, input)?;
        }
        match self.layers.last() {
            Some(Layer {
                op: Op::Dense { outputs },
                activation: Activation::Linear,
                ..
            }) if usize::from(*outputs) == self.classes.len() => Ok(shapes),
            _ => Err(NetworkError::LastLayer {
                classes: self.classes.len(),
            }),
        }
    }
}

impl Layer {
    fn check(&self, layer: usize, input: Shape) -> Result<(), NetworkError> {
        let filters = self.op.filters(input);
        if self.activation != Activation::Linear
            && filters == 0
            && !matches!(self.op, Op::Add { .. })
        {
            return Err(NetworkError::Activation {
                layer,
                op: self.op.name(),
            });
        }
        let parameters = match &self.parameters {
            None if filters == 0 => return Ok(()),
            Some(parameters) if filters > 0 => parameters,
            _ => {
                return Err(NetworkError::Parameters {
                    layer,
                    op: self.op.name(),
                });
            }
        };
        let length = |what, found, expected| {
            if found == expected {
                Ok(())
            } else {
                Err(NetworkError::Length {
                    layer,
                    what,
                    found,
                    expected,
                })
            }
        };
        let weights = filters * self.op.fan_in(input);
        length("weights", parameters.weights.len(), weights)?;
        length("bias", parameters.bias.len(), filters)?;
        if let Some(norm) = &parameters.norm {
            length("gamma", norm.gamma.len(), filters)?;
            length("beta", norm.beta.len(), filters)?;
            length("mean", norm.mean.len(), filters)?;
            length("variance", norm.variance.len(), filters)?;
        }
        Ok(())
    }
}

/// Why a [`Network`] cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A layer does not fit the map that it reads.
    #[error("layer {layer}: {source}")]
    Geometry {
        /// Index of the layer.
        layer: usize,
        /// What is impossible.
        source: GeometryError,
    },
    /// [`Input::zero`] is not one value per channel.
    #[error("the input has {found} zero values for {expected} channels; give one per channel")]
    InputZero {
        /// Values in [`Input::zero`].
        found: usize,
        /// Channels of the input.
        expected: usize,
    },
    /// Parameters are missing, or a layer without weights has some.
    #[error(
        "layer {layer} ({op}): convolution and dense layers have parameters, other layers have none"
    )]
    Parameters {
        /// Index of the layer.
        layer: usize,
        /// Name of its operation.
        op: &'static str,
    },
    /// Pooling or a branch has an activation.
    #[error("layer {layer} ({op}) must be linear; activate the layer before it")]
    Activation {
        /// Index of the layer.
        layer: usize,
        /// Name of its operation.
        op: &'static str,
    },
    /// A vector of parameters has the wrong length.
    #[error("layer {layer} has {found} values of {what} where its geometry needs {expected}")]
    Length {
        /// Index of the layer.
        layer: usize,
        /// Name of the vector.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that geometry and filter count require.
        expected: usize,
    },
    /// The last layer does not give the logits.
    #[error(
        "the last layer must be dense and linear, with one output for each of {classes} classes"
    )]
    LastLayer {
        /// Number of classes.
        classes: usize,
    },
}
