//! Choosing the scales of [`scale`](crate::scale) by what they do to the logits.

use std::fmt::{self, Display, Formatter};

use runtime_nostd::Batch;
use serde::Serialize;

use crate::dataset::Images;
use crate::export::{ExportError, Proven, prove};
use crate::fold::fold;
use crate::network::Network;
use crate::noise::NoiseModel;
use crate::quantize::Format;
use crate::scale::Scales;
use crate::write::WriteError;

/// The most images that are measured.
pub const CALIBRATION_IMAGES: usize = 256;
/// Each set's proposal depends on its neighbors', so they are made more than once.
const SWEEPS: usize = 3;
/// The noise of weights with 8, 11 and 13 fractional bits, which is known only when the bounds of the
/// sums are.
const WEIGHT_NOISE: [f64; 3] = [1.0, 1.0 / 64.0, 1.0 / 1024.0];

/// What rescaling did. Errors are root mean squares of the difference between the logits in f32 and in
/// fixed point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rescaling {
    /// Images that were measured.
    pub images: usize,
    /// Error without rescaling; `None` if the network cannot be exported without.
    pub error_before: Option<f64>,
    /// Error of the exported blob.
    pub error_after: f64,
    /// One entry for each layer with weights but the last, which gives the logits.
    pub layers: Vec<LayerRescaling>,
}

/// What rescaling did to one layer's output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerRescaling {
    /// Index of the layer.
    pub layer: usize,
    /// One for each filter: it is multiplied by 2 to the power of this.
    pub exponents: Vec<i8>,
    /// Error if this layer, and those whose output is added to its, were left alone. `None` if they
    /// are, or if the network could not be exported then.
    pub error_without: Option<f64>,
}

impl Display for Rescaling {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let error = |error: Option<f64>| {
            error.map_or("sums could overflow".to_owned(), |error| {
                format!("{error:.6}")
            })
        };
        writeln!(
            f,
            "error of the logits (root mean square, {} images): {} as trained, {:.6} rescaled",
            self.images,
            error(self.error_before),
            self.error_after
        )?;
        for layer in &self.layers {
            let scaled = layer.exponents.iter().filter(|&&exponent| exponent != 0);
            let least = layer.exponents.iter().min().copied().unwrap_or(0);
            let greatest = layer.exponents.iter().max().copied().unwrap_or(0);
            if (least, greatest) == (0, 0) {
                writeln!(f, "layer {}: left as it is", layer.layer)?;
            } else {
                writeln!(
                    f,
                    "layer {}: {} of {} filters scaled by 2^{least} .. 2^{greatest}; without: {}",
                    layer.layer,
                    scaled.count(),
                    layer.exponents.len(),
                    error(layer.error_without)
                )?;
            }
        }
        Ok(())
    }
}

/// Exports `network` with the scales that give the least error over some of `images`, at most
/// [`CALIBRATION_IMAGES`], evenly spaced.
///
/// A model proposes scales for all layers. Then layers are left alone again if that is no worse, or
/// moved by one power of two if that is better, until nothing helps.
///
/// # Errors
/// An inconsistent network, images of another shape, or sums that could overflow whatever the scales.
pub(crate) fn rescale(
    network: &Network,
    format: Format,
    images: &Images,
) -> Result<(Proven, Rescaling), ExportError> {
    let identity = Scales::identity(network)?;
    let images = evenly_spaced(network, images)?;
    let folded = fold(network);
    let (model, logits) = NoiseModel::measure(&folded, format.weight_bits, &images)?;
    let measure = |scales: &Scales| -> Result<Measured, ExportError> {
        let proven = prove(&folded, format, scales)?;
        let error = error(&proven, &images, &logits)?;
        Ok(Measured { proven, error })
    };

    let mut best = measure(&identity);
    let error_before = best.as_ref().ok().map(|before| before.error);
    for weight_noise in WEIGHT_NOISE {
        let mut proposed = identity.clone();
        for _ in 0..SWEEPS {
            for set in identity.sets() {
                let exponents = model.propose(&proposed, set, weight_noise);
                proposed.assign(set, exponents);
            }
        }
        choose(&mut best, measure(&proposed), f64::lt);
    }
    // Until no change lowers the error: then each layer that is scaled is so for a reason.
    let mut reached = f64::INFINITY;
    while let Ok(Measured { error, .. }) = best
        && error < reached
    {
        reached = error;
        for set in identity.sets() {
            for change in [Change::Reset, Change::Up, Change::Down] {
                let Ok(current) = &best else { break };
                let highest = model.highest(&identity, set);
                let changed = change.of(&current.proven.scales, set, &highest);
                if changed != current.proven.scales {
                    choose(&mut best, measure(&changed), change.wins());
                }
            }
        }
    }

    let best = best?;
    let scales = &best.proven.scales;
    let without = |layer: usize| {
        let without = Change::Reset.of(scales, scales.set_of(layer + 1), &[]);
        let measured = (without != *scales).then(|| measure(&without).ok())?;
        measured.map(|measured| measured.error)
    };
    let layers = scaled_layers(network).map(|layer| LayerRescaling {
        layer,
        exponents: scales.of_map(layer + 1).to_vec(),
        error_without: without(layer),
    });
    let rescaling = Rescaling {
        images: images.len(),
        error_before,
        error_after: best.error,
        layers: layers.collect(),
    };
    Ok((best.proven, rescaling))
}

/// A blob and its error.
struct Measured {
    proven: Proven,
    error: f64,
}

/// A change of one set's exponents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Reset,
    Up,
    Down,
}

impl Change {
    /// The scales with this change of a set; nothing moves up beyond `highest`.
    fn of(self, scales: &Scales, set: usize, highest: &[i8]) -> Scales {
        let mut changed = scales.clone();
        let exponents = scales.of_map(set).iter().enumerate();
        let exponents = exponents.map(|(channel, &exponent)| match self {
            Self::Reset => 0,
            Self::Up if highest.get(channel) > Some(&exponent) => exponent + 1,
            Self::Up => exponent,
            Self::Down => exponent - 1,
        });
        changed.assign(set, exponents);
        changed
    }

    /// Whether an error is low enough for the change to be made: a layer is left alone on a tie.
    fn wins(self) -> fn(&f64, &f64) -> bool {
        match self {
            Self::Reset => f64::le,
            Self::Up | Self::Down => f64::lt,
        }
    }
}

/// Replaces `best` by `candidate` if that can be exported and its error `wins`.
fn choose(
    best: &mut Result<Measured, ExportError>,
    candidate: Result<Measured, ExportError>,
    wins: fn(&f64, &f64) -> bool,
) {
    let chosen = match (&candidate, &*best) {
        (Ok(candidate), Ok(best)) => wins(&candidate.error, &best.error),
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    };
    if chosen {
        *best = candidate;
    }
}

/// Layers with weights, without the last.
fn scaled_layers(network: &Network) -> impl Iterator<Item = usize> {
    let layers = network.layers.iter().enumerate();
    layers
        .take(network.layers.len().saturating_sub(1))
        .filter(|(_, layer)| layer.parameters.is_some())
        .map(|(index, _)| index)
}

/// At most [`CALIBRATION_IMAGES`] of `images`.
fn evenly_spaced(network: &Network, images: &Images) -> Result<Images, ExportError> {
    let shape = network.input.shape;
    if images.shape() != shape || images.is_empty() {
        return Err(ExportError::Calibration {
            count: images.len(),
            images: images.shape().to_string(),
            network: shape.to_string(),
        });
    }
    let count = images.len().min(CALIBRATION_IMAGES);
    let chosen: Vec<usize> = (0..count).map(|i| i * images.len() / count).collect();
    let pixels = chosen.iter().flat_map(|&index| images.pixels(index));
    let labels = chosen.iter().map(|&index| images.labels()[index]);
    Ok(Images::new(
        shape,
        pixels.copied().collect(),
        labels.collect(),
    ))
}

/// The root mean square of the difference to `expected`, the logits in f32 of every image.
fn error(proven: &Proven, images: &Images, expected: &[Vec<f32>]) -> Result<f64, ExportError> {
    let model = proven.blob.model().map_err(WriteError::Refused)?;
    let (mut sum, mut count) = (0.0, 0.0);
    Batch::new(&model).infer(images.iter(), |index, logits| {
        let scale = f64::from(1u32 << logits.frac_bits());
        for (&raw, &value) in logits.raw().iter().zip(&expected[index]) {
            sum += (f64::from(raw) / scale - f64::from(value)).powi(2);
            count += 1.0;
        }
    })?;
    Ok(f64::sqrt(sum / count))
}
