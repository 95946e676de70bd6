//! Random small networks in fixed point, with random weights: the property tests' input.

use exporter::network::Input;
use exporter::quantize::{FixedLayer, FixedNetwork, FixedParameters};
use proptest::prelude::*;
use runtime_nostd::Chain;
use runtime_nostd::blob::Packing;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;

/// Networks of up to six layers or residual blocks over images of up to 12x12x4: odd and even
/// channels, all kernel sizes and strides, asymmetric padding, both pools, overlapping and not,
/// dense layers between, additions that skip any number of layers, and weights of 16 and of 8 bits.
pub fn networks() -> impl Strategy<Value = FixedNetwork> {
    let input = (1..=12u16, 1..=12u16, 1..=4u16).prop_map(|(h, w, c)| Shape::new(h, w, c));
    let product = prop_oneof![Just(Product::Exact), Just(Product::Rounded)];
    let hidden = prop::collection::vec(parts(), 0..=5);
    (
        input,
        product,
        hidden,
        1..=11u16,
        any::<u64>(),
        narrow_layers(),
    )
        .prop_map(|(input, product, hidden, classes, seed, narrow)| {
            let mut builder = Builder::new(input, product, Numbers(seed));
            for part in hidden {
                builder.append(part);
            }
            builder.push(Op::Dense { outputs: classes }, Activation::Linear);
            narrowed(builder.network, narrow)
        })
}

/// Which layers [`narrowed`] stores in 8 bits: in half of the networks none, else any.
pub fn narrow_layers() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), any::<u32>()]
}

/// The network with the weights of some layers stored in 8 bits, with random exponents: those whose
/// number is a bit of `layers`. No weight grows, so that sums stay within their bounds.
pub fn narrowed(mut network: FixedNetwork, layers: u32) -> FixedNetwork {
    for (index, layer) in network.layers.iter_mut().enumerate() {
        let mut numbers = Numbers(index as u64);
        match &mut layer.parameters {
            Some(parameters) if layers >> (index % 32) & 1 == 1 => narrow(parameters, &mut numbers),
            _ => {}
        }
    }
    network
}

/// The network with all weights stored in 16 bits.
pub fn sixteen_bits(mut network: FixedNetwork) -> FixedNetwork {
    for layer in &mut network.layers {
        if let Some(parameters) = &mut layer.parameters {
            parameters.exponents = None;
        }
    }
    network
}

fn narrow(parameters: &mut FixedParameters, numbers: &mut Numbers) {
    let fan_in = parameters.weights.len() / parameters.bias.len();
    let filters = parameters.weights.chunks_mut(fan_in);
    let exponents = filters.map(|weights| {
        let exponent = numbers.within(0, 8) as u8;
        for weight in weights {
            let power = 1 << exponent;
            *weight = (i32::from(*weight) / power).clamp(-128, 127) as i16 * power as i16;
        }
        exponent
    });
    parameters.exponents = Some(exponents.collect());
}

/// The network of those of `ops` that fit an image of `shape`, closed by a dense layer of three
/// classes, with random weights.
pub fn network_of(
    shape: Shape,
    product: Product,
    ops: impl IntoIterator<Item = (Op, Activation)>,
    seed: u64,
) -> FixedNetwork {
    let mut builder = Builder::new(shape, product, Numbers(seed));
    for (op, activation) in ops {
        builder.push(op, activation);
    }
    builder.push(Op::Dense { outputs: 3 }, Activation::Linear);
    builder.network
}

/// What a random network is made of.
#[derive(Clone, Debug)]
enum Part {
    Layer(Op, Activation),
    /// Some layers that keep the shape, and the addition of what they read.
    Residual(Vec<(Op, Activation)>, Activation),
    /// Two branches of the same shape: a projection by one operation, another one behind the same
    /// window, and their addition.
    Projection(Window, u16, Activation),
    /// The addition of any earlier map of the same shape, if there is one.
    Add(u8, Activation),
}

/// A network of the `hidden` layers that fit and a dense layer of `classes`, with random weights.
pub fn build(
    input: Shape,
    product: Product,
    hidden: &[(Op, Activation)],
    classes: u16,
    seed: u64,
) -> FixedNetwork {
    let mut builder = Builder::new(input, product, Numbers(seed));
    for &(op, activation) in hidden {
        builder.push(op, activation);
    }
    builder.push(Op::Dense { outputs: classes }, Activation::Linear);
    builder.network
}

/// Pixels for images of `shape`.
pub fn pixels(shape: Shape, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    (0..shape.elements())
        .map(|_| numbers.next() as u8)
        .collect()
}

fn parts() -> impl Strategy<Value = Part> {
    let layer = (layers(), activations()).prop_map(|(op, activation)| match op {
        Op::MaxPool { .. } | Op::AvgPool { .. } => Part::Layer(op, Activation::Linear),
        _ => Part::Layer(op, activation),
    });
    let same = prop_oneof![
        Just(Op::Depthwise {
            window: Window::square(3, 1, 1)
        }),
        Just(Op::Depthwise {
            window: Window::square(5, 1, 2)
        }),
        Just(Op::MaxPool {
            window: Window::square(3, 1, 1)
        }),
        Just(Op::AvgPool {
            window: Window::square(1, 1, 0)
        }),
        Just(Op::Conv {
            window: Window::square(3, 1, 1),
            out_channels: 0
        }),
        Just(Op::Conv {
            window: Window::square(1, 1, 0),
            out_channels: 0
        }),
    ];
    let body = prop::collection::vec((same, Just(Activation::Linear)), 1..=3);
    prop_oneof![
        8 => layer,
        1 => (body, activations()).prop_map(|(body, activation)| Part::Residual(body, activation)),
        1 => (windows(), 1..=6u16, activations())
            .prop_map(|(window, channels, activation)| Part::Projection(window, channels, activation)),
        1 => (any::<u8>(), activations()).prop_map(|(choice, activation)| Part::Add(choice, activation)),
    ]
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Linear), Just(Activation::Relu)]
}

fn layers() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (windows(), 1..=9u16).prop_map(|(window, out_channels)| Op::Conv { window, out_channels }),
        2 => windows().prop_map(|window| Op::MaxPool { window }),
        2 => windows().prop_map(|window| Op::AvgPool { window }),
        2 => windows().prop_map(|window| Op::Depthwise { window }),
        1 => (1..=9u16).prop_map(|outputs| Op::Dense { outputs }),
    ]
}

fn windows() -> impl Strategy<Value = Window> {
    let kernel = (1..=5u8, 1..=5u8);
    let stride = (1..=4u8, 1..=4u8);
    let padding = (0..=2u8, 0..=2u8, 0..=2u8, 0..=2u8);
    (kernel, stride, padding).prop_map(|((kernel_h, kernel_w), (stride_h, stride_w), padding)| {
        Window {
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            pad_top: padding.0.min(kernel_h - 1),
            pad_bottom: padding.1.min(kernel_h - 1),
            pad_left: padding.2.min(kernel_w - 1),
            pad_right: padding.3.min(kernel_w - 1),
        }
    })
}

/// Most weights of a layer: what a fuzzer describes must not fill the memory.
const MAX_WEIGHTS: usize = 1 << 22;

/// Appends what fits.
struct Builder {
    chain: Chain,
    /// Output shape of every layer.
    outputs: Vec<Shape>,
    network: FixedNetwork,
    numbers: Numbers,
}

impl Builder {
    fn new(shape: Shape, product: Product, mut numbers: Numbers) -> Self {
        let zero = (0..shape.channels).map(|_| numbers.next() as u8).collect();
        Self {
            chain: Chain::new(shape),
            outputs: Vec::new(),
            network: FixedNetwork {
                input: Input { shape, zero },
                product,
                layers: Vec::new(),
            },
            numbers,
        }
    }

    fn push(&mut self, op: Op, activation: Activation) -> bool {
        let input = self.outputs.last().copied();
        let packing = Packing::new(op, input.unwrap_or(self.network.input.shape));
        if packing.is_some_and(|packing| packing.stored_weights() > MAX_WEIGHTS) {
            return false;
        }
        let Ok(output) = self.chain.push(op) else {
            return false;
        };
        let input = self.chain.last_input();
        let parameters = (op.filters(input) > 0)
            .then(|| parameters(op, input, self.network.product, &mut self.numbers));
        self.outputs.push(output);
        self.network.layers.push(FixedLayer {
            op,
            activation,
            parameters,
        });
        true
    }

    fn append(&mut self, part: Part) {
        let Some(last) = self.outputs.len().checked_sub(1) else {
            if let Part::Layer(op, activation) = part {
                self.push(op, activation);
            }
            return;
        };
        let before = last as u8;
        match part {
            Part::Layer(op, activation) => {
                self.push(op, activation);
            }
            Part::Residual(body, activation) => {
                for (op, inside) in body {
                    let op = match op {
                        Op::Conv { window, .. } => Op::Conv {
                            window,
                            out_channels: self.outputs[last].channels,
                        },
                        op => op,
                    };
                    self.push(op, inside);
                }
                self.push(Op::Add { from: before }, activation);
            }
            Part::Projection(window, out_channels, activation) => {
                let conv = Op::Conv {
                    window,
                    out_channels,
                };
                if self.push(conv, Activation::Linear) {
                    self.push(Op::Branch { from: before }, Activation::Linear);
                    self.push(conv, Activation::Relu);
                    let (window, linear) = (Window::square(3, 1, 1), Activation::Linear);
                    self.push(Op::Depthwise { window }, linear);
                    self.push(Op::Add { from: before + 1 }, activation);
                }
            }
            Part::Add(choice, activation) => {
                let same = |from: &usize| self.outputs[*from] == self.outputs[last];
                let earlier: Vec<usize> = (0..last).filter(same).collect();
                if !earlier.is_empty() {
                    let from = earlier[usize::from(choice) % earlier.len()] as u8;
                    self.push(Op::Add { from }, activation);
                }
            }
        }
    }
}

/// Weights as large as the accumulators surely bear, so that stores saturate now and then.
fn parameters(op: Op, input: Shape, product: Product, numbers: &mut Numbers) -> FixedParameters {
    let fan_in = op.fan_in(input);
    let largest = (40_000 / fan_in as i64).clamp(1, 32767);
    FixedParameters {
        frac_bits: match product {
            Product::Exact => numbers.within(0, 15) as u8,
            Product::Rounded => 8,
        },
        weights: (0..op.filters(input) * fan_in)
            .map(|_| numbers.within(-largest, largest) as i16)
            .collect(),
        bias: (0..op.filters(input))
            .map(|_| numbers.within(-8_000_000, 8_000_000) as i32)
            .collect(),
        exponents: None,
    }
}

/// A small generator (`SplitMix64`), so that a test case is one seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 8
    }

    fn within(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }
}
