// Written by `exporter export`; a new export overwrites it.

//! evolve 0.1.0, run 39455c63, mnist (75/10/15 %), seed 1, individual 300, accuracy on Dtest 98.79 %, polished for 40 epochs: 99.41 % on Dtest, 99.40 % on Dval
//!
//! Exporter 0.1.0, blob format 1, arithmetic 1, Exact products.
//!
//! 8807 parameters, 1347306 MACs, 18576 bytes of flash, 5904 bytes of arena. CRC-32 of the blob: 0bfa7a80.

use runtime_nostd::blob::Header;
use runtime_nostd::geometry::Shape;
use runtime_nostd::q8_8::Product;
use runtime_nostd::{InferError, Logits, embed};

/// Scratch memory that inference needs, in bytes.
pub const ARENA_BYTES: usize = 5904;
/// Number of layers.
pub const LAYERS: usize = 16;
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
pub static BLOB: &[u8] = embed::bytes(&WORDS);
static WORDS: [i32; 4644] = embed::words(include_bytes!("network.q88"));

/// The model in [`BLOB`], checked while this is compiled: it takes no code that parses, and no RAM.
#[rustfmt::skip]
#[allow(long_running_const_eval)]
pub static MODEL: Model<'static> = Model::embed(
    &WORDS,
    0x0bfa7a80,
    Header {
        product: Product::Exact,
        input: INPUT,
        zero: &[0],
        arena_bytes: ARENA_BYTES as u32,
        layers: LAYERS as u8,
        cuts: &[2, 5, 8],
    },
    {
        use runtime_nostd::blob::*;
        use runtime_nostd::geometry::*;
        [
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 3, kernel_w: 3, stride_h: 1, stride_w: 1, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 }, out_channels: 9 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 5, kernel_w: 5, stride_h: 1, stride_w: 1, pad_top: 1, pad_bottom: 1, pad_left: 1, pad_right: 1 }, out_channels: 4 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 5, kernel_w: 5, stride_h: 2, stride_w: 2, pad_top: 2, pad_bottom: 2, pad_left: 2, pad_right: 2 }, out_channels: 7 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 1, kernel_w: 1, stride_h: 1, stride_w: 1, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 }, out_channels: 10 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 1, kernel_w: 1, stride_h: 1, stride_w: 1, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 }, out_channels: 15 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 5, kernel_w: 5, stride_h: 1, stride_w: 1, pad_top: 2, pad_bottom: 2, pad_left: 2, pad_right: 2 }, out_channels: 4 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 1, kernel_w: 1, stride_h: 1, stride_w: 1, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 }, out_channels: 10 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 1, kernel_w: 1, stride_h: 1, stride_w: 1, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 }, out_channels: 15 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 5, kernel_w: 5, stride_h: 1, stride_w: 1, pad_top: 2, pad_bottom: 2, pad_left: 2, pad_right: 2 }, out_channels: 4 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 5, kernel_w: 5, stride_h: 1, stride_w: 1, pad_top: 2, pad_bottom: 2, pad_left: 2, pad_right: 2 }, out_channels: 10 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 1, kernel_w: 1, stride_h: 1, stride_w: 1, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 }, out_channels: 10 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Conv { window: Window { kernel_h: 1, kernel_w: 1, stride_h: 1, stride_w: 1, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 }, out_channels: 15 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::AvgPool { window: Window { kernel_h: 4, kernel_w: 4, stride_h: 2, stride_w: 2, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 } }, activation: Activation::Linear, weights: Weights::None },
            LayerRecord { op: Op::AvgPool { window: Window { kernel_h: 2, kernel_w: 2, stride_h: 3, stride_w: 3, pad_top: 0, pad_bottom: 0, pad_left: 0, pad_right: 0 } }, activation: Activation::Linear, weights: Weights::None },
            LayerRecord { op: Op::Dense { outputs: 33 }, activation: Activation::Relu, weights: Weights::I16 { frac_bits: 8 } },
            LayerRecord { op: Op::Dense { outputs: 10 }, activation: Activation::Linear, weights: Weights::I16 { frac_bits: 8 } },
        ]
    },
);

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
