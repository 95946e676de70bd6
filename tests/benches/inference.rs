//! Images per second of fixed-point inference, of the same blob with every instruction set that this
//! machine has, beside the f32 inference of the network that it was exported from. One thread; the
//! pixels are noise: speed does not depend on them.
//!
//! `cargo bench -p tests` prints criterion's `elem/s`. On a shared machine only ratios within one
//! run carry over.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use evolve::train::{Backend, Lanes};
use exporter::dataset::Images;
use exporter::export::export;
use exporter::network::{BatchNorm, Input, Layer, Network, Parameters};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;
use runtime_nostd::{Batch, InstructionSet};

const MNIST: Shape = Shape::new(28, 28, 1);
const CIFAR: Shape = Shape::new(32, 32, 3);
const CLASSES: u16 = 10;

/// Not a multiple of 16: the last block of lanes is not full.
const IMAGES: usize = 250;

const POOL: Op = Op::MaxPool {
    window: Window::square(2, 2, 0),
};

/// A convolution padded to keep the map's size, then batch normalization and ReLU.
fn conv(out_channels: u16, kernel_size: u8) -> Op {
    Op::Conv {
        window: Window::square(kernel_size, 1, kernel_size / 2),
        out_channels,
    }
}

/// Four convolutions, all but the first followed by a pool.
fn four(filters: [u16; 4], kernel_size: u8) -> [Op; 7] {
    let [a, b, c, d] = filters.map(|filters| conv(filters, kernel_size));
    [a, b, POOL, c, POOL, d, POOL]
}

fn networks() -> [(&'static str, Network); 4] {
    let m1 = [conv(8, 3), POOL, conv(16, 3), POOL];
    [
        ("M1", network(MNIST, &m1)),
        ("M2", network(CIFAR, &four([16, 16, 32, 32], 3))),
        ("odd 3x3", network(CIFAR, &four([5, 7, 12, 20], 3))),
        ("odd 5x5", network(CIFAR, &four([5, 7, 12, 20], 5))),
    ]
}

/// The operations and a dense layer of all classes, with random weights.
fn network(input: Shape, ops: &[Op]) -> Network {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut shape = input;
    let mut layers = Vec::new();
    for &op in ops.iter().chain([&Op::Dense { outputs: CLASSES }]) {
        let (filters, fan_in) = (op.filters(shape), op.fan_in(shape));
        let bound = (6.0 / fan_in.max(1) as f32).sqrt();
        let is_conv = matches!(op, Op::Conv { .. });
        layers.push(Layer {
            op,
            activation: if is_conv {
                Activation::Relu
            } else {
                Activation::Linear
            },
            parameters: (filters > 0).then(|| Parameters {
                weights: (0..filters * fan_in)
                    .map(|_| rng.random_range(-bound..bound))
                    .collect(),
                bias: vec![0.0; filters],
                norm: is_conv.then(|| BatchNorm::identity(filters)),
            }),
        });
        shape = op.output(shape).expect("the networks above fit");
    }
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

fn noise(shape: Shape) -> Images {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let pixels = (0..IMAGES * shape.elements())
        .map(|_| rng.random())
        .collect();
    Images::new(shape, pixels, vec![0; IMAGES])
}

fn inference(criterion: &mut Criterion) {
    for (name, network) in networks() {
        let images = noise(network.input.shape);
        let order: Vec<u32> = (0..IMAGES as u32).collect();
        let exported = export(&network, Product::Exact).expect("random weights are small");
        let model = exported.blob.model().expect("the exporter has parsed it");

        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(IMAGES as u64));
        let lanes = Lanes::detect();
        group.bench_function(format!("f32 {}", lanes.name()), |bencher| {
            bencher.iter(|| lanes.infer(&network, &images, &order).expect("infers"));
        });
        for instructions in InstructionSet::available() {
            let mut batch = Batch::with(&model, instructions);
            group.bench_function(format!("Q8.8 {}", instructions.name()), |bencher| {
                bencher.iter(|| {
                    batch
                        .infer(images.iter(), |_, logits| _ = black_box(logits))
                        .expect("the images fit");
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = inference
}
criterion_main!(benches);
