//! The options that name a data set.

use std::path::PathBuf;

use clap::Args;
use exporter::dataset::{Dataset, DatasetError, ImageOptions, LoadObserver, Notice};

/// A data set, of which the test images are used, or all where it has none.
#[derive(Debug, Args)]
pub(crate) struct DataOptions {
    /// A folder with the test images: IDX or CIFAR-10 files, or a sub-folder of image files for each
    /// class [default: the bundled MNIST subset].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How image files are read.
    #[command(flatten)]
    images: ImageOptions,
}

impl DataOptions {
    pub(crate) fn load(&self) -> Result<Dataset, DatasetError> {
        Dataset::load_or_bundled(self.data.as_deref(), &self.images, &Warnings)
    }
}

/// Prints notices only: the images have most often been decoded before, by the evolver.
struct Warnings;

impl LoadObserver for Warnings {
    fn decoding_starts(&self, _: usize) {}
    fn decoding_steps(&self) {}
    fn decoding_done(&self) {}
    fn tell(&self, notice: &Notice) {
        eprintln!("warning: {notice}");
    }
}
