//! The interface between the evolutionary algorithm and a CNN implementation (the paper's
//! section 3), and two implementations: [`Lanes`] is the one to train with; [`Reference`] is the
//! specification that it is tested against, in f64 and slow.
//!
//! Both minimize the softmax cross-entropy, averaged over the batch, by plain stochastic gradient
//! descent (section 4). Conventions that every backend keeps:
//!
//! - A pixel `p` is the activation `(p - zero[channel]) / 256`.
//! - While training, batch normalization uses the batch's own mean and (biased) variance, and the
//!   gradient passes through both. The running statistics move by [`RUNNING_FACTOR`] towards the
//!   batch's mean and unbiased variance; a batch with a single value per channel (one image, 1x1
//!   map) says nothing about the variance and leaves it unchanged.
//! - A bias before batch normalization has no effect, hence no gradient, and stays as it is.
//! - The gradient of a maximum goes to the first of equal elements, row by row; that of ReLU at 0
//!   is 0.

use std::num::NonZeroUsize;

use exporter::dataset::Images;
use exporter::network::{BatchNorm, Layer, Network, NetworkError, Parameters};
use runtime_nostd::geometry::{Op, Shape};
use thiserror::Error;

mod lanes;
mod pace;
mod reference;
#[cfg(test)]
mod specimen;

pub use lanes::{Lanes, workspace_bytes};
pub use pace::{Momentum, Pace};
pub use reference::Reference;

/// The weight of a batch in the running mean and variance of batch normalization.
pub const RUNNING_FACTOR: f32 = 0.1;

/// What the evolutionary algorithm needs of a CNN implementation.
///
/// Every call works on one thread; candidates are trained in parallel by calling from several.
/// Results depend on the arguments alone.
pub trait Backend: Sync {
    /// One pass of stochastic gradient descent over `images[order]`, batch by batch; the last
    /// batch takes the rest. Updates weights, biases, batch normalization's scale and shift, and
    /// its running statistics.
    ///
    /// # Errors
    /// Any [`TrainError`]. After [`TrainError::Diverged`] the parameters are of no use.
    fn train(
        &self,
        network: &mut Network,
        images: &Images,
        order: &[u32],
        sgd: &Sgd,
    ) -> Result<Epoch, TrainError>;

    /// As [`Backend::train`], with `pace` before and after every step, which gives the learning rate
    /// instead of `sgd`.
    ///
    /// The provided method, one pass per batch, is what every other one equals.
    ///
    /// # Errors
    /// As [`Backend::train`].
    fn train_at(
        &self,
        pace: &mut dyn Pace,
        network: &mut Network,
        images: &Images,
        order: &[u32],
        sgd: &Sgd,
    ) -> Result<Epoch, TrainError> {
        let mut total = Epoch::default();
        for (batch, indices) in order.chunks(sgd.batch_size.get()).enumerate() {
            let sgd = Sgd {
                learning_rate: pace.before_step(network),
                ..*sgd
            };
            let step = match self.train(network, images, indices, &sgd) {
                Err(TrainError::Diverged { what, .. }) => {
                    return Err(TrainError::Diverged { batch, what });
                }
                step => step?,
            };
            pace.after_step(network);
            let share = indices.len() as f64 / order.len() as f64;
            total.mean_loss += share * step.mean_loss;
            total.accuracy += share * step.accuracy;
        }
        if order.is_empty() {
            return Err(TrainError::NoImages);
        }
        Ok(total)
    }

    /// The logits of `images[indices]` by running statistics: `[indices.len(), classes]`,
    /// row-major.
    ///
    /// # Errors
    /// A network that cannot be executed, or images that do not fit it.
    fn infer(
        &self,
        network: &Network,
        images: &Images,
        indices: &[u32],
    ) -> Result<Vec<f32>, TrainError>;
}

/// Stochastic gradient descent: `w ← w - learning_rate · ∂(mean loss of the batch)/∂w`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Step size (the paper's table 1: 0.1 at first, evolved later).
    pub learning_rate: f32,
    /// Images per step (the paper's table 1: 32).
    pub batch_size: NonZeroUsize,
    /// The part of the target that is spread over all classes alike, 0 to 1; 0 in the paper.
    pub label_smoothing: f32,
}

/// How one pass of training went, measured on each batch before its step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Epoch {
    /// Softmax cross-entropy per image, in nats.
    pub mean_loss: f64,
    /// Fraction of images whose greatest logit is their label's.
    pub accuracy: f64,
}

/// Why a network was not trained or run.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The network itself is inconsistent.
    #[error("the network cannot be executed: {0}")]
    Network(#[from] NetworkError),
    /// No backend trains this operation yet.
    #[error("layer {layer}: {op} cannot be trained, only exported")]
    Untrainable {
        /// Index of the layer.
        layer: usize,
        /// Name of its operation.
        op: &'static str,
    },
    /// Images of another shape than the network reads.
    #[error("the network reads {network} images, the data set holds {images}; decode for the data")]
    ImageShape {
        /// What the first layer reads.
        network: Shape,
        /// What there is.
        images: Shape,
    },
    /// An index beyond the data set.
    #[error("image {index} was asked for, the data set holds {images}")]
    ImageIndex {
        /// The index.
        index: u32,
        /// Images in the data set.
        images: usize,
    },
    /// An image of a class that the network does not know.
    #[error("image {index} has label {label}, the network knows {classes} classes")]
    Label {
        /// Index of the image.
        index: u32,
        /// Its label.
        label: usize,
        /// Classes of the network.
        classes: usize,
    },
    /// An empty training order.
    #[error("there is no image to train on")]
    NoImages,
    /// The loss or a parameter became infinite or undefined.
    #[error(
        "training diverged at batch {batch}: the {what} is not finite; lower the learning rate"
    )]
    Diverged {
        /// Index of the batch within the pass.
        batch: usize,
        /// What was found: the loss, or some layer's parameters.
        what: Divergence,
    },
}

/// What is no longer finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Divergence {
    /// The batch's mean loss.
    Loss,
    /// A weight, bias or value of batch normalization.
    Parameters {
        /// Index of the layer.
        layer: usize,
    },
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Loss => f.write_str("loss"),
            Self::Parameters { layer } => write!(f, "value of a parameter of layer {layer}"),
        }
    }
}

/// What every backend checks before it works: returns the shape that each layer reads.
fn check(network: &Network, images: &Images, indices: &[u32]) -> Result<Vec<Shape>, TrainError> {
    let shapes = network.check()?;
    for (layer, Layer { op, .. }) in network.layers.iter().enumerate() {
        match op {
            Op::Conv { .. } | Op::Dense { .. } | Op::MaxPool { .. } | Op::AvgPool { .. } => {}
            Op::Depthwise { .. } | Op::Add { .. } | Op::Branch { .. } => {
                let op = op.name();
                return Err(TrainError::Untrainable { layer, op });
            }
        }
    }
    if images.shape() != network.input.shape {
        return Err(TrainError::ImageShape {
            network: network.input.shape,
            images: images.shape(),
        });
    }
    match indices
        .iter()
        .find(|&&index| index as usize >= images.len())
    {
        None => Ok(shapes),
        Some(&index) => Err(TrainError::ImageIndex {
            index,
            images: images.len(),
        }),
    }
}

/// What every backend checks in addition before it trains.
fn check_labels(network: &Network, images: &Images, order: &[u32]) -> Result<(), TrainError> {
    if order.is_empty() {
        return Err(TrainError::NoImages);
    }
    let classes = network.classes.len();
    let label = |index: u32| images.label(index as usize);
    match order.iter().find(|&&index| label(index) >= classes) {
        None => Ok(()),
        Some(&index) => Err(TrainError::Label {
            index,
            label: label(index),
            classes,
        }),
    }
}

/// Refuses a network with a parameter that is not finite, found after `batch`.
///
/// The loss alone does not show every such network: ReLU maps an undefined sum to 0.
fn check_finite(network: &Network, batch: usize) -> Result<(), TrainError> {
    let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    let finite_norm = |norm: &BatchNorm| {
        finite(&norm.gamma) && finite(&norm.beta) && finite(&norm.mean) && finite(&norm.variance)
    };
    let finite_parameters = |parameters: &Parameters| {
        finite(&parameters.weights)
            && finite(&parameters.bias)
            && parameters.norm.as_ref().is_none_or(finite_norm)
    };
    let diverged = |layer: &exporter::network::Layer| {
        layer
            .parameters
            .as_ref()
            .is_some_and(|parameters| !finite_parameters(parameters))
    };
    match network.layers.iter().position(diverged) {
        None => Ok(()),
        Some(layer) => Err(TrainError::Diverged {
            batch,
            what: Divergence::Parameters { layer },
        }),
    }
}

/// Moves batch normalization's running statistics towards a batch of `count` values whose biased
/// variance is `variance`.
fn update_running(norm: &mut BatchNorm, filter: usize, mean: f32, variance: f32, count: usize) {
    let towards = |running: &mut f32, batch: f32| *running += RUNNING_FACTOR * (batch - *running);
    towards(&mut norm.mean[filter], mean);
    if count > 1 {
        let unbiased = variance * (count as f32 / (count - 1) as f32);
        towards(&mut norm.variance[filter], unbiased);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::specimen::Follow;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;
    use runtime_nostd::geometry::Op;

    const SGD: Sgd = Sgd {
        learning_rate: 0.1,
        batch_size: NonZeroUsize::new(32).unwrap(),
        label_smoothing: 0.0,
    };

    fn backends() -> [Box<dyn Backend>; 2] {
        [Box::new(Reference), Box::new(Lanes::detect())]
    }

    fn specimen() -> (Network, Images) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let layers = [(Op::Dense { outputs: 4 }, Follow::NormRelu)];
        let network = specimen::network(Shape::new(3, 3, 1), &layers, 3, &mut rng);
        let images = specimen::images(&network, 6, &mut rng);
        (network, images)
    }

    #[test]
    fn images_that_do_not_fit_are_refused() {
        let (mut network, images) = specimen();
        let labels = Images::new(Shape::new(3, 3, 1), vec![0; 9], vec![3]);
        let shape = Images::new(Shape::new(9, 1, 1), vec![0; 9], vec![0]);
        for backend in backends() {
            let mut error = |images, order: &[u32]| {
                backend
                    .train(&mut network, images, order, &SGD)
                    .unwrap_err()
            };
            assert_eq!(error(&images, &[]), TrainError::NoImages);
            assert_eq!(
                error(&images, &[0, 6]),
                TrainError::ImageIndex {
                    index: 6,
                    images: 6
                }
            );
            assert_eq!(
                error(&labels, &[0]),
                TrainError::Label {
                    index: 0,
                    label: 3,
                    classes: 3
                }
            );
            assert!(matches!(error(&shape, &[0]), TrainError::ImageShape { .. }));
            assert_eq!(backend.infer(&network, &images, &[]), Ok(Vec::new()));
        }
    }

    #[test]
    fn divergence_is_an_error() {
        let (network, images) = specimen();
        let sgd = Sgd {
            learning_rate: f32::INFINITY,
            batch_size: NonZeroUsize::new(2).unwrap(),
            label_smoothing: 0.0,
        };
        for backend in backends() {
            let result = backend.train(&mut network.clone(), &images, &[0, 1, 2, 3], &sgd);
            assert_eq!(
                result,
                Err(TrainError::Diverged {
                    batch: 1,
                    what: Divergence::Loss
                })
            );
        }
    }

    #[test]
    fn an_undefined_weight_is_found_behind_relu() {
        let (mut network, images) = specimen();
        network.layers[0].parameters.as_mut().unwrap().weights[0] = f32::NAN;
        for backend in backends() {
            let error = backend.train(&mut network.clone(), &images, &[0, 1, 2, 3], &SGD);
            assert!(
                matches!(error, Err(TrainError::Diverged { .. })),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_single_value_leaves_the_running_variance() {
        let (network, images) = specimen();
        let norm = |network: &Network| network.layers[0].parameters.clone().unwrap().norm.unwrap();
        for backend in backends() {
            let mut trained = network.clone();
            backend.train(&mut trained, &images, &[0], &SGD).unwrap();
            assert_eq!(norm(&trained).variance, norm(&network).variance);
            assert_ne!(norm(&trained).mean, norm(&network).mean);
        }
    }
}
