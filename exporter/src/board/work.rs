//! What an inference does, counted in the units that the kernels repeat: the inputs of the cycle
//! model.

use runtime_nostd::blob::{GROUP, Packing, Storage};
use runtime_nostd::geometry::{Op, Shape, Window};
use runtime_nostd::{Layer, Model, UNROLLED_SHAPES};

/// The units, by the names that the file of costs uses. A "row" is one that a layer takes or gives, a
/// "window row" one kernel row in one column, a "pair" two neighboring elements of a kernel row, a
/// "group" up to four filters that share the activations loaded (FORMAT.md); filters are "left over" from
/// whole groups. A "unit" is four channels in two columns. Maxima over fewer than four channels have units
/// of their own, and so have weights of 8 bits: their expansion, and the dense layers that do without.
pub const UNITS: [&str; 41] = [
    "inference",
    "image_row",
    "image_element",
    "row",
    "conv_row_group",
    "conv_column_group",
    "conv_window_row_group",
    "conv_pair_group",
    "conv_pair_filter",
    "conv_window_row_left_over",
    "conv_pair_left_over",
    "conv_output",
    "unrolled_column_group",
    "unrolled_pair_group",
    "expanded_row_group",
    "expanded_pair",
    "expanded_tap",
    "dense_row_group",
    "dense_pair_group",
    "dense_pair_filter",
    "dense_pair_left_over",
    "dense_row_output",
    "narrow_dense_row_group",
    "narrow_dense_pair_group",
    "narrow_dense_pair_filter",
    "depthwise_column_group",
    "depthwise_window_row_group",
    "depthwise_tap_group",
    "depthwise_tap",
    "depthwise_tap_left_over",
    "depthwise_output",
    "pool_row",
    "max_window_row",
    "max_unit",
    "narrow_max_window_row",
    "narrow_max_pixel",
    "narrow_max_element",
    "avg_window_row",
    "avg_element",
    "avg_output",
    "add_element",
];

/// How often each of the [`UNITS`] is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Work(pub [f64; UNITS.len()]);

/// Channels whose maxima one step of the DSP kernel finds.
const UNIT_CHANNELS: usize = 4;

/// Groups of filters for which `runtime-nostd` has an unrolled kernel, on cores with the DSP extension.
fn unrolled_groups(window: Window, channels: usize, filters: usize) -> usize {
    let is_square = window.kernel_h == window.kernel_w;
    let has_kernel = UNROLLED_SHAPES.contains(&(window.kernel_h.into(), channels));
    if is_square && has_kernel && (window.stride_h, window.stride_w) == (1, 1) {
        filters / GROUP
    } else {
        0
    }
}

impl Work {
    const NONE: Self = Self([0.0; UNITS.len()]);

    /// What a whole inference does, all layers included.
    pub fn of_inference(model: &Model<'_>) -> Self {
        let mut work = Self::NONE;
        work.add("inference", 1);
        work.add("image_row", model.input().height.into());
        work.add("image_element", model.input().elements());
        for layer in model.layers() {
            let layer = Self::of_layer(layer);
            for (sum, count) in work.0.iter_mut().zip(layer.0) {
                *sum += count;
            }
        }
        work
    }

    /// What one layer does.
    pub fn of_layer(layer: &Layer<'_>) -> Self {
        let (op, input, output) = (layer.op(), layer.input(), layer.output());
        let mut work = Self::of_kernels(op, layer.storage(), input, output);
        if layer.storage() == Storage::I8 {
            work.add_expansion(op, input, output);
        }
        work
    }

    /// The expansion of a convolution's 8-bit weights, for every output row.
    fn add_expansion(&mut self, op: Op, input: Shape, output: Shape) {
        let rows = usize::from(output.height);
        let Some(packing) = Packing::new(op, input) else {
            return;
        };
        let weights = rows * packing.stored_weights();
        match op {
            Op::Conv { .. } => {
                self.add("expanded_row_group", rows * packing.filters.div_ceil(GROUP));
                self.add("expanded_pair", weights / 2);
            }
            Op::Depthwise { .. } => self.add("expanded_tap", weights),
            _ => {}
        }
    }

    /// What the kernels of a layer do.
    fn of_kernels(op: Op, storage: Storage, input: Shape, output: Shape) -> Self {
        let mut work = Self::NONE;
        let (columns, channels) = (usize::from(output.width), usize::from(input.channels));
        let filters = op.filters(input);
        let (groups, left_over) = (filters.div_ceil(GROUP), filters % GROUP);
        let pixels = usize::from(output.height) * columns;
        work.add("row", rows_of_work(op, input, output));
        match op {
            Op::Conv { window, .. } => {
                let window_rows = columns * kernel_rows(window, input, output);
                let row_elements = usize::from(window.kernel_w) * channels;
                let pairs = window_rows * row_elements.div_ceil(2);
                let unrolled = unrolled_groups(window, channels, filters);
                work.add("unrolled_column_group", pixels * unrolled);
                work.add("unrolled_pair_group", pairs * unrolled);
                let (groups, filters) = (groups - unrolled, filters - unrolled * GROUP);
                work.add("conv_row_group", usize::from(output.height) * groups);
                work.add("conv_column_group", pixels * groups);
                work.add("conv_window_row_group", window_rows * groups);
                work.add("conv_pair_group", pairs * groups);
                work.add("conv_pair_filter", pairs * filters);
                work.add("conv_window_row_left_over", window_rows * left_over);
                work.add("conv_pair_left_over", pairs * left_over);
                work.add("conv_output", output.elements());
            }
            Op::Dense { .. } => {
                let rows = usize::from(input.height);
                let pairs = rows * input.row_elements().div_ceil(2);
                let [row_group, pair_group, pair_filter] = match storage {
                    Storage::I16 => ["dense_row_group", "dense_pair_group", "dense_pair_filter"],
                    Storage::I8 => [
                        "narrow_dense_row_group",
                        "narrow_dense_pair_group",
                        "narrow_dense_pair_filter",
                    ],
                };
                work.add(row_group, rows * groups);
                work.add(pair_group, pairs * groups);
                work.add(pair_filter, pairs * filters);
                if storage == Storage::I16 {
                    work.add("dense_pair_left_over", pairs * left_over);
                }
                work.add("dense_row_output", rows * filters);
            }
            Op::Depthwise { window } => {
                let window_rows = columns * kernel_rows(window, input, output);
                let taps = window_rows * usize::from(window.kernel_w);
                work.add("depthwise_column_group", pixels * groups);
                work.add("depthwise_window_row_group", window_rows * groups);
                work.add("depthwise_tap_group", taps * groups);
                work.add("depthwise_tap", taps * channels);
                work.add("depthwise_tap_left_over", taps * left_over);
                work.add("depthwise_output", output.elements());
            }
            Op::MaxPool { window } => {
                let rows = kernel_rows(window, input, output);
                let window_rows = columns * rows;
                let width = usize::from(window.kernel_w);
                work.add("pool_row", rows);
                if channels < UNIT_CHANNELS {
                    work.add("narrow_max_window_row", window_rows);
                    work.add("narrow_max_pixel", window_rows * width);
                    work.add("narrow_max_element", window_rows * width * channels);
                } else {
                    let units = width.div_ceil(2) * channels.div_ceil(UNIT_CHANNELS);
                    work.add("max_window_row", window_rows);
                    work.add("max_unit", window_rows * units);
                }
            }
            Op::AvgPool { window } => {
                let rows = kernel_rows(window, input, output);
                let window_rows = columns * rows;
                let elements = window_rows * usize::from(window.kernel_w) * channels;
                work.add("pool_row", rows);
                work.add("avg_window_row", window_rows);
                work.add("avg_element", elements);
                work.add("avg_output", output.elements());
            }
            Op::Add { .. } => work.add("add_element", output.elements()),
            Op::Branch { .. } => {}
        }
        work
    }

    fn add(&mut self, unit: &str, times: usize) {
        debug_assert!(UNITS.contains(&unit), "{unit}");
        let counts = self.0.iter_mut().zip(UNITS);
        for (count, _) in counts.filter(|(_, name)| *name == unit) {
            *count += times as f64;
        }
    }
}

/// How often a layer is called: a dense layer takes every row that it reads, others give theirs.
fn rows_of_work(op: Op, input: Shape, output: Shape) -> usize {
    match op {
        Op::Dense { .. } => input.height.into(),
        Op::Branch { .. } => 0,
        _ => output.height.into(),
    }
}

/// Kernel rows inside the map, summed over all output rows: what is above and below is skipped.
fn kernel_rows(window: Window, input: Shape, output: Shape) -> usize {
    (0..usize::from(output.height))
        .map(|y| {
            let top = y * usize::from(window.stride_h);
            let bottom = top + usize::from(window.kernel_h);
            let pad = usize::from(window.pad_top);
            let end = bottom.min(pad + usize::from(input.height));
            end.saturating_sub(top.max(pad))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convolution_is_counted_without_the_rows_outside_the_map() {
        let op = Op::Conv {
            window: Window::square(3, 1, 1),
            out_channels: 5,
        };
        let input = Shape::new(4, 6, 3);
        let work = Work::of_kernels(op, Storage::I16, input, Shape::new(4, 6, 5));
        let count = |unit: &str| {
            let index = UNITS.iter().position(|name| *name == unit);
            work.0[index.expect("a unit")]
        };
        // A group of four filters, unrolled, and one of a single filter; 2 + 3 + 3 + 2 kernel rows of
        // nine elements for each of six columns.
        assert_eq!(count("unrolled_pair_group"), 300.0);
        assert_eq!(count("conv_window_row_group"), 60.0);
        assert_eq!(count("conv_pair_group"), 300.0);
        assert_eq!(count("conv_pair_filter"), 300.0);
        assert_eq!(count("conv_output"), 120.0);
        assert_eq!(count("dense_pair_group"), 0.0);
    }
}
