//! The winner's layers as boxes, as in the paper's Fig. 4.

use exporter::export::export;
use exporter::inspect::describe;
use exporter::map_svg::{SOLID_SIZE, solid};
use maud::{Markup, PreEscaped, html};
use runtime_nostd::Layer;
use runtime_nostd::geometry::{Op, Shape};

use super::ReportError;
use super::course::Course;
use super::numbers::thousands;

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

fn map(shape: Shape) -> Markup {
    let (width, height) = SOLID_SIZE;
    html! {
        div.map aria-hidden="true" {
            svg width=(width) height=(height) viewBox=(format!("0 0 {width} {height}"))
                xmlns="http://www.w3.org/2000/svg" { (PreEscaped(solid(shape))) }
        }
    }
}
