//! A child on its way: a genome whose layers know where their weights will come from.
//!
//! Operators work on drafts, which are small. Weights are copied once, when the finished draft is
//! expressed ([`Draft::express`]).

use exporter::network::Network;
use rand_core::Rng;
use runtime_nostd::geometry::Shape;

use crate::decode::decode;
use crate::genome::{Gene, Genome, Header};
use crate::individual::{Birth, Individual, InvalidIndividual};
use crate::inherit::{Heritage, Origin, Parent, inherit};
use crate::repair::mend;
use crate::space::{NotInSpace, SearchSpace};

/// A genome in the making.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The future header. Its id is the parent's until the draft is expressed.
    pub header: Header,
    /// The future genes.
    pub body: Vec<DraftGene>,
    /// Where the flattening layer's weights come from.
    pub flattening: Origin,
    /// Where the fully connected layer's weights come from.
    pub classifier: Origin,
    /// What has happened so far.
    pub birth: Birth,
}

/// A gene, and where its layer's weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftGene {
    /// The gene.
    pub gene: Gene,
    /// Its layer's weights.
    pub origin: Origin,
}

impl DraftGene {
    /// A gene whose layer starts from random weights.
    pub fn new(gene: Gene) -> Self {
        let origin = Origin::New;
        Self { gene, origin }
    }
}

impl Draft {
    /// A child that is all like `genome`, its parent in the role `parent`.
    pub fn copy_of(genome: &Genome, parent: Parent) -> Self {
        let origin = |layer| Origin::Inherited { parent, layer };
        let genes = genome.genes.iter().enumerate();
        let flattening = genome.genes.len();
        Self {
            header: genome.header,
            body: genes
                .map(|(layer, &gene)| DraftGene {
                    gene,
                    origin: origin(layer),
                })
                .collect(),
            flattening: origin(flattening),
            classifier: origin(flattening + 1),
            birth: Birth {
                parent: Some(genome.header.id),
                ..Birth::default()
            },
        }
    }

    /// A child without parents.
    pub fn new(header: Header, genes: impl IntoIterator<Item = Gene>) -> Self {
        Self {
            header,
            body: genes.into_iter().map(DraftGene::new).collect(),
            flattening: Origin::New,
            classifier: Origin::New,
            birth: Birth::default(),
        }
    }

    /// The genome as it stands.
    pub fn genome(&self) -> Genome {
        Genome {
            header: self.header,
            genes: self.body.iter().map(|layer| layer.gene).collect(),
        }
    }

    /// Mends every gene that does not fit the map it meets over an `input` image, and removes
    /// those that cannot be mended ([`mend`]). Repairing twice is repairing once.
    pub fn repair(&mut self, input: Shape) {
        let mut map = input;
        self.body.retain_mut(|layer| {
            let Some(gene) = mend(layer.gene, map) else {
                return false;
            };
            layer.gene = gene;
            // A map too large to exist is left to `SearchSpace::admit`, which refuses it.
            map = gene.op().output(map).unwrap_or(map);
            true
        });
    }

    /// Repairs the draft.
    ///
    /// # Errors
    /// If the repaired draft is too large for `space`.
    pub fn settle(&mut self, space: &SearchSpace) -> Result<(), NotInSpace> {
        self.repair(space.input().shape);
        space.admit(&self.genome()).map(drop)
    }

    /// The individual `id`, with the weights that it inherits from `parents` and random ones
    /// where it inherits none. The parents are not changed.
    ///
    /// # Errors
    /// If a layer does not fit; never after [`Draft::settle`].
    pub fn express<R: Rng + ?Sized>(
        &self,
        id: u64,
        parents: [&Heritage<'_>; 2],
        space: &SearchSpace,
        rng: &mut R,
    ) -> Result<Individual, InvalidIndividual> {
        let mut genome = self.genome();
        genome.header.id = id;
        let plan = decode(&genome, space.input().shape, space.class_count())
            .map_err(|reason| InvalidIndividual::Genome { id, reason })?;
        let body = self.body.iter().map(|layer| layer.origin);
        let origins = body.chain([self.flattening, self.classifier]);
        let layers = plan
            .iter()
            .zip(origins)
            .map(|(layer, origin)| inherit(layer, origin, parents, rng))
            .collect();
        Ok(Individual {
            genome,
            network: Network {
                input: space.input().clone(),
                layers,
                classes: space.classes().to_vec(),
                provenance: String::new(),
            },
            birth: self.birth,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::genome::PoolKind;

    fn any_gene() -> impl Strategy<Value = Gene> {
        let conv = (1..8u8, 1..9u16, 1..5u8, 0..4u8).prop_map(
            |(kernel_size, filters, stride, padding)| Gene::Conv {
                kernel_size,
                filters,
                stride,
                padding,
            },
        );
        let pool = (2..5u8, 1..5u8).prop_map(|(size, stride)| Gene::Pool {
            kind: PoolKind::Max,
            size,
            stride,
        });
        prop_oneof![conv, pool]
    }

    fn any_genome() -> impl Strategy<Value = Genome> {
        let header = Header {
            id: 1,
            age: 0,
            learning_rate: 0.1,
            flatten_neurons: 5,
        };
        proptest::collection::vec(any_gene(), 0..12).prop_map(move |genes| Genome { header, genes })
    }

    proptest! {
        #[test]
        fn a_repaired_draft_fits_and_repairing_it_again_changes_nothing(
            genome in any_genome(),
            (height, width) in (1..30u16, 1..30u16),
        ) {
            let input = Shape::new(height, width, 3);
            let mut repaired = Draft::copy_of(&genome, Parent::A);
            repaired.repair(input);
            prop_assert!(decode(&repaired.genome(), input, 10).is_ok());
            let mut again = repaired.clone();
            again.repair(input);
            prop_assert_eq!(&again, &repaired);

            let is_pool = |gene| matches!(gene, Gene::Pool { .. });
            // Genes keep their kind and origin, and none is removed but pooling.
            let mut removed: Vec<_> = (0..genome.genes.len()).collect();
            for kept in &repaired.body {
                let Origin::Inherited { parent: Parent::A, layer } = kept.origin else {
                    panic!("repair changes no origin");
                };
                removed.retain(|&index| index != layer);
                prop_assert_eq!(is_pool(kept.gene), is_pool(genome.genes[layer]));
            }
            for index in removed {
                prop_assert!(is_pool(genome.genes[index]));
            }
        }

        #[test]
        fn a_genome_that_fits_is_not_repaired(genome in any_genome()) {
            let input = Shape::new(28, 28, 1);
            if decode(&genome, input, 10).is_ok() {
                let mut draft = Draft::copy_of(&genome, Parent::A);
                draft.repair(input);
                prop_assert_eq!(draft.genome(), genome);
            }
        }
    }
}
