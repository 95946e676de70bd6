//! The executor: rows of pixels in, logits out.
//!
//! A row that arrives may complete a row of the first layer's output, which may complete one of the
//! next, and so on down the chain. No feature map is ever whole in RAM, unless the exporter found
//! that storing a small one takes less, and nothing is computed twice.
//!
//! `IMAGES` images go through the network side by side: 1 on the device, as many as a vector has
//! lanes on a host. Schedule and plan do not depend on their number.

use crate::arena::{Arena, RowSlot, Span, activations};
use crate::feature::Feature;
use crate::geometry::{Keep, Op, Window};
use crate::kernels::Kernels;
use crate::layer::{Layer, Parameters, StoredFilters};
use crate::model::Model;
use crate::ops::pool::{Columns, Seen};
use crate::ops::{add, conv2d, is_compiled, pool};
use crate::q8_8::{Requantize, least};
use crate::schedule::{Cursor, Intake, Step, start};
use crate::weights8::NarrowFilters;

/// Images on their way through a network, row by row.
#[derive(Debug)]
pub(crate) struct Executor<'s, 'm, 'a, const LAYERS: usize, const IMAGES: usize, K> {
    model: &'m Model<'a, LAYERS>,
    arena: Arena<'s, IMAGES>,
    cursor: Cursor,
    kernels: K,
}

impl<'s, 'm, 'a, const LAYERS: usize, const IMAGES: usize, K>
    Executor<'s, 'm, 'a, LAYERS, IMAGES, K>
where
    K: Kernels<IMAGES>,
{
    /// An executor that waits for the first row, in memory of the length that the model needs.
    pub(crate) fn new(
        model: &'m Model<'a, LAYERS>,
        words: &'s mut [[i32; IMAGES]],
        kernels: K,
    ) -> Self {
        let mut executor = Self {
            model,
            arena: Arena::new(words),
            cursor: Cursor::START,
            kernels,
        };
        executor.restart();
        executor
    }

    /// Forgets the rows pushed so far: the next row is the first of an image.
    pub(crate) fn restart(&mut self) {
        self.cursor = Cursor::START;
        let layers = &self.model.layers;
        start(layers, self.arena.progress(layers.len()));
        let image = self.arena.words_mut(self.model.image.rows.span);
        image.fill([0; IMAGES]);
        self.start_segment();
    }

    /// Rows that are still to be pushed.
    pub(crate) fn rows_left(&self) -> usize {
        usize::from(self.model.input().height.saturating_sub(self.cursor.pushed))
    }

    /// Stores the next row of every image, `[width, channels]`. The steps that it makes possible
    /// follow.
    pub(crate) fn push(&mut self, images: [&[u8]; IMAGES]) {
        self.store_pixels(images);
        self.cursor.push(self.model.image.rows.last_reader);
    }

    /// The next step; `None` if another row is needed, or all is done.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        let layers = &self.model.layers;
        self.cursor.next(layers, self.arena.progress(layers.len()))
    }

    /// Computes a step.
    pub(crate) fn run(&mut self, step: Step) {
        let Some(layer) = self.model.layers.get(step.layer) else {
            return;
        };
        self.compute(layer, step, self.output_slot(layer, step));
        let cut = layer.keep == Keep::Map && usize::from(self.cursor.segment) == step.layer + 1;
        if cut && step.completes() {
            self.start_segment();
        }
    }

    /// The row of activations that `step` has worked on; none in the last layer, whose output is
    /// the logits.
    pub(crate) fn output_row(&self, layer: &Layer<'_>, step: Step) -> &[[i16; IMAGES]] {
        self.arena.row(self.output_slot(layer, step))
    }

    /// The accumulators of the last layer: the logits, once all rows have been pushed.
    pub(crate) fn logits(&self) -> &[[i32; IMAGES]] {
        self.arena.words(self.logit_span())
    }

    /// As [`Executor::logits`], for as long as the memory is lent.
    pub(crate) fn into_logits(self) -> &'s [[i32; IMAGES]] {
        let span = self.logit_span();
        self.arena.into_words(span)
    }

    pub(crate) fn model(&self) -> &'m Model<'a, LAYERS> {
        self.model
    }

    fn logit_span(&self) -> Span {
        self.model
            .layers
            .last()
            .map_or(Span::EMPTY, |layer| layer.sums)
    }

    fn output_slot(&self, layer: &Layer<'_>, step: Step) -> RowSlot {
        if step.layer + 1 == self.model.layers.len() {
            RowSlot::NONE
        } else {
            layer.rows.slot(step.output, layer.output.row_elements())
        }
    }

    fn store_pixels(&mut self, images: [&[u8]; IMAGES]) {
        // Behind a cut, what remains of the image is read by nobody, and its memory is in use.
        if self.cursor.segment > 0 {
            return;
        }
        let y = usize::from(self.cursor.pushed);
        let elements = self.model.input().row_elements();
        let slot = self.model.image.rows.slot(y, elements);
        let row = self.arena.row_mut(slot);
        self.kernels.store_pixels(images, self.model.zero, row);
    }

    /// Prepares the memory of the layers up to the next cut.
    fn start_segment(&mut self) {
        for layer in self.model.layers.iter().skip(self.cursor.segment.into()) {
            // Padding is zero, and nothing overwrites it.
            self.arena.words_mut(layer.rows.span).fill([0; IMAGES]);
            if let (Op::Dense { .. }, Some(parameters)) = (layer.op, &layer.parameters) {
                let sums = self.arena.words_mut(layer.sums);
                for (sum, &bias) in sums.iter_mut().zip(parameters.bias()) {
                    *sum = [bias; IMAGES];
                }
            }
            if layer.keep == Keep::Map {
                return;
            }
        }
    }

    fn compute(&mut self, layer: &Layer<'_>, step: Step, output: RowSlot) {
        if !is_compiled(layer.op) {
            return;
        }
        match (layer.op, &layer.parameters) {
            (Op::Conv { .. } | Op::Depthwise { .. }, Some(parameters)) => {
                self.convolve(layer, parameters, step, output);
            }
            (Op::Dense { .. }, Some(parameters)) => {
                self.add_dense_row(layer, parameters, step, output);
            }
            (Op::MaxPool { window }, _) => self.pool_maximum(layer, window, step, output),
            (Op::AvgPool { window }, _) => self.pool_mean(layer, window, step, output),
            (Op::Add { .. }, _) => self.add(layer, step, output),
            (Op::Conv { .. } | Op::Depthwise { .. } | Op::Dense { .. } | Op::Branch { .. }, _) => {}
        }
    }

    fn convolve(
        &mut self,
        layer: &Layer<'_>,
        parameters: &Parameters<'_>,
        step: Step,
        output: RowSlot,
    ) {
        let input = self.model.stream(layer.source);
        match &parameters.filters {
            StoredFilters::I16(filters) => {
                let (buffer, out) = self.arena.words_and_row(input.span, output);
                let buffer = activations(buffer);
                let reads = (layer, filters, parameters.store);
                conv2d::row(self.kernels, reads, input, step.rows, buffer, out);
            }
            StoredFilters::I8(narrow) if Feature::Weights8.is_enabled() => {
                self.convolve_narrow(layer, narrow, parameters.store, step, output);
            }
            StoredFilters::I8(_) => {}
        }
    }

    /// As [`Executor::convolve`], with weights of 8 bits: part of the filters by part, each as a
    /// convolution of its own.
    #[inline(never)]
    fn convolve_narrow(
        &mut self,
        layer: &Layer<'_>,
        narrow: &NarrowFilters<'_>,
        store: Requantize,
        step: Step,
        output: RowSlot,
    ) {
        let input = self.model.stream(layer.source);
        let (buffer, memory, out) = self.arena.parts(input.span, self.model.expansion, output);
        let mut first = 0;
        for part in narrow.parts(layer.op) {
            let filters = part.expand(memory.as_flattened_mut());
            let out = out.get_mut(first..).unwrap_or(&mut []);
            first += filters.packing.filters;
            let reads = (layer, &filters, store);
            conv2d::row(self.kernels, reads, input, step.rows, buffer, out);
        }
    }

    #[inline(never)]
    fn add_dense_row(
        &mut self,
        layer: &Layer<'_>,
        parameters: &Parameters<'_>,
        step: Step,
        output: RowSlot,
    ) {
        let input = self.model.stream(layer.source);
        let (buffer, sums) = self.arena.words_and_words(input.span, layer.sums);
        let row = input.row(step.input, activations(buffer));
        match &parameters.filters {
            StoredFilters::I16(filters) => {
                self.kernels.dense_row(filters, step.input, row, sums);
            }
            StoredFilters::I8(narrow) if Feature::Weights8.is_enabled() => {
                self.kernels.narrow_dense_row(narrow, step.input, row, sums);
            }
            StoredFilters::I8(_) => {}
        }
        if step.completes() {
            let (sums, out) = self.arena.words_and_row(layer.sums, output);
            let sums = sums.as_flattened();
            for (stored, &sum) in out.as_flattened_mut().iter_mut().zip(sums) {
                *stored = parameters.store.store(sum);
            }
        }
    }

    #[inline(never)]
    fn pool_maximum(&mut self, layer: &Layer<'_>, window: Window, step: Step, output: RowSlot) {
        let columns = Columns::new(window, layer);
        let input = self.model.stream(layer.source);
        let (buffer, out) = self.arena.words_and_row(input.span, output);
        let buffer = activations(buffer);
        if layer.feed.intake == Intake::Window {
            let rows = input.rows(step.rows, 0, buffer);
            return pool::max_of_rows(self.kernels, columns, rows, out);
        }
        let seen = if step.begins() {
            Seen::Nothing
        } else {
            Seen::Rows
        };
        let row = input.row(step.input, buffer);
        self.kernels.max_row(columns, row, seen, out);
    }

    #[inline(never)]
    fn pool_mean(&mut self, layer: &Layer<'_>, window: Window, step: Step, output: RowSlot) {
        let columns = Columns::new(window, layer);
        let input = self.model.stream(layer.source);
        let (buffer, sums, out) = self.arena.parts(input.span, layer.sums, output);
        if layer.feed.intake == Intake::Window {
            let rows = input.rows(step.rows, 0, buffer);
            return pool::mean_of_rows(columns, rows, sums, out);
        }
        if step.begins() {
            sums.fill([0; IMAGES]);
        }
        pool::sum_row(columns, input.row(step.input, buffer), sums);
        if step.completes() {
            pool::mean_row(columns, step.rows.count, sums, out);
        }
    }

    #[inline(never)]
    fn add(&mut self, layer: &Layer<'_>, step: Step, output: RowSlot) {
        let Some(skip) = layer.skip else {
            return;
        };
        let (input, skip) = (
            self.model.stream(layer.source),
            self.model.stream(skip.get()),
        );
        let (a, b, out) = self.arena.parts(input.span, skip.span, output);
        let a = input.row(step.input, a);
        let b = skip.row(step.input, activations(b));
        add::row(a, b, least(layer.activation), out);
    }
}
