//! The backward pass: the gradient of the batch's mean loss with respect to every parameter.

use exporter::forward::taps;
use exporter::network::Network;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};

use super::forward::{Normalized, Pass, deviation, first_greatest, positions};
use super::{Learned, LearnedLayer};

/// The gradient of `pass.loss`, shaped like the parameters.
pub(super) fn gradient(
    network: &Network,
    shapes: &[Shape],
    learned: &Learned,
    pass: &Pass,
) -> Learned {
    let mut slopes = pass.logit_gradient.clone();
    let mut layers: Vec<LearnedLayer> = learned.0.iter().map(LearnedLayer::zeros).collect();
    for (index, layer) in network.layers.iter().enumerate().rev() {
        let (learned, gradient) = (&learned.0[index], &mut layers[index]);
        if layer.activation == Activation::Relu {
            for (slope, output) in slopes.iter_mut().zip(&pass.maps[index + 1]) {
                *slope = if *output > 0.0 { *slope } else { 0.0 };
            }
        }
        match &pass.norms[index] {
            Some(normalized) => normalized.back(learned, gradient, &mut slopes),
            None => sum_by_filter(&slopes, |_| 1.0, &mut gradient.bias),
        }
        slopes = back(
            layer.op,
            shapes[index],
            learned,
            gradient,
            &pass.maps[index],
            &slopes,
        );
    }
    Learned(layers)
}

/// Adds `Σ slope · factor(index)` over the batch to each filter's total.
fn sum_by_filter(slopes: &[f64], factor: impl Fn(usize) -> f64, totals: &mut [f64]) {
    let filters = totals.len();
    if filters > 0 {
        for (index, slope) in slopes.iter().enumerate() {
            totals[index % filters] += slope * factor(index);
        }
    }
}

impl Normalized {
    /// From the slopes of the normalized, scaled and shifted values to those of the sums, in
    /// place: with `n` values per filter,
    /// `dz = gamma / deviation · (dy - Σdy / n - z_normalized · Σ(dy · z_normalized) / n)`.
    fn back(&self, learned: &LearnedLayer, gradient: &mut LearnedLayer, slopes: &mut [f64]) {
        sum_by_filter(slopes, |_| 1.0, &mut gradient.beta);
        sum_by_filter(slopes, |index| self.values[index], &mut gradient.gamma);
        let (filters, count) = (learned.gamma.len(), self.count as f64);
        for (index, (slope, value)) in slopes.iter_mut().zip(&self.values).enumerate() {
            let filter = index % filters;
            let through_statistics =
                (gradient.beta[filter] + value * gradient.gamma[filter]) / count;
            let scale = learned.gamma[filter] / deviation(self.variance[filter]);
            *slope = scale * (*slope - through_statistics);
        }
    }
}

/// Adds the gradient of one layer's weights, and returns the slopes of the maps that it reads.
fn back(
    op: Op,
    input: Shape,
    learned: &LearnedLayer,
    gradient: &mut LearnedLayer,
    maps: &[f64],
    slopes: &[f64],
) -> Vec<f64> {
    let mut input_slopes = vec![0.0; maps.len()];
    let outputs = slopes.len() * input.elements() / maps.len();
    for ((map, slopes), input_slopes) in maps
        .chunks_exact(input.elements())
        .zip(slopes.chunks_exact(outputs))
        .zip(input_slopes.chunks_exact_mut(input.elements()))
    {
        // Every product `weight · element` of the forward sum, with the slope of that sum.
        let mut product = |weight: usize, element: usize, slope: f64| {
            gradient.weights[weight] += slope * map[element];
            input_slopes[element] += slope * learned.weights[weight];
        };
        match op {
            Op::Conv {
                window,
                out_channels,
            } => {
                let channels = usize::from(input.channels);
                let fan_in = window.area() * channels;
                let mut slopes = slopes.iter();
                for (y, x) in positions(window, input) {
                    for (filter, &slope) in slopes.by_ref().take(out_channels.into()).enumerate() {
                        for tap in taps(window, input, y, x) {
                            for channel in 0..channels {
                                let weight = filter * fan_in + tap.kernel * channels + channel;
                                product(weight, tap.element(input, channel), slope);
                            }
                        }
                    }
                }
            }
            Op::Dense { .. } => {
                for (filter, &slope) in slopes.iter().enumerate() {
                    for element in 0..map.len() {
                        product(filter * map.len() + element, element, slope);
                    }
                }
            }
            Op::MaxPool { window } => back_pool(window, input, slopes, |elements, slope| {
                input_slopes[first_greatest(map, elements)] += slope;
            }),
            Op::AvgPool { window } => back_pool(window, input, slopes, |elements, slope| {
                for &element in elements {
                    input_slopes[element] += slope / elements.len() as f64;
                }
            }),
            Op::Depthwise { .. } | Op::Add { .. } | Op::Branch { .. } => {
                unreachable!("`check` refuses what cannot be trained")
            }
        }
    }
    input_slopes
}

/// Calls `give(elements, slope)` for every output of a pooling window.
fn back_pool(window: Window, input: Shape, slopes: &[f64], mut give: impl FnMut(&[usize], f64)) {
    let mut slopes = slopes.iter();
    for (y, x) in positions(window, input) {
        for (channel, &slope) in slopes.by_ref().take(input.channels.into()).enumerate() {
            let tap = |tap: exporter::forward::Tap| tap.element(input, channel);
            let elements: Vec<usize> = taps(window, input, y, x).map(tap).collect();
            give(&elements, slope);
        }
    }
}
