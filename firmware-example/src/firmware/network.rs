// Written by `exporter export`; a new export overwrites it.

//! A placeholder, trained for six passes over the bundled MNIST subset
//!
//! 2202 parameters, 110080 MACs, 4584 bytes of flash, 1092 bytes of arena. CRC-32 of the blob: dfc4a793.

use runtime_nostd::geometry::Shape;

/// Scratch memory that inference needs, in bytes.
pub const ARENA_BYTES: usize = 1092;
/// Number of layers.
pub const LAYERS: usize = 5;
/// Shape of the image: 8-bit pixels, rows, columns, channels.
pub const INPUT: Shape = Shape::new(28, 28, 1);
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
