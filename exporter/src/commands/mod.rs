//! One module for each command: its options and what it does.

mod board;
mod data;
mod diff_layers;
mod export;
mod export_onnx;
mod files;
mod import;
mod inspect;
mod verify;

use std::error::Error;

use clap::Subcommand;

use self::diff_layers::DiffLayers;
use self::export::Export;
use self::export_onnx::ExportOnnx;
use self::import::Import;
use self::inspect::Inspect;
use self::verify::Verify;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fold, quantize and prove a network, and write its blob.
    Export(Export),
    /// Compare what a device computed for one image, row by row, with this machine.
    DiffLayers(DiffLayers),
    /// Write a network as an ONNX model.
    ExportOnnx(ExportOnnx),
    /// Make a network of an ONNX model.
    Import(Import),
    /// Print what a blob contains.
    Inspect(Inspect),
    /// Compare a blob with the f32 network it was exported from.
    Verify(Verify),
}

impl Command {
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Export(command) => command.run(),
            Self::DiffLayers(command) => command.run(),
            Self::ExportOnnx(command) => command.run(),
            Self::Import(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Verify(command) => command.run(),
        }
    }
}
