//! The genome of an existing network, so that evolution can start from it (paper, sections 3.1
//! and 5.2).

use exporter::network::{BATCH_NORM_EPSILON, BatchNorm, Layer, Network, Parameters};
use runtime_nostd::geometry::{Activation, Op, Window};

use crate::age::INITIAL_AGE;
use crate::genome::{
    Gene, Genome, Header, LEARNING_RATES, MAX_CONV_STRIDE, MAX_FILTERS, MAX_FLATTEN_NEURONS,
    MAX_KERNEL_SIZE, MAX_POOL_SIZE, MIN_POOL_SIZE, PoolKind,
};
use crate::individual::{Birth, Individual, InvalidIndividual};
use crate::space::{NotInSpace, SearchSpace};

mod file;
mod limits;

pub use file::{SeedFileError, read_seed};
pub use limits::within_limits;

/// Why a network cannot seed an evolution.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The last two layers are not those of every phenotype.
    #[error(
        "the network must end in two dense layers, the flattening layer with ReLU and one linear \
         output per class without batch normalization"
    )]
    Tail,
    /// A layer that no gene stands for.
    #[error("layer {layer}, {op}: {reason}")]
    Layer {
        /// The layer.
        layer: usize,
        /// What it is.
        op: &'static str,
        /// What no gene expresses.
        reason: Inexpressible,
    },
    /// The flattening layer has more neurons than a genome can have.
    #[error("{0} flattening neurons: a genome has 1 to {MAX_FLATTEN_NEURONS}")]
    FlattenNeurons(u16),
    /// A learning rate out of range.
    #[error(
        "a learning rate of {0} is not within {min} and {max}",
        min = LEARNING_RATES.start(),
        max = LEARNING_RATES.end()
    )]
    LearningRate(f32),
    /// The network is for other images or classes than the data set's.
    #[error("the network's {0} are not the data set's: train it on the same data set")]
    OtherTask(&'static str),
    /// The network is too deep, or a layer does not fit.
    #[error(transparent)]
    NotInSpace(NotInSpace),
    /// The network is too large, whatever its number of filters.
    #[error("cut down to the fewest filters, it is still too large: {0}")]
    Narrowest(NotInSpace),
    /// Parameters of a wrong length.
    #[error(transparent)]
    Invalid(#[from] InvalidIndividual),
}

/// What no gene expresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inexpressible {
    /// A dense layer in the body.
    #[error("only the last two layers can be dense")]
    Dense,
    /// An operation that no gene expresses.
    #[error("{0}: a genome has convolution and pooling only")]
    Operation(&'static str),
    /// A rectangular window, or unequal strides or padding.
    #[error("kernel, stride and padding must be the same in both directions and on all sides")]
    NotSquare,
    /// Padded pooling.
    #[error("pooling must have no padding")]
    PaddedPooling,
    /// A convolution without ReLU, or pooling with it.
    #[error("ReLU must follow convolutions, and nothing may follow pooling")]
    Activation,
    /// A hyperparameter beyond a genome's.
    #[error("{name} of {value}: a gene has {min} to {max}")]
    OutOfRange {
        /// The hyperparameter.
        name: &'static str,
        /// Its value.
        value: u16,
        /// The least.
        min: u16,
        /// The most.
        max: u16,
    },
}

/// The genome that decodes to `network`'s layers, with id 0, age 0 and the given learning rate,
/// which a network does not know.
///
/// # Errors
/// If a layer has no gene, or the network's end is not that of every phenotype.
pub fn genome_of(network: &Network, learning_rate: f32) -> Result<Genome, SeedError> {
    if !LEARNING_RATES.contains(&learning_rate) {
        return Err(SeedError::LearningRate(learning_rate));
    }
    let Some((body, [flattening, classifier])) = network.layers.split_last_chunk() else {
        return Err(SeedError::Tail);
    };
    let (
        Op::Dense {
            outputs: flatten_neurons,
        },
        Activation::Relu,
    ) = (flattening.op, flattening.activation)
    else {
        return Err(SeedError::Tail);
    };
    let is_normalized = |layer: &Layer| {
        let parameters = layer.parameters.as_ref();
        parameters.is_some_and(|parameters| parameters.norm.is_some())
    };
    let is_logits = matches!(classifier.op, Op::Dense { .. })
        && classifier.activation == Activation::Linear
        && !is_normalized(classifier);
    if !is_logits {
        return Err(SeedError::Tail);
    }
    if !(1..=MAX_FLATTEN_NEURONS).contains(&flatten_neurons) {
        return Err(SeedError::FlattenNeurons(flatten_neurons));
    }
    let genes = body.iter().enumerate().map(|(index, layer)| {
        gene_of(layer).map_err(|reason| SeedError::Layer {
            layer: index,
            op: layer.op.name(),
            reason,
        })
    });
    Ok(Genome {
        header: Header {
            id: 0,
            age: INITIAL_AGE,
            learning_rate,
            flatten_neurons,
        },
        genes: genes.collect::<Result<_, _>>()?,
    })
}

/// The individual `id` that is `network`: the same function, in the form of a phenotype.
///
/// A convolution's bias moves into its batch normalization. A convolution without batch
/// normalization (it may have been folded) gets one that only adds the bias; the first training
/// then measures its statistics.
///
/// # Errors
/// As [`genome_of`], and if the network is for other images or classes than `space`, too deep for
/// it, or without all its parameters. It may be beyond the limits ([`within_limits`]).
pub fn individual_of(
    network: Network,
    id: u64,
    learning_rate: f32,
    space: &SearchSpace,
) -> Result<Individual, SeedError> {
    let mut genome = genome_of(&network, learning_rate)?;
    genome.header.id = id;
    if network.input != *space.input() {
        return Err(SeedError::OtherTask("images"));
    }
    if network.classes != space.classes() {
        return Err(SeedError::OtherTask("classes"));
    }
    match space.admit(&genome) {
        Ok(_) | Err(NotInSpace::TooLarge(_)) => {}
        Err(reason) => return Err(SeedError::NotInSpace(reason)),
    }
    let mut individual = Individual {
        genome,
        network,
        birth: Birth::default(),
    };
    let layers = individual.network.layers.iter_mut();
    layers
        .filter(|layer| layer.activation == Activation::Relu)
        .filter_map(|layer| layer.parameters.as_mut())
        .for_each(move_bias_into_norm);
    individual.plan()?;
    Ok(individual)
}

fn move_bias_into_norm(parameters: &mut Parameters) {
    let bias = &mut parameters.bias;
    match &mut parameters.norm {
        // gamma * (x + bias - mean): the sum's mean without the bias is lower by the bias.
        Some(norm) => {
            for (mean, bias) in norm.mean.iter_mut().zip(bias) {
                *mean -= *bias;
                *bias = 0.0;
            }
        }
        None => {
            let filters = bias.len();
            parameters.norm = Some(BatchNorm {
                beta: core::mem::replace(bias, vec![0.0; filters]),
                variance: vec![1.0 - BATCH_NORM_EPSILON; filters],
                ..BatchNorm::identity(filters)
            });
        }
    }
}

fn gene_of(layer: &Layer) -> Result<Gene, Inexpressible> {
    let (gene, activation) = match layer.op {
        Op::Conv {
            window,
            out_channels,
        } => {
            let (kernel_size, stride, padding) = square(window)?;
            in_range("kernel size", kernel_size.into(), 1, MAX_KERNEL_SIZE.into())?;
            in_range("stride", stride.into(), 1, MAX_CONV_STRIDE.into())?;
            in_range("number of filters", out_channels, 1, MAX_FILTERS)?;
            let gene = Gene::Conv {
                kernel_size,
                filters: out_channels,
                stride,
                padding,
            };
            (gene, Activation::Relu)
        }
        Op::MaxPool { window } => (pool_of(PoolKind::Max, window)?, Activation::Linear),
        Op::AvgPool { window } => (pool_of(PoolKind::Avg, window)?, Activation::Linear),
        Op::Dense { .. } => return Err(Inexpressible::Dense),
        Op::Depthwise { .. } | Op::Add { .. } | Op::Branch { .. } => {
            return Err(Inexpressible::Operation(layer.op.name()));
        }
    };
    if layer.activation == activation {
        Ok(gene)
    } else {
        Err(Inexpressible::Activation)
    }
}

fn pool_of(kind: PoolKind, window: Window) -> Result<Gene, Inexpressible> {
    let (size, stride, padding) = square(window)?;
    if padding > 0 {
        return Err(Inexpressible::PaddedPooling);
    }
    let largest = MAX_POOL_SIZE.into();
    in_range("pooling size", size.into(), MIN_POOL_SIZE.into(), largest)?;
    in_range("stride", stride.into(), 1, largest)?;
    Ok(Gene::Pool { kind, size, stride })
}

/// Kernel size, stride and padding of a window that is alike in both directions.
fn square(window: Window) -> Result<(u8, u8, u8), Inexpressible> {
    let (kernel_size, stride, padding) = (window.kernel_h, window.stride_h, window.pad_top);
    if window == Window::square(kernel_size, stride, padding) {
        Ok((kernel_size, stride, padding))
    } else {
        Err(Inexpressible::NotSquare)
    }
}

fn in_range(name: &'static str, value: u16, min: u16, max: u16) -> Result<(), Inexpressible> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(Inexpressible::OutOfRange {
            name,
            value,
            min,
            max,
        })
    }
}

#[cfg(test)]
mod tests;
