//! Fitness, accuracy and parameters per generation, as in the paper's Fig. 5.

use maud::{Markup, html};

use super::axis::Axis;
use super::chart::{Chart, Mark, Series};
use super::course::{Course, Generation};
use super::numbers::percent;
use super::palette::Role;
use crate::population::Summary;

/// The three charts.
pub(super) fn progress(course: &Course) -> Markup {
    html! {
        p {
            "Every dot is a candidate, trained in its generation and evaluated on Dtest; the "
            "initial population is evaluated untrained. Fitness is 0, and not drawn, below an "
            "accuracy of " (percent(course.config.settings.min_accuracy)) " (a_min of equation 1). "
            "Accuracies are spaced by the logarithm of the error: from 90 % to 99 % is as far as "
            "from 0 % to 90 %."
        }
        div.charts {
            (fitness(course)) (accuracy(course)) (parameters(course))
        }
    }
}

fn fitness(course: &Course) -> Markup {
    let cloud = cloud(course, |summary| summary.candidate.fitness);
    let best = line(course, "fittest individual", Role::Blue, |generation| {
        generation.line.best.fitness
    });
    let median = line(
        course,
        "median of the population",
        Role::Orange,
        |generation| generation.line.median_fitness,
    );
    let mut series = vec![cloud, median, best];
    for series in &mut series {
        series.points.retain(|&(_, fitness)| fitness > 0.0);
    }
    let axis = Axis::linear("fitness", values(&series));
    chart(course, axis, series).figure("Fitness")
}

fn accuracy(course: &Course) -> Markup {
    let cloud = cloud(course, |summary| summary.candidate.accuracy);
    let fittest = line(course, "fittest individual", Role::Blue, |generation| {
        generation.line.best.accuracy
    });
    let best = line(
        course,
        "most accurate individual",
        Role::Green,
        |generation| generation.line.best_accuracy,
    );
    let series = vec![cloud, best, fittest];
    let axis = Axis::accuracy("accuracy on Dtest", values(&series));
    chart(course, axis, series).figure("Accuracy")
}

fn parameters(course: &Course) -> Markup {
    let cloud = cloud(course, |summary| summary.candidate.parameters as f64);
    let fittest = line(course, "fittest individual", Role::Blue, |generation| {
        generation.line.best.parameters as f64
    });
    let series = vec![cloud, fittest];
    let axis = Axis::log("parameters", values(&series));
    chart(course, axis, series).figure("Parameters")
}

fn chart(course: &Course, y: Axis, series: Vec<Series>) -> Chart {
    Chart {
        x: Axis::generations(course.population.generation),
        y,
        series,
    }
}

fn cloud(course: &Course, value: impl Fn(&Summary) -> f64) -> Series {
    let points = course
        .accepted()
        .map(|(generation, summary)| (f64::from(generation.line.generation), value(summary)));
    Series {
        name: "candidates".to_owned(),
        role: Role::Cloud,
        mark: Mark::Cloud,
        points: points.collect(),
    }
}

fn line(course: &Course, name: &str, role: Role, value: impl Fn(&Generation) -> f64) -> Series {
    let points = course
        .generations
        .iter()
        .map(|generation| (f64::from(generation.line.generation), value(generation)));
    Series {
        name: name.to_owned(),
        role,
        mark: Mark::Line,
        points: points.collect(),
    }
}

fn values(series: &[Series]) -> impl Iterator<Item = f64> {
    let points = series.iter().flat_map(|series| &series.points);
    points.map(|&(_, y)| y)
}
