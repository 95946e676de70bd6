//! The blob's writer, and the proof that the runtime accepts what was written.

use std::io;
use std::path::Path;

use runtime_nostd::blob::{
    ALIGNMENT, ARITHMETIC_VERSION, CRC_START, FORMAT_VERSION, Header, LayerRecord, PREFIX_BYTES,
    Packing, Prefix, Storage, Weights, crc32,
};
use runtime_nostd::geometry::{Activation, GeometryError, Op, Shape};
use runtime_nostd::q8_8::{Product, Requantize};
use runtime_nostd::weights8::{MAX_EXPONENT, widen};
use runtime_nostd::{Chain, Model, ParseError};
use thiserror::Error;

use crate::cuts::least_cuts;
use crate::network::Input;
use crate::quantize::{FixedNetwork, FixedParameters};

/// A blob in memory, aligned for [`Model::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    words: Vec<u32>,
    bytes: usize,
}

impl Blob {
    /// Copies the bytes of a blob to aligned memory. What they say is not checked.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut words = vec![0; bytes.len().div_ceil(4)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self {
            words,
            bytes: bytes.len(),
        }
    }

    /// Reads a blob file. What it says is not checked.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::from_bytes(&std::fs::read(path)?))
    }

    /// The bytes as they are flashed.
    pub fn as_bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.bytes]
    }

    /// The bytes, to change them.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.bytes]
    }

    /// The checked network in these bytes.
    ///
    /// # Errors
    /// As [`Model::parse`].
    pub fn model(&self) -> Result<Model<'_>, ParseError> {
        Model::parse(self.as_bytes())
    }
}

/// Why a network cannot be written as a blob. Layers and filters count from 0.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A layer's geometry, or its place in the chain, is impossible.
    #[error("layer {layer}: {error}")]
    Geometry {
        /// The layer.
        layer: usize,
        /// What is wrong.
        error: GeometryError,
    },
    /// A layer has not as many weights or biases as its geometry says.
    #[error("layer {layer}: {given} parameters, its geometry says {needed}")]
    ParameterCount {
        /// The layer.
        layer: usize,
        /// Weights and biases that its geometry says.
        needed: usize,
        /// Weights and biases given.
        given: usize,
    },
    /// Weights that are to be stored in 8 bits are not 8 bits times the power of two of their filter.
    #[error("layer {layer}: its weights do not fit 8 bits with the exponents of its filters")]
    Narrow {
        /// The layer.
        layer: usize,
    },
    /// An accumulator could overflow.
    #[error(
        "layer {layer}, filter {filter}: the sum of 16-bit products could exceed 32 bits; train \
         with smaller weights (weight decay) or export with --weight-bits auto"
    )]
    Overflow {
        /// The layer.
        layer: usize,
        /// The filter.
        filter: usize,
    },
    /// The whole exceeds 4 GiB.
    #[error("the blob would exceed 4 GiB")]
    TooLarge,
    /// The runtime refuses the network for another reason.
    #[error("the runtime refuses the network: {0}")]
    Refused(ParseError),
}

/// Writes a blob with the cuts that make its arena least, and proves that every accumulator is
/// bounded by having the runtime parse it.
///
/// # Errors
/// The network cannot be expressed, or its sums could overflow ([`WriteError`]).
pub fn write(network: &FixedNetwork) -> Result<Blob, WriteError> {
    let cuts = least_cuts(chain_of(network)?.segments());
    write_with_cuts(network, &cuts)
}

/// As [`write()`], cutting the chain behind the layers `cuts`.
///
/// # Errors
/// As [`write()`], or the chain cannot be cut there.
pub fn write_with_cuts(network: &FixedNetwork, cuts: &[usize]) -> Result<Blob, WriteError> {
    let mut chain = Chain::new(network.input.shape);
    let mut records = Vec::new();
    let mut parameters = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        push(&mut chain, index, layer.op, layer.storage())?;
        let input = chain.last_input();
        let weights = match (&layer.parameters, Packing::new(layer.op, input)) {
            (None, None) => Weights::None,
            (Some(fixed), Some(packing)) if matches(fixed, layer.op, input) => {
                let store = Requantize::new(network.product, fixed.frac_bits, layer.activation);
                let last = index + 1 == network.layers.len();
                let rounding = if last { 0 } else { store.rounding() };
                pack(fixed, packing, rounding, &mut parameters)
                    .ok_or(WriteError::Narrow { layer: index })?;
                Weights::new(layer.storage(), fixed.frac_bits)
            }
            (fixed, _) => {
                return Err(WriteError::ParameterCount {
                    layer: index,
                    needed: layer.op.parameters(input),
                    given: fixed
                        .as_ref()
                        .map_or(0, |fixed| fixed.weights.len() + fixed.bias.len()),
                });
            }
        };
        records.push(LayerRecord {
            op: layer.op,
            activation: layer.activation,
            weights,
        });
    }
    let arena_bytes = chain
        .arena_bytes(cuts)
        .map_err(|(layer, error)| WriteError::Geometry { layer, error })?;
    let blob = assemble(network, arena_bytes, cuts, &records, &parameters)?;
    match blob.model().err() {
        None => Ok(blob),
        Some(ParseError::Overflow { layer, filter }) => Err(WriteError::Overflow { layer, filter }),
        Some(error) => Err(WriteError::Refused(error)),
    }
}

/// The operations of a network, with every geometry checked.
///
/// # Errors
/// [`WriteError::Geometry`].
pub fn chain_of(network: &FixedNetwork) -> Result<Chain, WriteError> {
    let mut chain = Chain::new(network.input.shape);
    for (index, layer) in network.layers.iter().enumerate() {
        push(&mut chain, index, layer.op, layer.storage())?;
    }
    Ok(chain)
}

fn push(chain: &mut Chain, layer: usize, op: Op, storage: Storage) -> Result<(), WriteError> {
    match chain.push_stored(op, storage) {
        Ok(_) => Ok(()),
        Err(error) => Err(WriteError::Geometry { layer, error }),
    }
}

fn matches(fixed: &FixedParameters, op: Op, input: Shape) -> bool {
    let filters = op.filters(input);
    fixed.bias.len() == filters && fixed.weights.len() == filters * op.fan_in(input)
}

/// Appends a layer's biases, with the rounding constant of the store, and its packed weights. `None`
/// if weights do not fit 8 bits that should.
fn pack(
    fixed: &FixedParameters,
    packing: Packing,
    rounding: i32,
    parameters: &mut Vec<u8>,
) -> Option<()> {
    for &bias in &fixed.bias {
        parameters.extend(bias.saturating_add(rounding).to_le_bytes());
    }
    let filter_weights = packing.rows * packing.row_elements;
    let storage = match fixed.exponents {
        None => Storage::I16,
        Some(_) => Storage::I8,
    };
    let places = (0..fixed.weights.len()).map(|position| {
        let (filter, inside) = (position / filter_weights, position % filter_weights);
        let (row, element) = (inside / packing.row_elements, inside % packing.row_elements);
        (filter, packing.index(storage, filter, row, element))
    });
    let weights = fixed.weights.iter().zip(places);
    let start = parameters.len();
    match &fixed.exponents {
        None => {
            parameters.resize(start + 2 * packing.stored_weights(), 0);
            for (weight, (_, place)) in weights {
                parameters[start + 2 * place..][..2].copy_from_slice(&weight.to_le_bytes());
            }
        }
        Some(exponents) => {
            parameters.extend(exponents);
            let biases = 4 * fixed.bias.len();
            parameters.resize(start - biases + packing.stored_bytes(Storage::I8), 0);
            for (&weight, (filter, place)) in weights {
                let q = narrow(weight, *exponents.get(filter)?)?;
                parameters[start + exponents.len() + place] = q.to_le_bytes()[0];
            }
        }
    }
    Some(())
}

/// The 8 bits that are stored for a weight.
fn narrow(weight: i16, exponent: u8) -> Option<i8> {
    let q = i8::try_from(weight >> exponent.min(MAX_EXPONENT)).ok()?;
    (exponent <= MAX_EXPONENT && widen(q, exponent) == weight).then_some(q)
}

/// What a network takes of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Flash: bytes of the blob.
    pub flash_bytes: usize,
    /// RAM: bytes of the arena.
    pub arena_bytes: usize,
}

/// The footprint of what [`write()`] makes of a network of `ops` over an `input` image, whatever its
/// weights of 16 bits are.
///
/// # Errors
/// The network cannot be expressed ([`WriteError`]).
pub fn footprint(input: Shape, ops: &[Op]) -> Result<Footprint, WriteError> {
    let mut chain = Chain::new(input);
    let mut layers = Vec::with_capacity(ops.len());
    let mut parameters_bytes = 0;
    for (index, &op) in ops.iter().enumerate() {
        push(&mut chain, index, op, Storage::I16)?;
        let packing = Packing::new(op, chain.last_input());
        parameters_bytes += packing.map_or(0, |packing| packing.stored_bytes(Storage::I16));
        layers.push(LayerRecord {
            op,
            activation: Activation::Linear,
            weights: packing.map_or(Weights::None, |_| Weights::I16 { frac_bits: 0 }),
        });
    }
    let cuts = least_cuts(chain.clone().segments());
    let arena_bytes = chain
        .arena_bytes(&cuts)
        .map_err(|(layer, error)| WriteError::Geometry { layer, error })?;
    let input = Input {
        shape: input,
        zero: vec![0; input.channels.into()],
    };
    let records = records(Product::Exact, &input, arena_bytes, &cuts, &layers)?;
    let offset = (PREFIX_BYTES + records.len()).next_multiple_of(ALIGNMENT);
    Ok(Footprint {
        flash_bytes: offset + parameters_bytes,
        arena_bytes,
    })
}

/// The serialized header and layers.
fn records(
    product: Product,
    input: &Input,
    arena_bytes: usize,
    cuts: &[usize],
    layers: &[LayerRecord],
) -> Result<Vec<u8>, WriteError> {
    // The chain has been cut there: they are layers.
    let cuts: Vec<u8> = cuts.iter().map(|&cut| cut as u8).collect();
    let header = Header {
        product,
        input: input.shape,
        zero: &input.zero,
        arena_bytes: u32::try_from(arena_bytes).map_err(|_| WriteError::TooLarge)?,
        layers: u8::try_from(layers.len()).map_err(|_| WriteError::TooLarge)?,
        cuts: &cuts,
    };
    let serialized = postcard::to_allocvec(&header);
    let mut bytes = serialized.map_err(|_| WriteError::TooLarge)?;
    for layer in layers {
        bytes = postcard::to_extend(layer, bytes).map_err(|_| WriteError::TooLarge)?;
    }
    Ok(bytes)
}

fn assemble(
    network: &FixedNetwork,
    arena_bytes: usize,
    cuts: &[usize],
    layers: &[LayerRecord],
    parameters: &[u8],
) -> Result<Blob, WriteError> {
    let records = records(network.product, &network.input, arena_bytes, cuts, layers)?;
    let mut bytes = vec![0; PREFIX_BYTES];
    bytes.extend(&records);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    let parameters_offset = bytes.len();
    bytes.extend(parameters);

    let length = |bytes: usize| u32::try_from(bytes).map_err(|_| WriteError::TooLarge);
    let mut prefix = Prefix {
        format_version: FORMAT_VERSION,
        arithmetic_version: ARITHMETIC_VERSION,
        blob_bytes: length(bytes.len())?,
        crc: 0,
        record_bytes: length(records.len())?,
        parameters_offset: length(parameters_offset)?,
        parameters_bytes: length(parameters.len())?,
    };
    bytes[..PREFIX_BYTES].copy_from_slice(&prefix.write());
    prefix.crc = crc32(&bytes[CRC_START..]);
    bytes[..PREFIX_BYTES].copy_from_slice(&prefix.write());
    Ok(Blob::from_bytes(&bytes))
}
