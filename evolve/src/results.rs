//! What a run shows and leaves behind: a line for every generation, and a report at its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::population::{Member, Population, Record, Rejection};
use crate::select::Candidate;
use crate::settings::Settings;

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's name ([`RunId`](crate::provenance::RunId)).
    pub run: String,
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
    /// Candidates rejected because they say the same class of every image.
    pub constant: usize,
    /// Networks of the Pareto front.
    pub front: usize,
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
    /// The Pareto front and the winner before and after their polish, smallest network first; empty
    /// if there was none.
    pub polished: Vec<PolishedLine>,
}

impl Report {
    /// Whether these are the results of all generations that `settings` want: a run whose time was up has
    /// results, too.
    pub fn is_final(&self, settings: &Settings) -> bool {
        self.generations >= settings.generations
    }
}

/// The contents of `timing.json`: the only result that the seed does not determine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Wall time of all generations.
    pub seconds: f64,
}

/// A network before and after its polish. Accuracies are 0 to 1, in the arithmetic of fitness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolishedLine {
    /// The individual.
    pub id: u64,
    /// Its parameters.
    pub parameters: u64,
    /// Accuracy on Dtest before.
    pub test_accuracy: f64,
    /// Accuracy on Dtest after; 0 if it was rejected.
    pub polished_test_accuracy: f64,
    /// Accuracy on Dval before.
    pub validation_accuracy: f64,
    /// Accuracy on Dval after; 0 if it was rejected.
    pub polished_validation_accuracy: f64,
    /// Why the polished network cannot be used.
    pub rejection: Option<Rejection>,
}

impl GenerationLine {
    /// The line of the generation of `record`, after which `population` is there and `best` its best.
    pub fn of(population: &Population, best: &Member, record: &Record) -> Self {
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
        Self {
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
}
