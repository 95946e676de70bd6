//! The Rust module that a firmware includes.

use std::fmt::Write as _;

use runtime_nostd::Model;
use runtime_nostd::blob::{ARITHMETIC_VERSION, FORMAT_VERSION, crc32};

use crate::network::Network;

/// Lengths are types: less scratch memory, or another image, does not compile.
const INFER: &str = "
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
";

/// Rust source with the constants and types that fit one blob. `blob_path` is the blob's file as
/// seen from the module's.
pub fn rust_module(network: &Network, model: &Model<'_>, blob: &[u8], blob_path: &str) -> String {
    let shape = model.input();
    let mut source = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(source, "{text}");
    };
    line(format_args!(
        "// Written by `exporter export`; a new export overwrites it.\n"
    ));
    line(format_args!("//! {}", one_line(&network.provenance)));
    line(format_args!("//!"));
    line(format_args!(
        "//! Exporter {}, blob format {FORMAT_VERSION}, arithmetic {ARITHMETIC_VERSION}, {:?} products.",
        env!("CARGO_PKG_VERSION"),
        model.product(),
    ));
    line(format_args!("//!"));
    line(format_args!(
        "//! {} parameters, {} MACs, {} bytes of flash, {} bytes of arena. CRC-32 of the blob: {:08x}.\n",
        model.parameter_count(),
        model.macs(),
        blob.len(),
        model.arena_bytes(),
        crc32(blob),
    ));
    line(format_args!(
        "use runtime_nostd::geometry::Shape;\nuse runtime_nostd::{{InferError, Logits}};\n"
    ));
    line(format_args!(
        "/// Scratch memory that inference needs, in bytes."
    ));
    line(format_args!(
        "pub const ARENA_BYTES: usize = {};",
        model.arena_bytes()
    ));
    line(format_args!("/// Number of layers."));
    line(format_args!(
        "pub const LAYERS: usize = {};",
        model.layers().len()
    ));
    line(format_args!(
        "/// Shape of the image: 8-bit pixels, rows, columns, channels."
    ));
    line(format_args!(
        "pub const INPUT: Shape = Shape::new({}, {}, {});",
        shape.height, shape.width, shape.channels
    ));
    line(format_args!("/// Bytes of an image."));
    line(format_args!(
        "pub const IMAGE_BYTES: usize = INPUT.elements();"
    ));
    line(format_args!("/// Number of classes."));
    line(format_args!(
        "pub const CLASSES: usize = {};",
        model.classes()
    ));
    line(format_args!(
        "/// Names of the classes, in the order of the logits."
    ));
    line(format_args!("#[rustfmt::skip]"));
    line(format_args!(
        "pub const CLASS_NAMES: [&str; CLASSES] = {:?};\n",
        network.classes
    ));
    line(format_args!("/// A model of exactly this capacity."));
    line(format_args!(
        "pub type Model<'a> = runtime_nostd::Model<'a, LAYERS>;"
    ));
    line(format_args!("/// Scratch memory of exactly this size."));
    line(format_args!(
        "pub type Scratch = runtime_nostd::Scratch<ARENA_BYTES>;\n"
    ));
    line(format_args!("/// The network, aligned."));
    line(format_args!(
        "pub static BLOB: &[u8] = runtime_nostd::include_blob!({blob_path:?});"
    ));
    source.push_str(INFER);
    source
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
