//! The fast backend against the reference, on every instruction set of the machine that tests.

use std::num::NonZeroUsize;

use exporter::dataset::Images;
use exporter::network::Network;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use runtime_nostd::geometry::{Op, Shape, Window};

use super::plan::{Plan, Purpose};
use super::workspace::Workspace;
use super::{Lanes, workspace_bytes};
use crate::train::specimen::{self, Follow};
use crate::train::{Backend, Epoch, Momentum, Reference, Sgd, TrainError};

fn windows() -> impl Strategy<Value = Window> {
    let axis = (1_u8..=7, 1_u8..=3)
        .prop_flat_map(|(kernel, stride)| (Just(kernel), Just(stride), 0..kernel, 0..kernel));
    (axis.clone(), axis).prop_map(|(rows, columns)| Window {
        kernel_h: rows.0,
        stride_h: rows.1,
        pad_top: rows.2,
        pad_bottom: rows.3,
        kernel_w: columns.0,
        stride_w: columns.1,
        pad_left: columns.2,
        pad_right: columns.3,
    })
}

fn follow() -> impl Strategy<Value = Follow> {
    prop_oneof![
        1 => Just(Follow::Nothing),
        1 => Just(Follow::Relu),
        1 => Just(Follow::Norm),
        3 => Just(Follow::NormRelu),
    ]
}

fn layers() -> impl Strategy<Value = (Op, Follow)> {
    let filters = prop::sample::select(vec![1_u16, 3, 5, 7, 12, 20]);
    prop_oneof![
        4 => (windows(), filters.clone(), follow()).prop_map(|(window, out_channels, follow)| {
            (Op::Conv { window, out_channels }, follow)
        }),
        1 => windows().prop_map(|window| (Op::MaxPool { window }, Follow::Nothing)),
        1 => windows().prop_map(|window| (Op::AvgPool { window }, Follow::Nothing)),
        1 => (filters, follow()).prop_map(|(outputs, follow)| (Op::Dense { outputs }, follow)),
    ]
}

/// A network with images, and the batch size to train it with.
fn cases() -> impl Strategy<Value = (Network, Images, usize)> {
    let input = (
        3_u16..=11,
        3_u16..=11,
        prop::sample::select(vec![1_u16, 3, 5]),
    );
    let layers = prop::collection::vec(layers(), 0..=3);
    (
        input,
        layers,
        2_u16..=10,
        1_usize..=40,
        17_usize..=35,
        any::<u64>(),
    )
        .prop_map(
            |((height, width, channels), layers, classes, images, batch_size, seed)| {
                let input = Shape::new(height, width, channels);
                let mut shape = input;
                // Layers that do not fit the map are left out.
                let fitting: Vec<_> = layers
                    .into_iter()
                    .filter(|(op, _)| op.output(shape).map(|output| shape = output).is_ok())
                    .collect();
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let network = specimen::network(input, &fitting, classes, &mut rng);
                let images = specimen::images(&network, images, &mut rng);
                (network, images, batch_size)
            },
        )
}

fn sgd(batch_size: usize) -> Sgd {
    Sgd {
        learning_rate: 0.05,
        batch_size: NonZeroUsize::new(batch_size).unwrap(),
        label_smoothing: 0.0,
    }
}

/// A backend without a way of its own to train at a pace.
struct OnePassPerBatch(Lanes);

impl Backend for OnePassPerBatch {
    fn train(
        &self,
        network: &mut Network,
        images: &Images,
        order: &[u32],
        sgd: &Sgd,
    ) -> Result<Epoch, TrainError> {
        self.0.train(network, images, order, sgd)
    }

    fn infer(
        &self,
        network: &Network,
        images: &Images,
        indices: &[u32],
    ) -> Result<Vec<f32>, TrainError> {
        self.0.infer(network, images, indices)
    }
}

/// All vectors of parameters, with the name of each.
fn vectors(network: &Network) -> Vec<(String, &[f32])> {
    let mut vectors = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let Some(parameters) = &layer.parameters else {
            continue;
        };
        let mut push = |name, values| vectors.push((format!("{name} of layer {index}"), values));
        push("weights", parameters.weights.as_slice());
        push("bias", &parameters.bias);
        if let Some(norm) = &parameters.norm {
            push("gamma", &norm.gamma);
            push("beta", &norm.beta);
            push("mean", &norm.mean);
            push("variance", &norm.variance);
        }
    }
    vectors
}

/// Trains by both backends: parameters must move alike, up to f32 rounding.
fn compare_with_reference(
    network: &Network,
    images: &Images,
    sgd: &Sgd,
) -> Result<(), TestCaseError> {
    let order: Vec<u32> = (0..images.len() as u32).rev().collect();
    let mut expected = network.clone();
    let expected_epoch = Reference.train(&mut expected, images, &order, sgd).unwrap();
    for lanes in Lanes::all() {
        let name = lanes.name();
        let mut trained = network.clone();
        let epoch = lanes.train(&mut trained, images, &order, sgd).unwrap();
        let (loss, expected_loss) = (epoch.mean_loss, expected_epoch.mean_loss);
        prop_assert!(
            (loss - expected_loss).abs() < 1e-4 * (1.0 + expected_loss),
            "{name}: loss {loss} instead of {expected_loss}"
        );
        for (((vector, before), (_, after)), (_, expected)) in vectors(network)
            .into_iter()
            .zip(vectors(&trained))
            .zip(vectors(&expected))
        {
            let moves = before.iter().zip(expected).map(|(a, b)| (b - a).abs());
            let largest = moves.fold(0.0, f32::max);
            for (index, (after, expected)) in after.iter().zip(expected).enumerate() {
                prop_assert!(
                    (after - expected).abs() <= 2e-3 * largest + 5e-6,
                    "{name}: value {index} of {vector} is {after} instead of {expected}, \
                     the largest move {largest}"
                );
            }
        }
    }
    Ok(())
}

/// A convolution without weights gives equal values everywhere, and which of them takes the
/// gradient of the maximum shows in the step of those weights.
#[test]
fn the_first_of_equal_maxima_takes_the_gradient() {
    let conv = Op::Conv {
        window: Window::square(2, 1, 0),
        out_channels: 3,
    };
    for (kernel_size, stride) in [(2, 2), (3, 1)] {
        let window = Window::square(kernel_size, stride, 0);
        let layers = [
            (conv, Follow::Nothing),
            (Op::MaxPool { window }, Follow::Nothing),
        ];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut network = specimen::network(Shape::new(7, 7, 1), &layers, 3, &mut rng);
        network.layers[0]
            .parameters
            .as_mut()
            .unwrap()
            .weights
            .fill(0.0);
        let images = specimen::images(&network, 5, &mut rng);
        compare_with_reference(&network, &images, &sgd(images.len())).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Training at a pace is a pass per batch, bit for bit.
    #[test]
    fn paces_as_specified((network, images, batch_size) in cases()) {
        let order: Vec<u32> = (0..images.len() as u32).collect();
        let momentum = || Momentum::new(&network, 0.9, 1e-3, |step| 0.05 / (step + 1) as f32);
        for lanes in Lanes::all() {
            let (mut expected, mut paced) = (network.clone(), network.clone());
            let by_batch = OnePassPerBatch(lanes).train_at(
                &mut momentum(), &mut expected, &images, &order, &sgd(batch_size),
            ).unwrap();
            let epoch = lanes.train_at(
                &mut momentum(), &mut paced, &images, &order, &sgd(batch_size),
            ).unwrap();
            prop_assert_eq!(&paced, &expected);
            prop_assert!((epoch.mean_loss - by_batch.mean_loss).abs() < 1e-9);
        }
    }

    /// One pass moves every parameter as the reference does.
    #[test]
    fn trains_as_the_reference(
        (network, images, batch_size) in cases(),
        label_smoothing in prop_oneof![Just(0.0_f32), Just(0.1)],
    ) {
        let sgd = Sgd { label_smoothing, ..sgd(batch_size) };
        compare_with_reference(&network, &images, &sgd)?;
    }

    /// The logits are those of the exporter's forward pass, up to f32 rounding.
    #[test]
    fn infers_as_the_reference((network, images, _) in cases()) {
        let indices: Vec<u32> = (0..images.len() as u32).rev().collect();
        let expected = Reference.infer(&network, &images, &indices).unwrap();
        let size = expected.iter().copied().map(f32::abs).fold(1.0, f32::max);
        for lanes in Lanes::all() {
            let logits = lanes.infer(&network, &images, &indices).unwrap();
            prop_assert_eq!(logits.len(), expected.len());
            for (logit, expected) in logits.iter().zip(&expected) {
                prop_assert!(
                    (logit - expected).abs() < 1e-5 * size,
                    "{}: {logit} instead of {expected}", lanes.name()
                );
            }
        }
    }

    /// Every instruction set gives the same bits.
    #[test]
    fn instruction_sets_agree((network, images, batch_size) in cases()) {
        let order: Vec<u32> = (0..images.len() as u32).collect();
        let results: Vec<_> = Lanes::all()
            .iter()
            .map(|lanes| {
                let mut network = network.clone();
                let epoch = lanes.train(&mut network, &images, &order, &sgd(batch_size)).unwrap();
                (epoch, lanes.infer(&network, &images, &order).unwrap(), network)
            })
            .collect();
        for pair in results.windows(2) {
            prop_assert!(pair[0] == pair[1]);
        }
    }

    /// The bytes announced are those allocated.
    #[test]
    fn workspace_is_as_large_as_announced((network, _, batch_size) in cases()) {
        let shapes = network.check().unwrap();
        let plan = Plan::new(&network, &shapes, batch_size, Purpose::Training);
        let workspace = Workspace::new(super::InstructionSet::detect(), &network, plan);
        prop_assert_eq!(workspace_bytes(&network, batch_size).unwrap(), workspace.allocated_bytes());
    }
}
