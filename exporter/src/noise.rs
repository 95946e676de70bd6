//! A model of the noise that rounding to Q8.8 adds to the logits, and the scales that make it least.
//!
//! Rounding an activation or a weight of Q8.8 adds noise of the same power σ², less if the weight has
//! more fractional bits. If a channel is scaled by s,
//! noise of the activations stored there, and of the weights that compute them, counts 1/s² in the
//! logits; noise of the weights that read it counts s². With A and B as the sums of both at s = 1, the
//! total `A / s² + B · s²` is least for `s⁴ = A / B`. The model takes noise for independent and ReLU
//! for linear: it proposes, and [`rescale`](crate::rescale) measures.

use runtime_nostd::geometry::{Op, Shape};

use crate::dataset::Images;
use crate::forward::Forward;
use crate::network::{Network, NetworkError};
use crate::quantize::WeightBits;
use crate::scale::{Links, MAX_EXPONENT, Scales, channel_read, links};

/// Measured activations may double before they saturate.
const LARGEST_ACTIVATION: f64 = 64.0;

/// What the model knows of a network. By map (0 is the image, `k + 1` the output of layer `k`), then
/// by channel.
#[derive(Clone, Debug)]
pub(crate) struct NoiseModel<'network> {
    /// The network, folded.
    network: &'network Network,
    weight_bits: WeightBits,
    links: Vec<Links>,
    shapes: Vec<Shape>,
    /// Largest magnitude of an activation.
    peak: Vec<Vec<f64>>,
    /// Mean square of the activations.
    power: Vec<Vec<f64>>,
    /// Power in the logits for noise of power 1 in one element of the map.
    gain: Vec<Vec<f64>>,
}

/// One weight of a layer: who reads what with it.
struct Tap {
    weight: f64,
    filter: usize,
    channel: usize,
}

impl<'network> NoiseModel<'network> {
    /// The model of a folded network, its activations measured over `images`, and its logits for
    /// every image.
    ///
    /// # Errors
    /// As [`Network::check`].
    pub(crate) fn measure(
        network: &'network Network,
        weight_bits: WeightBits,
        images: &Images,
    ) -> Result<(Self, Vec<Vec<f32>>), NetworkError> {
        let mut shapes = network.check()?;
        let forward = Forward::new(network)?;
        let outputs = network.layers.iter().zip(&shapes).map(|(layer, &input)| {
            let output = layer.op.output(input);
            output.unwrap_or(input)
        });
        shapes = [network.input.shape].into_iter().chain(outputs).collect();
        let zeros = || -> Vec<Vec<f64>> {
            let channels = |shape: &Shape| vec![0.0; shape.channels.into()];
            shapes.iter().map(channels).collect()
        };
        let (mut peak, mut power) = (zeros(), zeros());
        let mut logits = Vec::new();
        for pixels in images.iter() {
            let zero = network.input.zero.iter().cycle();
            let image = pixels.iter().zip(zero);
            let image = image.map(|(&pixel, &zero)| (f32::from(pixel) - f32::from(zero)) / 256.0);
            let mut maps = vec![image.collect::<Vec<f32>>()];
            maps.extend(forward.outputs(pixels));
            for (map, values) in maps.iter().enumerate() {
                let channels = peak[map].len();
                let share = channels as f64 / (values.len() * images.len()) as f64;
                for (element, &value) in values.iter().enumerate() {
                    let (channel, value) = (element % channels, f64::from(value));
                    peak[map][channel] = peak[map][channel].max(value.abs());
                    power[map][channel] += value * value * share;
                }
            }
            logits.extend(maps.pop());
        }
        let mut model = Self {
            network,
            weight_bits,
            links: links(network),
            gain: zeros(),
            shapes,
            peak,
            power,
        };
        model.propagate_gains();
        Ok((model, logits))
    }

    /// Fills `gain`, last map to first.
    fn propagate_gains(&mut self) {
        if let Some(logits) = self.gain.last_mut() {
            logits.fill(1.0);
        }
        for layer in (0..self.links.len()).rev() {
            let Links { source, skip } = self.links[layer];
            // How many elements of the output an element of the input has a part in, per tap.
            let ratio = self.positions(layer + 1) / self.positions(source);
            let behind = self.gain[layer + 1].clone();
            let factor = match self.network.layers[layer].op {
                Op::MaxPool { .. } => ratio,
                Op::AvgPool { window } => ratio / window.area() as f64,
                Op::Add { .. } | Op::Branch { .. } => 1.0,
                Op::Conv { .. } | Op::Depthwise { .. } | Op::Dense { .. } => {
                    for tap in self.taps(layer) {
                        self.gain[source][tap.channel] +=
                            tap.weight * tap.weight * behind[tap.filter] * ratio;
                    }
                    continue;
                }
            };
            for map in [Some(source), skip].into_iter().flatten() {
                for (gain, behind) in self.gain[map].iter_mut().zip(&behind) {
                    *gain += behind * factor;
                }
            }
        }
    }

    /// Rows times columns of a map.
    fn positions(&self, map: usize) -> f64 {
        f64::from(self.shapes[map].height) * f64::from(self.shapes[map].width)
    }

    /// The weights of a layer; none for pooling and joins.
    fn taps(&self, layer: usize) -> Vec<Tap> {
        let op = self.network.layers[layer].op;
        let channels = usize::from(self.shapes[self.links[layer].source].channels);
        let Some(parameters) = &self.network.layers[layer].parameters else {
            return Vec::new();
        };
        let fan_in = parameters.fan_in();
        let weights = parameters.weights.iter().enumerate();
        weights
            .map(|(position, &weight)| {
                let (filter, element) = (position / fan_in, position % fan_in);
                Tap {
                    weight: weight.into(),
                    filter,
                    channel: channel_read(op, channels, filter, element),
                }
            })
            .collect()
    }

    /// The exponents for the maps of a set that make the noise least, the other sets' being
    /// `scales`, and that keep activations and weights in range. `weight_noise` is the power of a
    /// weight's noise in units of an activation's.
    pub(crate) fn propose(&self, scales: &Scales, set: usize, weight_noise: f64) -> Vec<i8> {
        let mut channels = vec![Tally::default(); scales.of_map(set).len()];
        for layer in 0..self.links.len() {
            if scales.set_of(layer + 1) == set {
                self.tally_stores(scales, layer, weight_noise, &mut channels);
            }
            if scales.set_of(self.links[layer].source) == set {
                self.tally_reads(scales, layer, weight_noise, &mut channels);
            }
        }
        let largest_weight = match self.weight_bits {
            WeightBits::Q8_8 => f64::from(i16::MAX) / 256.0,
            WeightBits::PerLayer | WeightBits::Narrow => f64::from(i16::MAX),
        };
        let exponents = channels.iter().zip(self.highest(scales, set));
        exponents
            .map(|(tally, highest)| tally.exponent(largest_weight).min(highest))
            .collect()
    }

    /// The highest exponents for the maps of a set that leave measured activations room to double.
    pub(crate) fn highest(&self, scales: &Scales, set: usize) -> Vec<i8> {
        let maps = (0..self.peak.len()).filter(|&map| scales.set_of(map) == set);
        let mut peaks = vec![0.0_f64; scales.of_map(set).len()];
        for map in maps {
            for (peak, &own) in peaks.iter_mut().zip(&self.peak[map]) {
                *peak = peak.max(own);
            }
        }
        let fit = |peak: f64| (LARGEST_ACTIVATION / peak).log2().floor();
        peaks.into_iter().map(|peak| fit(peak) as i8).collect()
    }

    /// What layer `layer` stores in the set: A, and how large it may become.
    fn tally_stores(
        &self,
        scales: &Scales,
        layer: usize,
        weight_noise: f64,
        channels: &mut [Tally],
    ) {
        let source = self.links[layer].source;
        let rounds = match self.network.layers[layer].op {
            Op::Conv { .. } | Op::Depthwise { .. } | Op::Dense { .. } | Op::AvgPool { .. } => 1.0,
            Op::MaxPool { .. } | Op::Add { .. } | Op::Branch { .. } => 0.0,
        };
        let mut noise = vec![rounds; channels.len()];
        for tap in self.taps(layer) {
            let scale = f64::from(scales.of_map(source)[tap.channel]).exp2();
            noise[tap.filter] += weight_noise * self.power[source][tap.channel] * scale * scale;
            let largest = &mut channels[tap.filter].largest_own_weight;
            *largest = largest.max(tap.weight.abs() / scale);
        }
        let positions = self.positions(layer + 1);
        for (channel, tally) in channels.iter_mut().enumerate() {
            tally.stored += positions * noise[channel] * self.gain[layer + 1][channel];
        }
    }

    /// What layer `layer` reads of the set: B, and how large its weights may become.
    fn tally_reads(
        &self,
        scales: &Scales,
        layer: usize,
        weight_noise: f64,
        channels: &mut [Tally],
    ) {
        let source = self.links[layer].source;
        let positions = self.positions(layer + 1);
        for tap in self.taps(layer) {
            let scale = f64::from(scales.of_map(layer + 1)[tap.filter]).exp2();
            let gain = self.gain[layer + 1][tap.filter] / (scale * scale);
            let tally = &mut channels[tap.channel];
            tally.read += positions * weight_noise * self.power[source][tap.channel] * gain;
            tally.largest_reading_weight =
                tally.largest_reading_weight.max(tap.weight.abs() * scale);
        }
    }
}

/// What the model sums up for one channel.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// A: noise that shrinks as the channel is scaled up.
    stored: f64,
    /// B: noise that grows.
    read: f64,
    /// Largest weight that computes the channel; its own scale is not in it.
    largest_own_weight: f64,
    /// Largest weight that reads it; its own scale is not in it.
    largest_reading_weight: f64,
}

impl Tally {
    fn exponent(&self, largest_weight: f64) -> i8 {
        let best = if self.stored > 0.0 && self.read > 0.0 {
            (self.stored / self.read).log2() / 4.0
        } else {
            // A dead channel: nothing is stored that anybody reads.
            0.0
        };
        // A saturated filter hurts more than its readers' saturated weights.
        let fit = |limit: f64, largest: f64| (limit / largest).log2().floor();
        let limit = f64::from(MAX_EXPONENT);
        best.round()
            .max(-fit(largest_weight, self.largest_reading_weight))
            .min(fit(largest_weight, self.largest_own_weight))
            .clamp(-limit, limit) as i8
    }
}
