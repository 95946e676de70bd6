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
    /// The pixel value that the network is to read as 0, one for all channels or one per channel, if
    /// that is given by the data set that it is to be trained further on; none is the mean.
    pub zero: Vec<u8>,
}

/// `scale * pixel + offset`, one of each per channel: what the model sees.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub(super) scale: Vec<f64>,
    pub(super) offset: Vec<f64>,
    /// What the network is to read as 0, if that is given.
    zero: Option<Vec<u8>>,
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
    /// That of a model that reads bytes, and normalizes them itself.
    pub(super) fn of_bytes(
        normalization: &Normalization,
        channels: usize,
    ) -> Result<Self, NormalizationError> {
        Self::new(
            &Normalization {
                range: PixelRange::Byte,
                zero: normalization.zero.clone(),
                ..Normalization::default()
            },
            channels,
        )
    }

    /// That of a model that was trained on normalized pixels.
    pub(super) fn new(
        normalization: &Normalization,
        channels: usize,
    ) -> Result<Self, NormalizationError> {
        let Normalization {
            range,
            mean,
            std,
            zero,
        } = normalization;
        let mean = per_channel("mean", mean, 0.0, channels)?;
        let std = per_channel("standard deviation", std, 1.0, channels)?;
        let range = match range {
            PixelRange::Unit => 255.0,
            PixelRange::Byte => 1.0,
        };
        let given = !zero.is_empty();
        let zero = per_channel("zero", zero, 0, channels)?;
        Ok(Self {
            scale: std.iter().map(|std| 1.0 / (range * std)).collect(),
            offset: mean.iter().zip(&std).map(|(m, s)| -m / s).collect(),
            zero: given.then_some(zero),
        })
    }

    /// Behind this, `scale * x + shift`.
    pub(super) fn then(&mut self, scale: &[f64], shift: &[f64]) {
        for channel in 0..self.scale.len() {
            self.scale[channel] *= scale[channel];
            self.offset[channel] = self.offset[channel] * scale[channel] + shift[channel];
        }
    }

    /// The given pixel value for the 0 of each channel, or the nearest to the model's, and what
    /// remains for the first layer.
    pub(super) fn takeover(&self) -> Result<Takeover, NormalizationError> {
        let channels = self.scale.iter().zip(&self.offset).enumerate();
        let zero = channels.map(|(channel, (scale, offset))| {
            let zero = -offset / scale;
            if let Some(given) = &self.zero
                && zero.is_finite()
            {
                Ok(given[channel])
            } else if (0.0..=255.0).contains(&zero) {
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

fn per_channel<T: Copy>(
    what: &'static str,
    values: &[T],
    absent: T,
    channels: usize,
) -> Result<Vec<T>, NormalizationError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        Parameters {
            weights: vec![2.0, -3.0],
            bias: vec![0.5],
            norm: None,
        }
    }

    /// The sum of one filter over one pixel of two channels.
    fn sum(parameters: &Parameters, x: [f64; 2]) -> f64 {
        let products = parameters.weights.iter().zip(x);
        let products = products.map(|(&weight, x)| f64::from(weight) * x);
        f64::from(parameters.bias[0]) + products.sum::<f64>()
    }

    #[test]
    fn the_first_layer_sees_what_the_model_saw() {
        let mut normalization = Normalization {
            mean: vec![0.1307, 0.5],
            std: vec![0.3081],
            ..Normalization::default()
        };
        for (given, zero) in [(vec![], [33, 128]), (vec![9], [9, 9])] {
            normalization.zero = given;
            let takeover = Affine::new(&normalization, 2).unwrap().takeover().unwrap();
            assert_eq!(takeover.zero, zero);
            let mut folded = parameters();
            assert!(takeover.fold(&mut folded, |_, weight| weight) > 0.0);
            let pixel = [200u8, 17];
            let model = [0, 1].map(|c| {
                (f64::from(pixel[c]) / 255.0 - normalization.mean[c]) / normalization.std[0]
            });
            let ours = [0, 1].map(|c| (f64::from(pixel[c]) - f64::from(zero[c])) / 256.0);
            let difference = sum(&parameters(), model) - sum(&folded, ours);
            assert!(difference.abs() < 1e-5, "{difference}");
        }
    }

    #[test]
    fn a_mean_that_is_no_pixel_is_refused() {
        let normalization = Normalization {
            mean: vec![33.0],
            ..Normalization::default()
        };
        let refused = Affine::new(&normalization, 1).unwrap().takeover();
        assert!(matches!(refused, Err(NormalizationError::Zero { .. })));
    }
}
