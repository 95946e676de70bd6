//! What a generation adds ([`Record`]), and what all of them have led to ([`Population`]).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cost::Cost;
use crate::fitness::reference_parameters;
use crate::front::front;
use crate::individual::{Birth, Individual};
use crate::select::Candidate;

/// An individual with what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Genome, weights and origin.
    pub individual: Individual,
    /// What selection sees.
    pub candidate: Candidate,
    /// What it costs.
    pub cost: Cost,
}

/// A candidate as reports see it: no weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What selection sees; accuracy and fitness are 0 where the candidate was rejected.
    pub candidate: Candidate,
    /// Parents and operators.
    pub birth: Birth,
    /// What it costs.
    pub cost: Cost,
    /// Mean training loss of its last epoch; `None` in the initial population.
    pub loss: Option<f64>,
    /// Why it takes no part in selection.
    pub rejection: Option<Rejection>,
}

/// Why a candidate is scored 0 and cannot survive (but see [`Rejection::Constant`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejection {
    /// Its loss or a weight became infinite or undefined in training.
    Diverged,
    /// Its accumulators could overflow in fixed point.
    Overflow,
    /// It has been trained and still says the same class of every image of Dtest. Random search
    /// trains it further all the same.
    Constant,
}

/// All that is new in a generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The generation; 0 is the initial population.
    pub generation: u32,
    /// Every candidate of the generation, in the order of their ids.
    pub candidates: Vec<Summary>,
    /// Those of them that are in the new population or on the new Pareto front.
    pub newcomers: Vec<Member>,
    /// Ids of the new population, best first.
    pub survivors: Vec<u64>,
}

/// The population after a generation, and what is remembered of all before.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// The generation; 0 is the initial population.
    pub generation: u32,
    /// Its members, best first.
    pub members: Vec<Member>,
    /// Parameters of the best CNN of the initial population, the unit of `s_rel`.
    pub reference_parameters: u64,
    /// The Pareto front of all candidates so far, in the order of their ids ([`front`]).
    pub front: Vec<Member>,
}

/// A record that does not belong where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("generation {0} does not follow from the records before it")]
pub struct RecordError(pub u32);

impl Population {
    /// The population that the first record of a run describes.
    ///
    /// # Errors
    /// It is not a first record.
    pub fn first(record: &Record) -> Result<Self, RecordError> {
        let accepted = record
            .candidates
            .iter()
            .filter(|summary| summary.rejection.is_none())
            .map(|summary| (summary.candidate.accuracy, summary.candidate.parameters));
        let reference_parameters = reference_parameters(accepted);
        let empty = Self {
            generation: 0,
            members: Vec::new(),
            front: Vec::new(),
            reference_parameters: reference_parameters.ok_or(RecordError(0))?,
        };
        if record.generation != 0 {
            return Err(RecordError(record.generation));
        }
        empty.with(record)
    }

    /// The population after the generation that `record` describes.
    ///
    /// # Errors
    /// The record is not the next one.
    pub fn after(self, record: &Record) -> Result<Self, RecordError> {
        if record.generation != self.generation + 1 {
            return Err(RecordError(record.generation));
        }
        self.with(record)
    }

    fn with(self, record: &Record) -> Result<Self, RecordError> {
        let front = front(self.front.iter().chain(&record.newcomers));
        let front = front.into_iter().cloned().collect();
        let mut members: HashMap<u64, Member> = self
            .members
            .into_iter()
            .chain(record.newcomers.iter().cloned())
            .map(|member| (member.candidate.id, member))
            .collect();
        let survivors = record.survivors.iter().map(|id| members.remove(id));
        Ok(Self {
            generation: record.generation,
            members: survivors
                .collect::<Option<_>>()
                .ok_or(RecordError(record.generation))?,
            reference_parameters: self.reference_parameters,
            front,
        })
    }

    /// The member with the highest fitness.
    pub fn best(&self) -> Option<&Member> {
        self.members.first()
    }
}
