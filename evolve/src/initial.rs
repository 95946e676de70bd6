//! The initial population's random networks (paper, section 4).

use rand::RngExt;
use rand_core::Rng;

use crate::draft::Draft;
use crate::genome::Header;
use crate::individual::{Individual, InvalidIndividual};
use crate::inherit::Heritage;
use crate::settings::{InitialNetworks, SettingOutOfRange};
use crate::space::{NotInSpace, SearchSpace};

/// Networks drawn before the search space counts as too tight.
const ATTEMPTS: usize = 1000;

/// Why there is no random network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InitialError {
    /// A setting that no genome can have.
    #[error(transparent)]
    Setting(#[from] SettingOutOfRange),
    /// The limits admit none of the networks drawn.
    #[error(
        "none of {ATTEMPTS} random networks is within the limits; the last one: {last}; \
         raise the limit or lower the initial flattening neurons or the filters of new layers"
    )]
    TooTight {
        /// What was wrong with the last one.
        last: NotInSpace,
    },
    /// A network that could not be built.
    #[error(transparent)]
    Invalid(#[from] InvalidIndividual),
}

/// A random network: a number of layers within `initial.layers`, each drawn by
/// [`SearchSpace::random_gene`], repaired, with random weights close to zero.
///
/// Networks are drawn until one is within the limits, the number of layers with them. Repair
/// removes pooling layers that find nothing to pool, so a network may have fewer layers than were
/// drawn.
///
/// # Errors
/// If `initial` is out of range, or the limits admit no network.
pub fn random_individual<R: Rng + ?Sized>(
    id: u64,
    space: &SearchSpace,
    initial: &InitialNetworks,
    rng: &mut R,
) -> Result<Individual, InitialError> {
    initial.check()?;
    let header = Header {
        id,
        age: crate::age::INITIAL_AGE,
        learning_rate: initial.learning_rate,
        flatten_neurons: initial.flatten_neurons,
    };
    let mut draw = || {
        let layers = rng.random_range(initial.layers.clone());
        let mut draft = Draft::new(header, (0..layers).map(|_| space.random_gene(rng)));
        let settled = draft.settle(space);
        (draft, settled)
    };
    let (mut draft, mut settled) = draw();
    for _ in 1..ATTEMPTS {
        if settled.is_ok() {
            break;
        }
        (draft, settled) = draw();
    }
    settled.map_err(|last| InitialError::TooTight { last })?;
    let nobody = Heritage::default();
    Ok(draft.express(id, [&nobody, &nobody], space, rng)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::cost::Limits;
    use crate::settings::Settings;

    #[test]
    fn random_networks_have_all_depths_and_the_headers_asked_for() {
        let space = SearchSpace::small(28);
        let initial = Settings::mnist().initial;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut depths = BTreeSet::new();
        for id in 0..100 {
            let individual = random_individual(id, &space, &initial, &mut rng).unwrap();
            individual.plan().unwrap();
            let header = individual.genome.header;
            assert_eq!((header.id, header.age), (id, 0));
            assert_eq!(header.flatten_neurons, 50);
            assert!(!individual.birth.is_changed());
            depths.insert(individual.genome.genes.len());
        }
        assert_eq!(
            depths.into_iter().collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7, 8]
        );
    }

    #[test]
    fn tight_limits_are_kept_and_too_tight_ones_named() {
        let initial = Settings::mnist().initial;
        let tight = |max_parameters| {
            let limits = Limits {
                max_parameters,
                ..Limits::default()
            };
            SearchSpace::small(28).with_limits(limits)
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for id in 0..50 {
            let space = tight(1000);
            let individual = random_individual(id, &space, &initial, &mut rng).unwrap();
            assert!(space.admit(&individual.genome).unwrap().parameters <= 1000);
        }
        // 50 neurons with one weight and a bias each, and 2 outputs of 51: no network has fewer.
        let error = random_individual(0, &tight(200), &initial, &mut rng).unwrap_err();
        assert!(matches!(error, InitialError::TooTight { .. }));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let mut initial = Settings::mnist().initial;
        initial.flatten_neurons = 0;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let error = random_individual(0, &SearchSpace::small(28), &initial, &mut rng);
        assert!(matches!(error, Err(InitialError::Setting(_))));
    }
}
