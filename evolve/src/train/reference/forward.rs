//! The forward pass over one batch, keeping what the backward pass reads.

use exporter::dataset::Images;
use exporter::forward::taps;
use exporter::network::{BATCH_NORM_EPSILON, Network};
use runtime_nostd::geometry::{Activation, Op, Shape, Window};

use super::{Learned, LearnedLayer};
use crate::train::update_running;

/// What one batch left behind.
#[derive(Debug)]
pub(super) struct Pass {
    /// `maps[l]` is what layer `l` reads, and the last holds the logits: `[images, h, w, c]`.
    pub(super) maps: Vec<Vec<f64>>,
    /// Of the layers with batch normalization.
    pub(super) norms: Vec<Option<Normalized>>,
    /// The gradient of the mean loss with respect to the logits, `[images, classes]`.
    pub(super) logit_gradient: Vec<f64>,
    /// Mean softmax cross-entropy.
    pub(super) loss: f64,
    /// Images whose greatest logit is their label's.
    pub(super) correct: usize,
}

/// Batch normalization of one layer over one batch.
#[derive(Debug)]
pub(super) struct Normalized {
    /// `(sum - mean) / sqrt(variance + epsilon)`, before scale and shift: `[images, h, w, c]`.
    pub(super) values: Vec<f64>,
    /// Per filter.
    pub(super) mean: Vec<f64>,
    /// Per filter, biased: divided by `count`.
    pub(super) variance: Vec<f64>,
    /// Values per filter: images times map positions.
    pub(super) count: usize,
}

impl Pass {
    /// Runs the batch `images[indices]` through a checked network of `learned` parameters.
    pub(super) fn run(
        network: &Network,
        shapes: &[Shape],
        learned: &Learned,
        images: &Images,
        indices: &[u32],
        smoothing: f64,
    ) -> Self {
        let mut maps = vec![activations(network, images, indices)];
        let mut norms = Vec::new();
        for (index, layer) in network.layers.iter().enumerate() {
            let learned = &learned.0[index];
            let mut map = operate(layer.op, shapes[index], learned, &maps[index]);
            let normalized = (!learned.gamma.is_empty()).then(|| Normalized::of(&map, learned));
            if let Some(normalized) = &normalized {
                map = normalized.scaled(learned);
            }
            if layer.activation == Activation::Relu {
                map.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            maps.push(map);
            norms.push(normalized);
        }
        let labels: Vec<usize> = indices.iter().map(|&i| images.label(i as usize)).collect();
        let mut pass = Self {
            maps,
            norms,
            logit_gradient: Vec::new(),
            loss: 0.0,
            correct: 0,
        };
        pass.score(network.classes.len(), &labels, smoothing);
        pass
    }

    /// Softmax cross-entropy with smoothed labels, its gradient, and the correct answers.
    fn score(&mut self, classes: usize, labels: &[usize], smoothing: f64) {
        let batch = labels.len() as f64;
        let logits = &self.maps[self.maps.len() - 1];
        for (logits, &label) in logits.chunks_exact(classes).zip(labels) {
            let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exponentials: Vec<f64> = logits.iter().map(|z| (z - greatest).exp()).collect();
            let sum: f64 = exponentials.iter().sum();
            let target = |class| {
                let on_label = if class == label { 1.0 - smoothing } else { 0.0 };
                on_label + smoothing / classes as f64
            };
            let expected: f64 = logits.iter().enumerate().map(|(k, z)| target(k) * z).sum();
            self.loss += (sum.ln() + greatest - expected) / batch;
            self.correct += usize::from(logits.iter().position(|&z| z == greatest) == Some(label));
            self.logit_gradient.extend(
                exponentials
                    .iter()
                    .enumerate()
                    .map(|(class, e)| (e / sum - target(class)) / batch),
            );
        }
    }

    /// Moves the running statistics of `network` towards this batch's.
    pub(super) fn update_running_statistics(&self, network: &mut Network) {
        for (layer, batch) in network.layers.iter_mut().zip(&self.norms) {
            let norm = layer
                .parameters
                .as_mut()
                .and_then(|parameters| parameters.norm.as_mut());
            let (Some(norm), Some(batch)) = (norm, batch) else {
                continue;
            };
            for (filter, (&mean, &variance)) in batch.mean.iter().zip(&batch.variance).enumerate() {
                update_running(norm, filter, mean as f32, variance as f32, batch.count);
            }
        }
    }
}

impl Normalized {
    fn of(sums: &[f64], learned: &LearnedLayer) -> Self {
        let filters = learned.gamma.len();
        let count = sums.len() / filters;
        let mean_of = |term: &dyn Fn(usize, f64) -> f64| {
            let mut totals = vec![0.0; filters];
            for pixel in sums.chunks_exact(filters) {
                for (filter, (total, &value)) in totals.iter_mut().zip(pixel).enumerate() {
                    *total += term(filter, value) / count as f64;
                }
            }
            totals
        };
        let mean = mean_of(&|_, value| value);
        let variance = mean_of(&|filter, value| (value - mean[filter]).powi(2));
        let values = sums
            .iter()
            .enumerate()
            .map(|(index, value)| {
                (value - mean[index % filters]) / deviation(variance[index % filters])
            })
            .collect();
        Self {
            values,
            mean,
            variance,
            count,
        }
    }

    fn scaled(&self, learned: &LearnedLayer) -> Vec<f64> {
        let filters = learned.gamma.len();
        let scale =
            |(index, value)| learned.gamma[index % filters] * value + learned.beta[index % filters];
        self.values.iter().enumerate().map(scale).collect()
    }
}

/// What batch normalization divides by.
pub(super) fn deviation(variance: f64) -> f64 {
    (variance + f64::from(BATCH_NORM_EPSILON)).sqrt()
}

fn activations(network: &Network, images: &Images, indices: &[u32]) -> Vec<f64> {
    let mut map = Vec::new();
    for &index in indices {
        let pixels = images.pixels(index as usize).iter();
        let zero = network.input.zero.iter().cycle();
        map.extend(
            pixels
                .zip(zero)
                .map(|(&p, &zero)| (f64::from(p) - f64::from(zero)) / 256.0),
        );
    }
    map
}

/// The sums (or pooled values) of one layer over a batch of maps of shape `input`.
fn operate(op: Op, input: Shape, learned: &LearnedLayer, maps: &[f64]) -> Vec<f64> {
    let mut output = Vec::new();
    for map in maps.chunks_exact(input.elements()) {
        match op {
            Op::Conv { window, .. } => convolve(window, input, learned, map, &mut output),
            Op::Dense { .. } => {
                for (weights, bias) in learned
                    .weights
                    .chunks_exact(input.elements())
                    .zip(&learned.bias)
                {
                    output.push(bias + weights.iter().zip(map).map(|(w, x)| w * x).sum::<f64>());
                }
            }
            Op::MaxPool { window } => pool(window, input, &mut output, |elements| {
                map[first_greatest(map, elements)]
            }),
            Op::AvgPool { window } => pool(window, input, &mut output, |elements| {
                elements.iter().map(|&element| map[element]).sum::<f64>() / elements.len() as f64
            }),
            Op::Depthwise { .. } | Op::Add { .. } | Op::Branch { .. } => {
                unreachable!("`check` refuses what cannot be trained")
            }
        }
    }
    output
}

fn convolve(
    window: Window,
    input: Shape,
    learned: &LearnedLayer,
    map: &[f64],
    output: &mut Vec<f64>,
) {
    let channels = usize::from(input.channels);
    let fan_in = window.area() * channels;
    for (y, x) in positions(window, input) {
        for (filter, bias) in learned.bias.iter().enumerate() {
            let mut sum = *bias;
            for tap in taps(window, input, y, x) {
                for channel in 0..channels {
                    sum += learned.weights[filter * fan_in + tap.kernel * channels + channel]
                        * map[tap.element(input, channel)];
                }
            }
            output.push(sum);
        }
    }
}

/// Pushes `value(elements)` for every output of a pooling window; `elements` are the window's
/// indices inside the map, row by row.
fn pool(window: Window, input: Shape, output: &mut Vec<f64>, value: impl Fn(&[usize]) -> f64) {
    for (y, x) in positions(window, input) {
        for channel in 0..usize::from(input.channels) {
            let tap = |tap: exporter::forward::Tap| tap.element(input, channel);
            let elements: Vec<usize> = taps(window, input, y, x).map(tap).collect();
            output.push(value(&elements));
        }
    }
}

/// The element of the greatest value, the first of equals.
pub(super) fn first_greatest(map: &[f64], elements: &[usize]) -> usize {
    elements[1..].iter().fold(elements[0], |best, &element| {
        if map[element] > map[best] {
            element
        } else {
            best
        }
    })
}

/// Every output `(y, x)` of a window, row by row.
pub(super) fn positions(window: Window, input: Shape) -> impl Iterator<Item = (usize, usize)> {
    let (height, width) = window.output(input).unwrap_or((0, 0));
    (0..usize::from(height)).flat_map(move |y| (0..usize::from(width)).map(move |x| (y, x)))
}
