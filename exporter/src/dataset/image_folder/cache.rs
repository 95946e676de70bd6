//! The decoded images in one file, so that a folder is decoded once.
//!
//! | bytes | content |
//! | --- | --- |
//! | 8 | magic |
//! | 4 | CRC-32 of everything behind it, little-endian |
//! | 4 | length of the header, little-endian |
//! | that many | the header ([`Header`]), in postcard |
//! | the rest | pixels of all images that could be decoded, HWC, in the order of the listing |
//!
//! Whatever is wrong with the file, or has changed since, means that the images are decoded again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use runtime_nostd::geometry::Shape;
use serde::{Deserialize, Serialize};

use super::super::SkipReason;
use super::decode_all::Decoded;
use super::listing::Listing;
use super::options::{ImageOptions, ImageSize};
use crate::file::write_atomically;

/// Hidden, and so no part of the data set.
const FILE_NAME: &str = ".ea4cnn-cache";
const MAGIC: [u8; 8] = *b"EA4IMG\r\n";
/// Counts changes of the file's layout and of the pixels that a file is decoded to.
const VERSION: u32 = 1;
/// Magic and CRC-32.
const CHECKED_FROM: usize = 12;
/// Before the header.
const PREFIX_BYTES: usize = 16;

/// The cache of one listing with one choice of options.
pub(super) struct Cache {
    pub(super) path: PathBuf,
    key: Key,
    files: usize,
}

/// What the pixels follow from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    version: u32,
    size: Option<ImageSize>,
    gray: bool,
    files: Vec<FileKey>,
}

/// A file that has not changed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileKey {
    /// As the operating system has it, which need not be UTF-8.
    path: Vec<u8>,
    bytes: u64,
    modified: u128,
}

#[derive(Serialize, Deserialize)]
struct Header {
    key: Key,
    shape: Shape,
    skipped: Vec<(usize, SkipReason)>,
}

impl Cache {
    /// The cache in the data set's folder at `root`.
    pub(super) fn of(root: &Path, listing: &Listing, options: &ImageOptions) -> Self {
        let files = listing.files.iter().map(|file| FileKey {
            path: file.path.as_os_str().as_encoded_bytes().to_vec(),
            bytes: file.bytes,
            modified: file.modified,
        });
        Self {
            path: root.join(FILE_NAME),
            key: Key {
                version: VERSION,
                size: options.size,
                gray: options.gray,
                files: files.collect(),
            },
            files: listing.files.len(),
        }
    }

    /// The images, if the file is whole and holds them.
    pub(super) fn read(&self) -> Option<Decoded> {
        let mut bytes = fs::read(&self.path).ok()?;
        let (prefix, rest) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
        let (magic, numbers) = prefix.split_first_chunk()?;
        let (crc, header_bytes) = numbers.split_first_chunk()?;
        let is_whole =
            *magic == MAGIC && u32::from_le_bytes(*crc) == checksum(&bytes[CHECKED_FROM..]);
        let header_bytes = u32::from_le_bytes(*header_bytes.first_chunk()?) as usize;
        let (header, pixels) = rest.split_at_checked(header_bytes)?;
        if !is_whole {
            return None;
        }
        let Header {
            key,
            shape,
            skipped,
        }: Header = postcard::from_bytes(header).ok()?;
        let in_order = skipped.is_sorted_by(|(a, _), (b, _)| a < b)
            && skipped.last().is_none_or(|(last, _)| *last < self.files);
        if !in_order {
            return None;
        }
        let images = self.files - skipped.len();
        if key != self.key || images.checked_mul(shape.elements()) != Some(pixels.len()) {
            return None;
        }
        bytes.drain(..PREFIX_BYTES + header_bytes);
        Some(Decoded {
            shape,
            skipped,
            pixels: bytes,
        })
    }

    /// Keeps `decoded` for the next time.
    pub(super) fn write(self, decoded: &Decoded) -> io::Result<()> {
        let header = Header {
            key: self.key,
            shape: decoded.shape,
            skipped: decoded.skipped.clone(),
        };
        let header = postcard::to_allocvec(&header).map_err(io::Error::other)?;
        let header_bytes = u32::try_from(header.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(PREFIX_BYTES + header.len() + decoded.pixels.len());
        bytes.extend(MAGIC);
        bytes.extend([0; 4]);
        bytes.extend(header_bytes.to_le_bytes());
        bytes.extend(header);
        bytes.extend(&decoded.pixels);
        let crc = checksum(&bytes[CHECKED_FROM..]);
        bytes[MAGIC.len()..CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
        write_atomically(&self.path, &bytes)
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC).checksum(bytes)
}
