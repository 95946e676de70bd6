//! Several runs overlaid, as in the paper's Figs. 2 and 3.
//!
//! Runs that differ in nothing but their seed are a group: what a setting does shows between
//! groups, what chance does within one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use maud::{Markup, html};

use super::axis::Axis;
use super::chart::{Chart, Mark, Series, picture};
use super::course::{Course, Generation};
use super::numbers::{percent, thousands};
use super::page::{Section, page};
use super::palette::Role;
use super::tables::settings;
use super::{ReportError, write_file};
use crate::config::Config;

/// What is compared, generation by generation.
#[derive(Clone, Copy)]
struct Quantity {
    /// In the table of values.
    column: &'static str,
    /// On the axis.
    title: &'static str,
    caption: &'static str,
    of: fn(&Generation) -> f64,
    axis: fn(&str, Vec<f64>) -> Axis,
    format: fn(f64) -> String,
}

const QUANTITIES: [Quantity; 3] = [
    Quantity {
        column: "accuracy",
        title: "accuracy on Dtest",
        caption: "Accuracy of the most accurate individual",
        of: |generation| generation.line.best_accuracy,
        axis: |title, values| Axis::accuracy(title, values),
        format: percent,
    },
    Quantity {
        column: "parameters",
        title: "parameters",
        caption: "Parameters of the fittest individual",
        of: |generation| generation.line.best.parameters as f64,
        axis: |title, values| Axis::log(title, values),
        format: |value| thousands(value.round() as u64),
    },
    Quantity {
        column: "fitness",
        title: "fitness",
        caption: "Fitness of the fittest individual",
        of: |generation| generation.line.best.fitness,
        axis: |title, values| Axis::linear(title, values),
        format: |value| format!("{value:.3}"),
    },
];

/// Runs with one configuration but for the seed.
struct Group<'h> {
    name: String,
    runs: Vec<&'h Course>,
}

/// A quantity over the runs of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Statistic {
    mean: f64,
    /// Standard deviation of the sample; `None` of a single run.
    deviation: Option<f64>,
    min: f64,
    max: f64,
}

/// Compares the runs in `folders`, finished or not: writes a page to `path`, and beside it the values
/// that are drawn as CSV, and the charts as an SVG picture. Returns the three paths.
///
/// # Errors
/// A folder has no run with a generation, a file cannot be written, or `path` is that of the values or of
/// the picture.
pub fn write_comparison(folders: &[PathBuf], path: &Path) -> Result<[PathBuf; 3], ReportError> {
    let (csv, svg) = (path.with_extension("csv"), path.with_extension("svg"));
    if path == csv || path == svg {
        let path = path.to_owned();
        return Err(ReportError::PageName { path });
    }
    let runs = folders.iter().map(|folder| Course::read(folder));
    let runs: Vec<Course> = runs.collect::<Result<_, _>>()?;
    let groups = groups(&runs);
    write_file(path, comparison(&groups).into_string().as_bytes())?;
    write_file(&csv, values(&groups).as_bytes())?;
    let charts = QUANTITIES.map(|quantity| chart(&groups, quantity));
    write_file(&svg, picture(&charts).as_bytes())?;
    Ok([path.to_owned(), csv, svg])
}

/// The groups in the order of their first runs.
fn groups(runs: &[Course]) -> Vec<Group<'_>> {
    let mut configs: Vec<Config> = Vec::new();
    let mut members: Vec<Vec<&Course>> = Vec::new();
    for run in runs {
        let config = Config {
            seed: 0,
            ..run.config.clone()
        };
        match configs.iter().position(|other| *other == config) {
            Some(index) => members[index].push(run),
            None => {
                configs.push(config);
                members.push(vec![run]);
            }
        }
    }
    let names = names(&configs);
    let groups = names.into_iter().zip(members);
    groups.map(|(name, runs)| Group { name, runs }).collect()
}

/// What tells each configuration from the others: the settings in which they are not all alike.
fn names(configs: &[Config]) -> Vec<String> {
    let all: Vec<Vec<(String, String)>> = configs.iter().map(settings).collect();
    let differs = |setting: &(String, String)| !all.iter().all(|other| other.contains(setting));
    all.iter()
        .map(|own| {
            let telling = own.iter().filter(|setting| differs(setting));
            let telling: Vec<String> = telling
                .map(|(name, value)| format!("{name} = {value}"))
                .collect();
            if telling.is_empty() {
                // One group only, or one that leaves unset what the others set.
                "as configured".to_owned()
            } else {
                telling.join(", ")
            }
        })
        .collect()
}

impl Group<'_> {
    /// Generations that all runs of the group have: a mean is over the same runs throughout.
    fn generations(&self) -> usize {
        let lengths = self.runs.iter().map(|run| run.generations.len());
        lengths.min().unwrap_or(0)
    }

    fn statistic(&self, quantity: Quantity, generation: usize) -> Option<Statistic> {
        let values = self
            .runs
            .iter()
            .filter_map(|run| run.generations.get(generation));
        Statistic::of(&values.map(quantity.of).collect::<Vec<_>>())
    }

    /// The statistic of every generation.
    fn course(&self, quantity: Quantity) -> Vec<(f64, Statistic)> {
        (0..self.generations())
            .filter_map(|generation| {
                let statistic = self.statistic(quantity, generation)?;
                Some((generation as f64, statistic))
            })
            .collect()
    }

    /// The statistic of the last common generation.
    fn outcome(&self, quantity: Quantity) -> Option<Statistic> {
        self.statistic(quantity, self.generations().checked_sub(1)?)
    }

    /// Accuracy on Dval; `None` unless all runs are finished.
    fn validation(&self) -> Option<Statistic> {
        let results = self.runs.iter().map(|run| run.result.as_ref());
        let accuracies = results.map(|result| Some(result?.validation_accuracy_fixed));
        Statistic::of(&accuracies.collect::<Option<Vec<_>>>()?)
    }
}

impl Statistic {
    /// `None` of no values.
    fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            mean,
            deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
            min: values.iter().copied().min_by(f64::total_cmp)?,
            max: values.iter().copied().max_by(f64::total_cmp)?,
        })
    }
}

fn comparison(groups: &[Group<'_>]) -> Markup {
    let runs: usize = groups.iter().map(|group| group.runs.len()).sum();
    let head = html! {
        p {
            (runs) " runs in " (groups.len()) " groups. Runs that differ in their seed only are a "
            "group. Lines are means over a group's runs, bands reach from the least to the "
            "greatest value, as far as all runs of the group have come."
        }
    };
    let section = |id, title, content| Section { id, title, content };
    let sections = [
        section("progress", "Progress", charts(groups)),
        section("groups", "Groups", group_table(groups)),
        section("runs", "Runs", run_table(groups)),
    ];
    page("Comparison of runs", &head, &sections)
}

fn charts(groups: &[Group<'_>]) -> Markup {
    html! {
        div.charts {
            @for quantity in QUANTITIES { (chart(groups, quantity).figure(quantity.caption)) }
        }
    }
}

fn chart(groups: &[Group<'_>], quantity: Quantity) -> Chart {
    let longest = groups.iter().map(Group::generations).max().unwrap_or(1);
    let courses: Vec<_> = groups.iter().map(|group| group.course(quantity)).collect();
    let values = courses.iter().flatten();
    let values = values.flat_map(|(_, statistic)| [statistic.min, statistic.max]);
    let mut bands = Vec::new();
    let mut lines = Vec::new();
    for ((group, course), role) in groups.iter().zip(&courses).zip(Role::SERIES.iter().cycle()) {
        let there = course.iter().map(|&(x, statistic)| (x, statistic.max));
        let back = course
            .iter()
            .rev()
            .map(|&(x, statistic)| (x, statistic.min));
        bands.push(Series {
            name: String::new(),
            role: *role,
            mark: Mark::Band,
            points: there.chain(back).collect(),
        });
        lines.push(Series {
            name: group.name.clone(),
            role: *role,
            mark: Mark::Line,
            points: course
                .iter()
                .map(|&(x, statistic)| (x, statistic.mean))
                .collect(),
        });
    }
    Chart {
        x: Axis::generations(longest as u32 - 1),
        y: (quantity.axis)(quantity.title, values.collect()),
        series: bands.into_iter().chain(lines).collect(),
    }
}

fn group_table(groups: &[Group<'_>]) -> Markup {
    html! {
        p { "Mean ± standard deviation of the last generation that all runs of the group have, "
            "and the least and the greatest value." }
        div.scroll {
            table {
                thead { tr {
                    th { "group" } th { "runs" } th { "generation" }
                    @for quantity in QUANTITIES { th { (quantity.title) } }
                    th { "accuracy on Dval, Q8.8" }
                } }
                tbody {
                    @for group in groups { tr {
                        th scope="row" { (group.name) }
                        td { (group.runs.len()) }
                        td { (group.generations().saturating_sub(1)) }
                        @for quantity in QUANTITIES {
                            td { (statistic(group.outcome(quantity), quantity.format)) }
                        }
                        td { (statistic(group.validation(), percent)) }
                    } }
                }
            }
        }
    }
}

fn statistic(statistic: Option<Statistic>, format: fn(f64) -> String) -> Markup {
    html! {
        @if let Some(Statistic { mean, deviation, min, max }) = statistic {
            (format(mean))
            @if let Some(deviation) = deviation {
                " ± " (format(deviation)) br; small { (format(min)) " to " (format(max)) }
            }
        } @else { "–" }
    }
}

fn run_table(groups: &[Group<'_>]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th { "run" } th.text { "group" } th { "seed" } th { "generation" }
                    @for quantity in QUANTITIES { th { (quantity.title) } }
                    th { "accuracy on Dval, Q8.8" }
                } }
                tbody {
                    @for group in groups {
                        @for run in &group.runs { (run_row(group, run)) }
                    }
                }
            }
        }
    }
}

fn run_row(group: &Group<'_>, run: &Course) -> Markup {
    html! {
        tr {
            th scope="row" { (run.name) }
            td.text { (group.name) }
            td { (run.config.seed) }
            td {
                (run.population.generation)
                @if run.result.is_none() { " of " (run.config.settings.generations) }
            }
            @if let Some(last) = run.generations.last() {
                @for quantity in QUANTITIES { td { ((quantity.format)((quantity.of)(last))) } }
            }
            td {
                @match &run.result {
                    Some(result) => (percent(result.validation_accuracy_fixed)),
                    None => "–",
                }
            }
        }
    }
}

/// The courses of all groups as CSV (RFC 4180): one line per group and generation.
fn values(groups: &[Group<'_>]) -> String {
    let mut text = String::from("group,generation,runs");
    for Quantity { column, .. } in QUANTITIES {
        // Writing into memory cannot fail, here and below.
        let _ = write!(text, ",{column}_mean,{column}_sd,{column}_min,{column}_max");
    }
    text.push('\n');
    for group in groups {
        let name = group.name.replace('"', "\"\"");
        for generation in 0..group.generations() {
            let _ = write!(text, "\"{name}\",{generation},{}", group.runs.len());
            for quantity in QUANTITIES {
                let Some(statistic) = group.statistic(quantity, generation) else {
                    continue;
                };
                let Statistic {
                    mean,
                    deviation,
                    min,
                    max,
                } = statistic;
                let deviation = deviation.map_or(String::new(), |value| value.to_string());
                let _ = write!(text, ",{mean},{deviation},{min},{max}");
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use exporter::dataset::ImageOptions;

    use super::*;
    use crate::evaluate::Arithmetic;
    use crate::select::Replacement;
    use crate::settings::Settings;
    use crate::split::SplitKind;

    #[test]
    fn statistics_of_a_sample() {
        let statistic = Statistic::of(&[1.0, 3.0]).unwrap();
        let expected = Statistic {
            mean: 2.0,
            deviation: Some(2_f64.sqrt()),
            min: 1.0,
            max: 3.0,
        };
        assert_eq!(statistic, expected);
        assert_eq!(Statistic::of(&[5.0]).unwrap().deviation, None);
        assert_eq!(Statistic::of(&[]), None);
    }

    #[test]
    fn a_group_is_named_by_what_is_its_own() {
        let config = Config {
            seed: 0,
            data: None,
            images: ImageOptions::default(),
            split: SplitKind::Paper,
            arithmetic: Arithmetic::Float,
            seed_network: None,
            settings: Settings::mnist(),
        };
        let mut other = config.clone();
        other.settings.replacement = Replacement::Elitism;
        other.settings.max_age = Some(3);
        assert_eq!(
            names(&[config.clone(), other]),
            [
                "replacement = speciation",
                "max-age = 3, replacement = elitism"
            ]
        );
        assert_eq!(names(&[config]), ["as configured"]);
    }
}
