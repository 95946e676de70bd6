//! A checked network: [`Model::parse`] refuses anything that inference could stumble over.

use heapless::Vec;

use crate::arena::{Span, Stream};
use crate::blob::{
    ALIGNMENT, ARITHMETIC_VERSION, CRC_START, FORMAT_VERSION, Header, LayerRecord, MAGIC,
    PREFIX_BYTES, Prefix, crc32,
};
use crate::bound::{Bound, BoundError};
use crate::error::ParseError;
use crate::feature::Feature;
use crate::geometry::{Keep, Shape};
use crate::layer::{Layer, all_zero};
use crate::plan::{Image, expansion, plan};
use crate::q8_8::{ACTIVATION_FRAC_BITS, Product};
use crate::schedule::Progress;
use crate::sections::Sections;

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

impl<'a, const LAYERS: usize> Model<'a, LAYERS> {
    /// Checks a blob and reads its records. The parameters stay where they are.
    ///
    /// # Errors
    /// A [`ParseError`] that says what is wrong and in which layer.
    pub fn parse(blob: &'a [u8]) -> Result<Self, ParseError> {
        let prefix = check_prefix(blob)?;
        if !(blob.as_ptr() as usize).is_multiple_of(ALIGNMENT) {
            return Err(ParseError::Misaligned);
        }
        let records = blob
            .get(PREFIX_BYTES..)
            .and_then(|rest| rest.get(..prefix.record_bytes as usize))
            .ok_or(ParseError::Sections)?;
        let filling = blob
            .get(PREFIX_BYTES + records.len()..prefix.parameters_offset as usize)
            .filter(|filling| filling.len() < ALIGNMENT && all_zero(filling));
        let parameters = filling
            .and_then(|_| blob.get(prefix.parameters_offset as usize..))
            .and_then(|rest| rest.get(..prefix.parameters_bytes as usize))
            .ok_or(ParseError::Sections)?;
        let behind = prefix
            .parameters_offset
            .saturating_add(prefix.parameters_bytes) as usize;
        let sections = blob.get(behind..).and_then(Sections::check);
        let sections = sections.ok_or(ParseError::Sections)?;
        let words = bytemuck::try_cast_slice(parameters).map_err(|_| ParseError::Sections)?;

        let (header, records) =
            postcard::take_from_bytes::<Header>(records).map_err(|_| ParseError::Records)?;
        let layers = usize::from(header.layers);
        if layers > LAYERS {
            return Err(ParseError::TooManyLayers {
                layers,
                capacity: LAYERS,
            });
        }
        check_header(&header)?;
        let mut model = Self {
            product: header.product,
            image: Image::new(header.input),
            zero: header.zero,
            layers: Vec::new(),
            expansion: Span::EMPTY,
            arena_words: 0,
            sections,
        };
        model.read_layers(layers, records, words)?;
        cut(&mut model.layers, header.cuts)?;
        model.expansion = expansion(&model.layers);
        let mut progress = [[0; 2]; LAYERS];
        let (image, layers) = (&mut model.image, &mut model.layers);
        model.arena_words = plan_arena(image, layers, &mut progress, header.arena_bytes as usize)?;
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
            let layer;
            (layer, words) =
                Layer::read(self.image.shape, self.product, &self.layers, record, words)?;
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
                (None, Some(skip)) => bound.plus(bound_of(skip.get())),
                (None, None) => bound,
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
        if self.layers.last().is_some_and(Layer::is_last) {
            Ok(())
        } else {
            Err(ParseError::LastLayer)
        }
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
            (Product::Exact, Some(parameters)) => ACTIVATION_FRAC_BITS + parameters.frac_bits(),
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

/// The prefix of a blob that is whole and of this version.
pub(crate) const fn check_prefix(blob: &[u8]) -> Result<Prefix, ParseError> {
    let bytes = blob.len();
    match blob.first_chunk() {
        Some(magic) if u64::from_le_bytes(*magic) == u64::from_le_bytes(MAGIC) => {}
        _ => return Err(ParseError::NotABlob),
    }
    let Some(prefix) = Prefix::read(blob) else {
        return Err(ParseError::TooShort { bytes });
    };
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
    let computed = match blob.split_at_checked(CRC_START) {
        Some((_, covered)) => crc32(covered),
        None => crc32(&[]),
    };
    if prefix.crc != computed {
        return Err(ParseError::Crc {
            stated: prefix.crc,
            computed,
        });
    }
    Ok(prefix)
}

/// Refuses what no network can have, or this build cannot compute.
pub(crate) const fn check_header(header: &Header<'_>) -> Result<(), ParseError> {
    if matches!(header.product, Product::Rounded) && !header.product.is_rounded() {
        return Err(ParseError::NotCompiled {
            layer: 0,
            feature: Feature::Rounded,
        });
    }
    if header.zero.len() != header.input.channels as usize {
        return Err(ParseError::ZeroLength);
    }
    Ok(())
}

/// Cuts linked `layers` behind those that `cuts` lists, ascending.
pub(crate) const fn cut(layers: &mut [Layer<'_>], mut cuts: &[u8]) -> Result<(), ParseError> {
    // Layers up to the last cut.
    let mut before = 0;
    while let [cut, rest @ ..] = cuts {
        let cut = *cut as usize;
        if cut < before || cut >= layers.len() {
            return Err(ParseError::Cuts);
        }
        layers[cut].keep = Keep::Map;
        before = cut + 1;
        cuts = rest;
    }
    Ok(())
}

/// Plans the arena of linked `layers`: its length in words, which must not exceed the `stated` bytes.
/// `progress` is one for each layer.
pub(crate) const fn plan_arena(
    image: &mut Image,
    layers: &mut [Layer<'_>],
    progress: &mut [Progress],
    stated: usize,
) -> Result<usize, ParseError> {
    let words = match plan(image, layers, progress) {
        Ok(words) => words,
        Err((layer, error)) => return Err(ParseError::Geometry { layer, error }),
    };
    let needed = words * 4;
    if needed > stated {
        return Err(ParseError::Arena { stated, needed });
    }
    Ok(words)
}
