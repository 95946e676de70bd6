//! Convolution.

use crate::kernels::scalar::ConvRow;
use crate::model::{Layer, Parameters};
use crate::ops::window::RowSpan;

/// The output row that reads `rows` of the line buffer `buffer`, into `out`, `[columns, filters]`.
pub(crate) fn row(
    layer: &Layer<'_>,
    parameters: Parameters<'_>,
    rows: RowSpan,
    buffer: &[i16],
    out: &mut [i16],
) {
    let crate::geometry::Op::Conv { window, .. } = layer.op else {
        return;
    };
    ConvRow {
        filters: parameters.filters(),
        rows: rows.in_buffer(layer.plan.input, buffer),
        skipped_kernel_rows: rows.above,
        step: usize::from(window.stride_w) * usize::from(layer.input.channels),
        store: parameters.store,
    }
    .run(out);
}
