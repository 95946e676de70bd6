//! Baselines: CNNs whose layers people have listed, trained to convergence, for evolution to
//! approximate (paper, section 5.2).

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use exporter::dataset::{Images, LoadObserver};
use exporter::network::Network;
use runtime_nostd::q8_8::Product;
use serde::Deserialize;
use thiserror::Error;

use crate::age::INITIAL_AGE;
use crate::config::Config;
use crate::cost::Cost;
use crate::data::{Data, DataError};
use crate::draft::Draft;
use crate::evaluate::{Arithmetic, EvaluateError, count_correct};
use crate::genome::{Gene, Genome, Header, LEARNING_RATES, PoolKind};
use crate::individual::InvalidIndividual;
use crate::inherit::Heritage;
use crate::polish::Course;
use crate::seed::{SeedError, genome_of};
use crate::space::{NotInSpace, SearchSpace};
use crate::streams::{Purpose, stream};
use crate::train::{Backend, TrainError};

/// A list of layers, as in a TOML file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LayerList {
    layers: Vec<ListedLayer>,
    flatten_neurons: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
enum ListedLayer {
    Conv {
        kernel_size: u8,
        filters: u16,
        #[serde(default = "one")]
        stride: u8,
        #[serde(default)]
        padding: u8,
    },
    MaxPool {
        size: u8,
        /// The size, if nothing is said.
        stride: Option<u8>,
    },
    AvgPool {
        size: u8,
        /// The size, if nothing is said.
        stride: Option<u8>,
    },
}

const fn one() -> u8 {
    1
}

/// Why there is no baseline.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// The list cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is no list of layers.
    #[error("{}: {source}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: toml::de::Error,
    },
    /// The layers make no network that evolution could start from.
    #[error("the listed layers: {0}")]
    NotInSpace(#[from] NotInSpace),
    /// A layer has no gene.
    #[error("the listed layers: {0}")]
    NoGene(#[from] SeedError),
    /// The network cannot be built.
    #[error(transparent)]
    Invalid(#[from] InvalidIndividual),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The network cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
}

impl LayerList {
    /// Reads a list from the TOML file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is no list of layers.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let text = fs::read_to_string(path).map_err(|source| BaselineError::Io {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| BaselineError::Toml {
            path: path.to_owned(),
            source,
        })
    }

    fn genome(&self) -> Genome {
        let pool = |kind, size, stride: Option<u8>| Gene::Pool {
            kind,
            size,
            stride: stride.unwrap_or(size),
        };
        let genes = self.layers.iter().map(|&layer| match layer {
            ListedLayer::Conv {
                kernel_size,
                filters,
                stride,
                padding,
            } => Gene::Conv {
                kernel_size,
                filters,
                stride,
                padding,
            },
            ListedLayer::MaxPool { size, stride } => pool(PoolKind::Max, size, stride),
            ListedLayer::AvgPool { size, stride } => pool(PoolKind::Avg, size, stride),
        });
        Genome {
            header: Header {
                id: 0,
                age: INITIAL_AGE,
                // Evolution gives a seed network its own.
                learning_rate: *LEARNING_RATES.start(),
                flatten_neurons: self.flatten_neurons,
            },
            genes: genes.collect(),
        }
    }

    /// The untrained network, and its cost.
    ///
    /// # Errors
    /// A layer does not fit or has no gene, or the network is beyond the space's limits.
    pub fn network(
        &self,
        space: &SearchSpace,
        seed: u64,
    ) -> Result<(Network, Cost), BaselineError> {
        let genome = self.genome();
        let cost = space.admit(&genome)?;
        let draft = Draft::new(genome.header, genome.genes);
        let nobody = Heritage::default();
        let mut rng = stream(seed, Purpose::Initial);
        let individual = draft.express(0, [&nobody, &nobody], space, &mut rng)?;
        // What is no genome again could not seed an evolution.
        genome_of(&individual.network, *LEARNING_RATES.start())?;
        Ok((individual.network, cost))
    }
}

/// What a baseline achieves. Accuracies are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BaselineReport {
    /// What it costs.
    pub cost: Cost,
    /// Accuracy on Dtest in f32.
    pub test_accuracy_f32: f64,
    /// Accuracy on Dval in f32.
    pub validation_accuracy_f32: f64,
    /// Accuracy on Dval of the blob.
    pub validation_accuracy_fixed: f64,
}

/// The network of `list`, trained on Dtrain of the data that `config` names by `config`'s polish.
/// `observer` is told how the data set is loaded, `on_epoch` the mean loss of each epoch.
///
/// # Errors
/// Any [`BaselineError`].
pub fn train(
    list: &LayerList,
    config: &Config,
    backend: &impl Backend,
    observer: &dyn LoadObserver,
    on_epoch: impl FnMut(u32, f64),
) -> Result<(Network, BaselineReport), BaselineError> {
    let data = Data::load(config, observer)?;
    let (mut network, cost) = list.network(&data.space, config.seed)?;
    let course = Course {
        backend,
        images: &data.train,
        polish: config.settings.polish,
        batch_size: NonZeroUsize::new(config.settings.batch_size).unwrap_or(NonZeroUsize::MIN),
        seed: config.seed,
    };
    course.train(0, &mut network, on_epoch)?;
    let validation = data.validation.open();
    let accuracy = |images: &Images, arithmetic| -> Result<f64, BaselineError> {
        let correct = count_correct(&network, images, arithmetic, backend)?;
        Ok(correct as f64 / images.len() as f64)
    };
    let report = BaselineReport {
        cost,
        test_accuracy_f32: accuracy(&data.test, Arithmetic::Float)?,
        validation_accuracy_f32: accuracy(&validation, Arithmetic::Float)?,
        validation_accuracy_fixed: accuracy(&validation, Arithmetic::Fixed(Product::Exact))?,
    };
    network.provenance = format!(
        "evolve {}, {}, seed {}, baseline, accuracy on Dval {:.2} %",
        env!("CARGO_PKG_VERSION"),
        data.name,
        config.seed,
        100.0 * report.validation_accuracy_f32,
    );
    Ok((network, report))
}

#[cfg(test)]
mod tests {
    use exporter::network::Input;
    use runtime_nostd::geometry::Shape;

    use super::*;
    use crate::settings::Settings;

    fn cifar_space() -> SearchSpace {
        let input = Input {
            shape: Shape::new(32, 32, 3),
            zero: vec![128; 3],
        };
        let classes = (0..10).map(|class| class.to_string()).collect();
        let settings = Settings::cifar10();
        SearchSpace::new(input, classes, settings.new_layers, settings.limits).unwrap()
    }

    #[test]
    fn the_baseline_for_cifar_10_is_as_large_as_the_papers_and_can_seed_evolution() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/baselines/cifar10.toml");
        let list = LayerList::read(Path::new(path)).unwrap();
        let (network, cost) = list.network(&cifar_space(), 1).unwrap();
        assert!(cost.parameters.abs_diff(360_264) < 1000, "{cost:?}");
        let genome = genome_of(&network, *LEARNING_RATES.start()).unwrap();
        assert_eq!(genome, list.genome());
    }

    #[test]
    fn strides_have_defaults_and_unknown_fields_none() {
        let genes = |layer: &str| {
            let text = format!("flatten-neurons = 5\nlayers = [{{ {layer} }}]");
            toml::from_str::<LayerList>(&text).map(|list| list.genome().genes)
        };
        let pool = genes("avg-pool = { size = 3 }").unwrap();
        assert!(matches!(
            pool[..],
            [Gene::Pool {
                size: 3,
                stride: 3,
                ..
            }]
        ));
        let conv = genes("conv = { kernel-size = 3, filters = 8 }").unwrap();
        assert!(matches!(
            conv[..],
            [Gene::Conv {
                stride: 1,
                padding: 0,
                ..
            }]
        ));
        assert!(genes("conv = { kernel-size = 3, filters = 8, pad = 1 }").is_err());
        assert!(genes("dense = { neurons = 3 }").is_err());
    }

    #[test]
    fn layers_that_do_not_fit_are_named_and_not_repaired() {
        let text = "flatten-neurons = 5\nlayers = [{ max-pool = { size = 8 } }, \
                    { max-pool = { size = 8 } }]";
        let list: LayerList = toml::from_str(text).unwrap();
        let error = list.network(&cifar_space(), 1).unwrap_err().to_string();
        assert!(error.contains("layer 1"), "{error}");
    }
}
