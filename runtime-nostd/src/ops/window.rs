//! The vertical position of a window over a map.

use crate::arena::LineBuffer;
use crate::geometry::Window;
use crate::kernels::scalar::Rows;

/// The rows of a map under a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowSpan {
    /// First row of the map under the window.
    pub(crate) first: usize,
    /// Rows of the map under the window, at least one.
    pub(crate) count: usize,
    /// Rows of the window above the map.
    pub(crate) above: usize,
}

impl RowSpan {
    /// The rows that output row `y` reads from a map of `height` rows.
    pub(crate) const fn new(window: Window, y: usize, height: u16) -> Self {
        let top = y * window.stride_h as usize;
        let pad = window.pad_top as usize;
        let above = pad.saturating_sub(top);
        let first = top.saturating_sub(pad);
        let in_map = (height as usize).saturating_sub(first);
        let in_window = (window.kernel_h as usize).saturating_sub(above);
        Self {
            first,
            count: if in_window < in_map {
                in_window
            } else {
                in_map
            },
            above,
        }
    }

    /// The rows that are read together with input row `y`, where windows do not overlap. `None` if
    /// no window reads it.
    pub(crate) fn around(window: Window, y: usize, height: u16, out_height: u16) -> Option<Self> {
        let padded = y + usize::from(window.pad_top);
        let stride = usize::from(window.stride_h).max(1);
        let (output, kernel_row) = (padded / stride, padded % stride);
        let read = output < usize::from(out_height) && kernel_row < usize::from(window.kernel_h);
        read.then(|| Self::new(window, output, height))
    }

    /// The rows as they lie in `buffer`, the memory of `line`.
    pub(crate) fn in_buffer(self, line: LineBuffer, buffer: &[i16]) -> Rows<'_> {
        Rows {
            buffer,
            row_elements: line.row_elements,
            capacity: line.capacity,
            first: self.first % line.capacity.max(1),
            count: self.count,
        }
    }
}
