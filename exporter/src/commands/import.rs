//! `exporter import`: a network made of an ONNX model.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use exporter::file::write_network;
use exporter::onnx::{Normalization, PixelRange, import_file};

use super::files::check_outputs;

/// What to import, and what its pixels mean.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// An ONNX model (.onnx) that classifies images.
    model: PathBuf,
    /// The network to write (.network).
    #[arg(short, long, value_name = "NETWORK")]
    output: PathBuf,
    /// The mean that was subtracted from pixels in training, one for all channels or one for each,
    /// in the units of --pixel-range [default: 0]. A model whose input is bytes normalizes them
    /// itself.
    #[arg(
        long,
        value_name = "MEAN,..",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    mean: Vec<f64>,
    /// The standard deviation that pixels were divided by, likewise [default: 1].
    #[arg(long, value_name = "STD,..", value_delimiter = ',')]
    std: Vec<f64>,
    /// What the pixels 0 to 255 had become before.
    #[arg(long, value_enum, default_value_t = PixelRangeOption::Unit)]
    pixel_range: PixelRangeOption,
    /// The pixel value that the network is to read as 0, one for all channels or one for each: that
    /// of the data set that it is to seed an evolution on [default: the mean].
    #[arg(long, value_name = "PIXEL,..", value_delimiter = ',')]
    zero: Vec<u8>,
    /// Names of the classes, in the order of the logits [default: those in the model, or numbers].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    classes: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PixelRangeOption {
    /// 0 to 1, as torchvision's `ToTensor` gives them.
    Unit,
    /// 0 to 255, as for a Keras model with its own `Rescaling`.
    Byte,
}

impl From<PixelRangeOption> for PixelRange {
    fn from(range: PixelRangeOption) -> Self {
        match range {
            PixelRangeOption::Unit => Self::Unit,
            PixelRangeOption::Byte => Self::Byte,
        }
    }
}

impl Import {
    /// Imports and writes.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let normalization = Normalization {
            range: self.pixel_range.into(),
            mean: self.mean.clone(),
            std: self.std.clone(),
            zero: self.zero.clone(),
        };
        check_outputs(&self.model, [&self.output])?;
        let in_file = |error| format!("{}: {error}", self.model.display());
        let imported = import_file(&self.model, &normalization).map_err(in_file)?;
        let mut network = imported.network;
        if !self.classes.is_empty() {
            let (names, logits) = (self.classes.len(), network.classes.len());
            if names != logits {
                let model = self.model.display();
                return Err(format!(
                    "{model}: the model has {logits} logits, and --classes {names} names: give as many"
                )
                .into());
            }
            network.classes.clone_from(&self.classes);
        }
        if imported.padding_error > 0.0 {
            eprintln!(
                "warning: the first layer pads, and the network's 0 is not exactly the model's: where it \
             reads padding, its sums differ from the model's by up to {:.1e}",
                imported.padding_error
            );
        }
        write_network(&network, &self.output)?;
        println!(
            "{}: {} layers, reads {} with a 0 of {:?}, {} classes",
            self.output.display(),
            network.layers.len(),
            network.input.shape,
            network.input.zero,
            network.classes.len()
        );
        Ok(())
    }
}
