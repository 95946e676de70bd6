//! One layer of a model, with its parameters in place.

use core::num::NonZeroU8;

use crate::arena::{Ring, Span, Stream};
use crate::blob::{LayerRecord, Packing, Storage};
use crate::chain::link;
use crate::error::ParseError;
use crate::feature::Feature;
use crate::geometry::{Activation, Keep, Op, Shape};
use crate::kernels::scalar::Filters;
use crate::q8_8::{ACTIVATION_FRAC_BITS, MAX_WEIGHT_FRAC_BITS, Product, Requantize};
use crate::schedule::{Feed, Intake};
use crate::weights8::{MAX_EXPONENT, NarrowFilters, expansion_words};

/// One layer of a [`Model`](crate::Model).
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

impl<'a> Layer<'a> {
    /// The layer of `record` behind `layers`, over an `image`. Its parameters are split off `words`; the
    /// rest comes second.
    ///
    /// # Errors
    /// The layer does not fit those before it, or its parameters do not fit the layer. Whether its sums
    /// are bounded is not looked at.
    #[inline(never)]
    pub(crate) const fn read(
        image: Shape,
        product: Product,
        layers: &[Layer<'a>],
        record: LayerRecord,
        words: &'a [i32],
    ) -> Result<(Self, &'a [i32]), ParseError> {
        let index = layers.len();
        if let Some(feature) = Feature::of(record.op)
            && !feature.is_enabled()
        {
            return Err(ParseError::NotCompiled {
                layer: index,
                feature,
            });
        }
        let mut layer: Layer<'a> = match link(image, layers, record.op) {
            Ok(layer) => layer,
            Err(error) => {
                return Err(ParseError::Geometry {
                    layer: index,
                    error,
                });
            }
        };
        layer.activation = record.activation;
        let (packing, storage, frac_bits) =
            match (record.weights.stored(), Packing::new(layer.op, layer.input)) {
                (None, None)
                    if layer.skip.is_some() || matches!(layer.activation, Activation::Linear) =>
                {
                    return Ok((layer, words));
                }
                (None, None) => return Err(ParseError::Activation { layer: index }),
                (Some((storage, frac_bits)), Some(packing)) => (packing, storage, frac_bits),
                _ => return Err(ParseError::WeightsFormat { layer: index }),
            };
        if !frac_bits_fit(frac_bits, product) {
            return Err(ParseError::FracBits {
                layer: index,
                frac_bits,
            });
        }
        let missing = Err(ParseError::ParametersLength { layer: index });
        let Some((stored, rest)) = words.split_at_checked(packing.stored_bytes(storage) / 4) else {
            return missing;
        };
        let Some((bias, stored)) = stored.split_at_checked(packing.filters) else {
            return missing;
        };
        let filters = match storage {
            Storage::I16 => StoredFilters::I16(Filters {
                packing,
                bias,
                weights: bytemuck::must_cast_slice(stored),
                product,
            }),
            Storage::I8 if Feature::Weights8.is_enabled() => {
                let bytes: &[u8] = bytemuck::must_cast_slice(stored);
                let Some((exponents, bytes)) = bytes.split_at_checked(packing.filters) else {
                    return missing;
                };
                let Some((weights, filling)) = bytes.split_at_checked(packing.weights_in_rows())
                else {
                    return missing;
                };
                if let Err(error) = check_exponents(exponents, index) {
                    return Err(error);
                }
                if !all_zero(filling) {
                    return Err(ParseError::Filling { layer: index });
                }
                StoredFilters::I8(NarrowFilters {
                    filters: Filters {
                        packing,
                        bias,
                        weights: bytemuck::must_cast_slice(weights),
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
        layer.storage = storage;
        layer.parameters = Some(Parameters {
            frac_bits,
            filters,
            store: Requantize::new(product, frac_bits, record.activation),
        });
        Ok((layer, rest))
    }
}

const fn frac_bits_fit(frac_bits: u8, product: Product) -> bool {
    match product {
        Product::Exact => frac_bits <= MAX_WEIGHT_FRAC_BITS,
        Product::Rounded => frac_bits == ACTIVATION_FRAC_BITS,
    }
}

const fn check_exponents(exponents: &[u8], layer: usize) -> Result<(), ParseError> {
    let mut filter = 0;
    while filter < exponents.len() {
        let exponent = exponents[filter];
        if exponent > MAX_EXPONENT {
            return Err(ParseError::Exponent {
                layer,
                filter,
                exponent,
            });
        }
        filter += 1;
    }
    Ok(())
}

pub(crate) const fn all_zero(mut bytes: &[u8]) -> bool {
    while let [byte, rest @ ..] = bytes {
        if *byte != 0 {
            return false;
        }
        bytes = rest;
    }
    true
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

    /// Whether a network may end with it.
    pub(crate) const fn is_last(&self) -> bool {
        matches!(
            (self.op, self.activation),
            (Op::Dense { .. }, Activation::Linear)
        )
    }

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
            ring: Ring::new(self.output.height as usize),
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
