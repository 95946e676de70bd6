//! The memory of one training run, planned from the network before it starts, and the pass of one
//! batch through it. Nothing is allocated per batch.

use exporter::dataset::Images;
use exporter::network::{Network, Parameters};
use runtime_nostd::geometry::Activation;

use super::correlate;
use super::dense;
use super::map::{Extent, Reading};
use super::norm::{Moments, Sums, Through, Totals};
use super::plan::{Operation, Plan, Purpose};
use super::pool;
use super::simd::InstructionSet;
use super::softmax::{Score, score};
use super::vector::{LANES, Vector};
use crate::train::update_running;

/// A stored map of the whole batch, and what its readers need.
#[derive(Debug)]
pub(super) struct Map {
    /// `[block, height, width, channels]`.
    pub(super) vectors: Vec<Vector>,
    pub(super) extent: Extent,
    pub(super) reading: Reading,
    /// Of the batch, where batch normalization follows; else 0.
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
}

impl Map {
    pub(super) fn block(&self, block: usize) -> &[Vector] {
        &self.vectors[block * self.extent.vectors()..][..self.extent.vectors()]
    }

    fn block_mut(&mut self, block: usize) -> &mut [Vector] {
        &mut self.vectors[block * self.extent.vectors()..][..self.extent.vectors()]
    }
}

/// All memory of a run.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) instructions: InstructionSet,
    pub(super) operations: Vec<Operation>,
    /// The input, then every layer's output.
    pub(super) maps: Vec<Map>,
    /// With respect to the output of the layer at hand, and to its input.
    pub(super) gradient: Vec<Vector>,
    pub(super) input_gradient: Vec<Vector>,
    pub(super) weight_gradient: Vec<Vector>,
    pub(super) band: Vec<Vector>,
    pub(super) panel: Vec<Vector>,
    pub(super) packed: Vec<f32>,
    pub(super) zeros: Vec<f32>,
    pub(super) sums: Sums,
    pub(super) totals: Totals,
    pub(super) through: Vec<Through>,
    /// Images in the batch at hand.
    pub(super) images: usize,
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
    pub(super) fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
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
                    self.instructions.run(correlate::Forward {
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
    pub(super) fn values_per_channel(&self, index: usize) -> usize {
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

    /// Scores the logits against smoothed labels, which the gradient of the loss is then ready for.
    pub(super) fn score(&mut self, labels: &[u8], smoothing: f32) -> Score {
        let mut total = Score::default();
        for (block, labels) in labels.chunks(LANES).enumerate() {
            let logits = &self.maps[self.maps.len() - 1];
            let classes = logits.extent.vectors();
            let gradient = &mut self.gradient[block * classes..][..classes];
            gradient.copy_from_slice(logits.block(block));
            let score = score(gradient, labels, self.images, smoothing);
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
