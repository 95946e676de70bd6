//! Comparing a device's dump of one image with what this machine computes: the first layer,
//! position and channel that differ.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use runtime_nostd::{DUMP_VERSION, InferError, Model, Observer, Row};
use thiserror::Error;

/// Everything computed for one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Rows of activations by layer and row, `[width, channels]`.
    rows: BTreeMap<(usize, usize), Vec<i16>>,
    logits: Vec<i32>,
}

/// Why a dump cannot be compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The text has no line `dump VERSION CRC`.
    #[error("not a dump: it has no line `dump {DUMP_VERSION} CRC`")]
    NotADump,
    /// A dump of another version.
    #[error("dump of version {0}, this program reads {DUMP_VERSION}")]
    Version(u32),
    /// A dump made with another blob.
    #[error("the dump was made with the blob of CRC-32 {found:08x}, this one has {expected:08x}")]
    OtherBlob {
        /// The dump's.
        found: u32,
        /// The given blob's.
        expected: u32,
    },
    /// A line that cannot be read.
    #[error("line {line} of the dump is malformed")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// The dump ends before the logits.
    #[error("the dump ends before the logits")]
    Truncated,
    /// The image does not fit the network.
    #[error(transparent)]
    Infer(#[from] InferError),
}

/// The first difference, in the order of the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only one of the two has this row, or it has another length there.
    Row {
        /// The layer, from 0.
        layer: usize,
        /// The row of its output.
        y: usize,
    },
    /// One activation.
    Activation {
        /// The layer, from 0.
        layer: usize,
        /// The row of its output.
        y: usize,
        /// The column.
        x: usize,
        /// The channel.
        channel: usize,
        /// What the device computed, raw.
        device: i16,
        /// What this machine computed, raw.
        host: i16,
    },
    /// The rows agree, but not the logits.
    Logits,
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { layer, y } => write!(
                f,
                "layer {layer}, row {y}: only in the dump, missing there, or of another length"
            ),
            Self::Activation {
                layer,
                y,
                x,
                channel,
                device,
                host,
            } => write!(
                f,
                "layer {layer}, row {y}, column {x}, channel {channel}: {device} on the device, {host} here"
            ),
            Self::Logits => f.write_str("all rows agree, the logits differ"),
        }
    }
}

impl Rows {
    /// What this machine computes for one image.
    ///
    /// # Errors
    /// `pixels` have the wrong length.
    pub fn of_host(model: &Model<'_>, pixels: &[u8]) -> Result<Self, DumpError> {
        let mut rows = Self::default();
        let mut scratch = vec![0; model.arena_bytes() / 4];
        let logits = model.infer_with(&mut scratch, pixels, &mut rows)?;
        rows.logits = logits.raw().to_vec();
        Ok(rows)
    }

    /// What a dump says, made with the blob of this CRC-32. Lines before the dump and of other
    /// programs between its own are passed over.
    ///
    /// # Errors
    /// It is none, incomplete, or of another blob ([`DumpError`]).
    pub fn of_dump(dump: &str, blob_crc: u32) -> Result<Self, DumpError> {
        let mut lines = dump.lines().enumerate();
        let head = lines.find_map(|(_, line)| line.trim().strip_prefix("dump "));
        let (version, crc) = head
            .and_then(|head| head.split_once(' '))
            .ok_or(DumpError::NotADump)?;
        let version = version.parse().map_err(|_| DumpError::NotADump)?;
        if version != DUMP_VERSION {
            return Err(DumpError::Version(version));
        }
        let found = u32::from_str_radix(crc, 16).map_err(|_| DumpError::NotADump)?;
        if found != blob_crc {
            let expected = blob_crc;
            return Err(DumpError::OtherBlob { found, expected });
        }
        let mut rows = Self::default();
        for (index, line) in lines {
            let malformed = || DumpError::Line { line: index + 1 };
            if let Some(row) = line.trim().strip_prefix("row ") {
                let (key, activations) = read_row(row).ok_or_else(malformed)?;
                rows.rows.insert(key, activations);
            } else if let Some(logits) = line.trim().strip_prefix("logits ") {
                let logits = read_hex(logits, 8).ok_or_else(malformed)?;
                rows.logits = logits.map(|bits| bits as i32).collect();
                return Ok(rows);
            }
        }
        Err(DumpError::Truncated)
    }

    /// The first difference between a device's rows, `self`, and the `host`'s; `None` if they agree.
    pub fn first_difference(&self, host: &Self, model: &Model<'_>) -> Option<Difference> {
        for (&(layer, y), expected) in &host.rows {
            let missing = Difference::Row { layer, y };
            let Some(found) = self.rows.get(&(layer, y)) else {
                return Some(missing);
            };
            if found.len() != expected.len() {
                return Some(missing);
            }
            let different = found.iter().zip(expected).position(|(a, b)| a != b);
            if let Some(position) = different {
                let channels = usize::from(model.layers()[layer].output().channels);
                return Some(Difference::Activation {
                    layer,
                    y,
                    x: position / channels,
                    channel: position % channels,
                    device: found[position],
                    host: expected[position],
                });
            }
        }
        let additional = self.rows.keys().find(|key| !host.rows.contains_key(key));
        if let Some(&(layer, y)) = additional {
            return Some(Difference::Row { layer, y });
        }
        (self.logits != host.logits).then_some(Difference::Logits)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows, as in a network of a single layer.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Observer for Rows {
    fn row(&mut self, row: Row<'_>) {
        let key = (row.layer, row.y);
        self.rows.insert(key, row.activations.to_vec());
    }
}

/// `LAYER ROW ACTIVATIONS`.
fn read_row(line: &str) -> Option<((usize, usize), Vec<i16>)> {
    let mut words = line.split(' ');
    let key = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let activations = read_hex(words.next()?, 4)?
        .map(|bits| bits as i16)
        .collect();
    words.next().is_none().then_some((key, activations))
}

/// Numbers of `digits` hexadecimal digits each, without separators.
fn read_hex(text: &str, digits: usize) -> Option<impl Iterator<Item = u32>> {
    let numbers = text.as_bytes().chunks(digits).map(|number| {
        let number = str::from_utf8(number).ok()?;
        let valid = number.len() == digits && !number.starts_with('+');
        valid.then(|| u32::from_str_radix(number, 16).ok())?
    });
    let numbers: Option<Vec<u32>> = numbers.collect();
    Some(numbers?.into_iter())
}
