//! Options of a run, and the settings that they mean.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Args;
use exporter::dataset::ImageOptions;
use runtime_nostd::q8_8::Product;
use serde::{Deserialize, Serialize};

use super::values::{
    AlgorithmOption, ArithmeticOption, FlipOption, LayerRange, Preset, ProductOption,
    ReplacementOption, SplitOption, parse_bytes, parse_operators, parse_path, whole_number,
};
use crate::config::Config;
use crate::evaluate::Arithmetic;
use crate::select::Replacement;
use crate::settings::{Algorithm, Flip, OperatorProbabilities, Polish, Settings};
use crate::split::SplitKind;

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
    /// Folder of the data set: IDX (MNIST) or CIFAR-10 binary files, or a sub-folder of PNG, JPEG or
    /// BMP files for each class [default: the bundled MNIST subset].
    #[arg(long, value_name = "DIR", value_parser = parse_path)]
    pub(super) data: Option<PathBuf>,
    /// How image files are read.
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) images: ImageOptions,
    /// Where all random numbers come from [default: 1].
    #[arg(long, value_parser = whole_number::<u64>())]
    pub(super) seed: Option<u64>,
    /// Settings to start from [default: quick for the bundled data, else mnist].
    #[arg(long, value_enum)]
    pub(super) preset: Option<Preset>,
    /// How the images are divided into Dtrain, Dtest and Dval [default: paper].
    #[arg(long, value_enum)]
    pub(super) split: Option<SplitOption>,
    /// Arithmetic of fitness: fixed point on the blob, or f32 [default: fx].
    #[arg(long, value_enum)]
    pub(super) arithmetic: Option<ArithmeticOption>,
    /// How fixed-point products are rounded [default: exact].
    #[arg(long, value_enum)]
    pub(super) product: Option<ProductOption>,
    /// A trained network that the initial population consists of (.network, or .onnx for a model of
    /// pixels of 0 to 1).
    #[arg(long, value_name = "NETWORK", value_parser = parse_path)]
    pub(super) seed_network: Option<PathBuf>,

    /// Evolution, or one of the paper's comparisons with it [default: ea].
    #[arg(long, value_enum, help_heading = "Algorithm")]
    pub(super) algorithm: Option<AlgorithmOption>,
    /// Individuals of a population, |P|.
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>(), help_heading = "Algorithm")]
    pub(super) population: Option<usize>,
    /// Generations, `G_max`.
    #[arg(long, value_name = "N", help_heading = "Algorithm")]
    pub(super) generations: Option<u32>,
    /// Probability of crossover, `p_cross`.
    #[arg(long, value_name = "P", help_heading = "Algorithm")]
    pub(super) crossover: Option<f64>,
    /// Probability of mutation, `p_mut`.
    #[arg(long, value_name = "P", help_heading = "Algorithm")]
    pub(super) mutation: Option<f64>,
    /// Probabilities of the six mutation operators, MO1 to MO6; what matters is their proportions.
    #[arg(
        long,
        value_name = "P,P,P,P,P,P",
        value_parser = parse_operators,
        help_heading = "Algorithm"
    )]
    pub(super) operators: Option<[f64; 6]>,
    /// The highest age [default: |P|/2].
    #[arg(long, value_name = "N", help_heading = "Algorithm")]
    pub(super) max_age: Option<u32>,
    /// How the next population is chosen.
    #[arg(long, value_enum, help_heading = "Algorithm")]
    pub(super) replacement: Option<ReplacementOption>,
    /// Impact of the size on the fitness, k of equation 1.
    #[arg(long, value_name = "K", help_heading = "Algorithm")]
    pub(super) size_weight: Option<f64>,
    /// The least acceptable accuracy, `a_min` of equation 1, 0 to 1.
    #[arg(long, value_name = "A", help_heading = "Algorithm")]
    pub(super) min_accuracy: Option<f64>,

    /// Fewest and most layers of a random network.
    #[arg(long, value_name = "MIN..MAX", help_heading = "Networks")]
    pub(super) initial_layers: Option<LayerRange>,
    /// Learning rate of a new network.
    #[arg(long, value_name = "RATE", help_heading = "Networks")]
    pub(super) learning_rate: Option<f32>,
    /// Neurons of a new network's flattening layer.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    pub(super) flatten_neurons: Option<u16>,
    /// Most filters of a newly added layer.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    pub(super) max_filters: Option<u16>,
    /// Largest pooling window.
    #[arg(long, value_name = "N", help_heading = "Networks")]
    pub(super) max_pool_size: Option<u8>,

    /// Most parameters of a candidate.
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>(), help_heading = "Limits")]
    pub(super) max_params: Option<u64>,
    /// Most multiply-accumulates of a candidate.
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>(), help_heading = "Limits")]
    pub(super) max_macs: Option<u64>,
    /// Most flash for a candidate's blob, in bytes, or as 64K or 1M.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, help_heading = "Limits")]
    pub(super) max_flash: Option<u64>,
    /// Most RAM for a candidate's arena, in bytes, or as 64K or 1M.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, help_heading = "Limits")]
    pub(super) max_arena: Option<u64>,
    /// Most elements of all feature maps of a candidate: bounds the memory of training.
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>(), help_heading = "Limits")]
    pub(super) max_activations: Option<u64>,

    /// Images of one step of gradient descent.
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>(), help_heading = "Training")]
    pub(super) batch_size: Option<usize>,
    /// Share of Dtrain that is trained on, for a quicker look [default: 1].
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    pub(super) train_share: Option<f64>,
    /// Passes over Dtrain in a candidate's training.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(super) epochs: Option<u32>,
    /// How the Pareto front is polished.
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) polish: PolishOptions,
}

/// How the Pareto front is polished at the end: options of a new run, and of one that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolishOptions {
    /// Train the Pareto front's networks to convergence at the end, for so many epochs [default: 0;
    /// of a run that goes on, as before].
    #[arg(long, value_name = "EPOCHS", help_heading = "Training")]
    pub(super) polish: Option<u32>,
    /// Most pixels that polishing shifts images by [default: 0].
    #[arg(long, value_name = "PIXELS", help_heading = "Training")]
    pub(super) polish_shift: Option<u8>,
    /// Whether polishing mirrors images [default: never].
    #[arg(long, value_enum, help_heading = "Training")]
    pub(super) polish_flip: Option<FlipOption>,
}

impl PolishOptions {
    /// `polish`, where these options are silent.
    pub fn or(self, polish: Polish) -> Polish {
        Polish {
            epochs: self.polish.unwrap_or(polish.epochs),
            shift: self.polish_shift.unwrap_or(polish.shift),
            flip: self.polish_flip.map_or(polish.flip, Flip::from),
        }
    }
}

impl RunOptions {
    /// These options, for the images in `data` and another seed, from `seed_network` if there is one.
    pub fn with(self, data: &Path, seed: u64, seed_network: Option<PathBuf>) -> Self {
        Self {
            data: Some(data.to_owned()),
            seed: Some(seed),
            seed_network,
            ..self
        }
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
        // A run must find its data again from any working directory whose path its files can state.
        let absolute = |path: &PathBuf| {
            let absolute = std::path::absolute(path).ok();
            let absolute = absolute.filter(|path| path.to_str().is_some());
            absolute.unwrap_or_else(|| path.clone())
        };
        Config {
            seed: self.seed.unwrap_or(1),
            data: self.data.as_ref().map(absolute),
            images: self.images,
            split: self.split.map_or(SplitKind::Paper, SplitKind::from),
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
        set(&mut settings.train_share, self.train_share);
        set(&mut settings.epochs, self.epochs);
        settings.polish = self.polish.or(settings.polish);
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
            train_share,
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
            images: config.images,
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
            // No preset has another, and silence keeps the names of runs (`RunId`) as they were.
            train_share: (*train_share != 1.0).then_some(*train_share),
            epochs: Some(*epochs),
            polish: PolishOptions {
                polish: Some(polish.epochs),
                polish_shift: Some(polish.shift),
                polish_flip: Some(match polish.flip {
                    Flip::Never => FlipOption::Never,
                    Flip::Horizontal => FlipOption::Horizontal,
                }),
            },
        }
    }
}

fn set<T>(setting: &mut T, option: Option<T>) {
    if let Some(value) = option {
        *setting = value;
    }
}
