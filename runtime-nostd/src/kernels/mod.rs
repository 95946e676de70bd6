//! The multiply-accumulate loops. `scalar` is the specification and always compiled; a faster
//! kernel lives beside it and gives the same bits.

#[cfg(armv7m)]
mod armv7m;
#[cfg(any(test, not(any(armv7m, target_arch = "x86_64"))))]
mod portable;
pub(crate) mod scalar;
#[cfg(test)]
mod tests;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(crate) mod x86_64;

use scalar::{ConvRow, Filters};

use crate::blob::GROUP;
use crate::ops::pool::{self, Columns, Seen};
use crate::weights8::{self, NarrowFilters};

/// Kernel sizes and channels of the convolutions of stride 1 that the feature `fast` has kernels for,
/// on cores with the DSP extension: square windows, for groups of four filters.
pub const UNROLLED_SHAPES: [(usize, usize); 5] = [(3, 1), (3, 3), (5, 1), (5, 8), (3, 16)];

/// One output row of a convolution, `[columns, spacing]` from the first of the filters on.
fn conv_row(row: &ConvRow<'_>, out: &mut [i16]) {
    #[cfg(armv7m)]
    if armv7m::conv_row(row, out) {
        return;
    }
    #[cfg(not(any(armv7m, target_arch = "x86_64")))]
    if !row.filters.product.is_rounded() {
        return portable::conv_row(row, out);
    }
    row.run(out);
}

/// Adds the input row `y` to the accumulators of a dense layer.
fn dense_row(filters: &Filters<'_>, y: usize, row: &[i16], sums: &mut [i32]) {
    #[cfg(armv7m)]
    if !filters.product.is_rounded() {
        return armv7m::dense_row(filters, y, row, sums);
    }
    #[cfg(not(any(armv7m, target_arch = "x86_64")))]
    if !filters.product.is_rounded() {
        return portable::dense_row(filters, y, row, sums);
    }
    scalar::dense_row(filters, y, row, sums);
}

/// Expands 8-bit weights of a group of filters, each pair into a word.
pub(crate) fn expand_group(weights: &[i8], exponents: [u8; GROUP], memory: &mut [i32]) {
    #[cfg(dsp)]
    return armv7m::expand_group(weights, exponents, memory);
    #[cfg(not(dsp))]
    weights8::expand_group(weights, exponents, memory);
}

/// Loops over rows of `IMAGES` images side by side.
pub(crate) trait Kernels<const IMAGES: usize>: Copy {
    /// One row of pixels `[width, channels]` of each image as activations: each less the `zero` of
    /// its channel.
    fn store_pixels(self, images: [&[u8]; IMAGES], zero: &[u8], row: &mut [[i16; IMAGES]]) {
        scalar::store_pixels(images, zero, row);
    }

    /// One output row of a convolution, `[columns, spacing]` from the first of the filters on.
    fn conv_row(self, row: ConvRow<'_, [i16; IMAGES]>, out: &mut [[i16; IMAGES]]);

    /// One output row of a depthwise convolution, `[columns, channels]`.
    fn depthwise_row(self, row: ConvRow<'_, [i16; IMAGES]>, out: &mut [[i16; IMAGES]]);

    /// Adds the input row `y` to the accumulators of a dense layer.
    fn dense_row(
        self,
        filters: &Filters<'_>,
        y: usize,
        row: &[[i16; IMAGES]],
        sums: &mut [[i32; IMAGES]],
    );

    /// As [`Kernels::dense_row`], with weights of 8 bits.
    fn narrow_dense_row(
        self,
        narrow: &NarrowFilters<'_>,
        y: usize,
        row: &[[i16; IMAGES]],
        sums: &mut [[i32; IMAGES]],
    ) {
        for (filters, sums) in narrow.reading(y).zip(sums.chunks_mut(GROUP)) {
            weights8::add_dense(narrow.filters.product, filters, row, sums);
        }
    }

    /// The maximum of each window over one input `row`, and over the rows `seen` before.
    fn max_row(
        self,
        columns: Columns,
        row: &[[i16; IMAGES]],
        seen: Seen,
        out: &mut [[i16; IMAGES]],
    ) {
        pool::max_row(columns, row, seen, out);
    }
}

/// Pixels of the usual images, of one or three `CHANNELS`, as activations.
fn subtract<const CHANNELS: usize>(row: &mut [i16], pixels: &[u8], zero: [u8; CHANNELS]) {
    let row = row.as_chunks_mut::<CHANNELS>().0.iter_mut();
    for (row, pixel) in row.zip(pixels.as_chunks::<CHANNELS>().0) {
        for ((activation, &pixel), zero) in row.iter_mut().zip(pixel).zip(zero) {
            *activation = i16::from(pixel) - i16::from(zero);
        }
    }
}

/// One image at a time, as on the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneImage;

impl Kernels<1> for OneImage {
    #[cfg(dsp)]
    fn narrow_dense_row(
        self,
        narrow: &NarrowFilters<'_>,
        y: usize,
        row: &[[i16; 1]],
        sums: &mut [[i32; 1]],
    ) {
        for (filters, sums) in narrow.reading(y).zip(sums.chunks_mut(GROUP)) {
            armv7m::add_dense(narrow.filters.product, filters, row, sums);
        }
    }

    fn store_pixels(self, [pixels]: [&[u8]; 1], zero: &[u8], row: &mut [[i16; 1]]) {
        let stored = row.as_flattened_mut();
        match *zero {
            [gray] if cfg!(feature = "fast") => subtract(stored, pixels, [gray]),
            [r, g, b] if cfg!(feature = "fast") => subtract(stored, pixels, [r, g, b]),
            _ => scalar::store_pixels([pixels], zero, row),
        }
    }

    #[cfg(all(dsp, feature = "fast"))]
    fn max_row(self, columns: Columns, row: &[[i16; 1]], seen: Seen, out: &mut [[i16; 1]]) {
        armv7m::max_row(columns, row, seen, out);
    }

    fn conv_row(self, row: ConvRow<'_, [i16; 1]>, out: &mut [[i16; 1]]) {
        conv_row(&row, out.as_flattened_mut());
    }

    fn depthwise_row(self, row: ConvRow<'_, [i16; 1]>, out: &mut [[i16; 1]]) {
        row.run_depthwise(out.as_flattened_mut());
    }

    fn dense_row(self, filters: &Filters<'_>, y: usize, row: &[[i16; 1]], sums: &mut [[i32; 1]]) {
        dense_row(filters, y, row.as_flattened(), sums.as_flattened_mut());
    }
}
