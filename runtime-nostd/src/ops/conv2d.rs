//! Convolution, ordinary and depthwise.

use crate::arena::Stream;
use crate::geometry::Op;
use crate::kernels::Kernels;
use crate::kernels::scalar::ConvRow;
use crate::model::{Layer, Parameters};
use crate::ops::is_compiled;
use crate::schedule::RowSpan;

/// The output row of `layer` that reads `span` of the rows in `buffer`, the memory of `input`, into
/// `out`, `[columns, filters]`.
pub(crate) fn row<const IMAGES: usize>(
    kernels: impl Kernels<IMAGES>,
    (layer, parameters): (&Layer<'_>, &Parameters<'_>),
    input: &Stream,
    span: RowSpan,
    buffer: &[[i16; IMAGES]],
    out: &mut [[i16; IMAGES]],
) {
    let (Op::Conv { window, .. } | Op::Depthwise { window }) = layer.op else {
        return;
    };
    let (padding, _) = layer.padding();
    let row = ConvRow {
        filters: &parameters.filters,
        rows: input.rows(span, padding, buffer),
        skipped_kernel_rows: span.above,
        step: usize::from(window.stride_w) * usize::from(layer.input.channels),
        store: parameters.store,
    };
    match layer.op {
        Op::Depthwise { .. } if is_compiled(layer.op) => kernels.depthwise_row(row, out),
        _ => kernels.conv_row(row, out),
    }
}
