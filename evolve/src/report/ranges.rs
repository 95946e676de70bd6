//! Where the winner's weights and activations lie within 16 bits.

use exporter::dataset::Images;
use exporter::export::export;
use exporter::inspect::describe;
use exporter::ranges::{BARS, Histogram, Stores, weights};
use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;
use runtime_nostd::Parameters;
use runtime_nostd::q8_8::ACTIVATION_FRAC_BITS;

use super::ReportError;
use super::course::Course;
use super::numbers::thousands;
use super::palette::Role;
use crate::evaluate::EvaluateError;

/// Images whose activations are counted.
const MOST_IMAGES: usize = 256;
/// Width of a bar and height of a picture in pixels.
const SIZE: (i32, i32) = (9, 40);

/// Histograms of what the layers of the winner's blob contain, and of what they store for images of
/// Dtest.
///
/// # Errors
/// The winner cannot be exported.
pub(super) fn ranges(course: &Course, test: &Images) -> Result<Markup, ReportError> {
    let network = &course.winner().individual.network;
    let blob = export(network, course.product())?.blob;
    let model = blob.model().map_err(ReportError::Blob)?;
    let images = test.iter().take(MOST_IMAGES);
    let stores = Stores::measure(&model, images).map_err(EvaluateError::Infer)?;
    let stores = stores.into_histograms();
    Ok(html! {
        p {
            "Of the fittest individual's blob, activations over " (test.len().min(MOST_IMAGES))
            " images of Dtest. A bar stands for a power of two: the first counts zeros, the last but "
            "one the largest magnitudes that fit 16 bits, and the last, in another color, what is at "
            "the end of the range and most likely saturated. An empty right half is precision given "
            "away; " code { "exporter export --rescale" } " moves the bars where that pays."
        }
        div.scroll {
            table {
                thead {
                    tr {
                        th { "layer" }
                        th.text { "weights" } th { "largest" } th { "saturated" }
                        th.text { "activations" } th { "largest" } th { "saturated" }
                    }
                }
                tbody {
                    @for (index, layer) in model.layers().iter().enumerate() {
                        @let frac_bits = layer.parameters().map_or(0, Parameters::frac_bits);
                        tr {
                            th scope="row" { (describe(layer)) }
                            (cells(weights(layer).as_ref(), frac_bits))
                            (cells(stores.get(index), ACTIVATION_FRAC_BITS))
                        }
                    }
                }
            }
        }
    })
}

/// A histogram, its largest magnitude, and what is saturated.
fn cells(histogram: Option<&Histogram>, frac_bits: u8) -> Markup {
    html! {
        @if let Some(histogram) = histogram {
            td.text { (PreEscaped(draw(histogram).expect("drawing into memory does not fail"))) }
            td { (format!("{:.3}", f64::from(histogram.largest) / f64::from(1_u32 << frac_bits))) }
            td { (thousands(histogram.saturated())) " of " (thousands(histogram.total())) }
        } @else {
            td.text {} td {} td {}
        }
    }
}

fn draw(histogram: &Histogram) -> Result<String, DrawingAreaErrorKind<std::io::Error>> {
    let (width, height) = SIZE;
    let mut picture = String::new();
    let size = ((width * BARS as i32) as u32, height as u32 + 1);
    let root = SVGBackend::with_string(&mut picture, size).into_drawing_area();
    let highest = histogram.bars.iter().max().copied().unwrap_or(0).max(1);
    for (index, &bar) in histogram.bars.iter().enumerate() {
        let left = width * index as i32;
        // What is there at all can be seen.
        let share = bar as f64 / highest as f64;
        let top = height - (share * f64::from(height)).ceil() as i32;
        let role = if index + 1 == BARS {
            Role::Vermilion
        } else {
            Role::Blue
        };
        let corners = [(left, top), (left + width - 1, height)];
        root.draw(&Rectangle::new(corners, role.color().filled()))?;
        let floor = [(left, height), (left + width - 1, height)];
        root.draw(&PathElement::new(floor, Role::Muted.color()))?;
    }
    root.present()?;
    drop(root);
    Ok(picture)
}
