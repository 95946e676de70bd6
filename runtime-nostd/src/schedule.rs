//! Which layer computes which row next. The executor follows this schedule, and the plan of the
//! arena is made by going through it once without computing anything: they cannot disagree.
//!
//! Among the layers that have the rows they need, the last in the chain goes first. So a row is used
//! by everything behind it before the next one is made, and few rows are alive at a time.

use crate::geometry::{Keep, Op, Shape, Window};
use crate::model::Layer;

/// How far a layer is: [`TAKEN`] and [`PRODUCED`] rows.
pub(crate) type Progress = [u16; 2];

/// Output rows computed ([`Intake::Window`]) or input rows consumed ([`Intake::Accumulate`]).
pub(crate) const TAKEN: usize = 0;

/// Output rows that readers may read.
pub(crate) const PRODUCED: usize = 1;

/// When a layer can work on the rows that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Once all rows under a window are there: computes one output row.
    Window,
    /// As soon as a row is there: consumes it.
    Accumulate,
    /// Never: reads nothing.
    Nothing,
}

/// How a layer goes through the rows of its input: whatever it computes, as a window that slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    pub(crate) intake: Intake,
    /// Rows under the window.
    kernel: u16,
    /// Rows from one window to the next.
    stride: u16,
    /// Rows of the first window above the map.
    pad: u16,
}

impl Feed {
    /// Reads nothing.
    pub(crate) const NOTHING: Self = Self {
        intake: Intake::Nothing,
        kernel: 1,
        stride: 1,
        pad: 0,
    };

    /// How `op` goes through an `input` map.
    pub(crate) const fn new(op: Op, input: Shape) -> Self {
        match op {
            Op::Conv { window, .. } | Op::Depthwise { window } => {
                Self::slide(window, Intake::Window)
            }
            Op::MaxPool { window } | Op::AvgPool { window } if window.overlaps_rows() => {
                Self::slide(window, Intake::Window)
            }
            Op::MaxPool { window } | Op::AvgPool { window } => {
                Self::slide(window, Intake::Accumulate)
            }
            Op::Dense { .. } => Self {
                intake: Intake::Accumulate,
                kernel: input.height,
                stride: input.height,
                pad: 0,
            },
            Op::Add { .. } => Self {
                intake: Intake::Accumulate,
                ..Self::NOTHING
            },
            Op::Branch { .. } => Self::NOTHING,
        }
    }

    const fn slide(window: Window, intake: Intake) -> Self {
        Self {
            intake,
            kernel: window.kernel_h as u16,
            stride: window.stride_h as u16,
            pad: window.pad_top as u16,
        }
    }

    /// Whether a window has only one row.
    pub(crate) const fn keeps_no_row(self) -> bool {
        self.kernel == 1
    }

    /// Input rows that must be there before the `taken`th row of work on a map of `height` rows.
    const fn needed(self, taken: usize, height: usize) -> usize {
        match self.intake {
            Intake::Window => {
                let end = taken * self.stride as usize + self.kernel as usize;
                let end = end.saturating_sub(self.pad as usize);
                if end < height { end } else { height }
            }
            Intake::Accumulate => taken + 1,
            Intake::Nothing => usize::MAX,
        }
    }

    /// The rows that output row `y` reads from a map of `height` rows.
    pub(crate) const fn span(self, y: usize, height: usize) -> RowSpan {
        let top = y * self.stride as usize;
        let pad = self.pad as usize;
        let above = pad.saturating_sub(top);
        let first = top.saturating_sub(pad);
        let in_map = height.saturating_sub(first);
        let in_window = (self.kernel as usize).saturating_sub(above);
        RowSpan {
            first,
            count: if in_window < in_map {
                in_window
            } else {
                in_map
            },
            above,
        }
    }

    /// The one window that reads input row `y`, where windows do not overlap; `None` between them.
    const fn around(self, y: usize) -> Option<usize> {
        let padded = y + self.pad as usize;
        let stride = if self.stride == 0 {
            1
        } else {
            self.stride as usize
        };
        // Rows of a dense layer are all of the first window; small cores have no divider.
        let (output, kernel_row) = if padded < stride {
            (0, padded)
        } else {
            (padded / stride, padded % stride)
        };
        if kernel_row < self.kernel as usize {
            Some(output)
        } else {
            None
        }
    }
}

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
    /// The row behind the last.
    pub(crate) const fn end(self) -> usize {
        self.first + self.count
    }
}

/// One row of work for one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) layer: usize,
    /// The output row that it computes or adds to.
    pub(crate) output: usize,
    /// The input rows that the whole output row depends on.
    pub(crate) rows: RowSpan,
    /// The input row that is added now; the last of `rows` where all are used at once.
    pub(crate) input: usize,
}

impl Step {
    /// Whether nothing has been added to the output row yet.
    pub(crate) const fn begins(self) -> bool {
        self.input == self.rows.first
    }

    /// Whether the output row is complete after this step.
    pub(crate) const fn completes(self) -> bool {
        self.input + 1 == self.rows.end()
    }

    /// The work of `layer` on its `taken`th row; `None` if no window reads that row.
    const fn of(layer: &Layer<'_>, index: usize, taken: usize) -> Option<Self> {
        let output = match layer.feed.intake {
            Intake::Window => taken,
            Intake::Accumulate | Intake::Nothing => match layer.feed.around(taken) {
                Some(output) if output < layer.output.height as usize => output,
                _ => return None,
            },
        };
        let rows = layer.feed.span(output, layer.input.height as usize);
        Some(Self {
            layer: index,
            output,
            rows,
            input: match layer.feed.intake {
                Intake::Window => rows.end().saturating_sub(1),
                Intake::Accumulate | Intake::Nothing => taken,
            },
        })
    }
}

/// Where the schedule stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Rows of the image that have arrived.
    pub(crate) pushed: u16,
    /// First layer behind the last cut whose map is complete. The layers before it are done with.
    pub(crate) segment: usize,
    /// Every layer behind this one waits for rows.
    at: usize,
}

impl Cursor {
    pub(crate) const START: Self = Self {
        pushed: 0,
        segment: 0,
        at: 0,
    };

    /// A row of the image has arrived, which `last_reader` is the last to read.
    pub(crate) const fn push(&mut self, last_reader: u8) {
        self.pushed = self.pushed.saturating_add(1);
        if self.segment == 0 {
            self.at = last_reader as usize;
        }
    }

    /// The next step, which counts as done; `None` if another row of the image is needed.
    pub(crate) const fn next(
        &mut self,
        layers: &[Layer<'_>],
        progress: &mut [Progress],
    ) -> Option<Step> {
        loop {
            if self.at < layers.len() && self.at < progress.len() {
                let layer = &layers[self.at];
                let taken = progress[self.at][TAKEN];
                if self.can_work(layer, taken as usize, progress) {
                    progress[self.at][TAKEN] = taken.saturating_add(1);
                    if let Some(step) = Step::of(layer, self.at, taken as usize) {
                        self.after(step, layer, progress);
                        return Some(step);
                    }
                    continue;
                }
            }
            if self.at > self.segment {
                self.at -= 1;
            } else if !self.release(layers, progress) {
                return None;
            }
        }
    }

    /// Whether the rows are there that `layer` needs for its `taken`th row of work, if it has one.
    const fn can_work(&self, layer: &Layer<'_>, taken: usize, progress: &[Progress]) -> bool {
        let complete = match layer.feed.intake {
            Intake::Window => taken >= layer.output.height as usize,
            Intake::Accumulate | Intake::Nothing => false,
        };
        let needed = layer.feed.needed(taken, layer.input.height as usize);
        !complete && needed <= self.rows_ready(layer, progress) as usize
    }

    const fn after(&mut self, step: Step, layer: &Layer<'_>, progress: &mut [Progress]) {
        if !step.completes() {
            return;
        }
        match layer.keep {
            Keep::Rows => self.produce(step.layer, layer, progress),
            Keep::Map if step.output + 1 == layer.output.height as usize => {
                self.segment = step.layer + 1;
                self.at = self.segment;
            }
            Keep::Map => {}
        }
    }

    /// Lets the readers of a complete map have its next row: as rows of an image are pushed.
    const fn release(&mut self, layers: &[Layer<'_>], progress: &mut [Progress]) -> bool {
        let Some(index) = self.segment.checked_sub(1) else {
            return false;
        };
        if index >= layers.len() || index >= progress.len() {
            return false;
        }
        let layer = &layers[index];
        if progress[index][PRODUCED] >= layer.output.height {
            return false;
        }
        self.produce(index, layer, progress);
        true
    }

    const fn produce(&mut self, index: usize, layer: &Layer<'_>, progress: &mut [Progress]) {
        if index < progress.len() {
            progress[index][PRODUCED] = progress[index][PRODUCED].saturating_add(1);
        }
        self.at = layer.rows.last_reader as usize;
    }

    /// Rows that `layer` may read of all maps that it reads.
    const fn rows_ready(&self, layer: &Layer<'_>, progress: &[Progress]) -> u16 {
        let ready = self.rows_of(layer.source, progress);
        match layer.skip {
            None => ready,
            Some(skip) => {
                let skip = self.rows_of(skip.get(), progress);
                if skip < ready { skip } else { ready }
            }
        }
    }

    /// Rows of a map that may be read.
    const fn rows_of(&self, map: u8, progress: &[Progress]) -> u16 {
        match (map as usize).checked_sub(1) {
            None => self.pushed,
            Some(index) if index < progress.len() => progress[index][PRODUCED],
            Some(_) => 0,
        }
    }
}
