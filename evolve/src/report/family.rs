//! The family tree of the winner, with the operators on its edges.
//!
//! Drawn like a version course: a row for every ancestor, the youngest first, and lines from each
//! child to its parents. That stays legible where a tree with labels side by side would not.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::FONT_SCALE;
use super::course::Course;
use super::numbers::{percent, points, thousands};
use super::operators::describe;
use super::palette::Role;
use crate::population::Summary;

/// The most ancestors that the tree shows in full. Of more, only the line of the parents that each
/// individual continues is followed, and mates stand without their own ancestors.
const MOST_ANCESTORS: usize = 48;
/// Pixels between two rows, between two lines, and around the picture.
const ROW: i32 = 44;
const LANE: i32 = 18;
const MARGIN: i32 = 14;
/// Pixels for a character of a row's text: more than one takes on average, in any usual font.
const CHARACTER: i32 = 7;

/// An ancestor of the winner, or the winner, in the tree.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    id: u64,
    /// The column of its dot.
    lane: usize,
    /// The parents that are in the tree, and the column in which the line to each runs down.
    edges: Vec<(u64, usize)>,
}

/// The tree.
pub(super) fn family(course: &Course) -> Markup {
    let by_id = course.by_id();
    let winner = course.winner().candidate.id;
    let parents_of = |id: u64| -> [Option<u64>; 2] {
        let birth = by_id.get(&id).map(|(_, summary)| summary.birth);
        birth.map_or([None, None], |birth| [birth.parent, birth.mate])
    };
    let all = ancestors(winner, parents_of);
    let line = |id: u64| [parents_of(id)[0], None];
    let is_whole = all.len() <= MOST_ANCESTORS;
    let nodes = if is_whole {
        layout(&all, parents_of)
    } else {
        let line = ancestors(winner, line);
        let mates = line.iter().filter_map(|&id| parents_of(id)[1]);
        let shown = line.iter().copied().chain(mates).collect();
        layout(&shown, |id| {
            if line.contains(&id) {
                parents_of(id)
            } else {
                [None, None]
            }
        })
    };
    let texts = nodes.iter().map(|node| {
        let Some((generation, summary)) = by_id.get(&node.id) else {
            return [format!("#{}", node.id), "not in the journal".to_owned()];
        };
        let parent = summary.birth.parent.and_then(|id| by_id.get(&id));
        let parent = parent.map(|(_, parent)| *parent);
        row_text(generation.line.generation, summary, parent)
    });
    let drawn = draw(&nodes, &texts.collect::<Vec<_>>());
    html! {
        p {
            "The fittest individual is at the top. A thick line leads to the parent that an "
            "individual continues, a thin one to the mate; beside it stands what changed on the "
            "way and, in brackets, the change of accuracy in percentage points."
            @if !is_whole {
                " Of its " (all.len() - 1) " ancestors, this shows the line of parents, and the mates "
                "without theirs."
            }
        }
        div.tree {
            (PreEscaped(drawn.expect("drawing into memory does not fail")))
        }
    }
}

/// `id` and all that can be reached from it.
fn ancestors(id: u64, parents_of: impl Fn(u64) -> [Option<u64>; 2]) -> BTreeSet<u64> {
    let mut found = BTreeSet::from([id]);
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        for parent in parents_of(id).into_iter().flatten() {
            if found.insert(parent) {
                open.push(parent);
            }
        }
    }
    found
}

/// A row for each of `ids`, the youngest first: ids rise with time, so a child comes before its
/// parents.
fn layout(ids: &BTreeSet<u64>, parents_of: impl Fn(u64) -> [Option<u64>; 2]) -> Vec<Node> {
    // The individual that each column's line leads down to.
    let mut lanes: Vec<Option<u64>> = Vec::new();
    let mut nodes = Vec::new();
    for &id in ids.iter().rev() {
        let waiting = lanes.iter().position(|&lane| lane == Some(id));
        let lane = waiting.unwrap_or_else(|| free_lane(&mut lanes));
        for taken in &mut lanes {
            if *taken == Some(id) {
                *taken = None;
            }
        }
        let mut edges = Vec::new();
        for parent in parents_of(id).into_iter().flatten() {
            let running = lanes.iter().position(|&lane| lane == Some(parent));
            let down = match running {
                Some(running) => running,
                None if lanes[lane].is_none() => lane,
                None => free_lane(&mut lanes),
            };
            lanes[down] = Some(parent);
            edges.push((parent, down));
        }
        nodes.push(Node { id, lane, edges });
    }
    nodes
}

/// The first column without a line; a new one if there is none.
fn free_lane(lanes: &mut Vec<Option<u64>>) -> usize {
    let free = lanes.iter().position(Option::is_none);
    free.unwrap_or_else(|| {
        lanes.push(None);
        lanes.len() - 1
    })
}

/// What stands beside a node, and below it beside the edge to its parents.
fn row_text(generation: u32, summary: &Summary, parent: Option<&Summary>) -> [String; 2] {
    let candidate = &summary.candidate;
    let node = format!(
        "#{} · gen. {generation} · {} · {} parameters",
        candidate.id,
        percent(candidate.accuracy),
        thousands(candidate.parameters)
    );
    let edge = match parent {
        None => "initial population".to_owned(),
        Some(parent) => {
            let change = points(candidate.accuracy - parent.candidate.accuracy);
            format!("{} ({change})", describe(&summary.birth))
        }
    };
    [node, edge]
}

fn draw(
    nodes: &[Node],
    texts: &[[String; 2]],
) -> Result<String, DrawingAreaErrorKind<std::io::Error>> {
    let lanes = nodes
        .iter()
        .flat_map(|node| node.edges.iter().map(|&(_, lane)| lane).chain([node.lane]))
        .max()
        .map_or(1, |last| last + 1);
    let longest = texts.iter().flatten().map(|text| text.chars().count());
    let longest = longest.max().unwrap_or(0);
    let size = (
        (x(lanes) + CHARACTER * longest as i32) as u32,
        (y(nodes.len()) - MARGIN) as u32,
    );
    let mut picture = String::new();
    let root = SVGBackend::with_string(&mut picture, size).into_drawing_area();
    draw_edges(&root, nodes)?;
    for (row, (node, [about, edge])) in nodes.iter().zip(texts).enumerate() {
        let role = if row == 0 {
            Role::Vermilion
        } else {
            Role::Blue
        };
        let center = (x(node.lane), y(row));
        root.draw(&Circle::new(center, 5, role.color().filled()))?;
        for (text, size, role, below) in [
            (about, 13.0, Role::Ink, 0),
            (edge, 12.0, Role::Muted, ROW / 2 - 2),
        ] {
            let color = role.color();
            let font = ("sans-serif", size * FONT_SCALE).into_font();
            let left = Pos::new(HPos::Left, VPos::Center);
            let style = font.color(&color).pos(left);
            root.draw(&Text::new(text.as_str(), (x(lanes), y(row) + below), style))?;
        }
    }
    root.present()?;
    drop(root);
    Ok(picture)
}

fn draw_edges(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    nodes: &[Node],
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let rows = nodes.iter().zip(0..);
    let rows: BTreeMap<u64, usize> = rows.map(|(node, row)| (node.id, row)).collect();
    for (row, node) in nodes.iter().enumerate() {
        for (number, &(parent, lane)) in node.edges.iter().enumerate() {
            let Some(&parent_row) = rows.get(&parent) else {
                continue;
            };
            let corners = [
                (x(node.lane), y(row)),
                (x(lane), y(row) + ROW / 2),
                (x(lane), y(parent_row) - ROW / 2),
                (x(nodes[parent_row].lane), y(parent_row)),
            ];
            let style = match number {
                0 => Role::Muted.color().stroke_width(3),
                _ => Role::Purple.color().stroke_width(1),
            };
            root.draw(&PathElement::new(corners, style))?;
        }
    }
    Ok(())
}

fn x(lane: usize) -> i32 {
    MARGIN + LANE * lane as i32
}

fn y(row: usize) -> i32 {
    MARGIN + ROW * row as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mate_has_a_line_of_its_own_until_a_common_ancestor() {
        // 9 = 5 x 4, 5 and 4 continue 1.
        let parents_of = |id| match id {
            9 => [Some(5), Some(4)],
            5 | 4 => [Some(1), None],
            _ => [None, None],
        };
        let ids = ancestors(9, parents_of);
        let nodes = layout(&ids, parents_of);
        let node = |id, lane, edges: &[(u64, usize)]| Node {
            id,
            lane,
            edges: edges.to_vec(),
        };
        assert_eq!(
            nodes,
            [
                node(9, 0, &[(5, 0), (4, 1)]),
                node(5, 0, &[(1, 0)]),
                node(4, 1, &[(1, 0)]),
                node(1, 0, &[]),
            ]
        );
    }

    proptest! {
        /// No line runs through a dot that it does not lead to.
        #[test]
        fn lines_avoid_other_dots(
            parents in proptest::collection::vec((any::<u16>(), any::<u16>(), any::<u8>()), 1..40),
        ) {
            let parents_of = |id: u64| {
                let (parent, mate, kind) = parents[id as usize];
                let older = |draw: u16| (id > 0).then(|| u64::from(draw) % id);
                match kind % 8 {
                    0 => [None, None],
                    1..5 => [older(parent), None],
                    _ => [older(parent), older(mate).filter(|&mate| Some(mate) != older(parent))],
                }
            };
            let ids = ancestors(parents.len() as u64 - 1, parents_of);
            let nodes = layout(&ids, parents_of);
            let row = |id| nodes.iter().position(|node| node.id == id).unwrap();
            for (start, node) in nodes.iter().enumerate() {
                for &(parent, lane) in &node.edges {
                    let end = row(parent);
                    prop_assert!(start < end);
                    for passed in &nodes[start + 1..end] {
                        prop_assert_ne!(passed.lane, lane, "{:?}", nodes);
                    }
                }
            }
        }
    }
}
