//! What happens between the steps of gradient descent: learning rates that change, momentum and
//! weight decay, the same for every backend.

use exporter::network::Network;

/// Is asked before, and acts after, every step of a pass of training.
pub trait Pace {
    /// The learning rate of the step that is about to change `network`.
    fn before_step(&mut self, network: &Network) -> f32;

    /// After the step down the gradient.
    fn after_step(&mut self, network: &mut Network);
}

/// The same learning rate for every step, and nothing else.
pub(super) struct Constant(pub(super) f32);

impl Pace for Constant {
    fn before_step(&mut self, _: &Network) -> f32 {
        self.0
    }

    fn after_step(&mut self, _: &mut Network) {}
}

/// Momentum and weight decay, with a learning rate for every step:
/// `v ← momentum · v - rate · (∂loss/∂w + weight_decay · w)`, `w ← w + v`.
///
/// Weights alone decay. Steps are counted over all passes that the same `Momentum` is used for.
pub struct Momentum<F> {
    momentum: f32,
    weight_decay: f32,
    learning_rate: F,
    step: usize,
    rate: f32,
    /// All parameters that are learned, as they were before the step.
    before: Vec<f32>,
    /// v, one for each of them.
    velocity: Vec<f32>,
}

impl<F: FnMut(usize) -> f32> Momentum<F> {
    /// At rest, for training `network` at the `learning_rate` of each step, from 0.
    pub fn new(network: &Network, momentum: f32, weight_decay: f32, learning_rate: F) -> Self {
        let mut network = network.clone();
        let learned = learned(&mut network).map(|(values, _)| values.len()).sum();
        Self {
            momentum,
            weight_decay,
            learning_rate,
            step: 0,
            rate: 0.0,
            before: Vec::with_capacity(learned),
            velocity: vec![0.0; learned],
        }
    }
}

impl<F: FnMut(usize) -> f32> Pace for Momentum<F> {
    fn before_step(&mut self, network: &Network) -> f32 {
        self.rate = (self.learning_rate)(self.step);
        self.step += 1;
        self.before.clear();
        for parameters in network.layers.iter().filter_map(|l| l.parameters.as_ref()) {
            self.before.extend(&parameters.weights);
            self.before.extend(&parameters.bias);
            if let Some(norm) = &parameters.norm {
                self.before.extend(&norm.gamma);
                self.before.extend(&norm.beta);
            }
        }
        self.rate
    }

    fn after_step(&mut self, network: &mut Network) {
        let (mut before, mut velocity) = (self.before.iter(), self.velocity.iter_mut());
        for (values, kind) in learned(network) {
            let decay = match kind {
                Kind::Weights => self.rate * self.weight_decay,
                Kind::Other => 0.0,
            };
            for ((value, &before), velocity) in
                values.iter_mut().zip(&mut before).zip(&mut velocity)
            {
                let down = *value - before;
                *velocity = self.momentum * *velocity + down - decay * before;
                *value = before + *velocity;
            }
        }
    }
}

/// Whether values decay.
enum Kind {
    Weights,
    Other,
}

/// All vectors of learned values, in the order of [`Momentum::before`](Momentum).
fn learned(network: &mut Network) -> impl Iterator<Item = (&mut [f32], Kind)> {
    let parameters = network.layers.iter_mut();
    let parameters = parameters.filter_map(|layer| layer.parameters.as_mut());
    parameters.flat_map(|parameters| {
        let weights = (parameters.weights.as_mut_slice(), Kind::Weights);
        let bias = (parameters.bias.as_mut_slice(), Kind::Other);
        let norm = parameters.norm.iter_mut().flat_map(|norm| {
            [&mut norm.gamma, &mut norm.beta].map(|values| (values.as_mut_slice(), Kind::Other))
        });
        [weights, bias].into_iter().chain(norm)
    })
}

#[cfg(test)]
mod tests {
    use exporter::network::{Input, Layer, Parameters};
    use runtime_nostd::geometry::{Activation, Op, Shape};

    use super::*;

    /// One weight of 1 and one bias of 1.
    fn network() -> Network {
        Network {
            input: Input {
                shape: Shape::new(1, 1, 1),
                zero: vec![0],
            },
            layers: vec![Layer {
                op: Op::Dense { outputs: 1 },
                activation: Activation::Linear,
                parameters: Some(Parameters {
                    weights: vec![1.0],
                    bias: vec![1.0],
                    norm: None,
                }),
            }],
            classes: vec![String::new()],
            provenance: String::new(),
        }
    }

    /// Weight and bias after steps with a gradient of 1 each.
    fn after_steps(steps: usize, weight_decay: f32) -> (f32, f32) {
        let mut network = network();
        let mut momentum = Momentum::new(&network, 0.5, weight_decay, |step| {
            if step == 0 { 0.25 } else { 0.125 }
        });
        for _ in 0..steps {
            let rate = momentum.before_step(&network);
            let parameters = network.layers[0].parameters.as_mut().unwrap();
            parameters.weights[0] -= rate;
            parameters.bias[0] -= rate;
            momentum.after_step(&mut network);
        }
        let parameters = network.layers[0].parameters.as_ref().unwrap();
        (parameters.weights[0], parameters.bias[0])
    }

    #[test]
    fn steps_as_the_formula_says() {
        // v: -0.25, then -0.125 - 0.125.
        assert_eq!(after_steps(1, 0.0), (0.75, 0.75));
        assert_eq!(after_steps(2, 0.0), (0.5, 0.5));
        // v: -0.25 (1 + 0.5), then half of it - 0.125 (1 + 0.5 w), for the weight alone.
        assert_eq!(after_steps(1, 0.5), (0.625, 0.75));
        assert_eq!(after_steps(2, 0.5).0, 0.625 - 0.1875 - 0.125 * 1.3125);
        assert_eq!(after_steps(2, 0.5).1, 0.5);
    }
}
