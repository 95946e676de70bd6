//! Axes with ticks that people would choose.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::numbers::{compact, percent_tick};

/// The share of an uneven axis that two ticks are apart at least.
const LEAST_GAP: f64 = 0.12;

/// One axis of a chart.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    title: String,
    scale: Scale,
    /// The least and the greatest value on the axis.
    ends: [f64; 2],
}

/// How values lie on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// Evenly.
    Linear,
    /// Evenly, whole numbers only.
    Count,
    /// By their logarithms.
    Log,
    /// By the logarithm of the error 1 - a: 90 %, 99 % and 99.9 % are equally far apart, as far as
    /// going from one to the next is equally hard.
    Accuracy,
}

impl Axis {
    /// Generations 0 to `last`.
    pub(super) fn generations(last: u32) -> Self {
        Self {
            title: "generation".to_owned(),
            scale: Scale::Count,
            ends: [0.0, f64::from(last.max(1))],
        }
    }

    /// From the least to the greatest of `values`.
    pub(super) fn linear(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let [low, high] = ends_of(values, [0.0, 1.0]);
        let margin = ((high - low) * 0.04).max(0.02 * high.abs()).max(1e-6);
        Self {
            title: title.to_owned(),
            scale: Scale::Linear,
            ends: [low - margin, high + margin],
        }
    }

    /// From the least to the greatest of `values`, positive all of them, by logarithm.
    pub(super) fn log(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|&value| value > 0.0);
        let [low, high] = ends_of(positive, [1.0, 10.0]);
        let margin = (high / low).powf(0.04).max(1.02);
        Self {
            title: title.to_owned(),
            scale: Scale::Log,
            ends: [low / margin, high * margin],
        }
    }

    /// From the least to the greatest of `values` between 0 and 1, by the logarithm of the error.
    pub(super) fn accuracy(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let [low, high] = ends_of(values, [0.0, 0.9]);
        let axis = Self {
            title: title.to_owned(),
            scale: Scale::Accuracy,
            ends: [low, high],
        };
        let [start, end] = axis.ends.map(|value| axis.position(value));
        let margin = ((end - start) * 0.04).max(0.01);
        let accuracy_at = |position: f64| -f64::exp_m1(-position);
        Self {
            ends: [
                accuracy_at(start - margin).max(0.0),
                accuracy_at(end + margin),
            ],
            ..axis
        }
    }

    /// What the axis shows.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Where a value lies, in the axis's own unit.
    fn position(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear | Scale::Count => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).ln(),
            // An accuracy of 1 is drawn like one of 99.99 %.
            Scale::Accuracy => -(1.0 - value).max(1e-4).ln(),
        }
    }

    /// Where a value lies: 0 at the axis's start, 1 at its end.
    fn share(&self, value: f64) -> f64 {
        let [start, end] = self.ends.map(|end| self.position(end));
        (self.position(value) - start) / (end - start)
    }

    /// At most about `most` values to mark.
    fn ticks(&self, most: usize) -> Vec<f64> {
        let mut ticks = match self.scale {
            Scale::Linear | Scale::Count => self.even_ticks(most),
            Scale::Log => self.spread(&log_ticks(), most),
            Scale::Accuracy => self.spread(&accuracy_ticks(), most),
        };
        // A narrow range has few values that are welcome on any axis of its scale.
        if ticks.len() < 3 {
            ticks = self.spread(&self.even_ticks(most), most);
        }
        ticks.sort_by(f64::total_cmp);
        ticks
    }

    /// The first of `candidates` that are on the axis and not too near to each other.
    fn spread(&self, candidates: &[f64], most: usize) -> Vec<f64> {
        let mut ticks: Vec<f64> = Vec::new();
        for &tick in candidates {
            let share = self.share(tick);
            let is_free = |other: &f64| (self.share(*other) - share).abs() >= LEAST_GAP;
            if (0.0..=1.0).contains(&share) && ticks.len() < most && ticks.iter().all(is_free) {
                ticks.push(tick);
            }
        }
        ticks
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn even_ticks(&self, most: usize) -> Vec<f64> {
        let [low, high] = self.ends;
        let least_step = (high - low) / most.max(1) as f64;
        let power = 10_f64.powf(least_step.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = steps.into_iter().find(|&step| step >= least_step);
        let mut step = step.unwrap_or(10.0 * power);
        if self.scale == Scale::Count {
            step = step.max(1.0);
        }
        let first = (low / step).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        start + (f64::from(end - start) * self.share(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks(hint.bold_points())
    }

    fn range(&self) -> Range<f64> {
        let [low, high] = self.ends;
        low..high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        match self.scale {
            Scale::Linear | Scale::Count => {
                let rounded = format!("{value:.2}");
                let trimmed = rounded.trim_end_matches('0').trim_end_matches('.');
                trimmed.to_owned()
            }
            Scale::Log => compact(*value),
            Scale::Accuracy => percent_tick(*value),
        }
    }
}

/// The least and the greatest of `values`, or `default` if there is none.
fn ends_of(values: impl IntoIterator<Item = f64>, default: [f64; 2]) -> [f64; 2] {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite
        .fold(None, |ends, value| {
            let [low, high]: [f64; 2] = ends.unwrap_or([value, value]);
            Some([low.min(value), high.max(value)])
        })
        .unwrap_or(default)
}

/// Ticks of a logarithmic axis, the most welcome first.
fn log_ticks() -> Vec<f64> {
    let times = |factor: f64| (0..=12).map(move |power| factor * 10_f64.powi(power));
    [1.0, 3.0, 2.0, 5.0].into_iter().flat_map(times).collect()
}

/// Ticks of an accuracy axis, the most welcome first.
fn accuracy_ticks() -> Vec<f64> {
    let percents = [
        90.0, 99.0, 50.0, 99.9, 0.0, 70.0, 95.0, 80.0, 98.0, 99.5, 97.0, 60.0, 30.0, 10.0, 99.8,
        85.0, 65.0, 75.0, 40.0, 20.0, 96.0,
    ];
    percents.map(|percent| percent / 100.0).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: &Axis, most: usize) -> Vec<String> {
        let ticks = axis.ticks(most);
        ticks.iter().map(|tick| axis.format_ext(tick)).collect()
    }

    #[test]
    fn ticks_are_round() {
        let generations = Axis::generations(20);
        assert_eq!(labels(&generations, 6), ["0", "5", "10", "15", "20"]);
        let parameters = Axis::log("", [700.0, 90_000.0]);
        assert_eq!(labels(&parameters, 8), ["1k", "3k", "10k", "30k", "100k"]);
        let accuracy = Axis::accuracy("", [0.1, 0.991]);
        assert_eq!(
            labels(&accuracy, 8),
            ["0 %", "50 %", "80 %", "90 %", "95 %", "98 %", "99 %"]
        );
        assert_eq!(labels(&Axis::generations(1), 6), ["0", "1"]);
    }

    #[test]
    fn a_narrow_range_has_ticks_too() {
        let accuracy = Axis::accuracy("", [0.981, 0.984]);
        assert!(labels(&accuracy, 6).len() >= 3);
        let parameters = Axis::log("", [5_000.0, 5_000.0]);
        assert!(labels(&parameters, 6).len() >= 2);
    }

    proptest! {
        /// Whatever is drawn lies on the picture, and so do its ticks.
        #[test]
        fn values_and_ticks_are_inside(
            values in proptest::collection::vec(0.0..1.0_f64, 0..5),
            factor in prop_oneof![Just(1.0), 1.0..1e6_f64],
        ) {
            let scaled: Vec<f64> = values.iter().map(|value| value * factor).collect();
            for (axis, values) in [
                (Axis::linear("", scaled.clone()), &scaled),
                (Axis::log("", scaled.clone()), &scaled),
                (Axis::accuracy("", values.clone()), &values),
            ] {
                let drawn = values.iter().copied().filter(|&value| value > 1e-9);
                for value in drawn.chain(axis.ticks(6)) {
                    let pixel = axis.map(&value, (0, 1000));
                    prop_assert!((0..=1000).contains(&pixel), "{:?}: {} at {}", axis, value, pixel);
                }
                prop_assert!(axis.ticks(6).len() <= 8);
            }
        }
    }
}
