//! The proof that no accumulator overflows, carried from layer to layer.
//!
//! For every filter `|bias| + Σ|w|·a_max ≤ 2^31 - 1`, where `a_max` bounds the magnitude of what
//! the layer reads and the bias contains the rounding constant. Then every order of summation, every
//! SIMD width and wrapping additions give the same bits.

use crate::blob::{GROUP, Packing, Places, Storage};
use crate::feature::Feature;
use crate::kernels::scalar::Filters;
use crate::layer::{Parameters, StoredFilters};
use crate::q8_8::{Product, Requantize, rounded_product};
use crate::weights8::widen;

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
    /// The bound of anything that fits 16 bits.
    pub(crate) const MAX: Self = Self(1 << 15);

    /// The bound of a saturating sum.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0).min(Self::MAX.0))
    }

    /// The bound of an image whose pixel value `zero[channel]` means 0.
    pub(crate) fn of_image(zero: &[u8]) -> Self {
        let magnitude = zero.iter().map(|&z| z.max(u8::MAX - z)).max();
        Self(u32::from(magnitude.unwrap_or(u8::MAX)))
    }

    /// The bound of what a layer stores that reads activations of this bound. Pooling keeps it.
    pub(crate) fn after(self, parameters: &Parameters<'_>) -> Result<Self, BoundError> {
        let store = parameters.store;
        match &parameters.filters {
            StoredFilters::I16(filters) => {
                self.after_filters(filters, Storage::I16, store, |weight, _| weight)
            }
            // What a build leaves out has been refused.
            StoredFilters::I8(_) if !Feature::Weights8.is_enabled() => Ok(Self::MAX),
            StoredFilters::I8(narrow) => {
                let exponent = |filter: usize| narrow.exponents.get(filter).copied().unwrap_or(0);
                self.after_filters(&narrow.filters, Storage::I8, store, |q, filter| {
                    widen(q, exponent(filter))
                })
            }
        }
    }

    /// As [`Bound::after`], where `widen` makes the weight of a filter from what is stored.
    fn after_filters<W: Copy>(
        self,
        filters: &Filters<'_, W>,
        storage: Storage,
        store: Requantize,
        widen: impl Fn(W, usize) -> i16,
    ) -> Result<Self, BoundError> {
        let packing = filters.packing;
        let mut largest = 0;
        for (group, (bias, weights)) in filters.groups().enumerate() {
            let members = bias.len().max(1);
            for (member, &bias) in bias.iter().enumerate() {
                let filter = group * GROUP + member;
                let places = Places::new(storage, packing.lanes, member, members);
                let runs = weights.chunks((packing.lanes * members).max(1));
                let weights = runs.flat_map(|run| places.of(run));
                let weights = weights.map(|weight| widen(weight, filter));
                let sum = u64::from(bias.unsigned_abs())
                    + self.largest_sum(packing, filters.product, weights)?;
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

    /// The largest magnitude of one filter's sum without bias, over its stored weights.
    fn largest_sum(
        self,
        packing: Packing,
        product: Product,
        weights: impl Iterator<Item = i16>,
    ) -> Result<u64, BoundError> {
        let stored_row = packing.stored_row();
        let (mut sum, mut element, mut rows_left) = (0, 0, packing.rows);
        for weight in weights {
            if weight != 0 && (element >= packing.row_elements || rows_left == 0) {
                return Err(BoundError::Filling);
            }
            sum += self.largest_product(product, weight);
            element += 1;
            if element == stored_row {
                element = 0;
                rows_left = rows_left.saturating_sub(1);
            }
        }
        Ok(sum)
    }

    fn largest_product(self, product: Product, weight: i16) -> u64 {
        if !product.is_rounded() {
            return u64::from(self.0 * u32::from(weight.unsigned_abs()));
        }
        // Rounding and saturation are monotonic, so the extreme products are the extremes.
        let bound = self.0.min(i16::MAX as u32) as i16;
        let positive = rounded_product(bound, weight).unsigned_abs();
        let negative = rounded_product((-(self.0 as i32)) as i16, weight).unsigned_abs();
        u64::from(positive.max(negative))
    }
}
