//! Batch normalization: the statistics of a batch, and the gradient through them.

use exporter::network::{BATCH_NORM_EPSILON, BatchNorm};

use super::map::Reading;
use super::simd::{Kernel, Register};
use super::vector::Vector;

/// Sums over the pixels of one block, per channel and lane.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    pub(super) first: Vec<Vector>,
    pub(super) second: Vec<Vector>,
}

impl Sums {
    pub(super) fn new(channels: usize) -> Self {
        Self {
            first: vec![Vector::ZERO; channels],
            second: vec![Vector::ZERO; channels],
        }
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
        for (total, sum) in self.first.iter_mut().zip(&sums.first) {
            *total += sum.sum(images);
        }
        for (total, sum) in self.second.iter_mut().zip(&sums.second) {
            *total += sum.sum(images);
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

/// Channels whose sums are kept in registers together.
const GROUP: usize = 4;

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
    fn run<R: Register, const PX: usize>(mut self) {
        let channels = self.origin.len();
        let grouped = channels / GROUP * GROUP;
        for channel in (0..grouped).step_by(GROUP) {
            self.channels::<R, GROUP>(channel);
        }
        for channel in grouped..channels {
            self.channels::<R, 1>(channel);
        }
    }
}

impl Moments<'_> {
    #[inline(always)]
    fn channels<R: Register, const COUNT: usize>(&mut self, channel: usize) {
        let mut first = [R::splat(0.0); COUNT];
        let mut second = [R::splat(0.0); COUNT];
        let origin = &self.origin[channel..][..COUNT];
        for pixel in self.map.chunks_exact(self.origin.len()) {
            let pixel = &pixel[channel..][..COUNT];
            for index in 0..COUNT {
                let apart = R::load(&pixel[index]).minus(R::splat(origin[index]));
                first[index] = first[index].plus(apart);
                second[index] = second[index].plus_product(apart, apart);
            }
        }
        for index in 0..COUNT {
            first[index].store(&mut self.sums.first[channel + index]);
            second[index].store(&mut self.sums.second[channel + index]);
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
    fn run<R: Register, const PX: usize>(mut self) {
        let channels = self.mean.len();
        let grouped = channels / GROUP * GROUP;
        for channel in (0..grouped).step_by(GROUP) {
            self.channels::<R, GROUP>(channel);
        }
        for channel in grouped..channels {
            self.channels::<R, 1>(channel);
        }
    }
}

impl ThroughActivation<'_> {
    #[inline(always)]
    fn channels<R: Register, const COUNT: usize>(&mut self, channel: usize) {
        let channels = self.mean.len();
        let mut first = [R::splat(0.0); COUNT];
        let mut second = [R::splat(0.0); COUNT];
        // Without ReLU the floor is negative infinity, and everything is above it.
        let floor = R::splat(self.reading.floor);
        for (gradient, stored) in self
            .gradient
            .chunks_exact_mut(channels)
            .zip(self.map.chunks_exact(channels))
        {
            let gradient = &mut gradient[channel..][..COUNT];
            let stored = &stored[channel..][..COUNT];
            for index in 0..COUNT {
                let stored = R::load(&stored[index]);
                let normalized = self.reading.normalized(channel + index, stored);
                let slope = R::load(&gradient[index]).where_greater(normalized, floor);
                slope.store(&mut gradient[index]);
                let apart = stored.minus(R::splat(self.mean[channel + index]));
                first[index] = first[index].plus(slope);
                second[index] = second[index].plus_product(slope, apart);
            }
        }
        for index in 0..COUNT {
            first[index].store(&mut self.sums.first[channel + index]);
            second[index].store(&mut self.sums.second[channel + index]);
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
