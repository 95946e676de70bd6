//! One test case, as `tests::case_file` writes it.

use core::ffi::CStr;

use runtime_nostd::{Model, Observer};

use crate::machine::{Mark, mark};

/// A network, one image, and the logits that it must give.
pub(crate) struct Case<'a> {
    name: &'a CStr,
    blob: &'a [u8],
    pixels: &'a [u8],
    logits: &'a [u32],
}

impl<'a> Case<'a> {
    /// The first case of a file and what is behind it: four lengths (name and blob in words, image
    /// in bytes, logits in words), then the four parts, each from a whole word on.
    pub(crate) fn split(words: &'a [u32]) -> Option<(Self, &'a [u32])> {
        let (&[name, blob, pixels, logits], rest) = words.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(name as usize)?;
        let (blob, rest) = rest.split_at_checked(blob as usize)?;
        let (image, rest) = rest.split_at_checked((pixels as usize).div_ceil(4))?;
        let (logits, rest) = rest.split_at_checked(logits as usize)?;
        let case = Self {
            name: CStr::from_bytes_until_nul(bytemuck::cast_slice(name)).ok()?,
            blob: bytemuck::cast_slice(blob),
            pixels: bytemuck::cast_slice(image).get(..pixels as usize)?,
            logits,
        };
        Some((case, rest))
    }

    pub(crate) fn name(&self) -> &'a CStr {
        self.name
    }

    /// Infers the image; `None` unless the logits are the expected ones.
    pub(crate) fn run(&self, arena: &mut [i32]) -> Option<()> {
        let model: Model = Model::parse(self.blob).ok()?;
        mark(Mark::Start);
        let logits = model.infer_with(arena, self.pixels, &mut FirstLayer);
        mark(Mark::Stop);
        let logits = logits.ok()?;
        let same = logits.raw().len() == self.logits.len()
            && logits
                .raw()
                .iter()
                .zip(self.logits)
                .all(|(&raw, &expected)| raw == expected as i32);
        same.then_some(())
    }
}

/// Marks the work of the first layer.
struct FirstLayer;

impl Observer for FirstLayer {
    fn enter(&mut self, layer: usize) {
        if layer == 0 {
            mark(Mark::InnerStart);
        }
    }

    fn leave(&mut self, layer: usize) {
        if layer == 0 {
            mark(Mark::InnerStop);
        }
    }
}
