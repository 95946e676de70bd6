//! The gradient of weights, and the step down it.

use super::convolution::Convolution;
use super::map::Reading;
use super::simd::{Kernel, OUT, Register, with_constant};
use super::vector::{LANES, Vector, pieces, sums_of_lanes};

/// Pixels whose gradients are packed together, for some filters: what the first-level cache holds
/// while all weights of those filters pass by.
const PANEL_PIXELS: usize = 64;

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
    /// Of [`panel_vectors`].
    pub(super) panel: &'a mut [Vector],
    pub(super) weight_gradient: &'a mut [Vector],
}

/// Rows of the output per panel.
fn panel_rows(convolution: Convolution) -> usize {
    (PANEL_PIXELS / convolution.output.width).max(1)
}

/// Vectors that a panel of the gradient takes.
pub(super) fn panel_vectors(convolution: Convolution) -> usize {
    panel_rows(convolution) * convolution.output.width * OUT
}

/// Filters per block of accumulators. Both factors are loaded here, so that where a register holds
/// half a vector, a squarer block than [`OUT`] by 1 loads less.
const fn most_filters(px: usize) -> usize {
    if px == 1 { 3 } else { OUT }
}

/// Weights of one kernel row per block of accumulators.
const fn most_terms(px: usize) -> usize {
    if px == 1 { 2 } else { px }
}

impl Kernel for WeightGradient<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let geometry = self.convolution;
        for (first, rows) in geometry.output_bands() {
            geometry.fill::<R>(self.source, self.reading, (first, rows), self.band);
            for (row, rows) in pieces(rows, panel_rows(geometry)) {
                let activations = &self.band[row * geometry.row_step()..];
                let gradient = &self.gradient[(first + row) * geometry.output.row()..];
                let gradient = &gradient[..rows * geometry.output.row()];
                for (filter, count) in pieces(geometry.output.channels, most_filters(PX)) {
                    let panel = &mut self.panel[..rows * geometry.output.width * count];
                    pack::<R>(gradient, geometry.output.channels, (filter, count), panel);
                    let mut filters = Filters {
                        geometry,
                        activations,
                        panel,
                        sums: &mut self.weight_gradient[filter * geometry.fan_in()..],
                    };
                    with_constant!(count, most_filters(PX), N => filters.run::<R, N, PX>());
                }
            }
        }
    }
}

/// Copies the gradients of `count` filters from `first`: `[pixel, filter]`.
#[inline(always)]
fn pack<R: Register>(
    gradient: &[Vector],
    filters: usize,
    (first, count): (usize, usize),
    panel: &mut [Vector],
) {
    let pixels = gradient.chunks_exact(filters);
    for (to, from) in panel.chunks_exact_mut(count).zip(pixels) {
        for (to, from) in to.iter_mut().zip(&from[first..]) {
            R::load(from).store(to);
        }
    }
}

/// Some filters over some rows of the output.
struct Filters<'a> {
    geometry: Convolution,
    /// The band, from the first row's window on.
    activations: &'a [Vector],
    /// From [`pack`].
    panel: &'a [Vector],
    /// Of these filters' weights.
    sums: &'a mut [Vector],
}

impl Filters<'_> {
    #[inline(always)]
    fn run<R: Register, const COUNT: usize, const PX: usize>(&mut self) {
        let most = most_terms(PX).min(self.geometry.pixel_step());
        for kernel_row in 0..self.geometry.kernel_rows() {
            for (term, count) in pieces(self.geometry.run(), most) {
                with_constant!(count, most_terms(PX), N => self.block::<R, COUNT, N>(kernel_row, term));
            }
        }
    }

    /// `COUNT` filters by `TERMS` neighboring weights of one kernel row.
    #[inline(always)]
    fn block<R: Register, const COUNT: usize, const TERMS: usize>(
        &mut self,
        kernel_row: usize,
        term: usize,
    ) {
        let geometry = self.geometry;
        let mut sums = [[R::splat(0.0); TERMS]; COUNT];
        let (panel, _) = self.panel.as_chunks::<COUNT>();
        for (row, slopes) in panel.chunks_exact(geometry.output.width).enumerate() {
            let start = row * geometry.row_step() + kernel_row * geometry.padded_row() + term;
            let windows = self.activations[start..].chunks_exact(geometry.pixel_step());
            // Iterators, whose end is the only exit: another one in this loop would spill the sums.
            for (slopes, window) in slopes.iter().zip(windows) {
                let Some(factors) = window.first_chunk::<TERMS>() else {
                    break;
                };
                let mut loaded = [R::splat(0.0); TERMS];
                for term in 0..TERMS {
                    loaded[term] = R::load(&factors[term]);
                }
                for out in 0..COUNT {
                    let slope = R::load(&slopes[out]);
                    for term in 0..TERMS {
                        sums[out][term] = sums[out][term].plus_product(slope, loaded[term]);
                    }
                }
            }
        }
        for (out, sums) in sums.iter().enumerate() {
            let first = out * geometry.fan_in() + kernel_row * geometry.run() + term;
            for (total, sum) in self.sums[first..][..TERMS].iter_mut().zip(sums) {
                R::load(total).plus(*sum).store(total);
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
    fn run<R: Register, const PX: usize>(self) {
        for (weights, gradient) in self
            .weights
            .chunks_mut(LANES)
            .zip(self.gradient.chunks(LANES))
        {
            let mut group = [R::splat(0.0); LANES];
            for (lanes, gradient) in group.iter_mut().zip(gradient) {
                *lanes = R::load(gradient);
            }
            descend(weights, group, self.learning_rate);
        }
    }
}

/// Up to 16 weights, one step down.
#[inline(always)]
pub(super) fn descend<R: Register>(weights: &mut [f32], gradient: [R; LANES], learning_rate: f32) {
    let slopes = sums_of_lanes(gradient);
    for (weight, slope) in weights.iter_mut().zip(slopes) {
        *weight = (-learning_rate).mul_add(slope, *weight);
    }
}
