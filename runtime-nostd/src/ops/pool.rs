//! Pooling: maximum and mean of the window's elements inside the map, for `IMAGES` images side by
//! side.

use core::num::NonZeroU32;
use core::ops::Range;

use crate::geometry::Window;
use crate::kernels::Kernels;
use crate::kernels::scalar::Rows;
use crate::layer::Layer;
use crate::q8_8;

/// The horizontal position of a pooling window over a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) window: Window,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    /// Columns of the output.
    pub(crate) outputs: usize,
}

impl Columns {
    /// Those of `layer`, which pools.
    pub(crate) const fn new(window: Window, layer: &Layer<'_>) -> Self {
        Self {
            window,
            width: layer.input.width as usize,
            channels: layer.input.channels as usize,
            outputs: layer.output.width as usize,
        }
    }

    /// The columns of the map under output column `x`.
    fn under(self, x: usize) -> Range<usize> {
        let left = x * self.window.stride_w as usize;
        let pad = self.window.pad_left as usize;
        let end = (left + self.window.kernel_w as usize).saturating_sub(pad);
        left.saturating_sub(pad)..end.min(self.width)
    }

    /// The elements of `row` under output column `x`, `[columns, channels]`.
    fn elements<E>(self, row: &[E], x: usize) -> &[E] {
        let columns = self.under(x);
        row.get(columns.start * self.channels..columns.end * self.channels)
            .unwrap_or(&[])
    }

    /// The pixels of `row` under output column `x`, each `[channels]`.
    fn pixels<E>(self, row: &[E], x: usize) -> impl Iterator<Item = &[E]> {
        self.elements(row, x).chunks_exact(self.channels.max(1))
    }
}

/// Whether an output row holds maxima of rows seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Nothing,
    Rows,
}

/// The maximum of each window over one input `row`, and over the rows `seen` before.
pub(crate) fn max_row<const IMAGES: usize>(
    columns: Columns,
    row: &[[i16; IMAGES]],
    seen: Seen,
    out: &mut [[i16; IMAGES]],
) {
    max_windows(columns, row, seen, out, 0..columns.outputs);
}

/// As [`max_row`], for some of the output columns.
pub(crate) fn max_windows<const IMAGES: usize>(
    columns: Columns,
    row: &[[i16; IMAGES]],
    seen: Seen,
    out: &mut [[i16; IMAGES]],
    wanted: Range<usize>,
) {
    let channels = columns.channels.max(1);
    for x in wanted {
        let pixel = out.get_mut(x * channels..(x + 1) * channels);
        let maxima = pixel.unwrap_or(&mut []).as_flattened_mut();
        if seen == Seen::Nothing {
            maxima.fill(i16::MIN);
        }
        // Two columns at a time: the maximum so far is loaded and stored half as often.
        let mut elements = columns.elements(row, x);
        while let Some((a, behind)) = elements.split_at_checked(channels) {
            let (b, behind) = behind.split_at_checked(channels).unwrap_or((a, behind));
            elements = behind;
            let columns = a.as_flattened().iter().zip(b.as_flattened());
            for (maximum, (&a, &b)) in maxima.iter_mut().zip(columns) {
                *maximum = (*maximum).max(a).max(b);
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
    kernels: impl Kernels<IMAGES>,
    columns: Columns,
    rows: Rows<'_, [i16; IMAGES]>,
    out: &mut [[i16; IMAGES]],
) {
    let mut seen = Seen::Nothing;
    for row in rows.iter() {
        kernels.max_row(columns, row, seen, out);
        seen = Seen::Rows;
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
