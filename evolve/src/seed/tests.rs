use exporter::forward::Forward;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::*;
use crate::cost::Limits;
use crate::initial::random_individual;
use crate::settings::InitialNetworks;

fn random(seed: u64, space: &SearchSpace) -> Individual {
    let initial = InitialNetworks {
        layers: 3..=6,
        learning_rate: 0.1,
        flatten_neurons: 7,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    random_individual(0, space, &initial, &mut rng).unwrap()
}

/// `network` with a random bias for every filter.
fn biased(mut network: Network) -> Network {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let parameters = network
        .layers
        .iter_mut()
        .filter_map(|layer| layer.parameters.as_mut());
    for bias in parameters.flat_map(|parameters| &mut parameters.bias) {
        *bias = rng.random_range(-1.0..1.0);
    }
    network
}

fn assert_same_function(a: &Network, b: &Network) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..5 {
        let pixels: Vec<u8> = (0..a.input.shape.elements())
            .map(|_| rng.random())
            .collect();
        let logits = |network| Forward::new(network).unwrap().logits(&pixels);
        for (a, b) in logits(a).into_iter().zip(logits(b)) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn the_genome_comes_back_from_the_network() {
    let space = SearchSpace::small(20);
    for seed in 0..50 {
        let individual = random(seed, &space);
        let genome = genome_of(&individual.network, 0.1);
        assert_eq!(genome.as_ref(), Ok(&individual.genome));
    }
}

#[test]
fn a_seed_computes_what_its_network_computed() {
    let space = SearchSpace::small(12);
    for seed in 0..10 {
        let normalized = biased(random(seed, &space).network);
        let mut folded = normalized.clone();
        for parameters in folded
            .layers
            .iter_mut()
            .filter_map(|layer| layer.parameters.as_mut())
        {
            parameters.norm = None;
        }
        for network in [normalized, folded] {
            let individual = individual_of(network.clone(), 5, 0.01, &space).unwrap();
            assert_eq!(individual.genome.header.id, 5);
            individual.plan().unwrap();
            assert_same_function(&individual.network, &network);
        }
    }
}

#[test]
fn batch_normalization_that_only_adds_the_bias_divides_by_one() {
    let mut parameters = Parameters {
        weights: vec![1.0],
        bias: vec![0.5],
        norm: None,
    };
    move_bias_into_norm(&mut parameters);
    let norm = parameters.norm.unwrap();
    assert_eq!(norm.variance[0] + BATCH_NORM_EPSILON, 1.0);
    assert_eq!((norm.beta[0], parameters.bias[0]), (0.5, 0.0));
}

fn refused(change: impl Fn(&mut Network)) -> SeedError {
    let space = SearchSpace::small(12);
    let individual = (0..).map(|seed| random(seed, &space)).find(|individual| {
        let genes = &individual.genome.genes;
        matches!(genes[..], [Gene::Conv { .. }, Gene::Pool { .. }, ..])
    });
    let mut network = individual.unwrap().network;
    change(&mut network);
    individual_of(network, 0, 0.1, &space).unwrap_err()
}

fn reason(error: SeedError) -> (usize, Inexpressible) {
    match error {
        SeedError::Layer { layer, reason, .. } => (layer, reason),
        other => panic!("{other}"),
    }
}

#[test]
fn what_no_genome_expresses_is_named() {
    let conv = |window| Op::Conv {
        window,
        out_channels: 3,
    };
    let layer = |index: usize, op| reason(refused(|network| network.layers[index].op = op));

    let mut window = Window::square(3, 1, 1);
    window.kernel_w = 5;
    assert_eq!(layer(0, conv(window)), (0, Inexpressible::NotSquare));
    let padded = Window::square(2, 2, 1);
    assert_eq!(
        layer(1, Op::MaxPool { window: padded }),
        (1, Inexpressible::PaddedPooling)
    );
    assert_eq!(
        layer(0, Op::Dense { outputs: 4 }),
        (0, Inexpressible::Dense)
    );
    let (index, reason_of_size) = layer(0, conv(Window::square(11, 1, 0)));
    assert_eq!(index, 0);
    assert!(matches!(
        reason_of_size,
        Inexpressible::OutOfRange {
            value: 11,
            max: 7,
            ..
        }
    ));
    let linear = refused(|network| network.layers[0].activation = Activation::Linear);
    assert_eq!(reason(linear), (0, Inexpressible::Activation));
}

#[test]
fn another_end_is_refused() {
    let tails: [fn(&mut Network); 4] = [
        |network| drop(network.layers.pop()),
        |network| network.layers.drain(1..).for_each(drop),
        |network| network.layers.iter_mut().last().unwrap().activation = Activation::Relu,
        |network| {
            let classifier = network
                .layers
                .last_mut()
                .unwrap()
                .parameters
                .as_mut()
                .unwrap();
            classifier.norm = Some(BatchNorm::identity(2));
        },
    ];
    for change in tails {
        assert_eq!(refused(change), SeedError::Tail);
    }
}

#[test]
fn another_task_or_broken_parameters_are_refused() {
    let images = refused(|network| network.input.zero = vec![1]);
    assert_eq!(images, SeedError::OtherTask("images"));
    let classes = refused(|network| network.classes.reverse());
    assert_eq!(classes, SeedError::OtherTask("classes"));
    let broken = refused(|network| {
        network.layers[0].parameters.as_mut().unwrap().weights.pop();
    });
    assert!(matches!(
        broken,
        SeedError::Invalid(InvalidIndividual::Network { .. })
    ));
}

#[test]
fn learning_rates_hold_for_seeds() {
    let space = SearchSpace::small(12);
    let network = random(0, &space).network;
    let error = individual_of(network, 0, f32::NAN, &space).unwrap_err();
    assert!(matches!(error, SeedError::LearningRate(_)));
}

#[test]
fn a_seed_beyond_the_limits_is_cut_down_to_them() {
    let space = SearchSpace::small(12);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let seed = random(0, &space);
    assert_eq!(
        within_limits(seed.clone(), &space, &mut rng).as_ref(),
        Ok(&seed)
    );

    let parameters = space.admit(&seed.genome).unwrap().parameters;
    let limits = Limits {
        max_parameters: parameters / 2,
        ..Limits::default()
    };
    let tight = space.clone().with_limits(limits);
    let cut = within_limits(seed.clone(), &tight, &mut rng).unwrap();
    let left = tight.admit(&cut.genome).unwrap().parameters;
    assert!(left <= parameters / 2 && left > parameters / 4, "{left}");
    assert_eq!(cut.genome.genes.len(), seed.genome.genes.len());
    let first_weights = |individual: &Individual| {
        let mut layers = individual.network.layers.iter();
        let parameters = layers.find_map(|layer| layer.parameters.as_ref());
        parameters.unwrap().weights.clone()
    };
    assert!(first_weights(&seed).starts_with(&first_weights(&cut)));

    let limits = Limits {
        max_macs: 1,
        ..Limits::default()
    };
    let error = within_limits(seed, &space.with_limits(limits), &mut rng).unwrap_err();
    assert!(matches!(
        error,
        SeedError::Narrowest(NotInSpace::TooLarge(_))
    ));
}
