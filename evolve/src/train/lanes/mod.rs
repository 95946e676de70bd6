//! The fast backend: lanes are images of the batch.
//!
//! 16 images lie side by side in every [`Vector`](vector::Vector), so a map of a block of 16 images
//! is `[height, width, channels]` vectors and each f32 weight is broadcast to 16 products. Every
//! filter count, kernel size, stride and padding runs at full width: evolved layers of 5, 7 or 12
//! filters have no tails. Batches are cut into blocks of 16; the lanes that hold no image in the
//! last block have no gradient and no part in the statistics.
//!
//! - A layer stores its sums once. Batch normalization and ReLU are applied by whoever reads them
//!   ([`map::Reading`]), while it copies rows into a zero-padded band that fits the cache
//!   ([`convolution`]).
//! - Convolution forward, and backward to its input, are one correlation of a band with packed
//!   weights ([`correlate`]); the gradient of weights keeps its lanes apart to the end of the batch
//!   ([`weights`]).
//! - The kernels are safe, generic code, compiled for AVX-512, AVX2 and neither; what a register is
//!   stands in [`simd`] alone.
//! - All memory of a run is planned before it starts ([`plan`]); [`workspace`] goes forward through
//!   a batch, [`backward`] back.

use exporter::dataset::Images;
use exporter::network::Network;

use super::pace::{Constant, Pace};
use super::{Backend, Divergence, Epoch, Sgd, TrainError, check, check_finite, check_labels};
use plan::{Plan, Purpose};
use simd::InstructionSet;
use softmax::Score;
use workspace::Workspace;

mod backward;
mod convolution;
mod correlate;
mod dense;
mod map;
mod norm;
mod plan;
mod pool;
mod simd;
mod softmax;
#[cfg(test)]
mod tests;
mod vector;
mod weights;
mod workspace;

/// Images per pass when there is no batch to keep: one block, for the cache's sake.
const INFERENCE_BATCH: usize = vector::LANES;

/// The fast backend.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    instructions: InstructionSet,
}

impl Lanes {
    /// With the fastest instruction set of this machine.
    pub fn detect() -> Self {
        Self {
            instructions: InstructionSet::detect(),
        }
    }

    /// One backend for each instruction set of this machine, fastest first. All give the same
    /// bits.
    pub fn all() -> Vec<Self> {
        let lanes = |instructions| Self { instructions };
        InstructionSet::all().into_iter().map(lanes).collect()
    }

    /// The name of the instruction set.
    pub fn name(&self) -> &'static str {
        self.instructions.name()
    }
}

/// Bytes that training `network` in batches of `batch_size` allocates, apart from the network.
///
/// # Errors
/// A network that cannot be executed.
pub fn workspace_bytes(network: &Network, batch_size: usize) -> Result<usize, TrainError> {
    let shapes = network.check()?;
    Ok(Plan::new(network, &shapes, batch_size, Purpose::Training).bytes())
}

impl Backend for Lanes {
    fn train(
        &self,
        network: &mut Network,
        images: &Images,
        order: &[u32],
        sgd: &Sgd,
    ) -> Result<Epoch, TrainError> {
        self.train_at(
            &mut Constant(sgd.learning_rate),
            network,
            images,
            order,
            sgd,
        )
    }

    fn train_at(
        &self,
        pace: &mut dyn Pace,
        network: &mut Network,
        images: &Images,
        order: &[u32],
        sgd: &Sgd,
    ) -> Result<Epoch, TrainError> {
        let shapes = check(network, images, order)?;
        check_labels(network, images, order)?;
        let batch_size = sgd.batch_size.get().min(order.len());
        let plan = Plan::new(network, &shapes, batch_size, Purpose::Training);
        let mut workspace = Workspace::new(self.instructions, network, plan);
        let mut labels = Vec::with_capacity(batch_size);
        let mut total = Score::default();
        for (batch, indices) in order.chunks(batch_size).enumerate() {
            labels.clear();
            labels.extend(
                indices
                    .iter()
                    .map(|&index| images.label(index as usize) as u8),
            );
            workspace.load(network, images, indices);
            workspace.forward(network, Purpose::Training);
            let score = workspace.score(&labels, sgd.label_smoothing);
            if !score.loss.is_finite() {
                return Err(TrainError::Diverged {
                    batch,
                    what: Divergence::Loss,
                });
            }
            total.loss += score.loss;
            total.correct += score.correct;
            let learning_rate = pace.before_step(network);
            workspace.backward(network, learning_rate);
            workspace.update_running(network);
            pace.after_step(network);
        }
        check_finite(network, order.len().div_ceil(batch_size) - 1)?;
        Ok(Epoch {
            mean_loss: total.loss / order.len() as f64,
            accuracy: total.correct as f64 / order.len() as f64,
        })
    }

    fn infer(
        &self,
        network: &Network,
        images: &Images,
        indices: &[u32],
    ) -> Result<Vec<f32>, TrainError> {
        let shapes = check(network, images, indices)?;
        let plan = Plan::new(network, &shapes, INFERENCE_BATCH, Purpose::Inference);
        let mut workspace = Workspace::new(self.instructions, network, plan);
        let mut logits = Vec::with_capacity(indices.len() * network.classes.len());
        for indices in indices.chunks(INFERENCE_BATCH) {
            workspace.load(network, images, indices);
            workspace.forward(network, Purpose::Inference);
            workspace.append_logits(&mut logits);
        }
        Ok(logits)
    }
}
