//! Inference in f32, with running batch-normalization statistics: the specification that trained
//! backends are tested against, and what the fixed-point network is compared with.
//!
//! Naive loops in the order of the formulas. Whoever needs speed has `evolve`'s training backend
//! for f32, and `runtime-nostd` for the arithmetic that ships.

use runtime_nostd::geometry::{Activation, Op, Shape, Window};

use crate::network::{BATCH_NORM_EPSILON, Layer, Network, NetworkError, Parameters};

/// A checked network, ready to run.
#[derive(Clone, Debug)]
pub struct Forward<'network> {
    network: &'network Network,
    /// What every layer reads.
    shapes: Vec<Shape>,
}

impl<'network> Forward<'network> {
    /// Checks `network` once, so that running it cannot fail.
    ///
    /// # Errors
    /// As [`Network::check`].
    pub fn new(network: &'network Network) -> Result<Self, NetworkError> {
        let shapes = network.check()?;
        Ok(Self { network, shapes })
    }

    /// One logit per class.
    ///
    /// # Panics
    /// If `pixels` is not one image of the network's input shape, HWC.
    pub fn logits(&self, pixels: &[u8]) -> Vec<f32> {
        self.outputs(pixels).pop().unwrap_or_default()
    }

    /// The output of every layer, first to last, HWC; the last is the logits.
    ///
    /// # Panics
    /// As [`Forward::logits`].
    pub fn outputs(&self, pixels: &[u8]) -> Vec<Vec<f32>> {
        let image = activations_of(pixels, &self.network.input.zero, self.shapes[0]);
        let mut outputs: Vec<Vec<f32>> = Vec::new();
        for (layer, &shape) in self.network.layers.iter().zip(&self.shapes) {
            let map = match layer.op {
                Op::Branch { from } => &outputs[usize::from(from)],
                _ => outputs.last().unwrap_or(&image),
            };
            let output = run_layer(layer, shape, map, &outputs);
            outputs.push(output);
        }
        outputs
    }
}

/// Activations `(p - zero[channel]) / 256` of one image's pixels, exact in f32.
fn activations_of(pixels: &[u8], zero: &[u8], shape: Shape) -> Vec<f32> {
    assert_eq!(
        pixels.len(),
        shape.elements(),
        "pixels of one {shape} image"
    );
    pixels
        .iter()
        .zip(zero.iter().cycle())
        .map(|(&pixel, &zero)| (f32::from(pixel) - f32::from(zero)) / 256.0)
        .collect()
}

/// The output map of one layer of a checked network over a map of shape `input`; `earlier` are the
/// outputs of the layers before it.
fn run_layer(layer: &Layer, input: Shape, map: &[f32], earlier: &[Vec<f32>]) -> Vec<f32> {
    let mut output = match (layer.op, &layer.parameters) {
        (Op::Conv { window, .. }, Some(parameters)) => {
            windows(window, input, parameters.bias.len(), |taps, filter| {
                convolve(taps, filter, input, map, parameters)
            })
        }
        (Op::Depthwise { window }, Some(Parameters { weights, bias, .. })) => {
            windows(window, input, channels(input), |taps, channel| {
                let weights = &weights[channel * window.area()..];
                let products = taps
                    .iter()
                    .map(|tap| weights[tap.kernel] * map[tap.element(input, channel)]);
                bias[channel] + products.sum::<f32>()
            })
        }
        (Op::Dense { .. }, Some(Parameters { weights, bias, .. })) => weights
            .chunks_exact(input.elements())
            .zip(bias)
            .map(|(weights, bias)| bias + weights.iter().zip(map).map(|(w, x)| w * x).sum::<f32>())
            .collect(),
        (Op::MaxPool { window }, _) => windows(window, input, channels(input), |taps, channel| {
            taps.iter()
                .map(|tap| map[tap.element(input, channel)])
                .fold(f32::NEG_INFINITY, f32::max)
        }),
        (Op::AvgPool { window }, _) => windows(window, input, channels(input), |taps, channel| {
            let sum: f32 = taps
                .iter()
                .map(|tap| map[tap.element(input, channel)])
                .sum();
            sum / taps.len() as f32
        }),
        (Op::Add { from }, _) => {
            let skipped = &earlier[usize::from(from)];
            map.iter().zip(skipped).map(|(a, b)| a + b).collect()
        }
        (Op::Branch { .. }, _) => map.to_vec(),
        (Op::Conv { .. } | Op::Depthwise { .. } | Op::Dense { .. }, None) => {
            unreachable!("Network::check refuses this")
        }
    };
    if let Some(parameters) = &layer.parameters {
        normalize(parameters, &mut output);
    }
    if layer.activation == Activation::Relu {
        for value in &mut output {
            *value = value.max(0.0);
        }
    }
    output
}

/// The output map of a windowed operation: `value(taps, channel)` for each output element.
fn windows(
    window: Window,
    input: Shape,
    out_channels: usize,
    value: impl Fn(&[Tap], usize) -> f32,
) -> Vec<f32> {
    let (height, width) = window.output(input).unwrap_or((0, 0));
    let mut output = Vec::new();
    for y in 0..usize::from(height) {
        for x in 0..usize::from(width) {
            let taps: Vec<Tap> = taps(window, input, y, x).collect();
            output.extend((0..out_channels).map(|channel| value(&taps, channel)));
        }
    }
    output
}

/// The paper's section 2: `y = b + Σ_i Σ_j Σ_k x[i,j,k] · w[i,j,k]`.
fn convolve(
    taps: &[Tap],
    filter: usize,
    input: Shape,
    map: &[f32],
    parameters: &Parameters,
) -> f32 {
    let channels = channels(input);
    let fan_in = parameters.fan_in();
    let weights = &parameters.weights[filter * fan_in..][..fan_in];
    let mut sum = parameters.bias[filter];
    for tap in taps {
        let weights = &weights[tap.kernel * channels..][..channels];
        let pixel = &map[tap.element(input, 0)..][..channels];
        sum += weights.iter().zip(pixel).map(|(w, x)| w * x).sum::<f32>();
    }
    sum
}

/// Batch normalization by the running statistics, where the layer has it; `map` is HWC with one
/// channel per filter.
fn normalize(parameters: &Parameters, map: &mut [f32]) {
    let Some(norm) = &parameters.norm else { return };
    for pixel in map.chunks_exact_mut(parameters.bias.len()) {
        for (channel, value) in pixel.iter_mut().enumerate() {
            let deviation = (norm.variance[channel] + BATCH_NORM_EPSILON).sqrt();
            let normalized = (*value - norm.mean[channel]) / deviation;
            *value = norm.gamma[channel] * normalized + norm.beta[channel];
        }
    }
}

/// One element of a window that lies inside the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Index within the kernel: `row * kernel_w + column`.
    pub kernel: usize,
    /// Row of the input map.
    pub row: usize,
    /// Column of the input map.
    pub column: usize,
}

impl Tap {
    /// Index of `channel` at this tap in an HWC map of shape `input`.
    pub fn element(self, input: Shape, channel: usize) -> usize {
        (self.row * usize::from(input.width) + self.column) * channels(input) + channel
    }
}

/// The taps of output `(y, x)` that lie inside an `input` map, row by row.
pub fn taps(window: Window, input: Shape, y: usize, x: usize) -> impl Iterator<Item = Tap> {
    let kernel_w = usize::from(window.kernel_w);
    (0..window.area()).filter_map(move |kernel| {
        let row = y * usize::from(window.stride_h) + kernel / kernel_w;
        let column = x * usize::from(window.stride_w) + kernel % kernel_w;
        let row = row.checked_sub(usize::from(window.pad_top))?;
        let column = column.checked_sub(usize::from(window.pad_left))?;
        let inside = row < usize::from(input.height) && column < usize::from(input.width);
        inside.then_some(Tap {
            kernel,
            row,
            column,
        })
    })
}

fn channels(shape: Shape) -> usize {
    usize::from(shape.channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{BatchNorm, Input};

    /// A 3x3 image with one channel, one operation, and a dense layer that copies its output.
    fn outputs_of(op: Op, parameters: Option<Parameters>, activation: Activation) -> Vec<f32> {
        let shape = Shape::new(3, 3, 1);
        let elements = op.output(shape).unwrap().elements();
        let mut identity = vec![0.0; elements * elements];
        identity
            .iter_mut()
            .step_by(elements + 1)
            .for_each(|w| *w = 1.0);
        let network = Network {
            input: Input {
                shape,
                zero: vec![128],
            },
            layers: vec![
                Layer {
                    op,
                    activation,
                    parameters,
                },
                Layer {
                    op: Op::Dense {
                        outputs: elements as u16,
                    },
                    activation: Activation::Linear,
                    parameters: Some(Parameters {
                        weights: identity,
                        bias: vec![0.0; elements],
                        norm: None,
                    }),
                },
            ],
            classes: vec![String::new(); elements],
            provenance: String::new(),
        };
        // Activations -4/16 to 4/16, and the result in sixteenths.
        let pixels: Vec<u8> = (0..9).map(|i| 128 - 4 * 16 + i * 16).collect();
        let forward = Forward::new(&network).unwrap();
        let outputs = forward.outputs(&pixels);
        assert_eq!(outputs[1], forward.logits(&pixels));
        assert_eq!(outputs[0], outputs[1]);
        outputs[0].iter().map(|value| value * 16.0).collect()
    }

    #[test]
    fn convolution_pads_with_zero_activations() {
        let parameters = Parameters {
            weights: vec![1.0, 10.0, 100.0, 1000.0],
            bias: vec![1.0 / 16.0],
            norm: None,
        };
        let window = Window {
            pad_top: 1,
            pad_left: 1,
            ..Window::square(2, 2, 0)
        };
        let op = Op::Conv {
            window,
            out_channels: 1,
        };
        // Top row: only the kernel's lower half is inside, and at the left only its last weight.
        assert_eq!(
            outputs_of(op, Some(parameters), Activation::Linear),
            [
                1.0 - 4000.0,
                1.0 - 300.0 - 2000.0,
                1.0 - 10.0 + 2000.0,
                1.0 + 10.0 + 300.0 + 4000.0
            ]
        );
    }

    #[test]
    fn normalization_comes_before_relu() {
        let parameters = Parameters {
            weights: vec![-1.0],
            bias: vec![0.0],
            norm: Some(BatchNorm {
                gamma: vec![2.0],
                beta: vec![2.0 / 16.0],
                mean: vec![1.0 / 16.0],
                variance: vec![4.0 - BATCH_NORM_EPSILON],
            }),
        };
        let op = Op::Conv {
            window: Window::square(1, 1, 0),
            out_channels: 1,
        };
        // 2 (-x - 1) / 2 + 2
        assert_eq!(
            outputs_of(op, Some(parameters), Activation::Relu),
            [5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]
        );
    }

    #[test]
    fn pooling_sees_only_the_map() {
        let window = Window::square(2, 2, 1);
        assert_eq!(
            outputs_of(Op::MaxPool { window }, None, Activation::Linear),
            [-4.0, -2.0, 2.0, 4.0]
        );
        assert_eq!(
            outputs_of(Op::AvgPool { window }, None, Activation::Linear),
            [-4.0, -2.5, 0.5, 2.0]
        );
    }

    #[test]
    fn a_network_with_a_missing_weight_is_refused() {
        let network = Network {
            input: Input {
                shape: Shape::new(2, 2, 1),
                zero: vec![0],
            },
            layers: vec![Layer {
                op: Op::Dense { outputs: 2 },
                activation: Activation::Linear,
                parameters: Some(Parameters {
                    weights: vec![0.0; 7],
                    bias: vec![0.0; 2],
                    norm: None,
                }),
            }],
            classes: vec![String::new(); 2],
            provenance: String::new(),
        };
        assert_eq!(
            Forward::new(&network).err(),
            Some(NetworkError::Length {
                layer: 0,
                what: "weights",
                found: 7,
                expected: 8
            })
        );
    }
}
