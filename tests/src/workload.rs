//! The networks whose cost is tabulated: the names are those of the kernels' first measurements.

use exporter::quantize::FixedNetwork;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;

use crate::case_file::Case;
use crate::random_network::{self, narrowed};

/// A network to measure.
pub struct Workload {
    /// Its short name.
    pub name: &'static str,
    /// What it computes.
    pub what: &'static str,
    /// Which part of it is of interest.
    pub share: Share,
    /// The network.
    pub network: FixedNetwork,
}

/// Which part of an inference is of interest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The first layer, and what its cost is divided by: multiply-accumulates with weights of the
    /// network, padding included, or elements of its output.
    Layer(u64),
    /// All of it.
    Whole,
}

impl Workload {
    /// The cost of one layer over an image of its input's shape. A dense layer with one output
    /// follows it.
    fn layer(name: &'static str, what: &'static str, input: Shape, op: Op) -> Self {
        let (hidden, classes) = match op {
            Op::Dense { outputs } => (None, outputs),
            _ => (Some(op), 1),
        };
        let macs = op.macs(input).expect("a possible geometry");
        let outputs = op.output(input).map_or(0, Shape::elements) as u64;
        let share = Share::Layer(if macs > 0 { macs } else { outputs });
        Self {
            name,
            what,
            share,
            network: network(input, hidden.as_slice(), classes),
        }
    }

    /// A whole network.
    fn whole(
        name: &'static str,
        what: &'static str,
        input: Shape,
        hidden: &[Op],
        classes: u16,
    ) -> Self {
        Self {
            name,
            what,
            share: Share::Whole,
            network: network(input, hidden, classes),
        }
    }

    /// The same with all weights stored in 8 bits.
    fn narrow(self, name: &'static str, what: &'static str) -> Self {
        Self {
            name,
            what,
            network: narrowed(self.network, u32::MAX),
            ..self
        }
    }

    /// The network with an image.
    pub fn case(&self) -> Case {
        let pixels = random_network::pixels(self.network.input.shape, 7);
        Case::new(self.name, &self.network, pixels)
    }
}

/// A network with random weights, 8 fractional bits, and ReLU behind every convolution.
pub fn network(input: Shape, hidden: &[Op], classes: u16) -> FixedNetwork {
    let hidden: Vec<_> = hidden
        .iter()
        .map(|&op| match op {
            Op::Conv { .. } => (op, Activation::Relu),
            _ => (op, Activation::Linear),
        })
        .collect();
    let mut network = random_network::build(input, Product::Exact, &hidden, classes, 1);
    for layer in &mut network.layers {
        if let Some(parameters) = &mut layer.parameters {
            parameters.frac_bits = 8;
        }
    }
    network
}

/// All of them.
pub fn workloads() -> Vec<Workload> {
    let conv = |kernel, padding, out_channels| Op::Conv {
        window: Window::square(kernel, 1, padding),
        out_channels,
    };
    let pool = Op::MaxPool {
        window: Window::square(2, 2, 0),
    };
    let lenet = [conv(5, 0, 8), pool, conv(5, 0, 16), pool];
    let w1 = || {
        Workload::layer(
            "W1",
            "conv 3x3, 16 to 32 channels, 16x16",
            Shape::new(16, 16, 16),
            conv(3, 1, 32),
        )
    };
    let w4 = || {
        Workload::layer(
            "W4",
            "dense, 1024 to 10",
            Shape::new(1, 1, 1024),
            Op::Dense { outputs: 10 },
        )
    };
    let w6 = || {
        Workload::whole(
            "W6",
            "conv 5x5 8, pool, conv 5x5 16, pool, dense 10, 28x28",
            Shape::new(28, 28, 1),
            &lenet,
            10,
        )
    };
    vec![
        w1(),
        w1().narrow("W1-8", "W1 with weights of 8 bits"),
        Workload::layer(
            "W2",
            "conv 3x3, 3 to 16, 32x32",
            Shape::new(32, 32, 3),
            conv(3, 1, 16),
        ),
        Workload::layer(
            "W3",
            "conv 5x5, 1 to 8, 28x28",
            Shape::new(28, 28, 1),
            conv(5, 0, 8),
        ),
        w4(),
        w4().narrow("W4-8", "W4 with weights of 8 bits"),
        Workload::layer(
            "W5",
            "max pool 2x2, 32x32x16 (per output)",
            Shape::new(32, 32, 16),
            pool,
        ),
        w6(),
        w6().narrow("W6-8", "W6 with weights of 8 bits"),
        Workload::layer(
            "W7",
            "conv 3x3, 7 to 13, 15x15",
            Shape::new(15, 15, 7),
            conv(3, 1, 13),
        ),
    ]
}
