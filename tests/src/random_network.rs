//! Random small networks in fixed point, with random weights: the property tests' input.

use exporter::network::Input;
use exporter::quantize::{FixedLayer, FixedNetwork, FixedParameters};
use proptest::prelude::*;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;

/// Networks of up to six layers over images of up to 12x12x4: odd and even channels, all kernel
/// sizes and strides, asymmetric padding, both pools, overlapping and not, dense layers between.
pub fn networks() -> impl Strategy<Value = FixedNetwork> {
    let input = (1..=12u16, 1..=12u16, 1..=4u16).prop_map(|(h, w, c)| Shape::new(h, w, c));
    let product = prop_oneof![Just(Product::Exact), Just(Product::Rounded)];
    let layers = prop::collection::vec(hidden_layers(), 0..=5);
    (input, product, layers, 1..=11u16, any::<u64>()).prop_map(
        |(input, product, hidden, classes, seed)| {
            build(input, product, &hidden, classes, Numbers(seed))
        },
    )
}

/// Pixels for images of `shape`.
pub fn pixels(shape: Shape, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    (0..shape.elements())
        .map(|_| numbers.next() as u8)
        .collect()
}

fn hidden_layers() -> impl Strategy<Value = (Op, Activation)> {
    let activation = prop_oneof![Just(Activation::Linear), Just(Activation::Relu)];
    prop_oneof![
        4 => (windows(), 1..=9u16, activation.clone()).prop_map(|(window, out_channels, activation)| {
            (Op::Conv { window, out_channels }, activation)
        }),
        2 => windows().prop_map(|window| (Op::MaxPool { window }, Activation::Linear)),
        2 => windows().prop_map(|window| (Op::AvgPool { window }, Activation::Linear)),
        1 => (1..=9u16, activation).prop_map(|(outputs, activation)| (Op::Dense { outputs }, activation)),
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

/// Those of the `hidden` layers that fit, then a dense layer of `classes`.
fn build(
    input: Shape,
    product: Product,
    hidden: &[(Op, Activation)],
    classes: u16,
    mut numbers: Numbers,
) -> FixedNetwork {
    let zero = (0..input.channels).map(|_| numbers.next() as u8).collect();
    let last = (Op::Dense { outputs: classes }, Activation::Linear);
    let mut shape = input;
    let mut layers = Vec::new();
    for &(op, activation) in hidden.iter().chain([&last]) {
        let Ok(output) = op.output(shape) else {
            continue;
        };
        layers.push(FixedLayer {
            op,
            activation,
            parameters: (op.filters() > 0).then(|| parameters(op, shape, product, &mut numbers)),
        });
        shape = output;
    }
    FixedNetwork {
        input: Input { shape: input, zero },
        product,
        layers,
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
        weights: (0..op.filters() * fan_in)
            .map(|_| numbers.within(-largest, largest) as i16)
            .collect(),
        bias: (0..op.filters())
            .map(|_| numbers.within(-8_000_000, 8_000_000) as i32)
            .collect(),
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
