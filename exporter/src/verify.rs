//! Float against fixed point, image by image.

use runtime_nostd::{Batch, InferError, Model};
use serde::Serialize;
use thiserror::Error;

use crate::dataset::Images;
use crate::forward::Forward;
use crate::network::{Network, NetworkError};

/// What a comparison over a set of images found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Images compared.
    pub images: usize,
    /// Images that f32 classifies correctly.
    pub correct_f32: usize,
    /// Images that the blob classifies correctly.
    pub correct_fixed: usize,
    /// Images to which both give the same class.
    pub agreeing: usize,
    /// Greatest difference between a logit in f32 and in fixed point.
    pub largest_difference: f64,
}

/// Why a comparison is impossible.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The network contradicts itself.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Blob and network are not two forms of one network.
    #[error(
        "the blob reads {blob} and has {blob_classes} classes, the network reads {network} and has {network_classes}: export the blob from this network"
    )]
    Different {
        /// Input shape of the blob.
        blob: String,
        /// Classes of the blob.
        blob_classes: usize,
        /// Input shape of the network.
        network: String,
        /// Classes of the network.
        network_classes: usize,
    },
    /// The images do not fit.
    #[error(
        "the images are {images}, the network reads {network}: give the data set it was made for"
    )]
    Images {
        /// Shape of the images.
        images: String,
        /// Input shape of the network.
        network: String,
    },
    /// Nothing to compare.
    #[error("the data set has no images to compare with")]
    NoImages,
    /// A buffer of the wrong length, which the checks above rule out.
    #[error(transparent)]
    Infer(#[from] InferError),
}

/// Classifies all `images` with the f32 `network` and with `model`.
///
/// # Errors
/// The three do not fit together ([`VerifyError`]).
pub fn verify(
    model: &Model<'_>,
    network: &Network,
    images: &Images,
) -> Result<Verification, VerifyError> {
    let forward = Forward::new(network)?;
    let shape = network.input.shape;
    if (model.input(), model.classes()) != (shape, network.classes.len()) {
        return Err(VerifyError::Different {
            blob: model.input().to_string(),
            blob_classes: model.classes(),
            network: shape.to_string(),
            network_classes: network.classes.len(),
        });
    }
    if images.shape() != shape {
        return Err(VerifyError::Images {
            images: images.shape().to_string(),
            network: shape.to_string(),
        });
    }
    if images.is_empty() {
        return Err(VerifyError::NoImages);
    }
    let mut found = Verification::default();
    Batch::new(model).infer(images.iter(), |index, logits| {
        let logits_f32 = forward.logits(images.pixels(index));
        let class_f32 = argmax(&logits_f32);
        found.images += 1;
        found.correct_f32 += usize::from(class_f32 == images.label(index));
        found.correct_fixed += usize::from(logits.class() == images.label(index));
        found.agreeing += usize::from(class_f32 == logits.class());
        let scale = f64::from(1u32 << logits.frac_bits());
        for (&raw, &value) in logits.raw().iter().zip(&logits_f32) {
            let difference = (f64::from(raw) / scale - f64::from(value)).abs();
            found.largest_difference = found.largest_difference.max(difference);
        }
    })?;
    Ok(found)
}

/// The class with the highest logit; the lowest index on a tie.
pub fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = class;
        }
    }
    best
}
