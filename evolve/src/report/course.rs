//! What a run's folder says, finished or not.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use exporter::dataset::Images;
use runtime_nostd::q8_8::Product;

use crate::config::Config;
use crate::data::Data;
use crate::history::{Event, History, Start};
use crate::population::{Member, Population, Record, RecordError, Summary};
use crate::report::ReportError;
use crate::results::{GenerationLine, Report};

/// The course of a run, read from its journal. The run may go on meanwhile.
#[derive(Debug)]
pub(super) struct Course {
    /// The run's name: its folder's.
    pub(super) name: String,
    /// What the run was told.
    pub(super) config: Config,
    /// Checksum of the images that the run works with.
    pub(super) images: u32,
    /// The generations so far, the initial population first; at least that one.
    pub(super) generations: Vec<Generation>,
    /// The population after the last of them; not empty.
    pub(super) population: Population,
    /// What the run achieved; `None` while it is not finished.
    pub(super) result: Option<Report>,
}

/// Candidates with their generations, by id.
pub(super) type Ancestry<'c> = HashMap<u64, (&'c Generation, &'c Summary)>;

/// One generation.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    /// Its best and its population.
    pub(super) line: GenerationLine,
    /// All its candidates, rejected ones included.
    pub(super) candidates: Vec<Summary>,
    /// The population after it.
    pub(super) survivors: Vec<u64>,
    /// Wall time that it took.
    pub(super) seconds: f64,
}

impl Course {
    /// Dtest, the images that fitness was measured on.
    ///
    /// # Errors
    /// The images cannot be read or have changed.
    pub(super) fn test_images(&self) -> Result<Images, ReportError> {
        // What there is to tell of the images, the run has told.
        let Data { test, checksum, .. } = Data::load(&self.config, &())?;
        if checksum == self.images {
            Ok(test)
        } else {
            Err(ReportError::OtherImages)
        }
    }

    /// The arithmetic of the blob that the run writes.
    pub(super) fn product(&self) -> Product {
        self.config.arithmetic.product()
    }

    /// Reads the run in `folder`.
    ///
    /// # Errors
    /// There is no run, its journal is damaged, or no generation is in it yet.
    pub(super) fn read(folder: &Path) -> Result<Self, ReportError> {
        let history = History::read(folder)?;
        let Start {
            mut config, images, ..
        } = history.start().clone();
        let mut generations = Vec::new();
        let mut population: Option<Population> = None;
        for event in history.events() {
            match event? {
                Event::Generations(wanted) => config.settings.generations = wanted,
                Event::Polish(polish) => config.settings.polish = polish,
                // What came out of it is in `report.json`, once it is over.
                Event::Polished(_) => {}
                Event::Generation { record, seconds } => {
                    let next = match population {
                        None => Population::first(&record)?,
                        Some(population) => population.after(&record)?,
                    };
                    let best = next.best().ok_or(RecordError(record.generation))?;
                    let line = GenerationLine::of(&next, best, &record);
                    generations.push(Generation::new(line, record, seconds));
                    population = Some(next);
                }
            }
        }
        let Some(population) = population else {
            let folder = folder.to_owned();
            return Err(ReportError::NoGeneration { folder });
        };
        // A finished run may go on for more generations.
        let result = read_result(folder)?.filter(|result| result.is_final(&config.settings));
        Ok(Self {
            name: name_of(folder),
            config,
            images,
            generations,
            population,
            result,
        })
    }

    /// The fittest individual of the last population.
    ///
    /// # Panics
    /// Never: no population is empty.
    pub(super) fn winner(&self) -> &Member {
        let best = self.population.best();
        best.expect("reading refuses an empty population")
    }

    /// All candidates, with the generation of each.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (&Generation, &Summary)> {
        self.generations.iter().flat_map(|generation| {
            let candidates = generation.candidates.iter();
            candidates.map(move |summary| (generation, summary))
        })
    }

    /// All candidates that were not rejected.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (&Generation, &Summary)> {
        self.candidates()
            .filter(|(_, summary)| summary.rejection.is_none())
    }

    /// All candidates by their ids.
    pub(super) fn by_id(&self) -> Ancestry<'_> {
        self.candidates()
            .map(|(generation, summary)| (summary.candidate.id, (generation, summary)))
            .collect()
    }
}

impl Generation {
    fn new(line: GenerationLine, record: Record, seconds: f64) -> Self {
        Self {
            line,
            candidates: record.candidates,
            survivors: record.survivors,
            seconds,
        }
    }
}

/// The folder's own name, also of `.` and of `runs/001/`.
fn name_of(folder: &Path) -> String {
    let absolute = fs::canonicalize(folder);
    let name = absolute.as_deref().unwrap_or(folder).file_name();
    name.map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The contents of `report.json`, if the run has come to that.
fn read_result(folder: &Path) -> Result<Option<Report>, ReportError> {
    let path = folder.join("report.json");
    match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(report) => Ok(Some(report)),
            Err(source) => Err(ReportError::Result { path, source }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReportError::Io { path, source }),
    }
}
