//! A trained network in, a proven blob out.

use runtime_nostd::InferError;
use runtime_nostd::q8_8::Product;
use thiserror::Error;

use crate::dataset::Images;
use crate::network::{Network, NetworkError};
use crate::quantize::{LayerQuantization, quantize};
use crate::rescale::{Rescaling, rescale};
use crate::scale::Scales;
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
    /// There is nothing to measure scales with.
    #[error(
        "rescaling has {count} images of {images}, the network reads {network}: give the data set it \
         was made for"
    )]
    Calibration {
        /// Number of images.
        count: usize,
        /// Their shape.
        images: String,
        /// Input shape of the network.
        network: String,
    },
    /// An image of the wrong length, which [`ExportError::Calibration`] rules out.
    #[error(transparent)]
    Infer(#[from] InferError),
}

/// Folds, quantizes, proves and writes a network. A filter whose sum could overflow is halved until it
/// cannot, and the weights that read it are doubled; everything else stays as it was trained.
///
/// # Errors
/// An inconsistent network, or one whose accumulators could overflow all the same ([`ExportError`]).
pub fn export(network: &Network, product: Product) -> Result<Exported, ExportError> {
    let scales = Scales::identity(network)?;
    Ok(prove(network, product, &scales)?.into())
}

/// As [`export`], with channels scaled by powers of two where that lowers the error of the logits over
/// `images`, which should be of the training split.
///
/// # Errors
/// As [`export`], or the images are not for this network.
pub fn export_rescaled(
    network: &Network,
    product: Product,
    images: &Images,
) -> Result<(Exported, Rescaling), ExportError> {
    let (proven, rescaling) = rescale(network, product, images)?;
    Ok((proven.into(), rescaling))
}

/// A blob whose sums cannot overflow, and the scales it needed.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) blob: Blob,
    pub(crate) quantization: Vec<LayerQuantization>,
    pub(crate) scales: Scales,
}

impl From<Proven> for Exported {
    fn from(proven: Proven) -> Self {
        Self {
            blob: proven.blob,
            quantization: proven.quantization,
        }
    }
}

/// Writes a network with `scales`, halving filters until no sum can overflow.
///
/// # Errors
/// The first overflow, if that does not help: the filter is a logit, or what reads it overflows then.
pub(crate) fn prove(
    network: &Network,
    product: Product,
    scales: &Scales,
) -> Result<Proven, ExportError> {
    let mut scales = scales.clone();
    let mut first = None;
    loop {
        let (fixed, quantization) = quantize(&scales.apply(network), product);
        match write(&fixed) {
            Ok(blob) => {
                return Ok(Proven {
                    blob,
                    quantization,
                    scales,
                });
            }
            Err(WriteError::Overflow { layer, filter }) => {
                let (first_layer, first_filter) = *first.get_or_insert((layer, filter));
                if !scales.halve(layer, filter) {
                    return Err(ExportError::Write(WriteError::Overflow {
                        layer: first_layer,
                        filter: first_filter,
                    }));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}
