//! A trained network in, a proven blob out.

use runtime_nostd::InferError;
use runtime_nostd::q8_8::ACTIVATION_FRAC_BITS;
use thiserror::Error;

use crate::dataset::Images;
use crate::network::{Network, NetworkError};
use crate::quantize::{FixedNetwork, Format, LayerQuantization, quantize};
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
    /// A parameter is no number, or an infinite one, once batch normalization is folded.
    #[error(
        "layer {layer}, filter {filter}: a weight or the bias is not finite once batch normalization is folded"
    )]
    NotFinite {
        /// The layer.
        layer: usize,
        /// The filter.
        filter: usize,
    },
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

/// Folds, quantizes, proves and writes a network, in Q8.8 if only a
/// [`Product`](runtime_nostd::q8_8::Product) is given. A filter whose sum could overflow is halved until
/// it cannot, and the weights that read it are doubled; everything else stays as it was trained.
///
/// # Errors
/// An inconsistent network, or one whose accumulators could overflow all the same ([`ExportError`]).
pub fn export(network: &Network, format: impl Into<Format>) -> Result<Exported, ExportError> {
    let scales = Scales::identity(network)?;
    Ok(prove(network, format.into(), &scales)?.into())
}

/// As [`export`], with channels scaled by powers of two where that lowers the error of the logits over
/// `images`, which should be of the training split.
///
/// # Errors
/// As [`export`], or the images are not for this network.
pub fn export_rescaled(
    network: &Network,
    format: impl Into<Format>,
    images: &Images,
) -> Result<(Exported, Rescaling), ExportError> {
    let (proven, rescaling) = rescale(network, format.into(), images)?;
    Ok((proven.into(), rescaling))
}

fn check_finite(folded: &Network) -> Result<(), ExportError> {
    for (layer, parameters) in folded.layers.iter().map(|l| &l.parameters).enumerate() {
        let Some(parameters) = parameters else {
            continue;
        };
        let filters = parameters.weights.chunks(parameters.fan_in().max(1));
        for (filter, (weights, bias)) in filters.zip(&parameters.bias).enumerate() {
            if !weights.iter().chain([bias]).all(|value| value.is_finite()) {
                return Err(ExportError::NotFinite { layer, filter });
            }
        }
    }
    Ok(())
}

/// A blob whose sums cannot overflow, and the scales it needed.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) fixed: FixedNetwork,
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

/// Writes a network with `scales`, taking fractional bits from layers, down to 8, and halving filters
/// until no sum can overflow.
///
/// # Errors
/// The first overflow, if that does not help: the filter is a logit, or what reads it overflows then.
pub(crate) fn prove(
    network: &Network,
    format: Format,
    scales: &Scales,
) -> Result<Proven, ExportError> {
    let mut scales = scales.clone();
    let mut scaled = scales.apply(network);
    check_finite(&scaled)?;
    let mut frac_bits = format.weight_bits.most(&scaled);
    let mut first = None;
    loop {
        let (fixed, quantization) = quantize(&scaled, format, &frac_bits);
        match write(&fixed) {
            Ok(blob) => {
                return Ok(Proven {
                    fixed,
                    blob,
                    quantization,
                    scales,
                });
            }
            Err(WriteError::Overflow { layer, filter }) => {
                let (first_layer, first_filter) = *first.get_or_insert((layer, filter));
                let can_shorten = format.weight_bits.is_per_layer();
                if can_shorten && frac_bits[layer] > ACTIVATION_FRAC_BITS {
                    frac_bits[layer] -= 1;
                } else if scales.halve(layer, filter) {
                    scaled = scales.apply(network);
                    let most = format.weight_bits.most(&scaled);
                    for (bits, most) in frac_bits.iter_mut().zip(most) {
                        *bits = most.min(*bits);
                    }
                } else if can_shorten && frac_bits[layer] > 0 {
                    frac_bits[layer] -= 1;
                } else {
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
