//! Networks beyond the limits, cut down to them.

use rand_core::Rng;

use super::SeedError;
use crate::draft::Draft;
use crate::genome::{Gene, Genome};
use crate::individual::{Birth, Individual};
use crate::inherit::{Heritage, Parent};
use crate::space::SearchSpace;

/// The factor that widths are scaled by is a multiple of one by this.
const STEPS: u32 = 64;

/// `seed` itself if it is within the limits of `space`. Otherwise the widest network of the same
/// layers that is: the numbers of filters and of flattening neurons are scaled by one factor, and
/// the filters that are left keep their weights ([`crate::inherit`]).
///
/// # Errors
/// The narrowest such network is still beyond a limit.
pub fn within_limits<R: Rng + ?Sized>(
    seed: Individual,
    space: &SearchSpace,
    rng: &mut R,
) -> Result<Individual, SeedError> {
    let Err(mut beyond) = space.admit(&seed.genome) else {
        return Ok(seed);
    };
    for step in (1..STEPS).rev() {
        let mut draft = narrowed(&seed.genome, step);
        match draft.settle(space) {
            Ok(()) => {
                let id = seed.genome.header.id;
                let heritage = Heritage::of(&seed)?;
                return Ok(draft.express(id, [&heritage, &heritage], space, rng)?);
            }
            Err(reason) => beyond = reason,
        }
    }
    Err(SeedError::Narrowest(beyond))
}

/// `genome` with `step` / [`STEPS`] of its filters and neurons.
fn narrowed(genome: &Genome, step: u32) -> Draft {
    let scaled =
        |width: u16| u16::try_from(u32::from(width) * step / STEPS).map_or(1, |w| w.max(1));
    let mut draft = Draft::copy_of(genome, Parent::A);
    draft.birth = Birth::default();
    draft.header.flatten_neurons = scaled(draft.header.flatten_neurons);
    for layer in &mut draft.body {
        if let Gene::Conv { filters, .. } = &mut layer.gene {
            *filters = scaled(*filters);
        }
    }
    draft
}
