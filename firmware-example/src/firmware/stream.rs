//! Runs any network over any number of images in files of the host: how tests compare the device
//! with the host.
//!
//! | file | content |
//! | --- | --- |
//! | `BLOB` | a network, as the exporter writes it |
//! | `IMAGES` | images end to end: 8-bit pixels, HWC |
//! | `LOGITS` | written: for each image, the raw logit of each class as a little-endian `i32` |

use core::fmt;

use bytemuck::{cast_slice, cast_slice_mut};
use runtime_nostd::{Model, Scratch};

use super::Failure;
use super::host::{Access, File};

const BLOB_BYTES: usize = 1 << 20;
const SCRATCH_BYTES: usize = 1 << 19;
/// A call to the host is slow, so it carries many images.
const IMAGES_BYTES: usize = 1 << 17;
const LOGITS: usize = 1 << 14;

/// The files of one run.
pub(crate) struct Files<'a> {
    /// The network to read.
    pub(crate) blob: &'a str,
    /// The images to read.
    pub(crate) images: &'a str,
    /// The logits to write.
    pub(crate) logits: &'a str,
}

/// Memory for one run.
pub(crate) struct Buffers {
    /// In words, since a blob must be aligned.
    blob: [u32; BLOB_BYTES / 4],
    scratch: Scratch<SCRATCH_BYTES>,
    images: [u8; IMAGES_BYTES],
    logits: [i32; LOGITS],
}

impl Buffers {
    /// Usable in a `static`.
    pub(crate) const fn new() -> Self {
        Self {
            blob: [0; BLOB_BYTES / 4],
            scratch: Scratch::new(),
            images: [0; IMAGES_BYTES],
            logits: [0; LOGITS],
        }
    }
}

/// Writes the logits of all images.
pub(crate) fn run<'a>(
    files: &Files<'a>,
    buffers: &mut Buffers,
    out: &mut impl fmt::Write,
) -> Result<(), Failure<'a>> {
    let blob = read_whole(files.blob, cast_slice_mut(&mut buffers.blob))?;
    let model: Model<'_> = Model::parse(blob).map_err(|error| Failure::Blob {
        name: files.blob,
        error,
    })?;
    let (image_bytes, classes) = (model.input().elements(), model.classes());
    let batch = (IMAGES_BYTES / image_bytes).min(LOGITS / classes);
    if batch == 0 {
        return Err(Failure::ImageTooLarge {
            name: files.blob,
            image_bytes,
            classes,
        });
    }

    let mut input = File::open(files.images, Access::Read)?;
    let mut output = File::open(files.logits, Access::Write)?;
    let mut count = 0;
    loop {
        let read = input.read(&mut buffers.images[..batch * image_bytes])?;
        let images = buffers.images[..read].chunks_exact(image_bytes);
        if !images.remainder().is_empty() {
            return Err(Failure::PartialImage {
                name: files.images,
                image_bytes,
            });
        }
        let logits = &mut buffers.logits[..images.len() * classes];
        if logits.is_empty() {
            break;
        }
        count += images.len();
        for (pixels, logits) in images.zip(logits.chunks_exact_mut(classes)) {
            logits.copy_from_slice(model.infer(&mut buffers.scratch, pixels)?.raw());
        }
        output.write(cast_slice(logits))?;
    }
    writeln!(out, "{count} images")?;
    Ok(())
}

/// Reads a file into the start of `buffer`; returns what was read.
fn read_whole<'b, 'a>(name: &'a str, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure<'a>> {
    let capacity = buffer.len();
    let mut file = File::open(name, Access::Read)?;
    let length = file.read(buffer)?;
    if length == capacity && file.read(&mut [0])? > 0 {
        return Err(Failure::BlobTooLarge { name, capacity });
    }
    Ok(&buffer[..length])
}
