//! A trained network in, a proven blob out.

use runtime_nostd::q8_8::Product;
use thiserror::Error;

use crate::network::{Network, NetworkError};
use crate::quantize::{LayerQuantization, quantize};
use crate::write::{Blob, WriteError, write};

/// A network as it ships, and what quantization did to it.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The bytes to flash, already parsed once by the runtime.
    pub blob: Blob,
    /// One entry for each layer with weights.
    pub quantization: Vec<LayerQuantization>,
}

/// Why a network cannot be exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The network contradicts itself.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It cannot be written, or its sums could overflow.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Folds, quantizes, proves and writes a network.
///
/// # Errors
/// An inconsistent network, or one whose accumulators could overflow ([`ExportError`]).
pub fn export(network: &Network, product: Product) -> Result<Exported, ExportError> {
    network.check()?;
    let (fixed, quantization) = quantize(network, product);
    let blob = write(&fixed)?;
    Ok(Exported { blob, quantization })
}
