//! The fitness function (paper, section 3.5, equation 1).

use core::cmp::Reverse;

/// Equation 1 with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitnessFunction {
    /// Impact of the size on the fitness (k).
    pub size_weight: f64,
    /// The least accuracy that has any fitness (`a_min`).
    pub min_accuracy: f64,
    /// Parameters of the best CNN of the initial population ([`reference_parameters`]).
    pub reference_parameters: u64,
}

impl FitnessFunction {
    /// The fitness of a CNN: `a * (k / ln(s_rel + 1) + 1)` if `a >= a_min`, else 0, where a is its
    /// accuracy on the test split (0 to 1) and `s_rel` its parameters over the reference's. Every
    /// CNN has parameters: 0 counts as 1.
    ///
    /// The paper writes "log" without a base. It is the natural logarithm here, as `log` in the
    /// C++ that EA4CNN is written in. Another base would only scale k: base 2 is k * ln 2.
    pub fn fitness(&self, accuracy: f64, parameters: u64) -> f64 {
        if accuracy >= self.min_accuracy {
            let size = parameters.max(1) as f64 / self.reference_parameters.max(1) as f64;
            // The same bits on every machine, unlike the system's.
            accuracy * (self.size_weight / libm::log1p(size) + 1.0)
        } else {
            0.0
        }
    }
}

/// The size that all sizes are relative to: the parameters of the best CNN of the initial
/// population, given as (accuracy, parameters). `None` for an empty population.
///
/// Fitness needs this size first, so "best" means the most accurate; among equals the smallest.
pub fn reference_parameters(initial: impl IntoIterator<Item = (f64, u64)>) -> Option<u64> {
    initial
        .into_iter()
        .max_by(|(accuracy, parameters), (other, others)| {
            accuracy
                .total_cmp(other)
                .then(Reverse(parameters).cmp(&Reverse(others)))
        })
        .map(|(_, parameters)| parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: FitnessFunction = FitnessFunction {
        size_weight: 0.5,
        min_accuracy: 0.6,
        reference_parameters: 1000,
    };

    #[test]
    fn equation_1() {
        // s_rel = e - 1 makes the logarithm 1.
        let e_minus_1 = FitnessFunction {
            reference_parameters: 1_000_000,
            ..FUNCTION
        };
        assert!((e_minus_1.fitness(0.8, 1_718_282) - 0.8 * 1.5).abs() < 1e-6);
        let expected = 0.8 * (0.5 / core::f64::consts::LN_2 + 1.0);
        assert!((FUNCTION.fitness(0.8, 1000) - expected).abs() < 1e-12);
    }

    #[test]
    fn an_unacceptable_accuracy_has_no_fitness() {
        assert!(FUNCTION.fitness(0.6, 1000) > 0.0);
        assert_eq!(FUNCTION.fitness(0.599, 1), 0.0);
        assert_eq!(FUNCTION.fitness(f64::NAN, 1), 0.0);
    }

    #[test]
    fn smaller_is_fitter_and_more_accurate_is_fitter() {
        assert!(FUNCTION.fitness(0.7, 500) > FUNCTION.fitness(0.7, 501));
        assert!(FUNCTION.fitness(0.71, 500) > FUNCTION.fitness(0.7, 500));
    }

    #[test]
    fn the_reference_is_the_most_accurate_then_the_smallest() {
        let initial = [(0.1, 5), (0.9, 300), (0.9, 200), (0.8, 1)];
        assert_eq!(reference_parameters(initial), Some(200));
        assert_eq!(reference_parameters([]), None);
    }
}
