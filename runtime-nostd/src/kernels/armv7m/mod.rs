//! Kernels for Armv7-M and Armv8-M Mainline: Cortex-M3, M4, M7, M33.
//!
//! A compiler does not keep eight sums, two pointers and four operands in the fourteen registers
//! that there are, so these loops are assembly. The functions that call them are safe: they compare
//! all lengths first, and leave what does not fit to the scalar kernel.
//!
//! Rows of an odd number of elements put windows at odd halfword addresses, from where these cores
//! load a word nearly as fast. `CCR.UNALIGN_TRP` must be 0, as it is after reset.
#![allow(unsafe_code)]

/// The first line of every kernel. On Armv8-M the DSP extension is an option, of which link-time
/// optimization does not tell the assembler.
#[cfg(all(dsp, armv8m))]
macro_rules! processor {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(all(dsp, armv8m)))]
macro_rules! processor {
    () => {
        ""
    };
}

#[macro_use]
mod conv;
#[macro_use]
mod dense;

#[cfg(not(dsp))]
#[path = "base.rs"]
mod isa;
#[cfg(dsp)]
#[path = "dsp.rs"]
mod isa;
#[cfg(all(dsp, feature = "fast"))]
mod max_pool;
#[cfg(dsp)]
mod narrow;
#[cfg(all(dsp, feature = "fast"))]
mod unrolled;

#[cfg(all(dsp, feature = "fast"))]
pub(crate) use max_pool::max_row;
#[cfg(dsp)]
pub(crate) use narrow::{add_dense, expand_group};

use self::conv::MAX_KERNEL_ROWS;
use super::scalar::{ConvRow, Filters};
use crate::blob::GROUP;

/// Computes a row of a convolution into `out`, `[columns, spacing]` from the first of the filters on;
/// false if the scalar kernel must do it.
#[inline(never)]
pub(crate) fn conv_row(row: &ConvRow<'_>, out: &mut [i16]) -> bool {
    let fits = conv_fits(row, out.len());
    if fits {
        #[cfg(all(dsp, feature = "fast"))]
        // SAFETY: `conv_fits` has compared all lengths.
        let computed = unsafe { unrolled::run(row, out) };
        #[cfg(not(all(dsp, feature = "fast")))]
        let computed = 0;
        if computed < row.filters.packing.filters {
            // SAFETY: as above.
            unsafe { conv::run(row, computed, out) };
        }
    }
    fits
}

/// Whether the kernels can compute the row, and read and write inside the slices when they do.
fn conv_fits(row: &ConvRow<'_>, outputs: usize) -> bool {
    let ConvRow {
        filters,
        rows,
        columns,
        ..
    } = *row;
    let packing = filters.packing;
    // The last element that a window reads, with the one that fills up its last pair.
    let window_end = (columns.saturating_sub(1)) * row.step + packing.stored_row();
    !filters.product.is_rounded()
        && columns > 0
        && (columns - 1) * row.spacing + packing.filters <= outputs
        && filters.bias.len() == packing.filters
        && filters.weights.len() == packing.stored_weights()
        && packing.row_elements > 0
        && (1..=MAX_KERNEL_ROWS.min(rows.capacity)).contains(&rows.count)
        && rows.first < rows.capacity
        && row.skipped_kernel_rows + rows.count <= packing.rows
        && (rows.capacity - 1) * rows.row_elements + window_end <= rows.buffer.len()
}

/// Adds the input row `y` to the sums of a dense layer of exact products; nothing if the lengths do
/// not belong together, which those of a checked network do.
pub(crate) fn dense_row(filters: &Filters<'_>, y: usize, row: &[i16], sums: &mut [i32]) {
    let packing = filters.packing;
    let pairs = packing.stored_row() / 2;
    let fits = y < packing.rows
        && row.len() >= pairs * 2
        && sums.len() == packing.filters
        && filters.weights.len() == packing.stored_weights();
    if !fits {
        return;
    }
    for (group, sums) in sums.chunks_mut(GROUP).enumerate() {
        let members = sums.len();
        let before = (group * GROUP * packing.rows + y * members) * pairs * 2;
        let weights = filters.weights.as_ptr().wrapping_add(before);
        let (run, together): (DenseKernel, _) = match members {
            GROUP => (isa::dense4, GROUP),
            #[cfg(feature = "fast")]
            3 => (isa::dense3, 3),
            #[cfg(feature = "fast")]
            2 => (isa::dense2, 2),
            _ => (isa::dense1, 1),
        };
        for (part, sums) in sums.chunks_mut(together).enumerate() {
            let weights = weights.wrapping_add(part * together * 2);
            let (input, sums) = (row.as_ptr(), sums.as_mut_ptr());
            // SAFETY: the lengths have been compared: there are `pairs` pairs for each of `members` sums.
            unsafe { run(weights, input, pairs, sums, members * 4) };
        }
    }
}

/// Weights, input elements, their pairs, sums, and bytes from a filter's pair of weights to its next.
type DenseKernel = unsafe extern "C" fn(*const i16, *const i16, usize, *mut i32, usize);
