//! The runtime's scalar kernels against the independent reference, on random networks.

use exporter::quantize::FixedNetwork;
use exporter::write::{chain_of, write, write_with_cuts};
use proptest::prelude::*;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;
use runtime_nostd::{Batch, Chain};
use tests::{random_network, reference};

/// Sounds and the like: windows lie over more rows than a row of pixels can have columns.
#[test]
fn logits_of_high_images_are_the_references() {
    for (rows, kernel, stride) in [(8000, 80, 4), (4000, 3, 1), (2500, 100, 7)] {
        let convolution = Op::Conv {
            out_channels: 3,
            window: Window {
                kernel_h: kernel,
                stride_h: stride,
                ..Window::square(1, 1, 0)
            },
        };
        let overlapping = Op::MaxPool {
            window: Window {
                kernel_h: 5,
                stride_h: 3,
                ..Window::square(1, 1, 0)
            },
        };
        let hidden = [
            (convolution, Activation::Relu),
            (overlapping, Activation::Linear),
        ];
        let network = random_network::build(Shape::new(rows, 1, 1), Product::Exact, &hidden, 4, 1);
        assert_eq!(network.layers.len(), 3);
        let blob = write(&network).expect("random networks are within bounds");
        let model = blob.model().expect("the writer has parsed it");
        let pixels = random_network::pixels(network.input.shape, 1);
        let expected = reference::logits(&network, &pixels);
        let widened = |raw: &[i32]| raw.iter().map(|&raw| raw.into()).collect::<Vec<i64>>();
        let mut scratch = vec![-1; model.arena_bytes() / 4];
        let logits = model.infer(&mut scratch, &pixels).expect("lengths fit");
        assert_eq!(widened(logits.raw()), expected, "{rows} rows");
        Batch::new(&model)
            .infer([pixels.as_slice()], |_, logits| {
                assert_eq!(widened(logits.raw()), expected, "{rows} rows, side by side");
            })
            .expect("lengths fit");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn logits_are_the_references(
        network in random_network::networks(),
        image_seeds in prop::collection::vec(any::<u64>(), 2),
    ) {
        let blob = write(&network).expect("random networks are within bounds");
        let model = blob.model().expect("the writer has parsed it");
        // Not cleared between images: nothing may survive from one to the next.
        let mut scratch = vec![-1; model.arena_bytes() / 4];
        for seed in image_seeds {
            let pixels = random_network::pixels(network.input.shape, seed);
            let expected = reference::logits(&network, &pixels);
            let logits = model.infer(&mut scratch, &pixels).expect("lengths fit");
            let logits: Vec<i64> = logits.raw().iter().map(|&raw| raw.into()).collect();
            prop_assert_eq!(logits, expected);
        }
    }

    #[test]
    fn cuts_change_nothing_but_the_memory(
        network in random_network::networks(),
        choice in any::<u64>(),
        seed in any::<u64>(),
    ) {
        let mut segments = chain_of(&network).expect("random networks fit").segments();
        let possible = |layer: &usize| segments.bytes(0, *layer).is_some();
        let last = network.layers.len() - 1;
        let cuts: Vec<usize> = (0..last).filter(possible).collect();
        let cuts: Vec<usize> = cuts.into_iter().filter(|layer| choice >> layer & 1 == 1).collect();

        let blob = write_with_cuts(&network, &cuts).expect("the chain can be cut there");
        let model = blob.model().expect("the writer has parsed it");
        let mut scratch = vec![-1; model.arena_bytes() / 4];
        let pixels = random_network::pixels(network.input.shape, seed);
        let logits = model.infer(&mut scratch, &pixels).expect("lengths fit");
        let logits: Vec<i64> = logits.raw().iter().map(|&raw| raw.into()).collect();
        prop_assert_eq!(logits, reference::logits(&network, &pixels));

        // Where a map has rows that nobody reads, a cut may save computing them, and their memory.
        if reads_every_row(&network) {
            let least = write(&network).expect("random networks are within bounds");
            let least = least.model().expect("the writer has parsed it").arena_bytes();
            prop_assert!(least <= model.arena_bytes());
        }
    }

    #[test]
    fn rows_pushed_one_by_one_give_the_same_logits(
        network in random_network::networks(),
        seed in any::<u64>(),
    ) {
        let blob = write(&network).expect("random networks are within bounds");
        let model = blob.model().expect("the writer has parsed it");
        let mut scratch = vec![0; model.arena_bytes() / 4];
        let pixels = random_network::pixels(network.input.shape, seed);
        let expected = model.infer(&mut scratch, &pixels).expect("lengths fit").raw().to_vec();

        let mut session = model.session(&mut scratch).expect("scratch is large enough");
        for row in pixels.chunks(network.input.shape.row_elements()) {
            prop_assert!(session.logits().is_none());
            session.push_row(row).expect("a row fits");
        }
        prop_assert!(session.push_row(&pixels[..network.input.shape.row_elements()]).is_err());
        prop_assert_eq!(session.logits().expect("all rows pushed").raw(), expected);
    }
}

/// Whether every row of every map is under some window.
fn reads_every_row(network: &FixedNetwork) -> bool {
    let mut chain = Chain::new(network.input.shape);
    network.layers.iter().all(|layer| {
        chain.push(layer.op).expect("random networks fit");
        layer.op.window().is_none_or(|window| {
            let padding = window.pad_top + window.pad_bottom;
            let rows = chain.last_input().height + u16::from(padding);
            let beside = (rows - u16::from(window.kernel_h)) % u16::from(window.stride_h);
            window.kernel_h >= window.stride_h && beside <= u16::from(window.pad_bottom)
        })
    })
}
