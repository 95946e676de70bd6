//! The memory of one training run, planned from the network before it starts, and the pass of one
//! batch through it. Nothing is allocated per batch.

use exporter::dataset::Images;
use exporter::network::{Network, Parameters};
use runtime_nostd::geometry::{Activation, Op, Shape};

use super::convolution::{self, Convolution};
use super::dense::{self, Dense};
use super::map::{Extent, Reading};
use super::norm::{self, Moments, Sums, Through, ThroughActivation, ThroughNorm, Totals};
use super::pool::{self, Pool, Pooling};
use super::simd::InstructionSet;
use super::softmax::{Score, score};
use super::vector::{LANES, Vector};
use super::weights::{Descend, WeightGradient, panel_vectors};
use crate::train::update_running;

/// What a layer computes, with its geometry.
#[derive(Clone, Copy, Debug)]
enum Operation {
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
    blocks: usize,
    operations: Vec<Operation>,
    /// Of the input and of every layer's output.
    extents: Vec<Extent>,
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

    fn most_channels(&self) -> usize {
        self.extents
            .iter()
            .map(|extent| extent.channels)
            .max()
            .unwrap_or(0)
    }

    fn band_vectors(&self) -> usize {
        self.operations
            .iter()
            .map(|operation| operation.band_vectors())
            .max()
            .unwrap_or(0)
    }

    fn panel_vectors(&self) -> usize {
        let vectors = |operation: &Operation| match (self.purpose, operation) {
            (Purpose::Training, &Operation::Convolution(convolution)) => panel_vectors(convolution),
            _ => 0,
        };
        self.operations.iter().map(vectors).max().unwrap_or(0)
    }

    fn packed_weights(&self) -> usize {
        self.operations
            .iter()
            .map(|operation| operation.packed_weights())
            .max()
            .unwrap_or(0)
    }

    /// Of the gradient with respect to any map but the input.
    fn gradient_vectors(&self) -> usize {
        let largest = self.extents[1..]
            .iter()
            .map(|extent| extent.vectors())
            .max();
        match self.purpose {
            Purpose::Training => self.blocks * largest.unwrap_or(0),
            Purpose::Inference => 0,
        }
    }

    /// Of the gradient with respect to the weights of a convolution.
    fn weight_gradient_vectors(&self) -> usize {
        match self.purpose {
            Purpose::Training => self.packed_weights(),
            Purpose::Inference => 0,
        }
    }

    /// What [`Workspace::new`] allocates.
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

/// A stored map of the whole batch, and what its readers need.
#[derive(Debug)]
struct Map {
    /// `[block, height, width, channels]`.
    vectors: Vec<Vector>,
    extent: Extent,
    reading: Reading,
    /// Of the batch, where batch normalization follows; else 0.
    mean: Vec<f32>,
    variance: Vec<f32>,
}

impl Map {
    fn block(&self, block: usize) -> &[Vector] {
        &self.vectors[block * self.extent.vectors()..][..self.extent.vectors()]
    }

    fn block_mut(&mut self, block: usize) -> &mut [Vector] {
        &mut self.vectors[block * self.extent.vectors()..][..self.extent.vectors()]
    }
}

/// All memory of a run.
#[derive(Debug)]
pub(super) struct Workspace {
    instructions: InstructionSet,
    operations: Vec<Operation>,
    /// The input, then every layer's output.
    maps: Vec<Map>,
    /// With respect to the output of the layer at hand, and to its input.
    gradient: Vec<Vector>,
    input_gradient: Vec<Vector>,
    weight_gradient: Vec<Vector>,
    band: Vec<Vector>,
    panel: Vec<Vector>,
    packed: Vec<f32>,
    zeros: Vec<f32>,
    sums: Sums,
    totals: Totals,
    through: Vec<Through>,
    /// Images in the batch at hand.
    images: usize,
}

impl Workspace {
    pub(super) fn new(instructions: InstructionSet, network: &Network, plan: Plan) -> Self {
        let activations = std::iter::once(Activation::Linear)
            .chain(network.layers.iter().map(|layer| layer.activation));
        let map = |(extent, activation): (&Extent, Activation)| Map {
            vectors: vec![Vector::ZERO; plan.blocks * extent.vectors()],
            extent: *extent,
            reading: Reading::plain(extent.channels, activation),
            mean: vec![0.0; extent.channels],
            variance: vec![0.0; extent.channels],
        };
        Self {
            instructions,
            maps: plan.extents.iter().zip(activations).map(map).collect(),
            gradient: vec![Vector::ZERO; plan.gradient_vectors()],
            input_gradient: vec![Vector::ZERO; plan.gradient_vectors()],
            weight_gradient: vec![Vector::ZERO; plan.weight_gradient_vectors()],
            band: vec![Vector::ZERO; plan.band_vectors()],
            panel: vec![Vector::ZERO; plan.panel_vectors()],
            packed: vec![0.0; plan.packed_weights()],
            zeros: vec![0.0; plan.most_channels()],
            sums: Sums::new(plan.most_channels()),
            totals: Totals::new(plan.most_channels()),
            through: vec![Through::default(); plan.most_channels()],
            operations: plan.operations,
            images: 0,
        }
    }

    /// Blocks that hold images, with the number that they hold.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let images = self.images;
        (0..images.div_ceil(LANES)).map(move |block| (block, LANES.min(images - block * LANES)))
    }

    /// Loads the images of one batch: as many as planned, or fewer.
    pub(super) fn load(&mut self, network: &Network, images: &Images, indices: &[u32]) {
        self.images = indices.len();
        let zero = network.input.zero.iter().cycle();
        for (block, indices) in indices.chunks(LANES).enumerate() {
            // Lanes beyond the last image repeat it; their gradient is 0.
            let mut pixels: [&[u8]; LANES] =
                [images.pixels(indices[indices.len() - 1] as usize); LANES];
            for (pixels, &index) in pixels.iter_mut().zip(indices) {
                *pixels = images.pixels(index as usize);
            }
            let elements = self.maps[0].block_mut(block).iter_mut().zip(zero.clone());
            for (element, (vector, &zero)) in elements.enumerate() {
                for (lane, pixels) in pixels.iter().enumerate() {
                    vector.0[lane] = (f32::from(pixels[element]) - f32::from(zero)) / 256.0;
                }
            }
        }
    }

    /// Runs the loaded batch through the network, with its own statistics or the running ones.
    pub(super) fn forward(&mut self, network: &Network, purpose: Purpose) {
        for (index, layer) in network.layers.iter().enumerate() {
            self.operate(index, layer.parameters.as_ref());
            let Some(norm) = layer
                .parameters
                .as_ref()
                .and_then(|parameters| parameters.norm.as_ref())
            else {
                continue;
            };
            if purpose == Purpose::Training {
                self.measure(index, &norm.mean);
            } else {
                self.maps[index + 1].mean.copy_from_slice(&norm.mean);
                self.maps[index + 1]
                    .variance
                    .copy_from_slice(&norm.variance);
            }
            let Map {
                reading,
                mean,
                variance,
                ..
            } = &mut self.maps[index + 1];
            reading.normalize(norm, mean, variance);
        }
    }

    /// The sums (or pooled values) of one layer.
    fn operate(&mut self, index: usize, parameters: Option<&Parameters>) {
        let blocks = self.blocks();
        let (read, written) = self.maps.split_at_mut(index + 1);
        let (input, output) = (&read[index], &mut written[0]);
        match (self.operations[index], parameters) {
            (Operation::Convolution(convolution), Some(parameters)) => {
                convolution.pack(&parameters.weights, &mut self.packed);
                for (block, _) in blocks {
                    self.instructions.run(convolution::Forward {
                        convolution,
                        source: input.block(block),
                        reading: &input.reading,
                        packed: &self.packed,
                        bias: &parameters.bias,
                        band: &mut self.band,
                        output: output.block_mut(block),
                    });
                }
            }
            (Operation::Dense(dense), Some(parameters)) => {
                self.instructions.run(dense::Forward {
                    dense: dense.of_blocks(blocks.count()),
                    source: &input.vectors,
                    reading: &input.reading,
                    weights: &parameters.weights,
                    bias: &parameters.bias,
                    band: &mut self.band,
                    output: &mut output.vectors,
                });
            }
            (Operation::Pool(pool), _) => {
                for (block, _) in blocks {
                    self.instructions.run(pool::Forward {
                        pool,
                        source: input.block(block),
                        reading: &input.reading,
                        output: output.block_mut(block),
                    });
                }
            }
            (Operation::Convolution(_) | Operation::Dense(_), None) => {
                unreachable!("Network::check refuses this")
            }
        }
    }

    /// Mean and variance of one layer's sums over the batch.
    fn measure(&mut self, index: usize, running_mean: &[f32]) {
        self.totals.clear();
        for (block, images) in self.blocks() {
            self.instructions.run(Moments {
                map: self.maps[index + 1].block(block),
                origin: running_mean,
                sums: &mut self.sums,
            });
            self.totals.add(&self.sums, images);
        }
        let count = self.values_per_channel(index);
        let map = &mut self.maps[index + 1];
        for (channel, &origin) in running_mean.iter().enumerate() {
            let (mean, variance) = self.totals.moments(channel, origin, count);
            map.mean[channel] = mean;
            map.variance[channel] = variance;
        }
    }

    /// Values that one channel of a layer's output has in the whole batch.
    fn values_per_channel(&self, index: usize) -> usize {
        let extent = self.maps[index + 1].extent;
        self.images * extent.height * extent.width
    }

    /// Moves the running statistics towards those of the batch.
    pub(super) fn update_running(&self, network: &mut Network) {
        for (index, layer) in network.layers.iter_mut().enumerate() {
            let norm = layer
                .parameters
                .as_mut()
                .and_then(|parameters| parameters.norm.as_mut());
            let (Some(norm), map) = (norm, &self.maps[index + 1]) else {
                continue;
            };
            for (channel, (&mean, &variance)) in map.mean.iter().zip(&map.variance).enumerate() {
                update_running(
                    norm,
                    channel,
                    mean,
                    variance,
                    self.values_per_channel(index),
                );
            }
        }
    }

    /// Scores the logits, which the gradient of the loss is then ready for.
    pub(super) fn score(&mut self, labels: &[u8]) -> Score {
        let mut total = Score::default();
        for (block, labels) in labels.chunks(LANES).enumerate() {
            let logits = &self.maps[self.maps.len() - 1];
            let classes = logits.extent.vectors();
            let gradient = &mut self.gradient[block * classes..][..classes];
            gradient.copy_from_slice(logits.block(block));
            let score = score(gradient, labels, self.images);
            total.loss += score.loss;
            total.correct += score.correct;
        }
        total
    }

    /// Appends the logits of the batch, `[image, class]`.
    pub(super) fn append_logits(&self, logits: &mut Vec<f32>) {
        for (block, images) in self.blocks() {
            let vectors = self.maps[self.maps.len() - 1].block(block);
            for lane in 0..images {
                logits.extend(vectors.iter().map(|vector| vector.0[lane]));
            }
        }
    }

    /// Goes backward through the scored batch, and takes one step of gradient descent.
    pub(super) fn backward(&mut self, network: &mut Network, learning_rate: f32) {
        for (index, layer) in network.layers.iter_mut().enumerate().rev() {
            if let Some(parameters) = &mut layer.parameters {
                self.back_to_sums(index, parameters, learning_rate);
            }
            if index > 0 {
                self.back_to_input(index, layer.parameters.as_ref());
            }
            if let Some(parameters) = &mut layer.parameters {
                self.descend(index, &mut parameters.weights, learning_rate);
            }
            std::mem::swap(&mut self.gradient, &mut self.input_gradient);
        }
    }

    /// Turns the gradient with respect to a layer's activations into that with respect to its
    /// sums; bias or batch normalization take their step.
    fn back_to_sums(&mut self, index: usize, parameters: &mut Parameters, learning_rate: f32) {
        let count = self.values_per_channel(index);
        let blocks = self.blocks();
        let map = &self.maps[index + 1];
        let size = map.extent.vectors();
        self.totals.clear();
        for (block, images) in self.blocks() {
            self.instructions.run(ThroughActivation {
                map: map.block(block),
                reading: &map.reading,
                mean: &map.mean,
                gradient: &mut self.gradient[block * size..][..size],
                sums: &mut self.sums,
            });
            self.totals.add(&self.sums, images);
        }
        let Some(norm) = &mut parameters.norm else {
            for (bias, slope) in parameters.bias.iter_mut().zip(&self.totals.first) {
                *bias -= learning_rate * *slope as f32;
            }
            return;
        };
        for (channel, &variance) in map.variance.iter().enumerate() {
            self.through[channel] =
                self.totals
                    .through(channel, norm.gamma[channel], variance, count);
        }
        for (block, images) in blocks {
            self.instructions.run(ThroughNorm {
                map: map.block(block),
                mean: &map.mean,
                through: &self.through,
                mask: Vector::mask(images),
                gradient: &mut self.gradient[block * size..][..size],
            });
        }
        norm::descend(norm, &self.through, learning_rate);
    }

    /// From the gradient with respect to a layer's sums to that with respect to its input.
    fn back_to_input(&mut self, index: usize, parameters: Option<&Parameters>) {
        let blocks = self.blocks();
        let (input, output) = (&self.maps[index], &self.maps[index + 1]);
        let (size, input_size) = (output.extent.vectors(), input.extent.vectors());
        match (self.operations[index], parameters) {
            (Operation::Convolution(convolution), Some(parameters)) => {
                convolution.pack_backward(&parameters.weights, &mut self.packed);
                for (block, _) in blocks {
                    self.instructions.run(convolution::Backward {
                        convolution,
                        gradient: &self.gradient[block * size..][..size],
                        packed: &self.packed,
                        zeros: &self.zeros[..input.extent.channels],
                        band: &mut self.band,
                        input_gradient: &mut self.input_gradient[block * input_size..]
                            [..input_size],
                    });
                }
            }
            (Operation::Dense(dense), Some(parameters)) => {
                self.instructions.run(dense::Backward {
                    dense: dense.of_blocks(blocks.count()),
                    weights: &parameters.weights,
                    gradient: &self.gradient,
                    input_gradient: &mut self.input_gradient,
                });
            }
            (Operation::Pool(pool), _) => {
                for (block, _) in blocks {
                    self.instructions.run(pool::Backward {
                        pool,
                        source: input.block(block),
                        reading: &input.reading,
                        output: output.block(block),
                        gradient: &mut self.gradient[block * size..][..size],
                        input_gradient: &mut self.input_gradient[block * input_size..]
                            [..input_size],
                    });
                }
            }
            (Operation::Convolution(_) | Operation::Dense(_), None) => {
                unreachable!("Network::check refuses this")
            }
        }
    }

    /// One step of the weights, from the gradient with respect to the layer's sums.
    fn descend(&mut self, index: usize, weights: &mut [f32], learning_rate: f32) {
        let blocks = self.blocks();
        let input = &self.maps[index];
        let size = self.maps[index + 1].extent.vectors();
        match self.operations[index] {
            Operation::Convolution(convolution) => {
                let weight_gradient = &mut self.weight_gradient[..weights.len()];
                weight_gradient.fill(Vector::ZERO);
                for (block, _) in blocks {
                    self.instructions.run(WeightGradient {
                        convolution,
                        source: input.block(block),
                        reading: &input.reading,
                        gradient: &self.gradient[block * size..][..size],
                        band: &mut self.band,
                        panel: &mut self.panel,
                        weight_gradient,
                    });
                }
                self.instructions.run(Descend {
                    weights,
                    gradient: weight_gradient,
                    learning_rate,
                });
            }
            Operation::Dense(dense) => self.instructions.run(dense::Descend {
                dense: dense.of_blocks(blocks.count()),
                source: &input.vectors,
                reading: &input.reading,
                gradient: &self.gradient,
                band: &mut self.band,
                weights,
                learning_rate,
            }),
            Operation::Pool(_) => {}
        }
    }
}

#[cfg(test)]
impl Workspace {
    /// The bytes of all buffers, counted from the buffers.
    pub(super) fn allocated_bytes(&self) -> usize {
        let maps = self.maps.iter().map(|map| {
            size_of_val(&*map.vectors)
                + size_of_val(&*map.reading.scale)
                + size_of_val(&*map.reading.shift)
                + size_of_val(&*map.mean)
                + size_of_val(&*map.variance)
        });
        maps.sum::<usize>()
            + size_of_val(&*self.gradient)
            + size_of_val(&*self.input_gradient)
            + size_of_val(&*self.weight_gradient)
            + size_of_val(&*self.band)
            + size_of_val(&*self.panel)
            + size_of_val(&*self.packed)
            + size_of_val(&*self.zeros)
            + self.sums.bytes()
            + size_of_val(&*self.totals.first)
            + size_of_val(&*self.totals.second)
            + size_of_val(&*self.through)
    }
}
