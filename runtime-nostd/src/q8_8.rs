//! Q8.8 activations and their accumulators: the only place that rounds and saturates.
//!
//! An activation is an `i16`, raw / 256. An accumulator is an `i32` whose fractional bits are those
//! of the activation plus those of the weights. Every sum is exact; see the specification of the
//! arithmetic, version [`ARITHMETIC_VERSION`](crate::blob::ARITHMETIC_VERSION), in FORMAT.md.

use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::geometry::Activation;

/// Fractional bits of an activation.
pub const ACTIVATION_FRAC_BITS: u8 = 8;

/// The most fractional bits that weights may have.
pub const MAX_WEIGHT_FRAC_BITS: u8 = 15;

/// How one activation is multiplied with one weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Product {
    /// The product is exact; one rounding at the store. What is deployed.
    Exact,
    /// Every product is rounded to Q8.8 and saturated, as section 3.6 of the paper reads
    /// literally. Weights have 8 fractional bits; sums and logits then have 8.
    Rounded,
}

impl Product {
    /// Whether products are rounded one by one. Constant where this build leaves that out.
    #[inline]
    pub(crate) const fn is_rounded(self) -> bool {
        cfg!(feature = "rounded") && matches!(self, Product::Rounded)
    }
}

/// `x * w` of [`Product::Rounded`]: rounded half up to 8 fractional bits, saturated to 16 bits.
#[inline]
pub const fn rounded_product(activation: i16, weight: i16) -> i32 {
    saturate((activation as i32 * weight as i32 + 128) >> 8, i16::MIN) as i32
}

/// From an accumulator to the activation that is stored: an arithmetic shift and a clamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantize {
    /// Fractional bits to drop, 0 to [`MAX_WEIGHT_FRAC_BITS`].
    pub shift: u8,
    /// Lower limit: 0 after ReLU, else `i16::MIN`.
    pub low: i16,
}

impl Requantize {
    /// The store of a layer whose weights have `frac_bits` fractional bits.
    pub const fn new(product: Product, frac_bits: u8, activation: Activation) -> Self {
        Self {
            shift: match product {
                Product::Exact => frac_bits,
                Product::Rounded => 0,
            },
            low: least(activation),
        }
    }

    /// What the exporter adds to a bias so that [`Requantize::store`] rounds half up.
    pub const fn rounding(self) -> i32 {
        (1 << self.shift) >> 1
    }

    /// The activation of an accumulator that already contains [`Requantize::rounding`].
    #[inline]
    pub const fn store(self, accumulator: i32) -> i16 {
        // The mask changes nothing (a shift is at most 15) but the proof that the shift is in range.
        saturate(accumulator >> (self.shift & 15), self.low)
    }
}

/// `clamp(a + b, low, 32767)`.
#[inline]
pub const fn saturating_sum(a: i16, b: i16, low: i16) -> i16 {
    saturate(a as i32 + b as i32, low)
}

/// The least activation that may be stored: 0 after ReLU.
pub const fn least(activation: Activation) -> i16 {
    match activation {
        Activation::Relu => 0,
        Activation::Linear => i16::MIN,
    }
}

/// Clamps to `low..=32767`.
#[inline]
const fn saturate(value: i32, low: i16) -> i16 {
    if value > i16::MAX as i32 {
        i16::MAX
    } else if value < low as i32 {
        low
    } else {
        value as i16
    }
}

/// Mean of `count` activations from their `sum`: `floor((2 * sum + count) / (2 * count))`, round
/// half up. `count` is at most 255 * 255, the largest window.
#[inline]
pub const fn mean(sum: i32, count: NonZeroU32) -> i16 {
    // Moved by 2^15 per element the sum is not negative, so that truncation is floor.
    let offset = (1 << 15) * count.get();
    let moved = (sum as u32).wrapping_add(offset);
    let floor = moved / count.get();
    let remainder = moved % count.get();
    let rounded = floor + (remainder * 2 >= count.get()) as u32;
    (rounded as i32 - (1 << 15)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_rounds_half_up_and_saturates() {
        let linear = Requantize::new(Product::Exact, 8, Activation::Linear);
        let relu = Requantize::new(Product::Exact, 8, Activation::Relu);
        let store = |acc: i32| linear.store(acc + linear.rounding());
        assert_eq!(store(127), 0);
        assert_eq!(store(128), 1);
        assert_eq!(store(-128), 0);
        assert_eq!(store(-129), -1);
        assert_eq!(store(32767 * 256 + 127), 32767);
        assert_eq!(store(32767 * 256 + 128), 32767);
        assert_eq!(store(i32::MIN + 1000), -32768);
        assert_eq!(relu.store(-1), 0);
        assert_eq!(relu.store(256), 1);
    }

    #[test]
    fn no_fractional_bits_no_rounding() {
        let integer = Requantize::new(Product::Exact, 0, Activation::Linear);
        assert_eq!(integer.rounding(), 0);
        assert_eq!(integer.store(-5), -5);
    }

    #[test]
    fn rounded_product_rounds_half_up_and_saturates() {
        assert_eq!(rounded_product(1, 128), 1);
        assert_eq!(rounded_product(1, 127), 0);
        assert_eq!(rounded_product(-1, 128), 0);
        assert_eq!(rounded_product(-1, 129), -1);
        assert_eq!(rounded_product(i16::MIN, i16::MIN), 32767);
        assert_eq!(rounded_product(i16::MAX, i16::MIN), -32768);
    }

    #[test]
    fn mean_is_the_specified_floor() {
        for count in [1u32, 2, 3, 4, 6, 9, 49, 255 * 255] {
            let n = i64::from(count);
            let extremes = [-32768 * n, -32768 * n + 1, 32767 * n - 1, 32767 * n];
            for sum in (-1000..1000).chain(extremes) {
                let specified = (2 * sum + n).div_euclid(2 * n);
                if sum.abs() <= 32768 * n && (-32768..=32767).contains(&specified) {
                    let mean = mean(sum as i32, NonZeroU32::new(count).unwrap());
                    assert_eq!(i64::from(mean), specified, "{sum} / {count}");
                }
            }
        }
    }
}
