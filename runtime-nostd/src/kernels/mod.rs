//! The multiply-accumulate loops. `scalar` is the specification and always compiled; a faster
//! kernel lives beside it and gives the same bits.

#[cfg(dsp)]
mod arm_dsp;
pub(crate) mod scalar;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(crate) mod x86_64;

use scalar::{ConvRow, DepthwiseRow, Filters};

/// One output row of a convolution, `[columns, filters]`.
fn conv_row(row: &ConvRow<'_>, out: &mut [i16]) {
    #[cfg(dsp)]
    if arm_dsp::conv_row(row, out) {
        return;
    }
    row.run(out);
}

/// Adds the input row `y` to the accumulators of a dense layer.
fn dense_row(filters: Filters<'_>, y: usize, row: &[i16], sums: &mut [i32]) {
    #[cfg(dsp)]
    if arm_dsp::dense_row(filters, y, row, sums) {
        return;
    }
    scalar::dense_row(filters, y, row, sums);
}

/// Loops over rows of `IMAGES` images side by side.
pub(crate) trait Kernels<const IMAGES: usize>: Copy {
    /// One row of pixels `[width, channels]` of each image as activations: each less the `zero` of
    /// its channel.
    fn store_pixels(self, images: [&[u8]; IMAGES], zero: &[u8], row: &mut [[i16; IMAGES]]) {
        scalar::store_pixels(images, zero, row);
    }

    /// One output row of a convolution, `[columns, filters]`.
    fn conv_row(self, row: ConvRow<'_, [i16; IMAGES]>, out: &mut [[i16; IMAGES]]);

    /// One output row of a depthwise convolution, `[columns, channels]`.
    fn depthwise_row(self, row: DepthwiseRow<'_, [i16; IMAGES]>, out: &mut [[i16; IMAGES]]);

    /// Adds the input row `y` to the accumulators of a dense layer.
    fn dense_row(
        self,
        filters: Filters<'_>,
        y: usize,
        row: &[[i16; IMAGES]],
        sums: &mut [[i32; IMAGES]],
    );
}

/// One image at a time, as on the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneImage;

impl Kernels<1> for OneImage {
    fn conv_row(self, row: ConvRow<'_, [i16; 1]>, out: &mut [[i16; 1]]) {
        let row = ConvRow {
            filters: row.filters,
            rows: row.rows.flatten(),
            skipped_kernel_rows: row.skipped_kernel_rows,
            step: row.step,
            store: row.store,
        };
        conv_row(&row, out.as_flattened_mut());
    }

    fn depthwise_row(self, row: DepthwiseRow<'_, [i16; 1]>, out: &mut [[i16; 1]]) {
        DepthwiseRow {
            filters: row.filters,
            rows: row.rows.flatten(),
            skipped_kernel_rows: row.skipped_kernel_rows,
            step: row.step,
            store: row.store,
        }
        .run(out.as_flattened_mut());
    }

    fn dense_row(self, filters: Filters<'_>, y: usize, row: &[[i16; 1]], sums: &mut [[i32; 1]]) {
        dense_row(filters, y, row.as_flattened(), sums.as_flattened_mut());
    }
}
