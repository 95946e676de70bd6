//! The chromosome (paper, section 3.2): a header and a list of layers of variable length.
//!
//! What every network has in common is not in the list: batch normalization and ReLU after each
//! convolution, and the flattening and fully connected layers at the end. [`crate::decode`] adds
//! them.

use core::ops::RangeInclusive;

use runtime_nostd::geometry::{Op, Window};
use serde::{Deserialize, Serialize};

/// The most genes of a genome.
pub const MAX_GENES: usize = 24;
/// The most filters of a convolution.
pub const MAX_FILTERS: u16 = 128;
/// The largest kernel of a convolution, in elements per side.
pub const MAX_KERNEL_SIZE: u8 = 7;
/// The largest stride of a convolution.
pub const MAX_CONV_STRIDE: u8 = 4;
/// The smallest window of a pooling layer, in elements per side.
pub const MIN_POOL_SIZE: u8 = 2;
/// The largest window and stride of a pooling layer. Operators stay within
/// [`NewLayers::max_pool_size`](crate::settings::NewLayers::max_pool_size); the wider bound
/// lets a seed network end in a global average over an 8x8 map.
pub const MAX_POOL_SIZE: u8 = 8;
/// The most neurons of the flattening layer.
pub const MAX_FLATTEN_NEURONS: u16 = 512;
/// The learning rates that evolution may reach.
pub const LEARNING_RATES: RangeInclusive<f32> = 1e-4..=1.0;

/// A chromosome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Genome {
    /// What is not a layer.
    pub header: Header,
    /// The body, first layer to last; at most [`MAX_GENES`].
    pub genes: Vec<Gene>,
}

/// The header of a chromosome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Unique in its run.
    pub id: u64,
    /// Trainings that count for speciation (section 3.4, [`crate::age`]).
    pub age: u32,
    /// Step size of the stochastic gradient descent, within [`LEARNING_RATES`].
    pub learning_rate: f32,
    /// Neurons of the flattening layer: the connections that each output of the last fully
    /// connected layer has. `1..=`[`MAX_FLATTEN_NEURONS`].
    pub flatten_neurons: u16,
}

/// One layer of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Gene {
    /// Convolution, batch normalization and ReLU.
    Conv {
        /// Rows and columns of the kernel, `1..=`[`MAX_KERNEL_SIZE`].
        kernel_size: u8,
        /// Filters, `1..=`[`MAX_FILTERS`].
        filters: u16,
        /// Elements between neighboring outputs, `1..=`[`MAX_CONV_STRIDE`].
        stride: u8,
        /// Zero padding on each side, less than `kernel_size`.
        padding: u8,
    },
    /// Pooling without padding.
    Pool {
        /// What is taken of the window.
        kind: PoolKind,
        /// Rows and columns of the window, [`MIN_POOL_SIZE`]`..=`[`MAX_POOL_SIZE`].
        size: u8,
        /// Elements between neighboring outputs, `1..=`[`MAX_POOL_SIZE`].
        stride: u8,
    },
}

/// The subsampling type of a pooling layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PoolKind {
    /// Maximum of the window.
    Max,
    /// Mean of the window.
    Avg,
}

impl Gene {
    /// The operation that this gene stands for.
    pub const fn op(self) -> Op {
        match self {
            Self::Conv {
                kernel_size,
                filters,
                stride,
                padding,
            } => Op::Conv {
                window: Window::square(kernel_size, stride, padding),
                out_channels: filters,
            },
            Self::Pool { kind, size, stride } => {
                let window = Window::square(size, stride, 0);
                match kind {
                    PoolKind::Max => Op::MaxPool { window },
                    PoolKind::Avg => Op::AvgPool { window },
                }
            }
        }
    }
}
