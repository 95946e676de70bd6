//! The proof that no accumulator overflows, carried from layer to layer.
//!
//! For every filter `|bias| + Σ|w|·a_max ≤ 2^31 - 1`, where `a_max` bounds the magnitude of what
//! the layer reads and the bias contains the rounding constant. Then every order of summation, every
//! SIMD width and wrapping additions give the same bits.

use crate::blob::{GROUP, Packing};
use crate::kernels::scalar::Filters;
use crate::q8_8::{Product, Requantize, rounded_product};

/// The largest magnitude that an activation can have, raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound(u32);

/// Why a layer fails the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BoundError {
    /// The sum of this filter could overflow.
    Overflow { filter: usize },
    /// A weight that fills an odd row up is not 0.
    Filling,
}

impl Bound {
    /// The bound of an image whose pixel value `zero[channel]` means 0.
    pub(crate) fn of_image(zero: &[u8]) -> Self {
        let magnitude = zero.iter().map(|&z| z.max(u8::MAX - z)).max();
        Self(u32::from(magnitude.unwrap_or(u8::MAX)))
    }

    /// The bound of what a layer stores that reads activations of this bound. Pooling keeps it.
    pub(crate) fn after(self, filters: Filters<'_>, store: Requantize) -> Result<Self, BoundError> {
        let Packing {
            row_elements,
            filters: count,
            ..
        } = filters.packing;
        let (row_elements, stored_row) = (row_elements, filters.packing.stored_row());
        let mut largest = 0;
        for (group, (bias, weights)) in filters.groups().enumerate() {
            let members = bias.len().max(1);
            for (member, &bias) in bias.iter().enumerate() {
                let filter = (group * GROUP + member).min(count);
                let mut sum = u64::from(bias.unsigned_abs());
                let pairs = weights.as_chunks::<2>().0.iter().skip(member);
                let mut element = 0;
                for &[even, odd] in pairs.step_by(members) {
                    sum += self.largest_product(filters.product, even);
                    element += 2;
                    if element > row_elements && odd != 0 {
                        return Err(BoundError::Filling);
                    }
                    sum += self.largest_product(filters.product, odd);
                    if element == stored_row {
                        element = 0;
                    }
                }
                if sum > i32::MAX as u64 {
                    return Err(BoundError::Overflow { filter });
                }
                largest = largest.max(sum as u32);
            }
        }
        // Flooring a negative sum may add one to its magnitude.
        let stored = (largest >> (store.shift & 15)) + 1;
        let limit = if store.low < 0 {
            1 << 15
        } else {
            (1 << 15) - 1
        };
        Ok(Self(stored.min(limit)))
    }

    fn largest_product(self, product: Product, weight: i16) -> u64 {
        match product {
            Product::Exact => u64::from(self.0) * u64::from(weight.unsigned_abs()),
            Product::Rounded => {
                // Rounding and saturation are monotonic, so the extreme products are the extremes.
                let bound = self.0.min(i16::MAX as u32) as i16;
                let positive = rounded_product(bound, weight).unsigned_abs();
                let negative = rounded_product((-(self.0 as i32)) as i16, weight).unsigned_abs();
                u64::from(positive.max(negative))
            }
        }
    }
}
