//! What loading a data set tells while it goes on, and what it leaves out.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Fewer images of a class than this are worth a word.
pub const FEW_IMAGES: usize = 10;

/// The most skipped files that a message lists.
const MOST_LISTED: usize = 20;

/// Is told how the loading of a data set goes on; called from any thread.
pub trait LoadObserver: Sync {
    /// Image files are to be decoded, in so many steps.
    fn decoding_starts(&self, steps: usize);
    /// One of the steps is done.
    fn decoding_steps(&self);
    /// All files are decoded.
    fn decoding_done(&self);
    /// Something that the user should know and that stops nothing.
    fn tell(&self, notice: &Notice);
}

/// Nobody is told.
impl LoadObserver for () {
    fn decoding_starts(&self, _: usize) {}
    fn decoding_steps(&self) {}
    fn decoding_done(&self) {}
    fn tell(&self, _: &Notice) {}
}

/// Something that the user should know and that stops nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Notice {
    /// Files that are not part of the data set.
    #[error("left out, as they cannot be used (--strict refuses them): {0}")]
    Skipped(SkippedFiles),
    /// A class that is too small to learn much of it.
    #[error("few images of class {class}, {images} in number: add some, to {FEW_IMAGES} at least")]
    FewImages {
        /// Name of the class.
        class: String,
        /// Images of it.
        images: usize,
    },
    /// The decoded images cannot be kept for the next time.
    #[error(
        "{path}: the decoded images cannot be kept here ({reason}): they are decoded again each time"
    )]
    CacheNotWritten {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
}

/// A file or folder that is not part of the data set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its path inside the data set's folder.
    pub path: PathBuf,
    /// What keeps it out.
    pub reason: SkipReason,
}

/// What keeps a file or folder out of a data set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SkipReason {
    /// The operating system refuses to read it.
    #[error("cannot be read ({0})")]
    Unreadable(String),
    /// A file of 0 bytes.
    #[error("empty")]
    Empty,
    /// The content is of another format, whatever the name says.
    #[error("no PNG, JPEG or BMP file")]
    OtherFormat,
    /// Larger than is read or decoded.
    #[error("too large ({0})")]
    TooLarge(String),
    /// The decoder refuses the content.
    #[error("damaged or not supported ({0})")]
    Damaged(String),
    /// The end is missing.
    #[error("cut off: it has no end-of-image marker")]
    CutOff,
    /// A pipe, a device or the like.
    #[error("neither a file nor a folder")]
    Special,
    /// A link to a folder, which could lead in a circle.
    #[error("a link to a folder; links to files are followed")]
    FolderLink,
    /// A folder beside `train` and `test`.
    #[error("a folder beside train/, and not test/")]
    OtherPart,
}

/// Files that are not part of a data set, of which a message lists the first few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedFiles(pub Vec<Skipped>);

impl Display for SkippedFiles {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} file{}", if count == 1 { "" } else { "s" })?;
        for Skipped { path, reason } in self.0.iter().take(MOST_LISTED) {
            write!(f, "\n  {}: {reason}", path.display())?;
        }
        if count > MOST_LISTED {
            write!(f, "\n  and {} more", count - MOST_LISTED)?;
        }
        Ok(())
    }
}
