//! The trained network's file: magic, version, CRC-32, then the [`Network`] in `postcard`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use runtime_nostd::blob::crc32;
use thiserror::Error;

use crate::network::{Network, NetworkError};

/// First bytes of every network file.
const MAGIC: [u8; 8] = *b"EA4NET\r\n";

/// Version of the file's layout, [`Network`]'s serialization included.
pub const NETWORK_VERSION: u32 = 1;

/// Magic, version and CRC-32, each of the two a little-endian `u32`.
const PREFIX_BYTES: usize = 16;

/// Why a network file cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Something else than a network file.
    #[error(
        "{}: not a network file: their names end in .network, a blob is made of one, and `exporter \
         import` makes one of an ONNX model", path.display()
    )]
    NotANetwork {
        /// The file.
        path: PathBuf,
    },
    /// A file of another version.
    #[error(
        "{}: network file of version {found}, this program reads {NETWORK_VERSION}",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Truncated or changed since it was written.
    #[error("{}: truncated or corrupted (the checksum does not fit)", path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
    },
    /// Whole, but what it says is impossible.
    #[error("{}: {source}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: NetworkError,
    },
}

/// Writes `network` to `path`, so that the file is either whole or not there.
///
/// # Errors
/// [`FileError::Io`].
pub fn write_network(network: &Network, path: &Path) -> Result<(), FileError> {
    write_atomically(path, &to_bytes(network)).map_err(|source| FileError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The bytes of a network file.
pub fn to_bytes(network: &Network) -> Vec<u8> {
    let body = postcard::to_allocvec(network).expect("plain data serializes to memory");
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + body.len());
    bytes.extend(MAGIC);
    bytes.extend(NETWORK_VERSION.to_le_bytes());
    bytes.extend(crc32(&body).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Reads and checks a network file.
///
/// # Errors
/// Any [`FileError`].
pub fn read_network(path: &Path) -> Result<Network, FileError> {
    let bytes = fs::read(path).map_err(|source| FileError::Io {
        path: path.to_owned(),
        source,
    })?;
    from_bytes(&bytes, path)
}

/// Reads and checks the bytes of a network file; `path` is what errors name.
///
/// # Errors
/// Any [`FileError`] but [`FileError::Io`].
pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Network, FileError> {
    let path = || path.to_owned();
    let Some(rest) = bytes.strip_prefix(&MAGIC) else {
        return Err(FileError::NotANetwork { path: path() });
    };
    let number = |at: usize| Some(u32::from_le_bytes(*rest.get(at..)?.first_chunk()?));
    let corrupted = || FileError::Corrupted { path: path() };
    let found = number(0).ok_or_else(corrupted)?;
    if found != NETWORK_VERSION {
        return Err(FileError::Version {
            path: path(),
            found,
        });
    }
    let body = rest.get(8..).ok_or_else(corrupted)?;
    if number(4) != Some(crc32(body)) {
        return Err(corrupted());
    }
    let network: Network = postcard::from_bytes(body).map_err(|_| corrupted())?;
    network.check().map_err(|source| FileError::Network {
        path: path(),
        source,
    })?;
    Ok(network)
}

/// Writes a file beside `path` and renames it once it is on disk: whoever reads it sees the old
/// bytes or the new ones, also after a power loss. A link stays one, to the new file; into a device or a
/// pipe the bytes are just written.
///
/// # Errors
/// Those of the file system.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    if fs::metadata(path).is_ok_and(|existing| !existing.is_file() && !existing.is_dir()) {
        return fs::write(path, bytes);
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// As [`File::create`], but says which of file and folder is missing.
fn create(path: &Path) -> io::Result<File> {
    File::create(path).map_err(|error| missing_folder(path).unwrap_or(error))
}

/// Refuses a path in a folder that is not there, before time is spent on what is to be written.
///
/// # Errors
/// [`FileError::Io`].
pub fn check_folder(path: &Path) -> Result<(), FileError> {
    match missing_folder(path) {
        None => Ok(()),
        Some(source) => Err(FileError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

fn missing_folder(path: &Path) -> Option<io::Error> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""))?;
    let what = format!("there is no folder {}; create it first", folder.display());
    (!folder.exists()).then(|| io::Error::new(io::ErrorKind::NotFound, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Input, Layer, Parameters};
    use proptest::prelude::*;
    use runtime_nostd::geometry::{Activation, Op, Shape};

    fn network() -> Network {
        Network {
            input: Input {
                shape: Shape::new(2, 1, 1),
                zero: vec![3],
            },
            layers: vec![Layer {
                op: Op::Dense { outputs: 2 },
                activation: Activation::Linear,
                parameters: Some(Parameters {
                    weights: vec![0.5, -1.0, 2.0, 1e-9],
                    bias: vec![0.25, -0.0],
                    norm: None,
                }),
            }],
            classes: vec!["yes".into(), "no".into()],
            provenance: "a test".into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let read = from_bytes(&to_bytes(&network()), Path::new("x")).expect("whole");
        assert_eq!(read, network());
    }

    #[test]
    fn a_blob_is_not_a_network() {
        let error = from_bytes(b"EA4CNN\r\n....", Path::new("winner.q88")).unwrap_err();
        assert!(matches!(error, FileError::NotANetwork { .. }));
        assert!(error.to_string().starts_with("winner.q88: "));
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = to_bytes(&network());
        bytes[8] = 9;
        let error = from_bytes(&bytes, Path::new("x")).unwrap_err().to_string();
        assert_eq!(error, "x: network file of version 9, this program reads 1");
    }

    proptest! {
        #[test]
        fn changed_bytes_are_refused(at in 0..usize::MAX, flip in 1..=255u8) {
            let mut bytes = to_bytes(&network());
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(from_bytes(&bytes, Path::new("x")).is_err());
        }

        #[test]
        fn truncations_are_refused(length in 0..usize::MAX) {
            let bytes = to_bytes(&network());
            prop_assert!(from_bytes(&bytes[..length % bytes.len()], Path::new("x")).is_err());
        }
    }
}
