//! Architectures that measurements and tests name.

use exporter::write::{Blob, write};
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;

use crate::random_network::{narrowed, network_of};

/// Operations over an image.
#[derive(Clone, Debug)]
pub struct Architecture {
    /// Shape of the image.
    pub input: Shape,
    /// The operations, first to last.
    pub ops: Vec<Op>,
}

fn conv(kernel_size: u8, stride: u8, out_channels: u16) -> Op {
    Op::Conv {
        window: Window::square(kernel_size, stride, kernel_size / 2),
        out_channels,
    }
}

fn valid(kernel_size: u8, out_channels: u16) -> Op {
    Op::Conv {
        window: Window::square(kernel_size, 1, 0),
        out_channels,
    }
}

fn depthwise(stride: u8) -> Op {
    Op::Depthwise {
        window: Window::square(3, stride, 1),
    }
}

const POOL: Op = Op::MaxPool {
    window: Window::square(2, 2, 0),
};

const CLASSIFY: Op = Op::Dense { outputs: 10 };

/// 32x32x3: two convolutions of 16 channels, then 32 and 32, each halved by pooling.
pub fn m2() -> Architecture {
    Architecture {
        input: Shape::new(32, 32, 3),
        ops: vec![
            conv(3, 1, 16),
            conv(3, 1, 16),
            POOL,
            conv(3, 1, 32),
            POOL,
            conv(3, 1, 32),
            POOL,
            CLASSIFY,
        ],
    }
}

/// 28x28x1: LeNet's outline, 5x5 convolutions of 8 and 16 channels without padding.
pub fn w6() -> Architecture {
    Architecture {
        input: Shape::new(28, 28, 1),
        ops: vec![valid(5, 8), POOL, valid(5, 16), POOL, CLASSIFY],
    }
}

/// 96x96x3: MobileNet (Howard et al. 2017, table 1) with a width multiplier of 0.25.
pub fn mobilenet() -> Architecture {
    let blocks = [
        (1, 16),
        (2, 32),
        (1, 32),
        (2, 64),
        (1, 64),
        (2, 128),
        (1, 128),
        (1, 128),
        (1, 128),
        (1, 128),
        (1, 128),
        (2, 256),
        (1, 256),
    ];
    let mut ops = vec![conv(3, 2, 8)];
    for (stride, channels) in blocks {
        ops.extend([depthwise(stride), conv(1, 1, channels)]);
    }
    let window = Window::square(3, 3, 0);
    ops.extend([Op::AvgPool { window }, CLASSIFY]);
    Architecture {
        input: Shape::new(96, 96, 3),
        ops,
    }
}

/// 32x32x3: ResNet-8 as in MLPerf Tiny, three residual blocks of 16, 32 and 64 channels, the last
/// two with projection shortcuts.
pub fn resnet8() -> Architecture {
    let mut ops = vec![
        conv(3, 1, 16),
        conv(3, 1, 16),
        conv(3, 1, 16),
        Op::Add { from: 0 },
    ];
    for channels in [32, 64] {
        let from = ops.len() as u8 - 1;
        ops.extend([
            conv(1, 2, channels),
            Op::Branch { from },
            conv(3, 2, channels),
            conv(3, 1, channels),
            Op::Add { from: from + 1 },
        ]);
    }
    let window = Window::square(8, 8, 0);
    ops.extend([Op::AvgPool { window }, CLASSIFY]);
    Architecture {
        input: Shape::new(32, 32, 3),
        ops,
    }
}

/// Blobs of small networks of the kinds that people deploy: plain, separable and residual; then the
/// same with weights of 8 bits.
pub fn small_blobs() -> [Blob; 6] {
    let linear = |op| (op, Activation::Linear);
    let relu = |op| (op, Activation::Relu);
    let halved = Window::square(2, 2, 0);
    let plain = vec![
        relu(conv(3, 1, 4)),
        linear(POOL),
        relu(conv(3, 1, 5)),
        linear(Op::AvgPool { window: halved }),
        relu(Op::Dense { outputs: 6 }),
    ];
    let separable = vec![
        relu(conv(3, 2, 3)),
        relu(depthwise(1)),
        relu(conv(1, 1, 6)),
        relu(depthwise(2)),
        relu(conv(1, 1, 4)),
    ];
    let residual = vec![
        relu(conv(3, 1, 3)),
        linear(conv(1, 2, 4)),
        linear(Op::Branch { from: 0 }),
        relu(conv(3, 2, 4)),
        linear(conv(3, 1, 4)),
        relu(Op::Add { from: 1 }),
    ];
    let wide = [plain, separable, residual].map(|ops| {
        let layers = ops.len() + 1;
        let network = network_of(Shape::new(8, 8, 1), Product::Exact, ops, 1);
        assert_eq!(network.layers.len(), layers, "all layers fit");
        network
    });
    let [a, b, c] = wide.clone();
    let [d, e, f] = wide.map(|network| narrowed(network, u32::MAX));
    [a, b, c, d, e, f].map(|network| write(&network).expect("within bounds"))
}
