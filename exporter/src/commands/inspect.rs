//! `exporter inspect`: what a blob contains.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use exporter::inspect::Inspection;

use super::files::{parse, read_blob};

/// What to inspect.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A blob (.q88).
    blob: PathBuf,
}

impl Inspect {
    /// Prints the table.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let blob = read_blob(&self.blob)?;
        let model = parse(&blob, &self.blob)?;
        print!("{}", Inspection::new(&model, blob.as_bytes().len()));
        Ok(())
    }
}
