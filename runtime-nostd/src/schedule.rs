//! Which layer computes which row next. The executor follows this schedule, and the plan of the
//! arena is made by going through it once without computing anything: they cannot disagree.
//!
//! Among the layers that have the rows they need, the last in the chain goes first. So a row is used
//! by everything behind it before the next one is made, and few rows are alive at a time.

use crate::geometry::{Keep, Op, Shape, Window};
use crate::layer::Layer;

/// How far a layer is: the row that it [awaits](AWAITED), and how many it has [completed](COMPLETED).
pub(crate) type Progress = [u16; 2];

/// The input row with which a layer can go on: the last one under its next window
/// ([`Intake::Window`]), or the next one ([`Intake::Accumulate`]). [`NO_ROW`] if it is done.
pub(crate) const AWAITED: usize = 0;

/// Output rows that are complete. Of a whole map that is complete: those that readers may read.
pub(crate) const COMPLETED: usize = 1;

/// A row that no map has.
pub(crate) const NO_ROW: u16 = u16::MAX;

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

    /// The row behind the window of output row `y`, on a map of `height` rows.
    const fn end(self, y: usize, height: usize) -> usize {
        let end = y * self.stride as usize + self.kernel as usize;
        let end = end.saturating_sub(self.pad as usize);
        if end < height { end } else { height }
    }

    /// The rows that output row `y` reads from a map of `height` rows.
    pub(crate) const fn span(self, y: usize, height: usize) -> RowSpan {
        let top = y * self.stride as usize;
        let pad = self.pad as usize;
        let above = pad.saturating_sub(top);
        let first = top.saturating_sub(pad);
        RowSpan {
            first,
            count: self.end(y, height).saturating_sub(first),
            above,
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

    /// The work of `layer` on the row that it awaits; `None` if no window reads that row. Which output
    /// row it belongs to follows from those that are complete: small cores cannot divide.
    const fn of(layer: &Layer<'_>, index: usize, progress: Progress) -> Option<Self> {
        let (input, output) = (progress[AWAITED] as usize, progress[COMPLETED] as usize);
        let rows = layer.feed.span(output, layer.input.height as usize);
        if input < rows.first || output >= layer.output.height as usize {
            return None;
        }
        Some(Self {
            layer: index,
            output,
            rows,
            input,
        })
    }
}

impl Layer<'_> {
    /// The last row under the window of output row `y`.
    const fn awaited(&self, y: u16) -> u16 {
        self.feed.end(y as usize, self.input.height as usize) as u16 - 1
    }
}

/// Lets every layer wait for its first rows.
pub(crate) const fn start(layers: &[Layer<'_>], progress: &mut [Progress]) {
    let mut index = 0;
    while index < layers.len() && index < progress.len() {
        let layer = &layers[index];
        let awaited = match layer.feed.intake {
            Intake::Window => layer.awaited(0),
            Intake::Accumulate => 0,
            Intake::Nothing => NO_ROW,
        };
        progress[index] = [awaited, 0];
        index += 1;
    }
}

/// Where the schedule stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Rows of the image that have arrived.
    pub(crate) pushed: u16,
    /// First layer behind the last cut whose map is complete. The layers before it are done with.
    pub(crate) segment: u8,
    /// Every layer behind this one waits for rows.
    at: u8,
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
            self.at = last_reader;
        }
    }

    /// The next step, which counts as done; `None` if another row of the image is needed.
    // Inlined, it is faster, and takes stack while a step is computed.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(crate) const fn next(
        &mut self,
        layers: &[Layer<'_>],
        progress: &mut [Progress],
    ) -> Option<Step> {
        loop {
            let index = self.at as usize;
            if index < layers.len() && index < progress.len() {
                let layer = &layers[index];
                let awaited = progress[index][AWAITED];
                if awaited < self.rows_ready(layer, progress) {
                    if let Some(step) = Step::of(layer, index, progress[index]) {
                        progress[index] = self.after(step, layer);
                        return Some(step);
                    }
                    progress[index][AWAITED] = awaited + 1;
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

    /// Goes on where the row is read that `step` may have completed; the progress of its layer.
    const fn after(&mut self, step: Step, layer: &Layer<'_>) -> Progress {
        let (behind, output) = (step.input as u16 + 1, step.output as u16);
        if !step.completes() {
            return [behind, output];
        }
        let completed = output + 1;
        let whole = completed == layer.output.height;
        match layer.keep {
            Keep::Rows => self.at = layer.rows.last_reader,
            Keep::Map if whole => {
                self.segment = step.layer as u8 + 1;
                self.at = self.segment;
                return [NO_ROW, 0];
            }
            Keep::Map => {}
        }
        match layer.feed.intake {
            Intake::Window if whole => [NO_ROW, completed],
            Intake::Window => [layer.awaited(completed), completed],
            Intake::Accumulate | Intake::Nothing => [behind, completed],
        }
    }

    /// Lets the readers of a complete map have its next row: as rows of an image are pushed.
    const fn release(&mut self, layers: &[Layer<'_>], progress: &mut [Progress]) -> bool {
        let Some(index) = self.segment.checked_sub(1) else {
            return false;
        };
        let index = index as usize;
        if index >= layers.len() || index >= progress.len() {
            return false;
        }
        let layer = &layers[index];
        let completed = progress[index][COMPLETED];
        if completed >= layer.output.height {
            return false;
        }
        progress[index][COMPLETED] = completed + 1;
        self.at = layer.rows.last_reader;
        true
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
            Some(index) if index < progress.len() => progress[index][COMPLETED],
            Some(_) => 0,
        }
    }
}
