//! The age of an individual (paper, section 3.4), which defines its species.

/// The age of a network that no training has counted for yet.
pub const INITIAL_AGE: u32 = 0;

/// What became of a trained child's fitness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An operator changed the child, and its fitness is below its parent's.
    Worsened,
    /// Anything else.
    Kept,
}

impl Outcome {
    /// The outcome of a child that operators changed or not
    /// ([`Birth::is_changed`](crate::individual::Birth::is_changed)), after its training.
    pub fn of(is_changed: bool, fitness: f64, parent_fitness: f64) -> Self {
        if is_changed && fitness < parent_fitness {
            Self::Worsened
        } else {
            Self::Kept
        }
    }
}

/// The age after one more training: a year more, `max_age` at most, or the initial age again if a
/// change made the child worse.
pub fn age_after_training(age: u32, outcome: Outcome, max_age: u32) -> u32 {
    match outcome {
        Outcome::Worsened => INITIAL_AGE,
        Outcome::Kept => age.saturating_add(1).min(max_age),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_that_lowers_fitness_resets_the_age() {
        for (is_changed, fitness, expected) in [
            (true, 0.4, INITIAL_AGE),
            (true, 0.5, 3),
            (true, 0.6, 3),
            (false, 0.4, 3),
        ] {
            let outcome = Outcome::of(is_changed, fitness, 0.5);
            assert_eq!(age_after_training(2, outcome, 4), expected);
        }
    }

    #[test]
    fn age_stops_at_its_maximum() {
        assert_eq!(age_after_training(4, Outcome::Kept, 4), 4);
        assert_eq!(
            age_after_training(u32::MAX, Outcome::Kept, u32::MAX),
            u32::MAX
        );
    }
}
