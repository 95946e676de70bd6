//! Sections that may follow the parameters of a blob: what the network is, and golden vectors.

use runtime_nostd::blob::{CRC_START, PREFIX_BYTES, Prefix, crc32};
use runtime_nostd::sections::{GOLDEN, MAX_METADATA_BYTES, METADATA};
use runtime_nostd::{InferError, Model, ParseError};
use thiserror::Error;

use crate::network::Network;
use crate::write::Blob;

/// Why a section cannot be appended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SectionError {
    /// Class names and provenance are too long.
    #[error(
        "class names and provenance have {bytes} bytes, at most {MAX_METADATA_BYTES} fit a blob: shorten them or leave the metadata out"
    )]
    MetadataTooLong {
        /// Their length.
        bytes: usize,
    },
    /// The whole exceeds 4 GiB.
    #[error("the blob would exceed 4 GiB")]
    TooLarge,
    /// The blob is none.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// An image of the wrong length.
    #[error(transparent)]
    Infer(#[from] InferError),
}

/// Appends what `network` is: its provenance with the exporter's version, and the names of its
/// classes, one to a line.
///
/// # Errors
/// They are too long.
pub fn append_metadata(blob: &Blob, network: &Network) -> Result<Blob, SectionError> {
    let provenance = format!(
        "{}; exporter {}",
        network.provenance,
        env!("CARGO_PKG_VERSION")
    );
    let lines = [&provenance].into_iter().chain(&network.classes);
    let lines: Vec<String> = lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let text = lines.join("\n");
    if text.len() > MAX_METADATA_BYTES {
        return Err(SectionError::MetadataTooLong { bytes: text.len() });
    }
    append(blob, METADATA, text.as_bytes())
}

/// Appends golden vectors: `images`, each one image of the network's input, and the logits that this
/// machine computes for them.
///
/// # Errors
/// The blob is none, or an image has the wrong length.
pub fn append_golden(blob: &Blob, images: &[&[u8]]) -> Result<Blob, SectionError> {
    let model: Model<'_> = blob.model()?;
    let mut scratch = vec![0; model.arena_bytes() / 4];
    let count = u32::try_from(images.len()).map_err(|_| SectionError::TooLarge)?;
    let mut bytes = count.to_le_bytes().to_vec();
    for image in images {
        let logits = model.infer(&mut scratch, image)?;
        bytes.extend(logits.raw().iter().flat_map(|raw| raw.to_le_bytes()));
    }
    bytes.extend(images.concat());
    append(blob, GOLDEN, &bytes)
}

/// Appends one section, and makes length and checksum fit.
fn append(blob: &Blob, tag: [u8; 4], section: &[u8]) -> Result<Blob, SectionError> {
    let length = |bytes: usize| u32::try_from(bytes).map_err(|_| SectionError::TooLarge);
    let mut bytes = blob.as_bytes().to_vec();
    bytes.extend(tag);
    bytes.extend(length(section.len())?.to_le_bytes());
    bytes.extend(section);
    bytes.resize(bytes.len().next_multiple_of(4), 0);

    let mut prefix = Prefix::read(&bytes).ok_or(ParseError::TooShort { bytes: 0 })?;
    prefix.blob_bytes = length(bytes.len())?;
    bytes[..PREFIX_BYTES].copy_from_slice(&prefix.write());
    prefix.crc = crc32(&bytes[CRC_START..]);
    bytes[..PREFIX_BYTES].copy_from_slice(&prefix.write());
    let blob = Blob::from_bytes(&bytes);
    blob.model()?;
    Ok(blob)
}
