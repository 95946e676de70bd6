//! The specification of the sums: portable, safe, no panic.

use core::array::from_fn;

use crate::blob::{GROUP, Packing};
use crate::q8_8::{Product, Requantize, rounded_product};

/// The rows of a line buffer that lie under a window, top to bottom. Their elements `E` are the
/// activations of one image, or of some side by side: `[i16; IMAGES]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, E = [i16; 1]> {
    /// The whole line buffer.
    pub(crate) buffer: &'a [E],
    /// Elements of a stored row.
    pub(crate) row_elements: usize,
    /// Rows that the buffer holds.
    pub(crate) capacity: usize,
    /// Slot of the first row.
    pub(crate) first: usize,
    /// Number of rows.
    pub(crate) count: usize,
}

impl<'a, E> Rows<'a, E> {
    /// The rows, each from its first element to the end of the buffer.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [E]> {
        (0..self.count).scan(self.first, move |slot, _| {
            let row = self.buffer.get(*slot * self.row_elements..)?;
            *slot += 1;
            if *slot == self.capacity {
                *slot = 0;
            }
            Some(row)
        })
    }
}

/// Biases (rounding included) and packed weights `W` of a layer, with what they are for. Kernels read
/// weights of 16 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filters<'a, W = i16> {
    pub(crate) packing: Packing,
    pub(crate) bias: &'a [i32],
    pub(crate) weights: &'a [W],
    pub(crate) product: Product,
}

impl<'a, W> Filters<'a, W> {
    /// The filters in groups of [`GROUP`]: biases and weights of each, the last with the filling of
    /// the layer.
    pub(crate) fn groups(self) -> impl Iterator<Item = (&'a [i32], &'a [W])> {
        let filter_weights = self.packing.rows * self.packing.stored_row();
        let groups = self.weights.chunks((filter_weights * GROUP).max(1));
        self.bias.chunks(GROUP).zip(groups)
    }
}

/// One row of pixels `[width, channels]` of each image as activations: each less the `zero` of its
/// channel.
pub(crate) fn store_pixels<const IMAGES: usize>(
    images: [&[u8]; IMAGES],
    zero: &[u8],
    row: &mut [[i16; IMAGES]],
) {
    for (image, pixels) in images.into_iter().enumerate() {
        let zero = zero.iter().cycle();
        for ((activation, &pixel), &zero) in row.iter_mut().zip(pixels).zip(zero) {
            activation[image] = i16::from(pixel) - i16::from(zero);
        }
    }
}

/// One output row of a convolution, ordinary or depthwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvRow<'a, E = [i16; 1]> {
    pub(crate) filters: &'a Filters<'a>,
    /// The rows under the window that lie inside the map.
    pub(crate) rows: Rows<'a, E>,
    /// Kernel rows above the map, which contribute nothing.
    pub(crate) skipped_kernel_rows: usize,
    /// Elements from one output column's window to the next: `stride_w * in_channels`.
    pub(crate) step: usize,
    /// Columns of the output row.
    pub(crate) columns: usize,
    /// Elements from one output column to the next: the layer's filters, of which `filters` may be some.
    pub(crate) spacing: usize,
    pub(crate) store: Requantize,
}

impl ConvRow<'_> {
    /// Computes the row into `out`, `[columns, spacing]` from the first of the filters on.
    #[inline(never)]
    pub(crate) fn run(&self, out: &mut [i16]) {
        for (column, pixel) in (0..self.columns).zip(out.chunks_mut(self.spacing.max(1))) {
            for (stored, (bias, weights)) in pixel.chunks_mut(GROUP).zip(self.filters.groups()) {
                self.group(bias, weights, column, stored);
            }
        }
    }

    /// One group of filters in one column.
    fn group(&self, bias: &[i32], weights: &[i16], column: usize, out: &mut [i16]) {
        let mut sums = [0; GROUP];
        let sums = sums.get_mut(..bias.len()).unwrap_or(&mut []);
        let row_weights = self.filters.packing.stored_row() * bias.len();
        let weight_rows = weights.chunks_exact(row_weights.max(1));
        let weight_rows = weight_rows.skip(self.skipped_kernel_rows);
        for (row, weights) in self.rows.iter().zip(weight_rows) {
            let window = row.get(column * self.step..).unwrap_or(&[]);
            accumulate(self.filters.product, sums, window.as_flattened(), weights);
        }
        for ((stored, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
            *stored = self.store.store(bias.wrapping_add(*sum));
        }
    }
}

impl ConvRow<'_> {
    /// Computes the row of a depthwise convolution into `out`, `[columns, channels]`.
    #[inline(never)]
    pub(crate) fn run_depthwise(&self, out: &mut [i16]) {
        let packing = self.filters.packing;
        for (group, bias) in self.filters.bias.chunks(GROUP).enumerate() {
            let first = group * GROUP;
            let before = first * packing.rows * packing.row_elements;
            let weights = self.filters.weights.get(before..).unwrap_or(&[]);
            self.depthwise(bias, weights, first, out);
        }
    }

    /// All columns of a group of channels from `first` on.
    fn depthwise(&self, bias: &[i32], weights: &[i16], first: usize, out: &mut [i16]) {
        let taps = self.filters.packing.row_elements;
        let members = bias.len().max(1);
        let skipped_weights = self.skipped_kernel_rows * taps * members;
        let weights = weights.get(skipped_weights..).unwrap_or(&[]);
        let channels = self.filters.packing.filters.max(1);
        let start: [i32; GROUP] = from_fn(|member| bias.get(member).copied().unwrap_or(0));
        for column in 0..self.columns {
            let mut sums = start;
            let mut weights = weights.chunks(members);
            for row in self.rows.iter() {
                let window = row.get(column * self.step + first..).unwrap_or(&[]);
                let pixels = window.chunks(channels).take(taps);
                for (pixel, weights) in pixels.zip(weights.by_ref()) {
                    for ((sum, &[x]), &w) in sums.iter_mut().zip(pixel).zip(weights) {
                        *sum = sum.wrapping_add(product(self.filters.product, x, w));
                    }
                }
            }
            let stored = out.get_mut(column * channels + first..).unwrap_or(&mut []);
            for (stored, &sum) in stored.iter_mut().zip(sums.iter().take(members)) {
                *stored = self.store.store(sum);
            }
        }
    }
}

/// Adds the input row `y` to the accumulators of a dense layer.
pub(crate) fn dense_row(filters: &Filters<'_>, y: usize, row: &[i16], sums: &mut [i32]) {
    let stored_row = filters.packing.stored_row();
    for (sums, (_, weights)) in sums.chunks_mut(GROUP).zip(filters.groups()) {
        let row_weights = stored_row * sums.len();
        let weights = weights.get(y * row_weights..).unwrap_or(&[]);
        let weights = weights.get(..row_weights).unwrap_or(&[]);
        accumulate(filters.product, sums, row, weights);
    }
}

/// Adds one kernel row to the sums of a group of filters: `weights` is `[pairs][filters][2]`, `row`
/// at least `[pairs][2]`.
fn accumulate(kind: Product, sums: &mut [i32], row: &[i16], weights: &[i16]) {
    let mut weights = weights.as_chunks().0;
    for &[x0, x1] in row.as_chunks().0 {
        let Some((pair, rest)) = weights.split_at_checked(sums.len()) else {
            return;
        };
        weights = rest;
        for (sum, &[w0, w1]) in sums.iter_mut().zip(pair) {
            let products = product(kind, x0, w0).wrapping_add(product(kind, x1, w1));
            // The exporter proved, and `Model::parse` checked, that no partial sum overflows.
            *sum = sum.wrapping_add(products);
        }
    }
}

#[inline(always)]
pub(crate) fn exact_product(activation: i16, weight: i16) -> i32 {
    i32::from(activation) * i32::from(weight)
}

/// A product of this kind.
#[inline(always)]
fn product(kind: Product, activation: i16, weight: i16) -> i32 {
    if kind.is_rounded() {
        rounded_product(activation, weight)
    } else {
        exact_product(activation, weight)
    }
}
