//! The executor: rows of pixels in, logits out.
//!
//! A row that arrives at a layer may complete a row of its output, which is written straight into
//! the next layer's line buffer, and so on down the chain. No feature map is ever whole in RAM, and
//! nothing is computed twice.

use crate::arena::{Arena, Intake, RowSlot, Span};
use crate::error::InferError;
use crate::geometry::{Op, Window};
use crate::kernels::scalar::dense_row;
use crate::logits::Logits;
use crate::model::{Layer, Model, Parameters};
use crate::ops::window::RowSpan;
use crate::ops::{conv2d, pool};

/// One image on its way through a network, row by row.
#[derive(Debug)]
pub struct Session<'s, 'm, 'a, const LAYERS: usize> {
    model: &'m Model<'a, LAYERS>,
    arena: Arena<'s>,
}

/// How far a layer is.
#[derive(Clone, Copy)]
struct Progress {
    /// Input rows that have arrived.
    arrived: u16,
    /// Output rows written ([`Intake::Window`]) or input rows consumed ([`Intake::Accumulate`]).
    done: u16,
}

impl<'a, const LAYERS: usize> Model<'a, LAYERS> {
    /// Starts an image that is pushed row by row: the whole image need not be in memory.
    ///
    /// # Errors
    /// [`InferError::Scratch`] if `scratch` is smaller than [`Model::arena_bytes`].
    pub fn session<'s, 'm>(
        &'m self,
        scratch: &'s mut [i32],
    ) -> Result<Session<'s, 'm, 'a, LAYERS>, InferError> {
        let given = core::mem::size_of_val(scratch);
        let words = scratch
            .get_mut(..self.arena_words)
            .ok_or(InferError::Scratch {
                needed: self.arena_bytes(),
                given,
            })?;
        let mut session = Session {
            model: self,
            arena: Arena::new(words),
        };
        session.restart();
        Ok(session)
    }

    /// The logits of one image: `pixels` is HWC, of the shape [`Model::input`].
    ///
    /// # Errors
    /// Only the wrong length of `scratch` (see [`Model::arena_bytes`]) or of `pixels`.
    pub fn infer<'s>(
        &self,
        scratch: &'s mut [i32],
        pixels: &[u8],
    ) -> Result<Logits<'s>, InferError> {
        let needed = self.input.elements();
        if pixels.len() != needed {
            return Err(InferError::Pixels {
                needed,
                given: pixels.len(),
            });
        }
        let mut session = self.session(scratch)?;
        for row in pixels.chunks_exact(self.input.row_elements().max(1)) {
            session.push_row(row)?;
        }
        Ok(session.finish())
    }

    /// The class of one image.
    ///
    /// # Errors
    /// As [`Model::infer`].
    pub fn classify(&self, scratch: &mut [i32], pixels: &[u8]) -> Result<usize, InferError> {
        Ok(self.infer(scratch, pixels)?.class())
    }
}

impl<'s, const LAYERS: usize> Session<'s, '_, '_, LAYERS> {
    /// Forgets the rows pushed so far: the next row is the first of an image.
    pub fn restart(&mut self) {
        // Zero is also the padding in the line buffers, which nothing overwrites.
        self.arena.clear();
        for layer in &self.model.layers {
            if let (Op::Dense { .. }, Some(parameters)) = (layer.op, layer.parameters) {
                let (_, sums, _) = self
                    .arena
                    .parts(Span::EMPTY, layer.plan.sums, RowSlot::NONE);
                for (sum, &bias) in sums.iter_mut().zip(parameters.bias) {
                    *sum = bias;
                }
            }
        }
    }

    /// Rows that are still to be pushed.
    pub fn rows_left(&self) -> usize {
        usize::from(
            self.model
                .input
                .height
                .saturating_sub(self.progress(0).arrived),
        )
    }

    /// Takes the image's next row, `[width, channels]`, and computes all that it completes.
    ///
    /// # Errors
    /// [`InferError::Pixels`] if the row has the wrong length, [`InferError::TooManyRows`] after the
    /// last row.
    pub fn push_row(&mut self, pixels: &[u8]) -> Result<(), InferError> {
        let needed = self.model.input.row_elements();
        if pixels.len() != needed {
            return Err(InferError::Pixels {
                needed,
                given: pixels.len(),
            });
        }
        if self.rows_left() == 0 {
            return Err(InferError::TooManyRows);
        }
        let Some(first) = self.model.layers.first() else {
            return Ok(());
        };
        let y = usize::from(self.progress(0).arrived);
        let slot = first.plan.input.slot(y, needed);
        let (_, _, row) = self.arena.parts(Span::EMPTY, Span::EMPTY, slot);
        let zero = self.model.zero.iter().cycle();
        for ((activation, &pixel), &zero) in row.iter_mut().zip(pixels).zip(zero) {
            *activation = i16::from(pixel) - i16::from(zero);
        }
        self.arrive(0);
        self.drain();
        Ok(())
    }

    /// The logits, once all rows have been pushed.
    pub fn logits(&self) -> Option<Logits<'_>> {
        (self.rows_left() == 0).then(|| {
            let raw = self.arena.words(self.logit_span());
            Logits::new(raw, self.model.logit_frac_bits())
        })
    }

    fn finish(self) -> Logits<'s> {
        let span = self.logit_span();
        Logits::new(self.arena.into_words(span), self.model.logit_frac_bits())
    }

    fn logit_span(&self) -> Span {
        self.model
            .layers
            .last()
            .map_or(Span::EMPTY, |layer| layer.plan.sums)
    }

    /// Lets every row that has arrived flow down as far as it completes others: depth first, so
    /// that a line buffer's oldest row is never needed when the next one overwrites it.
    fn drain(&mut self) {
        let mut index = 0;
        loop {
            if self.step(index) {
                index += 1;
                self.arrive(index);
            } else if index == 0 {
                return;
            } else {
                index -= 1;
            }
        }
    }

    /// Does the next thing that layer `index` can do; true if it wrote an output row.
    fn step(&mut self, index: usize) -> bool {
        let Some(layer) = self.model.layers.get(index) else {
            return false;
        };
        let Progress { arrived, done } = self.progress(index);
        let y = usize::from(done);
        let wrote = match Intake::of(layer.op) {
            Intake::Window => {
                if done == layer.output.height || usize::from(arrived) < rows_read(layer, y) {
                    return false;
                }
                self.window_row(layer, y, self.output_slot(index, layer));
                true
            }
            Intake::Accumulate => {
                if arrived == done {
                    return false;
                }
                self.accumulate_row(layer, y, self.output_slot(index, layer))
            }
        };
        let done = done.wrapping_add(1);
        self.set_progress(index, Progress { arrived, done });
        wrote
    }

    /// Computes output row `y` of a layer that keeps its input rows.
    fn window_row(&mut self, layer: &Layer<'_>, y: usize, output: RowSlot) {
        let line = layer.plan.input;
        let (buffer, sums, output) = self.arena.parts(line.span, layer.plan.sums, output);
        match layer.op {
            Op::Conv { window, .. } => {
                let rows = RowSpan::new(window, y, layer.input.height);
                if let Some(parameters) = layer.parameters {
                    conv2d::row(layer, parameters, rows, buffer, output);
                }
            }
            Op::MaxPool { window } => {
                let rows = RowSpan::new(window, y, layer.input.height);
                let columns = pool::Columns::new(window, layer.input);
                pool::max_of_rows(columns, rows.in_buffer(line, buffer), output);
            }
            Op::AvgPool { window } => {
                let rows = RowSpan::new(window, y, layer.input.height);
                let columns = pool::Columns::new(window, layer.input);
                pool::mean_of_rows(columns, rows.in_buffer(line, buffer), sums, output);
            }
            Op::Dense { .. } => {}
        }
    }

    /// Adds input row `y` to what a layer accumulates; true if that completed an output row.
    fn accumulate_row(&mut self, layer: &Layer<'_>, y: usize, output: RowSlot) -> bool {
        match layer.op {
            Op::Dense { .. } => layer
                .parameters
                .is_some_and(|parameters| self.accumulate_dense(layer, parameters, y, output)),
            Op::MaxPool { window } => self.accumulate_pool(layer, window, y, output, Pool::Max),
            Op::AvgPool { window } => self.accumulate_pool(layer, window, y, output, Pool::Avg),
            Op::Conv { .. } => false,
        }
    }

    fn accumulate_dense(
        &mut self,
        layer: &Layer<'_>,
        parameters: Parameters<'_>,
        y: usize,
        output: RowSlot,
    ) -> bool {
        let input = layer.plan.input.span;
        let (row, sums, _) = self.arena.parts(input, layer.plan.sums, RowSlot::NONE);
        dense_row(parameters.filters(), y, row, sums);
        if y + 1 < usize::from(layer.input.height) {
            return false;
        }
        // The input row is used up: the output row may lie in the same shared memory. The last
        // layer's output slot is empty: its sums are the logits.
        let (_, sums, output) = self.arena.parts(Span::EMPTY, layer.plan.sums, output);
        for (stored, &mut sum) in output.iter_mut().zip(sums) {
            *stored = parameters.store.store(sum);
        }
        true
    }

    fn accumulate_pool(
        &mut self,
        layer: &Layer<'_>,
        window: Window,
        y: usize,
        output: RowSlot,
        pool: Pool,
    ) -> bool {
        let Some(rows) = RowSpan::around(window, y, layer.input.height, layer.output.height) else {
            return false;
        };
        let columns = pool::Columns::new(window, layer.input);
        let (first, last) = (y == rows.first, y + 1 == rows.first + rows.count);
        let input = layer.plan.input.span;
        match pool {
            Pool::Max => {
                let (row, _, output) = self.arena.parts(input, Span::EMPTY, output);
                if first {
                    output.fill(i16::MIN);
                }
                pool::max_row(columns, row, output);
            }
            Pool::Avg => {
                let (row, sums, _) = self.arena.parts(input, layer.plan.sums, RowSlot::NONE);
                if first {
                    sums.fill(0);
                }
                pool::sum_row(columns, row, sums);
                if last {
                    let (_, sums, output) = self.arena.parts(Span::EMPTY, layer.plan.sums, output);
                    pool::mean_row(columns, rows.count, sums, output);
                }
            }
        }
        last
    }

    /// Where layer `index` writes its next output row: the next layer's line buffer.
    fn output_slot(&self, index: usize, layer: &Layer<'_>) -> RowSlot {
        let y = usize::from(self.progress(index + 1).arrived);
        self.model
            .layers
            .get(index + 1)
            .map_or(RowSlot::NONE, |next| {
                next.plan.input.slot(y, layer.output.row_elements())
            })
    }

    /// Counts a row that has been written for layer `index`.
    fn arrive(&mut self, index: usize) {
        let Progress { arrived, done } = self.progress(index);
        let arrived = arrived.wrapping_add(1);
        self.set_progress(index, Progress { arrived, done });
    }

    /// The first words of the arena hold the layers' progress. Behind the last layer there is none.
    fn progress(&self, index: usize) -> Progress {
        let word = self.arena.words(self.progress_span(index)).first();
        let [a, b, c, d] = word.map_or([0; 4], |word| word.to_le_bytes());
        Progress {
            arrived: u16::from_le_bytes([a, b]),
            done: u16::from_le_bytes([c, d]),
        }
    }

    fn set_progress(&mut self, index: usize, progress: Progress) {
        let ([a, b], [c, d]) = (progress.arrived.to_le_bytes(), progress.done.to_le_bytes());
        let span = self.progress_span(index);
        if let (_, [word], _) = self.arena.parts(Span::EMPTY, span, RowSlot::NONE) {
            *word = i32::from_le_bytes([a, b, c, d]);
        }
    }

    fn progress_span(&self, index: usize) -> Span {
        if index < self.model.layers.len() {
            Span {
                start: index,
                words: 1,
            }
        } else {
            Span::EMPTY
        }
    }
}

/// Which pooling.
#[derive(Clone, Copy)]
enum Pool {
    Max,
    Avg,
}

/// Input rows that must have arrived before output row `y` can be computed.
fn rows_read(layer: &Layer<'_>, y: usize) -> usize {
    match layer.op {
        Op::Conv { window, .. } | Op::MaxPool { window } | Op::AvgPool { window } => {
            let rows = RowSpan::new(window, y, layer.input.height);
            rows.first + rows.count
        }
        Op::Dense { .. } => layer.input.height.into(),
    }
}
