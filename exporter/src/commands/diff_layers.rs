//! `exporter diff-layers`: a device's dump of one image against this machine.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;
use exporter::diff_layers::Rows;
use runtime_nostd::blob::Prefix;

use super::files::{parse, read_blob};

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct DiffLayers {
    /// The blob (.q88) that the device ran.
    blob: PathBuf,
    /// What the device wrote (`runtime_nostd::Dump`).
    dump: PathBuf,
    /// The image's pixels as raw bytes, rows, columns, channels.
    image: PathBuf,
}

impl DiffLayers {
    /// Finds the first difference; it is an error.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let Self {
            blob: path,
            dump,
            image,
        } = self;
        let in_file = |path: &Path, error: &dyn Error| format!("{}: {error}", path.display());
        let blob = read_blob(path)?;
        let model = parse(&blob, path)?;
        let pixels = std::fs::read(image).map_err(|error| in_file(image, &error))?;
        let text = std::fs::read(dump).map_err(|error| in_file(dump, &error))?;
        // A serial line may have added noise.
        let text = String::from_utf8_lossy(&text);
        let crc = Prefix::read(blob.as_bytes()).map_or(0, |prefix| prefix.crc);
        let device = Rows::of_dump(&text, crc).map_err(|error| in_file(dump, &error))?;
        let host = Rows::of_host(&model, &pixels).map_err(|error| in_file(image, &error))?;
        match device.first_difference(&host, &model) {
            None => {
                println!("{} rows and the logits agree", host.len());
                Ok(())
            }
            Some(difference) => Err(difference.to_string().into()),
        }
    }
}
