//! Folding batch normalization into the weights and biases before it.

use crate::network::{BATCH_NORM_EPSILON, BatchNorm, Network, Parameters};

/// The same function without batch normalization: `w' = w·s`, `b' = (b - mean)·s + beta`, where
/// `s = gamma / sqrt(variance + epsilon)`, one per filter.
pub fn fold(network: &Network) -> Network {
    let mut folded = network.clone();
    for layer in &mut folded.layers {
        if let Some(parameters) = &mut layer.parameters
            && let Some(norm) = parameters.norm.take()
        {
            fold_layer(parameters, &norm);
        }
    }
    folded
}

fn fold_layer(parameters: &mut Parameters, norm: &BatchNorm) {
    let fan_in = parameters.fan_in();
    let filters = parameters.weights.chunks_mut(fan_in);
    for (filter, (weights, bias)) in filters.zip(&mut parameters.bias).enumerate() {
        // In f64, so that folding itself rounds only once.
        let variance = f64::from(norm.variance[filter]) + f64::from(BATCH_NORM_EPSILON);
        let scale = f64::from(norm.gamma[filter]) / variance.sqrt();
        for weight in weights {
            *weight = (f64::from(*weight) * scale) as f32;
        }
        let centered = f64::from(*bias) - f64::from(norm.mean[filter]);
        *bias = (centered * scale + f64::from(norm.beta[filter])) as f32;
    }
}
