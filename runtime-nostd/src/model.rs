//! A checked network: [`Model::parse`] refuses anything that inference could stumble over.

use core::num::NonZeroU8;

use heapless::Vec;

use crate::arena::{Span, Stream};
use crate::blob::{
    ALIGNMENT, ARITHMETIC_VERSION, CRC_START, FORMAT_VERSION, Header, LayerRecord, MAGIC,
    PREFIX_BYTES, Packing, Prefix, Storage, crc32,
};
use crate::bound::{Bound, BoundError};
use crate::chain::link;
use crate::error::ParseError;
use crate::feature::Feature;
use crate::geometry::{Activation, Keep, Op, Shape};
use crate::kernels::scalar::Filters;
use crate::plan::{Image, expansion, plan};
use crate::q8_8::{ACTIVATION_FRAC_BITS, MAX_WEIGHT_FRAC_BITS, Product, Requantize};
use crate::schedule::{Feed, Intake};
use crate::sections::Sections;
use crate::weights8::{MAX_EXPONENT, NarrowFilters, expansion_words};

/// Layers that [`Model`] holds unless told otherwise.
pub const DEFAULT_LAYERS: usize = 32;

/// A network read in place from a blob, of at most `LAYERS` layers.
///
/// A value of this type is proof that the blob is whole, that every layer's geometry and
/// parameters fit, and that no accumulator can overflow.
#[derive(Clone, Debug)]
pub struct Model<'a, const LAYERS: usize = DEFAULT_LAYERS> {
    pub(crate) product: Product,
    pub(crate) image: Image,
    pub(crate) zero: &'a [u8],
    pub(crate) layers: Vec<Layer<'a>, LAYERS>,
    /// Where 8-bit weights are expanded.
    pub(crate) expansion: Span,
    pub(crate) arena_words: usize,
    pub(crate) sections: Sections<'a>,
}

/// One layer of a [`Model`].
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    pub(crate) op: Op,
    pub(crate) activation: Activation,
    pub(crate) keep: Keep,
    pub(crate) input: Shape,
    pub(crate) output: Shape,
    /// The map that it reads. Map 0 is the image, map `k + 1` the output of layer `k`.
    pub(crate) source: u8,
    /// The map that it adds to it.
    pub(crate) skip: Option<NonZeroU8>,
    /// How it goes through the rows that it reads.
    pub(crate) feed: Feed,
    /// How its weights are stored, if it has any.
    pub(crate) storage: Storage,
    pub(crate) parameters: Option<Parameters<'a>>,
    /// Where the rows of its output are kept.
    pub(crate) rows: Stream,
    /// Its `i32` accumulators; empty if it has none.
    pub(crate) sums: Span,
}

/// The parameters of a layer, in place.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    frac_bits: u8,
    pub(crate) filters: StoredFilters<'a>,
    /// How a sum becomes an activation.
    pub(crate) store: Requantize,
}

/// Biases and weights as they are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoredFilters<'a> {
    /// What kernels read.
    I16(Filters<'a>),
    /// What is expanded first.
    I8(NarrowFilters<'a>),
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
        let behind = prefix
            .parameters_offset
            .saturating_add(prefix.parameters_bytes) as usize;
        let sections = blob.get(behind..).and_then(Sections::check);
        let sections = sections.ok_or(ParseError::Sections)?;
        let words = bytemuck::try_cast_slice(parameters).map_err(|_| ParseError::Sections)?;

        let (header, records) =
            postcard::take_from_bytes::<Header>(records).map_err(|_| ParseError::Records)?;
        let (layers, product) = (header.layers as usize, header.product);
        if product == Product::Rounded && !product.is_rounded() {
            return Err(ParseError::NotCompiled {
                layer: 0,
                feature: Feature::Rounded,
            });
        }
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
            image: Image::new(header.input),
            zero: header.zero,
            layers: Vec::new(),
            expansion: Span::EMPTY,
            arena_words: 0,
            sections,
        };
        model.read_layers(layers, records, words)?;
        model.cut(header.cuts)?;
        model.plan_arena(header.arena_bytes as usize)?;
        Ok(model)
    }

    fn read_layers(
        &mut self,
        layers: usize,
        mut records: &'a [u8],
        mut words: &'a [i32],
    ) -> Result<(), ParseError> {
        // One for each map, as `Layer::source` counts them; the image's stands apart.
        let image_bound = Bound::of_image(self.zero);
        let mut bounds: Vec<Bound, LAYERS> = Vec::new();
        for index in 0..layers {
            let (record, rest) = postcard::take_from_bytes::<LayerRecord>(records)
                .map_err(|_| ParseError::Records)?;
            records = rest;
            if let Some(feature) = Feature::of(record.op)
                && !feature.is_enabled()
            {
                let layer = index;
                return Err(ParseError::NotCompiled { layer, feature });
            }
            let mut layer = link(self.image.shape, &self.layers, record.op).map_err(|error| {
                ParseError::Geometry {
                    layer: index,
                    error,
                }
            })?;
            layer.activation = record.activation;
            if let Some((storage, _)) = record.weights.stored() {
                layer.storage = storage;
            }
            (layer.parameters, words) = self.read_parameters(index, &layer, record, words)?;

            let bound_of = |map: u8| match map.checked_sub(1) {
                None => image_bound,
                Some(before) => bounds
                    .get(usize::from(before))
                    .copied()
                    .unwrap_or(Bound::MAX),
            };
            let bound = bound_of(layer.source);
            let bound = match (layer.parameters, layer.skip) {
                (Some(parameters), _) => bound.after(&parameters).map_err(|error| match error {
                    BoundError::Overflow { filter } => ParseError::Overflow {
                        layer: index,
                        filter,
                    },
                    BoundError::Filling => ParseError::Filling { layer: index },
                })?,
                (_, Some(skip)) => bound.plus(bound_of(skip.get())),
                _ if layer.activation == Activation::Linear => bound,
                _ => return Err(ParseError::Activation { layer: index }),
            };
            let pushed = (self.layers.push(layer).is_ok(), bounds.push(bound).is_ok());
            debug_assert_eq!(pushed, (true, true), "the number of layers was checked");
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

    /// Splits a layer's parameters off `words`; the rest comes second.
    #[inline(never)]
    fn read_parameters(
        &self,
        index: usize,
        layer: &Layer<'_>,
        record: LayerRecord,
        words: &'a [i32],
    ) -> Result<(Option<Parameters<'a>>, &'a [i32]), ParseError> {
        let packing = Packing::new(layer.op, layer.input);
        let (packing, storage, frac_bits) = match (record.weights.stored(), packing) {
            (None, None) => return Ok((None, words)),
            (Some((storage, frac_bits)), Some(packing)) => (packing, storage, frac_bits),
            _ => return Err(ParseError::WeightsFormat { layer: index }),
        };
        check_frac_bits(frac_bits, self.product, index)?;
        let missing = ParseError::ParametersLength { layer: index };
        let (stored, rest) = words
            .split_at_checked(packing.stored_bytes(storage) / 4)
            .ok_or(missing)?;
        let (bias, stored) = stored.split_at_checked(packing.filters).ok_or(missing)?;
        let product = self.product;
        let filters = match storage {
            Storage::I16 => StoredFilters::I16(Filters {
                packing,
                bias,
                weights: bytemuck::cast_slice(stored),
                product,
            }),
            Storage::I8 if Feature::Weights8.is_enabled() => {
                let bytes = bytemuck::cast_slice(stored);
                let (exponents, bytes) = bytes.split_at_checked(packing.filters).ok_or(missing)?;
                let (weights, filling) = bytes
                    .split_at_checked(packing.weights_in_rows())
                    .ok_or(missing)?;
                check_exponents(exponents, index)?;
                if filling.iter().any(|&byte| byte != 0) {
                    return Err(ParseError::Filling { layer: index });
                }
                StoredFilters::I8(NarrowFilters {
                    filters: Filters {
                        packing,
                        bias,
                        weights: bytemuck::cast_slice(weights),
                        product,
                    },
                    exponents,
                })
            }
            Storage::I8 => {
                return Err(ParseError::NotCompiled {
                    layer: index,
                    feature: Feature::Weights8,
                });
            }
        };
        let parameters = Parameters {
            frac_bits,
            filters,
            store: Requantize::new(product, frac_bits, record.activation),
        };
        Ok((Some(parameters), rest))
    }

    fn cut(&mut self, cuts: &[u8]) -> Result<(), ParseError> {
        if !cuts.is_sorted_by(|before, cut| before < cut) {
            return Err(ParseError::Cuts);
        }
        for &cut in cuts {
            let layer = self.layers.get_mut(usize::from(cut));
            layer.ok_or(ParseError::Cuts)?.keep = Keep::Map;
        }
        Ok(())
    }

    fn plan_arena(&mut self, stated: usize) -> Result<(), ParseError> {
        self.expansion = expansion(&self.layers);
        let mut progress = [[0; 2]; LAYERS];
        self.arena_words = plan(&mut self.image, &mut self.layers, &mut progress)
            .map_err(|(layer, error)| ParseError::Geometry { layer, error })?;
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
        self.image.shape
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
        self.layers
            .last()
            .map_or(0, |layer| layer.output.channels.into())
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

    /// The stream of a map: 0 is the image, `k + 1` the output of layer `k`.
    pub(crate) fn stream(&self, map: u8) -> &Stream {
        map.checked_sub(1)
            .and_then(|index| self.layers.get(usize::from(index)))
            .map_or(&self.image.rows, |layer| &layer.rows)
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

fn check_exponents(exponents: &[u8], layer: usize) -> Result<(), ParseError> {
    let mut exponents = exponents.iter().enumerate();
    match exponents.find(|&(_, &exponent)| exponent > MAX_EXPONENT) {
        None => Ok(()),
        Some((filter, &exponent)) => Err(ParseError::Exponent {
            layer,
            filter,
            exponent,
        }),
    }
}

impl Layer<'_> {
    /// A layer before anything is known of it.
    pub(crate) const EMPTY: Layer<'static> = Layer {
        op: Op::Dense { outputs: 0 },
        activation: Activation::Linear,
        keep: Keep::Rows,
        input: Shape::new(0, 0, 0),
        output: Shape::new(0, 0, 0),
        source: 0,
        skip: None,
        feed: Feed::NOTHING,
        storage: Storage::I16,
        parameters: None,
        rows: Stream::UNPLANNED,
        sums: Span::EMPTY,
    };

    /// What the layer computes.
    pub fn op(&self) -> Op {
        self.op
    }

    /// What follows its sum.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// How its weights are stored, if it has any.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// How its output is kept.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// Shape of the map it reads.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Shape of the map it writes.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Its parameters; `None` for operations without.
    pub fn parameters(&self) -> Option<&Parameters<'_>> {
        self.parameters.as_ref()
    }

    /// Its multiply-accumulates, padding included.
    pub fn macs(&self) -> u64 {
        self.output.elements() as u64 * self.op.fan_in(self.input) as u64
    }

    /// Its own part of the arena in bytes: accumulators, the rows of its output that are kept, and
    /// memory for the expansion of 8-bit weights. What layers share counts for each of them.
    pub fn arena_bytes(&self) -> usize {
        (self.rows.span.words + self.sums.words + self.expansion_words()) * 4
    }

    /// Words of memory into which its weights are expanded, by a build that can.
    pub(crate) const fn expansion_words(&self) -> usize {
        match self.storage {
            Storage::I8 if Feature::Weights8.is_enabled() => expansion_words(self.op, self.input),
            Storage::I16 | Storage::I8 => 0,
        }
    }

    /// Whether it reads a map, as [`Layer::source`] counts them.
    pub(crate) const fn reads(&self, map: usize) -> bool {
        let skips = match self.skip {
            Some(skip) => skip.get() as usize == map,
            None => false,
        };
        !matches!(self.op, Op::Branch { .. }) && (skips || self.source as usize == map)
    }

    /// Elements of zeros that it reads before and behind each input row.
    pub(crate) const fn padding(&self) -> (usize, usize) {
        match self.op {
            Op::Conv { window, .. } | Op::Depthwise { window } => {
                let channels = self.input.channels as usize;
                (
                    window.pad_left as usize * channels,
                    window.pad_right as usize * channels,
                )
            }
            _ => (0, 0),
        }
    }

    /// Accumulators that it keeps between rows, or needs to compute one.
    pub(crate) const fn accumulators(&self) -> usize {
        match (self.op, self.feed.intake) {
            (Op::Dense { outputs }, _) => outputs as usize,
            (Op::AvgPool { .. }, Intake::Window) => self.output.channels as usize,
            (Op::AvgPool { .. }, _) => self.output.row_elements(),
            _ => 0,
        }
    }

    /// Whether an input row is used up as soon as it is there, and nothing beside it is read.
    pub(crate) const fn consumes_at_once(&self) -> bool {
        match self.feed.intake {
            Intake::Window => {
                let (left, right) = self.padding();
                self.feed.keeps_no_row() && left == 0 && right == 0
            }
            Intake::Accumulate => self.skip.is_none(),
            Intake::Nothing => false,
        }
    }

    /// Whether it builds an output row up in place, over several input rows.
    pub(crate) const fn grows_output(&self) -> bool {
        matches!(
            (self.op, self.feed.intake),
            (Op::MaxPool { .. }, Intake::Accumulate)
        )
    }

    /// Words of its whole output, padding for its readers included.
    pub(crate) const fn whole_map_words(&self) -> usize {
        Stream {
            capacity: self.output.height as usize,
            ..self.rows
        }
        .words()
    }
}

impl<'a> Parameters<'a> {
    /// Fractional bits of the weights.
    pub fn frac_bits(&self) -> u8 {
        self.frac_bits
    }

    /// Biases, one per filter, with the rounding constant of the store added.
    pub fn bias(&self) -> &'a [i32] {
        match self.filters {
            StoredFilters::I16(filters) => filters.bias,
            StoredFilters::I8(narrow) => narrow.filters.bias,
        }
    }

    /// Weights in the order of [`Packing`], filling included, in 16 bits however they are stored.
    pub fn weights(&self) -> impl Iterator<Item = i16> + 'a {
        let (wide, narrow) = match self.filters {
            StoredFilters::I16(filters) => (filters.weights, None),
            StoredFilters::I8(narrow) => (&[][..], Some(narrow)),
        };
        let narrow = narrow.into_iter().flat_map(NarrowFilters::widened);
        wide.iter().copied().chain(narrow)
    }

    /// Bytes of flash that they take.
    pub fn bytes(&self) -> usize {
        match self.filters {
            StoredFilters::I16(filters) => filters.packing.stored_bytes(Storage::I16),
            StoredFilters::I8(narrow) => narrow.filters.packing.stored_bytes(Storage::I8),
        }
    }
}
