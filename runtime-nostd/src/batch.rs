//! Inference of many images on a host.
//!
//! The plan, the schedule and the executor are those of the device. What differs is that a word of
//! the arena becomes a vector of such words, one for each of sixteen images, where the processor has
//! vectors; the bits of every image are the same.

use std::vec;
use std::vec::Vec;

#[cfg(target_arch = "x86_64")]
use crate::{
    executor::Executor,
    kernels::x86_64::{IMAGES, SideBySide},
    session::check_length,
};

use crate::error::InferError;
use crate::logits::Logits;
use crate::model::{DEFAULT_LAYERS, Model};

/// What computes a [`Batch`]: an instruction set that this machine has. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstructionSet(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    SideBySide(SideBySide),
    OneByOne,
}

impl InstructionSet {
    /// The device's kernels, one image after the other: the specification.
    pub const SCALAR: Self = Self(Kind::OneByOne);

    /// The fastest one of this machine.
    pub fn detect() -> Self {
        Self::available().next().unwrap_or(Self::SCALAR)
    }

    /// All of this machine, fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [SideBySide::avx512(), SideBySide::avx2()]
            .into_iter()
            .flatten()
            .map(|vectors| Self(Kind::SideBySide(vectors)));
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = core::iter::empty();
        vectors.chain([Self::SCALAR])
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::SideBySide(vectors) => vectors.name(),
            Kind::OneByOne => "scalar",
        }
    }
}

/// Inference of any number of images, in memory that is allocated once.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (blob, images): (&[u8], Vec<Vec<u8>>) = (&[], Vec::new());
/// use runtime_nostd::{Batch, Model};
///
/// let model: Model = Model::parse(blob)?;
/// let mut classes = Vec::new();
/// let images = images.iter().map(Vec::as_slice);
/// Batch::new(&model).infer(images, |_, logits| classes.push(logits.class()))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Batch<'m, 'a, const LAYERS: usize = DEFAULT_LAYERS> {
    model: &'m Model<'a, LAYERS>,
    instructions: InstructionSet,
    arena: AlignedWords,
}

impl<'m, 'a, const LAYERS: usize> Batch<'m, 'a, LAYERS> {
    /// With the fastest instruction set of this machine.
    pub fn new(model: &'m Model<'a, LAYERS>) -> Self {
        Self::with(model, InstructionSet::detect())
    }

    /// With a given instruction set.
    pub fn with(model: &'m Model<'a, LAYERS>, instructions: InstructionSet) -> Self {
        Self {
            model,
            instructions,
            arena: AlignedWords::new(model.arena_words * instructions.images()),
        }
    }

    /// Computes the logits of all `images`, each HWC and of the shape [`Model::input`], and gives
    /// them to `each` in order, with the index of the image.
    ///
    /// # Errors
    /// [`InferError::Pixels`] at the first image of the wrong length. Images before it may have been
    /// given to `each`.
    pub fn infer<'i>(
        &mut self,
        images: impl IntoIterator<Item = &'i [u8]>,
        mut each: impl FnMut(usize, Logits<'_>),
    ) -> Result<(), InferError> {
        match self.instructions.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::SideBySide(vectors) => self.infer_side_by_side(vectors, images, each),
            Kind::OneByOne => {
                for (index, image) in images.into_iter().enumerate() {
                    each(index, self.model.infer(self.arena.words(), image)?);
                }
                Ok(())
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn infer_side_by_side<'i>(
        &mut self,
        vectors: SideBySide,
        images: impl IntoIterator<Item = &'i [u8]>,
        mut each: impl FnMut(usize, Logits<'_>),
    ) -> Result<(), InferError> {
        let input = self.model.input();
        let mut logits = vec![0; self.model.classes()];
        let mut images = images.into_iter();
        let mut next = 0;
        loop {
            let block: heapless::Vec<&[u8], IMAGES> = images.by_ref().take(IMAGES).collect();
            let Some(&last) = block.last() else {
                return Ok(());
            };
            for image in &block {
                check_length(image, input.elements())?;
            }
            // Lanes without an image repeat the last one.
            let mut lanes = [last; IMAGES];
            for (lane, &image) in lanes.iter_mut().zip(&block) {
                *lane = image;
            }
            let mut rows = lanes.map(|image| image.chunks_exact(input.row_elements().max(1)));
            let (words, _) = self.arena.words().as_chunks_mut();
            let mut executor = Executor::new(self.model, words, vectors);
            while executor.rows_left() > 0 {
                let next_rows = rows.each_mut().map(|rows| rows.next().unwrap_or(&[]));
                executor.push(next_rows);
                while let Some(step) = executor.next_step() {
                    executor.run(step);
                }
            }
            for lane in 0..block.len() {
                for (logit, lanes) in logits.iter_mut().zip(executor.logits()) {
                    *logit = lanes[lane];
                }
                let frac_bits = self.model.logit_frac_bits();
                each(next, Logits::new(&logits, frac_bits));
                next += 1;
            }
        }
    }
}

impl InstructionSet {
    /// Images that it computes side by side.
    fn images(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::SideBySide(_) => IMAGES,
            Kind::OneByOne => 1,
        }
    }
}

/// Words that start at a multiple of 64 bytes, the largest vector: loads that cross cache lines
/// take twice as long.
#[derive(Debug)]
struct AlignedWords {
    /// With room before the first word.
    words: Vec<i32>,
    first: usize,
}

impl AlignedWords {
    const ALIGNMENT: usize = 64;

    fn new(words: usize) -> Self {
        let words = vec![0; words + Self::ALIGNMENT / size_of::<i32>()];
        let first = words.as_ptr().align_offset(Self::ALIGNMENT);
        Self { words, first }
    }

    fn words(&mut self) -> &mut [i32] {
        self.words.get_mut(self.first..).unwrap_or(&mut [])
    }
}
