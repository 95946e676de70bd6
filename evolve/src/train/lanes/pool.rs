//! Max and average pooling, forward and backward.

use std::ops::Range;

use runtime_nostd::geometry::Window;

use super::map::{Extent, Reading};
use super::simd::{Kernel, Register};
use super::vector::{LANES, Vector};

/// Which value stands for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The greatest element inside the map.
    Max,
    /// The mean of the elements inside the map.
    Average,
}

/// The geometry of one pooling layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub(super) pooling: Pooling,
    pub(super) window: Window,
    pub(super) input: Extent,
    pub(super) output: Extent,
}

impl Pool {
    /// The part of the map under the window of output `(y, x)`: rows and columns.
    #[inline(always)]
    fn under(self, y: usize, x: usize) -> (Range<usize>, Range<usize>) {
        let inside = |index: usize, stride: u8, pad: u8, kernel: u8, size: usize| {
            let start = index * usize::from(stride);
            let end = start + usize::from(kernel);
            start.saturating_sub(pad.into())..end.saturating_sub(pad.into()).min(size)
        };
        let window = self.window;
        (
            inside(
                y,
                window.stride_h,
                window.pad_top,
                window.kernel_h,
                self.input.height,
            ),
            inside(
                x,
                window.stride_w,
                window.pad_left,
                window.kernel_w,
                self.input.width,
            ),
        )
    }

    /// Whether every element of the map lies under exactly one window.
    fn tiles_map(self) -> bool {
        let covers = |kernel: u8, stride: u8, pad: u8, outputs: usize, inputs: usize| {
            kernel == stride && outputs * usize::from(stride) >= inputs + usize::from(pad)
        };
        let Self {
            window,
            input,
            output,
            ..
        } = self;
        covers(
            window.kernel_h,
            window.stride_h,
            window.pad_top,
            output.height,
            input.height,
        ) && covers(
            window.kernel_w,
            window.stride_w,
            window.pad_left,
            output.width,
            input.width,
        )
    }

    /// The vectors of the pixel at `(row, column)` of the map.
    #[inline(always)]
    fn pixel(self, row: usize, column: usize) -> Range<usize> {
        let start = (row * self.input.width + column) * self.input.channels;
        start..start + self.input.channels
    }
}

/// Pools one block of images.
pub(super) struct Forward<'a> {
    pub(super) pool: Pool,
    /// What the layer reads, as stored.
    pub(super) source: &'a [Vector],
    pub(super) reading: &'a Reading,
    pub(super) output: &'a mut [Vector],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let Self {
            pool,
            source,
            reading,
            output,
        } = self;
        let channels = pool.input.channels;
        let mut outputs = output.chunks_exact_mut(channels);
        for y in 0..pool.output.height {
            for (x, output) in outputs.by_ref().take(pool.output.width).enumerate() {
                let (rows, columns) = pool.under(y, x);
                let share = R::splat(1.0 / (rows.len() * columns.len()) as f32);
                output.fill(match pool.pooling {
                    Pooling::Max => Vector([f32::NEG_INFINITY; LANES]),
                    Pooling::Average => Vector::ZERO,
                });
                for row in rows {
                    for column in columns.clone() {
                        let stored = &source[pool.pixel(row, column)];
                        for (channel, (output, stored)) in output.iter_mut().zip(stored).enumerate()
                        {
                            let activation = reading.activation(channel, R::load(stored));
                            let pooled = R::load(output);
                            let pooled = match pool.pooling {
                                Pooling::Max => activation.greatest(pooled),
                                Pooling::Average => pooled.plus_product(activation, share),
                            };
                            pooled.store(output);
                        }
                    }
                }
            }
        }
    }
}

/// The gradient with respect to what the layer reads, of one block of images.
pub(super) struct Backward<'a> {
    pub(super) pool: Pool,
    /// What the layer reads, as stored.
    pub(super) source: &'a [Vector],
    pub(super) reading: &'a Reading,
    pub(super) output: &'a [Vector],
    /// With respect to the output. Destroyed.
    pub(super) gradient: &'a mut [Vector],
    pub(super) input_gradient: &'a mut [Vector],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let Self {
            pool,
            source,
            reading,
            output,
            gradient,
            input_gradient,
        } = self;
        let channels = pool.input.channels;
        let tiles_map = pool.tiles_map();
        if !tiles_map {
            input_gradient.fill(Vector::ZERO);
        }
        let mut pixels = output
            .chunks_exact(channels)
            .zip(gradient.chunks_exact_mut(channels));
        for y in 0..pool.output.height {
            for (x, (output, left)) in pixels.by_ref().take(pool.output.width).enumerate() {
                let (rows, columns) = pool.under(y, x);
                let share = R::splat(1.0 / (rows.len() * columns.len()) as f32);
                for row in rows {
                    for column in columns.clone() {
                        let stored = &source[pool.pixel(row, column)];
                        let to = &mut input_gradient[pool.pixel(row, column)];
                        let channels = to.iter_mut().zip(stored).zip(output.iter().zip(&mut *left));
                        for (channel, ((to, stored), (output, left))) in channels.enumerate() {
                            let slope = match pool.pooling {
                                // The first element that equals the maximum takes all of the
                                // gradient, so that nothing is left for the others.
                                Pooling::Max => {
                                    let activation = reading.activation(channel, R::load(stored));
                                    let slope = R::load(left);
                                    let taken = slope.where_equal(activation, R::load(output));
                                    slope.minus(taken).store(left);
                                    taken
                                }
                                Pooling::Average => R::load(left).times(share),
                            };
                            if tiles_map {
                                slope.store(to);
                            } else {
                                R::load(to).plus(slope).store(to);
                            }
                        }
                    }
                }
            }
        }
    }
}
