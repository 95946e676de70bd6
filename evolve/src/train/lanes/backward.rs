//! The way back through a batch, and one step of gradient descent.

use exporter::network::{Network, Parameters};

use super::correlate;
use super::dense;
use super::norm::{self, ThroughActivation, ThroughNorm};
use super::plan::Operation;
use super::pool;
use super::vector::Vector;
use super::weights::{Descend, WeightGradient};
use super::workspace::Workspace;

impl Workspace {
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
                    self.instructions.run(correlate::Backward {
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
