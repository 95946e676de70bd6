//! What each operator contributed.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::course::{Ancestry, Course};
use super::numbers::points;
use crate::individual::Birth;
use crate::mutate::{Mutation, MutationOperator};

/// Everything that can happen between a parent and its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variation {
    /// Training alone.
    None,
    /// One mutation.
    Mutation(MutationOperator),
    /// Crossover.
    Crossover,
    /// Crossover, then any mutation.
    Both,
}

impl Variation {
    fn of(birth: &Birth) -> Self {
        match (birth.mate, birth.mutation) {
            (None, None) => Self::None,
            (None, Some(mutation)) => Self::Mutation(mutation.operator),
            (Some(_), None) => Self::Crossover,
            (Some(_), Some(_)) => Self::Both,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let mutations = MutationOperator::ALL.map(Self::Mutation);
        let others = [Self::Crossover, Self::Both, Self::None];
        mutations.into_iter().chain(others)
    }

    fn name(self) -> String {
        match self {
            Self::None => "training only".to_owned(),
            Self::Mutation(operator) => {
                let (number, name) = names(operator);
                format!("{number} {name}")
            }
            Self::Crossover => "crossover".to_owned(),
            Self::Both => "crossover and a mutation".to_owned(),
        }
    }
}

/// What became of the children of one variation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    children: usize,
    rejected: usize,
    better: usize,
    survived: usize,
    /// Sum of the changes of accuracy, over the children that were not rejected.
    accuracy_change: f64,
}

impl Tally {
    fn accepted(&self) -> usize {
        self.children - self.rejected
    }
}

/// The table of all variations.
pub(super) fn operators(course: &Course) -> Markup {
    let by_id = course.by_id();
    let tallies = Variation::all().map(|variation| (variation, tally(course, &by_id, variation)));
    html! {
        p {
            "A child is compared with the parent that it continues, which was trained once less. "
            "It is better if it is fitter, or as fit and more accurate. It survives if it has a "
            "place in the next population. Every child is counted in one row, so that no operator "
            "is credited with another's work. The first generation is left out, since its parents "
            "are untrained."
        }
        div.scroll {
            table.operators {
                thead { tr {
                    th { "operator" } th { "children" } th { "better than the parent" }
                    th { "survived" } th { "mean change of accuracy" } th { "rejected" }
                } }
                tbody {
                    @for (variation, tally) in tallies { tr {
                        th scope="row" { (variation.name()) }
                        td { (tally.children) }
                        td { (share(tally.better, tally.children)) }
                        td { (share(tally.survived, tally.children)) }
                        td {
                            @if tally.accepted() == 0 { "–" } @else {
                                (points(tally.accuracy_change / tally.accepted() as f64)) " points"
                            }
                        }
                        td { (tally.rejected) }
                    } }
                }
            }
        }
    }
}

fn share(part: usize, whole: usize) -> Markup {
    html! {
        @if whole == 0 { "–" } @else {
            @let percent = (100 * part + whole / 2) / whole;
            span.bar style={ "--share:" (percent) "%" } { (part) " (" (percent) " %)" }
        }
    }
}

fn tally(course: &Course, by_id: &Ancestry<'_>, variation: Variation) -> Tally {
    let mut tally = Tally::default();
    for (generation, child) in course.candidates() {
        if generation.line.generation < 2 {
            continue;
        }
        let parent = child.birth.parent.and_then(|id| by_id.get(&id));
        let Some((_, parent)) = parent.filter(|_| Variation::of(&child.birth) == variation) else {
            continue;
        };
        tally.children += 1;
        if child.rejection.is_some() {
            tally.rejected += 1;
            continue;
        }
        let (child, parent) = (&child.candidate, &parent.candidate);
        tally.better += usize::from(child.rank(parent) == Ordering::Less);
        tally.survived += usize::from(generation.survivors.contains(&child.id));
        tally.accuracy_change += child.accuracy - parent.accuracy;
    }
    tally
}

/// What happened to an individual, for the edge to its parent: `MO4 modify layer, layer 2`,
/// `crossover with #17 · MO1 weight reset, layer 1`.
pub(super) fn describe(birth: &Birth) -> String {
    let crossover = birth.mate.map(|mate| format!("crossover with #{mate}"));
    let mutation = birth.mutation.map(|Mutation { operator, layer }| {
        let (number, name) = names(operator);
        let layer = layer.map_or(String::new(), |layer| format!(", layer {}", layer + 1));
        format!("{number} {name}{layer}")
    });
    let all: Vec<String> = crossover.into_iter().chain(mutation).collect();
    if all.is_empty() {
        "training only".to_owned()
    } else {
        all.join(" · ")
    }
}

/// The paper's number and name of an operator.
fn names(operator: MutationOperator) -> (&'static str, &'static str) {
    match operator {
        MutationOperator::ResetWeights => ("MO1", "weight reset"),
        MutationOperator::AddLayer => ("MO2", "add a layer"),
        MutationOperator::RemoveLayer => ("MO3", "remove a layer"),
        MutationOperator::ModifyLayer => ("MO4", "modify a layer"),
        MutationOperator::ResizeFlattening => ("MO5", "resize the flattening layer"),
        MutationOperator::ModifyLearningRate => ("MO6", "modify the learning rate"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_names_all_that_happened() {
        let mutation = Mutation {
            operator: MutationOperator::ModifyLayer,
            layer: Some(1),
        };
        let mut birth = Birth {
            parent: Some(3),
            mate: None,
            mutation: Some(mutation),
        };
        assert_eq!(describe(&birth), "MO4 modify a layer, layer 2");
        birth.mate = Some(17);
        assert_eq!(
            describe(&birth),
            "crossover with #17 · MO4 modify a layer, layer 2"
        );
        birth.mutation = None;
        birth.mate = None;
        assert_eq!(describe(&birth), "training only");
    }
}
