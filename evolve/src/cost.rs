//! What a network costs, from its geometry alone, and the limits that keep every candidate
//! trainable.

use exporter::write::footprint;
use runtime_nostd::geometry::Op;
use serde::{Deserialize, Serialize};

use crate::decode::LayerPlan;

/// The cost of one network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Tunable parameters as deployed: weights and one bias per filter, into which batch
    /// normalization is folded.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Elements of all maps, the input's included: what training keeps for every image of a batch.
    pub activations: u64,
    /// Flash: bytes of the blob.
    pub flash_bytes: u64,
    /// RAM: bytes of the arena that an inference works in.
    pub arena_bytes: u64,
}

impl Cost {
    /// The cost of a phenotype. If it is too large to be written as a blob at all, its flash and
    /// arena are `u64::MAX`, which is beyond every limit.
    pub fn of(plan: &[LayerPlan]) -> Self {
        let mut cost = Self::default();
        let Some(first) = plan.first() else {
            return cost;
        };
        cost.activations = first.input.elements() as u64;
        for layer in plan {
            let outputs = layer.output.elements() as u64;
            cost.parameters += layer.op.parameters(layer.input) as u64;
            cost.macs += outputs * layer.op.fan_in(layer.input) as u64;
            cost.activations += outputs;
        }
        let ops: Vec<Op> = plan.iter().map(|layer| layer.op).collect();
        (cost.flash_bytes, cost.arena_bytes) = match footprint(first.input, &ops) {
            Ok(footprint) => (footprint.flash_bytes as u64, footprint.arena_bytes as u64),
            Err(_) => (u64::MAX, u64::MAX),
        };
        cost
    }
}

/// Upper bounds on a candidate's cost. A candidate beyond one of them is never built: operators
/// draw again, so evolution can neither exhaust memory nor start a training without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most parameters. The default, 500,000, is 1 MB of 16-bit weights: a large
    /// microcontroller's flash.
    pub max_parameters: u64,
    /// Most multiply-accumulates of one inference. With the default of 20 million, an epoch over
    /// 50,000 images is at most 3 * 10^12 of them: one pass forward, two backward.
    pub max_macs: u64,
    /// Most elements of all maps together. The default, 2^18, is 32 MiB of f32 values for a
    /// training batch of 32 images.
    pub max_activations: u64,
    /// Most bytes of the blob. The default, 2 MiB, is the flash of the largest microcontrollers.
    pub max_flash_bytes: u64,
    /// Most bytes of the arena. The default, 512 KiB, is a large microcontroller's RAM.
    pub max_arena_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_parameters: 500_000,
            max_macs: 20_000_000,
            max_activations: 1 << 18,
            max_flash_bytes: 2 << 20,
            max_arena_bytes: 512 << 10,
        }
    }
}

impl Limits {
    /// Whether `cost` is within every limit.
    ///
    /// # Errors
    /// The first limit that it exceeds.
    pub fn check(&self, cost: &Cost) -> Result<(), LimitExceeded> {
        let all = [
            ("parameters", cost.parameters, self.max_parameters),
            ("multiply-accumulates", cost.macs, self.max_macs),
            ("activations", cost.activations, self.max_activations),
            ("bytes of flash", cost.flash_bytes, self.max_flash_bytes),
            ("bytes of arena", cost.arena_bytes, self.max_arena_bytes),
        ];
        match all.into_iter().find(|(_, value, limit)| value > limit) {
            Some((quantity, value, limit)) => Err(LimitExceeded {
                quantity,
                value,
                limit,
            }),
            None => Ok(()),
        }
    }
}

/// A network beyond one of the [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} {quantity} exceed the limit of {limit}: raise the limit or shrink the network")]
pub struct LimitExceeded {
    /// What is too much.
    pub quantity: &'static str,
    /// How much it is.
    pub value: u64,
    /// How much it may be.
    pub limit: u64,
}

#[cfg(test)]
mod tests {
    use runtime_nostd::geometry::Shape;

    use super::*;
    use crate::decode::decode;
    use crate::genome::{Gene, Genome, Header};

    #[test]
    fn cost_counts_every_layer() {
        let genome = Genome {
            header: Header {
                id: 0,
                age: 0,
                learning_rate: 0.1,
                flatten_neurons: 5,
            },
            genes: vec![Gene::Conv {
                kernel_size: 3,
                filters: 4,
                stride: 1,
                padding: 0,
            }],
        };
        let plan = decode(&genome, Shape::new(8, 8, 2), 10).unwrap();
        // Maps: 8x8x2, 6x6x4, 5, 10.
        let cost = Cost::of(&plan);
        let expected = Cost {
            parameters: 4 * (9 * 2 + 1) + 5 * (6 * 6 * 4 + 1) + 10 * (5 + 1),
            macs: 6 * 6 * 4 * 9 * 2 + 5 * 6 * 6 * 4 + 10 * 5,
            activations: 128 + 144 + 5 + 10,
            ..cost
        };
        assert_eq!(cost, expected);
        // Two bytes per weight and four per bias; the rest of the blob describes them.
        let parameters = 2 * (4 * 18 + 5 * 144 + 10 * 5) + 4 * (4 + 5 + 10);
        assert!((parameters..parameters + 300).contains(&cost.flash_bytes));
        // The executor needs some rows of the maps at least, and not all of them.
        assert!((100..2 * cost.activations).contains(&cost.arena_bytes));
    }

    #[test]
    fn a_limit_is_inclusive_and_named() {
        let limits = Limits {
            max_macs: 10,
            ..Limits::default()
        };
        let at = Cost {
            macs: 10,
            ..Cost::default()
        };
        assert_eq!(limits.check(&at), Ok(()));
        let beyond = Cost { macs: 11, ..at };
        let error = limits.check(&beyond).unwrap_err();
        assert_eq!(error.quantity, "multiply-accumulates");
    }
}
