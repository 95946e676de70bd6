//! The images of a run, divided, and the search space that they span.

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use exporter::dataset::{Dataset, DatasetError, Images, LoadObserver};
use exporter::network::Input;
use thiserror::Error;

use crate::config::Config;
use crate::space::{SearchSpace, SpaceError};
use crate::split::{self, Sealed, Split, SplitError, median_pixel};
use crate::streams::{Purpose, stream};

/// The images of a run.
#[derive(Debug)]
pub struct Data {
    /// The data set's name.
    pub name: String,
    /// The networks that can be evolved for it.
    pub space: SearchSpace,
    /// Dtrain.
    pub train: Images,
    /// Dtest.
    pub test: Images,
    /// Dval.
    pub validation: Sealed,
    /// A checksum of what a search sees: Dtrain and Dtest with their labels.
    pub checksum: u32,
}

/// Why a run has no data.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data set cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The data set cannot be divided.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// No network can be searched for.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

impl Data {
    /// The data that `config` names, divided by its seed. `observer` is told how the loading goes on.
    ///
    /// # Errors
    /// Any [`DataError`].
    pub fn load(config: &Config, observer: &dyn LoadObserver) -> Result<Self, DataError> {
        let dataset = Dataset::load_or_bundled(config.data.as_deref(), &config.images, observer)?;
        let (name, classes) = (dataset.name.clone(), dataset.classes.clone());
        let mut rng = stream(config.seed, Purpose::Split);
        let Split {
            train,
            test,
            validation,
        } = Split::new(dataset, config.split, &mut rng)?;
        // All of Dtrain decides what is zero, so that networks trained on different shares have the
        // same images.
        let input = Input {
            shape: train.shape(),
            zero: median_pixel(&train),
        };
        let settings = &config.settings;
        let train = if settings.train_share < 1.0 {
            split::share(train, &classes, settings.train_share, &mut rng)
        } else {
            train
        };
        let space = SearchSpace::new(input, classes, settings.new_layers, settings.limits)?;
        let checksum = checksum(&train, &test);
        Ok(Self {
            name,
            space,
            train,
            test,
            validation,
            checksum,
        })
    }
}

fn checksum(train: &Images, test: &Images) -> u32 {
    let crc = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    for images in [train, test] {
        digest.update(images.labels());
        for index in 0..images.len() {
            digest.update(images.pixels(index));
        }
    }
    digest.finalize()
}
