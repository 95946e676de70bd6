//! The network as it grows, layer by layer, while the graph's nodes are read.

use runtime_nostd::geometry::{Activation, GeometryError, Op, Shape, Window};

use super::error::Refusal;
use super::normalize::{Affine, Takeover};
use super::window::is_padded;
use crate::network::{BatchNorm, Layer, Parameters};

/// More layers cannot be counted in a blob.
const MAX_LAYERS: usize = 255;

/// Every activation is below this.
pub(super) const ACTIVATION_LIMIT: f32 = 128.0;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// The image, normalized so far.
    Image(Affine),
    /// A layer's output.
    Layer(usize),
}

/// A linear chain of layers that grows at its end.
pub(super) struct Chain {
    pub(super) input: Shape,
    pub(super) layers: Vec<Layer>,
    /// Each layer's output.
    outputs: Vec<Shape>,
    /// How many nodes read each layer's output, those to come included.
    reads: Vec<usize>,
    /// What the first layer took over from the image's normalization.
    pub(super) zero: Option<Vec<u8>>,
    /// How much a sum over padding of the image differs at most.
    pub(super) padding_error: f64,
}

impl Chain {
    pub(super) fn new(input: Shape) -> Self {
        Self {
            input,
            layers: Vec::new(),
            outputs: Vec::new(),
            reads: Vec::new(),
            zero: None,
            padding_error: 0.0,
        }
    }

    pub(super) fn shape(&self, source: &Source) -> Shape {
        match source {
            Source::Image(_) => self.input,
            Source::Layer(layer) => self.outputs[*layer],
        }
    }

    /// Appends a layer that reads `source`. Weights that read the image take its normalization
    /// over; an operation without weights gets a layer before it that does.
    pub(super) fn append(
        &mut self,
        source: &Source,
        op: Op,
        activation: Activation,
        parameters: Option<Parameters>,
    ) -> Result<usize, Refusal> {
        let mut layer = Layer {
            op,
            activation,
            parameters,
        };
        match source {
            Source::Image(affine) if self.layers.is_empty() => {
                let takeover = affine.takeover()?;
                self.zero = Some(takeover.zero.clone());
                match &mut layer.parameters {
                    Some(parameters) => self.take_over(&takeover, op, parameters),
                    None => {
                        let image = self.image_layer(affine)?;
                        return self.append(&Source::Layer(image), op, activation, None);
                    }
                }
            }
            Source::Image(_) => {
                return Err(Refusal::Form(
                    "reads the image, which only the first layer can",
                ));
            }
            Source::Layer(from) if *from + 1 < self.layers.len() => {
                let from = u8::try_from(*from).map_err(|_| GeometryError::TooManyLayers)?;
                self.push(
                    Layer {
                        op: Op::Branch { from },
                        activation: Activation::Linear,
                        parameters: None,
                    },
                    self.outputs[usize::from(from)],
                )?;
            }
            Source::Layer(_) => {}
        }
        let output = op.output(self.shape(source))?;
        self.push(layer, output)
    }

    /// A layer that gives the normalized image.
    pub(super) fn image_layer(&mut self, affine: &Affine) -> Result<usize, Refusal> {
        let image = Source::Image(affine.clone());
        self.append_scaling(&image, &[], &[], Activation::Linear)
    }

    /// Appends `activation(scale * x + shift)`, one of each per channel, where none is 1 or 0: a
    /// depthwise convolution of one weight. Where these are exact in Q8.8, so is the layer.
    pub(super) fn append_scaling(
        &mut self,
        source: &Source,
        scale: &[f64],
        shift: &[f64],
        activation: Activation,
    ) -> Result<usize, Refusal> {
        let channels = usize::from(self.shape(source).channels);
        let values = |given: &[f64], absent: f64| -> Vec<f32> {
            let value = |channel| given.get(channel).copied().unwrap_or(absent) as f32;
            (0..channels).map(value).collect()
        };
        let parameters = Parameters {
            weights: values(scale, 1.0),
            bias: values(shift, 0.0),
            norm: None,
        };
        let window = Window::square(1, 1, 0);
        self.append(
            source,
            Op::Depthwise { window },
            activation,
            Some(parameters),
        )
    }

    /// Appends the sum of two layers' outputs.
    pub(super) fn append_add(&mut self, a: usize, b: usize) -> Result<usize, Refusal> {
        if a == b {
            return Err(Refusal::Form("adds a map to itself, which no layer can"));
        }
        // The last layer is one operand without a branch.
        let (operand, from) = if b + 1 == self.layers.len() {
            (b, a)
        } else {
            (a, b)
        };
        if self.outputs[a] != self.outputs[b] {
            return Err(GeometryError::AddShapes.into());
        }
        let from = u8::try_from(from).map_err(|_| GeometryError::TooManyLayers)?;
        let op = Op::Add { from };
        self.append(&Source::Layer(operand), op, Activation::Linear, None)
    }

    fn push(&mut self, layer: Layer, output: Shape) -> Result<usize, Refusal> {
        if self.layers.len() >= MAX_LAYERS {
            return Err(GeometryError::TooManyLayers.into());
        }
        self.layers.push(layer);
        self.outputs.push(output);
        self.reads.push(0);
        Ok(self.layers.len() - 1)
    }

    fn take_over(&mut self, takeover: &Takeover, op: Op, parameters: &mut Parameters) {
        let channels = takeover.zero.len();
        let error = match op {
            Op::Depthwise { .. } => takeover.fold(parameters, |filter, _| filter),
            _ => takeover.fold(parameters, |_, weight| weight % channels),
        };
        if op.window().is_some_and(is_padded) {
            self.padding_error = error;
        }
    }

    /// `nodes` more read the output of `layer`.
    pub(super) fn add_reads(&mut self, layer: usize, nodes: usize) {
        self.reads[layer] += nodes;
    }

    /// One node less: it gives the layer's output another name, or becomes part of the layer.
    pub(super) fn remove_read(&mut self, layer: usize) {
        self.reads[layer] = self.reads[layer].saturating_sub(1);
    }

    /// The parameters of `layer`, if what one node does to its output can become part of them.
    fn open(&mut self, layer: usize) -> Option<&mut Parameters> {
        let is_open = self.reads[layer] == 1 && self.layers[layer].activation == Activation::Linear;
        self.layers[layer].parameters.as_mut().filter(|_| is_open)
    }

    /// Makes batch normalization part of `layer`, or appends a layer for it.
    pub(super) fn normalize(&mut self, layer: usize, norm: BatchNorm) -> Result<usize, Refusal> {
        if let Some(parameters) = self.open(layer)
            && parameters.norm.is_none()
        {
            parameters.norm = Some(norm);
            return Ok(layer);
        }
        let new = self.append_scaling(&Source::Layer(layer), &[], &[], Activation::Linear)?;
        if let Some(parameters) = &mut self.layers[new].parameters {
            parameters.norm = Some(norm);
        }
        Ok(new)
    }

    /// Appends the minimum of every element and `max`, as `max - relu(max - x)`, unless that is beyond
    /// all activations.
    pub(super) fn minimum(&mut self, layer: usize, max: f32) -> Result<usize, Refusal> {
        if max >= ACTIVATION_LIMIT {
            return Ok(layer);
        }
        let channels = usize::from(self.outputs[layer].channels);
        let (minus, maximum) = (vec![-1.0; channels], vec![f64::from(max); channels]);
        let source = Source::Layer(layer);
        let below = self.append_scaling(&source, &minus, &maximum, Activation::Relu)?;
        let source = Source::Layer(below);
        self.append_scaling(&source, &minus, &maximum, Activation::Linear)
    }

    /// Makes `scale * x + shift` part of `layer`, or appends a layer for it.
    pub(super) fn scale(
        &mut self,
        layer: usize,
        scale: &[f64],
        shift: &[f64],
    ) -> Result<usize, Refusal> {
        if let Some(parameters) = self.open(layer)
            && parameters.norm.is_none()
        {
            let filters = parameters.bias.len().max(1);
            let fan_in = (parameters.weights.len() / filters).max(1);
            let weights = parameters.weights.chunks_mut(fan_in);
            let biases = parameters.bias.iter_mut().zip(weights);
            for ((bias, weights), (scale, shift)) in biases.zip(scale.iter().zip(shift)) {
                for weight in weights {
                    *weight = (f64::from(*weight) * scale) as f32;
                }
                *bias = (f64::from(*bias) * scale + shift) as f32;
            }
            return Ok(layer);
        }
        self.append_scaling(&Source::Layer(layer), scale, shift, Activation::Linear)
    }

    /// Makes ReLU part of `layer`, or of the layer before it where it is a maximum of that, or
    /// appends a layer for it.
    pub(super) fn rectify(&mut self, layer: usize) -> Result<usize, Refusal> {
        if self.layers[layer].activation == Activation::Relu {
            return Ok(layer);
        }
        let adds = matches!(self.layers[layer].op, Op::Add { .. });
        if self.open(layer).is_some() || (adds && self.reads[layer] == 1) {
            self.layers[layer].activation = Activation::Relu;
            return Ok(layer);
        }
        if matches!(self.layers[layer].op, Op::MaxPool { .. }) && self.reads[layer] == 1 {
            // The maximum of the rectified is the rectified maximum.
            if let Some(before) = layer.checked_sub(1)
                && self.open(before).is_some()
            {
                self.layers[before].activation = Activation::Relu;
                return Ok(layer);
            }
        }
        self.append_scaling(&Source::Layer(layer), &[], &[], Activation::Relu)
    }

    /// A convolution over a whole map at the end, as in all-convolutional networks, becomes dense:
    /// the weights of both have the same order.
    pub(super) fn end_dense(&mut self) {
        let (Some(layer), Some(output)) = (self.layers.last_mut(), self.outputs.last()) else {
            return;
        };
        if let Op::Conv {
            window,
            out_channels,
        } = layer.op
        {
            let before = self.outputs.len().checked_sub(2);
            let input = before.map_or(self.input, |before| self.outputs[before]);
            let whole = Window {
                stride_h: window.stride_h,
                stride_w: window.stride_w,
                kernel_h: u8::try_from(input.height).unwrap_or(0),
                kernel_w: u8::try_from(input.width).unwrap_or(0),
                ..Window::square(1, 1, 0)
            };
            if window == whole && (output.height, output.width) == (1, 1) {
                layer.op = Op::Dense {
                    outputs: out_channels,
                };
            }
        }
    }
}
