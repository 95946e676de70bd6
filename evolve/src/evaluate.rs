//! The accuracy that fitness sees: of the bytes that ship, or of f32.
//!
//! [`Arithmetic::Fixed`] exports the network, has the runtime parse the blob, and classifies every
//! image with it: there is no second emulation of the arithmetic (the paper's section 3.6 emulated
//! it inside the training library, 8 times slower).

use exporter::dataset::Images;
use exporter::export::{ExportError, export};
use exporter::network::Network;
use exporter::verify::argmax;
use exporter::write::WriteError;
use runtime_nostd::q8_8::Product;
use runtime_nostd::{Batch, InferError, Model};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::train::{Backend, TrainError};

/// The arithmetic of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arithmetic {
    /// f32, as trained, of networks that can be deployed.
    Float,
    /// Q8.8, on the exported blob.
    Fixed(Product),
}

impl Arithmetic {
    /// The products of the blob that is exported.
    pub fn product(self) -> Product {
        match self {
            Self::Fixed(product) => product,
            Self::Float => Product::Exact,
        }
    }
}

/// Why a network has no accuracy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// It cannot be exported: its sums could overflow, for example.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The images do not fit the network.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The backend refuses the network.
    #[error(transparent)]
    Backend(#[from] TrainError),
}

impl EvaluateError {
    /// Whether the network's accumulators could overflow, or its weights have: it cannot be deployed as
    /// it is.
    pub fn is_overflow(&self) -> bool {
        matches!(
            self,
            Self::Export(
                ExportError::Write(WriteError::Overflow { .. }) | ExportError::NotFinite { .. }
            )
        )
    }
}

/// How many of `images` a network classifies correctly.
///
/// # Errors
/// The network cannot be exported, also in f32: what cannot be deployed has no accuracy.
pub fn count_correct(
    network: &Network,
    images: &Images,
    arithmetic: Arithmetic,
    backend: &impl Backend,
) -> Result<usize, EvaluateError> {
    let classes = classify(network, images, arithmetic, backend)?;
    Ok(count_right(&classes, images))
}

/// How many of `classes`, one for each of `images`, are right.
pub fn count_right(classes: &[usize], images: &Images) -> usize {
    let labels = images.labels().iter().map(|&label| usize::from(label));
    let right = classes.iter().zip(labels);
    right.filter(|&(&class, label)| class == label).count()
}

/// The class that a network gives to each of `images`.
///
/// # Errors
/// As [`count_correct`].
pub fn classify(
    network: &Network,
    images: &Images,
    arithmetic: Arithmetic,
    backend: &impl Backend,
) -> Result<Vec<usize>, EvaluateError> {
    match arithmetic {
        Arithmetic::Float => {
            export(network, arithmetic.product())?;
            Ok(classify_f32(network, images, backend)?)
        }
        Arithmetic::Fixed(product) => {
            let exported = export(network, product)?;
            let model = exported
                .blob
                .model()
                .map_err(|error| ExportError::Write(WriteError::Refused(error)))?;
            Ok(classify_blob(&model, images)?)
        }
    }
}

fn classify_blob(model: &Model<'_>, images: &Images) -> Result<Vec<usize>, InferError> {
    let mut classes = vec![0; images.len()];
    Batch::new(model).infer(images.iter(), |index, logits| {
        classes[index] = logits.class();
    })?;
    Ok(classes)
}

fn classify_f32(
    network: &Network,
    images: &Images,
    backend: &impl Backend,
) -> Result<Vec<usize>, TrainError> {
    let classes = network.classes.len();
    let indices: Vec<u32> = (0..images.len() as u32).collect();
    let logits = backend.infer(network, images, &indices)?;
    Ok(logits.chunks_exact(classes).map(argmax).collect())
}
