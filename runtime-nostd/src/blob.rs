//! The bytes of a network: a fixed prefix, `postcard` records, and the parameters that are read in
//! place. FORMAT.md specifies every byte; the tests pin it.

use serde::{Deserialize, Serialize};

use crate::geometry::{Activation, Op, Shape};
use crate::q8_8::Product;

/// First bytes of every blob. The line end shows a transfer that converted text.
pub const MAGIC: [u8; 8] = *b"EA4CNN\r\n";

/// Version of the layout of bytes. Another version is refused.
pub const FORMAT_VERSION: u16 = 1;

/// Version of the arithmetic. A change of one output bit is a new version.
pub const ARITHMETIC_VERSION: u16 = 1;

/// Alignment, in bytes, that a blob needs in memory: parameters are read in place.
pub const ALIGNMENT: usize = 4;

/// Length of [`Prefix`] in bytes.
pub const PREFIX_BYTES: usize = 32;

/// Filters whose weights are interleaved, so that a kernel reads each activation once for all.
pub const GROUP: usize = 4;

/// The fixed part: little-endian numbers at fixed offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// [`FORMAT_VERSION`].
    pub format_version: u16,
    /// [`ARITHMETIC_VERSION`].
    pub arithmetic_version: u16,
    /// Length of the whole blob in bytes.
    pub blob_bytes: u32,
    /// CRC-32 (ISO-HDLC) of everything behind this field.
    pub crc: u32,
    /// Length of the records, which follow the prefix.
    pub record_bytes: u32,
    /// Offset of the parameters from the start of the blob, a multiple of [`ALIGNMENT`].
    pub parameters_offset: u32,
    /// Length of the parameters in bytes.
    pub parameters_bytes: u32,
}

/// Offset of the first byte that the CRC covers.
pub const CRC_START: usize = 20;

impl Prefix {
    /// Reads the numbers behind the magic. `None` if `bytes` is too short.
    pub const fn read(bytes: &[u8]) -> Option<Self> {
        let Some(prefix) = bytes.first_chunk::<PREFIX_BYTES>() else {
            return None;
        };
        let (words, _) = prefix.as_chunks();
        let [
            _,
            _,
            versions,
            blob_bytes,
            crc,
            record_bytes,
            parameters_offset,
            parameters_bytes,
        ] = *words
        else {
            return None;
        };
        let [format_low, format_high, arithmetic_low, arithmetic_high] = versions;
        Some(Self {
            format_version: u16::from_le_bytes([format_low, format_high]),
            arithmetic_version: u16::from_le_bytes([arithmetic_low, arithmetic_high]),
            blob_bytes: u32::from_le_bytes(blob_bytes),
            crc: u32::from_le_bytes(crc),
            record_bytes: u32::from_le_bytes(record_bytes),
            parameters_offset: u32::from_le_bytes(parameters_offset),
            parameters_bytes: u32::from_le_bytes(parameters_bytes),
        })
    }

    /// The prefix as bytes, magic included.
    pub fn write(&self) -> [u8; PREFIX_BYTES] {
        let mut bytes = [0; PREFIX_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.format_version.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.arithmetic_version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.blob_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.crc.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.record_bytes.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.parameters_offset.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.parameters_bytes.to_le_bytes());
        bytes
    }
}

/// CRC-32 (ISO-HDLC) without a table: a blob is checked once, and 1 KiB of flash is a network.
pub const fn crc32(bytes: &[u8]) -> u32 {
    crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC).checksum(bytes)
}

/// First record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header<'a> {
    /// How activations and weights are multiplied, in the whole network.
    pub product: Product,
    /// Shape of the image.
    pub input: Shape,
    /// The pixel value that means 0, one per channel.
    #[serde(borrow)]
    pub zero: &'a [u8],
    /// Scratch memory that the exporter promises to suffice, in bytes.
    pub arena_bytes: u32,
    /// Number of [`LayerRecord`]s that follow.
    pub layers: u8,
    /// Layers whose whole output is stored ([`Keep::Map`](crate::geometry::Keep)), ascending.
    #[serde(borrow)]
    pub cuts: &'a [u8],
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// What it computes.
    pub op: Op,
    /// What follows its sum; [`Activation::Linear`] where there is none.
    pub activation: Activation,
    /// How its weights are stored.
    pub weights: Weights,
}

/// How a layer's parameters are stored. New formats are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weights {
    /// No parameters.
    None,
    /// Per layer: one `i32` per filter, the bias with the rounding constant of its store added
    /// (the last layer has no store), then the `i16` weights in the order of [`Packing`].
    I16 {
        /// Fractional bits of the weights.
        frac_bits: u8,
    },
    /// Per layer: the biases as above, then an exponent e for each filter in a `u8`, then for each
    /// weight an `i8` q in the order of [`Packing`], filled up to 4 bytes with 0. The weight is
    /// `q * 2^e` ([`weights8`](crate::weights8)).
    I8 {
        /// Fractional bits of the weights, not of q.
        frac_bits: u8,
    },
}

/// How the weights of a layer are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// [`Weights::I16`].
    I16,
    /// [`Weights::I8`].
    I8,
}

impl Weights {
    /// Weights of `frac_bits` fractional bits.
    pub const fn new(storage: Storage, frac_bits: u8) -> Self {
        match storage {
            Storage::I16 => Self::I16 { frac_bits },
            Storage::I8 => Self::I8 { frac_bits },
        }
    }

    /// Storage and fractional bits, if there are weights.
    pub const fn stored(self) -> Option<(Storage, u8)> {
        match self {
            Self::None => None,
            Self::I16 { frac_bits } => Some((Storage::I16, frac_bits)),
            Self::I8 { frac_bits } => Some((Storage::I8, frac_bits)),
        }
    }
}

/// The order of a layer's weights: groups of [`GROUP`] filters (the last may have fewer); in a
/// group kernel row by kernel row; in a row run by run of [`lanes`](Packing::lanes) neighboring
/// elements (the last run is filled up with 0); in a run filter by filter, but for pairs of 8 bits,
/// which are stored two filters by two: the even elements' weights of both, then the odd ones'. A layer
/// with an odd number of weights of 16 bits ends with one more 0.
///
/// One order for all targets. Where all filters read the same elements, a run is a pair: a kernel
/// reads two activations as one word and multiplies it with one word of weights for each filter of
/// the group (`SMLAD`, `pmaddwd`). Filters of a depthwise convolution read neighboring channels, so
/// a run is one element: activations and weights of a group lie side by side at every tap, two to a
/// word, for one multiplication each (`SMLABB` and `SMLATT`, or a vector of four), and a kernel of
/// odd width needs no filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Filters of the layer.
    pub filters: usize,
    /// Kernel rows; the map's rows for a dense layer.
    pub rows: usize,
    /// Elements of one filter's kernel row: `kernel_w * in_channels`, or `kernel_w` if depthwise.
    pub row_elements: usize,
    /// Neighboring elements of one filter that are stored together: 2, or 1 if depthwise.
    pub lanes: usize,
}

impl Packing {
    /// The packing of `op`'s weights over an `input` map; `None` for operations without.
    pub const fn new(op: Op, input: Shape) -> Option<Self> {
        let (rows, row_elements, lanes) = match op {
            Op::Conv { window, .. } => (
                window.kernel_h as usize,
                window.kernel_w as usize * input.channels as usize,
                2,
            ),
            Op::Dense { .. } => (input.height as usize, input.row_elements(), 2),
            Op::Depthwise { window } => (window.kernel_h as usize, window.kernel_w as usize, 1),
            Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add { .. } | Op::Branch { .. } => {
                return None;
            }
        };
        Some(Self {
            filters: op.filters(input),
            rows,
            row_elements,
            lanes,
        })
    }

    /// Elements of one stored row of one filter, the filling of its last run included.
    pub const fn stored_row(self) -> usize {
        match self.lanes {
            2 => self.row_elements.next_multiple_of(2),
            _ => self.row_elements,
        }
    }

    /// Weights as stored in 16 bits, filling included.
    pub const fn stored_weights(self) -> usize {
        let weights = self.weights_in_rows();
        weights.saturating_add(weights % 2)
    }

    /// Weights with the filling of rows, without that of the layer.
    pub(crate) const fn weights_in_rows(self) -> usize {
        self.filters
            .saturating_mul(self.rows)
            .saturating_mul(self.stored_row())
    }

    /// Bytes of the layer's biases and weights.
    pub const fn stored_bytes(self, storage: Storage) -> usize {
        let weights = match storage {
            Storage::I16 => self.stored_weights().saturating_mul(2),
            Storage::I8 => self
                .filters
                .saturating_add(self.weights_in_rows())
                .div_ceil(4)
                .saturating_mul(4),
        };
        self.filters.saturating_mul(4).saturating_add(weights)
    }

    /// Position of one weight among the layer's stored weights.
    pub const fn index(self, storage: Storage, filter: usize, row: usize, element: usize) -> usize {
        let first = filter / GROUP * GROUP;
        let members = if self.filters - first < GROUP {
            self.filters - first
        } else {
            GROUP
        };
        let places = Places::new(storage, self.lanes, filter - first, members);
        let run = row * self.stored_row() / self.lanes + element / self.lanes;
        let in_run = places.first + element % self.lanes * places.stride;
        first * self.rows * self.stored_row() + run * members * self.lanes + in_run
    }
}

/// Where a run of a group has the weights of one filter.
///
/// In 16 bits they lie together. Of pairs in 8 bits, those of two filters do: the even weights, then the
/// odd ones. So the even bytes of a word are one filter's pair, and the odd bytes the other's (`SXTB16`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    first: usize,
    stride: usize,
    lanes: usize,
}

impl Places {
    /// Those of filter `member` of a group of `members`, in runs of `lanes` elements.
    pub(crate) const fn new(storage: Storage, lanes: usize, member: usize, members: usize) -> Self {
        let has_partner = lanes == 2 && member | 1 < members;
        let (first, stride) = match storage {
            Storage::I8 if has_partner => (member / 2 * 4 + member % 2, 2),
            Storage::I8 | Storage::I16 => (member * lanes, 1),
        };
        Self {
            first,
            stride,
            lanes,
        }
    }

    /// The filter's weights in a run.
    pub(crate) fn of<W: Copy>(self, run: &[W]) -> impl Iterator<Item = W> {
        let places = (0..self.lanes).map(move |element| self.first + element * self.stride);
        places.map_while(|place| run.get(place).copied())
    }
}

/// The bytes of a blob file, aligned as [`Model::parse`](crate::Model::parse) needs them.
///
/// The path is relative to the file that invokes the macro, as with [`include_bytes!`].
///
/// ```ignore
/// static BLOB: &[u8] = runtime_nostd::include_blob!("winner.q88");
/// ```
#[macro_export]
macro_rules! include_blob {
    ($path:expr) => {{
        #[repr(C, align(4))]
        struct Aligned<T: ?Sized>(T);
        static BLOB: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &BLOB.0
    }};
}
