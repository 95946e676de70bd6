//! Float against fixed point, image by image.

use runtime_nostd::{InferError, Model};
use serde::Serialize;
use thiserror::Error;

use crate::dataset::Images;
use crate::forward::Forward;
use crate::network::{Network, NetworkError};
use crate::ranges::{Histogram, Stores};

/// What a comparison over a set of images found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    /// The activations of each layer but the last, which stores none.
    pub stores: Vec<Histogram>,
    /// Images by label and by the class that the blob gives them, `[classes, classes]`.
    pub confusion: Vec<Vec<usize>>,
    /// The blob's raw logits, `[images, classes]`.
    #[serde(skip)]
    pub logits: Vec<i32>,
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
    /// An image is of a class that the network does not know.
    #[error(
        "image {image} has label {label}, the network knows {classes} classes: give the data set it was made for"
    )]
    Label {
        /// Number of the image.
        image: usize,
        /// Its class.
        label: usize,
        /// Classes of the network.
        classes: usize,
    },
    /// Nothing to compare.
    #[error("the data set has no images to compare with")]
    NoImages,
    /// A buffer of the wrong length, which the checks above rule out.
    #[error(transparent)]
    Infer(#[from] InferError),
}

/// Classifies the first `most` of `images` with the f32 `network` and with `model`.
///
/// # Errors
/// The three do not fit together ([`VerifyError`]).
pub fn verify(
    model: &Model<'_>,
    network: &Network,
    images: &Images,
    most: usize,
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
    let count = images.len().min(most);
    if count == 0 {
        return Err(VerifyError::NoImages);
    }
    let classes = model.classes();
    let mut scratch = vec![0; model.arena_bytes() / 4];
    let mut found = Verification {
        confusion: vec![vec![0; classes]; classes],
        ..Verification::default()
    };
    let mut stores = Stores::new(model);
    for index in 0..count {
        let (pixels, label) = (images.pixels(index), images.label(index));
        if label >= classes {
            return Err(VerifyError::Label {
                image: index,
                label,
                classes,
            });
        }
        let logits_f32 = forward.logits(pixels);
        let logits = model.infer_with(&mut scratch, pixels, &mut stores)?;
        let class_f32 = argmax(&logits_f32);
        found.images += 1;
        found.correct_f32 += usize::from(class_f32 == label);
        found.correct_fixed += usize::from(logits.class() == label);
        found.confusion[label][logits.class()] += 1;
        found.logits.extend(logits.raw());
        found.agreeing += usize::from(class_f32 == logits.class());
        let scale = f64::from(1u32 << logits.frac_bits());
        for (&raw, &value) in logits.raw().iter().zip(&logits_f32) {
            let difference = (f64::from(raw) / scale - f64::from(value)).abs();
            // What is no number differs from any.
            let difference = if difference.is_nan() {
                f64::INFINITY
            } else {
                difference
            };
            found.largest_difference = found.largest_difference.max(difference);
        }
    }
    found.stores = stores.into_histograms();
    Ok(found)
}

/// The class with the highest logit; the lowest index on a tie.
pub fn argmax<T: PartialOrd>(logits: &[T]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::export;
    use crate::network::{Input, Layer, Parameters};
    use runtime_nostd::geometry::{Activation, Op, Shape};
    use runtime_nostd::q8_8::Product;

    /// One pixel plus `bias`, against 0: class 1 if that is positive.
    fn network(bias: f32) -> Network {
        let dense = |outputs, activation, weights: &[f32], bias: &[f32]| Layer {
            op: Op::Dense { outputs },
            activation,
            parameters: Some(Parameters {
                weights: weights.to_vec(),
                bias: bias.to_vec(),
                norm: None,
            }),
        };
        Network {
            input: Input {
                shape: Shape::new(1, 1, 1),
                zero: vec![0],
            },
            layers: vec![
                dense(1, Activation::Relu, &[1.0], &[bias]),
                dense(2, Activation::Linear, &[0.0, 1.0], &[0.0; 2]),
            ],
            classes: vec!["dark".into(), "light".into()],
            provenance: String::new(),
        }
    }

    #[test]
    fn what_saturates_is_counted() {
        let images = Images::new(Shape::new(1, 1, 1), vec![0, 255, 128], vec![0, 1, 0]);
        let verified = |bias| {
            let network = network(bias);
            let blob = export(&network, Product::Exact).unwrap().blob;
            verify(&blob.model().unwrap(), &network, &images, usize::MAX).unwrap()
        };
        let counts = |found: &Verification| -> Vec<(u64, u64)> {
            let stores = found.stores.iter();
            stores.map(|s| (s.total(), s.saturated())).collect()
        };
        let inside = verified(0.0);
        let correct = (inside.correct_f32, inside.correct_fixed, inside.agreeing);
        assert_eq!(correct, (2, 2, 3));
        assert_eq!(counts(&inside), [(3, 0)]);
        // Label 0 once dark and once taken for light, label 1 light.
        assert_eq!(inside.confusion, [[1, 1], [0, 1]]);
        assert!(inside.largest_difference < 1.0 / 256.0);
        // 128 / 256 and 255 / 256 more than 127.5 are beyond Q8.8's 127.996.
        let beyond = verified(127.5);
        assert_eq!(counts(&beyond), [(3, 2)]);
        assert!((beyond.largest_difference - 0.5).abs() < 0.01);
    }
}
