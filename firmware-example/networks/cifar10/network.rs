// Written by `exporter export`; a new export overwrites it.

//! evolve 0.1.0, cifar-10-batches-bin, seed 1, individual 476, accuracy on Dtest 64.85 %, 74.83 % polished for 20 epochs
//!
//! Exporter 0.1.0, blob format 1, arithmetic 1, Exact products.
//!
//! 14786 parameters, 2980951 MACs, 30460 bytes of flash, 8796 bytes of arena. CRC-32 of the blob: 2214a9da.

use runtime_nostd::geometry::Shape;
use runtime_nostd::{InferError, Logits};

/// Scratch memory that inference needs, in bytes.
pub const ARENA_BYTES: usize = 8796;
/// Number of layers.
pub const LAYERS: usize = 9;
/// Shape of the image: 8-bit pixels, rows, columns, channels.
pub const INPUT: Shape = Shape::new(32, 32, 3);
/// Bytes of an image.
pub const IMAGE_BYTES: usize = INPUT.elements();
/// Number of classes.
pub const CLASSES: usize = 10;
/// Names of the classes, in the order of the logits.
#[rustfmt::skip]
pub const CLASS_NAMES: [&str; CLASSES] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

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
