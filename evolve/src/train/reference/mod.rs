//! The specification: forward and backward pass written as the formulas stand, in f64, checked
//! against finite differences of the loss.
//!
//! Parameters are f64 for the whole pass over the data and are rounded to f32 once at its end.

use exporter::dataset::Images;
use exporter::forward::Forward;
use exporter::network::Network;

use super::{Backend, Divergence, Epoch, Sgd, TrainError, check, check_finite, check_labels};
use forward::Pass;

mod backward;
mod forward;
#[cfg(test)]
mod gradient_check;

/// The slow, simple backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl Backend for Reference {
    fn train(
        &self,
        network: &mut Network,
        images: &Images,
        order: &[u32],
        sgd: &Sgd,
    ) -> Result<Epoch, TrainError> {
        let shapes = check(network, images, order)?;
        check_labels(network, images, order)?;
        let mut learned = Learned::of(network);
        let (mut loss, mut correct) = (0.0, 0);
        for (batch, indices) in order.chunks(sgd.batch_size.get()).enumerate() {
            let smoothing = sgd.label_smoothing.into();
            let pass = Pass::run(network, &shapes, &learned, images, indices, smoothing);
            if !pass.loss.is_finite() {
                return Err(TrainError::Diverged {
                    batch,
                    what: Divergence::Loss,
                });
            }
            loss += pass.loss * indices.len() as f64;
            correct += pass.correct;
            let gradient = backward::gradient(network, &shapes, &learned, &pass);
            learned.descend(&gradient, f64::from(sgd.learning_rate));
            pass.update_running_statistics(network);
        }
        learned.store(network);
        check_finite(network, order.len().div_ceil(sgd.batch_size.get()) - 1)?;
        Ok(Epoch {
            mean_loss: loss / order.len() as f64,
            accuracy: correct as f64 / order.len() as f64,
        })
    }

    fn infer(
        &self,
        network: &Network,
        images: &Images,
        indices: &[u32],
    ) -> Result<Vec<f32>, TrainError> {
        check(network, images, indices)?;
        let forward = Forward::new(network)?;
        let logits = |&index: &u32| forward.logits(images.pixels(index as usize));
        Ok(indices.iter().flat_map(logits).collect())
    }
}

/// The values that descend the gradient, or the gradient itself: one entry per layer.
#[derive(Clone, Debug)]
struct Learned(Vec<LearnedLayer>);

/// As [`exporter::network::Parameters`]; empty where the layer has no such values.
#[derive(Clone, Debug, Default)]
struct LearnedLayer {
    weights: Vec<f64>,
    bias: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
}

impl LearnedLayer {
    /// As many values as `self`, all 0.
    fn zeros(&self) -> Self {
        Self {
            weights: vec![0.0; self.weights.len()],
            bias: vec![0.0; self.bias.len()],
            gamma: vec![0.0; self.gamma.len()],
            beta: vec![0.0; self.beta.len()],
        }
    }

    /// The four kinds of parameters.
    fn kinds(&self) -> [&[f64]; 4] {
        [&self.weights, &self.bias, &self.gamma, &self.beta]
    }

    fn kinds_mut(&mut self) -> [&mut [f64]; 4] {
        [
            &mut self.weights,
            &mut self.bias,
            &mut self.gamma,
            &mut self.beta,
        ]
    }
}

impl Learned {
    fn of(network: &Network) -> Self {
        let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
        let layer = |layer: &exporter::network::Layer| match &layer.parameters {
            None => LearnedLayer::default(),
            Some(parameters) => LearnedLayer {
                weights: wide(&parameters.weights),
                bias: wide(&parameters.bias),
                gamma: parameters
                    .norm
                    .iter()
                    .flat_map(|norm| wide(&norm.gamma))
                    .collect(),
                beta: parameters
                    .norm
                    .iter()
                    .flat_map(|norm| wide(&norm.beta))
                    .collect(),
            },
        };
        Self(network.layers.iter().map(layer).collect())
    }

    fn descend(&mut self, gradient: &Learned, learning_rate: f64) {
        for (layer, gradient) in self.0.iter_mut().zip(&gradient.0) {
            for (values, slopes) in layer.kinds_mut().into_iter().zip(gradient.kinds()) {
                for (value, slope) in values.iter_mut().zip(slopes) {
                    *value -= learning_rate * slope;
                }
            }
        }
    }

    fn store(&self, network: &mut Network) {
        let narrow = |values: &mut [f32], wide: &[f64]| {
            values
                .iter_mut()
                .zip(wide)
                .for_each(|(value, &wide)| *value = wide as f32);
        };
        for (layer, learned) in network.layers.iter_mut().zip(&self.0) {
            let Some(parameters) = &mut layer.parameters else {
                continue;
            };
            narrow(&mut parameters.weights, &learned.weights);
            narrow(&mut parameters.bias, &learned.bias);
            if let Some(norm) = &mut parameters.norm {
                narrow(&mut norm.gamma, &learned.gamma);
                narrow(&mut norm.beta, &learned.beta);
            }
        }
    }
}
