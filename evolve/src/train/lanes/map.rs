//! Feature maps of 16 images, and how the next layer reads them.

use exporter::network::{BATCH_NORM_EPSILON, BatchNorm};
use runtime_nostd::geometry::{Activation, Shape};

use super::simd::Register;
use super::vector::Vector;

/// The extent of one block's map: `[height, width, channels]` vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
}

impl Extent {
    pub(super) fn of(shape: Shape) -> Self {
        Self {
            height: shape.height.into(),
            width: shape.width.into(),
            channels: shape.channels.into(),
        }
    }

    /// Vectors of one row.
    pub(super) fn row(self) -> usize {
        self.width * self.channels
    }

    /// Row `index` of a map, counted from `pad` rows above it; `None` outside.
    #[inline(always)]
    pub(super) fn row_of(self, map: &[Vector], index: usize, pad: usize) -> Option<&[Vector]> {
        let start = index.checked_sub(pad)? * self.row();
        map.get(start..start + self.row())
    }

    /// Vectors of one map.
    pub(super) fn vectors(self) -> usize {
        self.height * self.row()
    }
}

/// How a stored map becomes the activations that the next layer reads: a layer stores its sums,
/// and whoever reads them applies batch normalization and ReLU, `max(scale · z + shift, floor)`.
/// No normalized map is ever stored.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Per channel.
    pub(super) scale: Vec<f32>,
    /// Per channel.
    pub(super) shift: Vec<f32>,
    /// 0 for ReLU, else negative infinity.
    pub(super) floor: f32,
}

impl Reading {
    /// Without batch normalization.
    pub(super) fn plain(channels: usize, activation: Activation) -> Self {
        Self {
            scale: vec![1.0; channels],
            shift: vec![0.0; channels],
            floor: match activation {
                Activation::Linear => f32::NEG_INFINITY,
                Activation::Relu => 0.0,
            },
        }
    }

    /// Normalizes by the given statistics, one value per channel.
    pub(super) fn normalize(&mut self, norm: &BatchNorm, mean: &[f32], variance: &[f32]) {
        for (channel, (&mean, &variance)) in mean.iter().zip(variance).enumerate() {
            let scale = norm.gamma[channel] / (variance + BATCH_NORM_EPSILON).sqrt();
            self.scale[channel] = scale;
            self.shift[channel] = norm.beta[channel] - mean * scale;
        }
    }

    /// A stored value, normalized: what the floor is applied to.
    #[inline(always)]
    pub(super) fn normalized<R: Register>(&self, channel: usize, stored: R) -> R {
        R::splat(self.shift[channel]).plus_product(stored, R::splat(self.scale[channel]))
    }

    /// The activation of a stored value.
    #[inline(always)]
    pub(super) fn activation<R: Register>(&self, channel: usize, stored: R) -> R {
        self.normalized(channel, stored)
            .greatest(R::splat(self.floor))
    }

    /// The activations of whole pixels.
    #[inline(always)]
    pub(super) fn activations<R: Register>(&self, stored: &[Vector], activations: &mut [Vector]) {
        let channels = self.scale.len();
        for (to, from) in activations
            .chunks_exact_mut(channels)
            .zip(stored.chunks_exact(channels))
        {
            for (channel, (to, from)) in to.iter_mut().zip(from).enumerate() {
                self.activation(channel, R::load(from)).store(to);
            }
        }
    }
}
