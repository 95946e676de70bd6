//! A run: its folder, its journal, and its results.
//!
//! ```text
//! config.toml         what the run was told
//! journal             every generation with its weights, for resuming
//! generations.jsonl   one line per generation
//! best/000.network …  the best individual of every generation
//! winner.network      the fittest individual, trained in f32
//! winner.q88          its blob
//! winner.rs           its Rust module
//! report.json         what the winner achieves and costs
//! timing.json         wall time, the only result that the seed does not determine
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use exporter::dataset::{Dataset, DatasetError, Images};
use exporter::export::{ExportError, export};
use exporter::file::{FileError, read_network, write_atomically, write_network};
use exporter::module::rust_module;
use exporter::network::{Input, Network};
use runtime_nostd::q8_8::Product;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{Config, ConfigError};
use crate::cost::{Multiplication, multiplication_energy_reduction};
use crate::evaluate::{Arithmetic, EvaluateError, count_correct};
use crate::journal::{Journal, JournalError, Recovered};
use crate::search::{Member, Population, Record, Rejection, Search, SearchError};
use crate::select::Candidate;
use crate::space::{SearchSpace, SpaceError};
use crate::split::{Sealed, Split, SplitError, median_pixel};
use crate::streams::{Purpose, stream};
use crate::train::Backend;

/// Is told how a run goes on.
pub trait Observer: Sync {
    /// A generation of `candidates` starts.
    fn generation_starts(&self, generation: u32, candidates: usize);
    /// A candidate has been trained and evaluated; called from any thread.
    fn candidate_done(&self);
    /// A generation is in the journal.
    fn generation_done(&self, generation: &GenerationLine);
    /// Something that the user should know and that stops nothing.
    fn notice(&self, text: &str);
}

/// A line of `generations.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GenerationLine {
    /// The generation; 0 is the initial population.
    pub generation: u32,
    /// The fittest member.
    pub best: Candidate,
    /// Multiply-accumulates of the fittest member.
    pub best_macs: u64,
    /// Median fitness of the population.
    pub median_fitness: f64,
    /// The highest accuracy on Dtest in the population.
    pub best_accuracy: f64,
    /// Members of each age.
    pub ages: BTreeMap<u32, usize>,
    /// Candidates of this generation that were rejected.
    pub rejected: usize,
}

/// What a run achieved: the contents of `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The data set's name.
    pub data: String,
    /// Images of Dtrain, Dtest and Dval.
    pub images: [usize; 3],
    /// Seed of the run.
    pub seed: u64,
    /// Generations run.
    pub generations: u32,
    /// Candidates trained.
    pub candidates: usize,
    /// Candidates rejected because training diverged.
    pub diverged: usize,
    /// Candidates rejected because an accumulator could overflow.
    pub overflowed: usize,
    /// The winner's line of selection: fitness and accuracy on Dtest.
    pub winner: Candidate,
    /// Accuracy on Dval in f32.
    pub validation_accuracy_f32: f64,
    /// Accuracy on Dval of the blob.
    pub validation_accuracy_fixed: f64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Bytes of flash: the blob.
    pub flash_bytes: usize,
    /// Bytes of RAM: the arena.
    pub arena_bytes: usize,
    /// Parameters of the network that sizes are relative to: the best of the initial population.
    pub reference_parameters: u64,
    /// Reduction of the energy of all multiplications against that network in f32 (section 3.6).
    pub multiplication_energy_reduction: f64,
}

/// Why a run stops.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The data set cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The data set cannot be divided.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// No network can be searched for.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A network file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The search.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The winner cannot be exported.
    #[error("the winner cannot be exported: {0}")]
    Export(#[from] ExportError),
    /// The winner cannot be evaluated.
    #[error("the winner cannot be evaluated: {0}")]
    Evaluate(#[from] EvaluateError),
    /// A setting out of range.
    #[error("{0}")]
    Setting(#[from] crate::settings::SettingOutOfRange),
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The configuration of a run's folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The images are not those that the run started with.
    #[error(
        "the images of {data} have changed since the run started: restore them, or start a new run"
    )]
    OtherImages {
        /// The data set's name.
        data: String,
    },
    /// A whole frame of the journal that is not a record of this program.
    #[error("{}: frame {frame} is not a record of this program's version", path.display())]
    Frame {
        /// The journal.
        path: PathBuf,
        /// The frame, from 0.
        frame: usize,
    },
}

/// A frame of the journal.
#[derive(Debug, Serialize, Deserialize)]
enum Frame {
    /// The first frame.
    Start {
        /// Checksum of all images and labels.
        images: u32,
    },
    /// A generation.
    Generation {
        /// All that is new in it.
        record: Record,
        /// Wall time that it took.
        seconds: f64,
    },
}

/// A run in its folder, between two generations.
pub struct Run<'a, B> {
    folder: PathBuf,
    config: Config,
    backend: &'a B,
    observer: &'a dyn Observer,
    data_name: String,
    space: SearchSpace,
    train: Images,
    test: Images,
    validation: Sealed,
    journal: Journal,
    progress: Progress,
}

/// What the journal says.
#[derive(Default)]
struct Progress {
    population: Option<Population>,
    lines: Vec<GenerationLine>,
    candidates: usize,
    rejections: BTreeMap<&'static str, usize>,
    seconds: f64,
}

const JOURNAL: &str = "journal";

impl<'a, B: Backend> Run<'a, B> {
    /// Starts a run in a new `folder`.
    ///
    /// # Errors
    /// The folder exists, or the configuration or its data cannot be used.
    pub fn start(
        folder: &Path,
        config: Config,
        backend: &'a B,
        observer: &'a dyn Observer,
    ) -> Result<Self, RunError> {
        config.settings.check()?;
        let data = Data::load(&config)?;
        fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
        let mut journal = Journal::create(&folder.join(JOURNAL))?;
        config.write(folder)?;
        append(
            &mut journal,
            &Frame::Start {
                images: data.checksum,
            },
        )?;
        Ok(Self::new(folder, config, data, journal, backend, observer))
    }

    /// Continues the run in `folder` where its journal ends.
    ///
    /// # Errors
    /// There is no run, another process works on it, or its images have changed.
    pub fn resume(
        folder: &Path,
        backend: &'a B,
        observer: &'a dyn Observer,
    ) -> Result<Self, RunError> {
        let config = Config::read(folder)?;
        config.settings.check()?;
        let Recovered {
            mut journal,
            frames,
            dropped_bytes,
        } = Journal::open(&folder.join(JOURNAL))?;
        if dropped_bytes > 0 {
            observer.notice(&format!(
                "{dropped_bytes} bytes at the journal's end were not whole: \
                 the generation they belong to is computed again"
            ));
        }
        let data = Data::load(&config)?;
        let mut frames = frames.iter().enumerate();
        if frames.len() == 0 {
            append(
                &mut journal,
                &Frame::Start {
                    images: data.checksum,
                },
            )?;
        }
        let mut run = Self::new(folder, config, data, journal, backend, observer);
        frames.try_for_each(|(number, frame)| run.replay(number, frame))?;
        Ok(run)
    }

    fn new(
        folder: &Path,
        config: Config,
        data: Data,
        journal: Journal,
        backend: &'a B,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            config,
            backend,
            observer,
            data_name: data.name,
            space: data.space,
            train: data.train,
            test: data.test,
            validation: data.validation,
            journal,
            progress: Progress::default(),
        }
    }

    fn replay(&mut self, number: usize, frame: &[u8]) -> Result<(), RunError> {
        let bad_frame = || RunError::Frame {
            path: self.folder.join(JOURNAL),
            frame: number,
        };
        match postcard::from_bytes(frame).map_err(|_| bad_frame())? {
            Frame::Start { images } if number == 0 => {
                let checksum = checksum(&self.train, &self.test);
                if images != checksum {
                    let data = self.data_name.clone();
                    return Err(RunError::OtherImages { data });
                }
                Ok(())
            }
            Frame::Generation { record, seconds } if number > 0 => self.take(&record, seconds),
            Frame::Start { .. } | Frame::Generation { .. } => Err(bad_frame()),
        }
    }

    /// Takes a generation into the population, and writes what the folder holds of it.
    fn take(&mut self, record: &Record, seconds: f64) -> Result<(), RunError> {
        let progress = &mut self.progress;
        let population = match progress.population.take() {
            None => Population::first(record)?,
            Some(population) => population.after(record)?,
        };
        if record.generation > 0 {
            progress.candidates += record.candidates.len();
        }
        for rejection in record
            .candidates
            .iter()
            .filter_map(|summary| summary.rejection)
        {
            let name = match rejection {
                Rejection::Diverged => "diverged",
                Rejection::Overflow => "overflow",
            };
            *progress.rejections.entry(name).or_default() += 1;
        }
        progress.seconds += seconds;
        if let Some(best) = population.best() {
            progress
                .lines
                .push(generation_line(&population, best, record));
            let folder = self.folder.join("best");
            fs::create_dir_all(&folder).map_err(|source| io_error(&folder, source))?;
            let path = folder.join(format!("{:03}.network", record.generation));
            if !path.exists() {
                write_network(&self.named(best), &path)?;
            }
        }
        self.progress.population = Some(population);
        Ok(())
    }

    /// Runs the generations that are left and writes the results.
    ///
    /// # Errors
    /// The search or the file system fails; the journal keeps every generation before.
    pub fn finish(mut self) -> Result<(Report, Duration), RunError> {
        let seeds = match &self.config.seed_network {
            Some(path) => vec![read_network(path)?],
            None => Vec::new(),
        };
        loop {
            let start = Instant::now();
            let record = match &self.progress.population {
                Some(population) if population.generation >= self.config.settings.generations => {
                    break;
                }
                Some(population) => {
                    let size = self.config.settings.population;
                    self.observer
                        .generation_starts(population.generation + 1, size);
                    self.search(&|| self.observer.candidate_done())
                        .next(population)?
                }
                None => self.search(&|| ()).initial(&seeds)?,
            };
            let seconds = start.elapsed().as_secs_f64();
            let frame = Frame::Generation { record, seconds };
            append(&mut self.journal, &frame)?;
            let Frame::Generation { record, .. } = frame else {
                continue;
            };
            self.take(&record, seconds)?;
            self.write_lines()?;
            if let Some(line) = self.progress.lines.last() {
                self.observer.generation_done(line);
            }
        }
        self.write_lines()?;
        self.write_results()
    }

    fn search<'s>(&'s self, on_candidate: &'s (dyn Fn() + Sync)) -> Search<'s, B> {
        Search {
            settings: &self.config.settings,
            space: &self.space,
            train: &self.train,
            test: &self.test,
            backend: self.backend,
            arithmetic: self.config.arithmetic,
            seed: self.config.seed,
            on_candidate,
        }
    }

    fn write_lines(&self) -> Result<(), RunError> {
        let path = self.folder.join("generations.jsonl");
        let mut text = String::new();
        for line in &self.progress.lines {
            text += &to_json(line, &path)?;
            text.push('\n');
        }
        write_file(&path, text.as_bytes())
    }

    /// The winner's files, and the only look at Dval.
    fn write_results(self) -> Result<(Report, Duration), RunError> {
        let population = self.progress.population.as_ref();
        let population = population.ok_or(SearchError::NoCandidates)?;
        let winner = population.best().ok_or(SearchError::NoCandidates)?;
        let network = self.named(winner);
        let product = match self.config.arithmetic {
            Arithmetic::Fixed(product) => product,
            Arithmetic::Float => Product::Exact,
        };
        let blob = export(&network, product)?.blob;
        let model = blob
            .model()
            .map_err(|error| ExportError::Write(exporter::write::WriteError::Refused(error)))?;
        write_network(&network, &self.folder.join("winner.network"))?;
        write_file(&self.folder.join("winner.q88"), blob.as_bytes())?;
        let module = rust_module(&network, &model, blob.as_bytes(), "winner.q88");
        write_file(&self.folder.join("winner.rs"), module.as_bytes())?;

        let images = [self.train.len(), self.test.len(), self.validation.count()];
        let validation = self.validation.open();
        let accuracy = |arithmetic| -> Result<f64, RunError> {
            let correct = count_correct(&network, &validation, arithmetic, self.backend)?;
            Ok(correct as f64 / validation.len() as f64)
        };
        let count = |name| self.progress.rejections.get(name).copied().unwrap_or(0);
        let multiplication = match self.config.arithmetic {
            Arithmetic::Fixed(_) => Multiplication::Fixed16,
            Arithmetic::Float => Multiplication::Float32,
        };
        let report = Report {
            data: self.data_name,
            images,
            seed: self.config.seed,
            generations: population.generation,
            candidates: self.progress.candidates,
            diverged: count("diverged"),
            overflowed: count("overflow"),
            winner: winner.candidate,
            validation_accuracy_f32: accuracy(Arithmetic::Float)?,
            validation_accuracy_fixed: accuracy(Arithmetic::Fixed(product))?,
            macs: model.macs(),
            flash_bytes: blob.as_bytes().len(),
            arena_bytes: model.arena_bytes(),
            reference_parameters: population.reference_parameters,
            multiplication_energy_reduction: multiplication_energy_reduction(
                population.reference_parameters,
                winner.cost.parameters,
                multiplication,
            ),
        };
        let path = self.folder.join("report.json");
        write_file(&path, to_json(&report, &path)?.as_bytes())?;
        let path = self.folder.join("timing.json");
        let timing = serde_json::json!({ "seconds": self.progress.seconds });
        write_file(&path, to_json(&timing, &path)?.as_bytes())?;
        Ok((report, Duration::from_secs_f64(self.progress.seconds)))
    }

    /// A member's network with its provenance.
    fn named(&self, member: &Member) -> Network {
        let mut network = member.individual.network.clone();
        network.provenance = format!(
            "evolve {}, {}, seed {}, individual {}, accuracy on Dtest {:.2} %",
            env!("CARGO_PKG_VERSION"),
            self.data_name,
            self.config.seed,
            member.candidate.id,
            100.0 * member.candidate.accuracy,
        );
        network
    }
}

/// The images of a run, divided.
struct Data {
    name: String,
    space: SearchSpace,
    train: Images,
    test: Images,
    validation: Sealed,
    checksum: u32,
}

impl Data {
    fn load(config: &Config) -> Result<Self, RunError> {
        let dataset = match &config.data {
            Some(folder) => Dataset::load(folder)?,
            None => Dataset::bundled(),
        };
        let (name, classes) = (dataset.name.clone(), dataset.classes.clone());
        let mut rng = stream(config.seed, Purpose::Split);
        let Split {
            train,
            test,
            validation,
        } = Split::new(dataset, config.split, &mut rng)?;
        let input = Input {
            shape: train.shape(),
            zero: median_pixel(&train),
        };
        let settings = &config.settings;
        let space = SearchSpace::new(input, classes, settings.new_layers, settings.limits)?;
        let checksum = checksum(&train, &test);
        Ok(Self {
            name,
            space,
            train,
            test,
            validation,
            checksum,
        })
    }
}

/// A checksum of what a search sees: training and test images with their labels.
fn checksum(train: &Images, test: &Images) -> u32 {
    let crc = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    for images in [train, test] {
        digest.update(images.labels());
        for index in 0..images.len() {
            digest.update(images.pixels(index));
        }
    }
    digest.finalize()
}

fn generation_line(population: &Population, best: &Member, record: &Record) -> GenerationLine {
    let mut fitness: Vec<f64> = population
        .members
        .iter()
        .map(|member| member.candidate.fitness)
        .collect();
    fitness.sort_by(f64::total_cmp);
    let mut ages = BTreeMap::new();
    for member in &population.members {
        *ages.entry(member.candidate.age).or_default() += 1;
    }
    let accuracies = population
        .members
        .iter()
        .map(|member| member.candidate.accuracy);
    GenerationLine {
        generation: record.generation,
        best: best.candidate,
        best_macs: best.cost.macs,
        median_fitness: fitness[fitness.len() / 2],
        best_accuracy: accuracies.fold(0.0, f64::max),
        ages,
        rejected: record
            .candidates
            .iter()
            .filter(|summary| summary.rejection.is_some())
            .count(),
    }
}

fn append(journal: &mut Journal, frame: &Frame) -> Result<(), JournalError> {
    let bytes = postcard::to_allocvec(frame).expect("plain data serializes to memory");
    journal.append(&bytes)
}

fn to_json(value: &impl Serialize, path: &Path) -> Result<String, RunError> {
    serde_json::to_string(value).map_err(|error| io_error(path, error.into()))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    write_atomically(path, bytes).map_err(|source| io_error(path, source))
}

fn io_error(path: &Path, source: io::Error) -> RunError {
    RunError::Io {
        path: path.to_owned(),
        source,
    }
}
