//! Long random evolutions without training: every individual on the way is valid, within the
//! limits and the same for the same seed, and what is inherited is what the parents had.

use evolve::cost::Limits;
use evolve::decode::plan_of;
use evolve::genome::{Gene, LEARNING_RATES, MAX_GENES};
use evolve::individual::Individual;
use evolve::inherit::{Heritage, Origin, Parent};
use evolve::initial::random_individual;
use evolve::mutate::MutationOperator;
use evolve::settings::{OperatorProbabilities, Settings, Variation};
use evolve::space::SearchSpace;
use evolve::variation::offspring;
use exporter::network::{Input, Network};
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use runtime_nostd::geometry::Shape;

const LIMITS: Limits = Limits {
    max_parameters: 20_000,
    max_macs: 1_000_000,
    max_activations: 20_000,
    max_flash_bytes: 30_000,
    max_arena_bytes: 8_000,
};

/// As many children of every kind as possible.
const LIVELY: Variation = Variation {
    crossover_probability: 0.5,
    mutation_probability: 0.9,
    operators: OperatorProbabilities {
        reset_weights: 0.05,
        add_layer: 0.25,
        remove_layer: 0.1,
        modify_layer: 0.3,
        resize_flattening: 0.2,
        modify_learning_rate: 0.1,
    },
};

fn space(shape: Shape) -> SearchSpace {
    let input = Input {
        shape,
        zero: vec![0; shape.channels.into()],
    };
    let classes = (0..3).map(|class| format!("class {class}")).collect();
    SearchSpace::new(input, classes, Settings::mnist().new_layers, LIMITS).unwrap()
}

fn population(space: &SearchSpace, size: u64, rng: &mut ChaCha8Rng) -> Vec<Individual> {
    let mut initial = Settings::mnist().initial;
    initial.flatten_neurons = 10;
    (0..size)
        .map(|id| random_individual(id, space, &initial, rng).unwrap())
        .collect()
}

fn values(network: &Network) -> impl Iterator<Item = f32> {
    let parameters = network
        .layers
        .iter()
        .filter_map(|layer| layer.parameters.as_ref());
    parameters.flat_map(|parameters| {
        let norm = parameters.norm.iter();
        let norm = norm.flat_map(|norm| [&norm.gamma, &norm.beta, &norm.mean, &norm.variance]);
        [&parameters.weights, &parameters.bias]
            .into_iter()
            .chain(norm)
            .flatten()
            .copied()
    })
}

fn assert_valid(individual: &Individual, space: &SearchSpace) {
    assert_eq!(plan_of(&individual.network), Ok(individual.plan().unwrap()));
    space.admit(&individual.genome).unwrap();
    let genome = &individual.genome;
    assert!(genome.genes.len() <= MAX_GENES);
    assert!(LEARNING_RATES.contains(&genome.header.learning_rate));
    assert!(values(&individual.network).all(f32::is_finite));
}

/// Children take their first parent's place, without selection, for a number of `steps`.
fn drift(seed: u64, shape: Shape, steps: u64) -> Vec<Individual> {
    let space = space(shape);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut population = population(&space, 6, &mut rng);
    for step in 0..steps {
        let a = rng.random_range(0..population.len());
        let b = rng.random_range(0..population.len());
        let ids = [100 + 2 * step, 101 + 2 * step];
        let parents = [&population[a], &population[b]];
        let children = offspring(parents, ids, &space, &LIVELY, &mut rng).unwrap();
        for (child, (id, parent)) in children.into_iter().zip(ids.into_iter().zip([a, b])) {
            assert_valid(&child, &space);
            assert_eq!(child.genome.header.id, id);
            population[parent] = child;
        }
    }
    population
}

#[test]
fn thousands_of_operators_leave_every_individual_valid() {
    for (seed, shape) in [
        (1, Shape::new(28, 28, 1)),
        (2, Shape::new(32, 32, 3)),
        (3, Shape::new(9, 3, 2)),
        (4, Shape::new(1, 1, 5)),
    ] {
        drift(seed, shape, 700);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_image_size_is_survived(
        seed in any::<u64>(),
        (height, width, channels) in (1..40u16, 1..40u16, 1..4u16),
    ) {
        drift(seed, Shape::new(height, width, channels), 40);
    }
}

#[test]
fn the_same_seed_gives_the_same_individuals() {
    let shape = Shape::new(16, 16, 1);
    assert_eq!(drift(5, shape, 100), drift(5, shape, 100));
    assert_ne!(drift(5, shape, 100), drift(6, shape, 100));
}

#[test]
fn without_operators_children_are_their_parents_copies() {
    let space = space(Shape::new(16, 16, 1));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let parents = population(&space, 2, &mut rng);
    let still = Variation {
        crossover_probability: 0.0,
        mutation_probability: 0.0,
        ..LIVELY
    };
    let pair = [&parents[0], &parents[1]];
    let children = offspring(pair, [7, 8], &space, &still, &mut rng).unwrap();
    for (child, parent) in children.iter().zip(&parents) {
        assert_eq!(child.genome.genes, parent.genome.genes);
        assert_eq!(child.network, parent.network);
        assert_eq!(child.birth.parent, Some(parent.genome.header.id));
        assert!(!child.birth.is_changed());
    }
}

#[test]
fn an_individual_is_not_crossed_with_itself() {
    let space = space(Shape::new(16, 16, 1));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let always = Variation {
        crossover_probability: 1.0,
        mutation_probability: 0.0,
        ..LIVELY
    };
    for parent in population(&space, 10, &mut rng) {
        let children = offspring([&parent; 2], [20, 21], &space, &always, &mut rng).unwrap();
        assert!(children.iter().all(|child| child.network == parent.network));
    }
}

/// More neurons of the flattening layer (MO5) leave the old ones, and the fully connected layer's
/// connections to them, as they were.
#[test]
fn growth_of_the_flattening_layer_keeps_what_was_learned() {
    let space = space(Shape::new(16, 16, 1));
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut variation = Variation {
        crossover_probability: 0.0,
        mutation_probability: 1.0,
        ..LIVELY
    };
    variation.operators = OperatorProbabilities {
        reset_weights: 0.0,
        add_layer: 0.0,
        remove_layer: 0.0,
        modify_layer: 0.0,
        resize_flattening: 1.0,
        modify_learning_rate: 0.0,
    };
    let mut grown = 0;
    for parent in population(&space, 20, &mut rng) {
        let [child, _] = offspring([&parent; 2], [50, 51], &space, &variation, &mut rng).unwrap();
        let mutation = child.birth.mutation.unwrap();
        assert_eq!(mutation.operator, MutationOperator::ResizeFlattening);
        if child.genome.header.flatten_neurons < 10 {
            continue;
        }
        grown += 1;
        let tail = parent.genome.genes.len();
        assert_eq!(child.network.layers[..tail], parent.network.layers[..tail]);
        let weights = |individual: &Individual, layer: usize| {
            individual.network.layers[layer]
                .parameters
                .clone()
                .unwrap()
                .weights
        };
        let (old, new) = (weights(&parent, tail), weights(&child, tail));
        assert_eq!(new[..old.len()], old);
        let rows = |weights: Vec<f32>, neurons: u16| -> Vec<Vec<f32>> {
            let rows = weights.chunks(neurons.into());
            rows.map(|row| row[..10].to_vec()).collect()
        };
        let neurons = child.genome.header.flatten_neurons;
        assert_eq!(
            rows(weights(&child, tail + 1), neurons),
            rows(weights(&parent, tail + 1), 10)
        );
    }
    assert!(grown > 3);
}

/// The weights of genes that come from either parent are that parent's.
#[test]
fn crossed_children_carry_their_genes_weights() {
    use evolve::crossover::crossover;
    use evolve::draft::Draft;

    let space = space(Shape::new(20, 20, 1));
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let parents = population(&space, 12, &mut rng);
    let mut compared = 0;
    for pair in parents.windows(2) {
        let drafts = [
            Draft::copy_of(&pair[0].genome, Parent::A),
            Draft::copy_of(&pair[1].genome, Parent::B),
        ];
        let Some([draft, _]) = crossover(&drafts[0], &drafts[1], &space, &mut rng) else {
            continue;
        };
        let heritages = [
            Heritage::of(&pair[0]).unwrap(),
            Heritage::of(&pair[1]).unwrap(),
        ];
        let child = draft
            .express(99, heritages.each_ref(), &space, &mut rng)
            .unwrap();
        for (gene, layer) in draft.body.iter().zip(&child.network.layers) {
            let Origin::Inherited {
                parent,
                layer: from,
            } = gene.origin
            else {
                panic!("crossover invents nothing");
            };
            let parent = &pair[parent as usize];
            let source = &parent.network.layers[from];
            if let Gene::Conv { .. } = gene.gene
                && layer.op == source.op
            {
                let (layer, source) = (
                    layer.parameters.as_ref().unwrap(),
                    source.parameters.as_ref().unwrap(),
                );
                assert_eq!(layer.norm, source.norm);
                if layer.weights.len() == source.weights.len() {
                    assert_eq!(layer.weights, source.weights);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 10, "{compared}");
}
