//! What a training run computes and how much memory it takes, known before it starts.

use exporter::network::Network;
use runtime_nostd::geometry::{Op, Shape};

use super::convolution::Convolution;
use super::dense::Dense;
use super::map::Extent;
use super::norm::Through;
use super::pool::{Pool, Pooling};
use super::vector::{LANES, Vector};
use super::weights::panel_vectors;

/// What a layer computes, with its geometry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Convolution(Convolution),
    Dense(Dense),
    Pool(Pool),
}

impl Operation {
    fn new(op: Op, input: Extent, output: Extent, blocks: usize) -> Self {
        let pool = |pooling, window| {
            Self::Pool(Pool {
                pooling,
                window,
                input,
                output,
            })
        };
        match op {
            Op::Conv { window, .. } => Self::Convolution(Convolution::new(window, input, output)),
            Op::Dense { .. } => Self::Dense(Dense {
                inputs: input.vectors(),
                channels: input.channels,
                outputs: output.channels,
                blocks,
            }),
            Op::MaxPool { window } => pool(Pooling::Max, window),
            Op::AvgPool { window } => pool(Pooling::Average, window),
            Op::Depthwise { .. } | Op::Add { .. } | Op::Branch { .. } => {
                unreachable!("`check` refuses what cannot be trained")
            }
        }
    }

    /// Vectors of the largest band of rows that it works on.
    fn band_vectors(self) -> usize {
        match self {
            Self::Convolution(convolution) => convolution.band_vectors(),
            Self::Dense(dense) => dense.band_vectors(),
            Self::Pool(_) => 0,
        }
    }

    /// Weights that must be packed, and kept apart for each lane.
    fn packed_weights(self) -> usize {
        match self {
            Self::Convolution(convolution) => convolution.fan_in() * convolution.output.channels,
            Self::Dense(_) | Self::Pool(_) => 0,
        }
    }
}

/// What a workspace is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Batch statistics, and a backward pass.
    Training,
    /// Running statistics, forward only.
    Inference,
}

/// The geometry of a network for batches of up to `images` images, and the size of every buffer.
#[derive(Debug)]
pub(super) struct Plan {
    purpose: Purpose,
    pub(super) blocks: usize,
    pub(super) operations: Vec<Operation>,
    /// Of the input and of every layer's output.
    pub(super) extents: Vec<Extent>,
}

impl Plan {
    pub(super) fn new(
        network: &Network,
        shapes: &[Shape],
        images: usize,
        purpose: Purpose,
    ) -> Self {
        let blocks = images.div_ceil(LANES);
        let extents: Vec<Extent> = shapes.iter().copied().map(Extent::of).collect();
        let operations = network
            .layers
            .iter()
            .zip(extents.windows(2))
            .map(|(layer, extents)| Operation::new(layer.op, extents[0], extents[1], blocks))
            .collect();
        Self {
            purpose,
            blocks,
            operations,
            extents,
        }
    }

    pub(super) fn most_channels(&self) -> usize {
        greatest(self.extents.iter().map(|extent| extent.channels))
    }

    pub(super) fn band_vectors(&self) -> usize {
        greatest(
            self.operations
                .iter()
                .map(|operation| operation.band_vectors()),
        )
    }

    pub(super) fn panel_vectors(&self) -> usize {
        let vectors = |operation: &Operation| match (self.purpose, operation) {
            (Purpose::Training, &Operation::Convolution(convolution)) => panel_vectors(convolution),
            _ => 0,
        };
        greatest(self.operations.iter().map(vectors))
    }

    pub(super) fn packed_weights(&self) -> usize {
        greatest(
            self.operations
                .iter()
                .map(|operation| operation.packed_weights()),
        )
    }

    /// Of the gradient with respect to any map but the input.
    pub(super) fn gradient_vectors(&self) -> usize {
        let largest = greatest(self.extents[1..].iter().map(|extent| extent.vectors()));
        match self.purpose {
            Purpose::Training => self.blocks * largest,
            Purpose::Inference => 0,
        }
    }

    /// Of the gradient with respect to the weights of a convolution.
    pub(super) fn weight_gradient_vectors(&self) -> usize {
        match self.purpose {
            Purpose::Training => self.packed_weights(),
            Purpose::Inference => 0,
        }
    }

    /// What [`Workspace::new`](super::workspace::Workspace::new) allocates.
    pub(super) fn bytes(&self) -> usize {
        let maps: usize = self.extents.iter().map(|extent| extent.vectors()).sum();
        let channels: usize = self.extents.iter().map(|extent| extent.channels).sum();
        let vectors = self.blocks * maps
            + self.band_vectors()
            + self.panel_vectors()
            + 2 * self.gradient_vectors()
            + self.weight_gradient_vectors()
            + 2 * self.most_channels();
        let floats = self.packed_weights() + self.most_channels() + 4 * channels;
        let per_channel = 2 * size_of::<f64>() + size_of::<Through>();
        vectors * size_of::<Vector>()
            + floats * size_of::<f32>()
            + self.most_channels() * per_channel
    }
}

fn greatest(values: impl Iterator<Item = usize>) -> usize {
    values.max().unwrap_or(0)
}
