//! Convolution, ordinary and depthwise.

use crate::arena::Stream;
use crate::geometry::Op;
use crate::kernels::Kernels;
use crate::kernels::scalar::{ConvRow, Filters};
use crate::layer::Layer;
use crate::ops::is_compiled;
use crate::q8_8::Requantize;
use crate::schedule::RowSpan;

/// The output row of `filters` of `layer`, all or some of them, that reads `span` of the rows in `buffer`,
/// the memory of `input`, into `out`: the layer's output row from the first of these filters on.
pub(crate) fn row<const IMAGES: usize>(
    kernels: impl Kernels<IMAGES>,
    (layer, filters, store): (&Layer<'_>, &Filters<'_>, Requantize),
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
        filters,
        rows: input.rows(span, padding, buffer),
        skipped_kernel_rows: span.above,
        step: usize::from(window.stride_w) * usize::from(layer.input.channels),
        columns: layer.output.width.into(),
        spacing: usize::from(layer.output.channels),
        store,
    };
    match layer.op {
        Op::Depthwise { .. } if is_compiled(layer.op) => kernels.depthwise_row(row, out),
        _ => kernels.conv_row(row, out),
    }
}
