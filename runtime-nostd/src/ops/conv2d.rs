//! Convolution, ordinary and depthwise.

use crate::arena::Stream;
use crate::blob::GROUP;
use crate::geometry::Op;
use crate::kernels::Kernels;
use crate::kernels::scalar::{ConvRow, Filters};
use crate::model::Layer;
use crate::ops::is_compiled;
use crate::q8_8::Requantize;
use crate::schedule::RowSpan;

/// The output row of `filters` of `layer` that reads `span` of the rows in `buffer`, the memory of
/// `input`, into `out`, `[columns, filters]`.
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
        store,
    };
    match layer.op {
        Op::Depthwise { .. } if is_compiled(layer.op) => kernels.depthwise_row(row, out),
        _ => kernels.conv_row(row, out),
    }
}

/// Puts `row`, `[columns, members]`, into `out`, whose columns are `channels` elements apart.
pub(crate) fn interleave<const IMAGES: usize>(
    row: &[[i16; IMAGES]],
    members: usize,
    out: &mut [[i16; IMAGES]],
    channels: usize,
) {
    let columns = out.chunks_mut(channels.max(1));
    for (pixel, values) in columns.zip(row.chunks_exact(members.max(1))) {
        // Nearly all parts are groups of four.
        if let (Some(stored), Some(values)) = (
            pixel.first_chunk_mut::<GROUP>(),
            values.first_chunk::<GROUP>(),
        ) {
            *stored = *values;
            continue;
        }
        for (stored, value) in pixel.iter_mut().zip(values) {
            *stored = *value;
        }
    }
}
