//! A run's folder.
//!
//! ```text
//! journal             everything that happened, with all weights: the other files follow from it
//! config.toml         what the run was told
//! generations.jsonl   one line per generation
//! best/000.network …  the best individual of every generation
//! front.jsonl         one line per network of the Pareto front
//! front/000042.network, .q88  its networks and blobs, by individual
//! polished/000042.network, .q88  the same after polishing, if that was asked for
//! winner.network      the fittest individual, trained in f32
//! winner.q88          its blob
//! winner.rs           its Rust module
//! report.json         what the winner achieves and costs
//! timing.json         wall time, the only result that the seed does not determine
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use exporter::export::export;
use exporter::file::{FileError, to_bytes, write_atomically};
use exporter::network::Network;
use runtime_nostd::q8_8::Product;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::population::Member;

/// What a run writes beside its journal.
const NAMES: [&str; 11] = [
    "config.toml",
    "generations.jsonl",
    "best",
    "front.jsonl",
    "front",
    "polished",
    "winner.network",
    "winner.q88",
    "winner.rs",
    "report.json",
    "timing.json",
];

/// What to do about a file that follows from the journal and is not what this program writes.
pub const ANEW: &str = "damaged, or by an earlier version; evolve resume writes it anew";

/// A line of `front.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontLine {
    /// The individual.
    pub id: u64,
    /// Its accuracy on Dtest, 0 to 1.
    pub accuracy: f64,
    /// Its fitness (equation 1).
    pub fitness: f64,
    /// Its parameters.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Bytes of RAM: the arena.
    pub arena_bytes: u64,
    /// Bytes of flash: the blob.
    pub flash_bytes: u64,
    /// Layers, flattening and fully connected layer included.
    pub layers: usize,
}

impl FrontLine {
    fn of(member: &Member) -> Self {
        Self {
            id: member.candidate.id,
            accuracy: member.candidate.accuracy,
            fitness: member.candidate.fitness,
            parameters: member.cost.parameters,
            macs: member.cost.macs,
            arena_bytes: member.cost.arena_bytes,
            flash_bytes: member.cost.flash_bytes,
            layers: member.individual.network.layers.len(),
        }
    }
}

/// The files of a run other than its journal. Each is either whole or not there, and is written
/// again where it differs from what the journal says.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Individuals whose files in `front/` are known to be right.
    front: BTreeSet<u64>,
}

impl Folder {
    /// The folder at `path` for a new run, which is created if need be.
    ///
    /// # Errors
    /// It cannot be created, or has a file already that the run would replace.
    pub fn start(path: &Path) -> Result<Self, FileError> {
        let mut names = NAMES.into_iter().map(|name| path.join(name));
        // A journal is refused by who writes it.
        if !path.join("journal").exists()
            && let Some(existing) = names.find(|path| path.exists())
        {
            let what = "already there: give a new run an empty folder";
            let source = io::Error::new(io::ErrorKind::AlreadyExists, what);
            return Err(at(&existing, source));
        }
        Self::open(path)
    }

    /// The folder at `path`, which is created if need be.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        create_folder(path)?;
        Ok(Self {
            path: path.to_owned(),
            front: BTreeSet::new(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `bytes` the contents of the file `name`.
    ///
    /// # Errors
    /// The file cannot be written; the error names it.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            create_folder(parent)?;
        }
        match fs::read(&path) {
            Ok(existing) if existing == bytes => Ok(()),
            _ => write_atomically(&path, bytes).map_err(|source| at(&path, source)),
        }
    }

    /// Removes the file `name`, if there is one.
    fn remove(&self, name: &str) -> Result<(), FileError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(at(&path, source)),
            _ => Ok(()),
        }
    }

    /// As [`Folder::put`], with `value` as JSON.
    ///
    /// # Errors
    /// As [`Folder::put`].
    pub fn put_json(&self, name: &str, value: &impl Serialize) -> Result<(), FileError> {
        let text = serde_json::to_string(value);
        let text = text.map_err(|error| at(&self.path.join(name), error.into()))?;
        self.put(name, text.as_bytes())
    }

    /// As [`Folder::put`], with one line of JSON for each of `values`.
    ///
    /// # Errors
    /// As [`Folder::put`].
    pub fn put_json_lines(&self, name: &str, values: &[impl Serialize]) -> Result<(), FileError> {
        let mut text = String::new();
        for value in values {
            let line = serde_json::to_string(value);
            text += &line.map_err(|error| at(&self.path.join(name), error.into()))?;
            text.push('\n');
        }
        self.put(name, text.as_bytes())
    }

    /// Makes `front/` and `front.jsonl` hold `members` and nobody else, with the network that
    /// `network` makes of each.
    ///
    /// # Errors
    /// A file cannot be written or removed; the error names it.
    pub fn put_front(
        &mut self,
        members: &[Member],
        network: impl Fn(&Member) -> Network,
        product: Product,
    ) -> Result<(), FileError> {
        let ids: BTreeSet<u64> = members.iter().map(|member| member.candidate.id).collect();
        for member in members {
            let id = member.candidate.id;
            if !self.front.contains(&id) {
                self.put_network("front", id, &network(member), product)?;
            }
        }
        self.keep_networks("front", &ids)?;
        self.front = ids;
        let mut lines: Vec<FrontLine> = members.iter().map(FrontLine::of).collect();
        lines.sort_by_key(|line| (line.parameters, line.id));
        self.put_json_lines("front.jsonl", &lines)
    }

    /// Puts the network of individual `id` into the folder `name`, and its blob unless its sums could
    /// overflow.
    ///
    /// # Errors
    /// As [`Folder::put`].
    pub fn put_network(
        &self,
        name: &str,
        id: u64,
        network: &Network,
        product: Product,
    ) -> Result<(), FileError> {
        let [in_f32, blob] = network_names(id);
        self.put(&format!("{name}/{in_f32}"), &to_bytes(network))?;
        let blob = format!("{name}/{blob}");
        match export(network, product) {
            Ok(exported) => self.put(&blob, exported.blob.as_bytes()),
            Err(_) => self.remove(&blob),
        }
    }

    /// Removes all networks and blobs of individuals from the folder `name` but those of `ids`.
    ///
    /// # Errors
    /// A file cannot be removed; the error names it.
    pub fn keep_networks(&self, name: &str, ids: &BTreeSet<u64>) -> Result<(), FileError> {
        let folder = self.path.join(name);
        if !folder.exists() {
            return Ok(());
        }
        let expected: BTreeSet<String> = ids.iter().flat_map(|&id| network_names(id)).collect();
        for entry in fs::read_dir(&folder).map_err(|source| at(&folder, source))? {
            let entry = entry.map_err(|source| at(&folder, source))?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if is_network_name(name) && !expected.contains(name) {
                let path = entry.path();
                fs::remove_file(&path).map_err(|source| at(&path, source))?;
            }
        }
        Ok(())
    }
}

/// Names of an individual's network and blob.
fn network_names(id: u64) -> [String; 2] {
    ["network", "q88"].map(|suffix| format!("{id:06}.{suffix}"))
}

/// Whether a file may be one of [`network_names`].
fn is_network_name(name: &str) -> bool {
    let id = name.strip_suffix(".network").or(name.strip_suffix(".q88"));
    id.is_some_and(|id| id.len() >= 6 && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The Pareto front of the run in `folder`, smallest network first.
///
/// # Errors
/// There is no run, or its file cannot be read.
pub fn read_front(folder: &Path) -> Result<Vec<FrontLine>, FileError> {
    let path = folder.join("front.jsonl");
    if !path.exists() {
        let what = "no such file: there is no run in this folder, or its initial population is not \
            there yet; start it, or try again";
        return Err(at(&path, io::Error::new(io::ErrorKind::NotFound, what)));
    }
    read_json_lines(&path)
}

/// The JSON in the file at `path`, as a run has written it.
///
/// # Errors
/// The file cannot be read, or says something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let bytes = fs::read(path).map_err(|source| at(path, source))?;
    serde_json::from_slice(&bytes).map_err(|error| unlike(path, &error))
}

/// The file is not what a run writes.
fn unlike(path: &Path, error: &serde_json::Error) -> FileError {
    let what = format!("{error}: {ANEW}");
    at(path, io::Error::new(io::ErrorKind::InvalidData, what))
}

fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FileError> {
    let text = fs::read_to_string(path).map_err(|source| at(path, source))?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| unlike(path, &error)))
        .collect()
}

fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| at(path, source))
}

fn at(path: &Path, source: io::Error) -> FileError {
    let path = path.to_owned();
    FileError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_run_is_said_to_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let refused = read_front(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("no run in this folder"), "{refused}");
    }

    #[test]
    fn a_file_of_another_version_is_said_to_be_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("front.jsonl"), r#"{"id":1}"#).unwrap();
        let refused = read_front(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("front.jsonl: missing field"), "{refused}");
        assert!(
            refused.contains("evolve resume writes it anew"),
            "{refused}"
        );
    }
}
