//! The Rust module that a firmware includes.

use std::fmt::{self, Write as _};

use runtime_nostd::Model;
use runtime_nostd::blob::{ARITHMETIC_VERSION, CRC_START, FORMAT_VERSION, Storage, Weights, crc32};
use runtime_nostd::geometry::Keep;

use crate::network::Network;

/// What follows the constants. Lengths are types: less scratch memory, or another image, does not
/// compile.
const INFER: &str = "
/// The logits of one image. Too small a scratch memory, or an image of another length, is an error
/// of the compiler.
///
/// # Errors
/// None for [`MODEL`], or the model in [`BLOB`].
pub fn infer<'s>(
    model: &Model<'_>,
    scratch: &'s mut Scratch,
    image: &[u8; IMAGE_BYTES],
) -> Result<Logits<'s>, InferError> {
    model.infer(scratch, image)
}
";

/// Rust source with the constants, types and statics of one blob. `blob_path` is the blob's file as
/// seen from the module's.
pub fn rust_module(network: &Network, model: &Model<'_>, blob: &[u8], blob_path: &str) -> String {
    let shape = model.input();
    let mut source = format!(
        "\
// Written by `exporter export`; a new export overwrites it.

//! {provenance}
//!
//! Exporter {version}, blob format {FORMAT_VERSION}, arithmetic {ARITHMETIC_VERSION}, {product:?} products.
//!
//! {parameters} parameters, {macs} MACs, {bytes} bytes of flash, {arena} bytes of arena. CRC-32 of the blob: {crc:08x}.

use runtime_nostd::blob::Header;
use runtime_nostd::geometry::Shape;
use runtime_nostd::q8_8::Product;
use runtime_nostd::{{InferError, Logits, embed}};

/// Scratch memory that inference needs, in bytes.
pub const ARENA_BYTES: usize = {arena};
/// Number of layers.
pub const LAYERS: usize = {layers};
/// Shape of the image: 8-bit pixels, rows, columns, channels.
pub const INPUT: Shape = Shape::new({height}, {width}, {channels});
/// Bytes of an image.
pub const IMAGE_BYTES: usize = INPUT.elements();
/// Number of classes.
pub const CLASSES: usize = {classes};
/// Names of the classes, in the order of the logits.
#[rustfmt::skip]
pub const CLASS_NAMES: [&str; CLASSES] = {names:?};

/// A model of exactly this capacity.
pub type Model<'a> = runtime_nostd::Model<'a, LAYERS>;
/// Scratch memory of exactly this size.
pub type Scratch = runtime_nostd::Scratch<ARENA_BYTES>;

/// The network, aligned.
pub static BLOB: &[u8] = embed::bytes(&WORDS);
static WORDS: [i32; {words}] = embed::words(include_bytes!({blob_path:?}));
",
        provenance = one_line(&network.provenance),
        version = env!("CARGO_PKG_VERSION"),
        product = model.product(),
        parameters = model.parameter_count(),
        macs = model.macs(),
        bytes = blob.len(),
        arena = model.arena_bytes(),
        // As the blob itself states it.
        crc = crc32(blob.get(CRC_START..).unwrap_or(&[])),
        layers = model.layers().len(),
        height = shape.height,
        width = shape.width,
        channels = shape.channels,
        classes = model.classes(),
        names = network.classes,
        words = blob.len() / 4,
    );
    write_model(&mut source, model, blob).expect("writing into memory does not fail");
    source.push_str(INFER);
    source
}

/// The model as a static, from records that the compiler need not parse.
fn write_model(source: &mut String, model: &Model<'_>, blob: &[u8]) -> fmt::Result {
    let layers = model.layers().iter().enumerate();
    let cuts: Vec<usize> = layers
        .filter(|(_, layer)| layer.keep() == Keep::Map)
        .map(|(index, _)| index)
        .collect();
    write!(
        source,
        "
/// The model in [`BLOB`], checked while this is compiled: it takes no code that parses, and no RAM.
#[rustfmt::skip]
#[allow(long_running_const_eval)]
pub static MODEL: Model<'static> = Model::embed(
    &WORDS,
    {crc:#010x},
    Header {{
        product: Product::{product:?},
        input: INPUT,
        zero: &{zero:?},
        arena_bytes: ARENA_BYTES as u32,
        layers: LAYERS as u8,
        cuts: &{cuts:?},
    }},
    {{
        use runtime_nostd::blob::*;
        use runtime_nostd::geometry::*;
        [
",
        crc = crc32(blob.get(CRC_START..).unwrap_or(&[])),
        product = model.product(),
        zero = model.zero(),
    )?;
    for layer in model.layers() {
        let weights = match (layer.storage(), layer.parameters()) {
            (_, None) => Weights::None,
            (Storage::I16, Some(parameters)) => Weights::I16 {
                frac_bits: parameters.frac_bits(),
            },
            (Storage::I8, Some(parameters)) => Weights::I8 {
                frac_bits: parameters.frac_bits(),
            },
        };
        writeln!(
            source,
            "            LayerRecord {{ op: Op::{:?}, activation: Activation::{:?}, weights: Weights::{weights:?} }},",
            layer.op(),
            layer.activation(),
        )?;
    }
    writeln!(source, "        ]\n    }},\n);")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
