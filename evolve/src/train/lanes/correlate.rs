//! Convolution forward, and backward to its input: both are the same correlation of a band of rows
//! with packed weights.

use super::convolution::Convolution;
use super::map::Reading;
use super::simd::{Kernel, OUT, Register, with_constant};
use super::vector::{Vector, pieces};

/// The correlation of one row of outputs.
#[derive(Clone, Copy)]
struct Correlation<'a> {
    /// The band, from the first tap of the first output on.
    source: &'a [Vector],
    tap_rows: usize,
    /// Vectors from one tap row to the next.
    row_step: usize,
    /// Contiguous vectors of one tap row.
    run: usize,
    /// Vectors between the windows of neighboring outputs.
    pixel_step: usize,
    /// Packed weights: for each piece of channels `[tap row, run, channel of the piece]`.
    weights: &'a [f32],
    /// Where the sums start, one per channel.
    bias: &'a [f32],
    /// Vectors between neighboring outputs in the destination.
    output_step: usize,
}

impl Correlation<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self, outputs: usize, destination: &mut [Vector]) {
        for (first, count) in pieces(outputs, PX) {
            with_constant!(count, PX, N => self.pixels::<R, N>(first, destination));
        }
    }

    #[inline(always)]
    fn pixels<R: Register, const PX: usize>(self, first: usize, destination: &mut [Vector]) {
        for (channel, count) in pieces(self.bias.len(), OUT) {
            with_constant!(count, OUT, N => self.block::<R, N, PX>(first, channel, destination));
        }
    }

    /// `COUNT` channels of `PX` neighboring outputs.
    #[inline(always)]
    fn block<R: Register, const COUNT: usize, const PX: usize>(
        self,
        first: usize,
        channel: usize,
        destination: &mut [Vector],
    ) {
        let terms = self.tap_rows * self.run;
        let weights = &self.weights[channel * terms..][..COUNT * terms];
        let (weights, _) = weights.as_chunks::<COUNT>();
        let bias = &self.bias[channel..][..COUNT];
        let mut sums = [[R::splat(0.0); PX]; COUNT];
        for out in 0..COUNT {
            sums[out] = [R::splat(bias[out]); PX];
        }
        for tap_row in 0..self.tap_rows {
            let start = first * self.pixel_step + tap_row * self.row_step;
            let mut runs: [&[Vector]; PX] = [&[]; PX];
            for (pixel, run) in runs.iter_mut().enumerate() {
                *run = &self.source[start + pixel * self.pixel_step..][..self.run];
            }
            let weights = &weights[tap_row * self.run..][..self.run];
            for term in 0..self.run {
                let mut activations = [R::splat(0.0); PX];
                for pixel in 0..PX {
                    activations[pixel] = R::load(&runs[pixel][term]);
                }
                for out in 0..COUNT {
                    let weight = R::splat(weights[term][out]);
                    for pixel in 0..PX {
                        sums[out][pixel] =
                            sums[out][pixel].plus_product(activations[pixel], weight);
                    }
                }
            }
        }
        for pixel in 0..PX {
            let to = &mut destination[(first + pixel) * self.output_step + channel..][..COUNT];
            for out in 0..COUNT {
                sums[out][pixel].store(&mut to[out]);
            }
        }
    }
}

/// The sums of one block of images: `output = bias + Σ weight · activation`.
pub(super) struct Forward<'a> {
    pub(super) convolution: Convolution,
    /// What the layer reads, as stored.
    pub(super) source: &'a [Vector],
    pub(super) reading: &'a Reading,
    /// From [`Convolution::pack`].
    pub(super) packed: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) band: &'a mut [Vector],
    pub(super) output: &'a mut [Vector],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let geometry = self.convolution;
        let mut outputs = self.output.chunks_exact_mut(geometry.output.row());
        for (first, rows) in geometry.output_bands() {
            geometry.fill::<R>(self.source, self.reading, (first, rows), self.band);
            for (row, output) in outputs.by_ref().take(rows).enumerate() {
                let correlation = Correlation {
                    source: &self.band[row * geometry.row_step()..],
                    tap_rows: geometry.kernel_rows(),
                    row_step: geometry.padded_row(),
                    run: geometry.run(),
                    pixel_step: geometry.pixel_step(),
                    weights: self.packed,
                    bias: self.bias,
                    output_step: geometry.output.channels,
                };
                correlation.run::<R, PX>(geometry.output.width, output);
            }
        }
    }
}

/// The gradient with respect to what the layer reads, from that with respect to its sums, of one
/// block of images.
pub(super) struct Backward<'a> {
    pub(super) convolution: Convolution,
    pub(super) gradient: &'a [Vector],
    /// From [`Convolution::pack_backward`].
    pub(super) packed: &'a [f32],
    /// One 0 for each input channel.
    pub(super) zeros: &'a [f32],
    pub(super) band: &'a mut [Vector],
    pub(super) input_gradient: &'a mut [Vector],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let geometry = self.convolution;
        for (first, rows) in geometry.input_bands() {
            let outputs = geometry.rows.outputs_of(first, first + rows);
            geometry.fill_gradient(self.gradient, outputs, self.band);
            let mut packed = self.packed;
            for (vertical, horizontal) in geometry.phases() {
                let run = horizontal.taps * geometry.output.channels;
                // A stride beyond the kernel leaves inputs that no output reads.
                let tap_rows = if run == 0 { 0 } else { vertical.taps };
                let (weights, rest) = packed.split_at(tap_rows * run * geometry.input.channels);
                packed = rest;
                let (first_x, pixels) =
                    geometry
                        .columns
                        .inputs_of(horizontal, 0, geometry.input.width);
                let (first_y, lines) = geometry.rows.inputs_of(vertical, first, first + rows);
                if pixels == 0 {
                    continue;
                }
                for line in 0..lines {
                    let y = first_y + line * geometry.rows.stride;
                    let band_row = geometry.rows.first_output(vertical, y) - outputs.0;
                    let column = geometry.columns.first_output(horizontal, first_x);
                    let start = band_row * geometry.padded_gradient_row()
                        + column * geometry.output.channels;
                    let correlation = Correlation {
                        source: if tap_rows == 0 {
                            &[]
                        } else {
                            &self.band[start..]
                        },
                        tap_rows,
                        row_step: geometry.padded_gradient_row(),
                        run,
                        pixel_step: geometry.output.channels,
                        weights,
                        bias: self.zeros,
                        output_step: geometry.pixel_step(),
                    };
                    let to = y * geometry.input.row() + first_x * geometry.input.channels;
                    correlation.run::<R, PX>(pixels, &mut self.input_gradient[to..]);
                }
            }
        }
    }
}
