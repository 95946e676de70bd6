//! Boards: whether a network fits one, and how long it takes there.

mod core;
mod work;

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::{fs, io};

use runtime_nostd::Model;
use serde::Deserialize;
use thiserror::Error;

use crate::energy::FIXED_POINT_ENERGY_GAIN;

pub use self::core::{Core, CycleCosts};
pub use self::work::{UNITS, Work};

/// A board, or a chip.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// What options call it.
    pub name: String,
    /// Its core.
    pub core: Core,
    /// Its clock in MHz.
    pub clock_mhz: u32,
    /// Its flash in bytes.
    pub flash_bytes: usize,
    /// Its largest contiguous RAM in bytes.
    pub ram_bytes: usize,
}

/// A file of boards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Boards {
    board: Vec<Board>,
}

/// Why there is no such board.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The user's file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It can be read, but does not describe boards.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where, on one line.
        message: String,
    },
    /// No board of that name.
    #[error("no board is called {name}: use one of {known}, or describe yours with --boards FILE")]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
}

impl Board {
    /// The board called `name`, in the user's file of boards or among those that the program knows.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn find(name: &str, file: Option<&Path>) -> Result<Self, BoardError> {
        let mut boards = match file {
            Some(path) => read(path)?,
            None => Vec::new(),
        };
        boards.extend(bundled());
        let found = boards.iter().find(|board| board.name == name);
        found.cloned().ok_or_else(|| BoardError::Unknown {
            name: name.to_owned(),
            known: boards
                .iter()
                .map(|board| board.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

fn read(path: &Path) -> Result<Vec<Board>, BoardError> {
    let text = fs::read_to_string(path).map_err(|source| BoardError::Io {
        path: path.to_owned(),
        source,
    })?;
    let malformed = |message: String| BoardError::Malformed {
        path: path.to_owned(),
        message,
    };
    let boards: Boards = toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text
            .get(..start)
            .map_or(1, |before| before.split('\n').count());
        malformed(format!("line {line}: {}", error.message()))
    })?;
    match boards.board.iter().find(|board| board.clock_mhz == 0) {
        Some(board) => Err(malformed(format!("{}: clock_mhz is 0", board.name))),
        None => Ok(boards.board),
    }
}

fn bundled() -> Vec<Board> {
    let boards: Boards =
        toml::from_str(include_str!("../../data/boards.toml")).expect("a test reads the same file");
    boards.board
}

/// What a network takes of a board.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The board.
    pub board: Board,
    /// Bytes of the blob.
    pub blob_bytes: usize,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Estimated cycles of one inference, with memory that never lets the core wait; `None` with
    /// rounded products.
    pub cycles: Option<f64>,
}

/// Network and runtime do not fit a board.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("does not fit {board}: {what} takes {needed} bytes of {available}")]
pub struct DoesNotFit {
    /// The board.
    pub board: String,
    /// What is too much.
    pub what: &'static str,
    /// Bytes that it takes.
    pub needed: usize,
    /// Bytes that the board has.
    pub available: usize,
}

impl Fit {
    /// What `model`, a blob of `blob_bytes`, takes of `board`.
    pub fn new(board: Board, model: &Model<'_>, blob_bytes: usize) -> Self {
        Self {
            cycles: board.core.cycle_costs().inference_cycles(model),
            board,
            blob_bytes,
            arena_bytes: model.arena_bytes(),
        }
    }

    /// Flash: the blob and the runtime's code.
    pub fn flash_bytes(&self) -> usize {
        self.blob_bytes.saturating_add(self.board.core.code_bytes())
    }

    /// RAM: the arena and the stack.
    pub fn ram_bytes(&self) -> usize {
        self.arena_bytes
            .saturating_add(self.board.core.stack_bytes())
    }

    /// Whether there is room; the rest of a firmware needs some, too.
    ///
    /// # Errors
    /// [`DoesNotFit`].
    pub fn check(&self) -> Result<(), DoesNotFit> {
        let flash = (
            "flash (blob and runtime)",
            self.flash_bytes(),
            self.board.flash_bytes,
        );
        let ram = (
            "RAM (arena and stack)",
            self.ram_bytes(),
            self.board.ram_bytes,
        );
        match [flash, ram]
            .into_iter()
            .find(|(_, needed, available)| needed > available)
        {
            None => Ok(()),
            Some((what, needed, available)) => Err(DoesNotFit {
                board: self.board.name.clone(),
                what,
                needed,
                available,
            }),
        }
    }
}

impl Display for Fit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Board {
            name,
            core,
            clock_mhz,
            flash_bytes,
            ram_bytes,
        } = &self.board;
        let share = |part: usize, whole: usize| 100.0 * part as f64 / whole as f64;
        writeln!(f, "{name} ({}, {clock_mhz} MHz):", core.name())?;
        writeln!(
            f,
            "  flash  {} of {flash_bytes} bytes ({:.1} %): blob {}, runtime {}",
            self.flash_bytes(),
            share(self.flash_bytes(), *flash_bytes),
            self.blob_bytes,
            core.code_bytes(),
        )?;
        writeln!(
            f,
            "  RAM    {} of {ram_bytes} bytes ({:.1} %): arena {}, stack {}",
            self.ram_bytes(),
            share(self.ram_bytes(), *ram_bytes),
            self.arena_bytes,
            core.stack_bytes(),
        )?;
        match self.cycles {
            Some(cycles) => writeln!(
                f,
                "  time   {:.2} ms per inference, estimated: {cycles:.0} cycles, without wait states of flash",
                cycles / (f64::from(*clock_mhz) * 1000.0),
            ),
            None => writeln!(f, "  time   no estimate for rounded products"),
        }?;
        writeln!(
            f,
            "  energy of multiplications {FIXED_POINT_ENERGY_GAIN} times less than in f32, estimated (65 nm; the paper's E_mult)",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(blob_bytes: usize, arena_bytes: usize) -> Fit {
        Fit {
            board: Board::find("stm32f103c8", None).expect("it is known"),
            blob_bytes,
            arena_bytes,
            cycles: None,
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let room = fit(0, 0);
        let flash = room.board.flash_bytes - room.flash_bytes();
        let ram = room.board.ram_bytes - room.ram_bytes();
        assert_eq!(fit(flash, ram).check(), Ok(()));
        let error = fit(flash + 1, 0).check().expect_err("one byte too many");
        assert_eq!(
            error.to_string(),
            "does not fit stm32f103c8: flash (blob and runtime) takes 65537 bytes of 65536"
        );
        let error = fit(0, ram + 1).check().expect_err("one byte too many");
        assert_eq!(error.what, "RAM (arena and stack)");
    }

    #[test]
    fn boards_have_names_of_their_own() {
        let mut names: Vec<String> = bundled().into_iter().map(|board| board.name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        let error = Board::find("abacus", None)
            .expect_err("it is not known")
            .to_string();
        assert!(error.contains("nrf52840, rp2040"), "{error}");
    }

    #[test]
    fn a_users_file_adds_boards() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("mine.toml");
        let mine = "[[board]]\nname = \"mine\"\ncore = \"Cortex-M4\"\nclock_mhz = 100\n\
                    flash_bytes = 1000\nram_bytes = 1000\n";
        fs::write(&path, mine).expect("a writable folder");
        let board = Board::find("mine", Some(&path)).expect("it is in the file");
        assert_eq!(board.core, Core::CortexM4);
        assert!(Board::find("nrf52840", Some(&path)).is_ok());
        for (from, to, problem) in [
            (
                "Cortex-M4",
                "Cortex-A53",
                "line 3: unknown variant `Cortex-A53`",
            ),
            ("= 100\n", "= 0\n", "mine: clock_mhz is 0"),
            ("ram_bytes", "ram", "unknown field `ram`"),
        ] {
            fs::write(&path, mine.replace(from, to)).expect("a writable folder");
            let error = Board::find("mine", Some(&path))
                .expect_err("refused")
                .to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
