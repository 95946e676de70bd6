//! Algorithm 1 of the paper, one generation at a time.
//!
//! A generation is a pure function of the population before it, the settings and the seed. Its
//! [`Record`] holds everything that is new, so that replaying records ([`Population::after`]) gives
//! the population without training anything again.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use exporter::dataset::Images;
use exporter::network::Network;
use rand::seq::SliceRandom as _;
use rayon::prelude::*;
use runtime_nostd::geometry::GeometryError;
use thiserror::Error;

use crate::age::{Outcome, age_after_training};
use crate::cost::Cost;
use crate::evaluate::{Arithmetic, EvaluateError, classify, count_right};
use crate::fitness::{FitnessFunction, reference_parameters};
use crate::front::front;
use crate::individual::{Individual, InvalidIndividual};
use crate::initial::{InitialError, random_individual};
use crate::population::{Member, Population, Record, RecordError, Rejection, Summary};
use crate::seed::{SeedError, individual_of, within_limits};
use crate::select::{Candidate, tournament};
use crate::settings::{Algorithm, Settings};
use crate::space::SearchSpace;
use crate::streams::{Purpose, stream};
use crate::train::{Backend, Sgd, TrainError};
use crate::variation::offspring;

/// What a search works with.
pub struct Search<'a, B> {
    /// Parameters of the algorithm.
    pub settings: &'a Settings,
    /// Images, classes and limits.
    pub space: &'a SearchSpace,
    /// Dtrain.
    pub train: &'a Images,
    /// Dtest, which fitness sees.
    pub test: &'a Images,
    /// The CNN implementation.
    pub backend: &'a B,
    /// The arithmetic of fitness.
    pub arithmetic: Arithmetic,
    /// Where all random numbers come from.
    pub seed: u64,
    /// Is told of every candidate that has been trained and evaluated, from any thread.
    pub on_candidate: &'a (dyn Fn() + Sync),
}

/// Why a search cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SearchError {
    /// There is no initial population.
    #[error("no initial population: {0}")]
    Initial(#[from] InitialError),
    /// A network cannot seed the population.
    #[error("the network cannot seed the evolution: {0}")]
    Seed(#[from] SeedError),
    /// An individual is not what its genome says.
    #[error(transparent)]
    Invalid(#[from] InvalidIndividual),
    /// A candidate cannot be trained.
    #[error("candidate {id}: {source}")]
    Train {
        /// The candidate.
        id: u64,
        /// The reason.
        source: TrainError,
    },
    /// A candidate cannot be evaluated.
    #[error("candidate {id}: {source}")]
    Evaluate {
        /// The candidate.
        id: u64,
        /// The reason.
        source: EvaluateError,
    },
    /// A layer's geometry is impossible.
    #[error("layer {0}: {1}")]
    Geometry(usize, GeometryError),
    /// Every candidate was rejected.
    #[error("all candidates were rejected: lower the learning rate")]
    NoCandidates,
    /// Records that do not belong together.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The individuals of the initial population, random or made of `seeds`, not evaluated. Seeds beyond
/// the limits are cut down to them ([`within_limits`]).
///
/// # Errors
/// No network fits the limits, or a seed is not one of this search space.
pub fn founders(
    settings: &Settings,
    space: &SearchSpace,
    seed: u64,
    seeds: &[Network],
) -> Result<Vec<Individual>, SearchError> {
    let mut rng = stream(seed, Purpose::Initial);
    let individual = |id| match seeds.get(id as usize % seeds.len().max(1)) {
        None => Ok(random_individual(id, space, &settings.initial, &mut rng)?),
        Some(network) => {
            let learning_rate = settings.initial.learning_rate;
            let seed = individual_of(network.clone(), id, learning_rate, space)?;
            Ok(within_limits(seed, space, &mut rng)?)
        }
    };
    (0..settings.population as u64).map(individual).collect()
}

impl<B: Backend> Search<'_, B> {
    /// Lines 1 and 2: the initial population ([`founders`]), evaluated untrained.
    ///
    /// # Errors
    /// As [`founders`], or every network is rejected.
    pub fn initial(&self, seeds: &[Network]) -> Result<Record, SearchError> {
        let individuals = founders(self.settings, self.space, self.seed, seeds)?;
        let trained = individuals.into_iter().map(|individual| Trained {
            individual,
            loss: None,
            rejection: None,
        });
        let evaluated: Vec<Evaluated> = trained
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|trained| self.evaluate(trained))
            .collect::<Result<_, _>>()?;
        let sizes = evaluated
            .iter()
            .filter(|evaluated| evaluated.trained.rejection.is_none())
            .map(|evaluated| (evaluated.accuracy, evaluated.cost.parameters));
        let reference = reference_parameters(sizes).ok_or(SearchError::NoCandidates)?;
        let members = evaluated.into_iter().map(|evaluated| {
            let age = evaluated.trained.individual.genome.header.age;
            self.score(evaluated, reference, |_| age)
        });
        self.select(0, &[], &[], members.collect())
    }

    /// Lines 4 to 15: the generation after `population`.
    ///
    /// # Errors
    /// A candidate cannot be trained or evaluated, which only an altered journal can cause.
    pub fn next(&self, population: &Population) -> Result<Record, SearchError> {
        let generation = population.generation + 1;
        let offspring = self.offspring(generation, population)?;
        let evaluated: Vec<Evaluated> = offspring
            .into_par_iter()
            .map(|individual| {
                let evaluated = self.evaluate(self.train(individual)?);
                (self.on_candidate)();
                evaluated
            })
            .collect::<Result<_, _>>()?;
        let parents: HashMap<u64, f64> = population
            .members
            .iter()
            .map(|member| (member.candidate.id, member.candidate.fitness))
            .collect();
        let scored = evaluated.into_iter().map(|evaluated| {
            let birth = evaluated.trained.individual.birth;
            let age = evaluated.trained.individual.genome.header.age;
            let parent_fitness = birth.parent.and_then(|id| parents.get(&id).copied());
            self.score(evaluated, population.reference_parameters, |fitness| {
                let before = parent_fitness.unwrap_or(0.0);
                let outcome = Outcome::of(birth.is_changed(), fitness, before);
                age_after_training(age, outcome, self.settings.max_age())
            })
        });
        let (members, front) = (&population.members, &population.front);
        self.select(generation, members, front, scored.collect())
    }

    /// Lines 4 to 10: as many children as there are members.
    fn offspring(
        &self,
        generation: u32,
        population: &Population,
    ) -> Result<Vec<Individual>, SearchError> {
        let size = self.settings.population;
        let first_id = u64::from(generation) * size as u64;
        if self.settings.algorithm == Algorithm::RandomSearch {
            let parents = population.members.iter().zip(first_id..);
            return Ok(parents
                .map(|(parent, id)| parent.individual.unchanged_child(id))
                .collect());
        }
        let mut rng = stream(self.seed, Purpose::Variation { generation });
        let candidates = candidates_of(population.members.iter());
        let mut children = Vec::with_capacity(size + 1);
        while children.len() < size {
            let mut parent = || {
                let winner = tournament(&candidates, &mut rng).ok_or(SearchError::NoCandidates)?;
                Ok::<_, SearchError>(&population.members[winner].individual)
            };
            let parents = [parent()?, parent()?];
            let id = first_id + children.len() as u64;
            let variation = &self.settings.variation;
            children.extend(offspring(
                parents,
                [id, id + 1],
                self.space,
                variation,
                &mut rng,
            )?);
        }
        // An odd population has no room for the last pair's second child.
        children.truncate(size);
        Ok(children)
    }

    /// Line 11: one training, Dtrain shuffled before every epoch (section 3.4).
    fn train(&self, mut individual: Individual) -> Result<Trained, SearchError> {
        let id = individual.genome.header.id;
        let sgd = Sgd {
            learning_rate: individual.genome.header.learning_rate,
            batch_size: NonZeroUsize::new(self.settings.batch_size).unwrap_or(NonZeroUsize::MIN),
            label_smoothing: 0.0,
        };
        let mut order: Vec<u32> = (0..self.train.len() as u32).collect();
        let mut trained = Trained {
            loss: None,
            rejection: None,
            individual: individual.clone(),
        };
        for epoch in 0..self.settings.epochs {
            order.shuffle(&mut stream(self.seed, Purpose::Training { id, epoch }));
            let passed = self
                .backend
                .train(&mut individual.network, self.train, &order, &sgd);
            match passed {
                Ok(epoch) => trained.loss = Some(epoch.mean_loss),
                Err(TrainError::Diverged { .. }) => {
                    trained.rejection = Some(Rejection::Diverged);
                    return Ok(trained);
                }
                Err(source) => return Err(SearchError::Train { id, source }),
            }
        }
        trained.individual = individual;
        Ok(trained)
    }

    /// Line 13 without the fitness, whose unit is not known yet for the initial population.
    fn evaluate(&self, mut trained: Trained) -> Result<Evaluated, SearchError> {
        let id = trained.individual.genome.header.id;
        let cost = Cost::of(&trained.individual.plan()?);
        let mut correct = 0;
        if trained.rejection.is_none() {
            let network = &trained.individual.network;
            match classify(network, self.test, self.arithmetic, self.backend) {
                // Random weights may well be constant, and training can change it.
                Ok(classes) if trained.loss.is_some() && is_constant(&classes) => {
                    trained.rejection = Some(Rejection::Constant);
                }
                Ok(classes) => correct = count_right(&classes, self.test),
                Err(error) if error.is_overflow() => {
                    trained.rejection = Some(Rejection::Overflow);
                }
                Err(source) => return Err(SearchError::Evaluate { id, source }),
            }
        }
        Ok(Evaluated {
            trained,
            cost,
            accuracy: correct as f64 / self.test.len() as f64,
        })
    }

    /// Equation 1 and the age.
    fn score(
        &self,
        evaluated: Evaluated,
        reference_parameters: u64,
        age: impl FnOnce(f64) -> u32,
    ) -> (Member, Summary) {
        let Evaluated {
            trained,
            cost,
            accuracy,
        } = evaluated;
        let Trained {
            mut individual,
            loss,
            rejection,
        } = trained;
        let function = FitnessFunction {
            size_weight: self.settings.size_weight,
            min_accuracy: self.settings.min_accuracy,
            reference_parameters,
        };
        let fitness = match rejection {
            None => function.fitness(accuracy, cost.parameters),
            Some(_) => 0.0,
        };
        let header = &mut individual.genome.header;
        header.age = age(fitness);
        let candidate = Candidate {
            id: header.id,
            age: header.age,
            fitness,
            accuracy,
            parameters: cost.parameters,
        };
        let summary = Summary {
            candidate,
            birth: individual.birth,
            cost,
            loss,
            rejection,
        };
        let member = Member {
            individual,
            candidate,
            cost,
        };
        (member, summary)
    }

    /// Whether a candidate that was rejected, or not, has no place in the next population.
    fn is_lost(&self, rejection: Option<Rejection>) -> bool {
        match (rejection, self.settings.algorithm) {
            (None, _) => false,
            // Training may still help it, and random search has nothing to put in its place.
            (Some(Rejection::Constant), Algorithm::RandomSearch) => false,
            (Some(_), _) => true,
        }
    }

    /// Line 14: replacement among `parents` and the new candidates that were not rejected.
    fn select(
        &self,
        generation: u32,
        parents: &[Member],
        front_before: &[Member],
        scored: Vec<(Member, Summary)>,
    ) -> Result<Record, SearchError> {
        let (offspring, candidates): (Vec<Member>, Vec<Summary>) = scored.into_iter().unzip();
        let accepted = offspring
            .into_iter()
            .zip(&candidates)
            .filter(|(_, summary)| !self.is_lost(summary.rejection))
            .map(|(member, _)| member);
        let offspring: Vec<Member> = accepted.collect();
        let survivors: Vec<u64> = match self.settings.algorithm {
            Algorithm::Evolution => {
                let all = candidates_of(parents.iter().chain(&offspring));
                let size = self.settings.population;
                let survivors = self.settings.replacement.survivors(&all, size);
                survivors.into_iter().map(|index| all[index].id).collect()
            }
            Algorithm::RandomSearch => successors(parents, &offspring),
        };
        if survivors.is_empty() {
            return Err(SearchError::NoCandidates);
        }
        let front: HashSet<u64> = front(front_before.iter().chain(&offspring))
            .into_iter()
            .map(|member| member.candidate.id)
            .collect();
        let newcomers = offspring
            .into_iter()
            .filter(|member| {
                let id = member.candidate.id;
                survivors.contains(&id) || front.contains(&id)
            })
            .collect();
        Ok(Record {
            generation,
            candidates,
            newcomers,
            survivors,
        })
    }
}

fn is_constant(classes: &[usize]) -> bool {
    classes.windows(2).all(|pair| pair[0] == pair[1])
}

fn candidates_of<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<Candidate> {
    members.map(|member| member.candidate).collect()
}

/// The ids of the offspring, and of the parents whose child was rejected; best first.
fn successors(parents: &[Member], offspring: &[Member]) -> Vec<u64> {
    let succeeded: HashSet<u64> = offspring
        .iter()
        .filter_map(|child| child.individual.birth.parent)
        .collect();
    let left = parents
        .iter()
        .filter(|parent| !succeeded.contains(&parent.candidate.id));
    let mut all = candidates_of(left.chain(offspring));
    all.sort_by(Candidate::rank);
    all.into_iter().map(|candidate| candidate.id).collect()
}

/// An individual after its training.
struct Trained {
    individual: Individual,
    loss: Option<f64>,
    rejection: Option<Rejection>,
}

/// An individual after its evaluation.
struct Evaluated {
    trained: Trained,
    cost: Cost,
    accuracy: f64,
}
