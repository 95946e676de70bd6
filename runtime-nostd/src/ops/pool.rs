//! Pooling: maximum and mean of the window's elements inside the map, for `IMAGES` images side by
//! side.

use core::num::NonZeroU32;
use core::ops::Range;

use crate::geometry::{Shape, Window};
use crate::kernels::scalar::Rows;
use crate::q8_8;

/// The horizontal position of a pooling window over a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    window: Window,
    width: usize,
    channels: usize,
}

impl Columns {
    pub(crate) const fn new(window: Window, input: Shape) -> Self {
        Self {
            window,
            width: input.width as usize,
            channels: input.channels as usize,
        }
    }

    /// The columns of the map under output column `x`.
    fn under(self, x: usize) -> Range<usize> {
        let left = x * self.window.stride_w as usize;
        let pad = self.window.pad_left as usize;
        let end = (left + self.window.kernel_w as usize).saturating_sub(pad);
        left.saturating_sub(pad)..end.min(self.width)
    }

    /// The pixels of `row` under output column `x`, each `[channels]`.
    fn pixels<E>(self, row: &[E], x: usize) -> impl Iterator<Item = &[E]> {
        let columns = self.under(x);
        row.get(columns.start * self.channels..columns.end * self.channels)
            .unwrap_or(&[])
            .chunks_exact(self.channels.max(1))
    }
}

/// Raises the output row `out` to the maximum with one input `row`.
pub(crate) fn max_row<const IMAGES: usize>(
    columns: Columns,
    row: &[[i16; IMAGES]],
    out: &mut [[i16; IMAGES]],
) {
    for (x, pixel) in out.chunks_exact_mut(columns.channels.max(1)).enumerate() {
        for element in columns.pixels(row, x) {
            let values = pixel.as_flattened_mut().iter_mut();
            for (maximum, &value) in values.zip(element.as_flattened()) {
                *maximum = (*maximum).max(value);
            }
        }
    }
}

/// Adds one input `row` to the sums of all windows over it, `[columns, channels]`.
pub(crate) fn sum_row<const IMAGES: usize>(
    columns: Columns,
    row: &[[i16; IMAGES]],
    sums: &mut [[i32; IMAGES]],
) {
    for (x, sums) in sums.chunks_exact_mut(columns.channels.max(1)).enumerate() {
        sum_window(columns, row, x, sums);
    }
}

fn sum_window<const IMAGES: usize>(
    columns: Columns,
    row: &[[i16; IMAGES]],
    x: usize,
    sums: &mut [[i32; IMAGES]],
) {
    for element in columns.pixels(row, x) {
        let sums = sums.as_flattened_mut().iter_mut();
        for (sum, &value) in sums.zip(element.as_flattened()) {
            *sum = sum.wrapping_add(i32::from(value));
        }
    }
}

/// Means of the complete `sums` of windows over `rows` rows of the map.
pub(crate) fn mean_row<const IMAGES: usize>(
    columns: Columns,
    rows: usize,
    sums: &[[i32; IMAGES]],
    out: &mut [[i16; IMAGES]],
) {
    let channels = columns.channels.max(1);
    let pixels = out
        .chunks_exact_mut(channels)
        .zip(sums.chunks_exact(channels));
    for (x, (pixel, sums)) in pixels.enumerate() {
        mean_window(columns, rows, x, sums, pixel);
    }
}

fn mean_window<const IMAGES: usize>(
    columns: Columns,
    rows: usize,
    x: usize,
    sums: &[[i32; IMAGES]],
    pixel: &mut [[i16; IMAGES]],
) {
    let count = NonZeroU32::new((rows * columns.under(x).len()) as u32).unwrap_or(NonZeroU32::MIN);
    let means = pixel.as_flattened_mut().iter_mut();
    for (mean, &sum) in means.zip(sums.as_flattened()) {
        *mean = q8_8::mean(sum, count);
    }
}

/// Maximum over overlapping windows, whose rows were kept.
pub(crate) fn max_of_rows<const IMAGES: usize>(
    columns: Columns,
    rows: Rows<'_, [i16; IMAGES]>,
    out: &mut [[i16; IMAGES]],
) {
    out.fill([i16::MIN; IMAGES]);
    for row in rows.iter() {
        max_row(columns, row, out);
    }
}

/// Mean over overlapping windows, whose rows were kept; `sums` is `[channels]` of work space.
pub(crate) fn mean_of_rows<const IMAGES: usize>(
    columns: Columns,
    rows: Rows<'_, [i16; IMAGES]>,
    sums: &mut [[i32; IMAGES]],
    out: &mut [[i16; IMAGES]],
) {
    for (x, pixel) in out.chunks_exact_mut(columns.channels.max(1)).enumerate() {
        sums.fill([0; IMAGES]);
        for row in rows.iter() {
            sum_window(columns, row, x, sums);
        }
        mean_window(columns, rows.count, x, sums, pixel);
    }
}
