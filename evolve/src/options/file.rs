//! Options in a TOML file.

use std::fs;
use std::path::Path;

use clap::Args as _;
use toml::Table;

use super::RunOptions;
use crate::config::{ConfigError, TomlError};

impl RunOptions {
    /// Reads options from the TOML file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or says something that no option means.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::from_toml(&text).map_err(|source| ConfigError::Toml {
            path: path.to_owned(),
            source,
        })
    }

    /// The options in a TOML text, whose keys are the long options' names.
    ///
    /// # Errors
    /// A key that is no option, or a value that the option cannot have.
    pub fn from_toml(text: &str) -> Result<Self, TomlError> {
        let table: Table = toml::from_str(text)?;
        let known = Self::keys();
        match table.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(TomlError::UnknownKey {
                key: key.clone(),
                nearest: nearest(key, known),
            }),
            // From the text again, since a table no longer knows the lines.
            None => Ok(toml::from_str(text)?),
        }
    }

    /// These options; where they are silent, those of `other`.
    pub fn or(self, other: &Self) -> Self {
        let (config, output) = (self.config.clone(), self.output.clone());
        let table = |options: &Self| Table::try_from(options).expect("plain data serializes");
        let mut both = table(other);
        both.extend(table(&self));
        let merged: Self = both.try_into().expect("both were options");
        Self {
            config,
            output,
            ..merged
        }
    }

    /// All keys of a file.
    fn keys() -> Vec<String> {
        Self::augment_args(clap::Command::new(""))
            .get_arguments()
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .filter(|key| !["config", "output"].contains(&key.as_str()))
            .collect()
    }
}

/// The known key that is most like `key`.
fn nearest(key: &str, known: Vec<String>) -> String {
    let likeness = |known: &String| strsim::jaro_winkler(key, known);
    known
        .into_iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .unwrap_or_default()
}
