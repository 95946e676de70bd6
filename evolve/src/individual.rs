//! An individual: a genome, and the trained network that it stands for.

use exporter::network::{Layer, Network, NetworkError};
use serde::{Deserialize, Serialize};

use crate::decode::{ImpossibleLayer, LayerPlan, decode};
use crate::genome::Genome;
use crate::mutate::Mutation;

/// A member of a population. Its weights and batch-normalization statistics are its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Individual {
    /// The chromosome.
    pub genome: Genome,
    /// The phenotype, which training changes.
    pub network: Network,
    /// Where it comes from.
    pub birth: Birth,
}

/// How an individual came to be. All `None` in the initial population.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// The parent that the individual continues: its first layers, its learning rate and its age
    /// are this parent's, and its fitness is compared with this parent's.
    pub parent: Option<u64>,
    /// The other parent, if crossover acted.
    pub mate: Option<u64>,
    /// The mutation, if one acted.
    pub mutation: Option<Mutation>,
}

impl Birth {
    /// Whether an operator made the individual differ from its parent.
    pub fn is_changed(&self) -> bool {
        self.mate.is_some() || self.mutation.is_some()
    }
}

/// A network that is not its genome's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIndividual {
    /// The genome has no phenotype.
    #[error("individual {id} has an impossible genome: {reason}")]
    Genome {
        /// The individual.
        id: u64,
        /// Which layer does not fit.
        reason: ImpossibleLayer,
    },
    /// The network cannot be executed.
    #[error("individual {id} has an unusable network: {reason}")]
    Network {
        /// The individual.
        id: u64,
        /// What is wrong with it.
        reason: NetworkError,
    },
    /// The network has other layers than the genome says.
    #[error("individual {id}: layer {layer} of its network is not what its genome decodes to")]
    OtherLayers {
        /// The individual.
        id: u64,
        /// The first layer that differs.
        layer: usize,
    },
}

impl Individual {
    /// A child `id` without crossover and mutation.
    pub fn unchanged_child(&self, id: u64) -> Self {
        let mut child = self.clone();
        child.birth = Birth {
            parent: Some(child.genome.header.id),
            ..Birth::default()
        };
        child.genome.header.id = id;
        child
    }

    /// The layers of the genome's phenotype, after checking that the network's are the same and
    /// that every parameter is there.
    ///
    /// # Errors
    /// If the network is not the genome's: a file was altered, or training went wrong.
    pub fn plan(&self) -> Result<Vec<LayerPlan>, InvalidIndividual> {
        let id = self.genome.header.id;
        let network = &self.network;
        network
            .check()
            .map_err(|reason| InvalidIndividual::Network { id, reason })?;
        let classes = u16::try_from(network.classes.len()).unwrap_or(u16::MAX);
        let plan = decode(&self.genome, network.input.shape, classes)
            .map_err(|reason| InvalidIndividual::Genome { id, reason })?;

        let is_same = |layer: usize| {
            let both = plan.get(layer).zip(network.layers.get(layer));
            both.is_some_and(|(planned, layer)| is_planned(layer, planned))
        };
        let layers = plan.len().max(network.layers.len());
        match (0..layers).find(|&layer| !is_same(layer)) {
            Some(layer) => Err(InvalidIndividual::OtherLayers { id, layer }),
            None => Ok(plan),
        }
    }
}

fn is_planned(layer: &Layer, planned: &LayerPlan) -> bool {
    let parameters = layer.parameters.as_ref();
    let is_normalized = parameters.is_some_and(|parameters| parameters.norm.is_some());
    layer.op == planned.op
        && layer.activation == planned.activation
        && is_normalized == planned.is_normalized()
}

#[cfg(test)]
mod tests {
    use exporter::network::BatchNorm;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::initial::random_individual;
    use crate::settings::Settings;
    use crate::space::SearchSpace;

    /// The layer that a changed individual is refused for.
    fn differing_layer(change: impl Fn(&mut Individual)) -> usize {
        let mut initial = Settings::mnist().initial;
        initial.layers = 3..=3;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let space = SearchSpace::small(28);
        let mut individual = random_individual(4, &space, &initial, &mut rng).unwrap();
        assert_eq!(individual.genome.genes.len(), 3);
        individual.plan().unwrap();
        change(&mut individual);
        match individual.plan().unwrap_err() {
            InvalidIndividual::OtherLayers { id: 4, layer } => layer,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_network_that_is_not_the_genome_s_is_refused() {
        let shorter = differing_layer(|individual| individual.genome.genes.truncate(2));
        assert_eq!(shorter, 2);
        let resized = differing_layer(|individual| individual.genome.header.flatten_neurons += 1);
        assert_eq!(resized, 3);
        let normalized = differing_layer(|individual| {
            let classifier = individual.network.layers[4].parameters.as_mut().unwrap();
            classifier.norm = Some(BatchNorm::identity(2));
        });
        assert_eq!(normalized, 4);
    }
}
