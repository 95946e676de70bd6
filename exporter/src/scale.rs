//! Powers of two between layers, which change the numbers that a network computes with and not its
//! function.
//!
//! ReLU, pooling and addition are positively homogeneous. So the channel of a map may be scaled by
//! any s > 0, by scaling the filter that computes it, if the weights that read it are divided by s.
//! In f32 a power of two is exact: a scaled network has the same logits to the last bit. In Q8.8 it
//! decides which bits of weights and activations survive.

use runtime_nostd::geometry::Op;

use crate::fold::fold;
use crate::network::{Network, NetworkError};

/// The exponents that a channel may have: `-MAX_EXPONENT..=MAX_EXPONENT`.
pub const MAX_EXPONENT: i8 = 15;

/// A power of two for each channel of every map of a network.
///
/// Maps are counted as the runtime does: 0 is the image, `k + 1` the output of layer `k`. Maps that
/// pooling, branches and additions connect are one set and have the same exponents. Those of the image
/// and of the logits are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scales {
    /// By map: the first map of its set.
    set_of: Vec<usize>,
    /// By map, for the first of each set: the exponents of its channels.
    exponents: Vec<Vec<i8>>,
}

impl Scales {
    /// Every exponent 0.
    ///
    /// # Errors
    /// As [`Network::check`].
    pub fn identity(network: &Network) -> Result<Self, NetworkError> {
        let shapes = network.check()?;
        let mut set_of: Vec<usize> = (0..=network.layers.len()).collect();
        let mut join = |one: usize, other: usize| {
            let (one, other) = (set_of[one], set_of[other]);
            let (first, second) = (one.min(other), one.max(other));
            for set in &mut set_of {
                if *set == second {
                    *set = first;
                }
            }
        };
        for (layer, Links { source, skip }) in links(network).into_iter().enumerate() {
            if network.layers[layer].parameters.is_none() {
                join(layer + 1, source);
            }
            if let Some(skip) = skip {
                join(source, skip);
            }
        }
        let output = |layer: usize| network.layers[layer].op.output(shapes[layer]);
        let channels = |map: usize| match map.checked_sub(1) {
            None => network.input.shape.channels,
            Some(layer) => output(layer).map_or(0, |shape| shape.channels),
        };
        let exponents = (0..set_of.len()).map(|map| vec![0; channels(map).into()]);
        Ok(Self {
            exponents: exponents.collect(),
            set_of,
        })
    }

    /// The sets that may be scaled, by their first maps.
    pub fn sets(&self) -> Vec<usize> {
        let fixed = [self.set_of[0], self.set_of[self.set_of.len() - 1]];
        let firsts = self.set_of.iter().enumerate();
        firsts
            .filter(|&(map, set)| map == *set && !fixed.contains(set))
            .map(|(map, _)| map)
            .collect()
    }

    /// The set that a map belongs to.
    pub fn set_of(&self, map: usize) -> usize {
        self.set_of[map]
    }

    /// The exponents of a map's channels.
    pub fn of_map(&self, map: usize) -> &[i8] {
        &self.exponents[self.set_of[map]]
    }

    /// Gives the maps of a set, one of [`Scales::sets`], other exponents, one per channel. Those
    /// beyond [`MAX_EXPONENT`] become the nearest allowed.
    pub fn assign(&mut self, set: usize, exponents: impl IntoIterator<Item = i8>) {
        for (own, exponent) in self.exponents[set].iter_mut().zip(exponents) {
            *own = exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT);
        }
    }

    /// Halves what filter `filter` of layer `layer` computes. `false` if that cannot be: it is a
    /// logit, or tied to the image, or as small as it may be.
    pub fn halve(&mut self, layer: usize, filter: usize) -> bool {
        let set = self.set_of[layer + 1];
        if !self.sets().contains(&set) {
            return false;
        }
        match self.exponents[set].get_mut(filter) {
            Some(exponent) if *exponent > -MAX_EXPONENT => {
                *exponent -= 1;
                true
            }
            _ => false,
        }
    }

    /// The network with batch normalization folded and every channel scaled.
    pub fn apply(&self, network: &Network) -> Network {
        let mut scaled = fold(network);
        let links = links(network);
        for (index, layer) in scaled.layers.iter_mut().enumerate() {
            let (before, behind) = (self.of_map(links[index].source), self.of_map(index + 1));
            let Some(parameters) = &mut layer.parameters else {
                continue;
            };
            let fan_in = parameters.fan_in();
            let filters = parameters.weights.chunks_mut(fan_in);
            for (filter, (weights, bias)) in filters.zip(&mut parameters.bias).enumerate() {
                let own = behind[filter];
                *bias *= power_of_two(own.into());
                for (element, weight) in weights.iter_mut().enumerate() {
                    let channel = channel_read(layer.op, before.len(), filter, element);
                    *weight *= power_of_two(i32::from(own) - i32::from(before[channel]));
                }
            }
        }
        scaled
    }
}

/// The maps that a layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    /// What it computes from.
    pub(crate) source: usize,
    /// What it adds to that.
    pub(crate) skip: Option<usize>,
}

/// The maps that every layer of a checked network reads.
pub(crate) fn links(network: &Network) -> Vec<Links> {
    let layers = network.layers.iter().enumerate();
    layers
        .map(|(index, layer)| match layer.op {
            Op::Branch { from } => Links {
                source: usize::from(from) + 1,
                skip: None,
            },
            Op::Add { from } => Links {
                source: index,
                skip: Some(usize::from(from) + 1),
            },
            _ => Links {
                source: index,
                skip: None,
            },
        })
        .collect()
}

/// The channel of the map, which has `channels`, that weight `element` of a filter reads.
pub(crate) fn channel_read(op: Op, channels: usize, filter: usize, element: usize) -> usize {
    match op {
        Op::Depthwise { .. } => filter,
        _ => element % channels,
    }
}

fn power_of_two(exponent: i32) -> f32 {
    (exponent as f32).exp2()
}
