//! The winner's layers as boxes, as in the paper's Fig. 4.

use exporter::export::export;
use exporter::inspect::describe;
use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;
use runtime_nostd::Layer;
use runtime_nostd::geometry::{Op, Shape};

use super::ReportError;
use super::course::Course;
use super::numbers::thousands;
use super::palette::Role;

/// Width and height of a map's picture in pixels.
const MAP_SIZE: (i32, i32) = (92, 64);

/// The layers of the winner's blob from the image to the logits, and their sums.
///
/// # Errors
/// The winner cannot be exported.
pub(super) fn architecture(course: &Course) -> Result<Markup, ReportError> {
    let network = &course.winner().individual.network;
    let blob = export(network, course.product())?.blob;
    let model = blob.model().map_err(ReportError::Blob)?;
    let header = &course.winner().individual.genome.header;
    Ok(html! {
        p {
            "Batch normalization is folded into the convolutions and the flattening layer. A box "
            "states what its layer writes, its parameters, the multiply-accumulates (MACs) of one "
            "inference, and its own part of the arena: the rows and sums that it keeps in RAM. A map "
            "that is kept whole lets the layers before and behind it use the same memory. "
            "Learning rate " (format!("{:.4}", header.learning_rate)) "."
        }
        ol.layers {
            li {
                strong { "input image" }
                (map(model.input()))
                span.shape { (shape(model.input())) }
            }
            @for layer in model.layers() { (layer_box(layer)) }
        }
        p.totals {
            "In all " strong { (thousands(model.parameter_count() as u64)) } " parameters, "
            strong { (thousands(model.macs())) } " MACs, "
            strong { (thousands(blob.as_bytes().len() as u64)) } " bytes of flash, "
            strong { (thousands(model.arena_bytes() as u64)) } " bytes of RAM. The arena also holds "
            "a word per layer, and layers may use the same memory one after the other, so it is not "
            "the sum of the parts."
        }
    })
}

fn layer_box(layer: &Layer<'_>) -> Markup {
    let kind = match layer.op() {
        Op::Conv { .. } | Op::Depthwise { .. } => "conv",
        Op::Dense { .. } => "dense",
        Op::MaxPool { .. } | Op::AvgPool { .. } => "pool",
        Op::Add { .. } | Op::Branch { .. } => "join",
    };
    html! {
        li class=(kind) {
            strong { (describe(layer)) }
            (map(layer.output()))
            span.shape { (shape(layer.output())) }
            dl {
                @if layer.parameters().is_some() {
                    dt { "parameters" }
                    dd { (thousands(layer.op().parameters(layer.input()) as u64)) }
                    dt { "MACs" }
                    dd { (thousands(layer.macs())) }
                }
                dt { "arena" }
                dd { (thousands(layer.arena_bytes() as u64)) " B" }
            }
        }
    }
}

fn shape(shape: Shape) -> String {
    format!("{} × {} × {}", shape.height, shape.width, shape.channels)
}

/// A feature map as a solid: its face is rows by columns, its depth grows with the channels. Sides
/// are drawn by their square roots, so that 1 and 32 fit one scale.
fn map(shape: Shape) -> Markup {
    let drawn = draw_map(shape).expect("drawing into memory does not fail");
    html! { div.map aria-hidden="true" { (PreEscaped(drawn)) } }
}

fn draw_map(shape: Shape) -> Result<String, DrawingAreaErrorKind<std::io::Error>> {
    let side = |elements: u16| (8.0 * f64::from(elements).sqrt()).min(46.0) as i32;
    let (width, height) = (side(shape.width), side(shape.height));
    let depth = ((4.0 * f64::from(shape.channels).sqrt()) as i32).min(32);
    // The solid recedes to the upper right, half as far up as right.
    let (dx, dy) = (depth, depth / 2);
    let left = (MAP_SIZE.0 - width - dx) / 2;
    let top = (MAP_SIZE.1 - height - dy) / 2 + dy;
    let (right, bottom) = (left + width, top + height);
    let face = [(left, top), (right, top), (right, bottom), (left, bottom)];
    let lid = [
        (left, top),
        (left + dx, top - dy),
        (right + dx, top - dy),
        (right, top),
    ];
    let flank = [
        (right, top),
        (right + dx, top - dy),
        (right + dx, bottom - dy),
        (right, bottom),
    ];
    let mut picture = String::new();
    let size = (MAP_SIZE.0 as u32, MAP_SIZE.1 as u32);
    let root = SVGBackend::with_string(&mut picture, size).into_drawing_area();
    for (side, opacity) in [(face, 0.55), (lid, 0.3), (flank, 0.42)] {
        root.draw(&Polygon::new(side, Role::Blue.color().mix(opacity)))?;
        let outline = side.into_iter().chain([side[0]]).collect::<Vec<_>>();
        root.draw(&PathElement::new(outline, Role::Blue.color()))?;
    }
    root.present()?;
    drop(root);
    Ok(picture)
}
