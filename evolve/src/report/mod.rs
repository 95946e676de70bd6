//! A run as a page: pictures and tables in one HTML file that needs nothing else.
//!
//! The journal is read, never written, so that a running run can be looked at. A page depends on
//! the run's folder and images alone.

mod architecture;
mod axis;
mod chart;
mod compare;
mod course;
mod family;
mod front;
mod mistakes;
mod numbers;
mod operators;
mod page;
mod palette;
mod picture;
mod progress;
mod ranges;
mod tables;

use std::io;
use std::path::{Path, PathBuf};

use exporter::dataset::Images;
use exporter::export::ExportError;
use exporter::file::write_atomically;
use maud::{Markup, html};
use runtime_nostd::ParseError;
use thiserror::Error;

pub use self::compare::write_comparison;
use self::course::Course;
use self::numbers::{duration, percent, thousands};
use self::page::{Section, figures, page};
use crate::data::DataError;
use crate::evaluate::EvaluateError;
use crate::folder::ANEW;
use crate::history::HistoryError;
use crate::population::RecordError;

/// Why there is no report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// What the run's journal says.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Records that do not belong together.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A run that has only just started.
    #[error("{}: no generation yet, try again when the initial population is there", folder.display())]
    NoGeneration {
        /// The run's folder.
        folder: PathBuf,
    },
    /// A page where the values or the picture go.
    #[error("{}: the page's name cannot end in .csv or .svg: its values and its picture have these names", path.display())]
    PageName {
        /// The page.
        path: PathBuf,
    },
    /// `report.json` is not what a run writes.
    #[error("{}: {source}: {}", path.display(), ANEW)]
    Result {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// The run's images cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run's images have changed.
    #[error("the images are not those of the run any more: restore them to see its mistakes")]
    OtherImages,
    /// The winner cannot be exported.
    #[error("the fittest individual cannot be exported: {0}")]
    Export(#[from] ExportError),
    /// The runtime refuses the winner.
    #[error("the runtime refuses the fittest individual: {0}")]
    Blob(ParseError),
    /// The winner cannot be executed.
    #[error("the fittest individual cannot be executed: {0}")]
    Evaluate(#[from] EvaluateError),
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Writes the report of the run in `folder`, finished or not, to `path`.
///
/// # Errors
/// There is no run with a generation in the folder, or the file cannot be written. Images that
/// cannot be read cost the report a section only.
pub fn write_report(folder: &Path, path: &Path) -> Result<(), ReportError> {
    let course = Course::read(folder)?;
    write_file(path, report(&course).into_string().as_bytes())
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    write_atomically(path, bytes).map_err(|source| ReportError::Io {
        path: path.to_owned(),
        source,
    })
}

fn report(course: &Course) -> Markup {
    let section = |id, title, content| Section { id, title, content };
    let test = course.test_images();
    let of_images = |content: fn(&Course, &Images) -> Result<Markup, ReportError>| match &test {
        Ok(test) => or_note(content(course, test)),
        Err(error) => note(error),
    };
    let mut sections = vec![
        section("progress", "Progress", progress::progress(course)),
        section("fronts", "Trade-offs", front::fronts(course)),
        section(
            "architecture",
            "Architecture of the fittest individual",
            or_note(architecture::architecture(course)),
        ),
        section(
            "ranges",
            "Ranges of weights and activations",
            of_images(ranges::ranges),
        ),
        section("family", "Family tree", family::family(course)),
        section("operators", "Operators", operators::operators(course)),
        section("mistakes", "Mistakes", of_images(mistakes::mistakes)),
        section("generations", "Generations", tables::generations(course)),
        section(
            "configuration",
            "Configuration",
            tables::configuration(&course.config),
        ),
    ];
    if let Some(result) = &course.result
        && !result.polished.is_empty()
    {
        let polish = section("polish", "Polish", tables::polish(&result.polished));
        sections.insert(2, polish);
    }
    page(&format!("Run {}", course.name), &head(course), &sections)
}

/// What the run is, how far it has come, and what the fittest individual achieves.
fn head(course: &Course) -> Markup {
    let population = &course.population;
    let winner = course.winner();
    let seconds: f64 = course.generations.iter().map(|g| g.seconds).sum();
    let trained = course.candidates().count() - course.generations[0].candidates.len();
    let rejected: usize = course.generations.iter().map(|g| g.line.rejected).sum();
    let mut numbers = vec![("accuracy on Dtest", percent(winner.candidate.accuracy))];
    if let Some(result) = &course.result {
        numbers.push((
            "accuracy on Dval, Q8.8",
            percent(result.validation_accuracy_fixed),
        ));
        numbers.push((
            "accuracy on Dval, f32",
            percent(result.validation_accuracy_f32),
        ));
    }
    numbers.extend([
        ("parameters", thousands(winner.cost.parameters)),
        ("MACs", thousands(winner.cost.macs)),
        (
            "RAM (arena)",
            format!("{} B", thousands(winner.cost.arena_bytes)),
        ),
        ("flash", format!("{} B", thousands(winner.cost.flash_bytes))),
        ("fitness", format!("{:.3}", winner.candidate.fitness)),
    ]);
    let data = match (&course.result, &course.config.data) {
        (Some(result), _) => result.data.clone(),
        (None, Some(folder)) => folder.display().to_string(),
        (None, None) => "the bundled MNIST subset".to_owned(),
    };
    html! {
        p {
            "Evolution of a small CNN on " (data) ", seed " (course.config.seed) ". "
            @if course.result.is_some() {
                (population.generation) " generations, finished: "
            } @else {
                strong {
                    "Not finished: " (population.generation) " of "
                    (course.config.settings.generations) " generations. "
                }
            }
            (thousands(trained as u64)) " candidates trained in " (duration(seconds)) ", "
            (rejected) " rejected. Numbers are of the fittest individual, #" (winner.candidate.id)
            "."
        }
        (figures(&numbers))
    }
}

/// What could be found out, or why it could not.
fn or_note(content: Result<Markup, ReportError>) -> Markup {
    content.unwrap_or_else(|error| note(&error))
}

fn note(error: &ReportError) -> Markup {
    html! { p.note { "Not available: " (error) "." } }
}
