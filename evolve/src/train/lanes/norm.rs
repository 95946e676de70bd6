//! Batch normalization: the statistics of a batch, and the gradient through them.

use exporter::network::{BATCH_NORM_EPSILON, BatchNorm};

use super::map::Reading;
use super::simd::{Kernel, Register};
use super::vector::Vector;

/// Two sums over the pixels of one block, of each channel and lane.
#[derive(Clone, Debug)]
pub(super) struct Sums(Vec<Sum>);

#[derive(Clone, Copy, Debug)]
struct Sum {
    first: Vector,
    second: Vector,
}

impl Sum {
    const ZERO: Self = Self {
        first: Vector::ZERO,
        second: Vector::ZERO,
    };
}

impl Sums {
    /// For up to so many channels.
    pub(super) fn new(channels: usize) -> Self {
        Self(vec![Sum::ZERO; channels])
    }

    /// The sums of so many channels, at 0.
    #[inline(always)]
    fn clear(&mut self, channels: usize) -> &mut [Sum] {
        let sums = &mut self.0[..channels];
        sums.fill(Sum::ZERO);
        sums
    }

    /// Bytes in memory.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

/// The same sums over all images of the batch, per channel.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
}

impl Totals {
    pub(super) fn new(channels: usize) -> Self {
        Self {
            first: vec![0.0; channels],
            second: vec![0.0; channels],
        }
    }

    pub(super) fn clear(&mut self) {
        self.first.fill(0.0);
        self.second.fill(0.0);
    }

    /// Adds one block, of which the first `images` lanes count.
    pub(super) fn add(&mut self, sums: &Sums, images: usize) {
        for (channel, sum) in sums.0.iter().enumerate() {
            self.first[channel] += sum.first.sum(images);
            self.second[channel] += sum.second.sum(images);
        }
    }

    /// Mean and biased variance of one channel, from the sums of [`Moments`] over `count` values.
    pub(super) fn moments(&self, channel: usize, origin: f32, count: usize) -> (f32, f32) {
        let apart = self.first[channel] / count as f64;
        let variance = self.second[channel] / count as f64 - apart * apart;
        ((f64::from(origin) + apart) as f32, variance.max(0.0) as f32)
    }

    /// The way back through the normalization of one channel, from the sums of
    /// [`ThroughActivation`] over `count` values.
    pub(super) fn through(
        &self,
        channel: usize,
        gamma: f32,
        variance: f32,
        count: usize,
    ) -> Through {
        let (first, second) = (self.first[channel], self.second[channel]);
        let inverse = 1.0 / f64::from(variance + BATCH_NORM_EPSILON).sqrt();
        let scale = f64::from(gamma) * inverse;
        Through {
            slope: scale as f32,
            curve: (-scale * inverse * inverse * second / count as f64) as f32,
            level: (-scale * first / count as f64) as f32,
            gamma: (second * inverse) as f32,
            beta: first as f32,
        }
    }
}

/// `Σ (z - origin)` and `Σ (z - origin)²` of one block's map. The origin is near the mean (the
/// running mean), so that the variance does not cancel.
pub(super) struct Moments<'a> {
    pub(super) map: &'a [Vector],
    /// Per channel.
    pub(super) origin: &'a [f32],
    pub(super) sums: &'a mut Sums,
}

impl Kernel for Moments<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let channels = self.origin.len();
        let sums = self.sums.clear(channels);
        for pixel in self.map.chunks_exact(channels) {
            for ((stored, &origin), sum) in pixel.iter().zip(self.origin).zip(sums.iter_mut()) {
                let apart = R::load(stored).minus(R::splat(origin));
                let first = R::load(&sum.first).plus(apart);
                let second = R::load(&sum.second).plus_product(apart, apart);
                first.store(&mut sum.first);
                second.store(&mut sum.second);
            }
        }
    }
}

/// Turns, in place, the gradient of one block with respect to a layer's activations into that with
/// respect to its values before ReLU, and adds up what batch normalization needs:
/// `Σ dy` and `Σ dy · (z - mean)`.
pub(super) struct ThroughActivation<'a> {
    /// The layer's sums.
    pub(super) map: &'a [Vector],
    pub(super) reading: &'a Reading,
    /// Per channel.
    pub(super) mean: &'a [f32],
    pub(super) gradient: &'a mut [Vector],
    pub(super) sums: &'a mut Sums,
}

impl Kernel for ThroughActivation<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let channels = self.mean.len();
        let sums = self.sums.clear(channels);
        let (scales, shifts) = (
            &self.reading.scale[..channels],
            &self.reading.shift[..channels],
        );
        // Without ReLU the floor is negative infinity, and everything is above it.
        let floor = R::splat(self.reading.floor);
        let gradient = self.gradient.chunks_exact_mut(channels);
        for (gradient, stored) in gradient.zip(self.map.chunks_exact(channels)) {
            for channel in 0..channels {
                let stored = R::load(&stored[channel]);
                let normalized =
                    R::splat(shifts[channel]).plus_product(stored, R::splat(scales[channel]));
                let slope = R::load(&gradient[channel]).where_greater(normalized, floor);
                slope.store(&mut gradient[channel]);
                let apart = stored.minus(R::splat(self.mean[channel]));
                let sum = &mut sums[channel];
                let first = R::load(&sum.first).plus(slope);
                let second = R::load(&sum.second).plus_product(slope, apart);
                first.store(&mut sum.first);
                second.store(&mut sum.second);
            }
        }
    }
}

/// The gradient through batch normalization of one channel, with respect to the sums:
/// `dz = slope · dy + curve · (z - mean) + level`, and with respect to its parameters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Through {
    slope: f32,
    curve: f32,
    level: f32,
    gamma: f32,
    beta: f32,
}

/// Turns, in place, the gradient of one block with respect to normalized values into that with
/// respect to the sums.
pub(super) struct ThroughNorm<'a> {
    pub(super) map: &'a [Vector],
    /// Per channel.
    pub(super) mean: &'a [f32],
    /// Per channel.
    pub(super) through: &'a [Through],
    /// 1 in the lanes that hold an image: the statistics act on every lane, the gradient may not.
    pub(super) mask: Vector,
    pub(super) gradient: &'a mut [Vector],
}

impl Kernel for ThroughNorm<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let channels = self.mean.len();
        let mask = R::load(&self.mask);
        for (gradient, stored) in self
            .gradient
            .chunks_exact_mut(channels)
            .zip(self.map.chunks_exact(channels))
        {
            for channel in 0..channels {
                let through = &self.through[channel];
                let apart = R::load(&stored[channel]).minus(R::splat(self.mean[channel]));
                R::splat(through.level)
                    .plus_product(apart, R::splat(through.curve))
                    .plus_product(R::load(&gradient[channel]), R::splat(through.slope))
                    .times(mask)
                    .store(&mut gradient[channel]);
            }
        }
    }
}

/// One step of gradient descent for scale and shift.
pub(super) fn descend(norm: &mut BatchNorm, through: &[Through], learning_rate: f32) {
    for (gamma, through) in norm.gamma.iter_mut().zip(through) {
        *gamma -= learning_rate * through.gamma;
    }
    for (beta, through) in norm.beta.iter_mut().zip(through) {
        *beta -= learning_rate * through.beta;
    }
}
