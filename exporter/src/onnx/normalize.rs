//! What the model sees of a pixel, and how the first layer takes it over.

use super::error::NormalizationError;
use crate::network::Parameters;

/// What pixels of 0 to 255 are for the model, before mean and standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelRange {
    /// 0 to 1, as `torchvision`'s `ToTensor` and Keras' `Rescaling(1/255)` give.
    #[default]
    Unit,
    /// 0 to 255.
    Byte,
}

/// How the model's input was normalized where it was trained: a pixel p of channel c came in as
/// `(p / 255 - mean[c]) / std[c]`, or without the division by 255.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalization {
    /// The range of pixels, in whose units the other two are.
    pub range: PixelRange,
    /// One for all channels or one per channel; none is 0.
    pub mean: Vec<f64>,
    /// One for all channels or one per channel; none is 1.
    pub std: Vec<f64>,
}

/// `scale * pixel + offset`, one of each per channel: what the model sees.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub(super) scale: Vec<f64>,
    pub(super) offset: Vec<f64>,
}

/// What the first layer takes over from the normalization, one of each per channel: the model sees
/// `scale * (p - zero) / 256 + shift`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Takeover {
    pub(super) zero: Vec<u8>,
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    /// That of a model that reads pixels as they are.
    pub(super) fn identity(channels: usize) -> Self {
        Self {
            scale: vec![1.0; channels],
            offset: vec![0.0; channels],
        }
    }

    /// That of a model that was trained on normalized pixels.
    pub(super) fn new(
        normalization: &Normalization,
        channels: usize,
    ) -> Result<Self, NormalizationError> {
        let mean = per_channel("mean", &normalization.mean, 0.0, channels)?;
        let std = per_channel("standard deviation", &normalization.std, 1.0, channels)?;
        let range = match normalization.range {
            PixelRange::Unit => 255.0,
            PixelRange::Byte => 1.0,
        };
        Ok(Self {
            scale: std.iter().map(|std| 1.0 / (range * std)).collect(),
            offset: mean.iter().zip(&std).map(|(m, s)| -m / s).collect(),
        })
    }

    /// Behind this, `scale * x + shift`.
    pub(super) fn then(&mut self, scale: &[f64], shift: &[f64]) {
        for channel in 0..self.scale.len() {
            self.scale[channel] *= scale[channel];
            self.offset[channel] = self.offset[channel] * scale[channel] + shift[channel];
        }
    }

    /// The nearest pixel value for the 0 of each channel, and what remains for the first layer.
    pub(super) fn takeover(&self) -> Result<Takeover, NormalizationError> {
        let channels = self.scale.iter().zip(&self.offset).enumerate();
        let zero = channels.map(|(channel, (scale, offset))| {
            let zero = -offset / scale;
            if (0.0..=255.0).contains(&zero) {
                Ok(zero.round() as u8)
            } else {
                Err(NormalizationError::Zero { channel, zero })
            }
        });
        let zero: Vec<u8> = zero.collect::<Result<_, _>>()?;
        let shift = |channel: usize| {
            let zero_of_model = -self.offset[channel] / self.scale[channel];
            let distance = f64::from(zero[channel]) - zero_of_model;
            // Where the mean is a whole pixel value up to rounding, it is meant to be one.
            if distance.abs() < 1e-4 {
                0.0
            } else {
                self.scale[channel] * distance
            }
        };
        Ok(Takeover {
            shift: (0..zero.len()).map(shift).collect(),
            scale: self.scale.iter().map(|scale| scale * 256.0).collect(),
            zero,
        })
    }
}

impl Takeover {
    /// Moves the normalization into the layer that reads the image, where `channel(filter, weight)`
    /// is what a weight reads, and returns how much a sum over padding differs at most.
    ///
    /// The sums are the model's wherever the window lies on the image. Padding is 0 for the model
    /// and `shift` here, which differs if the mean is no whole pixel value.
    pub(super) fn fold(
        &self,
        parameters: &mut Parameters,
        channel: impl Fn(usize, usize) -> usize,
    ) -> f64 {
        let fan_in = parameters.weights.len() / parameters.bias.len().max(1);
        let filters = parameters.weights.chunks_mut(fan_in.max(1));
        let mut largest = 0.0f64;
        for (filter, (weights, bias)) in filters.zip(&mut parameters.bias).enumerate() {
            let mut moved = 0.0;
            let mut padding = 0.0;
            for (index, weight) in weights.iter_mut().enumerate() {
                let channel = channel(filter, index);
                let shifted = f64::from(*weight) * self.shift[channel];
                moved += shifted;
                padding += shifted.abs();
                *weight = (f64::from(*weight) * self.scale[channel]) as f32;
            }
            *bias = (f64::from(*bias) + moved) as f32;
            largest = largest.max(padding);
        }
        largest
    }
}

fn per_channel(
    what: &'static str,
    values: &[f64],
    absent: f64,
    channels: usize,
) -> Result<Vec<f64>, NormalizationError> {
    match values {
        [] => Ok(vec![absent; channels]),
        [one] => Ok(vec![*one; channels]),
        _ if values.len() == channels => Ok(values.to_vec()),
        _ => Err(NormalizationError::Count {
            what,
            found: values.len(),
            channels,
        }),
    }
}
