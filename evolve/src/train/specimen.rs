//! Networks and images to test backends with.

use exporter::dataset::Images;
use exporter::network::{BatchNorm, Input, Layer, Network, Parameters};
use rand::RngExt;
use rand_core::Rng;
use runtime_nostd::geometry::{Activation, Op, Shape};

/// What follows a convolution or a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    Nothing,
    Relu,
    Norm,
    NormRelu,
}

/// A network of `ops` with random parameters, closed by a dense layer.
pub(super) fn network<R: Rng + ?Sized>(
    input: Shape,
    ops: &[(Op, Follow)],
    classes: u16,
    rng: &mut R,
) -> Network {
    let mut shape = input;
    let mut layers = Vec::new();
    for &(op, follow) in ops
        .iter()
        .chain([&(Op::Dense { outputs: classes }, Follow::Nothing)])
    {
        layers.push(layer(op, shape, follow, rng));
        shape = op.output(shape).unwrap();
    }
    Network {
        input: Input {
            shape: input,
            zero: (0..input.channels)
                .map(|_| rng.random_range(100..150))
                .collect(),
        },
        layers,
        classes: vec![String::new(); classes.into()],
        provenance: String::new(),
    }
}

/// `count` images of noise with every label in turn.
pub(super) fn images<R: Rng + ?Sized>(network: &Network, count: usize, rng: &mut R) -> Images {
    let shape = network.input.shape;
    let pixels = (0..count * shape.elements())
        .map(|_| rng.random())
        .collect();
    let labels = (0..count)
        .map(|image| (image % network.classes.len()) as u8)
        .collect();
    Images::new(shape, pixels, labels)
}

fn layer<R: Rng + ?Sized>(op: Op, input: Shape, follow: Follow, rng: &mut R) -> Layer {
    let filters = op.filters(input);
    let mut random = |count: usize, low: f32, high: f32| -> Vec<f32> {
        (0..count).map(|_| rng.random_range(low..high)).collect()
    };
    // Sums of about the same size in every layer.
    let bound = (6.0 / op.fan_in(input).max(1) as f32).sqrt();
    let parameters = Parameters {
        weights: random(filters * op.fan_in(input), -bound, bound),
        bias: random(filters, -0.5, 0.5),
        norm: matches!(follow, Follow::Norm | Follow::NormRelu).then(|| BatchNorm {
            gamma: random(filters, 0.5, 1.5),
            beta: random(filters, -0.5, 0.5),
            mean: random(filters, -0.5, 0.5),
            variance: random(filters, 0.5, 1.5),
        }),
    };
    Layer {
        op,
        activation: match follow {
            Follow::Relu | Follow::NormRelu => Activation::Relu,
            Follow::Nothing | Follow::Norm => Activation::Linear,
        },
        parameters: (filters > 0).then_some(parameters),
    }
}
