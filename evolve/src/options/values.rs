//! What single options can be.

use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use serde::{Deserialize, Serialize};

use crate::experiment::Scale;
use crate::settings::Flip;
use crate::split::SplitKind;

/// How images are mirrored at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FlipOption {
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
pub(super) enum Preset {
    /// A small network of at least 97 % on the bundled digits, in less than a minute.
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
pub(super) enum SplitOption {
    /// 75 % / 10 % / 15 % of all images, as in the paper.
    Paper,
    /// Dval is the official test files, or the images in test/.
    Official,
}

impl From<SplitOption> for SplitKind {
    fn from(split: SplitOption) -> Self {
        match split {
            SplitOption::Paper => Self::Paper,
            SplitOption::Official => Self::Official,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ArithmeticOption {
    /// Fixed point.
    Fx,
    /// Floating point.
    Fp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProductOption {
    /// Exact products, one rounding at the store.
    Exact,
    /// Every product rounded to Q8.8, as the paper reads literally.
    Rounded,
}

/// The experiments of section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AlgorithmOption {
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
pub(super) enum ReplacementOption {
    /// Each age level keeps its best (section 3.4).
    Speciation,
    /// The best survive, whatever their age.
    Elitism,
}

/// `MIN..MAX`, both included, or a single number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct LayerRange {
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
pub(super) fn parse_operators(text: &str) -> Result<[f64; 6], String> {
    let numbers = text.split(',').map(|number| number.trim().parse().ok());
    numbers
        .collect::<Option<Vec<f64>>>()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| format!("\"{text}\" is not six numbers, MO1 to MO6, between commas"))
}

/// The largest whole number of a TOML file, which a run writes its options to.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// A number that a configuration file can state.
pub(super) fn whole_number<T>() -> RangedU64ValueParser<T>
where
    T: TryFrom<u64> + Clone + Send + Sync + 'static,
    <T as TryFrom<u64>>::Error: Send + Sync + 'static + std::error::Error,
{
    RangedU64ValueParser::new().range(0..=MAX_NUMBER)
}

/// A path that a configuration file can state: one in Unicode, as every text that comes here.
// A result is what clap takes.
#[expect(clippy::unnecessary_wraps)]
pub(super) fn parse_path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}

/// Bytes, or KiB with a K, or MiB with an M.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'M']) {
        Some(digits) if text.ends_with('K') => (digits, 1 << 10),
        Some(digits) => (digits, 1 << 20),
        None => (text, 1),
    };
    digits
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(unit))
        .filter(|&bytes| bytes <= MAX_NUMBER)
        .ok_or_else(|| format!("\"{text}\" is no size: give bytes, or for example 64K or 1M"))
}

pub(super) fn parse_minutes(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|minutes: f64| Duration::try_from_secs_f64(60.0 * minutes).ok())
        .ok_or_else(|| format!("\"{text}\" is no number of minutes"))
}

pub(super) fn parse_scale(text: &str) -> Result<Scale, String> {
    let share = text
        .parse()
        .map_err(|_| format!("\"{text}\" is no number"))?;
    Scale::new(share).map_err(|error| error.to_string())
}
