//! `exporter verify`: a blob against the f32 network it was exported from.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use exporter::file::read_network;
use exporter::ranges::Ranges;
use exporter::verify::{Verification, verify};

use super::data::DataOptions;
use super::files::{parse, read_blob};

/// What to compare, and over which images.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A blob (.q88).
    blob: PathBuf,
    /// The trained network (.network).
    network: PathBuf,
    /// The images that are classified.
    #[command(flatten)]
    data: DataOptions,
}

impl Verify {
    /// Classifies every image twice.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let Self {
            blob: path,
            network,
            data,
        } = self;
        let blob = read_blob(path)?;
        let model = parse(&blob, path)?;
        let network = read_network(network)?;
        let data = data.load()?;
        let found = verify(&model, &network, data.test_or_all())?;
        let Verification {
            images,
            correct_f32,
            correct_fixed,
            agreeing,
            largest_difference,
            stores,
        } = found;
        let percent = |count: usize| 100.0 * count as f64 / images as f64;
        let which = if data.test.is_empty() {
            "images, those of its training among them"
        } else {
            "test images"
        };
        println!("{}: {images} {which}", data.name);
        println!("f32         {:6.2} % correct", percent(correct_f32));
        println!("fixed point {:6.2} % correct", percent(correct_fixed));
        println!("agreement   {:6.2} %", percent(agreeing));
        println!("largest difference of a logit: {largest_difference:.4}");
        let ranges = Ranges {
            model: &model,
            stores: &stores,
        };
        print!("{ranges}");
        Ok(())
    }
}
