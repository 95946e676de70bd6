//! A checked network: [`Model::parse`] refuses anything that inference could stumble over.

use heapless::Vec;

use crate::arena::{LayerPlan, LineBuffer, Planner, Span};
use crate::blob::{
    ALIGNMENT, ARITHMETIC_VERSION, CRC_START, FORMAT_VERSION, Header, LayerRecord, MAGIC,
    PREFIX_BYTES, Packing, Prefix, Weights, crc32,
};
use crate::bound::{Bound, BoundError};
use crate::error::ParseError;
use crate::geometry::{Activation, Op, Shape};
use crate::kernels::scalar::Filters;
use crate::q8_8::{ACTIVATION_FRAC_BITS, MAX_WEIGHT_FRAC_BITS, Product, Requantize};

/// Layers that [`Model`] holds unless told otherwise.
pub const DEFAULT_LAYERS: usize = 32;

/// A network read in place from a blob, of at most `LAYERS` layers.
///
/// A value of this type is proof that the blob is whole, that every layer's geometry and
/// parameters fit, and that no accumulator can overflow.
#[derive(Clone, Debug)]
pub struct Model<'a, const LAYERS: usize = DEFAULT_LAYERS> {
    pub(crate) product: Product,
    pub(crate) input: Shape,
    pub(crate) zero: &'a [u8],
    pub(crate) layers: Vec<Layer<'a>, LAYERS>,
    pub(crate) arena_words: usize,
}

/// One layer of a [`Model`].
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    pub(crate) op: Op,
    pub(crate) activation: Activation,
    pub(crate) input: Shape,
    pub(crate) output: Shape,
    pub(crate) parameters: Option<Parameters<'a>>,
    pub(crate) plan: LayerPlan,
}

/// The parameters of a layer, in place.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    frac_bits: u8,
    packing: Packing,
    product: Product,
    pub(crate) bias: &'a [i32],
    weights: &'a [i16],
    /// How a sum becomes an activation.
    pub(crate) store: Requantize,
}

impl<'a, const LAYERS: usize> Model<'a, LAYERS> {
    /// Checks a blob and reads its records. The parameters stay where they are.
    ///
    /// # Errors
    /// A [`ParseError`] that says what is wrong and in which layer.
    pub fn parse(blob: &'a [u8]) -> Result<Self, ParseError> {
        let prefix = check_prefix(blob)?;
        let records = blob
            .get(PREFIX_BYTES..)
            .and_then(|rest| rest.get(..prefix.record_bytes as usize))
            .ok_or(ParseError::Sections)?;
        let parameters = blob
            .get(prefix.parameters_offset as usize..)
            .and_then(|rest| rest.get(..prefix.parameters_bytes as usize))
            .filter(|_| prefix.parameters_offset as usize >= PREFIX_BYTES + records.len())
            .ok_or(ParseError::Sections)?;
        let words = bytemuck::try_cast_slice(parameters).map_err(|_| ParseError::Sections)?;

        let (header, records) =
            postcard::take_from_bytes::<Header>(records).map_err(|_| ParseError::Records)?;
        let (layers, product) = (header.layers as usize, header.product);
        if layers > LAYERS {
            return Err(ParseError::TooManyLayers {
                layers,
                capacity: LAYERS,
            });
        }
        if header.zero.len() != header.input.channels as usize {
            return Err(ParseError::ZeroLength);
        }
        let mut model = Self {
            product,
            input: header.input,
            zero: header.zero,
            layers: Vec::new(),
            arena_words: 0,
        };
        model.read_layers(layers, records, words)?;
        model.plan_arena(header.arena_bytes as usize)?;
        Ok(model)
    }

    fn read_layers(
        &mut self,
        layers: usize,
        mut records: &'a [u8],
        mut words: &'a [i32],
    ) -> Result<(), ParseError> {
        let mut shape = self.input;
        let mut bound = Bound::of_image(self.zero);
        for layer in 0..layers {
            let (record, rest) = postcard::take_from_bytes::<LayerRecord>(records)
                .map_err(|_| ParseError::Records)?;
            records = rest;
            let output = record
                .op
                .output(shape)
                .map_err(|error| ParseError::Geometry { layer, error })?;
            let parameters = match (record.weights, Packing::new(record.op, shape)) {
                (Weights::None, None) => None,
                (Weights::I16 { frac_bits }, Some(packing)) => {
                    check_frac_bits(frac_bits, self.product, layer)?;
                    let (bias, weights, rest) = split_parameters(words, packing)
                        .ok_or(ParseError::ParametersLength { layer })?;
                    words = rest;
                    Some(Parameters {
                        frac_bits,
                        packing,
                        product: self.product,
                        bias,
                        weights,
                        store: Requantize::new(self.product, frac_bits, record.activation),
                    })
                }
                (Weights::None | Weights::I16 { .. }, _) => {
                    return Err(ParseError::WeightsFormat { layer });
                }
            };
            if let Some(parameters) = &parameters {
                let after = bound.after(parameters.filters(), parameters.store);
                bound = after.map_err(|error| match error {
                    BoundError::Overflow { filter } => ParseError::Overflow { layer, filter },
                    BoundError::Filling => ParseError::Filling { layer },
                })?;
            } else if record.activation != Activation::Linear {
                return Err(ParseError::PoolActivation { layer });
            }
            let pushed = self.layers.push(Layer {
                op: record.op,
                activation: record.activation,
                input: shape,
                output,
                parameters,
                plan: UNPLANNED,
            });
            debug_assert!(pushed.is_ok(), "the number of layers was checked");
            shape = output;
        }
        if !records.is_empty() {
            return Err(ParseError::Records);
        }
        if !words.is_empty() {
            return Err(ParseError::ParametersLength { layer: layers });
        }
        match self.layers.last() {
            Some(Layer {
                op: Op::Dense { .. },
                activation: Activation::Linear,
                ..
            }) => Ok(()),
            _ => Err(ParseError::LastLayer),
        }
    }

    fn plan_arena(&mut self, stated: usize) -> Result<(), ParseError> {
        let shared = self
            .layers
            .iter()
            .map(|layer| Planner::shared_words(layer.op, layer.input))
            .max();
        let mut planner = Planner::new(self.layers.len(), shared.unwrap_or(0));
        for layer in &mut self.layers {
            (planner, layer.plan) = planner.layer(layer.op, layer.input, layer.output);
        }
        self.arena_words = planner.words().ok_or(ParseError::ArenaTooLarge)?;
        let needed = self.arena_bytes();
        if needed > stated {
            return Err(ParseError::Arena { stated, needed });
        }
        Ok(())
    }

    /// How products are rounded in this network.
    pub fn product(&self) -> Product {
        self.product
    }

    /// Shape of the image: 8-bit pixels, HWC.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// The pixel value that means 0, one per channel.
    pub fn zero(&self) -> &'a [u8] {
        self.zero
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer<'a>] {
        &self.layers
    }

    /// Number of classes: the length of the logits.
    pub fn classes(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.op.filters())
    }

    /// Fractional bits of the logits.
    pub fn logit_frac_bits(&self) -> u8 {
        let last = self.layers.last().and_then(|layer| layer.parameters);
        match (self.product, last) {
            (Product::Exact, Some(parameters)) => ACTIVATION_FRAC_BITS + parameters.frac_bits,
            (Product::Exact, None) | (Product::Rounded, _) => ACTIVATION_FRAC_BITS,
        }
    }

    /// Scratch memory that inference needs, in bytes.
    pub fn arena_bytes(&self) -> usize {
        self.arena_words * 4
    }

    /// Weights and biases of all layers.
    pub fn parameter_count(&self) -> usize {
        self.layers
            .iter()
            .map(|layer| layer.op.parameters(layer.input))
            .sum()
    }

    /// Multiply-accumulates of one inference, padding included.
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(Layer::macs).sum()
    }
}

/// Stands in a layer until the arena is planned, before [`Model::parse`] returns.
const UNPLANNED: LayerPlan = LayerPlan {
    input: LineBuffer {
        span: Span::EMPTY,
        capacity: 1,
        row_elements: 0,
        left: 0,
    },
    sums: Span::EMPTY,
};

fn check_prefix(blob: &[u8]) -> Result<Prefix, ParseError> {
    if !blob.starts_with(&MAGIC) {
        return Err(ParseError::NotABlob);
    }
    let bytes = blob.len();
    let prefix = Prefix::read(blob).ok_or(ParseError::TooShort { bytes })?;
    if prefix.format_version != FORMAT_VERSION {
        return Err(ParseError::FormatVersion {
            found: prefix.format_version,
        });
    }
    if prefix.arithmetic_version != ARITHMETIC_VERSION {
        return Err(ParseError::ArithmeticVersion {
            found: prefix.arithmetic_version,
        });
    }
    if prefix.blob_bytes as usize != bytes {
        return Err(ParseError::Length {
            stated: prefix.blob_bytes as usize,
            given: bytes,
        });
    }
    let computed = crc32(blob.get(CRC_START..).unwrap_or(&[]));
    if prefix.crc != computed {
        return Err(ParseError::Crc {
            stated: prefix.crc,
            computed,
        });
    }
    if !(blob.as_ptr() as usize).is_multiple_of(ALIGNMENT) {
        return Err(ParseError::Misaligned);
    }
    Ok(prefix)
}

fn check_frac_bits(frac_bits: u8, product: Product, layer: usize) -> Result<(), ParseError> {
    let allowed = match product {
        Product::Exact => frac_bits <= MAX_WEIGHT_FRAC_BITS,
        Product::Rounded => frac_bits == ACTIVATION_FRAC_BITS,
    };
    if allowed {
        Ok(())
    } else {
        Err(ParseError::FracBits { layer, frac_bits })
    }
}

/// Splits a layer's biases and weights off `words`; the rest comes last.
fn split_parameters(words: &[i32], packing: Packing) -> Option<(&[i32], &[i16], &[i32])> {
    let (bias, rest) = words.split_at_checked(packing.filters)?;
    let (weights, rest) = rest.split_at_checked(packing.stored_weights() / 2)?;
    Some((bias, bytemuck::cast_slice(weights), rest))
}

impl Layer<'_> {
    /// What the layer computes.
    pub fn op(&self) -> Op {
        self.op
    }

    /// What follows its sum.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Shape of the map it reads.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Shape of the map it writes.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Its parameters; `None` for pooling.
    pub fn parameters(&self) -> Option<&Parameters<'_>> {
        self.parameters.as_ref()
    }

    /// Its multiply-accumulates, padding included.
    pub fn macs(&self) -> u64 {
        self.output.elements() as u64 * self.op.fan_in(self.input) as u64
    }

    /// Its own part of the arena in bytes: line buffer and accumulators. A row that layers share
    /// counts for each of them.
    pub fn arena_bytes(&self) -> usize {
        (self.plan.input.span.words + self.plan.sums.words) * 4
    }
}

impl<'a> Parameters<'a> {
    /// Fractional bits of the weights.
    pub fn frac_bits(&self) -> u8 {
        self.frac_bits
    }

    /// Biases, one per filter, with the rounding constant of the store added.
    pub fn bias(&self) -> &'a [i32] {
        self.bias
    }

    /// Weights in the order of [`Packing`].
    pub fn weights(&self) -> &'a [i16] {
        self.weights
    }

    /// Bytes of flash that they take.
    pub fn bytes(&self) -> usize {
        self.packing.stored_bytes()
    }

    pub(crate) fn filters(&self) -> Filters<'a> {
        Filters {
            packing: self.packing,
            bias: self.bias,
            weights: self.weights,
            product: self.product,
        }
    }
}
