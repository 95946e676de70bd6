//! Reading a file that is either plain or gzip, without ever trusting its header: no more is
//! read, and no more memory reserved, than the file proves to hold.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::DatasetError;

/// The most bytes that are unpacked from one gzip file: six times CIFAR-10. A plain file needs no
/// limit, since its length bounds it; a gzip file may be a thousand times larger than it looks.
pub(super) const MAX_UNPACKED_BYTES: u64 = 1 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A file read from its start to its end, unpacked if it is gzip.
pub(super) struct Source {
    path: PathBuf,
    bytes: Box<dyn Read>,
    extent: Extent,
}

/// What is known about the bytes that are still to come.
enum Extent {
    /// A plain file: so many.
    Plain { remaining: u64 },
    /// A gzip file: nothing until they are unpacked.
    Gzip,
}

impl Source {
    /// Opens the file at `path`; gzip is recognized by its magic number.
    pub(super) fn open(path: &Path) -> Result<Self, DatasetError> {
        let read = |reason| DatasetError::Read {
            path: path.to_owned(),
            reason,
        };
        let file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        Self::new(path, BufReader::new(file), length)
    }

    /// Reads a file that is part of the program.
    pub(super) fn bundled(bytes: &'static [u8]) -> Result<Self, DatasetError> {
        Self::new(Path::new("bundled file"), bytes, bytes.len() as u64)
    }

    /// Reads `length` bytes from `packed`; `path` names them in errors.
    fn new(
        path: &Path,
        mut packed: impl BufRead + 'static,
        length: u64,
    ) -> Result<Self, DatasetError> {
        let path = path.to_owned();
        match packed.fill_buf() {
            Ok(start) if start.starts_with(&GZIP_MAGIC) => Ok(Self {
                path,
                bytes: Box::new(MultiGzDecoder::new(packed)),
                extent: Extent::Gzip,
            }),
            Ok(_) => Ok(Self {
                path,
                bytes: Box::new(packed),
                extent: Extent::Plain { remaining: length },
            }),
            Err(reason) => Err(DatasetError::Read { path, reason }),
        }
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next `N` bytes, which hold `field`.
    pub(super) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], DatasetError> {
        let bytes = self.up_to(N as u64, N)?;
        if let Extent::Plain { remaining } = &mut self.extent {
            *remaining = remaining.saturating_sub(N as u64);
        }
        <[u8; N]>::try_from(bytes.as_slice())
            .map_err(|_| self.truncated(field, N as u64, bytes.len() as u64))
    }

    /// All bytes up to the end of the file: `field`, of which the header promises `expected` bytes.
    ///
    /// # Errors
    /// Any other number of bytes, found before memory is reserved for them (plain) or while the
    /// memory grows with what is unpacked (gzip).
    pub(super) fn rest(
        mut self,
        field: &'static str,
        expected: u64,
    ) -> Result<Vec<u8>, DatasetError> {
        let reserved = match self.extent {
            Extent::Plain { remaining } if remaining < expected => {
                return Err(self.truncated(field, expected, remaining));
            }
            Extent::Plain { remaining } if remaining > expected => {
                return Err(self.trailing(field, expected));
            }
            Extent::Plain { remaining } => remaining,
            Extent::Gzip if expected > MAX_UNPACKED_BYTES => {
                return Err(DatasetError::UnpackedTooLarge {
                    path: self.path,
                    field,
                    expected,
                    limit: MAX_UNPACKED_BYTES,
                });
            }
            Extent::Gzip => 0,
        };
        // One byte more than promised shows whether the file ends there; for gzip it also makes the
        // decoder check the CRC that follows the data.
        let mut bytes = self.up_to(
            expected.saturating_add(1),
            usize::try_from(reserved).unwrap_or(usize::MAX),
        )?;
        let found = bytes.len() as u64;
        if found < expected {
            Err(self.truncated(field, expected, found))
        } else if found > expected {
            Err(self.trailing(field, expected))
        } else {
            bytes.shrink_to_fit();
            Ok(bytes)
        }
    }

    /// The next `limit` bytes, or fewer where the file ends.
    fn up_to(&mut self, limit: u64, reserved: usize) -> Result<Vec<u8>, DatasetError> {
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(reserved)
            .map_err(|error| self.unreadable(error.into()))?;
        self.bytes
            .by_ref()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| self.unreadable(error))?;
        Ok(bytes)
    }

    fn unreadable(&self, reason: io::Error) -> DatasetError {
        let path = self.path.clone();
        match self.extent {
            Extent::Plain { .. } => DatasetError::Read { path, reason },
            Extent::Gzip => DatasetError::Gzip { path, reason },
        }
    }

    fn truncated(&self, field: &'static str, expected: u64, found: u64) -> DatasetError {
        DatasetError::Truncated {
            path: self.path.clone(),
            field,
            expected,
            found,
        }
    }

    fn trailing(&self, field: &'static str, expected: u64) -> DatasetError {
        DatasetError::Trailing {
            path: self.path.clone(),
            field,
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::read::GzEncoder;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        GzEncoder::new(data, Compression::best())
            .read_to_end(&mut packed)
            .expect("reads from memory");
        packed
    }

    fn source(bytes: Vec<u8>) -> Source {
        let length = bytes.len() as u64;
        Source::new(Path::new("file"), io::Cursor::new(bytes), length).expect("reads from memory")
    }

    fn message<T>(result: Result<T, DatasetError>) -> String {
        result.err().expect("must be refused").to_string()
    }

    #[test]
    fn plain_and_gzip_give_the_same_bytes() {
        for bytes in [b"head and rest".to_vec(), gzip(b"head and rest")] {
            let mut source = source(bytes);
            assert_eq!(source.array("head").expect("is there"), *b"head");
            assert_eq!(source.rest("rest", 9).expect("is there"), b" and rest");
        }
    }

    #[test]
    fn another_length_than_promised_is_refused() {
        for bytes in [b"12345".to_vec(), gzip(b"12345")] {
            assert_eq!(
                message(source(bytes.clone()).rest("pixels", 6)),
                "file: truncated: 6 bytes of pixels expected, 5 found; fetch the file again"
            );
            assert_eq!(
                message(source(bytes.clone()).rest("pixels", 4)),
                "file: more data than the 4 bytes of pixels expected; the file is damaged: \
                 fetch it again"
            );
            assert_eq!(
                message(source(bytes).array::<8>("header")),
                "file: truncated: 8 bytes of header expected, 5 found; fetch the file again"
            );
        }
    }

    #[test]
    fn a_forged_length_reserves_no_memory() {
        // Reserving this much would end the process.
        let forged = u64::MAX / 4;
        assert!(message(source(b"12345".to_vec()).rest("pixels", forged)).contains("truncated"));
        assert_eq!(
            message(source(gzip(b"12345")).rest("pixels", forged)),
            format!(
                "file: the header promises {forged} bytes of pixels, and more than 1073741824 are \
                 not unpacked from a gzip file; if the file is genuine, unpack it with gunzip"
            )
        );
    }

    #[test]
    fn a_gzip_bomb_is_read_no_further_than_promised() {
        // Without end: reading on would never return.
        let endless = GzEncoder::new(io::repeat(0), Compression::best());
        let bomb = Source::new(Path::new("bomb"), BufReader::new(endless), 1).expect("is gzip");
        assert!(message(bomb.rest("pixels", 100)).starts_with("bomb: more data than the 100"));
    }

    #[test]
    fn damaged_gzip_is_refused() {
        let good = gzip(b"12345");
        let cut = good[..good.len() - 3].to_vec();
        let mut wrong_crc = good.clone();
        let crc = good.len() - 8;
        wrong_crc[crc] ^= 1;
        let mut more = good;
        more.extend_from_slice(b"more");
        for bytes in [cut, wrong_crc, more] {
            let text = message(source(bytes).rest("pixels", 5));
            assert!(text.starts_with("file: damaged gzip data ("), "{text}");
            assert!(text.ends_with("); fetch the file again"), "{text}");
        }
    }
}
