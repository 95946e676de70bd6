//! The executor: rows of pixels in, logits out.
//!
//! A row that arrives may complete a row of the first layer's output, which may complete one of the
//! next, and so on down the chain. No feature map is ever whole in RAM, unless the exporter found
//! that storing a small one takes less, and nothing is computed twice.

use crate::arena::{Arena, RowSlot, Span, Stream};
use crate::error::InferError;
use crate::geometry::{Keep, Op};
use crate::kernels::scalar::dense_row;
use crate::logits::Logits;
use crate::model::{Layer, Model};
use crate::observe::{Observer, Row};
use crate::ops::conv2d::Convolution;
use crate::ops::pool::Columns;
use crate::ops::{add, is_compiled, pool};
use crate::q8_8::least;
use crate::schedule::{Cursor, Intake, Step};

/// One image on its way through a network, row by row.
#[derive(Debug)]
pub struct Session<'s, 'm, 'a, const LAYERS: usize> {
    model: &'m Model<'a, LAYERS>,
    arena: Arena<'s>,
    cursor: Cursor,
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
            cursor: Cursor::START,
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
        self.infer_with(scratch, pixels, &mut ())
    }

    /// As [`Model::infer`], telling an observer of every row.
    ///
    /// # Errors
    /// As [`Model::infer`].
    pub fn infer_with<'s>(
        &self,
        scratch: &'s mut [i32],
        pixels: &[u8],
        observer: &mut impl Observer,
    ) -> Result<Logits<'s>, InferError> {
        let needed = self.input().elements();
        if pixels.len() != needed {
            return Err(InferError::Pixels {
                needed,
                given: pixels.len(),
            });
        }
        let mut session = self.session(scratch)?;
        for row in pixels.chunks_exact(self.input().row_elements().max(1)) {
            session.push_row_with(row, observer)?;
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

    /// The stream of a map: 0 is the image, `k + 1` the output of layer `k`.
    fn stream(&self, map: u8) -> &Stream {
        map.checked_sub(1)
            .and_then(|index| self.layers.get(usize::from(index)))
            .map_or(&self.image.rows, |layer| &layer.rows)
    }
}

impl<'s, const LAYERS: usize> Session<'s, '_, '_, LAYERS> {
    /// Forgets the rows pushed so far: the next row is the first of an image.
    pub fn restart(&mut self) {
        self.cursor = Cursor::START;
        self.arena.progress(self.model.layers.len()).fill([0; 2]);
        self.arena.words_mut(self.model.image.rows.span).fill(0);
        self.start_segment();
    }

    /// Rows that are still to be pushed.
    pub fn rows_left(&self) -> usize {
        usize::from(self.model.input().height.saturating_sub(self.cursor.pushed))
    }

    /// Takes the image's next row, `[width, channels]`, and computes all that it completes.
    ///
    /// # Errors
    /// [`InferError::Pixels`] if the row has the wrong length, [`InferError::TooManyRows`] after the
    /// last row.
    pub fn push_row(&mut self, pixels: &[u8]) -> Result<(), InferError> {
        self.push_row_with(pixels, &mut ())
    }

    /// As [`Session::push_row`], telling an observer of every row.
    ///
    /// # Errors
    /// As [`Session::push_row`].
    pub fn push_row_with(
        &mut self,
        pixels: &[u8],
        observer: &mut impl Observer,
    ) -> Result<(), InferError> {
        let needed = self.model.input().row_elements();
        if pixels.len() != needed {
            return Err(InferError::Pixels {
                needed,
                given: pixels.len(),
            });
        }
        if self.rows_left() == 0 {
            return Err(InferError::TooManyRows);
        }
        self.store_pixels(pixels);
        self.cursor.push(self.model.image.rows.last_reader);
        while let Some(step) = self.next_step() {
            observer.enter(step.layer);
            self.run(step, observer);
            observer.leave(step.layer);
        }
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
            .map_or(Span::EMPTY, |layer| layer.sums)
    }

    fn store_pixels(&mut self, pixels: &[u8]) {
        // Behind a cut, what remains of the image is read by nobody, and its memory is in use.
        if self.cursor.segment > 0 {
            return;
        }
        let y = usize::from(self.cursor.pushed);
        let slot = self.model.image.rows.slot(y, pixels.len());
        let (_, _, row) = self.arena.parts(Span::EMPTY, Span::EMPTY, slot);
        let zero = self.model.zero.iter().cycle();
        for ((activation, &pixel), &zero) in row.iter_mut().zip(pixels).zip(zero) {
            *activation = i16::from(pixel) - i16::from(zero);
        }
    }

    fn next_step(&mut self) -> Option<Step> {
        let layers = &self.model.layers;
        self.cursor.next(layers, self.arena.progress(layers.len()))
    }

    /// Prepares the memory of the layers up to the next cut.
    fn start_segment(&mut self) {
        for layer in self.model.layers.iter().skip(self.cursor.segment) {
            // Padding is zero, and nothing overwrites it.
            self.arena.words_mut(layer.rows.span).fill(0);
            if let (Op::Dense { .. }, Some(parameters)) = (layer.op, layer.parameters) {
                let sums = self.arena.words_mut(layer.sums);
                for (sum, &bias) in sums.iter_mut().zip(parameters.bias) {
                    *sum = bias;
                }
            }
            if layer.keep == Keep::Map {
                return;
            }
        }
    }

    /// Computes a step, and tells of the row that it completes.
    fn run(&mut self, step: Step, observer: &mut impl Observer) {
        let Some(layer) = self.model.layers.get(step.layer) else {
            return;
        };
        let slot = layer.rows.slot(step.output, layer.output.row_elements());
        let last = step.layer + 1 == self.model.layers.len();
        let slot = if last { RowSlot::NONE } else { slot };
        self.compute(layer, step, slot);
        if !step.completes() {
            return;
        }
        if !last {
            observer.row(Row {
                layer: step.layer,
                op: layer.op,
                shape: layer.output,
                y: step.output,
                activations: self.arena.row(slot),
            });
        }
        if layer.keep == Keep::Map && self.cursor.segment == step.layer + 1 {
            self.start_segment();
        }
    }

    fn compute(&mut self, layer: &Layer<'_>, step: Step, output: RowSlot) {
        if !is_compiled(layer.op) {
            return;
        }
        let input = *self.model.stream(layer.source);
        let arena = &mut self.arena;
        let (buffer, sums, out) = arena.parts(input.span, layer.sums, output);
        match (
            layer.op,
            layer.filters(self.model.product),
            layer.parameters,
        ) {
            (Op::Conv { .. } | Op::Depthwise { .. }, Some(filters), Some(parameters)) => {
                Convolution {
                    layer,
                    filters,
                    store: parameters.store,
                    input,
                }
                .row(step.rows, buffer, out);
            }
            (Op::Dense { .. }, Some(filters), Some(parameters)) => {
                dense_row(filters, step.input, input.row(step.input, buffer), sums);
                if step.completes() {
                    for (stored, &mut sum) in out.iter_mut().zip(sums) {
                        *stored = parameters.store.store(sum);
                    }
                }
            }
            (Op::MaxPool { window }, ..) => {
                let columns = Columns::new(window, layer.input);
                match Intake::of(layer.op) {
                    Intake::Window(_) => {
                        pool::max_of_rows(columns, input.rows(step.rows, 0, buffer), out);
                    }
                    _ => {
                        if step.begins() {
                            out.fill(i16::MIN);
                        }
                        pool::max_row(columns, input.row(step.input, buffer), out);
                    }
                }
            }
            (Op::AvgPool { window }, ..) => {
                let columns = Columns::new(window, layer.input);
                match Intake::of(layer.op) {
                    Intake::Window(_) => {
                        pool::mean_of_rows(columns, input.rows(step.rows, 0, buffer), sums, out);
                    }
                    _ => {
                        if step.begins() {
                            sums.fill(0);
                        }
                        pool::sum_row(columns, input.row(step.input, buffer), sums);
                        if step.completes() {
                            pool::mean_row(columns, step.rows.count, sums, out);
                        }
                    }
                }
            }
            (Op::Add { .. }, ..) => {
                let skip = layer
                    .skip
                    .map_or(Stream::UNPLANNED, |map| *self.model.stream(map.get()));
                let (a, b, out) = arena.parts(input.span, skip.span, output);
                let a = input.row(step.input, a);
                let b = skip.row(step.input, bytemuck::cast_slice(b));
                add::row(a, b, least(layer.activation), out);
            }
            (Op::Conv { .. } | Op::Depthwise { .. } | Op::Dense { .. } | Op::Branch { .. }, ..) => {
            }
        }
    }
}
