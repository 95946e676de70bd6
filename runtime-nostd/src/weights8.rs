//! Weights of 8 bits: a storage of 16-bit weights, not a second arithmetic.
//!
//! A weight is stored as q, and every filter has an exponent e: the weight is `q * 2^e`. Kernels of
//! convolutions read 16 bits all the same: the weights of a group of filters are expanded into the arena,
//! and a kernel runs on that group alone. A dense layer uses every weight once: its sums of products
//! with q are multiplied by 2^e.

use crate::blob::{GROUP, Packing, Places, Storage};
use crate::geometry::{Op, Shape};
use crate::kernels;
use crate::kernels::scalar::{Filters, exact_product};
use crate::q8_8::{Product, rounded_product};

/// The largest exponent: every `q * 2^e` then fits 16 bits.
pub const MAX_EXPONENT: u8 = 8;

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
    /// Weights and exponents of the groups.
    pub(crate) fn groups(self) -> impl Iterator<Item = (&'a [i8], &'a [u8])> {
        let groups = self.filters.groups().zip(self.exponents.chunks(GROUP));
        groups.map(|((_, weights), exponents)| (weights, exponents))
    }

    /// Weights and exponents of the groups of a dense layer, of weights those that read the input row `y`.
    pub(crate) fn reading(self, y: usize) -> impl Iterator<Item = (&'a [i8], &'a [u8])> {
        let stored_row = self.filters.packing.stored_row();
        self.groups().map(move |(weights, exponents)| {
            let row_weights = stored_row * exponents.len();
            let weights = weights.get(y * row_weights..).unwrap_or(&[]);
            (weights.get(..row_weights).unwrap_or(&[]), exponents)
        })
    }

    /// The weights in 16 bits, in their order.
    pub(crate) fn widened(self) -> impl Iterator<Item = i16> + 'a {
        let lanes = self.filters.packing.lanes;
        self.groups().flat_map(move |(weights, exponents)| {
            let runs = weights.chunks((lanes * exponents.len()).max(1));
            runs.flat_map(move |run| {
                exponents
                    .iter()
                    .enumerate()
                    .flat_map(move |(member, &exponent)| {
                        let places = Places::new(Storage::I8, lanes, member, exponents.len());
                        places.of(run).map(move |q| widen(q, exponent))
                    })
            })
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
        let weights = self.filters.weights;
        match (packing.lanes, self.exponents) {
            (2, &[a, b, c, d]) => kernels::expand_group(weights, [a, b, c, d], memory),
            (2, &[a, b, c]) => expand_group(weights, [a, b, c], memory),
            (2, &[a, b]) => expand_group(weights, [a, b], memory),
            (2, &[a]) => expand_group(weights, [a], memory),
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
        let mut rest = memory;
        for (weights, exponents) in self.groups() {
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

/// Expands pairs of `N` filters, each pair into a word.
#[inline(never)]
pub(crate) fn expand_group<const N: usize>(weights: &[i8], exponents: [u8; N], memory: &mut [i32]) {
    let runs = weights.as_chunks::<2>().0.as_chunks::<N>().0;
    for (words, run) in memory.as_chunks_mut::<N>().0.iter_mut().zip(runs) {
        let couples = run.chunks(2).zip(exponents.chunks(2));
        for (words, couple) in words.chunks_mut(2).zip(couples) {
            match (words, couple) {
                ([a, b], (&[[a0, b0], [a1, b1]], &[a_exponent, b_exponent])) => {
                    *a = word(widen(a0, a_exponent), widen(a1, a_exponent));
                    *b = word(widen(b0, b_exponent), widen(b1, b_exponent));
                }
                ([a], (&[[a0, a1]], &[exponent])) => {
                    *a = word(widen(a0, exponent), widen(a1, exponent));
                }
                _ => {}
            }
        }
    }
}

fn word(even: i16, odd: i16) -> i32 {
    i32::from(odd) << 16 | i32::from(even as u16)
}

/// Adds a `row` of a dense layer's input to the sums of a group of filters, `weights` being those that
/// read it.
pub(crate) fn add_dense<const IMAGES: usize>(
    kind: Product,
    (weights, exponents): (&[i8], &[u8]),
    row: &[[i16; IMAGES]],
    sums: &mut [[i32; IMAGES]],
) {
    // Exact products of a filter have a common factor; rounded ones do not.
    if kind.is_rounded() {
        let product = |x, q, exponent| rounded_product(x, widen(q, exponent));
        add_group(weights, exponents, row, sums, product);
    } else {
        let mut products = [[0; IMAGES]; GROUP];
        let product = |x, q: i8, _| exact_product(x, q.into());
        if let Some(products) = products.get_mut(..exponents.len()) {
            add_group(weights, exponents, row, products, product);
        }
        add_shifted(sums, products, exponents);
    }
}

/// Adds products of the 8 bits that are stored for weights to sums.
pub(crate) fn add_shifted<const IMAGES: usize>(
    sums: &mut [[i32; IMAGES]],
    products: impl IntoIterator<Item = [i32; IMAGES]>,
    exponents: &[u8],
) {
    for ((sums, products), &exponent) in sums.iter_mut().zip(products).zip(exponents) {
        for (sum, product) in sums.iter_mut().zip(products) {
            *sum = sum.wrapping_add(product.wrapping_shl(exponent.into()));
        }
    }
}

/// Adds a row to sums of products, as `product` makes them of an activation, what is stored for a weight,
/// and the filter's exponent.
#[inline(never)]
fn add_group<const IMAGES: usize>(
    weights: &[i8],
    exponents: &[u8],
    row: &[[i16; IMAGES]],
    sums: &mut [[i32; IMAGES]],
    product: impl Fn(i16, i8, u8) -> i32 + Copy,
) {
    let pairs = row.as_chunks().0.iter();
    match (sums, exponents) {
        ([a, b, c, d], &[e, f, g, h]) => {
            let runs = weights.as_chunks::<8>().0.iter();
            let ab = runs.clone().map(|[ab @ .., _, _, _, _]| ab);
            add_two(pairs.clone().zip(ab), [e, f], [a, b], product);
            let cd = runs.map(|[_, _, _, _, cd @ ..]| cd);
            add_two(pairs.zip(cd), [g, h], [c, d], product);
        }
        ([a, b, c], &[e, f, g]) => {
            let runs = weights.as_chunks::<6>().0.iter();
            let ab = runs.clone().map(|[ab @ .., _, _]| ab);
            add_two(pairs.clone().zip(ab), [e, f], [a, b], product);
            let c_pairs = runs.map(|[_, _, _, _, c @ ..]| c);
            add_one(pairs.zip(c_pairs), g, c, product);
        }
        ([a, b], &[e, f]) => {
            add_two(pairs.zip(weights.as_chunks().0), [e, f], [a, b], product);
        }
        ([a], &[e]) => add_one(pairs.zip(weights.as_chunks().0), e, a, product),
        _ => {}
    }
}

fn add_two<'a, const IMAGES: usize>(
    pairs: impl Iterator<Item = (&'a [[i16; IMAGES]; 2], &'a [i8; 4])>,
    exponents: [u8; 2],
    sums: [&mut [i32; IMAGES]; 2],
    product: impl Fn(i16, i8, u8) -> i32 + Copy,
) {
    let [a, b] = sums;
    let [mut a_sums, mut b_sums] = [*a, *b];
    for ([x0, x1], &[a0, b0, a1, b1]) in pairs {
        add(&mut a_sums, x0, |x| product(x, a0, exponents[0]));
        add(&mut b_sums, x0, |x| product(x, b0, exponents[1]));
        add(&mut a_sums, x1, |x| product(x, a1, exponents[0]));
        add(&mut b_sums, x1, |x| product(x, b1, exponents[1]));
    }
    (*a, *b) = (a_sums, b_sums);
}

fn add_one<'a, const IMAGES: usize>(
    pairs: impl Iterator<Item = (&'a [[i16; IMAGES]; 2], &'a [i8; 2])>,
    exponent: u8,
    sums: &mut [i32; IMAGES],
    product: impl Fn(i16, i8, u8) -> i32,
) {
    for ([x0, x1], &[w0, w1]) in pairs {
        add(sums, x0, |x| product(x, w0, exponent));
        add(sums, x1, |x| product(x, w1, exponent));
    }
}

fn add<const IMAGES: usize>(
    sums: &mut [i32; IMAGES],
    activations: &[i16; IMAGES],
    product: impl Fn(i16) -> i32,
) {
    for (sum, &activation) in sums.iter_mut().zip(activations) {
        *sum = sum.wrapping_add(product(activation));
    }
}

/// The most filters, rows and elements that are expanded at a time.
const fn part(op: Op, packing: Packing) -> Packing {
    let mut part = packing;
    if matches!(op, Op::Conv { .. }) && part.filters > GROUP {
        part.filters = GROUP;
    }
    part
}

/// Words of memory into which a layer of `op` over an `input` map expands its 8-bit weights.
pub(crate) const fn expansion_words(op: Op, input: Shape) -> usize {
    match (op, Packing::new(op, input)) {
        (Op::Conv { .. } | Op::Depthwise { .. }, Some(packing)) => {
            part(op, packing).stored_weights() / 2
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::{any, prop, prop_assert_eq, prop_compose, proptest};

    use super::*;
    use crate::geometry::Window;
    use crate::kernels::scalar;

    const MAX_ROW_ELEMENTS: usize = 9;

    /// Weights of up to nine filters of three rows.
    #[derive(Clone, Debug)]
    struct Case {
        packing: Packing,
        exponents: Vec<u8>,
        weights: Vec<i8>,
    }

    impl Case {
        fn filters(&self) -> NarrowFilters<'_> {
            NarrowFilters {
                filters: Filters {
                    packing: self.packing,
                    bias: &[7; 9][..self.packing.filters],
                    weights: &self.weights,
                    product: Product::Exact,
                },
                exponents: &self.exponents,
            }
        }
    }

    prop_compose! {
        fn cases(lanes: usize)(
            filters in 1..=9usize,
            rows in 1..=3usize,
            row_elements in 1..=MAX_ROW_ELEMENTS,
            mut exponents in prop::collection::vec(0..=MAX_EXPONENT, 9),
            mut weights in prop::collection::vec(any::<i8>(), 9 * 3 * (MAX_ROW_ELEMENTS + 1)),
        ) -> Case {
            let packing = Packing { filters, rows, row_elements, lanes };
            exponents.truncate(filters);
            weights.truncate(packing.weights_in_rows());
            Case { packing, exponents, weights }
        }
    }

    /// All parts of a layer of `op`, expanded, against the iterator.
    fn expanded(case: &Case, op: Op) -> (Vec<i16>, Vec<i16>) {
        let filters = case.filters();
        let mut memory = vec![-1; case.packing.stored_weights() / 2];
        let parts = filters.parts(op);
        let found = parts.flat_map(|part| part.expand(&mut memory).weights.to_vec());
        let mut expected: Vec<i16> = filters.widened().collect();
        expected.resize(case.packing.stored_weights(), 0);
        (found.collect(), expected)
    }

    proptest! {
        #[test]
        fn parts_of_a_convolution_together_are_all_weights(case in cases(2)) {
            let window = Window::square(1, 1, 0);
            let (found, expected) = expanded(&case, Op::Conv { window, out_channels: 1 });
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_depthwise_convolution_is_one_part(case in cases(1)) {
            let window = Window::square(1, 1, 0);
            let (found, expected) = expanded(&case, Op::Depthwise { window });
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn dense_rows_are_those_of_the_weights_in_16_bits(
            case in cases(2),
            row in prop::collection::vec(any::<i16>(), MAX_ROW_ELEMENTS + 1),
        ) {
            let narrow = case.filters();
            let weights: Vec<i16> = narrow.widened().collect();
            for product in [Product::Exact, Product::Rounded] {
                let filters = Filters {
                    packing: case.packing,
                    bias: narrow.filters.bias,
                    weights: &weights,
                    product,
                };
                let mut expected = vec![5; case.packing.filters];
                let mut found = expected.clone();
                let y = case.packing.rows - 1;
                scalar::dense_row(&filters, y, &row, &mut expected);
                let images = row.as_chunks::<1>().0;
                let sums = found.as_chunks_mut::<1>().0.chunks_mut(GROUP);
                for (weights, sums) in narrow.reading(y).zip(sums) {
                    add_dense(product, weights, images, sums);
                }
                prop_assert_eq!(found, expected);
            }
        }
    }
}
