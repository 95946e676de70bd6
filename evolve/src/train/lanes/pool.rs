//! Max and average pooling, forward and backward.

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
    fn under(self, y: usize, x: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
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

    /// Every element of every window, row by row.
    #[inline(always)]
    fn taps(self) -> impl Iterator<Item = Tap> {
        (0..self.output.height).flat_map(move |y| {
            (0..self.output.width).flat_map(move |x| {
                let (rows, columns) = self.under(y, x);
                let elements = rows.len() * columns.len();
                let output = (y * self.output.width + x) * self.output.channels;
                rows.flat_map(move |row| {
                    columns.clone().map(move |column| Tap {
                        output,
                        input: (row * self.input.width + column) * self.input.channels,
                        share: 1.0 / elements as f32,
                    })
                })
            })
        })
    }
}

/// One element of one window.
struct Tap {
    /// The output pixel, in vectors.
    output: usize,
    /// The input pixel, in vectors.
    input: usize,
    /// One by the number of elements under the window.
    share: f32,
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
        output.fill(match pool.pooling {
            Pooling::Max => Vector([f32::NEG_INFINITY; LANES]),
            Pooling::Average => Vector::ZERO,
        });
        for tap in pool.taps() {
            let output = &mut output[tap.output..][..channels];
            let stored = &source[tap.input..][..channels];
            for channel in 0..channels {
                let activation = reading.activation(channel, R::load(&stored[channel]));
                let pooled = R::load(&output[channel]);
                let pooled = match pool.pooling {
                    Pooling::Max => activation.greatest(pooled),
                    Pooling::Average => pooled.plus_product(activation, R::splat(tap.share)),
                };
                pooled.store(&mut output[channel]);
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
        input_gradient.fill(Vector::ZERO);
        for tap in pool.taps() {
            let gradient = &mut gradient[tap.output..][..channels];
            let output = &output[tap.output..][..channels];
            let stored = &source[tap.input..][..channels];
            let to = &mut input_gradient[tap.input..][..channels];
            for channel in 0..channels {
                let slope = R::load(&gradient[channel]);
                let slopes = R::load(&to[channel]);
                let slopes = match pool.pooling {
                    // The first element that equals the maximum takes all of the gradient, so that
                    // nothing is left for the others.
                    Pooling::Max => {
                        let activation = reading.activation(channel, R::load(&stored[channel]));
                        let taken = slope.where_equal(activation, R::load(&output[channel]));
                        slope.minus(taken).store(&mut gradient[channel]);
                        slopes.plus(taken)
                    }
                    Pooling::Average => slopes.plus_product(slope, R::splat(tap.share)),
                };
                slopes.store(&mut to[channel]);
            }
        }
    }
}
