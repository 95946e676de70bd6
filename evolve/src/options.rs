//! Command-line options, and what they mean.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use runtime_nostd::q8_8::Product;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::config::{Config, ConfigError, TomlError};
use crate::evaluate::Arithmetic;
use crate::select::Replacement;
use crate::settings::{Algorithm, Flip, OperatorProbabilities, Settings};
use crate::split::SplitKind;

/// Evolves small CNNs for microcontrollers.
///
/// Without arguments: evolves on the bundled MNIST subset, in about two minutes.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true
)]
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
        /// Another number of generations than the run was started with, at least as many as are
        /// done: a finished run goes on.
        #[arg(long, value_name = "N")]
        generations: Option<u32>,
        /// Options of any run.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// Train a network whose layers a file lists, for evolution to approximate (--seed-network).
    ///
    /// Give the evolution the same --seed and --split: with others, its Dtest and Dval would hold
    /// images that the network was trained on.
    Baseline(BaselineOptions),
    /// Print the networks that no other one of the run beats in accuracy, parameters, MACs and
    /// arena together.
    Front {
        /// The run's folder; the run may be going on.
        folder: PathBuf,
    },
    /// Draw the report of a run, finished or not: one HTML file.
    Report {
        /// The run's folder; the run may be going on.
        folder: PathBuf,
        /// File to write [default: report.html in the run's folder].
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Overlay several runs: means and spreads of those that differ in their seed only, in one HTML
    /// file, and as CSV beside it.
    Compare {
        /// The runs' folders; the runs may be going on.
        #[arg(required = true, value_name = "RUN")]
        folders: Vec<PathBuf>,
        /// File to write; the CSV file has the same name with the extension csv.
        #[arg(long, short, value_name = "FILE", default_value = "compare.html")]
        output: PathBuf,
    },
}

/// What the result does not depend on.
#[derive(Clone, Debug, Args)]
pub struct MachineOptions {
    /// Candidates trained at the same time [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    /// End before the generation that would not be done within so many minutes from now, with
    /// results; resume goes on from there.
    #[arg(long, value_name = "MINUTES", value_parser = parse_minutes)]
    pub budget_minutes: Option<Duration>,
}

/// Options of a baseline's training.
#[derive(Clone, Debug, Args)]
pub struct BaselineOptions {
    /// TOML file of the layers, as evolve/baselines/cifar10.toml.
    pub layers: PathBuf,
    /// The network to write (.network).
    #[arg(long, short, value_name = "NETWORK")]
    pub output: PathBuf,
    /// Folder of the data set: IDX (MNIST) or CIFAR-10 binary files [default: the bundled MNIST
    /// subset].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where all random numbers come from [default: 1].
    #[arg(long)]
    seed: Option<u64>,
    /// How the images are divided into Dtrain, Dtest and Dval [default: paper].
    #[arg(long, value_enum)]
    split: Option<SplitOption>,
    /// Passes over Dtrain.
    #[arg(long, value_name = "N", default_value_t = 30)]
    epochs: u32,
    /// Most pixels that images are shifted by [default: 0].
    #[arg(long, value_name = "PIXELS")]
    shift: Option<u8>,
    /// Whether images are mirrored [default: never].
    #[arg(long, value_enum)]
    flip: Option<FlipOption>,
}

impl BaselineOptions {
    /// What the options mean: a run's configuration of which the search is left out.
    pub fn config(self) -> Config {
        let options = RunOptions {
            data: self.data,
            seed: self.seed,
            split: self.split,
            polish: Some(self.epochs),
            polish_shift: self.shift,
            polish_flip: self.flip,
            ..RunOptions::default()
        };
        options.config()
    }
}

/// Options of a new run, from the command line or from a file. What neither says is the preset's.
///
/// The file is TOML; its keys are the long options' names ([`RunOptions::from_toml`]). Paths are
/// relative to the working directory in both.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunOptions {
    /// A TOML file of these options; those on the command line take precedence.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Folder of the run, which must not hold one yet [default: the first free runs/NNN].
    #[arg(long, short, value_name = "DIR")]
    #[serde(skip)]
    pub output: Option<PathBuf>,
    /// Folder of the data set: IDX (MNIST) or CIFAR-10 binary files [default: the bundled MNIST
    /// subset].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where all random numbers come from [default: 1].
    #[arg(long)]
    seed: Option<u64>,
    /// Settings to start from [default: quick for the bundled data, else mnist].
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// How the images are divided into Dtrain, Dtest and Dval [default: paper].
    #[arg(long, value_enum)]
    split: Option<SplitOption>,
    /// Arithmetic of fitness: fixed point on the blob, or f32 [default: fx].
    #[arg(long, value_enum)]
    arithmetic: Option<ArithmeticOption>,
    /// How fixed-point products are rounded [default: exact].
    #[arg(long, value_enum)]
    product: Option<ProductOption>,
    /// A trained network that the initial population consists of.
    #[arg(long, value_name = "NETWORK")]
    seed_network: Option<PathBuf>,

    /// Evolution, or one of the paper's comparisons with it [default: ea].
    #[arg(long, value_enum, help_heading = "Algorithm")]
    algorithm: Option<AlgorithmOption>,
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
        value_name = "P,P,P,P,P,P",
        value_parser = parse_operators,
        help_heading = "Algorithm"
    )]
    operators: Option<[f64; 6]>,
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
    #[arg(long, value_name = "MIN..MAX", help_heading = "Networks")]
    initial_layers: Option<LayerRange>,
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
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_params: Option<u64>,
    /// Most multiply-accumulates of a candidate.
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_macs: Option<u64>,
    /// Most flash for a candidate's blob, in bytes, or as 64K or 1M.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, help_heading = "Limits")]
    max_flash: Option<u64>,
    /// Most RAM for a candidate's arena, in bytes, or as 64K or 1M.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, help_heading = "Limits")]
    max_arena: Option<u64>,
    /// Most elements of all feature maps of a candidate: bounds the memory of training.
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_activations: Option<u64>,

    /// Images of one step of gradient descent.
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch_size: Option<usize>,
    /// Passes over Dtrain in a candidate's training.
    #[arg(long, value_name = "N", help_heading = "Training")]
    epochs: Option<u32>,
    /// Train the Pareto front's networks to convergence at the end, for so many epochs [default: 0].
    #[arg(long, value_name = "EPOCHS", help_heading = "Training")]
    polish: Option<u32>,
    /// Most pixels that polishing shifts images by [default: 0].
    #[arg(long, value_name = "PIXELS", help_heading = "Training")]
    polish_shift: Option<u8>,
    /// Whether polishing mirrors images [default: never].
    #[arg(long, value_enum, help_heading = "Training")]
    polish_flip: Option<FlipOption>,
}

/// How images are mirrored at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FlipOption {
    /// Not at all.
    Never,
    /// Left becomes right in half of them.
    Horizontal,
}

impl From<FlipOption> for Flip {
    fn from(flip: FlipOption) -> Self {
        match flip {
            FlipOption::Never => Self::Never,
            FlipOption::Horizontal => Self::Horizontal,
        }
    }
}

/// Settings to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Preset {
    /// A small network of at least 97 % on the bundled digits, in about two minutes.
    Quick,
    /// The paper's settings for MNIST.
    Mnist,
    /// The paper's settings for CIFAR-10.
    Cifar10,
    /// The paper's settings for making a given CNN for CIFAR-10 smaller: give it as --seed-network.
    Approximate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SplitOption {
    /// 75 % / 10 % / 15 % of all images, as in the paper.
    Paper,
    /// Dval is the official test files.
    Official,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ArithmeticOption {
    /// Fixed point.
    Fx,
    /// Floating point.
    Fp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ProductOption {
    /// Exact products, one rounding at the store.
    Exact,
    /// Every product rounded to Q8.8, as the paper reads literally.
    Rounded,
}

/// The experiments of section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AlgorithmOption {
    /// Algorithm 1, with the preset's crossover and mutation.
    Ea,
    /// Algorithm 1 without crossover and mutation: selection only.
    Ea1,
    /// Algorithm 1 with mutation only, at a probability of 0.8.
    Ea2,
    /// Algorithm 1 with mutation at 0.5 and crossover at 0.35.
    Ea3,
    /// RS-CNN: random networks, each trained for all generations.
    Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ReplacementOption {
    /// Each age level keeps its best (section 3.4).
    Speciation,
    /// The best survive, whatever their age.
    Elitism,
}

impl RunOptions {
    /// Reads options from the TOML file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or says something that no option means.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::from_toml(&text).map_err(|source| ConfigError::Toml {
            path: path.to_owned(),
            source,
        })
    }

    /// The options in a TOML text, whose keys are the long options' names.
    ///
    /// # Errors
    /// A key that is no option, or a value that the option cannot have.
    pub fn from_toml(text: &str) -> Result<Self, TomlError> {
        let table: Table = toml::from_str(text)?;
        let known = Self::keys();
        match table.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(TomlError::UnknownKey {
                key: key.clone(),
                nearest: nearest(key, known),
            }),
            // From the text again, since a table no longer knows the lines.
            None => Ok(toml::from_str(text)?),
        }
    }

    /// These options; where they are silent, those of `other`.
    pub fn or(self, other: &Self) -> Self {
        let (config, output) = (self.config.clone(), self.output.clone());
        let table = |options: &Self| Table::try_from(options).expect("plain data serializes");
        let mut both = table(other);
        both.extend(table(&self));
        let merged: Self = both.try_into().expect("both were options");
        Self {
            config,
            output,
            ..merged
        }
    }

    /// All keys of a file.
    fn keys() -> Vec<String> {
        Self::augment_args(clap::Command::new(""))
            .get_arguments()
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .filter(|key| !["config", "output"].contains(&key.as_str()))
            .collect()
    }

    /// What the options mean.
    pub fn config(self) -> Config {
        let preset = self.preset.unwrap_or(match self.data {
            None => Preset::Quick,
            Some(_) => Preset::Mnist,
        });
        let product = match self.product {
            None | Some(ProductOption::Exact) => Product::Exact,
            Some(ProductOption::Rounded) => Product::Rounded,
        };
        // A run must find its data again from any working directory.
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Config {
            seed: self.seed.unwrap_or(1),
            data: self.data.as_ref().map(absolute),
            split: match self.split {
                None | Some(SplitOption::Paper) => SplitKind::Paper,
                Some(SplitOption::Official) => SplitKind::Official,
            },
            arithmetic: match self.arithmetic {
                None | Some(ArithmeticOption::Fx) => Arithmetic::Fixed(product),
                Some(ArithmeticOption::Fp) => Arithmetic::Float,
            },
            seed_network: self.seed_network.as_ref().map(absolute),
            settings: self.settings(preset),
        }
    }

    fn settings(self, preset: Preset) -> Settings {
        let mut settings = match preset {
            Preset::Quick => Settings::quick(),
            Preset::Mnist => Settings::mnist(),
            Preset::Cifar10 => Settings::cifar10(),
            Preset::Approximate => Settings::approximate(),
        };
        let variation = &mut settings.variation;
        match self.algorithm {
            None | Some(AlgorithmOption::Ea) => {}
            Some(AlgorithmOption::Ea1) => variation.set_probabilities(0.0, 0.0),
            Some(AlgorithmOption::Ea2) => variation.set_probabilities(0.0, 0.8),
            Some(AlgorithmOption::Ea3) => variation.set_probabilities(0.35, 0.5),
            Some(AlgorithmOption::Random) => settings.algorithm = Algorithm::RandomSearch,
        }
        set(&mut variation.crossover_probability, self.crossover);
        set(&mut variation.mutation_probability, self.mutation);
        let operators = self.operators.map(OperatorProbabilities::from_array);
        set(&mut variation.operators, operators);
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
        let layers = self.initial_layers.map(RangeInclusive::from);
        set(&mut settings.initial.layers, layers);
        set(&mut settings.initial.learning_rate, self.learning_rate);
        set(&mut settings.initial.flatten_neurons, self.flatten_neurons);
        set(&mut settings.new_layers.max_filters, self.max_filters);
        set(&mut settings.new_layers.max_pool_size, self.max_pool_size);
        set(&mut settings.limits.max_parameters, self.max_params);
        set(&mut settings.limits.max_macs, self.max_macs);
        set(&mut settings.limits.max_flash_bytes, self.max_flash);
        set(&mut settings.limits.max_arena_bytes, self.max_arena);
        set(&mut settings.limits.max_activations, self.max_activations);
        set(&mut settings.batch_size, self.batch_size);
        set(&mut settings.epochs, self.epochs);
        set(&mut settings.polish.epochs, self.polish);
        set(&mut settings.polish.shift, self.polish_shift);
        set(&mut settings.polish.flip, self.polish_flip.map(Flip::from));
        settings
    }
}

impl From<&Config> for RunOptions {
    /// The options that mean `config`, whatever the presets are.
    fn from(config: &Config) -> Self {
        let Settings {
            population,
            generations,
            algorithm,
            variation,
            replacement,
            max_age,
            size_weight,
            min_accuracy,
            initial,
            new_layers,
            limits,
            batch_size,
            epochs,
            polish,
        } = &config.settings;
        let (arithmetic, product) = match config.arithmetic {
            Arithmetic::Fixed(Product::Exact) => (ArithmeticOption::Fx, Some(ProductOption::Exact)),
            Arithmetic::Fixed(Product::Rounded) => {
                (ArithmeticOption::Fx, Some(ProductOption::Rounded))
            }
            Arithmetic::Float => (ArithmeticOption::Fp, None),
        };
        Self {
            config: None,
            output: None,
            preset: None,
            data: config.data.clone(),
            seed: Some(config.seed),
            split: Some(match config.split {
                SplitKind::Paper => SplitOption::Paper,
                SplitKind::Official => SplitOption::Official,
            }),
            arithmetic: Some(arithmetic),
            product,
            seed_network: config.seed_network.clone(),
            algorithm: Some(match algorithm {
                Algorithm::Evolution => AlgorithmOption::Ea,
                Algorithm::RandomSearch => AlgorithmOption::Random,
            }),
            population: Some(*population),
            generations: Some(*generations),
            crossover: Some(variation.crossover_probability),
            mutation: Some(variation.mutation_probability),
            operators: Some(variation.operators.to_array()),
            max_age: *max_age,
            replacement: Some(match replacement {
                Replacement::Speciation => ReplacementOption::Speciation,
                Replacement::Elitism => ReplacementOption::Elitism,
            }),
            size_weight: Some(*size_weight),
            min_accuracy: Some(*min_accuracy),
            initial_layers: Some(LayerRange::from(initial.layers.clone())),
            learning_rate: Some(initial.learning_rate),
            flatten_neurons: Some(initial.flatten_neurons),
            max_filters: Some(new_layers.max_filters),
            max_pool_size: Some(new_layers.max_pool_size),
            max_params: Some(limits.max_parameters),
            max_macs: Some(limits.max_macs),
            max_flash: Some(limits.max_flash_bytes),
            max_arena: Some(limits.max_arena_bytes),
            max_activations: Some(limits.max_activations),
            batch_size: Some(*batch_size),
            epochs: Some(*epochs),
            polish: Some(polish.epochs),
            polish_shift: Some(polish.shift),
            polish_flip: Some(match polish.flip {
                Flip::Never => FlipOption::Never,
                Flip::Horizontal => FlipOption::Horizontal,
            }),
        }
    }
}

fn set<T>(setting: &mut T, option: Option<T>) {
    if let Some(value) = option {
        *setting = value;
    }
}

/// `MIN..MAX`, both included, or a single number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct LayerRange {
    fewest: usize,
    most: usize,
}

impl FromStr for LayerRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is no number"));
        let (fewest, most) = text.split_once("..").unwrap_or((text, text));
        Ok(Self {
            fewest: number(fewest)?,
            most: number(most)?,
        })
    }
}

impl TryFrom<String> for LayerRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<LayerRange> for String {
    fn from(range: LayerRange) -> Self {
        format!("{}..{}", range.fewest, range.most)
    }
}

impl From<LayerRange> for RangeInclusive<usize> {
    fn from(range: LayerRange) -> Self {
        range.fewest..=range.most
    }
}

impl From<RangeInclusive<usize>> for LayerRange {
    fn from(range: RangeInclusive<usize>) -> Self {
        let (fewest, most) = range.into_inner();
        Self { fewest, most }
    }
}

/// Six numbers between commas.
fn parse_operators(text: &str) -> Result<[f64; 6], String> {
    let numbers = text.split(',').map(|number| number.trim().parse().ok());
    numbers
        .collect::<Option<Vec<f64>>>()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| format!("\"{text}\" is not six numbers, MO1 to MO6, between commas"))
}

/// Bytes, or KiB with a K, or MiB with an M.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'M']) {
        Some(digits) if text.ends_with('K') => (digits, 1 << 10),
        Some(digits) => (digits, 1 << 20),
        None => (text, 1),
    };
    digits
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(unit))
        .ok_or_else(|| format!("\"{text}\" is no size: give bytes, or for example 64K or 1M"))
}

fn parse_minutes(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|minutes: f64| Duration::try_from_secs_f64(60.0 * minutes).ok())
        .ok_or_else(|| format!("\"{text}\" is no number of minutes"))
}

/// The known key that is most like `key`.
fn nearest(key: &str, known: Vec<String>) -> String {
    let likeness = |known: &String| strsim::jaro_winkler(key, known);
    known
        .into_iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn options(arguments: &[&str]) -> RunOptions {
        let all = ["evolve"].iter().chain(arguments);
        Arguments::try_parse_from(all).unwrap().run
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_override_the_preset() {
        let config = options(&[
            "--preset=cifar10",
            "--population=15",
            "--operators=0.5,0.1,0.1,0.1,0.1,0.1",
            "--initial-layers=2..4",
            "--max-arena=16K",
        ])
        .config();
        assert_eq!(config.settings.population, 15);
        assert_eq!(config.settings.initial.layers, 2..=4);
        assert_eq!(config.settings.limits.max_arena_bytes, 16384);
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

    #[test]
    fn the_papers_comparisons_are_options() {
        let probabilities = |arguments: &[&str]| {
            let variation = options(arguments).config().settings.variation;
            (
                variation.crossover_probability,
                variation.mutation_probability,
            )
        };
        assert_eq!(probabilities(&["--algorithm=ea1"]), (0.0, 0.0));
        assert_eq!(probabilities(&["--algorithm=ea2"]), (0.0, 0.8));
        assert_eq!(probabilities(&["--algorithm=ea3"]), (0.35, 0.5));
        let changed = ["--algorithm=ea3", "--mutation=0.6"];
        assert_eq!(probabilities(&changed), (0.35, 0.6));
    }

    #[test]
    fn a_configuration_written_is_the_configuration_read() {
        for arguments in [
            &[][..],
            &["--preset=approximate", "--data=/cifar", "--seed-network=/a"],
            &["--algorithm=random", "--max-age=3", "--learning-rate=0.3"],
            &["--arithmetic=fp", "--split=official"],
            &["--product=rounded", "--replacement=elitism"],
            &["--polish=9", "--polish-shift=2", "--polish-flip=horizontal"],
        ] {
            let config = options(arguments).config();
            let text = toml::to_string(&RunOptions::from(&config)).unwrap();
            assert_eq!(RunOptions::from_toml(&text).unwrap().config(), config);
        }
    }

    #[test]
    fn the_command_line_takes_precedence_over_the_file() {
        let file = RunOptions::from_toml("preset = \"cifar10\"\nseed = 7\npopulation = 9");
        let arguments = options(&["--seed=8", "--output=there"]).or(&file.unwrap());
        assert_eq!(arguments.output.as_deref(), Some(Path::new("there")));
        let config = arguments.config();
        assert_eq!((config.seed, config.settings.population), (8, 9));
        assert_eq!(
            config.settings.new_layers.max_filters,
            Settings::cifar10().new_layers.max_filters
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let error = RunOptions::from_toml("generation = 20").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no key \"generation\"; did you mean \"generations\"?"
        );
        let error = RunOptions::from_toml("size_weight = 1.0").unwrap_err();
        assert!(error.to_string().contains("\"size-weight\""));
        // Where a run is written says the command line alone.
        assert!(RunOptions::from_toml("output = \"there\"").is_err());
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line() {
        let error = RunOptions::from_toml("seed = 1\nepochs = \"many\"").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        let error = RunOptions::from_toml("initial-layers = \"few\"").unwrap_err();
        assert!(
            error.to_string().contains("\"few\" is no number"),
            "{error}"
        );
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("100"), Ok(100));
        assert_eq!(parse_bytes("64K"), Ok(65536));
        assert_eq!(parse_bytes("1M"), Ok(1 << 20));
        for wrong in ["", "K", "1.5M", "64k", "99999999999999M"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
