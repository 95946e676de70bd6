//! Kernels for the other microcontrollers (Cortex-M0, RISC-V), in safe Rust. Weights are read as
//! words, a pair at a time: on Cortex-M0 that takes no longer than to read one of them. Products are
//! exact.

use super::scalar::{ConvRow, Filters};
use crate::blob::GROUP;

/// Computes a row of a convolution into `out`, `[columns, spacing]` from the first of the filters on.
#[inline(never)]
pub(crate) fn conv_row(row: &ConvRow<'_>, out: &mut [i16]) {
    for (index, (bias, weights)) in groups(row.filters).enumerate() {
        match *bias {
            [b0, b1, b2, b3] => group(row, index, [b0, b1, b2, b3], weights, out),
            [b0, b1, b2] => group(row, index, [b0, b1, b2], weights, out),
            [b0, b1] => group(row, index, [b0, b1], weights, out),
            [b0] => group(row, index, [b0], weights, out),
            _ => {}
        }
    }
}

/// Adds the input row `y` to the sums of a dense layer.
pub(crate) fn dense_row(filters: &Filters<'_>, y: usize, row: &[i16], sums: &mut [i32]) {
    let pairs = filters.packing.stored_row() / 2;
    for (sums, (_, weights)) in sums.chunks_mut(GROUP).zip(groups(filters)) {
        let row_words = pairs * sums.len();
        let weights = weights.get(y * row_words..).unwrap_or(&[]);
        let weights = weights.get(..row_words).unwrap_or(&[]);
        match sums {
            [_, _, _, _] => dense::<4>(sums, row, weights),
            [_, _, _] => dense::<3>(sums, row, weights),
            [_, _] => dense::<2>(sums, row, weights),
            _ => dense::<1>(sums, row, weights),
        }
    }
}

/// Biases and weights of each group, a pair of weights in a word.
fn groups<'a>(filters: &Filters<'a>) -> impl Iterator<Item = (&'a [i32], &'a [i32])> {
    // Parameters lie at whole words: nothing is before the first one.
    let (_, words, _) = bytemuck::pod_align_to(filters.weights);
    let filter_words = filters.packing.rows * filters.packing.stored_row() / 2;
    let groups = words.chunks((filter_words * GROUP).max(1));
    filters.bias.chunks(GROUP).zip(groups)
}

/// All columns of group `index`, of `N` filters.
fn group<const N: usize>(
    row: &ConvRow<'_>,
    index: usize,
    bias: [i32; N],
    weights: &[i32],
    out: &mut [i16],
) {
    let row_words = row.filters.packing.stored_row() / 2 * N;
    let skipped_words = row.skipped_kernel_rows * row_words;
    let weights = weights.get(skipped_words..).unwrap_or(&[]);
    let out = out.get_mut(index * GROUP..).unwrap_or(&mut []);
    for (column, stored) in out.chunks_mut(row.spacing.max(1)).enumerate() {
        let mut sums = bias;
        let mut weights = weights;
        for elements in row.rows.iter() {
            let Some((weight_row, rest)) = weights.split_at_checked(row_words) else {
                break;
            };
            weights = rest;
            let window = elements.get(column * row.step..).unwrap_or(&[]);
            accumulate(&mut sums, window, weight_row);
        }
        for (stored, sum) in stored.iter_mut().zip(sums) {
            *stored = row.store.store(sum);
        }
    }
}

fn dense<const N: usize>(sums: &mut [i32], row: &[i16], weights: &[i32]) {
    if let Some(sums) = sums.first_chunk_mut::<N>() {
        accumulate(sums, row, weights);
    }
}

/// Adds a row of pairs to the sums of `N` filters.
#[inline(always)]
fn accumulate<const N: usize>(sums: &mut [i32; N], row: &[i16], weights: &[i32]) {
    let pairs = row.as_chunks::<2>().0;
    for (&[x0, x1], weights) in pairs.iter().zip(weights.as_chunks::<N>().0) {
        for (sum, &pair) in sums.iter_mut().zip(weights) {
            let (w0, w1) = (i32::from(pair as i16), pair >> 16);
            let products = (i32::from(x0) * w0).wrapping_add(i32::from(x1) * w1);
            *sum = sum.wrapping_add(products);
        }
    }
}
