//! `exporter inspect`: what a blob contains.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use exporter::inspect::Inspection;
use exporter::network_svg::picture;

use super::board::BoardOptions;
use super::files::{check_outputs, parse, read_blob, write_file};

/// What to inspect.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A blob (.q88).
    blob: PathBuf,
    /// Draw the network: maps, costs, and what lies where in the arena.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Where it is meant to run.
    #[command(flatten)]
    board: BoardOptions,
}

impl Inspect {
    /// Prints the table, and whether the network fits.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        check_outputs(&self.blob, &self.svg)?;
        let blob = read_blob(&self.blob)?;
        let model = parse(&blob, &self.blob)?;
        print!("{}", Inspection::new(&model, blob.as_bytes().len()));
        if let Some(path) = &self.svg {
            write_file(path, picture(&model, blob.as_bytes().len()).as_bytes())?;
        }
        self.board.check(&model, blob.as_bytes().len())
    }
}
