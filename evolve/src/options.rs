//! Command-line options, and what they mean.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use runtime_nostd::q8_8::Product;

use crate::config::Config;
use crate::evaluate::Arithmetic;
use crate::select::Replacement;
use crate::settings::{OperatorProbabilities, Settings};
use crate::split::SplitKind;

/// Evolves small CNNs for microcontrollers.
///
/// Without arguments: evolves on the bundled MNIST subset, in about two minutes.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do; evolve if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of a new run.
    #[command(flatten)]
    pub run: RunOptions,
    /// Options of any run.
    #[command(flatten)]
    pub machine: MachineOptions,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a run (the default).
    Run {
        /// Options of a new run.
        #[command(flatten)]
        run: Box<RunOptions>,
        /// Options of any run.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// Continue a run that was stopped or killed, to the same result.
    Resume {
        /// The run's folder.
        folder: PathBuf,
        /// Options of any run.
        #[command(flatten)]
        machine: MachineOptions,
    },
}

/// What the result does not depend on.
#[derive(Clone, Debug, Args)]
pub struct MachineOptions {
    /// Candidates trained at the same time [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
}

/// Options of a new run.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Folder of the data set: IDX (MNIST) or CIFAR-10 binary files [default: the bundled MNIST
    /// subset].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the run, which must not hold one yet [default: the first free runs/NNN].
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Where all random numbers come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Settings to start from [default: quick for the bundled data, else mnist].
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// How the images are divided into Dtrain, Dtest and Dval.
    #[arg(long, value_enum, default_value_t = SplitOption::Paper)]
    split: SplitOption,
    /// Arithmetic of fitness: fixed point on the blob, or f32.
    #[arg(long, value_enum, default_value_t = ArithmeticOption::Fx)]
    arithmetic: ArithmeticOption,
    /// How fixed-point products are rounded.
    #[arg(long, value_enum, default_value_t = ProductOption::Exact)]
    product: ProductOption,
    /// A trained network that the initial population consists of.
    #[arg(long, value_name = "NETWORK")]
    seed_network: Option<PathBuf>,

    /// Individuals of a population, |P|.
    #[arg(long, value_name = "N", help_heading = "Algorithm")]
    population: Option<usize>,
    /// Generations, `G_max`.
    #[arg(long, value_name = "N", help_heading = "Algorithm")]
    generations: Option<u32>,
    /// Probability of crossover, `p_cross`.
    #[arg(long, value_name = "P", help_heading = "Algorithm")]
    crossover: Option<f64>,
    /// Probability of mutation, `p_mut`.
    #[arg(long, value_name = "P", help_heading = "Algorithm")]
    mutation: Option<f64>,
    /// Relative probabilities of the six mutation operators, MO1 to MO6.
    #[arg(
        long,
        value_name = "P",
        num_args = 6,
        value_delimiter = ',',
        help_heading = "Algorithm"
    )]
    operators: Option<Vec<f64>>,
    /// The highest age [default: |P|/2].
    #[arg(long, value_name = "N", help_heading = "Algorithm")]
    max_age: Option<u32>,
    /// How the next population is chosen.
    #[arg(long, value_enum, help_heading = "Algorithm")]
    replacement: Option<ReplacementOption>,
    /// Impact of the size on the fitness, k of equation 1.
    #[arg(long, value_name = "K", help_heading = "Algorithm")]
    size_weight: Option<f64>,
    /// The least acceptable accuracy, `a_min` of equation 1, 0 to 1.
    #[arg(long, value_name = "A", help_heading = "Algorithm")]
    min_accuracy: Option<f64>,

    /// Fewest and most layers of a random network.
    #[arg(long, value_name = "MIN..MAX", value_parser = parse_range, help_heading = "Networks")]
    initial_layers: Option<RangeInclusive<usize>>,
    /// Learning rate of a new network.
    #[arg(long, value_name = "RATE", help_heading = "Networks")]
    learning_rate: Option<f32>,
    /// Neurons of a new network's flattening layer.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    flatten_neurons: Option<u16>,
    /// Most filters of a newly added layer.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    max_filters: Option<u16>,
    /// Largest pooling window.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    max_pool_size: Option<u8>,
    /// Most parameters of a candidate.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    max_params: Option<u64>,
    /// Most multiply-accumulates of a candidate.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    max_macs: Option<u64>,
    /// Most elements of all feature maps of a candidate.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    max_activations: Option<u64>,

    /// Images of one step of gradient descent.
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch_size: Option<usize>,
    /// Passes over Dtrain in a candidate's training.
    #[arg(long, value_name = "N", help_heading = "Training")]
    epochs: Option<u32>,
}

/// Settings to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// A small network of at least 97 % on the bundled digits, in about two minutes.
    Quick,
    /// The paper's settings for MNIST.
    Mnist,
    /// The paper's settings for CIFAR-10.
    Cifar10,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SplitOption {
    /// 75 % / 10 % / 15 % of all images, as in the paper.
    Paper,
    /// Dval is the official test files.
    Official,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ArithmeticOption {
    /// Fixed point.
    Fx,
    /// Floating point.
    Fp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProductOption {
    /// Exact products, one rounding at the store.
    Exact,
    /// Every product rounded to Q8.8, as the paper reads literally.
    Rounded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReplacementOption {
    /// Each age level keeps its best (section 3.4).
    Speciation,
    /// The best survive, whatever their age.
    Elitism,
}

impl RunOptions {
    /// What the options mean.
    pub fn config(self) -> Config {
        let preset = self.preset.unwrap_or(match self.data {
            None => Preset::Quick,
            Some(_) => Preset::Mnist,
        });
        let product = match self.product {
            ProductOption::Exact => Product::Exact,
            ProductOption::Rounded => Product::Rounded,
        };
        Config {
            seed: self.seed,
            data: self.data.clone(),
            split: match self.split {
                SplitOption::Paper => SplitKind::Paper,
                SplitOption::Official => SplitKind::Official,
            },
            arithmetic: match self.arithmetic {
                ArithmeticOption::Fx => Arithmetic::Fixed(product),
                ArithmeticOption::Fp => Arithmetic::Float,
            },
            seed_network: self.seed_network.clone(),
            settings: self.settings(preset),
        }
    }

    fn settings(self, preset: Preset) -> Settings {
        let mut settings = match preset {
            Preset::Quick => Settings::quick(),
            Preset::Mnist => Settings::mnist(),
            Preset::Cifar10 => Settings::cifar10(),
        };
        let variation = &mut settings.variation;
        set(&mut variation.crossover_probability, self.crossover);
        set(&mut variation.mutation_probability, self.mutation);
        if let Some(&[p1, p2, p3, p4, p5, p6]) = self.operators.as_deref() {
            variation.operators = OperatorProbabilities {
                reset_weights: p1,
                add_layer: p2,
                remove_layer: p3,
                modify_layer: p4,
                resize_flattening: p5,
                modify_learning_rate: p6,
            };
        }
        set(&mut settings.population, self.population);
        set(&mut settings.generations, self.generations);
        settings.max_age = self.max_age.or(settings.max_age);
        let replacement = self.replacement.map(|replacement| match replacement {
            ReplacementOption::Speciation => Replacement::Speciation,
            ReplacementOption::Elitism => Replacement::Elitism,
        });
        set(&mut settings.replacement, replacement);
        set(&mut settings.size_weight, self.size_weight);
        set(&mut settings.min_accuracy, self.min_accuracy);
        set(&mut settings.initial.layers, self.initial_layers);
        set(&mut settings.initial.learning_rate, self.learning_rate);
        set(&mut settings.initial.flatten_neurons, self.flatten_neurons);
        set(&mut settings.new_layers.max_filters, self.max_filters);
        set(&mut settings.new_layers.max_pool_size, self.max_pool_size);
        set(&mut settings.limits.max_parameters, self.max_params);
        set(&mut settings.limits.max_macs, self.max_macs);
        set(&mut settings.limits.max_activations, self.max_activations);
        set(&mut settings.batch_size, self.batch_size);
        set(&mut settings.epochs, self.epochs);
        settings
    }
}

fn set<T>(setting: &mut T, option: Option<T>) {
    if let Some(value) = option {
        *setting = value;
    }
}

/// `MIN..MAX`, both included, or a single number.
fn parse_range(text: &str) -> Result<RangeInclusive<usize>, String> {
    let number = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is no number"));
    match text.split_once("..") {
        Some((low, high)) => Ok(number(low)?..=number(high)?),
        None => Ok(number(text)?..=number(text)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_override_the_preset() {
        let arguments = Arguments::try_parse_from([
            "evolve",
            "--preset=cifar10",
            "--population=15",
            "--operators=0.5,0.1,0.1,0.1,0.1,0.1",
            "--initial-layers=2..4",
        ]);
        let config = arguments.unwrap().run.config();
        assert_eq!(config.settings.population, 15);
        assert_eq!(config.settings.initial.layers, 2..=4);
        assert!((config.settings.variation.operators.reset_weights - 0.5).abs() < 1e-12);
        assert_eq!(
            config.settings.min_accuracy,
            Settings::cifar10().min_accuracy
        );
    }

    #[test]
    fn five_operators_are_not_six() {
        let arguments = ["evolve", "--operators=0.5,0.1,0.1,0.1,0.1"];
        assert!(Arguments::try_parse_from(arguments).is_err());
    }
}
