//! Runs the network that a loader put into flash over any number of images in a file of the host: how
//! tests compare the device with the host.
//!
//! | file | content |
//! | --- | --- |
//! | `IMAGES` | images end to end: 8-bit pixels, HWC |
//! | `OUTPUT` | written, for each image: [`Task`] |

use core::ffi::CStr;
use core::fmt;

use bytemuck::{cast_slice, cast_slice_mut};
use runtime_nostd::blob::Prefix;
use runtime_nostd::{Dump, Model, ParseError};

use super::Failure;
use super::host::File;
use super::machine::{self, STREAM_LAYERS};

/// What is written for each image.
#[derive(Clone, Copy)]
pub(crate) enum Task {
    /// The raw logit of each class, as a little-endian `i32`.
    Logits,
    /// Every row of every layer, as text: see FORMAT.md.
    Dump,
}

/// One run.
pub(crate) struct Run<'a> {
    /// What to write.
    pub(crate) task: Task,
    /// The file of images to read.
    pub(crate) images: &'a CStr,
    /// The file to write.
    pub(crate) output: &'a CStr,
}

impl<'a> Run<'a> {
    /// Runs the network over all images, one at a time, in `memory`.
    pub(crate) fn run(
        &self,
        memory: &mut [i32],
        out: &mut impl fmt::Write,
    ) -> Result<(), Failure<'a>> {
        let (model, crc) = loaded_network().map_err(Failure::Network)?;
        let given = size_of_val(memory);
        let (arena_bytes, image_bytes) = (model.arena_bytes(), model.input().elements());
        let (scratch, rest) = memory
            .split_at_mut_checked(arena_bytes / 4)
            .unwrap_or_default();
        let pixels = cast_slice_mut(rest)
            .get_mut(..image_bytes)
            .ok_or(Failure::Memory {
                needed: arena_bytes + image_bytes,
                given,
            })?;

        let mut images = File::open(self.images)?;
        let mut output = File::create(self.output)?;
        let mut count = 0;
        loop {
            match images.read(pixels)? {
                0 => break,
                read if read < image_bytes => {
                    return Err(Failure::PartialImage {
                        name: self.images,
                        image_bytes,
                    });
                }
                _ => count += 1,
            }
            match self.task {
                Task::Logits => output.write(cast_slice(model.infer(scratch, pixels)?.raw()))?,
                Task::Dump => {
                    let mut dump = Dump::new(&mut output, crc);
                    let logits = model.infer_with(scratch, pixels, &mut dump)?;
                    dump.finish(logits)?;
                }
            }
        }
        writeln!(out, "{count} images")?;
        Ok(())
    }
}

/// The network in flash, and the CRC-32 of its blob.
fn loaded_network() -> Result<(Model<'static, STREAM_LAYERS>, u32), ParseError> {
    let flash = machine::loaded_flash();
    // Without a length that fits, what is wrong is for `parse` to say.
    let prefix = Prefix::read(flash);
    let blob = prefix.and_then(|prefix| flash.get(..prefix.blob_bytes as usize));
    let model = Model::parse(blob.unwrap_or(flash))?;
    Ok((model, prefix.map_or(0, |prefix| prefix.crc)))
}
