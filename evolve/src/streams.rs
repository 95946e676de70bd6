//! Random numbers that depend on the seed and on what they are for, never on what else was drawn:
//! candidates can be trained in any order and a run resumed at any generation.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

/// What random numbers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Dividing the data set.
    Split,
    /// Drawing the initial population.
    Initial,
    /// Selection, crossover and mutation of a generation.
    Variation {
        /// The generation, from 1.
        generation: u32,
    },
    /// Shuffling the training split before an individual's training.
    Training {
        /// The individual.
        id: u64,
        /// The epoch within its training.
        epoch: u32,
    },
    /// Shuffling and varying the training split before an epoch of an individual's polish.
    Polishing {
        /// The individual.
        id: u64,
        /// The epoch, from 0.
        epoch: u32,
    },
}

/// The random numbers of a run of this seed for one purpose.
pub fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    // Ids count candidates: they stay far below 2^40.
    let (kind, high, low) = match purpose {
        Purpose::Split => (0, 0, 0),
        Purpose::Initial => (1, 0, 0),
        Purpose::Variation { generation } => (2, 0, u64::from(generation)),
        Purpose::Training { id, epoch } => (3, u64::from(epoch), id),
        // Kind 0 is taken by one stream only, that of epoch 0.
        Purpose::Polishing { id, epoch } => (0, u64::from(epoch) + 1, id),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(kind << 62 | high << 40 | low);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng as _;

    #[test]
    fn streams_differ_by_purpose_and_seed_and_repeat() {
        let purposes = [
            Purpose::Split,
            Purpose::Initial,
            Purpose::Variation { generation: 1 },
            Purpose::Variation { generation: 2 },
            Purpose::Training { id: 1, epoch: 0 },
            Purpose::Training { id: 1, epoch: 1 },
            Purpose::Training { id: 2, epoch: 0 },
            Purpose::Polishing { id: 0, epoch: 0 },
            Purpose::Polishing { id: 1, epoch: 1 },
        ];
        let draw = |seed, purpose| stream(seed, purpose).next_u64();
        let mut drawn: Vec<u64> = purposes.map(|purpose| draw(1, purpose)).to_vec();
        drawn.extend(purposes.map(|purpose| draw(2, purpose)));
        assert_eq!(drawn[..9], purposes.map(|purpose| draw(1, purpose)));
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 18);
    }
}
