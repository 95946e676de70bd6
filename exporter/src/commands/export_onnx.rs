//! `exporter export-onnx`: a network as an ONNX model.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use exporter::file::read_network;
use exporter::onnx;

use super::files::{check_outputs, write_file};

/// What to export, and where to.
#[derive(Debug, Args)]
pub(crate) struct ExportOnnx {
    /// A trained network (.network).
    network: PathBuf,
    /// The model to write (.onnx). Its input is images of bytes, [batch, rows, columns, channels].
    #[arg(short, long, value_name = "MODEL")]
    output: PathBuf,
    /// Quantize, and compute the blob's logits bit for bit with 32-bit integers; exact products
    /// only.
    #[arg(long)]
    integer: bool,
}

impl ExportOnnx {
    /// Writes the model.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        check_outputs(&self.network, [&self.output])?;
        let network = read_network(&self.network)?;
        let in_file = |error: &dyn Error| format!("{}: {error}", self.network.display());
        let model = if self.integer {
            onnx::export_integer(&network).map_err(|error| in_file(&error))?
        } else {
            onnx::export(&network).map_err(|error| in_file(&error))?
        };
        write_file(&self.output, &model)?;
        println!("{}: {} bytes", self.output.display(), model.len());
        Ok(())
    }
}
