//! The journal of a run: append-only, framed, checksummed.
//!
//! ```text
//! magic (8 bytes), version (u32), frame+
//! frame: length (u32), CRC-32 of the length and the payload (u32), payload
//! ```
//!
//! Numbers are little-endian. A journal appears with its first frame, whole or not at all. A frame
//! is on disk before [`Journal::append`] returns. Opening a journal keeps the whole frames up to the
//! first that is not: what a kill, a power loss or a full disk tore off is computed again, with the
//! same result.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

const MAGIC: [u8; 8] = *b"EA4RUN\r\n";
const VERSION: u32 = 1;
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
    /// The payloads of all whole frames, oldest first; one at least.
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
    /// There is none.
    #[error(
        "{}: no such journal: there is no run in this folder, or it was stopped before it began; \
         start it (again)",
        path.display()
    )]
    Missing {
        /// The journal.
        path: PathBuf,
    },
    /// There is one already.
    #[error(
        "{}: there is a run in this folder: resume it, or choose another folder",
        path.display()
    )]
    Exists {
        /// The journal.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{}: another process is working on this run", path.display())]
    Locked {
        /// The journal.
        path: PathBuf,
    },
    /// Something else than a journal.
    #[error(
        "{}: not the journal of a run, or damaged in its first record, without which nothing \
         behind it can be used: start a new run",
        path.display()
    )]
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
    /// Starts a journal with its first frame.
    ///
    /// # Errors
    /// There is a journal at `path` already, or it cannot be written.
    pub fn create(path: &Path, first: &[u8]) -> Result<Self, JournalError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&partial);
        let mut file = file.map_err(|source| at(&partial, source))?;
        // Locked before it has its name. Whoever holds this lock while there is no journal is the
        // only one who can make one.
        lock(&file, path)?;
        if path.exists() {
            // Best effort: under this name it means nothing.
            let _ = fs::remove_file(&partial);
            return Err(JournalError::Exists { path: path.into() });
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(frame(first));
        file.set_len(0)
            .and_then(|()| file.write_all(&bytes))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&partial, path))
            .and_then(|()| sync_folder(path))
            .map_err(|source| at(path, source))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: bytes.len() as u64,
        })
    }

    /// Opens a journal, reads its frames, and cuts off what is not whole.
    ///
    /// # Errors
    /// No journal, of another version, without a whole first frame, locked, or not readable and
    /// writable. Nothing is cut off then.
    pub fn open(path: &Path) -> Result<Recovered, JournalError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut file = options.open(path).map_err(|source| opening(path, source))?;
        lock(&file, path)?;
        let (frames, length, dropped_bytes) = read_frames(&mut file, path)?;
        let mut journal = Self {
            file,
            path: path.to_owned(),
            length,
        };
        journal.cut().map_err(|source| at(path, source))?;
        Ok(Recovered {
            journal,
            frames,
            dropped_bytes,
        })
    }

    /// The whole frames of a journal that another process may be writing.
    ///
    /// # Errors
    /// As [`Journal::open`], but for the lock.
    pub fn read(path: &Path) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut file = File::open(path).map_err(|source| opening(path, source))?;
        Ok(read_frames(&mut file, path)?.0)
    }

    /// Appends a frame and waits until it is on disk.
    ///
    /// # Errors
    /// The file cannot be written. What was appended before stays whole.
    pub fn append(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        let frame = frame(payload);
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

/// The whole frames of a journal, the bytes up to their end, and the bytes behind them.
type Frames = (Vec<Vec<u8>>, u64, u64);

fn read_frames(file: &mut File, path: &Path) -> Result<Frames, JournalError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(|source| at(path, source))?;
    let not_a_journal = || JournalError::NotAJournal { path: path.into() };
    let rest = bytes.strip_prefix(&MAGIC).ok_or_else(not_a_journal)?;
    let (version, mut rest) = rest.split_first_chunk().ok_or_else(not_a_journal)?;
    let found = u32::from_le_bytes(*version);
    if found != VERSION {
        let path = path.to_owned();
        return Err(JournalError::Version { path, found });
    }
    let mut frames = Vec::new();
    while let Some((payload, behind)) = whole_frame(rest) {
        frames.push(payload.to_vec());
        rest = behind;
    }
    if frames.is_empty() {
        return Err(not_a_journal());
    }
    let dropped = rest.len() as u64;
    Ok((frames, bytes.len() as u64 - dropped, dropped))
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let mut frame = Vec::with_capacity(FRAME_BYTES + payload.len());
    frame.extend(length);
    frame.extend(checksum(length, payload).to_le_bytes());
    frame.extend(payload);
    frame
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

/// Makes a new name in the folder of `path` survive a power loss.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn opening(path: &Path, source: io::Error) -> JournalError {
    match source.kind() {
        io::ErrorKind::NotFound => JournalError::Missing { path: path.into() },
        _ => at(path, source),
    }
}

fn at(path: &Path, source: io::Error) -> JournalError {
    let path = path.to_owned();
    JournalError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: &[u8] = b"first";
    /// Magic, version and first frame.
    const START_BYTES: usize = 12 + FRAME_BYTES + FIRST.len();

    fn written(path: &Path, payloads: &[Vec<u8>]) {
        let mut journal = Journal::create(path, FIRST).unwrap();
        for payload in payloads {
            journal.append(payload).unwrap();
        }
    }

    #[test]
    fn a_second_process_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let _first = Journal::create(&path, FIRST).unwrap();
        assert!(matches!(
            Journal::open(&path),
            Err(JournalError::Locked { .. })
        ));
        assert_eq!(Journal::read(&path).unwrap(), [FIRST]);
    }

    #[test]
    fn an_existing_journal_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path, &[vec![1]]);
        let before = fs::read(&path).unwrap();
        assert!(matches!(
            Journal::create(&path, b"other"),
            Err(JournalError::Exists { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path, &[]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[8] = 7;
        fs::write(&path, bytes).unwrap();
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
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            match damage {
                Some(flip) => bytes[at] ^= flip,
                None => bytes.truncate(at),
            }
            fs::write(&path, &bytes).unwrap();
            let damaged = bytes;
            match Journal::open(&path) {
                Ok(Recovered { mut journal, frames, .. }) => {
                    prop_assert!(at >= START_BYTES);
                    prop_assert_eq!(&frames[0], FIRST);
                    prop_assert!(payloads.starts_with(&frames[1..]));
                    // It goes on as if the damage had never been.
                    journal.append(b"next").unwrap();
                    drop(journal);
                    let mut expected = frames;
                    expected.push(b"next".to_vec());
                    prop_assert_eq!(Journal::open(&path).unwrap().frames, expected);
                }
                Err(error) => {
                    prop_assert!(at < START_BYTES, "{}", error);
                    // What nobody could read stays as it is.
                    prop_assert_eq!(fs::read(&path).unwrap(), damaged);
                }
            }
        }
    }
}
