//! Kernels for the other microcontrollers (Cortex-M0, RISC-V), in safe Rust. Weights are read as
//! words, a pair at a time: on Cortex-M0 that takes no longer than to read one of them. Products are
//! exact.

use super::scalar::{ConvRow, Filters};
use crate::blob::GROUP;

/// Computes a row of a convolution into `out`, `[columns, spacing]` from the first of the filters on.
#[inline(never)]
pub(crate) fn conv_row(row: &ConvRow<'_>, out: &mut [i16]) {
    for (group, (bias, weights)) in groups(row.filters).enumerate() {
        let out = out.get_mut(group * GROUP..).unwrap_or(&mut []);
        if let Ok(&bias) = <&[i32; GROUP]>::try_from(bias) {
            columns(row, bias, weights, GROUP, out, add_four);
            continue;
        }
        for (member, &one) in bias.iter().enumerate() {
            let out = out.get_mut(member..).unwrap_or(&mut []);
            columns(
                row,
                [one],
                weights,
                bias.len(),
                out,
                |sums, row, weights| {
                    add_one(sums, row, weights, member, bias.len());
                },
            );
        }
    }
}

/// Adds the input row `y` to the sums of a dense layer.
pub(crate) fn dense_row(filters: &Filters<'_>, y: usize, row: &[i16], sums: &mut [i32]) {
    let pairs = filters.packing.stored_row() / 2;
    for (sums, (_, weights)) in sums.chunks_mut(GROUP).zip(groups(filters)) {
        let members = sums.len();
        let row_words = pairs * members;
        let weights = weights.get(y * row_words..).unwrap_or(&[]);
        let weights = weights.get(..row_words).unwrap_or(&[]);
        if let Ok(sums) = sums.try_into() {
            add_four(sums, row, weights);
            continue;
        }
        for (member, sum) in sums.iter_mut().enumerate() {
            add_one(core::array::from_mut(sum), row, weights, member, members);
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

/// All columns of `N` filters of a group of `members` into `out`, from their first output on. `add` adds a
/// row of pairs to the sums, with the weights of the group.
fn columns<const N: usize>(
    row: &ConvRow<'_>,
    bias: [i32; N],
    weights: &[i32],
    members: usize,
    out: &mut [i16],
    add: impl Fn(&mut [i32; N], &[i16], &[i32]),
) {
    let row_words = row.filters.packing.stored_row() / 2 * members;
    let skipped_words = row.skipped_kernel_rows * row_words;
    let weights = weights.get(skipped_words..).unwrap_or(&[]);
    for (column, stored) in (0..row.columns).zip(out.chunks_mut(row.spacing.max(1))) {
        let mut sums = bias;
        let mut weights = weights;
        for elements in row.rows.iter() {
            let Some((weight_row, rest)) = weights.split_at_checked(row_words) else {
                break;
            };
            weights = rest;
            let window = elements.get(column * row.step..).unwrap_or(&[]);
            add(&mut sums, window.as_flattened(), weight_row);
        }
        for (stored, sum) in stored.iter_mut().zip(sums) {
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
#[inline(never)]
fn add_one([sum]: &mut [i32; 1], row: &[i16], weights: &[i32], member: usize, members: usize) {
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
