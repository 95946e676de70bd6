//! The six mutation operators (paper, section 3.3).

use rand::RngExt;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use crate::draft::{Draft, DraftGene};
use crate::genome::{
    Gene, LEARNING_RATES, MAX_CONV_STRIDE, MAX_FILTERS, MAX_FLATTEN_NEURONS, MAX_GENES,
    MAX_KERNEL_SIZE, MIN_POOL_SIZE, PoolKind,
};
use crate::inherit::Origin;
use crate::settings::OperatorProbabilities;
use crate::space::SearchSpace;

/// Draws of an operator's details before the operator is given up.
const ATTEMPTS: usize = 16;

/// A mutation operator, by the paper's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MutationOperator {
    /// MO1: all weights of one layer become random. Any layer with weights may be meant, the
    /// flattening and the fully connected layer included.
    ResetWeights,
    /// MO2: a random layer is inserted at a random position.
    AddLayer,
    /// MO3: a random gene is removed; the last remaining one never is.
    RemoveLayer,
    /// MO4: some hyperparameters of a random gene change: one or more of kernel size, filters,
    /// stride and padding, or of pooling type, size and stride.
    ModifyLayer,
    /// MO5: the fully connected layer has more or fewer connections: the flattening layer gets
    /// more or fewer neurons.
    ResizeFlattening,
    /// MO6: the learning rate changes.
    ModifyLearningRate,
}

impl MutationOperator {
    /// All six, in the order of [`OperatorProbabilities::to_array`].
    pub const ALL: [Self; 6] = [
        Self::ResetWeights,
        Self::AddLayer,
        Self::RemoveLayer,
        Self::ModifyLayer,
        Self::ResizeFlattening,
        Self::ModifyLearningRate,
    ];
}

/// A mutation that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutation {
    /// Which operator acted.
    pub operator: MutationOperator,
    /// On which layer: its index before the mutation; for [`MutationOperator::AddLayer`] the new
    /// layer's index before repair. `None` for MO5 and MO6.
    pub layer: Option<usize>,
}

/// Mutates `draft` with one operator, drawn according to `probabilities`, and repairs it.
///
/// An operator that finds no change within `space` in a number of attempts (nothing to remove,
/// no room to add, a network too large) hands over to another one, drawn from the rest in
/// proportion to their probabilities. `None`, and an unchanged draft, if all are exhausted; MO1
/// never is for a draft within `space`, since every network has layers with weights.
pub fn mutate<R: Rng + ?Sized>(
    draft: &mut Draft,
    space: &SearchSpace,
    probabilities: &OperatorProbabilities,
    rng: &mut R,
) -> Option<Mutation> {
    let mut weights = probabilities.to_array();
    while let Some(drawn) = draw(&weights, rng) {
        let operator = MutationOperator::ALL[drawn];
        let mutant = (0..ATTEMPTS).find_map(|_| attempt(operator, draft, space, rng));
        if let Some(mutant) = mutant {
            *draft = mutant;
            return draft.birth.mutation;
        }
        weights[drawn] = 0.0;
    }
    None
}

/// An index, drawn in proportion to `weights`; `None` if no weight is positive.
fn draw<R: Rng + ?Sized>(weights: &[f64; 6], rng: &mut R) -> Option<usize> {
    let total: f64 = weights.iter().sum();
    let point = rng.random::<f64>() * total;
    let mut end = 0.0;
    let positive = weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight > 0.0);
    // The last positive weight wins should rounding leave the point at the very end.
    let mut last = None;
    for (index, weight) in positive {
        end += weight;
        last = Some(index);
        if point < end {
            break;
        }
    }
    last
}

/// The changed, repaired draft; `None` if this draw changed nothing or led out of `space`.
fn attempt<R: Rng + ?Sized>(
    operator: MutationOperator,
    draft: &Draft,
    space: &SearchSpace,
    rng: &mut R,
) -> Option<Draft> {
    let mut mutant = draft.clone();
    let layer = match operator {
        MutationOperator::ResetWeights => Some(reset_weights(&mut mutant, rng)),
        MutationOperator::AddLayer => Some(add_layer(&mut mutant, space, rng)?),
        MutationOperator::RemoveLayer => Some(remove_layer(&mut mutant, rng)?),
        MutationOperator::ModifyLayer => Some(modify_layer(&mut mutant, space, rng)?),
        MutationOperator::ResizeFlattening => {
            let neurons = &mut mutant.header.flatten_neurons;
            *neurons = resized(*neurons, MAX_FLATTEN_NEURONS, rng);
            None
        }
        MutationOperator::ModifyLearningRate => {
            let rate = &mut mutant.header.learning_rate;
            let scaled = scaled((*rate).into(), rng) as f32;
            *rate = scaled.clamp(*LEARNING_RATES.start(), *LEARNING_RATES.end());
            None
        }
    };
    mutant.settle(space).ok()?;
    (mutant != *draft).then(|| {
        mutant.birth.mutation = Some(Mutation { operator, layer });
        mutant
    })
}

fn reset_weights<R: Rng + ?Sized>(draft: &mut Draft, rng: &mut R) -> usize {
    let genes = draft.body.len();
    let convolutions = draft
        .body
        .iter_mut()
        .enumerate()
        .filter(|(_, layer)| matches!(layer.gene, Gene::Conv { .. }))
        .map(|(index, layer)| (index, &mut layer.origin));
    let tail = [
        (genes, &mut draft.flattening),
        (genes + 1, &mut draft.classifier),
    ];
    let mut origins: Vec<_> = convolutions.chain(tail).collect();
    let chosen = rng.random_range(0..origins.len());
    let (layer, origin) = origins.swap_remove(chosen);
    *origin = Origin::New;
    layer
}

fn add_layer<R: Rng + ?Sized>(
    draft: &mut Draft,
    space: &SearchSpace,
    rng: &mut R,
) -> Option<usize> {
    if draft.body.len() == MAX_GENES {
        return None;
    }
    let layer = rng.random_range(0..=draft.body.len());
    let gene = DraftGene::new(space.random_gene(rng));
    draft.body.insert(layer, gene);
    Some(layer)
}

fn remove_layer<R: Rng + ?Sized>(draft: &mut Draft, rng: &mut R) -> Option<usize> {
    if draft.body.len() < 2 {
        return None;
    }
    let layer = rng.random_range(0..draft.body.len());
    draft.body.remove(layer);
    Some(layer)
}

fn modify_layer<R: Rng + ?Sized>(
    draft: &mut Draft,
    space: &SearchSpace,
    rng: &mut R,
) -> Option<usize> {
    if draft.body.is_empty() {
        return None;
    }
    let layer = rng.random_range(0..draft.body.len());
    match &mut draft.body[layer].gene {
        Gene::Conv {
            kernel_size,
            filters,
            stride,
            padding,
        } => {
            let [resize, widen, step, pad] = some_of(rng);
            if resize {
                *kernel_size = nudged(*kernel_size, 2, 1..=MAX_KERNEL_SIZE, rng);
            }
            if widen {
                *filters = resized(*filters, MAX_FILTERS, rng);
            }
            if step {
                *stride = nudged(*stride, 1, 1..=MAX_CONV_STRIDE, rng);
            }
            if pad {
                // At most half the kernel: the layer does not enlarge the map.
                *padding = nudged(*padding, 1, 0..=(*kernel_size - 1) / 2, rng);
            }
        }
        Gene::Pool { kind, size, stride } => {
            let largest = space.new_layers().max_pool_size;
            let [retype, resize, step] = some_of(rng);
            if retype {
                *kind = match kind {
                    PoolKind::Max => PoolKind::Avg,
                    PoolKind::Avg => PoolKind::Max,
                };
            }
            if resize {
                *size = nudged(*size, 2, MIN_POOL_SIZE..=largest, rng);
            }
            if step {
                *stride = nudged(*stride, 1, 1..=largest, rng);
            }
        }
    }
    Some(layer)
}

/// Which of `N` things to change: any selection but none, equally likely.
fn some_of<const N: usize, R: Rng + ?Sized>(rng: &mut R) -> [bool; N] {
    let selection = rng.random_range(1..1u32 << N);
    core::array::from_fn(|index| selection >> index & 1 == 1)
}

/// `value` plus or minus `1..=reach`, within `range`.
fn nudged<R: Rng + ?Sized>(
    value: u8,
    reach: u8,
    range: core::ops::RangeInclusive<u8>,
    rng: &mut R,
) -> u8 {
    let step = rng.random_range(1..=reach);
    let moved = if rng.random() {
        value.saturating_add(step)
    } else {
        value.saturating_sub(step)
    };
    moved.clamp(*range.start(), *range.end())
}

/// `count` times or divided by a factor of 1 to 2, changed by one at least, within `1..=max`.
fn resized<R: Rng + ?Sized>(count: u16, max: u16, rng: &mut R) -> u16 {
    let target = scaled(count.into(), rng);
    let resized = if target >= f64::from(count) {
        (target.round() as u16).max(count.saturating_add(1))
    } else {
        (target.round() as u16).min(count.saturating_sub(1))
    };
    resized.clamp(1, max)
}

/// `value` times or divided by a factor of 1 to 2, both equally likely. Only operations that every
/// platform rounds alike.
fn scaled<R: Rng + ?Sized>(value: f64, rng: &mut R) -> f64 {
    let factor = rng.random_range(1.0..=2.0);
    if rng.random() {
        value * factor
    } else {
        value / factor
    }
}

#[cfg(test)]
mod tests;
