//! From f32 to fixed point: round half to even, saturate, and count what saturated.

use runtime_nostd::blob::Storage;
use runtime_nostd::geometry::{Activation, Op};
use runtime_nostd::q8_8::{ACTIVATION_FRAC_BITS, MAX_WEIGHT_FRAC_BITS, Product};
use runtime_nostd::weights8::{MAX_EXPONENT, widen};
use serde::Serialize;

use crate::network::{Input, Network, Parameters};

/// A network in fixed point, its weights in the order of [`Network`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedNetwork {
    /// What the first layer reads.
    pub input: Input,
    /// How products are rounded.
    pub product: Product,
    /// The layers, first to last.
    pub layers: Vec<FixedLayer>,
}

/// One layer in fixed point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedLayer {
    /// What it computes.
    pub op: Op,
    /// What follows its sum.
    pub activation: Activation,
    /// `None` for pooling.
    pub parameters: Option<FixedParameters>,
}

impl FixedLayer {
    /// How its weights are stored, if it has any.
    pub fn storage(&self) -> Storage {
        match &self.parameters {
            Some(FixedParameters {
                exponents: Some(_), ..
            }) => Storage::I8,
            _ => Storage::I16,
        }
    }
}

/// Weights and biases of one layer, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedParameters {
    /// Fractional bits of the weights.
    pub frac_bits: u8,
    /// `[filters, fan_in]`, row-major.
    pub weights: Vec<i16>,
    /// `None` if the weights are stored in 16 bits. If they are stored in 8, one for each filter,
    /// whose weights are -128 to 127 times 2 to the power of this.
    pub exponents: Option<Vec<u8>>,
    /// One per filter, with the fractional bits of the accumulator, without rounding constant.
    pub bias: Vec<i32>,
}

/// The numbers that a network is quantized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How products are rounded.
    pub product: Product,
    /// Fractional bits of the weights.
    pub weight_bits: WeightBits,
}

/// Q8.8.
impl From<Product> for Format {
    fn from(product: Product) -> Self {
        Self {
            product,
            weight_bits: WeightBits::Q8_8,
        }
    }
}

/// How many bits weights have, and how many of them are fractional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightBits {
    /// 8 in every layer, as in the paper.
    Q8_8,
    /// In each layer as many as let its weights fit 16 bits and its sums 32 bits. Products cannot be
    /// [`Product::Rounded`] then.
    PerLayer,
    /// As `PerLayer`, each weight rounded to 8 bits times a power of two of its filter, and stored as
    /// such.
    Narrow,
}

/// The largest weight as stored in 8 bits: -128 is left out.
const LARGEST_NARROW: f64 = i8::MAX as f64;

impl WeightBits {
    /// Whether each layer has its own number of fractional bits.
    pub(crate) fn is_per_layer(self) -> bool {
        self != Self::Q8_8
    }

    /// The most fractional bits that let the weights of each layer fit 16 bits; narrow ones such that
    /// 8 bits of them round to [`LARGEST_NARROW`] at most.
    pub(crate) fn most(self, folded: &Network) -> Vec<u8> {
        let layers = folded.layers.iter();
        let most = layers.map(|layer| match (self, &layer.parameters) {
            (Self::PerLayer | Self::Narrow, Some(parameters)) => {
                let largest = largest_magnitude(&parameters.weights);
                let fits = |frac_bits: &u8| match self {
                    Self::Narrow => fits_narrow(largest, *frac_bits, MAX_EXPONENT),
                    _ => f64::from(largest) * f64::from(1_u32 << frac_bits) <= f64::from(i16::MAX),
                };
                (0..=MAX_WEIGHT_FRAC_BITS).rev().find(fits).unwrap_or(0)
            }
            (Self::Q8_8, _) | (_, None) => ACTIVATION_FRAC_BITS,
        });
        most.collect()
    }
}

/// What quantization did to one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LayerQuantization {
    /// Index of the layer.
    pub layer: usize,
    /// Weights, without biases.
    pub weights: usize,
    /// Weights outside the range of 16 bits.
    pub saturated_weights: usize,
    /// Biases outside the range of 32 bits.
    pub saturated_biases: usize,
    /// Weights that are not 0 in f32 and became 0.
    pub vanished_weights: usize,
    /// Least and greatest folded weight.
    pub range: (f32, f32),
}

/// Quantizes a folded network, with `frac_bits` fractional bits for the weights of each layer.
pub(crate) fn quantize(
    folded: &Network,
    format: Format,
    frac_bits: &[u8],
) -> (FixedNetwork, Vec<LayerQuantization>) {
    let mut report = Vec::new();
    let layers = folded.layers.iter().enumerate().map(|(layer, f32_layer)| {
        let parameters = f32_layer.parameters.as_ref().map(|parameters| {
            let mut counts = LayerQuantization {
                layer,
                ..LayerQuantization::default()
            };
            let frac_bits = frac_bits[layer];
            let exponents = match format.weight_bits {
                WeightBits::Narrow => Some(exponents(parameters, frac_bits)),
                WeightBits::Q8_8 | WeightBits::PerLayer => None,
            };
            let fan_in = parameters.fan_in();
            let rounding = |weight: usize| match &exponents {
                Some(exponents) => Rounding::Narrow(exponents[weight / fan_in]),
                None => Rounding::Wide,
            };
            let fixed = FixedParameters {
                frac_bits,
                weights: quantize_weights(&parameters.weights, frac_bits, rounding, &mut counts),
                bias: quantize_biases(&parameters.bias, frac_bits, format.product, &mut counts),
                exponents,
            };
            report.push(counts);
            fixed
        });
        FixedLayer {
            op: f32_layer.op,
            activation: f32_layer.activation,
            parameters,
        }
    });
    let fixed = FixedNetwork {
        input: folded.input.clone(),
        product: format.product,
        layers: layers.collect(),
    };
    (fixed, report)
}

/// What a weight is rounded to.
#[derive(Clone, Copy, Debug)]
enum Rounding {
    /// 16 bits.
    Wide,
    /// 8 bits, times 2 to the power of this.
    Narrow(u8),
}

/// For each filter the least exponent with which its weights fit 8 bits: as [`WeightBits::most`] chose
/// the fractional bits, [`MAX_EXPONENT`] always does unless there are none left to give up.
fn exponents(parameters: &Parameters, frac_bits: u8) -> Vec<u8> {
    let filters = parameters.weights.chunks(parameters.fan_in());
    let least = filters.map(|weights| {
        let largest = largest_magnitude(weights);
        (0..MAX_EXPONENT)
            .find(|&exponent| fits_narrow(largest, frac_bits, exponent))
            .unwrap_or(MAX_EXPONENT)
    });
    least.collect()
}

fn largest_magnitude(weights: &[f32]) -> f32 {
    let magnitudes = weights.iter().map(|weight| weight.abs());
    magnitudes.fold(0.0, f32::max)
}

fn fits_narrow(weight: f32, frac_bits: u8, exponent: u8) -> bool {
    narrowed(weight, frac_bits, exponent).abs() <= LARGEST_NARROW
}

/// `weight * 2^frac_bits / 2^exponent`, rounded half to even.
fn narrowed(weight: f32, frac_bits: u8, exponent: u8) -> f64 {
    let scale = f64::from(1_u32 << frac_bits) / f64::from(1_u32 << exponent);
    (f64::from(weight) * scale).round_ties_even()
}

fn quantize_weights(
    weights: &[f32],
    frac_bits: u8,
    rounding: impl Fn(usize) -> Rounding,
    counts: &mut LayerQuantization,
) -> Vec<i16> {
    counts.weights = weights.len();
    counts.range = weights.iter().fold(
        (f32::INFINITY, f32::NEG_INFINITY),
        |(low, high), &weight| (low.min(weight), high.max(weight)),
    );
    let raw = weights.iter().enumerate().map(|(index, &weight)| {
        let (raw, saturated, stored) = match rounding(index) {
            Rounding::Wide => {
                let raw = scaled(weight, frac_bits);
                let saturated = raw.clamp(i16::MIN.into(), i16::MAX.into());
                (raw, saturated, saturated as i16)
            }
            Rounding::Narrow(exponent) => {
                let raw = narrowed(weight, frac_bits, exponent);
                let saturated = raw.clamp(-LARGEST_NARROW, LARGEST_NARROW);
                (raw, saturated, widen(saturated as i8, exponent))
            }
        };
        counts.saturated_weights += usize::from(saturated != raw);
        counts.vanished_weights += usize::from(raw == 0.0 && weight != 0.0);
        stored
    });
    raw.collect()
}

fn quantize_biases(
    biases: &[f32],
    frac_bits: u8,
    product: Product,
    counts: &mut LayerQuantization,
) -> Vec<i32> {
    let accumulator_bits = match product {
        Product::Exact => ACTIVATION_FRAC_BITS + frac_bits,
        Product::Rounded => ACTIVATION_FRAC_BITS,
    };
    let raw = biases.iter().map(|&bias| {
        let raw = scaled(bias, accumulator_bits);
        let saturated = raw.clamp(i32::MIN.into(), i32::MAX.into());
        counts.saturated_biases += usize::from(saturated != raw);
        saturated as i32
    });
    raw.collect()
}

/// `value * 2^frac_bits`, rounded half to even, in f64 where the product is exact.
fn scaled(value: f32, frac_bits: u8) -> f64 {
    (f64::from(value) * f64::from(1u32 << frac_bits)).round_ties_even()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_round_half_to_even_and_saturate() {
        let mut counts = LayerQuantization::default();
        let weights = [0.5 / 256.0, 1.5 / 256.0, -0.5 / 256.0, 200.0, -200.0, 1.0];
        let raw = quantize_weights(&weights, 8, |_| Rounding::Wide, &mut counts);
        assert_eq!(raw, [0, 2, 0, i16::MAX, i16::MIN, 256]);
        assert_eq!(counts.saturated_weights, 2);
        assert_eq!(counts.vanished_weights, 2);
        assert_eq!(counts.range, (-200.0, 200.0));
    }

    #[test]
    fn exponent_8_suffices_for_the_largest_weight_of_a_layer() {
        let network = |weight: f32| {
            let mut network = crate::network::Network {
                input: Input {
                    shape: runtime_nostd::geometry::Shape::new(1, 1, 2),
                    zero: vec![0, 0],
                },
                layers: Vec::new(),
                classes: vec!["a".into(), "b".into()],
                provenance: String::new(),
            };
            network.layers.push(crate::network::Layer {
                op: Op::Dense { outputs: 2 },
                activation: Activation::Linear,
                parameters: Some(Parameters {
                    weights: vec![weight, -weight / 3.0, weight / 500.0, 0.0],
                    bias: vec![0.0, 0.0],
                    norm: None,
                }),
            });
            network
        };
        let format = Format {
            product: Product::Exact,
            weight_bits: WeightBits::Narrow,
        };
        // In 16 bits the first two would be 32767 and 32639, which round to 128 and 127 times 2^8.
        for raw in [32767.0, 32639.0, 16384.0, 100.0] {
            let network = network(raw / 32768.0);
            let frac_bits = format.weight_bits.most(&network);
            let (fixed, report) = quantize(&network, format, &frac_bits);
            let parameters = fixed.layers[0].parameters.as_ref().expect("weights");
            assert_eq!(report[0].saturated_weights, 0, "{raw}");
            let exponents = parameters.exponents.as_ref().expect("8 bits");
            assert!(exponents[0] <= MAX_EXPONENT && exponents[1] < exponents[0].max(1));
            let scale = f64::from(1_u32 << parameters.frac_bits);
            let largest = f64::from(parameters.weights[0]) / scale;
            assert!(
                (largest / f64::from(raw / 32768.0_f32) - 1.0).abs() <= 0.5 / 63.5,
                "{raw}"
            );
        }
    }

    #[test]
    fn biases_have_the_accumulators_fractional_bits() {
        let mut counts = LayerQuantization::default();
        let exact = quantize_biases(&[1.0, -40000.0], 8, Product::Exact, &mut counts);
        assert_eq!(exact, [65536, i32::MIN]);
        assert_eq!(counts.saturated_biases, 1);
        let rounded = quantize_biases(&[1.0], 8, Product::Rounded, &mut counts);
        assert_eq!(rounded, [256]);
    }
}
