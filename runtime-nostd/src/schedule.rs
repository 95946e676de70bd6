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

/// How a layer treats the rows that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Needs all rows under a window at once, to compute one output row.
    Window(Window),
    /// Consumes one row at a time.
    Accumulate,
    /// Reads nothing.
    Nothing,
}

impl Intake {
    pub(crate) const fn of(op: Op) -> Self {
        match op {
            Op::Conv { window, .. } | Op::Depthwise { window } => Intake::Window(window),
            Op::MaxPool { window } | Op::AvgPool { window } if window.overlaps_rows() => {
                Intake::Window(window)
            }
            Op::Dense { .. } | Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add { .. } => {
                Intake::Accumulate
            }
            Op::Branch { .. } => Intake::Nothing,
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

    const fn rows(first: usize, count: usize) -> Self {
        Self {
            first,
            count,
            above: 0,
        }
    }

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
        let height = layer.input.height;
        let (output, rows, input) = match (Intake::of(layer.op), layer.op) {
            (Intake::Window(window), _) => {
                let rows = RowSpan::new(window, taken, height);
                (taken, rows, rows.end().saturating_sub(1))
            }
            (_, Op::MaxPool { window } | Op::AvgPool { window }) => {
                match around(window, taken, height, layer.output) {
                    Some((output, rows)) => (output, rows, taken),
                    None => return None,
                }
            }
            (_, Op::Dense { .. }) => (0, RowSpan::rows(0, height as usize), taken),
            _ => (taken, RowSpan::rows(taken, 1), taken),
        };
        Some(Self {
            layer: index,
            output,
            rows,
            input,
        })
    }
}

/// The output row that reads input row `y` where windows do not overlap, and all that it reads.
const fn around(window: Window, y: usize, height: u16, output: Shape) -> Option<(usize, RowSpan)> {
    let padded = y + window.pad_top as usize;
    let stride = if window.stride_h == 0 {
        1
    } else {
        window.stride_h as usize
    };
    let (row, kernel_row) = (padded / stride, padded % stride);
    if row < output.height as usize && kernel_row < window.kernel_h as usize {
        Some((row, RowSpan::new(window, row, height)))
    } else {
        None
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
                let ready = self.rows_ready(layer, progress);
                let taken = progress[self.at][TAKEN];
                match self.step(layer, taken as usize, ready as usize) {
                    Advance::Step(step) => {
                        progress[self.at][TAKEN] = taken.saturating_add(1);
                        self.after(step, layer, progress);
                        return Some(step);
                    }
                    Advance::Skip => {
                        progress[self.at][TAKEN] = taken.saturating_add(1);
                        continue;
                    }
                    Advance::Wait => {}
                }
            }
            if self.at > self.segment {
                self.at -= 1;
            } else if !self.release(layers, progress) {
                return None;
            }
        }
    }

    const fn step(&self, layer: &Layer<'_>, taken: usize, ready: usize) -> Advance {
        let possible = match Intake::of(layer.op) {
            Intake::Window(_) => taken < layer.output.height as usize,
            Intake::Accumulate => taken < ready,
            Intake::Nothing => false,
        };
        if !possible {
            return Advance::Wait;
        }
        match Step::of(layer, self.at, taken) {
            Some(step) if step.input < ready => Advance::Step(step),
            Some(_) => Advance::Wait,
            None => Advance::Skip,
        }
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

/// What a layer can do.
enum Advance {
    Step(Step),
    /// Pass over a row that no window reads.
    Skip,
    /// Nothing, before more rows are there.
    Wait,
}
