//! Offspring: lines 7 and 8 of the paper's Algorithm 1, with weight inheritance.

use rand::RngExt;
use rand_core::Rng;

use crate::crossover::crossover;
use crate::draft::Draft;
use crate::individual::{Individual, InvalidIndividual};
use crate::inherit::{Heritage, Parent};
use crate::mutate::mutate;
use crate::settings::Variation;
use crate::space::SearchSpace;

/// The two children of two selected `parents`, which may be the same individual: crossed with
/// the probability `p_cross`, then each mutated with the probability `p_mut`. The first child
/// continues the first parent, the second the second, with weights and age; `ids` are theirs.
///
/// An individual is not crossed with itself. Untrained, an unchanged child is its parent's copy.
///
/// # Errors
/// If a parent's network is not its genome's.
pub fn offspring<R: Rng + ?Sized>(
    parents: [&Individual; 2],
    ids: [u64; 2],
    space: &SearchSpace,
    variation: &Variation,
    rng: &mut R,
) -> Result<[Individual; 2], InvalidIndividual> {
    let heritages = [Heritage::of(parents[0])?, Heritage::of(parents[1])?];
    let heritages = heritages.each_ref();

    let a = Draft::copy_of(&parents[0].genome, Parent::A);
    let b = Draft::copy_of(&parents[1].genome, Parent::B);
    let crossing =
        rng.random::<f64>() < variation.crossover_probability && a.header.id != b.header.id;
    let crossed = crossing.then(|| crossover(&a, &b, space, rng)).flatten();
    let [mut a, mut b] = crossed.unwrap_or([a, b]);

    for child in [&mut a, &mut b] {
        if rng.random::<f64>() < variation.mutation_probability {
            mutate(child, space, &variation.operators, rng);
        }
    }
    Ok([
        a.express(ids[0], heritages, space, rng)?,
        b.express(ids[1], heritages, space, rng)?,
    ])
}
