//! Which runs an experiment consists of, and what the paper says of them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::baseline::LayerList;
use crate::config::Config;
use crate::options::RunOptions;

/// The experiments, with their definitions.
const DEFINITIONS: [(&str, &str); 6] = [
    (
        "fig2-mnist",
        include_str!("../../experiments/fig2-mnist.toml"),
    ),
    (
        "fig2-cifar10",
        include_str!("../../experiments/fig2-cifar10.toml"),
    ),
    (
        "fig3-operators",
        include_str!("../../experiments/fig3-operators.toml"),
    ),
    (
        "fig3-speciation",
        include_str!("../../experiments/fig3-speciation.toml"),
    ),
    ("fig5", include_str!("../../experiments/fig5.toml")),
    ("table2", include_str!("../../experiments/table2.toml")),
];

/// The lists of layers that experiments start from.
const BASELINES: [(&str, &str); 1] = [("cifar10", include_str!("../../baselines/cifar10.toml"))];

/// One of the paper's experiments.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Experiment {
    /// Its name on the command line.
    #[serde(skip)]
    pub name: &'static str,
    /// What is compared.
    pub title: String,
    /// Where the paper has it.
    pub source: String,
    /// The data set.
    pub data: String,
    /// Runs of each group, with the seeds 1, 2, ...
    pub seeds: u64,
    /// Configurations.
    pub groups: Vec<Group>,
    /// What the paper says of them.
    #[serde(default)]
    pub published: Vec<Published>,
    /// CNNs of the paper that the runs' Pareto fronts are compared with.
    #[serde(default)]
    pub trade_offs: Vec<TradeOff>,
    /// A network to train first, which all runs start from.
    pub baseline: Option<Baseline>,
}

/// Runs that differ in their seed only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    options: RunOptions,
}

/// A mean that the paper gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The group's name.
    pub group: String,
    /// Of what.
    pub quantity: Quantity,
    /// The mean.
    pub value: f64,
    /// Where it stands.
    pub place: String,
}

/// What is compared of the winners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Accuracy on Dval, of the blob.
    Accuracy,
    /// Parameters.
    Parameters,
    /// Layers.
    Layers,
}

/// A CNN of Table 2.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradeOff {
    /// The paper's name.
    pub name: String,
    /// Its parameters.
    pub parameters: u64,
    /// Its accuracy, 0 to 1.
    pub accuracy: f64,
}

/// A network that is trained before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    layers: String,
    /// Passes over Dtrain.
    pub epochs: u32,
}

/// There is no such experiment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no experiment {name}; there are {}", names().join(", "))]
pub struct UnknownExperiment {
    name: String,
}

/// How much of a protocol is run: a share of its seeds, of its generations, and of the images that
/// candidates are trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale(f64);

/// A scale beyond the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("a scale is above 0 and at most 1, the whole protocol")]
pub struct ScaleOutOfRange;

impl Scale {
    /// The whole protocol.
    pub const FULL: Self = Self(1.0);

    /// A share of it.
    ///
    /// # Errors
    /// It is not above 0 and at most 1.
    pub fn new(share: f64) -> Result<Self, ScaleOutOfRange> {
        if share > 0.0 && share <= 1.0 {
            Ok(Self(share))
        } else {
            Err(ScaleOutOfRange)
        }
    }

    /// The share.
    pub fn share(self) -> f64 {
        self.0
    }

    fn of(self, whole: u64) -> u64 {
        ((whole as f64 * self.0).round() as u64).max(1)
    }
}

/// One run of an experiment.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// Index of its group.
    pub group: usize,
    /// Its folder.
    pub folder: PathBuf,
    /// What it is told.
    pub config: Config,
}

/// The names of all experiments.
pub fn names() -> Vec<&'static str> {
    DEFINITIONS.iter().map(|(name, _)| *name).collect()
}

impl Experiment {
    /// The experiment with this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, UnknownExperiment> {
        let found = DEFINITIONS.iter().find(|(known, _)| *known == name);
        let (name, text) = found.ok_or_else(|| UnknownExperiment { name: name.into() })?;
        let experiment: Self = toml::from_str(text).expect("a test reads all definitions");
        Ok(Self { name, ..experiment })
    }

    /// Its folder within `parent`: the name, with the scale, so that scales do not mix.
    pub fn folder(&self, parent: &Path, scale: Scale) -> PathBuf {
        parent.join(if scale == Scale::FULL {
            self.name.to_owned()
        } else {
            format!("{}-scale-{}", self.name, scale.share())
        })
    }

    /// All runs, on the images in `data`, within `folder`; the first of every group come first.
    pub fn runs(&self, data: &Path, folder: &Path, scale: Scale) -> Vec<PlannedRun> {
        let mut runs = Vec::new();
        for seed in 1..=scale.of(self.seeds) {
            for (index, group) in self.groups.iter().enumerate() {
                let baseline = self.baseline.as_ref().map(|_| baseline_path(folder));
                let options = group.options.clone().with(data, seed, baseline);
                let mut config = options.config();
                let settings = &mut config.settings;
                settings.generations = scale.of(settings.generations.into()) as u32;
                settings.train_share = scale.share();
                runs.push(PlannedRun {
                    group: index,
                    folder: folder.join(format!("{}-{seed}", file_name(&group.name))),
                    config,
                });
            }
        }
        runs
    }
}

impl Baseline {
    /// Its layers.
    pub fn layers(&self) -> LayerList {
        let text = BASELINES.iter().find(|(name, _)| *name == self.layers);
        text.and_then(|(_, text)| toml::from_str(text).ok())
            .expect("a test reads all baselines")
    }
}

/// Where the network is that all runs start from.
pub(super) fn baseline_path(folder: &Path) -> PathBuf {
    folder.join("baseline.network")
}

/// A group's name as that of a file.
fn file_name(name: &str) -> String {
    let parts = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_definitions_are_whole() {
        for name in names() {
            let experiment = Experiment::named(name).unwrap();
            let table: toml::Table = toml::from_str(text_of(name)).unwrap();
            for group in table["groups"].as_array().unwrap() {
                let options = toml::to_string(&group["options"]).unwrap();
                let options = RunOptions::from_toml(&options).unwrap();
                options.config().settings.check().unwrap();
            }
            for published in &experiment.published {
                let mut groups = experiment.groups.iter();
                assert!(groups.any(|group| group.name == published.group), "{name}");
            }
            if let Some(baseline) = &experiment.baseline {
                baseline.layers();
            }
        }
    }

    fn text_of(name: &str) -> &'static str {
        let found = DEFINITIONS.iter().find(|(known, _)| *known == name);
        found.unwrap().1
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = Experiment::named("fig1").unwrap_err().to_string();
        assert!(
            message.contains("fig1") && message.contains("fig3-speciation"),
            "{message}"
        );
    }

    #[test]
    fn runs_find_their_files_from_anywhere() {
        let experiment = Experiment::named("fig5").unwrap();
        let runs = experiment.runs(Path::new("data"), Path::new("out"), Scale::FULL);
        let config = &runs[0].config;
        assert!(config.data.as_ref().is_some_and(|path| path.is_absolute()));
        let seed_network = config.seed_network.as_ref().unwrap();
        assert!(seed_network.is_absolute() && seed_network.ends_with("out/baseline.network"));
    }

    #[test]
    fn a_scale_has_fewer_seeds_generations_and_images_in_a_folder_of_its_own() {
        let experiment = Experiment::named("fig2-mnist").unwrap();
        let data = Path::new("/data");
        let all = experiment.runs(data, Path::new("/out"), Scale::FULL);
        assert_eq!(all.len(), 10);
        assert_eq!(all[1].folder, Path::new("/out/rs-cnn-1"));
        assert_eq!(all[9].config.seed, 5);
        assert_eq!(all[9].config.settings.generations, 20);

        let scale = Scale::new(0.25).unwrap();
        let some = experiment.runs(data, Path::new("/out"), scale);
        assert_eq!(some.len(), 2);
        assert_eq!(some[0].config.settings.generations, 5);
        assert_eq!(some[0].config.settings.train_share, 0.25);
        let folder = experiment.folder(Path::new("/out"), scale);
        assert_eq!(folder, Path::new("/out/fig2-mnist-scale-0.25"));
        assert_eq!(Scale::new(0.0), Err(ScaleOutOfRange));
        assert_eq!(Scale::new(f64::NAN), Err(ScaleOutOfRange));
    }
}
