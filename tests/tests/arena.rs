//! The RAM of named networks, to the byte.

use exporter::cuts::least_cuts;
use runtime_nostd::geometry::{Op, Shape, Window};
use runtime_nostd::{Chain, arena_bytes};
use tests::models::{Architecture, m2, mobilenet, resnet8, w6};

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
    const BYTES: usize = match arena_bytes(Shape::new(8, 8, 1), &OPS, &[]) {
        Ok(bytes) => bytes,
        Err(_) => 0,
    };
    // Two words of progress, three padded rows, one row of four channels, two accumulators.
    assert_eq!(BYTES, 4 * (2 + (3 * 10 / 2 + 1) + (8 * 4 / 2 + 1) + 2));
}
