//! Convolution, ordinary and depthwise.

use crate::arena::Stream;
use crate::geometry::Op;
use crate::kernels::Kernels;
use crate::kernels::scalar::{ConvRow, DepthwiseRow, Filters};
use crate::model::Layer;
use crate::q8_8::Requantize;
use crate::schedule::RowSpan;

/// A convolution that reads `input`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution<'a> {
    pub(crate) layer: &'a Layer<'a>,
    pub(crate) filters: Filters<'a>,
    pub(crate) store: Requantize,
    pub(crate) input: Stream,
}

impl Convolution<'_> {
    /// The output row that reads `span` of the rows in `buffer`, into `out`, `[columns, filters]`.
    pub(crate) fn row<const IMAGES: usize>(
        self,
        kernels: impl Kernels<IMAGES>,
        span: RowSpan,
        buffer: &[[i16; IMAGES]],
        out: &mut [[i16; IMAGES]],
    ) {
        let (padding, _) = self.layer.padding();
        let rows = self.input.rows(span, padding, buffer);
        let (filters, store) = (self.filters, self.store);
        let skipped_kernel_rows = span.above;
        let channels = usize::from(self.layer.input.channels);
        match self.layer.op {
            Op::Conv { window, .. } => kernels.conv_row(
                ConvRow {
                    filters,
                    rows,
                    skipped_kernel_rows,
                    step: usize::from(window.stride_w) * channels,
                    store,
                },
                out,
            ),
            Op::Depthwise { window } => kernels.depthwise_row(
                DepthwiseRow {
                    filters,
                    rows,
                    skipped_kernel_rows,
                    step: usize::from(window.stride_w) * channels,
                    store,
                },
                out,
            ),
            _ => {}
        }
    }
}
