//! A run: Algorithm 1 from its start, or from where its journal ends, to its results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exporter::dataset::LoadObserver;
use exporter::export::{ExportError, export};
use exporter::file::{FileError, to_bytes};
use exporter::network::Network;
use runtime_nostd::q8_8::Product;
use thiserror::Error;

use crate::config::Config;
use crate::data::{Data, DataError};
use crate::evaluate::EvaluateError;
use crate::folder::Folder;
use crate::history::{Chronicle, Continuation, Event, HistoryError, Start};
use crate::journal::JournalError;
use crate::polish::Polished;
use crate::population::{Member, Population, Record, RecordError, Rejection};
use crate::provenance::{Origin, RunId};
use crate::results::{GenerationLine, Report};
use crate::search::{Search, SearchError, founders};
use crate::seed::{SeedFileError, genome_of, read_seed};
use crate::settings::{Polish, SettingOutOfRange, Settings};
use crate::train::{Backend, TrainError};

mod ending;

/// Is told how a run goes on.
pub trait Observer: LoadObserver {
    /// A run starts or goes on.
    fn run_starts(&self, settings: &Settings);
    /// A generation of `candidates` starts.
    fn generation_starts(&self, generation: u32, candidates: usize);
    /// A candidate has been trained and evaluated; called from any thread.
    fn candidate_done(&self);
    /// A generation is in the journal.
    fn generation_done(&self, generation: &GenerationLine);
    /// The polish of `networks` starts; [`Observer::candidate_done`] tells of each.
    fn polish_starts(&self, networks: usize);
    /// Something that the user should know and that stops nothing.
    fn notice(&self, text: &str);
}

/// What works on a run. Its result does not depend on it.
pub struct Session<'a, B> {
    /// The CNN implementation.
    pub backend: &'a B,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// Held while files are written: who ends the process should hold it.
    pub writing: &'a Mutex<()>,
    /// No generation is begun that would not be done within this time from the session's start, by
    /// the time that the one before took.
    pub budget: Option<Duration>,
}

/// Why a run stops.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file in the run's folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The seed network.
    #[error(transparent)]
    Seed(#[from] SeedFileError),
    /// The seed network, read, does not fit.
    #[error("{}: {source}", path.display())]
    SeedRefused {
        /// Its file.
        path: PathBuf,
        /// The reason.
        source: SearchError,
    },
    /// The seed network cannot be deployed, nor evaluated.
    #[error("{}: the network cannot be exported: {source}", path.display())]
    SeedExport {
        /// Its file.
        path: PathBuf,
        /// The reason.
        source: ExportError,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What the journal says.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The search.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The winner cannot be exported.
    #[error("the winner cannot be exported: {0}")]
    Export(#[from] ExportError),
    /// The winner cannot be evaluated.
    #[error("the winner cannot be evaluated: {0}")]
    Evaluate(#[from] EvaluateError),
    /// A network cannot be polished.
    #[error("individual {id} cannot be polished: {source}")]
    Polish {
        /// The individual.
        id: u64,
        /// The reason.
        source: TrainError,
    },
    /// A setting out of range.
    #[error(transparent)]
    Setting(#[from] SettingOutOfRange),
    /// The images are not those that the run started with.
    #[error(
        "the images of {data} have changed since the run started: restore them, or start a new run"
    )]
    OtherImages {
        /// The data set's name.
        data: String,
    },
    /// Fewer generations than there are.
    #[error("{done} generations are done: {wanted} can be had by a new run only")]
    FewerGenerations {
        /// Generations in the journal.
        done: u32,
        /// Generations asked for.
        wanted: u32,
    },
}

/// What of a run's settings can change while it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Generations, those that are done included.
    pub generations: u32,
    /// The polish of the Pareto front, which is done anew if this changes.
    pub polish: Polish,
}

/// A run in its folder, between two generations.
pub struct Run<'a, B> {
    session: &'a Session<'a, B>,
    folder: Folder,
    config: Config,
    seed_network: Option<Network>,
    data: Data,
    origin: Origin,
    chronicle: Chronicle,
    progress: Progress,
}

/// What the journal says.
#[derive(Default)]
struct Progress {
    population: Option<Population>,
    lines: Vec<GenerationLine>,
    candidates: usize,
    rejections: BTreeMap<Rejection, usize>,
    polished: BTreeMap<u64, Polished>,
    seconds: f64,
}

impl<'a, B: Backend> Run<'a, B> {
    /// Starts a run in `folder`.
    ///
    /// # Errors
    /// There is a run in the folder, or the configuration, its data or its seed network cannot be
    /// used, of which the last three leave no folder behind.
    pub fn start(
        folder: &Path,
        config: Config,
        session: &'a Session<'a, B>,
    ) -> Result<Self, RunError> {
        config.settings.check()?;
        let data = Data::load(&config, session.observer)?;
        let seed_network = config.seed_network.as_deref();
        let seed_network = seed_network.map(|path| read_seed(path, &data.space));
        let start = Start {
            config,
            images: data.checksum,
            seed_network: seed_network.transpose()?,
        };
        // What cannot start leaves no folder behind.
        let config = &start.config;
        let seeds = start.seed_network.as_slice();
        let individuals = founders(&config.settings, &data.space, config.seed, seeds);
        let individuals = individuals.map_err(|source| match &config.seed_network {
            Some(path) => RunError::SeedRefused {
                path: path.clone(),
                source,
            },
            None => source.into(),
        })?;
        if let (Some(path), Some(seed)) = (&config.seed_network, individuals.first()) {
            let path = path.clone();
            export(&seed.network, config.arithmetic.product())
                .map_err(|source| RunError::SeedExport { path, source })?;
        }
        let folder = Folder::start(folder)?;
        let chronicle = Chronicle::start(folder.path(), &start)?;
        Ok(Self::new(folder, start, data, chronicle, session))
    }

    /// Continues the run in `folder` where its history ends; `replan` may change what is left to do.
    ///
    /// # Errors
    /// The images have changed, or more generations are done already than are wanted.
    pub fn resume(
        folder: &Path,
        continuation: Continuation,
        replan: impl FnOnce(Plan) -> Plan,
        session: &'a Session<'a, B>,
    ) -> Result<Self, RunError> {
        let Continuation {
            history,
            chronicle,
            dropped_bytes,
        } = continuation;
        if dropped_bytes > 0 {
            session.observer.notice(&format!(
                "{dropped_bytes} bytes at the journal's end were not whole: \
                 what they belong to is computed again"
            ));
        }
        let start = history.start().clone();
        start.config.settings.check()?;
        let data = Data::load(&start.config, session.observer)?;
        if data.checksum != start.images {
            return Err(RunError::OtherImages { data: data.name });
        }
        let folder = Folder::open(folder)?;
        let mut run = Self::new(folder, start, data, chronicle, session);
        for event in history.events() {
            run.replay(&event?)?;
        }
        let settings = &run.config.settings;
        let plan = Plan {
            generations: settings.generations,
            polish: settings.polish,
        };
        run.change(plan, replan(plan))?;
        Ok(run)
    }

    fn new(
        folder: Folder,
        start: Start,
        data: Data,
        chronicle: Chronicle,
        session: &'a Session<'a, B>,
    ) -> Self {
        let run = RunId::new(&start.config, start.images, start.seed_network.as_ref());
        let origin = Origin::new(run, &data.name, &start.config);
        Self {
            session,
            folder,
            origin,
            config: start.config,
            seed_network: start.seed_network,
            data,
            chronicle,
            progress: Progress::default(),
        }
    }

    fn replay(&mut self, event: &Event) -> Result<(), RunError> {
        match event {
            Event::Generation { record, seconds } => {
                let taken = self.progress.take(record, *seconds);
                taken.map_err(SearchError::from)?;
                self.write_best()
            }
            Event::Generations(generations) => {
                self.config.settings.generations = *generations;
                Ok(())
            }
            Event::Polished(polished) => {
                self.progress.polished.insert(polished.id, polished.clone());
                Ok(())
            }
            Event::Polish(polish) => {
                self.config.settings.polish = *polish;
                self.progress.polished.clear();
                Ok(())
            }
        }
    }

    /// Follows the `wanted` plan from here on, in place of `plan`.
    fn change(&mut self, plan: Plan, wanted: Plan) -> Result<(), RunError> {
        let population = self.progress.population.as_ref();
        let done = population.map_or(0, |population| population.generation);
        if wanted.generations < done {
            return Err(RunError::FewerGenerations {
                done,
                wanted: wanted.generations,
            });
        }
        let _writing = self.writing();
        let mut write = |event: &Event| {
            self.chronicle.write(event)?;
            self.replay(event)
        };
        if wanted.generations != plan.generations {
            write(&Event::Generations(wanted.generations))?;
        }
        if wanted.polish != plan.polish {
            write(&Event::Polish(wanted.polish))?;
        }
        Ok(())
    }

    /// Runs the generations that are left, or as many as there is time for, and writes the results.
    ///
    /// # Errors
    /// The search or the file system fails; the journal keeps every generation before.
    pub fn finish(mut self) -> Result<(Report, Duration), RunError> {
        let begun = Instant::now();
        let session = self.session;
        session.observer.run_starts(&self.config.settings);
        {
            let _writing = self.writing();
            let config = self.config.to_toml();
            self.folder.put("config.toml", config.as_bytes())?;
            self.write_progress()?;
        }
        let mut last = Duration::ZERO;
        let is_complete = loop {
            let population = self.progress.population.as_ref();
            let generation = population.map(|population| population.generation);
            if generation.is_some_and(|done| done >= self.config.settings.generations) {
                break true;
            }
            let would_take = begun.elapsed().saturating_add(last);
            if let (Some(done), Some(budget)) = (generation, session.budget)
                && would_take > budget
            {
                session.observer.notice(&format!(
                    "the time is up after {done} of {} generations: resume the run to go on",
                    self.config.settings.generations
                ));
                break false;
            }
            last = self.run_generation()?;
        };
        if is_complete && self.config.settings.polish.epochs > 0 {
            self.polish()?;
        }
        let _writing = self.writing();
        self.write_results()
    }

    /// One generation, from the search to the files; the time that the search took.
    fn run_generation(&mut self) -> Result<Duration, RunError> {
        let observer = self.session.observer;
        let start = Instant::now();
        let record = match &self.progress.population {
            Some(population) => {
                let size = self.config.settings.population;
                observer.generation_starts(population.generation + 1, size);
                self.search(&|| observer.candidate_done())
                    .next(population)?
            }
            None => self.initial()?,
        };
        let time = start.elapsed();
        let event = Event::Generation {
            record,
            seconds: time.as_secs_f64(),
        };
        let _writing = self.writing();
        self.chronicle.write(&event)?;
        self.replay(&event)?;
        self.write_progress()?;
        if let Some(line) = self.progress.lines.last() {
            observer.generation_done(line);
        }
        Ok(time)
    }

    /// The initial population; what became of a seed network that is beyond the limits is said.
    fn initial(&self) -> Result<Record, SearchError> {
        let record = self.search(&|| ()).initial(self.seed_network.as_slice())?;
        if let Some(network) = &self.seed_network {
            let genome = genome_of(network, self.config.settings.initial.learning_rate)?;
            if let (Err(reason), Some(first)) =
                (self.data.space.admit(&genome), record.candidates.first())
            {
                self.session.observer.notice(&format!(
                    "the seed network has been made narrower, {} parameters are left: {reason}",
                    first.cost.parameters
                ));
            }
        }
        Ok(record)
    }

    fn search<'s>(&'s self, on_candidate: &'s (dyn Fn() + Sync)) -> Search<'s, B> {
        Search {
            settings: &self.config.settings,
            space: &self.data.space,
            train: &self.data.train,
            test: &self.data.test,
            backend: self.session.backend,
            arithmetic: self.config.arithmetic,
            seed: self.config.seed,
            on_candidate,
        }
    }

    fn writing(&self) -> MutexGuard<'a, ()> {
        lock(self.session.writing)
    }

    /// The best individual of the last generation.
    fn write_best(&self) -> Result<(), RunError> {
        let population = self.progress.population.as_ref();
        let Some((population, best)) = population.and_then(|all| Some((all, all.best()?))) else {
            return Ok(());
        };
        let name = format!("best/{:03}.network", population.generation);
        let network = self.origin.network_of(best);
        Ok(self.folder.put(&name, &to_bytes(&network))?)
    }

    /// What the folder shows of the generations so far.
    fn write_progress(&mut self) -> Result<(), RunError> {
        let product = self.product();
        let Self {
            folder,
            origin,
            progress,
            ..
        } = self;
        let Some(population) = &progress.population else {
            return Ok(());
        };
        let network_of = |member: &Member| origin.network_of(member);
        folder.put_front(&population.front, network_of, product)?;
        Ok(folder.put_json_lines("generations.jsonl", &progress.lines)?)
    }

    /// The product of the blobs.
    fn product(&self) -> Product {
        self.config.arithmetic.product()
    }
}

/// The lock, also if a thread has panicked while it held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    /// Takes a generation in.
    fn take(&mut self, record: &Record, seconds: f64) -> Result<(), RecordError> {
        let population = match self.population.take() {
            None => Population::first(record)?,
            Some(population) => population.after(record)?,
        };
        if record.generation > 0 {
            self.candidates += record.candidates.len();
        }
        for rejection in record
            .candidates
            .iter()
            .filter_map(|summary| summary.rejection)
        {
            *self.rejections.entry(rejection).or_default() += 1;
        }
        self.seconds += seconds;
        if let Some(best) = population.best() {
            self.lines
                .push(GenerationLine::of(&population, best, record));
        }
        self.population = Some(population);
        Ok(())
    }
}
