//! Command-line options, and what they mean.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use exporter::dataset::ImageOptions;

use crate::config::Config;
use crate::experiment::{self, Scale};
use crate::split::SplitKind;
use values::{FlipOption, SplitOption, parse_minutes, parse_scale};

mod file;
mod run;
#[cfg(test)]
mod tests;
mod values;

pub use run::{PolishOptions, RunOptions};

/// Evolves small CNNs for microcontrollers.
///
/// Without arguments: evolves on the bundled MNIST subset, in less than a minute.
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
        /// Another polish of the Pareto front than the run was started with; it is done anew.
        #[command(flatten)]
        polish: PolishOptions,
        /// Options of any run.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// Train a network whose layers a file lists, for evolution to approximate (--seed-network).
    ///
    /// Give the evolution the same --seed and --split: with others, its Dtest and Dval would hold
    /// images that the network was trained on.
    Baseline(BaselineOptions),
    /// Describe a data set: its classes, parts and pixels.
    Data(DataOptions),
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
    /// Repeat an experiment of the paper, or go on with it: all its runs, then a comparison as text,
    /// picture and CSV.
    Experiment(ExperimentOptions),
    /// Overlay several runs: means and spreads of those that differ in their seed only, in one HTML
    /// file, and as CSV and as an SVG picture beside it.
    Compare {
        /// The runs' folders; the runs may be going on.
        #[arg(required = true, value_name = "RUN")]
        folders: Vec<PathBuf>,
        /// File to write; the others have the same name with the extensions csv and svg.
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

/// Which data set to describe, and how.
#[derive(Clone, Debug, Args)]
pub struct DataOptions {
    /// Folder of the data set, as for --data of a run [default: the bundled MNIST subset].
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// How image files are read.
    #[command(flatten)]
    pub images: ImageOptions,
    /// How a run would divide the images into Dtrain, Dtest and Dval [default: paper].
    #[arg(long, value_enum)]
    split: Option<SplitOption>,
    /// Draw some images of every class, a row for each, into a PNG file.
    #[arg(long, value_name = "FILE")]
    pub contact_sheet: Option<PathBuf>,
    /// Write one image of every class as raw pixels: what firmware-example classifies, if they take
    /// the place of its digits.
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
}

impl DataOptions {
    /// How a run would divide the images.
    pub fn split(&self) -> SplitKind {
        self.split.map_or(SplitKind::Paper, SplitKind::from)
    }
}

/// Which experiment, and how much of it.
#[derive(Clone, Debug, Args)]
pub struct ExperimentOptions {
    /// The experiment.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(experiment::names()))]
    pub name: String,
    /// Folder of the experiment's data set: IDX (MNIST) or CIFAR-10 binary files.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder for the folders of experiments.
    #[arg(long, short, value_name = "DIR", default_value = "experiments")]
    pub output: PathBuf,
    /// The share of the protocol's seeds, generations and training images, for a quick look.
    #[arg(long, value_name = "SHARE", default_value = "1", value_parser = parse_scale)]
    pub scale: Scale,
    /// Candidates trained at the same time [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
}

/// Options of a baseline's training.
#[derive(Clone, Debug, Args)]
pub struct BaselineOptions {
    /// TOML file of the layers, as evolve/baselines/cifar10.toml.
    pub layers: PathBuf,
    /// The network to write (.network).
    #[arg(long, short, value_name = "NETWORK")]
    pub output: PathBuf,
    /// Folder of the data set: IDX (MNIST) or CIFAR-10 binary files, or a sub-folder of PNG, JPEG or
    /// BMP files for each class [default: the bundled MNIST subset].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How image files are read.
    #[command(flatten)]
    images: ImageOptions,
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
            images: self.images,
            seed: self.seed,
            split: self.split,
            polish: PolishOptions {
                polish: Some(self.epochs),
                polish_shift: self.shift,
                polish_flip: self.flip,
            },
            ..RunOptions::default()
        };
        options.config()
    }
}
