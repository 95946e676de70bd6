//! What the winner gets wrong.

use exporter::dataset::Images;
use maud::{Markup, html};

use super::ReportError;
use super::course::Course;
use super::numbers::percent;
use super::picture::picture;
use crate::evaluate::{Arithmetic, classify};
use crate::train::Lanes;

/// Misclassified images that are shown.
const MOST_PICTURES: usize = 60;

/// The confusion matrix of the winner over Dtest and the images that it misclassifies.
///
/// # Errors
/// The winner cannot be executed.
pub(super) fn mistakes(course: &Course, test: &Images) -> Result<Markup, ReportError> {
    let network = &course.winner().individual.network;
    let arithmetic = course.config.arithmetic;
    let predictions = classify(network, test, arithmetic, &Lanes::detect())?;
    let wrong: Vec<usize> = (0..test.len())
        .filter(|&index| predictions[index] != test.label(index))
        .collect();
    let arithmetic = match arithmetic {
        Arithmetic::Fixed(_) => "fixed point, by the bytes of its blob",
        Arithmetic::Float => "floating point",
    };
    Ok(html! {
        p {
            "The fittest individual on Dtest, the images that its fitness was measured on, in "
            (arithmetic) ": " (wrong.len()) " of " (test.len()) " are wrong, "
            (percent(1.0 - wrong.len() as f64 / test.len() as f64)) " right. Evolution chose it by "
            "these images, so its accuracy on others is likely to be lower."
        }
        h3 { "Confusion matrix" }
        (matrix(test, &predictions, &network.classes))
        h3 { "Misclassified images: true → predicted class" }
        (gallery(test, &predictions, &wrong, &network.classes))
    })
}

fn matrix(images: &Images, predictions: &[usize], classes: &[String]) -> Markup {
    let mut counts = vec![vec![0_usize; classes.len()]; classes.len()];
    for (index, &predicted) in predictions.iter().enumerate() {
        counts[images.label(index)][predicted] += 1;
    }
    html! {
        div.scroll {
            table.confusion {
                thead {
                    tr {
                        td {}
                        th.axis colspan=(classes.len()) { "predicted class" }
                        td {}
                    }
                    tr {
                        th.axis { "true class" }
                        @for class in classes { th scope="col" { (class) } }
                        th { "recall" }
                    }
                }
                tbody {
                    @for (truth, row) in counts.iter().enumerate() {
                        @let total: usize = row.iter().sum();
                        tr {
                            th scope="row" { (classes[truth]) }
                            @for (predicted, &count) in row.iter().enumerate() {
                                (cell(truth == predicted, count, total))
                            }
                            td.recall { (percent(row[truth] as f64 / total.max(1) as f64)) }
                        }
                    }
                }
            }
        }
    }
}

/// A cell, shaded by its share of the row: what is right in one color, what is wrong in another,
/// where a hundredth is to be seen already.
fn cell(is_right: bool, count: usize, total: usize) -> Markup {
    let share = count as f64 / total.max(1) as f64;
    let shade = if is_right { share } else { share.sqrt() };
    let class = if is_right { "right" } else { "wrong" };
    html! {
        @if count == 0 { td.none { "0" } } @else {
            td class=(class) style={ "--shade:" (format!("{:.0}", 100.0 * shade)) "%" } { (count) }
        }
    }
}

fn gallery(images: &Images, predictions: &[usize], wrong: &[usize], classes: &[String]) -> Markup {
    html! {
        @if wrong.is_empty() { p { "None." } }
        @if wrong.len() > MOST_PICTURES {
            p { "The first " (MOST_PICTURES) " of " (wrong.len()) ", in the order of the files." }
        }
        ul.gallery {
            @for &index in wrong.iter().take(MOST_PICTURES) {
                @let (truth, predicted) = (images.label(index), predictions[index]);
                @let (truth, predicted) = (&classes[truth], &classes[predicted]);
                li {
                    (picture(images, index, &format!("image of class {truth}")))
                    span { (truth) " → " strong { (predicted) } }
                }
            }
        }
    }
}
