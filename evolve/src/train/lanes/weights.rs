//! The gradient of weights, and the step down it.

use super::convolution::Convolution;
use super::dispatch::{Kernel, OUT};
use super::map::Reading;
use super::vector::{LANES, Vector, pieces, sums_of_lanes};

/// Adds one block of images to the gradient of a convolution's weights, which is kept apart for
/// each lane: `[filter, kernel_h, kernel_w, in_channel]` vectors.
pub(super) struct WeightGradient<'a> {
    pub(super) convolution: Convolution,
    /// What the layer reads, as stored.
    pub(super) source: &'a [Vector],
    pub(super) reading: &'a Reading,
    /// With respect to the layer's sums.
    pub(super) gradient: &'a [Vector],
    pub(super) band: &'a mut [Vector],
    pub(super) weight_gradient: &'a mut [Vector],
}

impl Kernel for WeightGradient<'_> {
    #[inline(always)]
    fn run<const PX: usize>(self) {
        let geometry = self.convolution;
        let filters = geometry.output.channels;
        for (first, rows) in geometry.output_bands() {
            geometry.fill(self.source, self.reading, (first, rows), self.band);
            let band = Band {
                activations: self.band,
                gradient: &self.gradient[first * geometry.output.row()..],
                rows,
                geometry,
            };
            for kernel_row in 0..geometry.kernel_rows() {
                for (filter, count) in pieces(filters, OUT) {
                    match count {
                        1 => band.filters::<1, PX>(kernel_row, filter, self.weight_gradient),
                        2 => band.filters::<2, PX>(kernel_row, filter, self.weight_gradient),
                        3 => band.filters::<3, PX>(kernel_row, filter, self.weight_gradient),
                        4 => band.filters::<4, PX>(kernel_row, filter, self.weight_gradient),
                        5 => band.filters::<5, PX>(kernel_row, filter, self.weight_gradient),
                        6 => band.filters::<6, PX>(kernel_row, filter, self.weight_gradient),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Some rows of the output with the activations that they were computed from.
#[derive(Clone, Copy)]
struct Band<'a> {
    activations: &'a [Vector],
    gradient: &'a [Vector],
    rows: usize,
    geometry: Convolution,
}

impl Band<'_> {
    #[inline(always)]
    fn filters<const COUNT: usize, const PX: usize>(
        self,
        kernel_row: usize,
        filter: usize,
        weight_gradient: &mut [Vector],
    ) {
        for (term, count) in pieces(self.geometry.run(), PX) {
            match count {
                1 => self.block::<COUNT, 1>((kernel_row, filter, term), weight_gradient),
                2 => self.block::<COUNT, 2>((kernel_row, filter, term), weight_gradient),
                3 => self.block::<COUNT, 3>((kernel_row, filter, term), weight_gradient),
                4 => self.block::<COUNT, 4>((kernel_row, filter, term), weight_gradient),
                _ => {}
            }
        }
    }

    /// `COUNT` filters by `TERMS` neighboring weights of one kernel row.
    #[inline(always)]
    fn block<const COUNT: usize, const TERMS: usize>(
        self,
        (kernel_row, filter, term): (usize, usize, usize),
        weight_gradient: &mut [Vector],
    ) {
        let geometry = self.geometry;
        let mut sums = [[Vector::ZERO; TERMS]; COUNT];
        for (row, gradient) in self
            .gradient
            .chunks_exact(geometry.output.row())
            .take(self.rows)
            .enumerate()
        {
            let start = row * geometry.row_step() + kernel_row * geometry.padded_row() + term;
            let activations = &self.activations[start..];
            for (pixel, gradient) in gradient.chunks_exact(geometry.output.channels).enumerate() {
                let gradient = &gradient[filter..][..COUNT];
                let activations = &activations[pixel * geometry.pixel_step()..][..TERMS];
                for out in 0..COUNT {
                    for term in 0..TERMS {
                        sums[out][term] =
                            sums[out][term].plus_product(gradient[out], activations[term]);
                    }
                }
            }
        }
        for (out, sums) in sums.iter().enumerate() {
            let first = (filter + out) * geometry.fan_in() + kernel_row * geometry.run() + term;
            for (total, sum) in weight_gradient[first..][..TERMS].iter_mut().zip(sums) {
                *total = total.plus(*sum);
            }
        }
    }
}

/// One step of gradient descent.
pub(super) struct Descend<'a> {
    pub(super) weights: &'a mut [f32],
    /// As many vectors, whose lanes are still to be added.
    pub(super) gradient: &'a [Vector],
    pub(super) learning_rate: f32,
}

impl Kernel for Descend<'_> {
    #[inline(always)]
    fn run<const PX: usize>(self) {
        for (weights, gradient) in self
            .weights
            .chunks_mut(LANES)
            .zip(self.gradient.chunks(LANES))
        {
            let mut group = [Vector::ZERO; LANES];
            group[..gradient.len()].copy_from_slice(gradient);
            descend(weights, group, self.learning_rate);
        }
    }
}

/// Up to 16 weights, one step down.
#[inline(always)]
pub(super) fn descend(weights: &mut [f32], gradient: [Vector; LANES], learning_rate: f32) {
    let slopes = sums_of_lanes(gradient);
    for (weight, slope) in weights.iter_mut().zip(slopes) {
        *weight = (-learning_rate).mul_add(slope, *weight);
    }
}
