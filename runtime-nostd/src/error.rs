//! What can go wrong: a blob is refused, or the caller's buffers have the wrong length.

use core::fmt;

use crate::blob::{ALIGNMENT, ARITHMETIC_VERSION, FORMAT_VERSION};
use crate::feature::Feature;
use crate::geometry::GeometryError;
use crate::weights8::MAX_EXPONENT;

/// Why [`Model::parse`](crate::Model::parse) refuses a blob. Layers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// The magic is missing.
    NotABlob,
    /// Shorter than the prefix.
    TooShort {
        /// Length given.
        bytes: usize,
    },
    /// Another layout of bytes.
    FormatVersion {
        /// The blob's version.
        found: u16,
    },
    /// Another arithmetic.
    ArithmeticVersion {
        /// The blob's version.
        found: u16,
    },
    /// Truncated, or followed by other bytes.
    Length {
        /// Length that the blob states.
        stated: usize,
        /// Length given.
        given: usize,
    },
    /// The bytes changed since they were written.
    Crc {
        /// Checksum that the blob states.
        stated: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// The blob does not lie at a multiple of [`ALIGNMENT`].
    Misaligned,
    /// Offsets and lengths, in the prefix or in the sections behind the parameters, contradict each
    /// other.
    Sections,
    /// A record is malformed, or of a kind this runtime does not know.
    Records,
    /// More layers than the model's capacity.
    TooManyLayers {
        /// Layers in the blob.
        layers: usize,
        /// The model's capacity.
        capacity: usize,
    },
    /// The layer needs what this build leaves out.
    NotCompiled {
        /// The layer; 0 for rounded products.
        layer: usize,
        /// What must be enabled.
        feature: Feature,
    },
    /// The zero values of the image's channels are not one per channel.
    ZeroLength,
    /// A layer's geometry, or its place in the chain, is impossible.
    Geometry {
        /// The layer.
        layer: usize,
        /// What is wrong.
        error: GeometryError,
    },
    /// Weights where there can be none, or none where there must be.
    WeightsFormat {
        /// The layer.
        layer: usize,
    },
    /// An activation behind an operation that has none.
    Activation {
        /// The layer.
        layer: usize,
    },
    /// Fractional bits that the product does not allow.
    FracBits {
        /// The layer.
        layer: usize,
        /// Fractional bits of its weights.
        frac_bits: u8,
    },
    /// Parameters are missing for this layer, or left over after the last.
    ParametersLength {
        /// The layer, or the number of layers.
        layer: usize,
    },
    /// A filter's 8-bit weights have too large an exponent.
    Exponent {
        /// The layer.
        layer: usize,
        /// The filter.
        filter: usize,
        /// Its exponent.
        exponent: u8,
    },
    /// A filling weight is not 0.
    Filling {
        /// The layer.
        layer: usize,
    },
    /// The accumulator of a filter could overflow.
    Overflow {
        /// The layer.
        layer: usize,
        /// The filter.
        filter: usize,
    },
    /// The last layer is not a dense layer without activation.
    LastLayer,
    /// The cuts are not layers in ascending order.
    Cuts,
    /// The blob promises that less scratch memory suffices than does.
    Arena {
        /// Bytes that the blob states.
        stated: usize,
        /// Bytes that are needed.
        needed: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotABlob => f.write_str("not an EA4CNN blob: the magic is missing"),
            Self::TooShort { bytes } => write!(f, "blob truncated: only {bytes} bytes"),
            Self::FormatVersion { found } => write!(
                f,
                "blob has format version {found}, this runtime reads {FORMAT_VERSION}: export again"
            ),
            Self::ArithmeticVersion { found } => write!(
                f,
                "blob has arithmetic version {found}, this runtime computes {ARITHMETIC_VERSION}: \
                 export again"
            ),
            Self::Length { stated, given } => {
                write!(f, "blob states {stated} bytes, {given} are given")
            }
            Self::Crc { stated, computed } => write!(
                f,
                "blob corrupted: CRC-32 is {computed:08x}, stated {stated:08x}"
            ),
            Self::Misaligned => write!(
                f,
                "blob must lie at a multiple of {ALIGNMENT} bytes: use the exported Rust module or \
                 align the buffer"
            ),
            Self::Sections => f.write_str("offsets and lengths in the blob contradict each other"),
            Self::Records => {
                f.write_str("a record is malformed or of a kind unknown to this runtime")
            }
            Self::TooManyLayers { layers, capacity } => write!(
                f,
                "blob has {layers} layers, this model holds {capacity}: raise LAYERS"
            ),
            Self::NotCompiled { layer, feature } => write!(
                f,
                "layer {layer} needs runtime-nostd's feature `{feature}`, which is not enabled"
            ),
            Self::ZeroLength => f.write_str("not one zero value for each channel of the image"),
            Self::Geometry { layer, error } => write!(f, "layer {layer}: {error}"),
            Self::WeightsFormat { layer } => {
                write!(f, "layer {layer}: weights do not go with the operation")
            }
            Self::Activation { layer } => write!(
                f,
                "layer {layer}: an activation behind an operation that has none"
            ),
            Self::FracBits { layer, frac_bits } => {
                write!(
                    f,
                    "layer {layer}: {frac_bits} fractional bits; at most 15 are allowed, and only 8 with \
                     rounded products"
                )
            }
            Self::ParametersLength { layer } => {
                write!(f, "layer {layer}: parameters missing or left over")
            }
            Self::Exponent {
                layer,
                filter,
                exponent,
            } => write!(
                f,
                "layer {layer}, filter {filter}: 8-bit weights with exponent {exponent}, at most \
                 {MAX_EXPONENT} is allowed"
            ),
            Self::Filling { layer } => write!(f, "layer {layer}: a filling weight is not 0"),
            Self::Overflow { layer, filter } => {
                write!(f, "layer {layer}, filter {filter}: the sum could overflow")
            }
            Self::LastLayer => f.write_str("the last layer must be dense, without activation"),
            Self::Cuts => f.write_str("the cuts are not layers in ascending order"),
            Self::Arena { stated, needed } => write!(
                f,
                "blob promises an arena of {stated} bytes, {needed} are needed: export again"
            ),
        }
    }
}

impl core::error::Error for ParseError {}

/// The caller's buffers have the wrong length. Nothing else can fail in inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InferError {
    /// The scratch memory is too small.
    Scratch {
        /// Bytes needed: [`Model::arena_bytes`](crate::Model::arena_bytes).
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The image, or the row of an image, has the wrong length.
    Pixels {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// More rows than the image has.
    TooManyRows,
}

impl fmt::Display for InferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Scratch { needed, given } => {
                write!(f, "scratch memory has {given} bytes, {needed} are needed")
            }
            Self::Pixels { needed, given } => {
                write!(f, "{given} pixel bytes given, {needed} are needed")
            }
            Self::TooManyRows => f.write_str("more rows pushed than the image has"),
        }
    }
}

impl core::error::Error for InferError {}

/// Why [`Model::self_test`](crate::Model::self_test) fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelfTestError {
    /// The blob has no golden vectors.
    NoVectors,
    /// The golden vectors have not the length that they say, or that the network needs.
    Malformed,
    /// The scratch memory is too small.
    Infer(InferError),
    /// This machine computes other logits than the one that exported the blob.
    Differs {
        /// The golden image, from 0.
        image: usize,
    },
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVectors => {
                f.write_str("the blob has no golden vectors: export it with --golden")
            }
            Self::Malformed => f.write_str("the golden vectors do not fit the network"),
            Self::Infer(error) => error.fmt(f),
            Self::Differs { image } => write!(
                f,
                "golden image {image}: other logits than where the blob was exported"
            ),
        }
    }
}

impl core::error::Error for SelfTestError {}
