//! What came of an experiment, as Markdown, beside what the paper says.

use std::fmt::Write as _;
use std::path::Path;

use exporter::file::{FileError, read_network};

use super::definition::{Experiment, Quantity, Scale};
use crate::folder::{FrontLine, read_front, read_json};
use crate::results::{Report, Timing};

/// What came of one run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Index of its group.
    pub group: usize,
    report: Report,
    seconds: f64,
    /// Layers of the winner.
    layers: usize,
    front: Vec<FrontLine>,
}

impl Outcome {
    /// Reads what the finished run in `folder` has left.
    ///
    /// # Errors
    /// A file of its results cannot be read.
    pub fn read(group: usize, folder: &Path) -> Result<Self, FileError> {
        let Timing { seconds } = read_json(&folder.join("timing.json"))?;
        Ok(Self {
            group,
            report: read_json(&folder.join("report.json"))?,
            seconds,
            layers: read_network(&folder.join("winner.network"))?.layers.len(),
            front: read_front(folder)?,
        })
    }

    /// The highest accuracy on Dtest, 0 to 1, of the winner and the Pareto front, which nothing below
    /// `a_min` is on.
    fn highest_accuracy(&self) -> f64 {
        let accuracies = self.front.iter().map(|line| line.accuracy);
        accuracies.fold(self.report.winner.accuracy, f64::max)
    }

    fn quantity(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::Accuracy => self.report.validation_accuracy_fixed,
            Quantity::Parameters => self.report.winner.parameters as f64,
            Quantity::Layers => self.layers as f64,
        }
    }
}

/// The outcomes of all runs, as Markdown; `threads` candidates were trained at a time.
pub fn describe(
    experiment: &Experiment,
    scale: Scale,
    outcomes: &[Outcome],
    threads: usize,
) -> String {
    let mut text = String::new();
    write(&mut text, experiment, scale, outcomes, threads)
        .expect("writing into memory does not fail");
    text
}

fn write(
    text: &mut String,
    experiment: &Experiment,
    scale: Scale,
    outcomes: &[Outcome],
    threads: usize,
) -> std::fmt::Result {
    writeln!(text, "# {}\n", experiment.title)?;
    writeln!(text, "The paper: {}.\n", experiment.source)?;
    if scale != Scale::FULL {
        writeln!(
            text,
            "**At a scale of {}**: so much of the protocol's seeds, generations and training images. Not to be mixed with \
             other scales.\n",
            scale.share()
        )?;
    }
    write!(text, "```sh\nevolve experiment {}", experiment.name)?;
    if scale != Scale::FULL {
        write!(text, " --scale {}", scale.share())?;
    }
    writeln!(text, " --data DIR  # {}\n```\n", experiment.data)?;
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
    let candidates: usize = outcomes
        .iter()
        .map(|outcome| outcome.report.candidates)
        .sum();
    writeln!(
        text,
        "{candidates} candidates in {:.2} hours on {threads} threads (the paper: 750 in 72 hours on 24).\n",
        seconds / 3600.0
    )?;
    write_groups(text, experiment, outcomes)?;
    write_published(text, experiment, outcomes)?;
    write_trade_offs(text, experiment, outcomes)
}

/// Means over the runs of each group, with the least and the greatest value.
fn write_groups(
    text: &mut String,
    experiment: &Experiment,
    outcomes: &[Outcome],
) -> std::fmt::Result {
    writeln!(
        text,
        "Winners, and the most accurate network of each run's Pareto front; mean (least to greatest):\n\n\
         | group | runs | Dval, Q8.8 | Dval, f32 | parameters | layers | most accurate, Dtest |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for (index, group) in experiment.groups.iter().enumerate() {
        let of = |value: fn(&Outcome) -> f64| -> Vec<f64> {
            let own = outcomes.iter().filter(|outcome| outcome.group == index);
            own.map(value).collect()
        };
        let percent = |value: f64| format!("{:.2} %", 100.0 * value);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            group.name,
            of(|_| 0.0).len(),
            spread(&of(|outcome| outcome.quantity(Quantity::Accuracy)), percent),
            spread(
                &of(|outcome| outcome.report.validation_accuracy_f32),
                percent
            ),
            spread(
                &of(|outcome| outcome.quantity(Quantity::Parameters)),
                |value| { format!("{value:.0}") }
            ),
            spread(&of(|outcome| outcome.quantity(Quantity::Layers)), |value| {
                format!("{value:.1}")
            }),
            spread(&of(Outcome::highest_accuracy), percent),
        )?;
    }
    writeln!(text)
}

/// Our means beside the paper's.
fn write_published(
    text: &mut String,
    experiment: &Experiment,
    outcomes: &[Outcome],
) -> std::fmt::Result {
    if experiment.published.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "| group | quantity | here | paper | where |\n| --- | --- | ---: | ---: | --- |"
    )?;
    for published in &experiment.published {
        let of_group =
            |outcome: &&Outcome| experiment.groups[outcome.group].name == published.group;
        let values: Vec<f64> = outcomes
            .iter()
            .filter(of_group)
            .map(|outcome| outcome.quantity(published.quantity))
            .collect();
        let (name, format): (_, fn(f64) -> String) = match published.quantity {
            Quantity::Accuracy => ("accuracy", |value| format!("{:.2} %", 100.0 * value)),
            Quantity::Parameters => ("parameters", |value| format!("{value:.0}")),
            Quantity::Layers => ("layers", |value| format!("{value:.1}")),
        };
        writeln!(
            text,
            "| {} | {name} | {} | {} | {} |",
            published.group,
            mean(&values).map_or("–".into(), format),
            format(published.value),
            published.place
        )?;
    }
    writeln!(text)
}

/// For every CNN of the paper, the most accurate one of each group's fronts that is not larger.
fn write_trade_offs(
    text: &mut String,
    experiment: &Experiment,
    outcomes: &[Outcome],
) -> std::fmt::Result {
    if experiment.trade_offs.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "The most accurate networks (on Dtest) of the Pareto fronts that are not larger than the paper's:\n"
    )?;
    write!(text, "| paper | parameters | accuracy |")?;
    for group in &experiment.groups {
        write!(text, " {} |", group.name)?;
    }
    write!(text, "\n| --- | ---: | ---: |")?;
    writeln!(text, "{}", " ---: |".repeat(experiment.groups.len()))?;
    for published in &experiment.trade_offs {
        write!(
            text,
            "| {} | {} | {:.2} % |",
            published.name,
            published.parameters,
            100.0 * published.accuracy
        )?;
        for index in 0..experiment.groups.len() {
            let best = outcomes
                .iter()
                .filter(|outcome| outcome.group == index)
                .flat_map(|outcome| &outcome.front)
                .filter(|line| line.parameters <= published.parameters)
                .max_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
            match best {
                Some(line) => write!(
                    text,
                    " {:.2} %, {} |",
                    100.0 * line.accuracy,
                    line.parameters
                )?,
                None => write!(text, " – |")?,
            }
        }
        writeln!(text)?;
    }
    writeln!(text)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// `mean (least to greatest)`.
fn spread(values: &[f64], format: impl Fn(f64) -> String) -> String {
    let Some(mean) = mean(values) else {
        return "–".into();
    };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.len() == 1 {
        format(mean)
    } else {
        format!(
            "{} ({} to {})",
            format(mean),
            format(least),
            format(greatest)
        )
    }
}
