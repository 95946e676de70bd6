//! What a run's journal says: what the run was told, and everything that happened since.

use std::path::{Path, PathBuf};

use exporter::network::Network;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{Config, TomlError};
use crate::journal::{Journal, JournalError, Recovered};
use crate::polish::Polished;
use crate::population::Record;
use crate::settings::Polish;

/// The program whose runs can be resumed: another version may draw or train differently.
const PROGRAM: &str = concat!("evolve ", env!("CARGO_PKG_VERSION"));

/// How a run started: everything that its result depends on, but for the images.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// What it was told.
    pub config: Config,
    /// Checksum of the images and labels of Dtrain and Dtest.
    pub images: u32,
    /// What the initial population consists of; random networks if there is none.
    pub seed_network: Option<Network>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A generation.
    Generation {
        /// All that is new in it.
        record: Record,
        /// Wall time that it took.
        seconds: f64,
    },
    /// The run was given another number of generations.
    Generations(u32),
    /// A network of the Pareto front was trained to convergence. Which is first depends on the
    /// threads; what comes out does not.
    Polished(Polished),
    /// The run was given another polish: what was polished before is polished anew.
    Polish(Polish),
}

/// The first frame of a journal. The configuration is text, which other versions can read.
#[derive(Serialize, Deserialize)]
struct StartFrame {
    program: String,
    config: String,
    images: u32,
    seed_network: Option<Network>,
}

/// What a journal says, from its start on.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    start: Start,
    events: Vec<Vec<u8>>,
}

/// A history to continue.
#[derive(Debug)]
pub struct Continuation {
    /// What happened so far.
    pub history: History,
    /// Where it goes on.
    pub chronicle: Chronicle,
    /// Bytes behind it that were cut off: an event that was being written, or damage.
    pub dropped_bytes: u64,
}

/// Where events are written. No other process can write to the same journal.
#[derive(Debug)]
pub struct Chronicle(Journal);

/// Why a history cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A whole frame that means nothing to this program.
    #[error("{}: frame {frame} is not of this program's version", path.display())]
    Frame {
        /// The journal.
        path: PathBuf,
        /// The frame, from 0.
        frame: usize,
    },
    /// A run of another version of the program.
    #[error(
        "{}: the run was started by {found}, and this is {PROGRAM}, which may come to another \
         result: resume it with that version",
        path.display()
    )]
    Program {
        /// The journal.
        path: PathBuf,
        /// The program and its version.
        found: String,
    },
    /// A configuration that means nothing to this program.
    #[error("{}: the configuration of the run: {source}", path.display())]
    Config {
        /// The journal.
        path: PathBuf,
        /// What is wrong with it.
        source: TomlError,
    },
}

impl Chronicle {
    /// Starts a history in `folder`.
    ///
    /// # Errors
    /// There is one already, or it cannot be written.
    pub fn start(folder: &Path, start: &Start) -> Result<Self, JournalError> {
        let frame = to_bytes(&StartFrame {
            program: PROGRAM.into(),
            config: start.config.to_toml(),
            images: start.images,
            seed_network: start.seed_network.clone(),
        });
        Ok(Self(Journal::create(&path_in(folder), &frame)?))
    }

    /// Writes an event and waits until it is on disk.
    ///
    /// # Errors
    /// The file cannot be written. What was written before stays whole.
    pub fn write(&mut self, event: &Event) -> Result<(), JournalError> {
        self.0.append(&to_bytes(event))
    }
}

impl History {
    /// Opens the history in `folder` to continue it.
    ///
    /// # Errors
    /// There is none, another process is writing it, or it is not of this program.
    pub fn resume(folder: &Path) -> Result<Continuation, HistoryError> {
        let path = path_in(folder);
        let Recovered {
            journal,
            frames,
            dropped_bytes,
        } = Journal::open(&path)?;
        Ok(Continuation {
            history: Self::parse(path, frames)?,
            chronicle: Chronicle(journal),
            dropped_bytes,
        })
    }

    /// Reads the history in `folder`, which another process may be writing.
    ///
    /// # Errors
    /// There is none, or it is not of this program.
    pub fn read(folder: &Path) -> Result<Self, HistoryError> {
        let path = path_in(folder);
        let frames = Journal::read(&path)?;
        Self::parse(path, frames)
    }

    fn parse(path: PathBuf, mut frames: Vec<Vec<u8>>) -> Result<Self, HistoryError> {
        let events = frames.split_off(frames.len().min(1));
        let first: Option<StartFrame> = frames
            .first()
            .and_then(|frame| postcard::from_bytes(frame).ok());
        let Some(first) = first else {
            return Err(HistoryError::Frame { path, frame: 0 });
        };
        if first.program != PROGRAM {
            let found = first.program;
            return Err(HistoryError::Program { path, found });
        }
        match Config::from_toml(&first.config) {
            Ok(config) => Ok(Self {
                path,
                start: Start {
                    config,
                    images: first.images,
                    seed_network: first.seed_network,
                },
                events,
            }),
            Err(source) => Err(HistoryError::Config { path, source }),
        }
    }

    /// How the run started.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// What happened then, oldest first. Each event is decoded when it is asked for: their weights
    /// need not be in memory together.
    pub fn events(&self) -> impl Iterator<Item = Result<Event, HistoryError>> {
        let events = self.events.iter().enumerate();
        events.map(|(index, frame)| {
            postcard::from_bytes(frame).map_err(|_| HistoryError::Frame {
                path: self.path.clone(),
                frame: index + 1,
            })
        })
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("journal")
}

fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain data serializes to memory")
}
