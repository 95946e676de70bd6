//! The end of a run: the polish of its Pareto front, and its results.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use exporter::energy::{Multiplication, multiplication_energy_reduction};
use exporter::export::{ExportError, export};
use exporter::file::{FileError, to_bytes};
use exporter::module::rust_module;
use exporter::network::Network;
use exporter::write::WriteError;
use rayon::prelude::*;
use runtime_nostd::q8_8::Product;

use super::{Run, RunError};
use crate::config::Config;
use crate::data::Data;
use crate::evaluate::{Arithmetic, count_correct};
use crate::folder::Folder;
use crate::history::Event;
use crate::polish::{Course, Polished};
use crate::population::{Member, Population, Rejection};
use crate::results::{PolishedLine, Report, Timing};
use crate::search::SearchError;
use crate::train::{Backend, TrainError};

/// What is polished: the Pareto front, and the winner if another network equals it there; smallest
/// network first.
fn chosen(population: &Population) -> Vec<&Member> {
    let mut chosen: Vec<&Member> = population.front.iter().collect();
    let is_winner = |member: &&Member| {
        population
            .best()
            .is_some_and(|best| best.candidate.id == member.candidate.id)
    };
    if !chosen.iter().any(is_winner) {
        chosen.extend(population.best());
    }
    chosen.sort_by_key(|member| (member.cost.parameters, member.candidate.id));
    chosen
}

impl<B: Backend> Run<'_, B> {
    /// Polishes what has not been polished yet. Each network is in the journal as soon as it is
    /// done.
    pub(super) fn polish(&mut self) -> Result<(), RunError> {
        let population = self.progress.population.as_ref();
        let left: Vec<&Member> = population
            .map_or(Vec::new(), chosen)
            .into_iter()
            .filter(|member| !self.progress.polished.contains_key(&member.candidate.id))
            .collect();
        let observer = self.session.observer;
        observer.polish_starts(left.len());
        let chronicle = Mutex::new(&mut self.chronicle);
        let polish = |member: &Member| {
            let polished = polished(member, self.session.backend, &self.data, &self.config)?;
            let event = Event::Polished(polished);
            {
                let _writing = super::lock(self.session.writing);
                super::lock(&chronicle).write(&event)?;
            }
            observer.candidate_done();
            Ok(event)
        };
        let events: Vec<Event> = left
            .into_par_iter()
            .map(polish)
            .collect::<Result<_, RunError>>()?;
        events.iter().try_for_each(|event| self.replay(event))
    }

    /// The winner's and the polished networks' files. Nobody looks at Dval anywhere else.
    pub(super) fn write_results(self) -> Result<(Report, Duration), RunError> {
        let population = self.progress.population.as_ref();
        let population = population.ok_or(SearchError::NoCandidates)?;
        let winner = population.best().ok_or(SearchError::NoCandidates)?;
        let product = self.product();
        let Data {
            name,
            train,
            test,
            validation,
            ..
        } = self.data;
        let images = [train.len(), test.len(), validation.count()];
        let validation = validation.open();
        let accuracy = |network: &Network, arithmetic| -> Result<f64, RunError> {
            let backend = self.session.backend;
            let correct = count_correct(network, &validation, arithmetic, backend)?;
            Ok(correct as f64 / validation.len() as f64)
        };
        let mut network = self.origin.network_of(winner);
        let validation_accuracy_f32 = accuracy(&network, Arithmetic::Float)?;
        let validation_accuracy_fixed = accuracy(&network, Arithmetic::Fixed(product))?;
        network.provenance += &format!(
            ", on Dval {:.2} % in f32, {:.2} % in fixed point",
            100.0 * validation_accuracy_f32,
            100.0 * validation_accuracy_fixed
        );
        let blob = export(&network, product)?.blob;
        let model = blob
            .model()
            .map_err(|error| ExportError::Write(WriteError::Refused(error)))?;
        self.folder.put("winner.network", &to_bytes(&network))?;
        self.folder.put("winner.q88", blob.as_bytes())?;
        let module = rust_module(&network, &model, blob.as_bytes(), "winner.q88");
        self.folder.put("winner.rs", module.as_bytes())?;

        let chosen: Vec<(&Member, &Polished)> = chosen(population)
            .into_iter()
            .filter_map(|member| {
                let polished = self.progress.polished.get(&member.candidate.id)?;
                Some((member, polished))
            })
            .collect();
        let polished = chosen.par_iter().map(|(member, polished)| {
            let arithmetic = self.config.arithmetic;
            Ok(PolishedLine {
                id: polished.id,
                parameters: member.cost.parameters,
                test_accuracy: member.candidate.accuracy,
                polished_test_accuracy: polished.accuracy,
                validation_accuracy: accuracy(&member.individual.network, arithmetic)?,
                polished_validation_accuracy: match polished.rejection {
                    None => accuracy(&polished.network, arithmetic)?,
                    Some(_) => 0.0,
                },
                rejection: polished.rejection,
            })
        });
        let polished: Vec<PolishedLine> = polished.collect::<Result<_, RunError>>()?;
        let epochs = self.config.settings.polish.epochs;
        let networks = chosen
            .iter()
            .zip(&polished)
            .map(|((member, outcome), line)| {
                let mut network = self.origin.network_of(member);
                network.layers.clone_from(&outcome.network.layers);
                network.provenance += &format!(
                    ", polished for {epochs} epochs: {:.2} % on Dtest, {:.2} % on Dval",
                    100.0 * line.polished_test_accuracy,
                    100.0 * line.polished_validation_accuracy,
                );
                (line.id, network)
            });
        write_polished(&self.folder, networks, product)?;
        let rejections = &self.progress.rejections;
        let count = |rejection| rejections.get(&rejection).copied().unwrap_or(0);
        let multiplication = match self.config.arithmetic {
            Arithmetic::Fixed(_) => Multiplication::Fixed16,
            Arithmetic::Float => Multiplication::Float32,
        };
        let report = Report {
            run: self.origin.run().to_string(),
            data: name,
            images,
            seed: self.config.seed,
            generations: population.generation,
            candidates: self.progress.candidates,
            diverged: count(Rejection::Diverged),
            overflowed: count(Rejection::Overflow),
            constant: count(Rejection::Constant),
            front: population.front.len(),
            winner: winner.candidate,
            validation_accuracy_f32,
            validation_accuracy_fixed,
            macs: model.macs(),
            flash_bytes: blob.as_bytes().len(),
            arena_bytes: model.arena_bytes(),
            reference_parameters: population.reference_parameters,
            multiplication_energy_reduction: multiplication_energy_reduction(
                population.reference_parameters,
                winner.cost.parameters,
                multiplication,
            ),
            polished,
        };
        self.folder.put_json("report.json", &report)?;
        let seconds = self.progress.seconds;
        self.folder.put_json("timing.json", &Timing { seconds })?;
        Ok((report, Duration::from_secs_f64(self.progress.seconds)))
    }
}

/// Writes the networks, with their individuals' numbers, as the only polished ones.
fn write_polished(
    folder: &Folder,
    networks: impl Iterator<Item = (u64, Network)>,
    product: Product,
) -> Result<(), FileError> {
    let mut ids = BTreeSet::new();
    for (id, network) in networks {
        folder.put_network("polished", id, &network, product)?;
        ids.insert(id);
    }
    folder.keep_networks("polished", &ids)
}

/// One network's polish.
fn polished(
    member: &Member,
    backend: &impl Backend,
    data: &Data,
    config: &Config,
) -> Result<Polished, RunError> {
    let id = member.candidate.id;
    let settings = &config.settings;
    let course = Course {
        backend,
        images: &data.train,
        polish: settings.polish,
        batch_size: NonZeroUsize::new(settings.batch_size).unwrap_or(NonZeroUsize::MIN),
        seed: config.seed,
    };
    let mut network = member.individual.network.clone();
    let rejected = |network, rejection| Polished {
        id,
        network,
        accuracy: 0.0,
        rejection: Some(rejection),
    };
    match course.train(id, &mut network, |_, _| ()) {
        Ok(()) => {}
        Err(TrainError::Diverged { .. }) => {
            let before = member.individual.network.clone();
            return Ok(rejected(before, Rejection::Diverged));
        }
        Err(source) => return Err(RunError::Polish { id, source }),
    }
    match count_correct(&network, &data.test, config.arithmetic, backend) {
        Ok(correct) => Ok(Polished {
            id,
            network,
            accuracy: correct as f64 / data.test.len() as f64,
            rejection: None,
        }),
        Err(error) if error.is_overflow() => Ok(rejected(network, Rejection::Overflow)),
        Err(error) => Err(error.into()),
    }
}
