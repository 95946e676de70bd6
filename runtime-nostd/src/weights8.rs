//! Weights of 8 bits: a storage of 16-bit weights, not a second arithmetic.
//!
//! A weight is stored as q, and every filter has an exponent e: the weight is `q * 2^e`. What kernels
//! read are 16 bits all the same, so a part of the weights is expanded into the arena before it is
//! used, and then a kernel runs on that part alone.

use crate::blob::{GROUP, Packing};
use crate::geometry::{Op, Shape};
use crate::kernels::scalar::Filters;

/// The largest exponent: every `q * 2^e` then fits 16 bits.
pub const MAX_EXPONENT: u8 = 8;

/// Elements of an input row whose weights in a dense layer are expanded at a time.
pub(crate) const PIECE: usize = 64;

/// The weight that `q` stores in a filter of this exponent.
#[inline]
pub const fn widen(q: i8, exponent: u8) -> i16 {
    // The mask changes nothing (`parse` checks exponents) but the proof that the shift is in range.
    (q as i16) << (exponent & 15)
}

/// Biases and packed 8-bit weights of filters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NarrowFilters<'a> {
    pub(crate) filters: Filters<'a, i8>,
    /// One for each filter.
    pub(crate) exponents: &'a [u8],
}

impl<'a> NarrowFilters<'a> {
    /// The weights in 16 bits, in the order in which they are stored.
    pub(crate) fn widened(self) -> impl Iterator<Item = i16> + 'a {
        let lanes = self.filters.packing.lanes.max(1);
        let groups = self.filters.groups().zip(self.exponents.chunks(GROUP));
        groups.flat_map(move |((_, weights), exponents)| {
            let runs = weights.chunks(lanes).zip(exponents.iter().cycle());
            runs.flat_map(|(run, &exponent)| run.iter().map(move |&q| widen(q, exponent)))
        })
    }

    /// The parts of a layer of `op` that kernels compute one after the other: a group of filters,
    /// but all of a depthwise convolution, whose filters are few weights and read the same pixels.
    pub(crate) fn parts(self, op: Op) -> impl Iterator<Item = Self> {
        let Filters {
            packing,
            bias,
            weights,
            product,
        } = self.filters;
        let most = part(op, packing).filters.max(1);
        let part_weights = most * packing.rows * packing.stored_row();
        let parts = bias.chunks(most).zip(weights.chunks(part_weights.max(1)));
        let parts = parts.zip(self.exponents.chunks(most));
        parts.map(move |((bias, weights), exponents)| Self {
            filters: Filters {
                packing: Packing {
                    filters: bias.len(),
                    ..packing
                },
                bias,
                weights,
                product,
            },
            exponents,
        })
    }

    /// The weights of one group of a dense layer that read the input row `y`, in pieces of [`PIECE`]
    /// elements, each as the only row of its filters.
    pub(crate) fn pieces(self, y: usize) -> impl Iterator<Item = Self> {
        let Self { filters, exponents } = self;
        let members = filters.packing.filters.max(1);
        let row_weights = filters.packing.stored_row() * members;
        let weights = filters.weights.get(y * row_weights..).unwrap_or(&[]);
        let weights = weights.get(..row_weights).unwrap_or(&[]);
        weights
            .chunks((PIECE * members).max(1))
            .map(move |weights| Self {
                filters: Filters {
                    packing: Packing {
                        rows: 1,
                        row_elements: weights.len() / members,
                        ..filters.packing
                    },
                    weights,
                    ..filters
                },
                exponents,
            })
    }

    /// What kernels read: the same filters with their weights in `memory`, expanded.
    pub(crate) fn expand<'m>(self, memory: &'m mut [i32]) -> Filters<'m>
    where
        'a: 'm,
    {
        let Filters {
            packing,
            bias,
            product,
            ..
        } = self.filters;
        let memory = memory
            .get_mut(..packing.stored_weights() / 2)
            .unwrap_or(&mut []);
        match (packing.lanes, self.exponents) {
            (2, &[a, b, c, d]) => expand_pairs(self.filters.weights, [a, b, c, d], memory),
            (2, &[a, b, c]) => expand_pairs(self.filters.weights, [a, b, c], memory),
            (2, &[a, b]) => expand_pairs(self.filters.weights, [a, b], memory),
            (2, &[a]) => expand_pairs(self.filters.weights, [a], memory),
            _ => self.expand_singles(bytemuck::cast_slice_mut(memory)),
        }
        Filters {
            packing,
            bias,
            weights: bytemuck::cast_slice(memory),
            product,
        }
    }
}

impl NarrowFilters<'_> {
    /// Expands the weights of a depthwise convolution, which are stored one by one.
    #[inline(never)]
    fn expand_singles(self, memory: &mut [i16]) {
        let groups = self.filters.groups().zip(self.exponents.chunks(GROUP));
        let mut rest = memory;
        for ((_, weights), exponents) in groups {
            let (expanded, behind) = rest
                .split_at_mut_checked(weights.len())
                .unwrap_or((&mut [], &mut []));
            rest = behind;
            let members = exponents.len().max(1);
            let taps = expanded.chunks_mut(members).zip(weights.chunks(members));
            for (tap, weights) in taps {
                for ((weight, &q), &exponent) in tap.iter_mut().zip(weights).zip(exponents) {
                    *weight = widen(q, exponent);
                }
            }
        }
        // An odd number of weights is filled up.
        rest.fill(0);
    }
}

/// Expands a group of `N` filters, pair by pair, each into a word.
#[inline(never)]
fn expand_pairs<const N: usize>(weights: &[i8], exponents: [u8; N], memory: &mut [i32]) {
    let runs = weights.as_chunks::<2>().0.as_chunks::<N>().0;
    for (words, pairs) in memory.as_chunks_mut::<N>().0.iter_mut().zip(runs) {
        for ((word, &[even, odd]), exponent) in words.iter_mut().zip(pairs).zip(exponents) {
            let (even, odd) = (widen(even, exponent), widen(odd, exponent));
            *word = i32::from(odd) << 16 | i32::from(even as u16);
        }
    }
}

/// The most filters, rows and elements that are expanded at a time.
const fn part(op: Op, packing: Packing) -> Packing {
    let mut part = packing;
    if !matches!(op, Op::Depthwise { .. }) && part.filters > GROUP {
        part.filters = GROUP;
    }
    if let Op::Dense { .. } = op {
        part.rows = 1;
        if part.row_elements > PIECE {
            part.row_elements = PIECE;
        }
    }
    part
}

/// Memory into which a layer of 8-bit weights is expanded, in words: weights, and the output row of a
/// part of its filters, which is then put where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expansion {
    pub(crate) weight_words: usize,
    pub(crate) output_words: usize,
}

impl Expansion {
    /// No memory.
    pub(crate) const NONE: Self = Self {
        weight_words: 0,
        output_words: 0,
    };

    /// What a layer of `op` needs over an `input` map, for rows of `columns` columns.
    pub(crate) const fn new(op: Op, input: Shape, columns: usize) -> Self {
        let Some(packing) = Packing::new(op, input) else {
            return Self::NONE;
        };
        let part = part(op, packing);
        let is_split = matches!(op, Op::Conv { .. }) && part.filters < packing.filters;
        Self {
            weight_words: part.stored_weights() / 2,
            output_words: if is_split { columns * GROUP / 2 } else { 0 },
        }
    }

    pub(crate) const fn words(self) -> usize {
        self.weight_words.saturating_add(self.output_words)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;
    use crate::geometry::Window;
    use crate::q8_8::Product;

    proptest! {
        /// The fast loops against the iterator, over convolutions, depthwise ones and dense layers.
        #[test]
        fn parts_together_are_all_weights(
            kind in 0..3,
            filters in 1..=9usize,
            rows in 1..=3usize,
            row_elements in 1..=2 * PIECE + 3,
            exponents in prop::collection::vec(0..=MAX_EXPONENT, 9),
            numbers in prop::collection::vec(any::<i8>(), 9 * 3 * (2 * PIECE + 4)),
        ) {
            let (op, lanes) = match kind {
                0 => (Op::Conv { window: Window::square(1, 1, 0), out_channels: 1 }, 2),
                1 => (Op::Depthwise { window: Window::square(1, 1, 0) }, 1),
                _ => (Op::Dense { outputs: 1 }, 2),
            };
            let packing = Packing { filters, rows, row_elements, lanes };
            let layer = NarrowFilters {
                filters: Filters {
                    packing,
                    bias: &[7; 9][..filters],
                    weights: &numbers[..packing.weights_in_rows()],
                    product: Product::Exact,
                },
                exponents: &exponents[..filters],
            };
            let mut memory = vec![-1; packing.stored_weights()];
            let mut found: Vec<i16> = Vec::new();
            for part in layer.parts(op) {
                if let Op::Dense { .. } = op {
                    let pieces = (0..rows).flat_map(|y| part.pieces(y));
                    pieces.for_each(|piece| found.extend(piece.expand(&mut memory).weights));
                } else {
                    found.extend(part.expand(&mut memory).weights);
                }
            }
            let mut expected: Vec<i16> = layer.widened().collect();
            expected.resize(packing.stored_weights(), 0);
            prop_assert_eq!(found, expected);
        }
    }
}
