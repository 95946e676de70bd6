//! Pooling: maximum and mean of the window's elements inside the map, for `IMAGES` images side by
//! side.

use core::num::NonZeroU32;
use core::ops::Range;

use crate::geometry::{Shape, Window};
use crate::kernels::Kernels;
use crate::kernels::scalar::Rows;
use crate::q8_8;

/// The horizontal position of a pooling window over a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) window: Window,
    pub(crate) width: usize,
    pub(crate) channels: usize,
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
    let all = out.len() / columns.channels.max(1);
    max_windows(columns, row, seen, out, 0..all);
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
    let elements = wanted.start * channels..wanted.end * channels;
    let pixels = out.get_mut(elements).unwrap_or(&mut []);
    for (x, pixel) in wanted.zip(pixels.chunks_exact_mut(channels)) {
        if seen == Seen::Nothing {
            pixel.fill([i16::MIN; IMAGES]);
        }
        // Two columns at a time: the maximum so far is loaded and stored half as often.
        for pair in columns
            .elements(row, x)
            .chunks((columns.channels * 2).max(1))
        {
            let (a, b) = pair
                .split_at_checked(columns.channels)
                .unwrap_or((pair, pair));
            let b = if b.is_empty() { a } else { b };
            let maxima = pixel.as_flattened_mut().iter_mut();
            for ((maximum, &a), &b) in maxima.zip(a.as_flattened()).zip(b.as_flattened()) {
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
