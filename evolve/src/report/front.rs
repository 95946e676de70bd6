//! Accuracy against cost: what the candidates of a run trade for what.

use maud::{Markup, html};

use super::axis::Axis;
use super::chart::{Chart, Mark, Series};
use super::course::Course;
use super::numbers::{percent, thousands};
use super::palette::Role;
use crate::population::Summary;

/// A quantity that is the better the less it is.
#[derive(Clone, Copy)]
struct Price {
    name: &'static str,
    /// In the words of a caption.
    caption: &'static str,
    of: fn(&Summary) -> u64,
}

const PARAMETERS: Price = Price {
    name: "parameters",
    caption: "Accuracy against parameters",
    of: |summary| summary.cost.parameters,
};

const ARENA: Price = Price {
    name: "arena in bytes",
    caption: "Accuracy against RAM (the arena)",
    of: |summary| summary.cost.arena_bytes,
};

/// The two charts and the candidates on their fronts.
pub(super) fn fronts(course: &Course) -> Markup {
    let fronts = [PARAMETERS, ARENA].map(|price| (price, front_of(course, price)));
    html! {
        p {
            "All candidates of the run, survivors or not, at their accuracy on Dtest. On a front are "
            "those to which no other is at least equal in both and better in one."
        }
        div.charts {
            @for (price, front) in &fronts { (chart(course, *price, front)) }
        }
        details {
            summary { "The candidates on the fronts" }
            div.tables {
                @for (price, front) in &fronts { (table(*price, front)) }
            }
        }
    }
}

/// The candidates that are not dominated in accuracy and price, cheapest first.
fn front_of(course: &Course, price: Price) -> Vec<&Summary> {
    let candidates: Vec<&Summary> = course.accepted().map(|(_, summary)| summary).collect();
    let points: Vec<(u64, f64)> = candidates
        .iter()
        .map(|summary| ((price.of)(summary), summary.candidate.accuracy))
        .collect();
    non_dominated(&points)
        .into_iter()
        .map(|index| candidates[index])
        .collect()
}

/// The indices of the (price, accuracy) that no other dominates, cheapest first; of equal ones the
/// first.
fn non_dominated(points: &[(u64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| {
        let (price, accuracy) = points[a];
        let (other_price, other_accuracy) = points[b];
        price
            .cmp(&other_price)
            .then(other_accuracy.total_cmp(&accuracy))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|&index| {
        let is_better = points[index].1 > best;
        best = best.max(points[index].1);
        is_better
    });
    order
}

fn chart(course: &Course, price: Price, front: &[&Summary]) -> Markup {
    let point = |summary: &Summary| ((price.of)(summary) as f64, summary.candidate.accuracy);
    let all: Vec<(f64, f64)> = course
        .accepted()
        .map(|(_, summary)| point(summary))
        .collect();
    let winner = course.winner();
    let winner = course
        .accepted()
        .map(|(_, summary)| summary)
        .filter(|summary| summary.candidate.id == winner.candidate.id);
    let chart = Chart {
        x: Axis::log(price.name, all.iter().map(|point| point.0)),
        y: Axis::accuracy("accuracy on Dtest", all.iter().map(|point| point.1)),
        series: vec![
            Series {
                name: "candidates".to_owned(),
                role: Role::Cloud,
                mark: Mark::Cloud,
                points: all.clone(),
            },
            Series {
                name: "Pareto front".to_owned(),
                role: Role::Vermilion,
                mark: Mark::Front,
                points: front.iter().map(|summary| point(summary)).collect(),
            },
            Series {
                name: "fittest individual".to_owned(),
                role: Role::Blue,
                mark: Mark::Ring,
                points: winner.map(point).collect(),
            },
        ],
    };
    chart.figure(price.caption)
}

fn table(price: Price, front: &[&Summary]) -> Markup {
    html! {
        div.scroll {
            table {
                caption { (price.caption) }
                thead { tr {
                    th { "individual" } th { "accuracy" } th { "parameters" } th { "MACs" }
                    th { "arena" }
                } }
                tbody {
                    @for summary in front { tr {
                        td { "#" (summary.candidate.id) }
                        td { (percent(summary.candidate.accuracy)) }
                        td { (thousands(summary.cost.parameters)) }
                        td { (thousands(summary.cost.macs)) }
                        td { (thousands(summary.cost.arena_bytes)) " B" }
                    } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_and_worse_points_are_left_out() {
        let points = [(10, 0.9), (10, 0.8), (20, 0.9), (30, 0.95), (10, 0.9)];
        assert_eq!(non_dominated(&points), [0, 3]);
    }

    proptest! {
        #[test]
        fn a_front_is_what_the_definition_says(
            points in proptest::collection::vec((0..8_u64, 0..8_u8), 0..30),
        ) {
            let points: Vec<(u64, f64)> = points
                .into_iter()
                .map(|(price, accuracy)| (price, f64::from(accuracy)))
                .collect();
            let front = non_dominated(&points);
            let dominates = |a: (u64, f64), b: (u64, f64)| a.0 <= b.0 && a.1 >= b.1 && a != b;
            for (index, &point) in points.iter().enumerate() {
                let is_dominated = points.iter().any(|&other| dominates(other, point));
                let is_on_front = front.iter().any(|&member| points[member] == point);
                prop_assert_eq!(is_on_front, !is_dominated, "{}", index);
            }
        }
    }
}
