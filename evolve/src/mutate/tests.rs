use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::*;
use crate::genome::{Genome, Header};
use crate::inherit::Parent;

/// The paper's probabilities.
const SHARES: [f64; 6] = [0.41, 0.07, 0.03, 0.29, 0.10, 0.10];

fn draft() -> Draft {
    let header = Header {
        id: 1,
        age: 0,
        learning_rate: 0.1,
        flatten_neurons: 50,
    };
    let genes = vec![
        Gene::Conv {
            kernel_size: 3,
            filters: 8,
            stride: 1,
            padding: 1,
        },
        Gene::Pool {
            kind: PoolKind::Max,
            size: 2,
            stride: 2,
        },
    ];
    Draft::copy_of(&Genome { header, genes }, Parent::A)
}

/// Only the operator at `index`.
fn only(index: usize) -> OperatorProbabilities {
    let mut shares = [0.0; 6];
    shares[index] = 1.0;
    probabilities(shares)
}

fn probabilities(shares: [f64; 6]) -> OperatorProbabilities {
    let [
        reset_weights,
        add_layer,
        remove_layer,
        modify_layer,
        resize_flattening,
        modify_learning_rate,
    ] = shares;
    OperatorProbabilities {
        reset_weights,
        add_layer,
        remove_layer,
        modify_layer,
        resize_flattening,
        modify_learning_rate,
    }
}

/// Applies one operator to the same draft many times.
fn mutants(operator: MutationOperator) -> Vec<(Draft, Option<usize>)> {
    let space = SearchSpace::small(28);
    let index = MutationOperator::ALL
        .iter()
        .position(|other| *other == operator);
    let probabilities = only(index.unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..300)
        .map(|_| {
            let mut mutant = draft();
            let mutation = mutate(&mut mutant, &space, &probabilities, &mut rng).unwrap();
            assert_eq!(mutation.operator, operator);
            assert_eq!(mutant.birth.mutation, Some(mutation));
            assert_ne!(
                Draft {
                    birth: draft().birth,
                    ..mutant.clone()
                },
                draft()
            );
            (mutant, mutation.layer)
        })
        .collect()
}

#[test]
fn mo1_resets_one_layer_with_weights() {
    let mut chosen = [0; 4];
    for (mutant, layer) in mutants(MutationOperator::ResetWeights) {
        assert_eq!(mutant.genome(), draft().genome());
        let body = mutant.body.iter().map(|layer| layer.origin);
        let origins: Vec<_> = body.chain([mutant.flattening, mutant.classifier]).collect();
        let reset: Vec<_> = (0..4).filter(|&i| origins[i] == Origin::New).collect();
        assert_eq!(reset, [layer.unwrap()]);
        chosen[reset[0]] += 1;
    }
    assert_eq!(chosen[1], 0, "pooling has no weights");
    assert!(
        [0, 2, 3].iter().all(|&layer| chosen[layer] > 70),
        "{chosen:?}"
    );
}

#[test]
fn mo2_inserts_a_new_layer_anywhere() {
    let mut chosen = [0; 3];
    for (mutant, layer) in mutants(MutationOperator::AddLayer) {
        let layer = layer.unwrap();
        assert_eq!(mutant.body.len(), 3);
        assert_eq!(mutant.body[layer].origin, Origin::New);
        let mut old = mutant.body.clone();
        old.remove(layer);
        let kept: Vec<_> = old.iter().map(|layer| layer.origin).collect();
        assert_eq!(
            kept,
            draft()
                .body
                .iter()
                .map(|layer| layer.origin)
                .collect::<Vec<_>>()
        );
        chosen[layer] += 1;
    }
    assert!(chosen.iter().all(|&count| count > 70), "{chosen:?}");
}

#[test]
fn mo3_removes_one_layer() {
    for (mutant, layer) in mutants(MutationOperator::RemoveLayer) {
        assert_eq!(mutant.body, [draft().body[1 - layer.unwrap()]]);
    }
}

#[test]
fn mo4_changes_one_gene_in_every_hyperparameter_now_and_then() {
    let (mut kernels, mut filters, mut strides, mut paddings) = (0, 0, 0, 0);
    let (mut kinds, mut sizes, mut pool_strides) = (0, 0, 0);
    for (mutant, layer) in mutants(MutationOperator::ModifyLayer) {
        let layer = layer.unwrap();
        let (old, new) = (draft().body[layer], mutant.body[layer]);
        assert_eq!(mutant.body[1 - layer], draft().body[1 - layer]);
        assert_eq!(new.origin, old.origin, "its weights are inherited");
        match new.gene {
            Gene::Conv {
                kernel_size,
                filters: count,
                stride,
                padding,
            } => {
                kernels += i32::from(kernel_size != 3);
                filters += i32::from(count != 8);
                strides += i32::from(stride != 1);
                paddings += i32::from(padding != 1);
                assert!((4..=16).contains(&count), "{count}");
            }
            Gene::Pool { kind, size, stride } => {
                kinds += i32::from(kind != PoolKind::Max);
                sizes += i32::from(size != 2);
                pool_strides += i32::from(stride != 2);
            }
        }
    }
    let counts = [
        kernels,
        filters,
        strides,
        paddings,
        kinds,
        sizes,
        pool_strides,
    ];
    assert!(counts.iter().all(|&count| count > 20), "{counts:?}");
}

#[test]
fn mo5_resizes_the_flattening_layer_both_ways() {
    let mutants = mutants(MutationOperator::ResizeFlattening);
    let neurons = mutants
        .iter()
        .map(|(mutant, _)| mutant.header.flatten_neurons);
    let larger = neurons.clone().filter(|&neurons| neurons > 50).count();
    assert!((100..200).contains(&larger), "{larger}");
    assert!(neurons.clone().all(|neurons| (25..=100).contains(&neurons)));
}

#[test]
fn mo6_changes_nothing_but_the_learning_rate() {
    for (mutant, _) in mutants(MutationOperator::ModifyLearningRate) {
        assert!((0.05..=0.2).contains(&mutant.header.learning_rate));
        assert_eq!(mutant.body, draft().body);
        assert_eq!(mutant.header.flatten_neurons, 50);
    }
}

#[test]
fn the_last_layer_is_never_removed_and_another_operator_acts() {
    let space = SearchSpace::small(28);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut single = draft();
    single.body.truncate(1);

    let mut mutant = single.clone();
    assert_eq!(mutate(&mut mutant, &space, &only(2), &mut rng), None);
    assert_eq!(mutant, single);

    let either = probabilities([0.0, 0.0, 0.9, 0.0, 0.0, 0.1]);
    let mutation = mutate(&mut mutant, &space, &either, &mut rng).unwrap();
    assert_eq!(mutation.operator, MutationOperator::ModifyLearningRate);
}

#[test]
fn a_full_genome_gets_no_further_layer() {
    let space = SearchSpace::small(28);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut full = draft();
    full.body = vec![full.body[0]; MAX_GENES];
    assert_eq!(mutate(&mut full, &space, &only(1), &mut rng), None);
}

#[test]
fn no_probability_means_no_mutation() {
    let space = SearchSpace::small(28);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let none = probabilities([0.0; 6]);
    assert_eq!(mutate(&mut draft(), &space, &none, &mut rng), None);
}

/// Pearson's chi-square test, 5 degrees of freedom: 20.5 is exceeded by chance once in 1000.
#[test]
fn operators_act_as_often_as_the_paper_says() {
    let space = SearchSpace::small(28);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut observed = [0u32; 6];
    let trials = 10_000;
    for _ in 0..trials {
        let probabilities = OperatorProbabilities::default();
        let mutation = mutate(&mut draft(), &space, &probabilities, &mut rng).unwrap();
        observed[mutation.operator as usize] += 1;
    }
    let chi_square: f64 = observed
        .iter()
        .zip(SHARES)
        .map(|(&observed, share)| {
            let expected = share * f64::from(trials);
            (f64::from(observed) - expected).powi(2) / expected
        })
        .sum();
    assert!(chi_square < 20.5, "{chi_square}: {observed:?}");
}

#[test]
fn counts_always_change_and_stay_in_range() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..1000 {
        let count = rng.random_range(2..100);
        let resized = resized(count, 100, &mut rng);
        assert_ne!(resized, count);
        assert!((1..=100).contains(&resized));
    }
}
