//! The reference's gradients against central differences of its loss, for every layer type and
//! every kind of parameter.
//!
//! ReLU and max pooling have kinks. A difference whose two ends lie on different sides of one says
//! nothing about the derivative; such parameters are recognized by the pattern of active ReLUs and
//! pooling winners and are left out, and a test fails if more than a few are.

use exporter::dataset::Images;
use exporter::network::Network;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};

use super::Learned;
use super::backward::gradient;
use super::forward::{Pass, first_greatest, positions};
use crate::train::specimen::{self, Follow};

const STEP: f64 = 1e-6;
const IMAGES: usize = 3;
const CLASSES: u16 = 3;
const SMOOTHING: f64 = 0.1;

/// A network of `ops` on 7x6x2 images, closed by a dense layer, and images for it.
fn network_of(ops: &[(Op, Follow)]) -> (Network, Images) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let input = Shape::new(7, 6, 2);
    let network = specimen::network(input, ops, CLASSES, &mut rng);
    let images = specimen::images(&network, IMAGES, &mut rng);
    (network, images)
}

/// On which side of each kink the pass ran: active ReLUs, and winners of max pooling.
fn pattern(network: &Network, shapes: &[Shape], pass: &Pass) -> Vec<usize> {
    let mut pattern = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        if layer.activation == Activation::Relu {
            pattern.extend(
                pass.maps[index + 1]
                    .iter()
                    .map(|&value| usize::from(value > 0.0)),
            );
        }
        let Op::MaxPool { window } = layer.op else {
            continue;
        };
        let input = shapes[index];
        for map in pass.maps[index].chunks_exact(input.elements()) {
            for (y, x) in positions(window, input) {
                for channel in 0..input.channels.into() {
                    let elements: Vec<usize> = exporter::forward::taps(window, input, y, x)
                        .map(|tap| tap.element(input, channel))
                        .collect();
                    pattern.push(first_greatest(map, &elements));
                }
            }
        }
    }
    pattern
}

fn check_gradients(ops: &[(Op, Follow)]) {
    let (network, images) = network_of(ops);
    let shapes = network.check().unwrap();
    let indices: Vec<u32> = (0..IMAGES as u32).collect();
    let run =
        |learned: &Learned| Pass::run(&network, &shapes, learned, &images, &indices, SMOOTHING);
    let learned = Learned::of(&network);
    let pass = run(&learned);
    let gradient = gradient(&network, &shapes, &learned, &pass);
    let sides = pattern(&network, &shapes, &pass);
    let (mut checked, mut straddling) = (0, 0);
    for layer in 0..network.layers.len() {
        for kind in 0..4 {
            for value in 0..learned.0[layer].kinds()[kind].len() {
                let moved_by = |step: f64| {
                    let mut moved = learned.clone();
                    moved.0[layer].kinds_mut()[kind][value] += step;
                    run(&moved)
                };
                let (up, down) = (moved_by(STEP), moved_by(-STEP));
                if [&up, &down]
                    .iter()
                    .any(|end| pattern(&network, &shapes, end) != sides)
                {
                    straddling += 1;
                    continue;
                }
                let numeric = (up.loss - down.loss) / (2.0 * STEP);
                let analytic = gradient.0[layer].kinds()[kind][value];
                // Rounding of the losses (1e-16 / STEP) and the third derivative (STEP²).
                assert!(
                    (numeric - analytic).abs() < 1e-8 + 1e-7 * numeric.abs(),
                    "layer {layer}, kind {kind}, value {value}: {analytic}, numerically {numeric}"
                );
                checked += 1;
            }
        }
    }
    assert!(
        straddling * 20 < checked,
        "{straddling} of {checked} straddle a kink"
    );
}

fn conv(window: Window, out_channels: u16) -> Op {
    Op::Conv {
        window,
        out_channels,
    }
}

const UNEVEN: Window = Window {
    kernel_h: 4,
    kernel_w: 3,
    stride_h: 2,
    stride_w: 3,
    pad_top: 3,
    pad_bottom: 1,
    pad_left: 0,
    pad_right: 2,
};

#[test]
fn dense() {
    check_gradients(&[]);
    check_gradients(&[(Op::Dense { outputs: 5 }, Follow::Relu)]);
    check_gradients(&[(Op::Dense { outputs: 4 }, Follow::NormRelu)]);
}

#[test]
fn convolution() {
    check_gradients(&[(conv(Window::square(3, 1, 1), 3), Follow::Relu)]);
    check_gradients(&[(conv(UNEVEN, 3), Follow::Nothing)]);
    // Two, so that the first one's gradient comes through the second one's input.
    check_gradients(&[
        (conv(Window::square(3, 1, 0), 3), Follow::Relu),
        (conv(UNEVEN, 2), Follow::Relu),
    ]);
}

#[test]
fn batch_normalization() {
    check_gradients(&[(conv(Window::square(3, 2, 1), 3), Follow::Norm)]);
    check_gradients(&[
        (conv(Window::square(2, 1, 1), 3), Follow::NormRelu),
        (conv(Window::square(3, 2, 0), 2), Follow::NormRelu),
    ]);
}

#[test]
fn max_pooling() {
    for window in [Window::square(2, 2, 0), Window::square(3, 2, 1), UNEVEN] {
        check_gradients(&[
            (conv(Window::square(3, 1, 1), 3), Follow::NormRelu),
            (Op::MaxPool { window }, Follow::Nothing),
        ]);
    }
}

#[test]
fn average_pooling() {
    for window in [Window::square(2, 2, 0), Window::square(3, 1, 1), UNEVEN] {
        check_gradients(&[
            (conv(Window::square(3, 1, 1), 3), Follow::Norm),
            (Op::AvgPool { window }, Follow::Nothing),
        ]);
    }
}
