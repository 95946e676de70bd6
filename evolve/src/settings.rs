//! The parameters of a run, with the paper's values (section 4, Table 1, section 5.1).

use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::cost::Limits;
use crate::genome::{
    LEARNING_RATES, MAX_FILTERS, MAX_FLATTEN_NEURONS, MAX_GENES, MAX_POOL_SIZE, MIN_POOL_SIZE,
};
use crate::select::Replacement;

/// Everything that a run can be told, but for its data and its seed.
///
/// [`Settings::mnist`] and [`Settings::cifar10`] are the paper's. Where section 4 gives a range
/// (20 to 50 generations, 8 to 15 individuals) they take the values of the experiments of section
/// 5.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Individuals of a population (|P|).
    pub population: usize,
    /// Generations (`G_max`).
    pub generations: u32,
    /// Evolution, or what it is compared with.
    pub algorithm: Algorithm,
    /// Crossover and mutation.
    pub variation: Variation,
    /// How the next population is chosen.
    pub replacement: Replacement,
    /// The highest age (`age_max`); `None` for |P| / 2.
    pub max_age: Option<u32>,
    /// Impact of a CNN's size on its fitness (k of equation 1).
    pub size_weight: f64,
    /// The least accuracy that has any fitness, 0 to 1 (`a_min` of equation 1).
    pub min_accuracy: f64,
    /// The networks that a run starts from.
    pub initial: InitialNetworks,
    /// Bounds on layers that operators draw.
    pub new_layers: NewLayers,
    /// Bounds on every candidate.
    pub limits: Limits,
    /// Images of one step of the gradient descent.
    pub batch_size: usize,
    /// The share of Dtrain that is trained on, above 0 to 1.
    pub train_share: f64,
    /// Passes over the training split that a candidate is trained for in its generation.
    pub epochs: u32,
    /// The final training of the Pareto front.
    pub polish: Polish,
}

/// A final training to convergence ([`crate::polish`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polish {
    /// Passes over the training split; 0 for no such training.
    pub epochs: u32,
    /// Rows and columns that images are shifted by at most, up and down, left and right.
    pub shift: u8,
    /// How images are mirrored.
    pub flip: Flip,
}

/// How images are mirrored at random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flip {
    /// They are not: digits are no longer digits.
    #[default]
    Never,
    /// Left becomes right in half of them.
    Horizontal,
}

/// How a population follows from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Algorithm 1.
    Evolution,
    /// RS-CNN, the paper's random search (section 5.1): every generation trains every network of
    /// the initial population once more, and nothing is selected.
    RandomSearch,
}

/// How offspring differ from their parents (Algorithm 1, lines 7 and 8).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// Probability that a pair of parents is crossed (`p_cross`).
    pub crossover_probability: f64,
    /// Probability that an individual is mutated (`p_mut`).
    pub mutation_probability: f64,
    /// Which mutation it then is.
    pub operators: OperatorProbabilities,
}

/// Relative probabilities of the mutation operators (section 3.3). They need not sum to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorProbabilities {
    /// MO1: weight reset.
    pub reset_weights: f64,
    /// MO2: add a layer.
    pub add_layer: f64,
    /// MO3: remove a layer.
    pub remove_layer: f64,
    /// MO4: modify a layer.
    pub modify_layer: f64,
    /// MO5: more or fewer connections in the fully connected layer.
    pub resize_flattening: f64,
    /// MO6: modify the learning rate.
    pub modify_learning_rate: f64,
}

/// The random networks of the initial population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InitialNetworks {
    /// Layers drawn for one network, tail not counted.
    pub layers: RangeInclusive<usize>,
    /// Learning rate.
    pub learning_rate: f32,
    /// Neurons of the flattening layer.
    pub flatten_neurons: u16,
}

/// Bounds on the layers that operators draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLayers {
    /// Most filters of a newly added convolution. Later mutations may exceed it.
    pub max_filters: u16,
    /// Largest window of a pooling layer, new or modified.
    pub max_pool_size: u8,
}

/// More individuals at a time than any memory has room for.
const MAX_POPULATION: f64 = 65_536.0;

/// A setting outside its range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}, but must be {}", bounds(*min, *max))]
pub struct SettingOutOfRange {
    /// The setting.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// The least that it may be.
    pub min: f64,
    /// The most that it may be.
    pub max: f64,
}

impl Settings {
    /// For a first look at the bundled digits: the paper's settings for MNIST, but an accuracy
    /// worth having. The winner is the smallest network found that reaches it.
    pub fn quick() -> Self {
        Self {
            min_accuracy: 0.975,
            ..Self::mnist()
        }
    }

    /// The paper's settings for MNIST.
    pub fn mnist() -> Self {
        Self {
            population: 8,
            generations: 20,
            algorithm: Algorithm::Evolution,
            variation: Variation {
                crossover_probability: 0.35,
                mutation_probability: 0.7,
                operators: OperatorProbabilities::default(),
            },
            replacement: Replacement::Speciation,
            max_age: None,
            size_weight: 0.5,
            min_accuracy: 0.80,
            initial: InitialNetworks {
                layers: 1..=8,
                learning_rate: 0.1,
                flatten_neurons: 50,
            },
            new_layers: NewLayers {
                max_filters: 12,
                max_pool_size: 4,
            },
            limits: Limits::default(),
            batch_size: 32,
            train_share: 1.0,
            epochs: 1,
            polish: Polish::default(),
        }
    }

    /// The paper's settings for CIFAR-10.
    pub fn cifar10() -> Self {
        let mnist = Self::mnist();
        Self {
            population: 12,
            min_accuracy: 0.60,
            initial: InitialNetworks {
                flatten_neurons: 70,
                ..mnist.initial
            },
            new_layers: NewLayers {
                max_filters: 20,
                ..mnist.new_layers
            },
            ..mnist
        }
    }

    /// The paper's settings for approximating an existing CNN for CIFAR-10 (section 5.2).
    pub fn approximate() -> Self {
        Self {
            population: 15,
            generations: 50,
            size_weight: 1.0,
            ..Self::cifar10()
        }
    }

    /// The highest age (section 3.4: "a typical setup of `age_max` is |P|/2").
    pub fn max_age(&self) -> u32 {
        let typical = u32::try_from(self.population / 2).unwrap_or(u32::MAX);
        self.max_age.unwrap_or(typical)
    }

    /// Refuses values that no run can use.
    ///
    /// # Errors
    /// The first setting out of its range.
    pub fn check(&self) -> Result<(), SettingOutOfRange> {
        let any = f64::INFINITY;
        in_range("population", self.population as f64, 1.0, MAX_POPULATION)?;
        in_range("size weight", self.size_weight, 0.0, f64::MAX)?;
        in_range("minimal accuracy", self.min_accuracy, 0.0, 1.0)?;
        in_range("batch size", self.batch_size as f64, 1.0, any)?;
        in_range("training share", self.train_share, 1e-6, 1.0)?;
        in_range("epochs", self.epochs.into(), 1.0, any)?;
        self.variation.check()?;
        self.initial.check()?;
        self.new_layers.check()
    }
}

impl Variation {
    /// Sets `p_cross` and `p_mut`.
    pub fn set_probabilities(&mut self, crossover: f64, mutation: f64) {
        self.crossover_probability = crossover;
        self.mutation_probability = mutation;
    }

    fn check(&self) -> Result<(), SettingOutOfRange> {
        in_range(
            "crossover probability",
            self.crossover_probability,
            0.0,
            1.0,
        )?;
        in_range("mutation probability", self.mutation_probability, 0.0, 1.0)?;
        let operators = self.operators.to_array();
        operators
            .into_iter()
            .try_for_each(|probability| in_range("operator probability", probability, 0.0, 1.0))
    }
}

impl OperatorProbabilities {
    /// The six probabilities, MO1 first.
    pub const fn from_array(probabilities: [f64; 6]) -> Self {
        let [
            reset_weights,
            add_layer,
            remove_layer,
            modify_layer,
            resize_flattening,
            modify_learning_rate,
        ] = probabilities;
        Self {
            reset_weights,
            add_layer,
            remove_layer,
            modify_layer,
            resize_flattening,
            modify_learning_rate,
        }
    }

    /// The six probabilities, MO1 first.
    pub const fn to_array(self) -> [f64; 6] {
        [
            self.reset_weights,
            self.add_layer,
            self.remove_layer,
            self.modify_layer,
            self.resize_flattening,
            self.modify_learning_rate,
        ]
    }
}

impl Default for OperatorProbabilities {
    /// The paper's (section 4).
    fn default() -> Self {
        Self {
            reset_weights: 0.41,
            add_layer: 0.07,
            remove_layer: 0.03,
            modify_layer: 0.29,
            resize_flattening: 0.10,
            modify_learning_rate: 0.10,
        }
    }
}

impl InitialNetworks {
    /// Refuses values that no genome can have.
    ///
    /// # Errors
    /// The first setting out of its range.
    pub fn check(&self) -> Result<(), SettingOutOfRange> {
        let (fewest, most) = (*self.layers.start() as f64, *self.layers.end() as f64);
        let rates = (LEARNING_RATES.start(), LEARNING_RATES.end());
        in_range("fewest initial layers", fewest, 1.0, MAX_GENES as f64)?;
        in_range("most initial layers", most, fewest, MAX_GENES as f64)?;
        in_range(
            "initial learning rate",
            self.learning_rate.into(),
            (*rates.0).into(),
            (*rates.1).into(),
        )?;
        in_range(
            "initial flattening neurons",
            self.flatten_neurons.into(),
            1.0,
            MAX_FLATTEN_NEURONS.into(),
        )
    }
}

impl NewLayers {
    /// Refuses values that no gene can have.
    ///
    /// # Errors
    /// The first setting out of its range.
    pub fn check(&self) -> Result<(), SettingOutOfRange> {
        in_range(
            "most filters of a new layer",
            self.max_filters.into(),
            1.0,
            MAX_FILTERS.into(),
        )?;
        in_range(
            "largest pooling size",
            self.max_pool_size.into(),
            MIN_POOL_SIZE.into(),
            MAX_POOL_SIZE.into(),
        )
    }
}

fn bounds(min: f64, max: f64) -> String {
    // In the precision in which some are given.
    let (min, max) = (min as f32, max as f32);
    if max.is_finite() {
        format!("between {min} and {max}")
    } else {
        format!("at least {min}")
    }
}

fn in_range(name: &'static str, value: f64, min: f64, max: f64) -> Result<(), SettingOutOfRange> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(SettingOutOfRange {
            name,
            value,
            min,
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_settings_are_valid() {
        assert_eq!(Settings::mnist().check(), Ok(()));
        assert_eq!(Settings::cifar10().check(), Ok(()));
        assert_eq!(Settings::approximate().check(), Ok(()));
        assert_eq!(Settings::mnist().max_age(), 4);
        let probabilities = OperatorProbabilities::default().to_array();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn settings_survive_serialization() {
        let settings = Settings::cifar10();
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let mut settings = Settings::mnist();
        settings.variation.operators.add_layer = f64::NAN;
        assert_eq!(settings.check().unwrap_err().name, "operator probability");

        let mut settings = Settings::mnist();
        settings.initial.layers = RangeInclusive::new(3, 2);
        assert_eq!(settings.check().unwrap_err().name, "most initial layers");

        let refusal = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::mnist();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        assert_eq!(
            refusal(&|settings| settings.population = 1 << 40),
            "population is 1099511627776, but must be between 1 and 65536"
        );
        assert_eq!(
            refusal(&|settings| settings.batch_size = 0),
            "batch size is 0, but must be at least 1"
        );
        assert_eq!(
            refusal(&|settings| settings.initial.learning_rate = 3.0),
            "initial learning rate is 3, but must be between 0.0001 and 1"
        );
    }
}
