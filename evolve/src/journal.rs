//! The journal of a run: append-only, framed, checksummed.
//!
//! ```text
//! magic (8 bytes), version (u32), frame*
//! frame: length (u32), CRC-32 of the length and the payload (u32), payload
//! ```
//!
//! Numbers are little-endian. A frame is on disk before [`Journal::append`] returns. Opening a
//! journal keeps the whole frames up to the first that is not: what a kill, a power loss or a full
//! disk tore off is computed again, with the same result.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

const MAGIC: [u8; 8] = *b"EA4RUN\r\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 12;
const FRAME_BYTES: usize = 8;

/// An open journal. The file is locked against other processes for as long as it is open.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Length of the header and all whole frames.
    length: u64,
}

/// What [`Journal::open`] found.
#[derive(Debug)]
pub struct Recovered {
    /// The journal, ready to append.
    pub journal: Journal,
    /// The payloads of all whole frames, oldest first.
    pub frames: Vec<Vec<u8>>,
    /// Bytes behind them that were cut off: a frame that was being written, or damage.
    pub dropped_bytes: u64,
}

/// Why a journal cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The operating system refuses. Frames appended before are safe.
    #[error("{}: {source}", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{}: another process is working on this run", path.display())]
    Locked {
        /// The journal.
        path: PathBuf,
    },
    /// Something else than a journal.
    #[error("{}: not the journal of a run, or damaged in its first bytes", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A journal of another version.
    #[error("{}: journal of version {found}, this program reads {VERSION}", path.display())]
    Version {
        /// The journal.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl Journal {
    /// Starts an empty journal.
    ///
    /// # Errors
    /// There is a file at `path` already, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let mut file = options.open(path).map_err(|source| at(path, source))?;
        lock(&file, path)?;
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        file.write_all(&header)
            .and_then(|()| file.sync_all())
            .map_err(|source| at(path, source))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: HEADER_BYTES as u64,
        })
    }

    /// Opens a journal, reads its frames, and cuts off what is not whole.
    ///
    /// # Errors
    /// No journal, of another version, locked, or not readable and writable.
    pub fn open(path: &Path) -> Result<Recovered, JournalError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut file = options.open(path).map_err(|source| at(path, source))?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|source| at(path, source))?;
        let Some(rest) = bytes.strip_prefix(&MAGIC) else {
            return Err(JournalError::NotAJournal { path: path.into() });
        };
        match rest.first_chunk().map(|&found| u32::from_le_bytes(found)) {
            Some(VERSION) => {}
            Some(found) => {
                let path = path.to_owned();
                return Err(JournalError::Version { path, found });
            }
            None => return Err(JournalError::NotAJournal { path: path.into() }),
        }
        let mut frames = Vec::new();
        let mut rest = &bytes[HEADER_BYTES..];
        while let Some((payload, behind)) = whole_frame(rest) {
            frames.push(payload.to_vec());
            rest = behind;
        }
        let length = (bytes.len() - rest.len()) as u64;
        let mut journal = Self {
            file,
            path: path.to_owned(),
            length,
        };
        journal.cut().map_err(|source| at(path, source))?;
        Ok(Recovered {
            journal,
            frames,
            dropped_bytes: rest.len() as u64,
        })
    }

    /// Appends a frame and waits until it is on disk.
    ///
    /// # Errors
    /// The file cannot be written. What was appended before stays whole.
    pub fn append(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        let length = (payload.len() as u32).to_le_bytes();
        let mut frame = Vec::with_capacity(FRAME_BYTES + payload.len());
        frame.extend(length);
        frame.extend(checksum(length, payload).to_le_bytes());
        frame.extend(payload);
        let written = self
            .file
            .write_all(&frame)
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Best effort: opening the journal cuts the torn frame off as well.
            let _ = self.cut();
            return Err(at(&self.path, source));
        }
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Cuts the file behind the last whole frame and goes there.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        Ok(())
    }
}

/// The payload of the frame at the start of `bytes` and what follows it; `None` if it is not whole.
fn whole_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first_chunk::<4>()?;
    let (&crc, rest) = rest.split_first_chunk::<4>()?;
    let (payload, rest) = rest.split_at_checked(u32::from_le_bytes(length) as usize)?;
    (u32::from_le_bytes(crc) == checksum(length, payload)).then_some((payload, rest))
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    digest.update(&length);
    digest.update(payload);
    digest.finalize()
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::Locked { path: path.into() },
        TryLockError::Error(source) => at(path, source),
    })
}

fn at(path: &Path, source: io::Error) -> JournalError {
    let path = path.to_owned();
    JournalError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(path: &Path, payloads: &[Vec<u8>]) {
        let mut journal = Journal::create(path).unwrap();
        for payload in payloads {
            journal.append(payload).unwrap();
        }
    }

    #[test]
    fn a_second_process_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let _first = Journal::create(&path).unwrap();
        assert!(matches!(
            Journal::open(&path),
            Err(JournalError::Locked { .. })
        ));
    }

    #[test]
    fn an_existing_journal_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path, &[vec![1]]);
        assert!(matches!(
            Journal::create(&path),
            Err(JournalError::Io { .. })
        ));
    }

    #[test]
    fn another_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path, &[]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 7;
        std::fs::write(&path, bytes).unwrap();
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("journal of version 7, this program reads 1"),
            "{error}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever happens to a journal, the frames that are read are the first that were written.
        #[test]
        fn damage_costs_frames_but_never_changes_them(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5),
            at in any::<prop::sample::Index>(),
            damage in prop_oneof![Just(None), (1..=255u8).prop_map(Some)],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            written(&path, &payloads);
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            match damage {
                Some(flip) => bytes[at] ^= flip,
                None => bytes.truncate(at),
            }
            std::fs::write(&path, bytes).unwrap();
            match Journal::open(&path) {
                Ok(Recovered { mut journal, frames, .. }) => {
                    prop_assert!(at >= HEADER_BYTES);
                    prop_assert!(payloads.starts_with(&frames));
                    // It goes on as if the damage had never been.
                    journal.append(b"next").unwrap();
                    drop(journal);
                    let mut expected = frames;
                    expected.push(b"next".to_vec());
                    prop_assert_eq!(Journal::open(&path).unwrap().frames, expected);
                }
                Err(error) => {
                    prop_assert!(at < HEADER_BYTES, "{}", error);
                }
            }
        }
    }
}
