//! A network in f32 as a model, with the operators that other frameworks write.

use prost::Message as _;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};

use super::dense::channels_first;
use super::graph::{Graph, IMAGE, Name, cast_to, first_of_dense_tail, float, int, ints};
use super::proto::AttributeProto;
use super::proto::tensor_proto::DataType;
use crate::network::{BATCH_NORM_EPSILON, BatchNorm, Layer, Network, NetworkError, Parameters};

/// The bytes of a model that computes `network` in f32.
///
/// It reads the device's images, bytes in `[batch, rows, columns, channels]`, and normalizes them.
/// Behind that, maps are `[batch, channels, rows, columns]`. What [`import`](super::import) makes of
/// it computes the same, bit for bit.
///
/// # Errors
/// The network contradicts itself.
pub fn export(network: &Network) -> Result<Vec<u8>, NetworkError> {
    let shapes = network.check()?;
    let mut writer = Writer {
        graph: Graph::default(),
        outputs: Vec::new(),
    };
    let mut last = writer.image(network);
    let tail = first_of_dense_tail(network.layers.iter().map(|layer| layer.op));
    for (index, (layer, &shape)) in network.layers.iter().zip(&shapes).enumerate() {
        if index <= tail && matches!(layer.op, Op::Dense { .. }) {
            last = writer.graph.node("Flatten", &[&last], vec![int("axis", 1)]);
        }
        last = writer.layer(layer, shape, &last);
        if let Op::Dense { outputs } = layer.op
            && index < tail
        {
            last = writer.graph.reshaped(&last, &[0, outputs.into(), 1, 1]);
        }
        writer.outputs.push(last.clone());
    }
    let model = writer.graph.finish(network, DataType::Float);
    Ok(model.encode_to_vec())
}

struct Writer {
    graph: Graph,
    /// Each layer's output so far.
    outputs: Vec<Name>,
}

impl Writer {
    /// `(p - zero) / 256`, exact in f32, with the channels first.
    fn image(&mut self, network: &Network) -> Name {
        let zero: Vec<f32> = network.input.zero.iter().map(|&p| f32::from(p)).collect();
        let graph = &mut self.graph;
        let pixels = graph.node("Cast", &[IMAGE], cast_to(DataType::Float));
        let zero = graph.floats(&[zero.len()], &zero);
        let centered = graph.node("Sub", &[&pixels, &zero], Vec::new());
        let scale = graph.floats(&[], &[1.0 / 256.0]);
        let scaled = graph.node("Mul", &[&centered, &scale], Vec::new());
        let perm = ints("perm", &[0, 3, 1, 2]);
        graph.node("Transpose", &[&scaled], vec![perm])
    }

    /// The output of a layer that reads a map of shape `input`.
    fn layer(&mut self, layer: &Layer, input: Shape, last: &str) -> Name {
        let output = match (layer.op, &layer.parameters) {
            (Op::Conv { window, .. }, Some(parameters)) => {
                self.conv(window, input, parameters, last)
            }
            (Op::Depthwise { window }, Some(parameters)) => {
                self.depthwise(window, input, parameters, last)
            }
            (Op::Dense { .. }, Some(parameters)) => self.dense(input, parameters, last),
            (Op::MaxPool { window }, _) => self.graph.node("MaxPool", &[last], pooling(window)),
            (Op::AvgPool { window }, _) => {
                let mut attributes = pooling(window);
                attributes.push(int("count_include_pad", 0));
                self.graph.node("AveragePool", &[last], attributes)
            }
            (Op::Add { from }, _) => {
                let other = &self.outputs[usize::from(from)];
                self.graph.node("Add", &[last, other], Vec::new())
            }
            (Op::Branch { from }, _) => self.outputs[usize::from(from)].clone(),
            (Op::Conv { .. } | Op::Depthwise { .. } | Op::Dense { .. }, None) => {
                unreachable!("Network::check refuses this")
            }
        };
        let norm = layer.parameters.as_ref().and_then(|p| p.norm.as_ref());
        let mut output = match norm {
            Some(norm) => self.normalized(norm, &output),
            None => output,
        };
        if layer.activation == Activation::Relu {
            output = self.graph.node("Relu", &[&output], Vec::new());
        }
        output
    }

    fn conv(&mut self, window: Window, input: Shape, layer: &Parameters, last: &str) -> Name {
        let channels = usize::from(input.channels);
        let taps = window.area();
        let filters = layer.bias.len();
        // From channels last to channels first.
        let weights = layer.weights.chunks_exact(taps * channels);
        let weights = weights.flat_map(|filter| {
            (0..channels).flat_map(move |c| (0..taps).map(move |tap| filter[tap * channels + c]))
        });
        let weights: Vec<f32> = weights.collect();
        let [rows, columns] = kernel(window);
        let weights = self
            .graph
            .floats(&[filters, channels, rows, columns], &weights);
        let bias = self.graph.floats(&[filters], &layer.bias);
        self.graph
            .node("Conv", &[last, &weights, &bias], sliding(window))
    }

    fn depthwise(&mut self, window: Window, input: Shape, layer: &Parameters, last: &str) -> Name {
        let channels = usize::from(input.channels);
        let [rows, columns] = kernel(window);
        let weights = self
            .graph
            .floats(&[channels, 1, rows, columns], &layer.weights);
        let bias = self.graph.floats(&[channels], &layer.bias);
        let mut attributes = sliding(window);
        attributes.push(int("group", channels as i64));
        self.graph
            .node("Conv", &[last, &weights, &bias], attributes)
    }

    fn dense(&mut self, input: Shape, layer: &Parameters, last: &str) -> Name {
        let features = input.elements();
        let outputs = layer.bias.len();
        let order = channels_first(input);
        let mut weights = vec![0.0; layer.weights.len()];
        let neurons = layer.weights.chunks_exact(features);
        for (model, ours) in weights.chunks_exact_mut(features).zip(neurons) {
            for (&at, &weight) in order.iter().zip(ours) {
                model[at] = weight;
            }
        }
        let weights = self.graph.floats(&[outputs, features], &weights);
        let bias = self.graph.floats(&[outputs], &layer.bias);
        let inputs = [last, &weights, &bias];
        self.graph.node("Gemm", &inputs, vec![int("transB", 1)])
    }

    fn normalized(&mut self, norm: &BatchNorm, last: &str) -> Name {
        let vectors = [&norm.gamma, &norm.beta, &norm.mean, &norm.variance];
        let [gamma, beta, mean, variance] =
            vectors.map(|values| self.graph.floats(&[values.len()], values));
        let inputs = [last, &gamma, &beta, &mean, &variance];
        let epsilon = float("epsilon", BATCH_NORM_EPSILON);
        self.graph
            .node("BatchNormalization", &inputs, vec![epsilon])
    }
}

fn kernel(window: Window) -> [usize; 2] {
    [window.kernel_h, window.kernel_w].map(usize::from)
}

fn sliding(window: Window) -> Vec<AttributeProto> {
    let strides = [window.stride_h, window.stride_w].map(i64::from);
    let pads = [
        window.pad_top,
        window.pad_left,
        window.pad_bottom,
        window.pad_right,
    ];
    vec![
        ints("strides", &strides),
        ints("pads", &pads.map(i64::from)),
    ]
}

fn pooling(window: Window) -> Vec<AttributeProto> {
    let kernel = [window.kernel_h, window.kernel_w].map(i64::from);
    let mut attributes = sliding(window);
    attributes.push(ints("kernel_shape", &kernel));
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Input;
    use crate::onnx::{Normalization, import};

    /// Every operation once, with odd sizes, and a branch.
    fn every_operation() -> Network {
        let mut seed = 1u32;
        let mut next = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut values = move |count: usize| -> Vec<f32> { (0..count).map(|_| next()).collect() };
        let window = Window {
            pad_top: 0,
            pad_right: 2,
            stride_w: 2,
            ..Window::square(3, 1, 1)
        };
        let halving = Window::square(2, 2, 0);
        let thirds = Window::square(3, 2, 1);
        let ops = [
            (
                Op::Conv {
                    window,
                    out_channels: 5,
                },
                Activation::Linear,
                true,
            ),
            (
                Op::Depthwise {
                    window: Window::square(3, 1, 1),
                },
                Activation::Relu,
                true,
            ),
            (Op::Add { from: 0 }, Activation::Relu, false),
            (Op::Branch { from: 0 }, Activation::Linear, false),
            (
                Op::MaxPool {
                    window: Window::square(1, 1, 0),
                },
                Activation::Linear,
                false,
            ),
            (Op::Add { from: 2 }, Activation::Linear, false),
            (Op::MaxPool { window: thirds }, Activation::Linear, false),
            (Op::AvgPool { window: thirds }, Activation::Linear, false),
            (
                Op::Conv {
                    window: Window::square(2, 1, 1),
                    out_channels: 3,
                },
                Activation::Linear,
                false,
            ),
            (Op::AvgPool { window: halving }, Activation::Linear, false),
            // A dense layer whose output is read as a map.
            (Op::Dense { outputs: 5 }, Activation::Relu, true),
            (
                Op::Conv {
                    window: Window::square(1, 1, 0),
                    out_channels: 4,
                },
                Activation::Relu,
                false,
            ),
            (Op::Dense { outputs: 6 }, Activation::Relu, true),
            (Op::Dense { outputs: 4 }, Activation::Linear, false),
        ];
        let mut chain = runtime_nostd::Chain::new(Shape::new(11, 13, 2));
        let layers = ops.map(|(op, activation, is_normalized)| {
            chain.push(op).unwrap();
            let input = chain.last_input();
            let filters = op.filters(input);
            let norm = |values: &mut dyn FnMut(usize) -> Vec<f32>| BatchNorm {
                gamma: values(filters),
                beta: values(filters),
                mean: values(filters),
                variance: values(filters).iter().map(|v| v * v).collect(),
            };
            Layer {
                op,
                activation,
                parameters: (filters > 0).then(|| Parameters {
                    weights: values(filters * op.fan_in(input)),
                    bias: values(filters),
                    norm: is_normalized.then(|| norm(&mut values)),
                }),
            }
        });
        Network {
            input: Input {
                shape: Shape::new(11, 13, 2),
                zero: vec![7, 200],
            },
            layers: layers.to_vec(),
            classes: ["a", "b", "c", "d"].map(String::from).to_vec(),
            provenance: "a test".into(),
        }
    }

    #[test]
    fn what_is_exported_is_imported_bit_for_bit() {
        let network = every_operation();
        let model = export(&network).unwrap();
        let imported = import(&model, &Normalization::default()).unwrap();
        assert_eq!(imported.padding_error, 0.0);
        assert_eq!(imported.network.input, network.input);
        assert_eq!(imported.network.classes, network.classes);
        assert_eq!(imported.network.layers, network.layers);
    }
}
