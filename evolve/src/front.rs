//! The Pareto front of a run: every network that no other one beats in accuracy, parameters, MACs
//! and arena together.
//!
//! A network is on it only if it has a fitness, that is, if its accuracy is at least `a_min`
//! (equation 1): the smallest networks are those that classify nothing, and nobody else would beat
//! them.

use crate::population::Member;

/// Those of `members` that are on the front, in their order.
///
/// Where two are equal in all four, the first of them is. A front is the front of any set that it
/// is the front of a part of: `of(of(a), b)` is `of(a, b)`.
pub fn front<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<&'a Member> {
    let mut front: Vec<&Member> = Vec::new();
    for member in members {
        let is_beaten = front.iter().any(|other| is_no_worse(other, member));
        if member.candidate.fitness > 0.0 && !is_beaten {
            front.retain(|other| !is_no_worse(member, other));
            front.push(member);
        }
    }
    front
}

/// Whether `a` is at least as good as `b` in everything.
fn is_no_worse(a: &Member, b: &Member) -> bool {
    a.candidate.accuracy >= b.candidate.accuracy
        && a.cost.parameters <= b.cost.parameters
        && a.cost.macs <= b.cost.macs
        && a.cost.arena_bytes <= b.cost.arena_bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::cost::Cost;
    use crate::initial::random_individual;
    use crate::select::Candidate;
    use crate::settings::Settings;
    use crate::space::SearchSpace;

    /// A member for each (accuracy, parameters, MACs, arena), without fitness below accuracy 2.
    fn members(values: &[[u8; 4]]) -> Vec<Member> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let initial = Settings::mnist().initial;
        let space = SearchSpace::small(8);
        let individual = random_individual(0, &space, &initial, &mut rng).unwrap();
        let numbered = values.iter().zip(0..);
        numbered
            .map(|(&[accuracy, parameters, macs, arena], id)| Member {
                individual: individual.clone(),
                candidate: Candidate {
                    id,
                    age: 0,
                    fitness: f64::from(accuracy.saturating_sub(1)),
                    accuracy: accuracy.into(),
                    parameters: parameters.into(),
                },
                cost: Cost {
                    parameters: parameters.into(),
                    macs: macs.into(),
                    arena_bytes: arena.into(),
                    ..Cost::default()
                },
            })
            .collect()
    }

    fn ids(front: &[&Member]) -> Vec<u64> {
        front.iter().map(|member| member.candidate.id).collect()
    }

    #[test]
    fn whoever_is_best_in_something_stays() {
        let members = members(&[
            [5, 5, 5, 5],
            [4, 5, 5, 5], // worse than the first
            [6, 9, 9, 9], // more accurate
            [3, 9, 9, 1], // less RAM
            [5, 5, 5, 5], // equal to the first
            [1, 1, 1, 1], // no fitness
        ]);
        assert_eq!(ids(&front(&members)), [0, 2, 3]);
    }

    #[test]
    fn a_better_one_removes_all_that_it_beats() {
        let members = members(&[[5, 5, 5, 5], [6, 9, 9, 9], [6, 5, 5, 5]]);
        assert_eq!(ids(&front(&members)), [2]);
    }

    proptest! {
        #[test]
        fn nobody_on_the_front_is_beaten_and_everybody_else_is(
            values in prop::collection::vec(prop::array::uniform4(0..5u8), 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let members = members(&values);
            let all = front(&members);
            for member in &members {
                let beaten = members.iter().any(|other| {
                    let strictly = !is_no_worse(member, other) || other.candidate.id < member.candidate.id;
                    other.candidate.fitness > 0.0 && is_no_worse(other, member) && strictly
                });
                let expected = member.candidate.fitness > 0.0 && !beaten;
                prop_assert_eq!(ids(&all).contains(&member.candidate.id), expected);
            }
            // In two steps as in one.
            let (first, second) = members.split_at(cut.index(members.len() + 1));
            let steps = front(front(first).into_iter().chain(second));
            prop_assert_eq!(ids(&steps), ids(&all));
        }
    }
}
