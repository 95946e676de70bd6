//! Kernels in safe Rust: for Cortex-M0 and RISC-V, and for larger cores without the feature `assembly`.
//! Weights are read as words, a pair at a time: on Cortex-M0 that takes no longer than to read one of
//! them. Products are exact.

use core::array::from_fn;

use super::scalar::{ConvRow, Filters};
use crate::blob::GROUP;

/// Computes a row of a convolution into `out`, `[columns, spacing]` from the first of the filters on.
#[inline(never)]
pub(crate) fn conv_row(row: &ConvRow<'_>, out: &mut [i16]) {
    let packing = row.filters.packing;
    let filter_words = packing.rows * packing.stored_row() / 2;
    for (group, bias) in row.filters.bias.chunks(GROUP).enumerate() {
        let first = group * GROUP;
        let weights = words(row.filters, first * filter_words);
        let out = out.get_mut(first..).unwrap_or(&mut []);
        columns(row, bias, weights, out);
    }
}

/// Adds the input row `y` to the sums of a dense layer.
pub(crate) fn dense_row(filters: &Filters<'_>, y: usize, row: &[i16], sums: &mut [i32]) {
    let pairs = filters.packing.stored_row() / 2;
    for (group, sums) in sums.chunks_mut(GROUP).enumerate() {
        let members = sums.len();
        let before = (group * GROUP * filters.packing.rows + y * members) * pairs;
        let weights = words(filters, before);
        let weights = weights.get(..members * pairs).unwrap_or(&[]);
        if let Ok(sums) = sums.try_into() {
            add_four(sums, row, weights);
            continue;
        }
        for (member, sum) in sums.iter_mut().enumerate() {
            add_one(sum, row, weights, member, members);
        }
    }
}

/// The weights behind the first words, a pair in a word.
fn words<'a>(filters: &Filters<'a>, first: usize) -> &'a [i32] {
    // Parameters lie at whole words: nothing is before the first one.
    let (_, words, _) = bytemuck::pod_align_to(filters.weights);
    words.get(first..).unwrap_or(&[])
}

/// All columns of a group of filters into `out`, from their first output on.
fn columns(row: &ConvRow<'_>, bias: &[i32], weights: &[i32], out: &mut [i16]) {
    let members = bias.len();
    let row_words = row.filters.packing.stored_row() / 2 * members;
    let skipped_words = row.skipped_kernel_rows * row_words;
    let weights = weights.get(skipped_words..).unwrap_or(&[]);
    let start: [i32; GROUP] = from_fn(|member| bias.get(member).copied().unwrap_or(0));
    for column in 0..row.columns {
        let mut sums = start;
        let mut weights = weights;
        for elements in row.rows.iter() {
            let Some((weight_row, rest)) = weights.split_at_checked(row_words) else {
                break;
            };
            weights = rest;
            let window = elements.get(column * row.step..).unwrap_or(&[]);
            let window = window.as_flattened();
            if members == GROUP {
                add_four(&mut sums, window, weight_row);
            } else {
                for (member, sum) in sums.iter_mut().take(members).enumerate() {
                    add_one(sum, window, weight_row, member, members);
                }
            }
        }
        let stored = out.get_mut(column * row.spacing..).unwrap_or(&mut []);
        for (stored, &sum) in stored.iter_mut().zip(sums.iter().take(members)) {
            *stored = row.store.store(sum);
        }
    }
}

/// Adds a row of pairs to the sums of a whole group.
#[inline(always)]
fn add_four(sums: &mut [i32; GROUP], row: &[i16], weights: &[i32]) {
    let pairs = row.as_chunks().0;
    for (&pair, weights) in pairs.iter().zip(weights.as_chunks::<GROUP>().0) {
        for (sum, &weights) in sums.iter_mut().zip(weights) {
            *sum = sum.wrapping_add(products(pair, weights));
        }
    }
}

/// Adds a row of pairs to the sum of one `member` of a group of `members`.
#[inline(always)]
fn add_one(sum: &mut i32, row: &[i16], weights: &[i32], member: usize, members: usize) {
    let pairs = row.as_chunks().0;
    let weights = weights.iter().skip(member).step_by(members.max(1));
    for (&pair, &weights) in pairs.iter().zip(weights) {
        *sum = sum.wrapping_add(products(pair, weights));
    }
}

#[inline(always)]
fn products([x0, x1]: [i16; 2], weights: i32) -> i32 {
    let (w0, w1) = (i32::from(weights as i16), weights >> 16);
    (i32::from(x0) * w0).wrapping_add(i32::from(x1) * w1)
}
