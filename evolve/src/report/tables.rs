//! The generations and the configuration of a run as tables.

use maud::{Markup, html};

use super::course::{Course, Generation};
use super::numbers::{duration, percent, thousands};
use crate::config::Config;
use crate::results::PolishedLine;

/// A line for every generation.
pub(super) fn generations(course: &Course) -> Markup {
    html! {
        div.scroll.tall {
            table {
                thead { tr {
                    th { "generation" } th { "fittest" } th { "age" } th { "fitness" }
                    th { "median" } th { "accuracy" } th { "highest accuracy" }
                    th { "parameters" } th { "MACs" } th { "arena" }
                    th { "members by age" } th { "rejected" } th { "time" }
                } }
                tbody {
                    @for generation in &course.generations { (generation_row(course, generation)) }
                }
            }
        }
    }
}

fn generation_row(course: &Course, generation: &Generation) -> Markup {
    let line = &generation.line;
    let best = course
        .accepted()
        .find(|(_, summary)| summary.candidate.id == line.best.id);
    let ages: Vec<String> = line
        .ages
        .iter()
        .map(|(age, members)| format!("{age}:{members}"))
        .collect();
    html! {
        tr {
            td { (line.generation) }
            td { "#" (line.best.id) }
            td { (line.best.age) }
            td { (format!("{:.3}", line.best.fitness)) }
            td { (format!("{:.3}", line.median_fitness)) }
            td { (percent(line.best.accuracy)) }
            td { (percent(line.best_accuracy)) }
            td { (thousands(line.best.parameters)) }
            td { (thousands(line.best_macs)) }
            td { @if let Some((_, best)) = best { (thousands(best.cost.arena_bytes)) " B" } }
            td { (ages.join(" ")) }
            td { (line.rejected) }
            td { (duration(generation.seconds)) }
        }
    }
}

/// The Pareto front and the winner before and after their polish.
pub(super) fn polish(lines: &[PolishedLine]) -> Markup {
    html! {
        p {
            "Networks of the run's Pareto front (accuracy, parameters, MACs and arena) and the fittest "
            "individual, trained further once evolution was over. Nothing was chosen by Dval."
        }
        div.scroll {
            table {
                thead { tr {
                    th { "individual" } th { "parameters" } th { "Dtest before" }
                    th { "Dtest after" } th { "Dval before" } th { "Dval after" }
                } }
                tbody {
                    @for line in lines { tr {
                        td { "#" (line.id) }
                        td { (thousands(line.parameters)) }
                        td { (percent(line.test_accuracy)) }
                        @if line.rejection.is_some() {
                            td { "rejected" } td { (percent(line.validation_accuracy)) } td { "–" }
                        } @else {
                            td { (percent(line.polished_test_accuracy)) }
                            td { (percent(line.validation_accuracy)) }
                            td { (percent(line.polished_validation_accuracy)) }
                        }
                    } }
                }
            }
        }
    }
}

/// Every setting with its value.
pub(super) fn configuration(config: &Config) -> Markup {
    html! {
        dl.settings {
            @for (name, value) in settings(config) {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// The settings as `config.toml` names and writes them.
pub(super) fn settings(config: &Config) -> Vec<(String, String)> {
    let table: toml::Table = config.to_toml().parse().expect("it has just been written");
    let settings = table.into_iter().map(|(name, value)| {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Float(number) => tidy(number),
            other => other.to_string(),
        };
        (name, text)
    });
    settings.collect()
}

/// A number without the digits that f32 adds when it becomes f64: `0.1`, not `0.10000000149`.
fn tidy(number: f64) -> String {
    let short = number as f32;
    if f64::from(short) == number {
        short.to_string()
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_they_were_typed() {
        assert_eq!(tidy(f64::from(0.1_f32)), "0.1");
        assert_eq!(tidy(0.1), "0.1");
        assert_eq!(tidy(0.975), "0.975");
    }
}
