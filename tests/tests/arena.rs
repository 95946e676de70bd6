//! The RAM of named networks, to the byte.

use exporter::cuts::least_cuts;
use exporter::write::write;
use runtime_nostd::blob::Storage;
use runtime_nostd::geometry::Activation;
use runtime_nostd::geometry::{Op, Shape, Window};
use runtime_nostd::q8_8::Product;
use runtime_nostd::{Chain, Content, Region, arena_bytes};
use tests::models::{Architecture, m2, mobilenet, resnet8, w6};
use tests::random_network::{build, narrowed};

/// Bytes without cuts, and with the cuts that the exporter chooses.
fn arena(architecture: &Architecture) -> (usize, usize) {
    let mut chain = Chain::new(architecture.input);
    for &op in &architecture.ops {
        chain.push(op).expect("it fits");
    }
    let cuts = least_cuts(chain.clone().segments());
    let bytes = |cuts: &[usize]| chain.clone().arena_bytes(cuts).expect("it can be cut");
    (bytes(&[]), bytes(&cuts))
}

#[test]
fn named_networks_take_what_they_took() {
    let networks = [m2(), w6(), mobilenet(), resnet8()];
    let bytes = networks.each_ref().map(arena);
    assert_eq!(
        bytes,
        [(8900, 8900), (1828, 1828), (78560, 29844), (29892, 29852)]
    );
}

#[test]
fn the_arena_is_a_constant() {
    const WINDOW: Window = Window::square(3, 1, 1);
    const OPS: [Op; 2] = [
        Op::Conv {
            window: WINDOW,
            out_channels: 4,
        },
        Op::Dense { outputs: 2 },
    ];
    const BYTES: usize = match arena_bytes(Shape::new(8, 8, 1), &OPS, Storage::I16, &[]) {
        Ok(bytes) => bytes,
        Err(_) => 0,
    };
    // Two words of progress, three padded rows, one row of four channels, two accumulators.
    assert_eq!(BYTES, 4 * (2 + (3 * 10 / 2 + 1) + (8 * 4 / 2 + 1) + 2));
}

#[test]
fn eight_bit_weights_take_a_part_of_one_layer() {
    let conv = |out_channels| Op::Conv {
        window: Window::square(3, 1, 1),
        out_channels,
    };
    let network = |out_channels| {
        let hidden = [(conv(out_channels), Activation::Relu)];
        build(Shape::new(8, 8, 3), Product::Exact, &hidden, 2, 1)
    };
    let bytes = |network| {
        let blob = write(&network).expect("within bounds");
        let model = blob.model().expect("a blob that parses");
        let weights = model.regions().filter_map(|region| match region.content {
            Content::Weights { layer } => Some((layer, region.start, region.bytes)),
            _ => None,
        });
        (model.arena_bytes(), weights.collect::<Vec<_>>())
    };
    for filters in [4, 9] {
        let (wide, none) = bytes(network(filters));
        let (narrow, parts) = bytes(narrowed(network(filters), 3));
        assert_eq!(none, []);
        // Three rows of nine weights, filled up, of four filters; behind two words of progress.
        let weights = 2 * 3 * 10 * 4;
        // The dense layer needs none.
        assert_eq!(parts, [(0, 8, weights)]);
        assert_eq!(narrow, wide + weights);
    }
}

#[test]
fn the_arena_is_told_part_by_part() {
    let op = Op::Conv {
        window: Window::square(3, 1, 1),
        out_channels: 4,
    };
    let hidden = [(op, Activation::Relu)];
    let network = build(Shape::new(8, 8, 1), Product::Exact, &hidden, 2, 1);
    let blob = write(&network).expect("within bounds");
    let model = blob.model().expect("a blob that parses");
    let regions: Vec<Region> = model.regions().collect();
    // As above.
    let parts = [
        (Content::Progress, 0, 8),
        (Content::Image, 8, 64),
        (Content::Rows { layer: 0 }, 80, 68),
        (Content::Sums { layer: 1 }, 72, 8),
    ];
    let parts = parts.map(|(content, start, bytes)| Region {
        content,
        start,
        bytes,
    });
    assert_eq!(regions, parts);
    assert_eq!(model.arena_bytes(), 148);
}
