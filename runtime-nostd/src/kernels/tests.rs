//! The portable kernels against the scalar ones, on random rows. The kernels in assembly are compared
//! on emulated cores, by `tests/cycles`.

use std::vec;
use std::vec::Vec;

use proptest::prelude::{Just, prop, prop_assert_eq, prop_compose, prop_oneof, proptest};

use super::portable;
use super::scalar::{self, ConvRow, Filters, Rows};
use crate::blob::{GROUP, Packing};
use crate::q8_8::{Product, Requantize};

/// What a row of a convolution is computed from. Numbers are small enough for any sum.
#[derive(Clone, Debug)]
struct Case {
    packing: Packing,
    bias: Vec<i32>,
    /// Weights as words, as the blob stores them.
    weights: Vec<i32>,
    buffer: Vec<i16>,
    row_elements: usize,
    capacity: usize,
    first: usize,
    count: usize,
    columns: usize,
    step: usize,
    /// Channels of the output map that other filters compute.
    spare_channels: usize,
    store: Requantize,
}

impl Case {
    fn filters(&self) -> Filters<'_> {
        Filters {
            packing: self.packing,
            bias: &self.bias,
            weights: bytemuck::cast_slice(&self.weights),
            product: Product::Exact,
        }
    }

    fn conv_row<'a>(&'a self, filters: &'a Filters<'a>) -> ConvRow<'a> {
        ConvRow {
            filters,
            rows: Rows {
                buffer: self.buffer.as_chunks().0,
                row_elements: self.row_elements,
                capacity: self.capacity,
                first: self.first,
                count: self.count,
            },
            skipped_kernel_rows: self.packing.rows - self.count,
            step: self.step,
            columns: self.columns,
            spacing: self.packing.filters + self.spare_channels,
            store: self.store,
        }
    }
}

prop_compose! {
    fn cases()(
        filters in 1..=2 * GROUP + 1,
        rows in 1..=4usize,
        row_elements in 1..=9usize,
        step in 1..=5usize,
        columns in 1..=5usize,
        spare_rows in 0..=2usize,
        spare_channels in 0..=2usize,
    )(
        packing in Just(Packing { filters, rows, row_elements, lanes: 2 }),
        bias in prop::collection::vec(-1_000_000..1_000_000i32, filters),
        pairs in prop::collection::vec(
            (-300..300i16, -300..300i16),
            filters * rows * row_elements.next_multiple_of(2) / 2,
        ),
        buffer in prop::collection::vec(
            -1000..1000i16,
            (rows + spare_rows) * (columns * step + row_elements) + 1,
        ),
        first in 0..rows + spare_rows,
        count in 1..=rows,
        columns in Just(columns),
        step in Just(step),
        spare_channels in Just(spare_channels),
        capacity in Just(rows + spare_rows),
        shift in 0..=15u8,
        low in prop_oneof![Just(0), Just(i16::MIN)],
    ) -> Case {
        let row_elements = columns * step + packing.row_elements;
        let word = |(low, high): (i16, i16)| i32::from(high) << 16 | i32::from(low as u16);
        Case {
            packing,
            bias,
            weights: pairs.into_iter().map(word).collect(),
            buffer,
            row_elements,
            capacity,
            first,
            count,
            columns,
            step,
            spare_channels,
            store: Requantize { shift, low },
        }
    }
}

proptest! {
    #[test]
    fn portable_convolution_is_the_scalar_one(case in cases()) {
        let filters = case.filters();
        let row = case.conv_row(&filters);
        // The last column ends with the filters.
        let mut expected = vec![0; case.columns * row.spacing - case.spare_channels];
        let mut found = expected.clone();
        row.run(&mut expected);
        portable::conv_row(&row, &mut found);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn portable_dense_rows_are_the_scalar_ones(case in cases()) {
        let y = case.packing.rows - case.count;
        let (mut expected, mut found) = (case.bias.clone(), case.bias.clone());
        scalar::dense_row(&case.filters(), y, &case.buffer, &mut expected);
        portable::dense_row(&case.filters(), y, &case.buffer, &mut found);
        prop_assert_eq!(found, expected);
    }
}
