//! The options that name a board.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use exporter::board::{Board, Fit};
use runtime_nostd::Model;

/// A board that the network should fit.
#[derive(Debug, Args)]
pub(crate) struct BoardOptions {
    /// State whether the network fits this board or chip, and how long it takes there; fail if it
    /// does not fit.
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// A TOML file that describes more boards, in the form of exporter/data/boards.toml.
    #[arg(long, value_name = "FILE", requires = "board")]
    boards: Option<PathBuf>,
}

impl BoardOptions {
    /// Prints what the network takes of the board; it is an error if that is too much.
    pub(crate) fn check(&self, model: &Model<'_>, blob_bytes: usize) -> Result<(), Box<dyn Error>> {
        let Some(name) = &self.board else {
            return Ok(());
        };
        let board = Board::find(name, self.boards.as_deref())?;
        let fit = Fit::new(board, model, blob_bytes);
        print!("{fit}");
        Ok(fit.check()?)
    }
}
