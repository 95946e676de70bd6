//! Random networks that lead a kernel into its corners: every tail of filters, columns and pairs,
//! kernels up to 7x7, strides up to 3, any padding, and channel counts with kernels of their own.

use exporter::quantize::FixedNetwork;
use proptest::prelude::*;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;

use crate::random_network::{build, narrow_layers, narrowed};

/// One layer under test, then a small dense layer that sees all of its output; weights of 16 or of 8
/// bits.
pub fn networks() -> impl Strategy<Value = FixedNetwork> {
    let input = (1..=9u16, 1..=13u16, channels()).prop_map(|(h, w, c)| Shape::new(h, w, c));
    let activation = prop_oneof![Just(Activation::Linear), Just(Activation::Relu)];
    (
        input,
        layers(),
        activation,
        1..=3u16,
        any::<u64>(),
        narrow_layers(),
    )
        .prop_map(|(input, op, activation, classes, seed, narrow)| {
            let activation = match op {
                Op::MaxPool { .. } | Op::AvgPool { .. } => Activation::Linear,
                _ => activation,
            };
            let network = build(input, Product::Exact, &[(op, activation)], classes, seed);
            narrowed(network, narrow)
        })
}

fn channels() -> impl Strategy<Value = u16> {
    prop_oneof![
        1..=9u16,
        Just(1),
        Just(3),
        Just(8),
        Just(16),
        Just(32),
        Just(33)
    ]
}

fn layers() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (windows(), 1..=13u16)
            .prop_map(|(window, out_channels)| Op::Conv { window, out_channels }),
        1 => windows().prop_map(|window| Op::Depthwise { window }),
        2 => (1..=13u16).prop_map(|outputs| Op::Dense { outputs }),
        2 => windows().prop_map(|window| Op::MaxPool { window }),
    ]
}

fn windows() -> impl Strategy<Value = Window> {
    let kernel = prop_oneof![
        2 => (1..=7u8).prop_map(|size| (size, size)),
        2 => prop_oneof![Just((3, 3)), Just((5, 5))],
        1 => (1..=7u8, 1..=7u8),
    ];
    let stride = prop_oneof![2 => Just((1, 1)), 1 => (1..=3u8, 1..=3u8)];
    let padding = (0..=6u8, 0..=6u8, 0..=6u8, 0..=6u8);
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
