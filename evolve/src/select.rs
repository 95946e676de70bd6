//! Tournament selection (Algorithm 1, line 6) and replacement (line 14; paper, section 3.4).

use core::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

/// What selection sees of an individual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its identifier.
    pub id: u64,
    /// Its age.
    pub age: u32,
    /// Its fitness (equation 1).
    pub fitness: f64,
    /// Its accuracy on the test split, 0 to 1.
    pub accuracy: f64,
    /// Its parameters.
    pub parameters: u64,
}

impl Candidate {
    /// `Less` if `self` is better than `other`: fitter; at equal fitness more accurate, then
    /// smaller, then older by id.
    ///
    /// Accuracy decides below `a_min`, where every fitness is 0: size alone would drive a population
    /// that is not yet accurate enough to the smallest networks, which never will be.
    pub fn rank(&self, other: &Self) -> Ordering {
        other
            .fitness
            .total_cmp(&self.fitness)
            .then(other.accuracy.total_cmp(&self.accuracy))
            .then(self.parameters.cmp(&other.parameters))
            .then(self.id.cmp(&other.id))
    }
}

/// The index of the better of two different candidates, drawn at random. `None` if there are
/// none; a single one wins unopposed.
pub fn tournament<R: Rng + ?Sized>(candidates: &[Candidate], rng: &mut R) -> Option<usize> {
    if candidates.len() < 2 {
        return (!candidates.is_empty()).then_some(0);
    }
    let first = rng.random_range(0..candidates.len());
    let step = rng.random_range(1..candidates.len());
    let second = (first + step) % candidates.len();
    match candidates[first].rank(&candidates[second]) {
        Ordering::Greater => Some(second),
        Ordering::Less | Ordering::Equal => Some(first),
    }
}

/// How the next population is chosen from parents and offspring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replacement {
    /// Each age level keeps its best (section 3.4).
    Speciation,
    /// The best survive, whatever their age: the paper's comparison without speciation.
    Elitism,
}

impl Replacement {
    /// The indices of the `size` survivors among `candidates` (P ∪ Q), best first; all of them if
    /// there are no more. None survives twice.
    ///
    /// With speciation, the levels are the ages that occur among the candidates. Each level gives
    /// `size / levels` seats to its best, one at least. Seats that this leaves, because the
    /// division has a remainder or a level has too few, go to the best of the rest. If there are
    /// more levels than seats, the levels with the best champions are seated.
    pub fn survivors(self, candidates: &[Candidate], size: usize) -> Vec<usize> {
        let by_rank = |a: &usize, b: &usize| candidates[*a].rank(&candidates[*b]);
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(by_rank);
        if self == Self::Speciation {
            order = champions_first(&order, candidates, size);
        }
        order.truncate(size);
        order.sort_by(by_rank);
        order
    }
}

/// `ranked`, with those in front that take their level's seats.
fn champions_first(ranked: &[usize], candidates: &[Candidate], size: usize) -> Vec<usize> {
    let levels: BTreeSet<u32> = candidates.iter().map(|candidate| candidate.age).collect();
    let quota = (size / levels.len().max(1)).max(1);
    let mut seen = BTreeMap::new();
    let (champions, rest): (Vec<usize>, Vec<usize>) = ranked.iter().partition(|&&index| {
        let seen = seen.entry(candidates[index].age).or_insert(0);
        *seen += 1;
        *seen <= quota
    });
    [champions, rest].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn candidate(id: u64, age: u32, fitness: f64) -> Candidate {
        Candidate {
            id,
            age,
            fitness,
            accuracy: fitness,
            parameters: 100,
        }
    }

    fn ids(survivors: &[usize], candidates: &[Candidate]) -> Vec<u64> {
        let mut ids: Vec<_> = survivors
            .iter()
            .map(|&index| candidates[index].id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// The paper's example: 5 age levels and 15 seats are 3 best per level.
    #[test]
    fn five_levels_share_fifteen_seats() {
        // Ids 0 to 29; the fitness rises with age, so that without speciation the old would win.
        let candidates: Vec<_> = (0..30)
            .map(|id| candidate(id, id as u32 % 5, (id % 5 * 10 + id / 5) as f64))
            .collect();
        let survivors = Replacement::Speciation.survivors(&candidates, 15);
        // The best three of level l are ids l + 5 * {3, 4, 5}.
        assert_eq!(ids(&survivors, &candidates), (15..30).collect::<Vec<_>>());
        let elite = Replacement::Elitism.survivors(&candidates, 15);
        assert!(elite.iter().all(|&index| candidates[index].age >= 2));
    }

    #[test]
    fn seats_that_a_level_cannot_fill_go_to_the_best_of_the_rest() {
        // Quota 2; level 1 has one only, so the third of level 0 is seated.
        let candidates = [
            candidate(0, 0, 0.9),
            candidate(1, 0, 0.8),
            candidate(2, 0, 0.7),
            candidate(3, 0, 0.6),
            candidate(4, 1, 0.1),
        ];
        let survivors = Replacement::Speciation.survivors(&candidates, 4);
        assert_eq!(survivors, [0, 1, 2, 4]);
    }

    #[test]
    fn the_best_champions_are_seated_if_there_are_more_levels_than_seats() {
        let candidates = [
            candidate(0, 0, 0.1),
            candidate(1, 1, 0.3),
            candidate(2, 1, 0.29),
            candidate(3, 2, 0.2),
        ];
        let survivors = Replacement::Speciation.survivors(&candidates, 2);
        assert_eq!(survivors, [1, 3]);
    }

    #[test]
    fn ties_go_to_accuracy_then_size_then_id() {
        let base = candidate(7, 0, 0.0);
        let more_accurate = Candidate {
            accuracy: 0.5,
            parameters: 900,
            ..base
        };
        let smaller = Candidate {
            parameters: 99,
            ..base
        };
        let older = Candidate { id: 3, ..base };
        let candidates = [base, older, smaller, more_accurate];
        let survivors = Replacement::Elitism.survivors(&candidates, 4);
        assert_eq!(survivors, [3, 2, 1, 0]);
    }

    #[test]
    fn tournaments_are_between_two_different_candidates() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let candidates: Vec<_> = (0..5).map(|id| candidate(id, 0, id as f64)).collect();
        let mut wins = [0; 5];
        for _ in 0..10_000 {
            wins[tournament(&candidates, &mut rng).unwrap()] += 1;
        }
        // Number i wins against the i worse of the other four: 2 i / (5 * 4) of all.
        for (index, wins) in wins.into_iter().enumerate() {
            let expected = 1000 * index as i32;
            assert!((wins - expected).abs() < 200, "{index}: {wins}");
        }
        assert_eq!(tournament(&candidates[..1], &mut rng), Some(0));
        assert_eq!(tournament(&[], &mut rng), None);
    }

    fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
        proptest::collection::vec((0..6u32, 0..5u8), 0..40).prop_map(|drawn| {
            let numbered = drawn.into_iter().zip(0..);
            numbered
                .map(|((age, fitness), id)| candidate(id, age, f64::from(fitness)))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn speciation_seats_every_level_and_nobody_twice(
            candidates in any_candidates(),
            size in 1..20usize,
        ) {
            let survivors = Replacement::Speciation.survivors(&candidates, size);
            prop_assert_eq!(survivors.len(), size.min(candidates.len()));
            let unique: BTreeSet<_> = survivors.iter().collect();
            prop_assert_eq!(unique.len(), survivors.len());

            let levels: BTreeSet<_> = candidates.iter().map(|candidate| candidate.age).collect();
            let quota = size / levels.len().max(1);
            for level in levels {
                let of_level = |index: &usize| candidates[*index].age == level;
                let members = (0..candidates.len()).filter(of_level).count();
                let seated = survivors.iter().copied().filter(|index| of_level(index)).count();
                prop_assert!(seated >= quota.min(members));
            }
        }

        #[test]
        fn the_best_always_survives(candidates in any_candidates(), size in 1..20usize) {
            for replacement in [Replacement::Speciation, Replacement::Elitism] {
                let survivors = replacement.survivors(&candidates, size);
                let best = (0..candidates.len())
                    .min_by(|&a, &b| candidates[a].rank(&candidates[b]));
                prop_assert_eq!(survivors.first().copied(), best);
            }
        }
    }
}
