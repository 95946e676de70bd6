//! Inference of one image.

use crate::error::InferError;
use crate::executor::Executor;
use crate::kernels::OneImage;
use crate::logits::Logits;
use crate::model::Model;
use crate::observe::{Observer, Row};
use crate::schedule::Step;

/// One image on its way through a network, row by row.
#[derive(Debug)]
pub struct Session<'s, 'm, 'a, const LAYERS: usize> {
    executor: Executor<'s, 'm, 'a, LAYERS, 1, OneImage>,
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
        let (words, _) = words.as_chunks_mut();
        Ok(Session {
            executor: Executor::new(self, words, OneImage),
        })
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
        let (height, row_elements) = (self.input().height, self.input().row_elements());
        // `parse` has bounded the product: it need not saturate, as that of `Shape::elements`.
        check_length(pixels, row_elements.wrapping_mul(height.into()))?;
        let mut session = self.session(scratch)?;
        let mut rows = pixels;
        for _ in 0..height {
            let row = rows.split_at_checked(row_elements);
            let (row, rest) = row.unwrap_or((rows, &[]));
            session.advance(row, observer);
            rows = rest;
        }
        let logits = session.executor.into_logits().as_flattened();
        Ok(Logits::new(logits, self.logit_frac_bits()))
    }

    /// The class of one image.
    ///
    /// # Errors
    /// As [`Model::infer`].
    pub fn classify(&self, scratch: &mut [i32], pixels: &[u8]) -> Result<usize, InferError> {
        Ok(self.infer(scratch, pixels)?.class())
    }
}

impl<const LAYERS: usize> Session<'_, '_, '_, LAYERS> {
    /// Forgets the rows pushed so far: the next row is the first of an image.
    pub fn restart(&mut self) {
        self.executor.restart();
    }

    /// Rows that are still to be pushed.
    pub fn rows_left(&self) -> usize {
        self.executor.rows_left()
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
        check_length(pixels, self.executor.model().input().row_elements())?;
        if self.rows_left() == 0 {
            return Err(InferError::TooManyRows);
        }
        self.advance(pixels, observer);
        Ok(())
    }

    /// Takes a row of the right length.
    // In the frame of a caller that holds a model, its variables would lie out of reach of short
    // loads; a frame of its own takes more stack.
    #[cfg_attr(feature = "fast", inline(never))]
    fn advance(&mut self, pixels: &[u8], observer: &mut impl Observer) {
        self.executor.push([pixels]);
        while let Some(step) = self.executor.next_step() {
            observer.enter(step.layer);
            self.executor.run(step);
            self.tell(step, observer);
            observer.leave(step.layer);
        }
    }

    /// The logits, once all rows have been pushed.
    pub fn logits(&self) -> Option<Logits<'_>> {
        (self.rows_left() == 0).then(|| {
            let raw = self.executor.logits().as_flattened();
            Logits::new(raw, self.executor.model().logit_frac_bits())
        })
    }

    /// Tells of the row that a step has completed.
    fn tell(&self, step: Step, observer: &mut impl Observer) {
        let layers = self.executor.model().layers();
        let last = step.layer + 1 == layers.len();
        match layers.get(step.layer) {
            Some(layer) if step.completes() && !last => observer.row(Row {
                layer: step.layer,
                op: layer.op,
                shape: layer.output,
                y: step.output,
                activations: self.executor.output_row(layer, step).as_flattened(),
            }),
            _ => {}
        }
    }
}

/// Refuses pixels of another number than is needed.
pub(crate) fn check_length(pixels: &[u8], needed: usize) -> Result<(), InferError> {
    let given = pixels.len();
    if given == needed {
        Ok(())
    } else {
        Err(InferError::Pixels { needed, given })
    }
}
