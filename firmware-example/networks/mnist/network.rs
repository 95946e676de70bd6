// Written by `exporter export`; a new export overwrites it.

//! evolve 0.1.0, mnist, seed 1, individual 135, accuracy on Dtest 98.99 %, 99.39 % polished for 30 epochs
//!
//! Exporter 0.1.0, blob format 1, arithmetic 1, Exact products.
//!
//! 9344 parameters, 257850 MACs, 19844 bytes of flash, 2204 bytes of arena. CRC-32 of the blob: aab0e61c.

use runtime_nostd::geometry::Shape;
use runtime_nostd::{InferError, Logits};

/// Scratch memory that inference needs, in bytes.
pub const ARENA_BYTES: usize = 2204;
/// Number of layers.
pub const LAYERS: usize = 7;
/// Shape of the image: 8-bit pixels, rows, columns, channels.
pub const INPUT: Shape = Shape::new(28, 28, 1);
/// Bytes of an image.
pub const IMAGE_BYTES: usize = INPUT.elements();
/// Number of classes.
pub const CLASSES: usize = 10;
/// Names of the classes, in the order of the logits.
#[rustfmt::skip]
pub const CLASS_NAMES: [&str; CLASSES] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A model of exactly this capacity.
pub type Model<'a> = runtime_nostd::Model<'a, LAYERS>;
/// Scratch memory of exactly this size.
pub type Scratch = runtime_nostd::Scratch<ARENA_BYTES>;

/// The network, aligned.
pub static BLOB: &[u8] = runtime_nostd::include_blob!("network.q88");

/// The logits of one image. Too small a scratch memory, or an image of another length, is an error
/// of the compiler.
///
/// # Errors
/// None for the model in [`BLOB`].
pub fn infer<'s>(
    model: &Model<'_>,
    scratch: &'s mut Scratch,
    image: &[u8; IMAGE_BYTES],
) -> Result<Logits<'s>, InferError> {
    model.infer(scratch, image)
}
