//! What a run was told, and the file in its folder that says so.

use std::io;
use std::path::PathBuf;

use exporter::dataset::ImageOptions;
use thiserror::Error;

use crate::evaluate::Arithmetic;
use crate::options::RunOptions;
use crate::settings::Settings;
use crate::split::SplitKind;

/// Everything that a run's result depends on, but for the images and networks in the files named.
///
/// As a text it is [`RunOptions`] that leave nothing to a preset.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where all random numbers come from.
    pub seed: u64,
    /// Folder of the data set; the bundled MNIST subset if there is none.
    pub data: Option<PathBuf>,
    /// How image files are read, where the data set consists of such.
    pub images: ImageOptions,
    /// How the images are divided.
    pub split: SplitKind,
    /// The arithmetic of fitness.
    pub arithmetic: Arithmetic,
    /// A trained network that the initial population consists of.
    pub seed_network: Option<PathBuf>,
    /// Parameters of the algorithm.
    pub settings: Settings,
}

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file says something impossible.
    #[error("{}: {source}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: TomlError,
    },
}

/// Why a text is no configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TomlError {
    /// No TOML, or a value that its key cannot have.
    #[error(transparent)]
    Value(#[from] toml::de::Error),
    /// A key that means nothing.
    #[error("there is no key \"{key}\"; did you mean \"{nearest}\"?")]
    UnknownKey {
        /// The key.
        key: String,
        /// The most similar one that there is.
        nearest: String,
    },
}

impl Config {
    /// The configuration as a text that `evolve run --config` reads.
    ///
    /// # Panics
    /// If a path is not in Unicode, or a number above `i64::MAX`: no [`RunOptions`] say such.
    pub fn to_toml(&self) -> String {
        toml::to_string(&RunOptions::from(self)).expect("options of the command line serialize")
    }

    /// The configuration that a text written by [`Config::to_toml`] says.
    ///
    /// # Errors
    /// A key or value that is none of this program's.
    pub fn from_toml(text: &str) -> Result<Self, TomlError> {
        Ok(RunOptions::from_toml(text)?.config())
    }
}
