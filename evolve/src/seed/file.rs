//! Reading the network that an evolution starts from.

use std::path::{Path, PathBuf};

use exporter::file::{FileError, read_network};
use exporter::network::Network;
use exporter::onnx::{ImportError, Imported, Normalization, import_file};
use thiserror::Error;

use crate::space::SearchSpace;

/// Why a seed network cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SeedFileError {
    /// A network file.
    #[error(transparent)]
    Network(#[from] FileError),
    /// An ONNX model.
    #[error("{}: {source}", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<ImportError>,
    },
    /// The data set's 0 is not the model's, and the model pads.
    #[error(
        "{}: the first layer pads with 0, which is no pixel of {zero:?}, as the data set needs it: \
         train the model with that as the mean, or without padding there", path.display()
    )]
    Padding {
        /// The file.
        path: PathBuf,
        /// The pixel value of each channel that means 0.
        zero: Vec<u8>,
    },
}

/// Reads a network file, or an ONNX model if the name ends in `.onnx`. A model is one of pixels of 0
/// to 1, or normalizes bytes itself; `exporter import` knows others. It has the names of the data
/// set's classes if their number fits.
///
/// # Errors
/// The file cannot be read, or is no network ([`SeedFileError`]).
pub fn read_seed(path: &Path, space: &SearchSpace) -> Result<Network, SeedFileError> {
    if path.extension().is_none_or(|extension| extension != "onnx") {
        return Ok(read_network(path)?);
    }
    let normalization = Normalization {
        zero: space.input().zero.clone(),
        ..Normalization::default()
    };
    let path = || path.to_owned();
    let Imported {
        mut network,
        padding_error,
    } = import_file(&path(), &normalization).map_err(|source| SeedFileError::Onnx {
        path: path(),
        source: Box::new(source),
    })?;
    if padding_error > 0.0 {
        return Err(SeedFileError::Padding {
            path: path(),
            zero: normalization.zero,
        });
    }
    if network.classes.len() == space.classes().len() {
        network.classes = space.classes().to_vec();
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use exporter::onnx::export;
    use runtime_nostd::geometry::Shape;

    use super::*;
    use crate::seed::{SeedError, genome_of};

    fn model(name: &str) -> PathBuf {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/onnx");
        tests.join(name).with_extension("onnx")
    }

    #[test]
    fn a_model_becomes_the_genome_of_its_layers() {
        let space = SearchSpace::small(12);
        let network = read_seed(&model("lenet-mnist"), &space).unwrap();
        let genome = genome_of(&network, 0.1).unwrap();
        assert_eq!((genome.genes.len(), genome.header.flatten_neurons), (4, 64));
        assert_eq!(network.input.zero, space.input().zero);
        assert_eq!(network.input.shape, Shape::new(28, 28, 1));
    }

    fn exported(network: &Network, space: &SearchSpace) -> Result<Network, SeedFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.onnx");
        std::fs::write(&path, export(network).unwrap()).unwrap();
        read_seed(&path, space)
    }

    #[test]
    fn an_exported_network_comes_back() {
        let space = SearchSpace::small(12);
        let network = read_seed(&model("lenet-mnist"), &space).unwrap();
        let again = exported(&network, &space).unwrap();
        assert_eq!(again.layers, network.layers);
    }

    #[test]
    fn padding_with_another_zero_is_refused() {
        let space = SearchSpace::small(12);
        let mut network = read_seed(&model("mobilenet-mnist"), &space).unwrap();
        network.input.zero = vec![5];
        let refused = exported(&network, &space).unwrap_err();
        assert!(
            matches!(&refused, SeedFileError::Padding { zero, .. } if *zero == [0]),
            "{refused}"
        );
    }

    #[test]
    fn what_no_genome_expresses_is_refused_later() {
        let space = SearchSpace::small(12);
        let network = read_seed(&model("mobilenet-mnist"), &space).unwrap();
        assert_eq!(genome_of(&network, 0.1), Err(SeedError::Tail));
    }
}
