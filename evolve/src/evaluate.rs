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
    /// f32, as trained.
    Float,
    /// Q8.8, on the exported blob.
    Fixed(Product),
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
    /// Whether the network's accumulators could overflow: it cannot be deployed as it is.
    pub fn is_overflow(&self) -> bool {
        matches!(
            self,
            Self::Export(ExportError::Write(WriteError::Overflow { .. }))
        )
    }
}

/// How many of `images` a network classifies correctly.
///
/// # Errors
/// In fixed point, if the network cannot be exported.
pub fn count_correct(
    network: &Network,
    images: &Images,
    arithmetic: Arithmetic,
    backend: &impl Backend,
) -> Result<usize, EvaluateError> {
    match arithmetic {
        Arithmetic::Float => Ok(count_correct_f32(network, images, backend)?),
        Arithmetic::Fixed(product) => {
            let exported = export(network, product)?;
            let model = exported
                .blob
                .model()
                .map_err(|error| ExportError::Write(WriteError::Refused(error)))?;
            Ok(count_correct_blob(&model, images)?)
        }
    }
}

/// How many of `images` a blob classifies correctly.
///
/// # Errors
/// The images do not have the model's input shape.
pub fn count_correct_blob(model: &Model<'_>, images: &Images) -> Result<usize, InferError> {
    let mut correct = 0;
    Batch::new(model).infer(images.iter(), |index, logits| {
        correct += usize::from(logits.class() == images.label(index));
    })?;
    Ok(correct)
}

fn count_correct_f32(
    network: &Network,
    images: &Images,
    backend: &impl Backend,
) -> Result<usize, TrainError> {
    let classes = network.classes.len();
    let indices: Vec<u32> = (0..images.len() as u32).collect();
    let logits = backend.infer(network, images, &indices)?;
    let classes = logits.chunks_exact(classes).map(argmax);
    let correct = classes
        .enumerate()
        .filter(|&(index, class)| class == images.label(index));
    Ok(correct.count())
}
