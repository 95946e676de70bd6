//! The paper's experiments (section 5), each as one command.
//!
//! An experiment is a set of runs (`definition`): configurations, each with several seeds. Every run
//! has a folder of its own with a journal, so that an experiment that was interrupted goes on where it
//! was. What came of it is told beside the paper's figures (`outcome`).

use std::path::{Path, PathBuf};

use exporter::file::{FileError, write_network};
use thiserror::Error;

use crate::baseline::{self, BaselineError};
use crate::config::Config;
use crate::folder::read_json;
use crate::history::History;
use crate::results::Report;
use crate::run::{Run, RunError, Session};
use crate::settings::Polish;
use crate::train::Backend;

mod definition;
mod outcome;

pub use definition::{Experiment, Scale, ScaleOutOfRange, UnknownExperiment, names};
pub use outcome::{Outcome, describe};

use definition::{Baseline, PlannedRun, baseline_path};

/// Why an experiment does not come to its end. What its runs have recorded is kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The network that the runs start from cannot be trained.
    #[error("the baseline: {0}")]
    Baseline(#[from] BaselineError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is another run where one is planned.
    #[error(
        "{}: this run was started with {was}, and is now to have {planned}: repeat the experiment as it \
         was, or give another --output", folder.display()
    )]
    OtherRun {
        /// The run's folder.
        folder: PathBuf,
        /// The first line of its configuration that differs.
        was: String,
        /// What is planned in its place.
        planned: String,
    },
    /// A run.
    #[error("{}: {source}", folder.display())]
    Run {
        /// The run's folder.
        folder: PathBuf,
        /// What is wrong with it.
        source: Box<RunError>,
    },
}

/// Does what is left of `experiment` in `folder`, on the images in `data`.
///
/// # Errors
/// The first run that fails ([`ExperimentError`]).
pub fn conduct<B: Backend>(
    experiment: &Experiment,
    scale: Scale,
    data: &Path,
    folder: &Path,
    session: &Session<'_, B>,
) -> Result<Vec<Outcome>, ExperimentError> {
    let runs = experiment.runs(data, folder, scale);
    if let (Some(baseline), Some(first)) = (&experiment.baseline, runs.first()) {
        train_baseline(baseline, &first.config, folder, session)?;
    }
    let count = runs.len();
    for (index, run) in runs.iter().enumerate() {
        let folder = run.folder.display();
        session
            .observer
            .notice(&format!("run {} of {count}: {folder}", index + 1));
        finish(run, session)?;
    }
    let outcomes = runs.iter().map(|run| Outcome::read(run.group, &run.folder));
    Ok(outcomes.collect::<Result<_, _>>()?)
}

/// The folders of all runs of `experiment` in `folder`.
pub fn run_folders(experiment: &Experiment, scale: Scale, folder: &Path) -> Vec<PathBuf> {
    let runs = experiment.runs(Path::new(""), folder, scale);
    runs.into_iter().map(|run| run.folder).collect()
}

fn finish<B: Backend>(run: &PlannedRun, session: &Session<'_, B>) -> Result<(), ExperimentError> {
    let folder = &run.folder;
    let failed = |source| ExperimentError::Run {
        folder: folder.clone(),
        source: Box::new(source),
    };
    if !folder.join("journal").exists() {
        let run = Run::start(folder, run.config.clone(), session);
        run.and_then(Run::finish).map_err(failed)?;
        return Ok(());
    }
    let continuation = History::resume(folder).map_err(|error| failed(error.into()))?;
    check_same(run, &continuation.history.start().config)?;
    if !is_finished(run)? {
        let run = Run::resume(folder, continuation, |plan| plan, session);
        run.and_then(Run::finish).map_err(failed)?;
    }
    Ok(())
}

/// Refuses a run that was started otherwise than it is planned.
fn check_same(run: &PlannedRun, started: &Config) -> Result<(), ExperimentError> {
    let (was, planned) = (started.to_toml(), run.config.to_toml());
    let mut lines = was.lines().zip(planned.lines());
    match lines.find(|(was, planned)| was != planned) {
        None if *started == run.config => Ok(()),
        lines => {
            let (was, planned) = lines.unwrap_or(("other options", "those of this version"));
            Err(ExperimentError::OtherRun {
                folder: run.folder.clone(),
                was: was.to_owned(),
                planned: planned.to_owned(),
            })
        }
    }
}

/// Whether a run has the results of all its generations.
fn is_finished(run: &PlannedRun) -> Result<bool, ExperimentError> {
    // The last file that a run writes.
    if !run.folder.join("timing.json").exists() {
        return Ok(false);
    }
    let report: Report = read_json(&run.folder.join("report.json"))?;
    Ok(report.is_final(&run.config.settings))
}

/// Trains the network that all runs start from, unless it is there already.
fn train_baseline<B: Backend>(
    baseline: &Baseline,
    config: &Config,
    folder: &Path,
    session: &Session<'_, B>,
) -> Result<(), ExperimentError> {
    let path = baseline_path(folder);
    if path.exists() {
        return Ok(());
    }
    let mut config = config.clone();
    config.settings.train_share = 1.0;
    config.settings.polish = Polish {
        epochs: baseline.epochs,
        ..Polish::default()
    };
    let observer = session.observer;
    let print_epoch = |epoch, loss| {
        observer.notice(&format!("baseline, epoch {:>2}: loss {loss:.4}", epoch + 1));
    };
    let layers = baseline.layers();
    let (network, report) =
        baseline::train(&layers, &config, session.backend, observer, print_epoch)?;
    observer.notice(&format!(
        "baseline: {} parameters, {:.2} % on Dval",
        report.cost.parameters,
        100.0 * report.validation_accuracy_f32
    ));
    std::fs::create_dir_all(folder).map_err(|source| FileError::Io {
        path: folder.to_owned(),
        source,
    })?;
    Ok(write_network(&network, &path)?)
}
