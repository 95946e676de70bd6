//! Images per second of one pass of training and of inference, on one thread, for networks of the
//! sizes that the evolution visits. The pixels are noise: speed does not depend on them.
//!
//! `cargo bench -p evolve` prints images per second (criterion's `elem/s`); the name of each network
//! carries its multiply-accumulates per image, forward, from which the arithmetic rate follows: a
//! training pass computes three times as many, without those of the gradient of the image.

use std::num::NonZeroUsize;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use evolve::train::{Backend, Lanes, Sgd};
use exporter::dataset::Images;
use exporter::network::{BatchNorm, Input, Layer, Network, Parameters};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};

const CLASSES: u16 = 10;
const MNIST: Shape = Shape::new(28, 28, 1);
const CIFAR: Shape = Shape::new(32, 32, 3);

/// Convolution with batch normalization and ReLU, padded to keep the map's size.
fn conv(out_channels: u16, kernel_size: u8) -> Op {
    Op::Conv {
        window: Window::square(kernel_size, 1, kernel_size / 2),
        out_channels,
    }
}

const POOL: Op = Op::MaxPool {
    window: Window::square(2, 2, 0),
};

fn networks() -> Vec<(&'static str, Network)> {
    let m1 = [conv(8, 3), POOL, conv(16, 3), POOL];
    let m2 = [
        conv(16, 3),
        conv(16, 3),
        POOL,
        conv(32, 3),
        POOL,
        conv(32, 3),
        POOL,
    ];
    let m3 = [
        conv(32, 3),
        conv(32, 3),
        POOL,
        conv(64, 3),
        conv(64, 3),
        POOL,
        conv(128, 3),
        POOL,
        Op::Dense { outputs: 104 },
    ];
    let odd = [
        conv(5, 3),
        conv(7, 3),
        POOL,
        conv(12, 3),
        POOL,
        conv(20, 3),
        POOL,
    ];
    let odd_5x5 = [
        conv(5, 5),
        conv(7, 5),
        POOL,
        conv(12, 5),
        POOL,
        conv(20, 5),
        POOL,
    ];
    vec![
        ("m1", network(MNIST, &m1)),
        ("m2", network(CIFAR, &m2)),
        ("m3", network(CIFAR, &m3)),
        ("odd", network(CIFAR, &odd)),
        ("odd 5x5", network(CIFAR, &odd_5x5)),
    ]
}

fn network(input: Shape, ops: &[Op]) -> Network {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut shape = input;
    let mut layers = Vec::new();
    for op in ops.iter().copied().chain([Op::Dense { outputs: CLASSES }]) {
        let (filters, fan_in) = (op.filters(shape), op.fan_in(shape));
        let bound = (6.0 / fan_in.max(1) as f32).sqrt();
        let weights = (0..filters * fan_in)
            .map(|_| rng.random_range(-bound..bound))
            .collect();
        layers.push(Layer {
            op,
            activation: if filters == 0 {
                Activation::Linear
            } else {
                Activation::Relu
            },
            parameters: (filters > 0).then(|| Parameters {
                weights,
                bias: vec![0.0; filters],
                norm: matches!(op, Op::Conv { .. }).then(|| BatchNorm::identity(filters)),
            }),
        });
        shape = op
            .output(shape)
            .expect("the networks above fit their images");
    }
    layers.last_mut().expect("the dense layer").activation = Activation::Linear;
    Network {
        input: Input {
            shape: input,
            zero: vec![128; input.channels.into()],
        },
        layers,
        classes: vec![String::new(); CLASSES.into()],
        provenance: String::new(),
    }
}

fn noise(shape: Shape, count: usize) -> Images {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let pixels = (0..count * shape.elements())
        .map(|_| rng.random())
        .collect();
    let labels = (0..count)
        .map(|_| rng.random_range(0..CLASSES as u8))
        .collect();
    Images::new(shape, pixels, labels)
}

/// Forward multiply-accumulates of one image.
fn macs(network: &Network) -> u64 {
    let shapes = network
        .shapes()
        .expect("the networks above fit their images");
    let layers = network.layers.iter().zip(shapes);
    layers
        .filter_map(|(layer, shape)| layer.op.macs(shape).ok())
        .sum()
}

fn training(criterion: &mut Criterion) {
    let sgd = Sgd {
        label_smoothing: 0.0,
        learning_rate: 0.01,
        batch_size: NonZeroUsize::new(32).expect("not 0"),
    };
    for (name, network) in networks() {
        let count = if macs(&network) > 20_000_000 {
            160
        } else {
            1024
        };
        let images = noise(network.input.shape, count);
        let order: Vec<u32> = (0..count as u32).collect();
        let label = format!("{name} ({:.2} M MACs)", macs(&network) as f64 / 1e6);

        let mut group = criterion.benchmark_group("train");
        group.throughput(Throughput::Elements(count as u64));
        for lanes in Lanes::all()
            .into_iter()
            .filter(|lanes| lanes.name() != "portable")
        {
            let id = BenchmarkId::new(lanes.name(), &label);
            group.bench_function(id, |bencher| {
                let mut network = network.clone();
                bencher.iter(|| {
                    lanes
                        .train(&mut network, &images, &order, &sgd)
                        .expect("trains")
                });
            });
        }
        group.finish();

        let mut group = criterion.benchmark_group("infer");
        group.throughput(Throughput::Elements(count as u64));
        let lanes = Lanes::detect();
        group.bench_function(BenchmarkId::new(lanes.name(), &label), |bencher| {
            bencher.iter(|| lanes.infer(&network, &images, &order).expect("infers"));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = training
}
criterion_main!(benches);
