//! What a run was told: written into its folder, read again when it is resumed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use exporter::file::write_atomically;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::evaluate::Arithmetic;
use crate::settings::Settings;
use crate::split::SplitKind;

/// Everything that a run's result depends on, but for the images and networks in the files named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where all random numbers come from.
    pub seed: u64,
    /// Folder of the data set; the bundled MNIST subset if there is none.
    pub data: Option<PathBuf>,
    /// How the images are divided.
    pub split: SplitKind,
    /// The arithmetic of fitness.
    pub arithmetic: Arithmetic,
    /// A trained network that the initial population consists of.
    pub seed_network: Option<PathBuf>,
    /// Parameters of the algorithm.
    pub settings: Settings,
}

/// Why a configuration cannot be read or written.
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
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: toml::de::Error,
    },
}

impl Config {
    /// Reads the configuration in a run's folder.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = config_path(folder);
        match fs::read_to_string(&path) {
            Ok(text) => {
                toml::from_str(&text).map_err(|source| ConfigError::Syntax { path, source })
            }
            Err(source) => Err(ConfigError::Io { path, source }),
        }
    }

    /// Writes the configuration to a run's folder.
    ///
    /// # Errors
    /// [`ConfigError::Io`].
    pub fn write(&self, folder: &Path) -> Result<(), ConfigError> {
        let path = config_path(folder);
        let text = toml::to_string_pretty(self).expect("plain data serializes");
        write_atomically(&path, text.as_bytes()).map_err(|source| ConfigError::Io { path, source })
    }
}

fn config_path(folder: &Path) -> PathBuf {
    folder.join("config.toml")
}
