//! From f32 to fixed point: round half to even, saturate, and count what saturated.

use runtime_nostd::geometry::{Activation, Op};
use runtime_nostd::q8_8::{ACTIVATION_FRAC_BITS, MAX_WEIGHT_FRAC_BITS, Product};
use serde::Serialize;

use crate::network::{Input, Network};

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

/// Weights and biases of one layer, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedParameters {
    /// Fractional bits of the weights.
    pub frac_bits: u8,
    /// `[filters, fan_in]`, row-major.
    pub weights: Vec<i16>,
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

/// How many fractional bits weights have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightBits {
    /// 8 in every layer, as in the paper.
    Q8_8,
    /// In each layer as many as let its weights fit 16 bits and its sums 32 bits. Products cannot be
    /// [`Product::Rounded`] then.
    PerLayer,
}

impl WeightBits {
    /// The most fractional bits that let the weights of each layer fit 16 bits.
    pub(crate) fn most(self, folded: &Network) -> Vec<u8> {
        let layers = folded.layers.iter();
        let most = layers.map(|layer| match (self, &layer.parameters) {
            (Self::PerLayer, Some(parameters)) => {
                let magnitudes = parameters.weights.iter().map(|weight| weight.abs());
                let largest = f64::from(magnitudes.fold(0.0, f32::max));
                let fits =
                    |frac_bits: &u8| largest * f64::from(1_u32 << frac_bits) <= f64::from(i16::MAX);
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
    product: Product,
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
            let fixed = FixedParameters {
                frac_bits,
                weights: quantize_weights(&parameters.weights, frac_bits, &mut counts),
                bias: quantize_biases(&parameters.bias, frac_bits, product, &mut counts),
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
        product,
        layers: layers.collect(),
    };
    (fixed, report)
}

fn quantize_weights(weights: &[f32], frac_bits: u8, counts: &mut LayerQuantization) -> Vec<i16> {
    counts.weights = weights.len();
    counts.range = weights.iter().fold(
        (f32::INFINITY, f32::NEG_INFINITY),
        |(low, high), &weight| (low.min(weight), high.max(weight)),
    );
    let raw = weights.iter().map(|&weight| {
        let raw = scaled(weight, frac_bits);
        let saturated = raw.clamp(i16::MIN.into(), i16::MAX.into());
        counts.saturated_weights += usize::from(saturated != raw);
        counts.vanished_weights += usize::from(raw == 0.0 && weight != 0.0);
        saturated as i16
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
        let raw = quantize_weights(&weights, 8, &mut counts);
        assert_eq!(raw, [0, 2, 0, i16::MAX, i16::MIN, 256]);
        assert_eq!(counts.saturated_weights, 2);
        assert_eq!(counts.vanished_weights, 2);
        assert_eq!(counts.range, (-200.0, 200.0));
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
