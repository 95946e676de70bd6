//! The runtime against bytes that nobody wrote: damaged blobs, and blobs of impossible networks.

use exporter::write::{Blob, write};
use proptest::prelude::*;
use runtime_nostd::Model;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;
use tests::oracle::check;
use tests::random_network::{network_of, networks};

const RELU: Activation = Activation::Relu;
const LINEAR: Activation = Activation::Linear;

fn conv(kernel_size: u8, stride: u8, out_channels: u16) -> (Op, Activation) {
    let window = Window::square(kernel_size, stride, kernel_size / 2);
    let op = Op::Conv {
        window,
        out_channels,
    };
    (op, RELU)
}

/// Small networks of the three kinds that people deploy: plain, separable, residual.
fn blobs() -> [Blob; 3] {
    let image = Shape::new(8, 8, 1);
    let halve = |op: fn(Window) -> Op| (op(Window::square(2, 2, 0)), LINEAR);
    let depthwise = |stride| {
        let window = Window::square(3, stride, 1);
        (Op::Depthwise { window }, RELU)
    };
    let plain = vec![
        conv(3, 1, 4),
        halve(|window| Op::MaxPool { window }),
        conv(3, 1, 5),
        halve(|window| Op::AvgPool { window }),
        (Op::Dense { outputs: 6 }, RELU),
    ];
    let separable = vec![
        conv(3, 2, 3),
        depthwise(1),
        conv(1, 1, 6),
        depthwise(2),
        conv(1, 1, 4),
    ];
    let residual = vec![
        conv(3, 1, 3),
        conv(1, 2, 4),
        (Op::Branch { from: 0 }, LINEAR),
        conv(3, 2, 4),
        conv(3, 1, 4),
        (Op::Add { from: 1 }, RELU),
    ];
    [plain, separable, residual].map(|ops| {
        let layers = ops.len() + 1;
        let network = network_of(image, Product::Exact, ops, 1);
        assert_eq!(network.layers.len(), layers, "all layers fit");
        write(&network).expect("within bounds")
    })
}

#[test]
fn every_single_bit_flip_is_refused() {
    for blob in blobs() {
        let mut damaged = blob.clone();
        for at in 0..blob.as_bytes().len() {
            for bit in 0..8 {
                damaged.as_bytes_mut()[at] ^= 1 << bit;
                assert!(damaged.model().is_err(), "bit {bit} of byte {at}");
                damaged.as_bytes_mut()[at] ^= 1 << bit;
            }
        }
        assert!(damaged.model().is_ok());
    }
}

#[test]
fn every_truncation_is_refused() {
    for blob in blobs() {
        let bytes = blob.as_bytes();
        for length in 0..bytes.len() {
            assert!(Model::<32>::parse(&bytes[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn sound_blobs_get_through() {
    for blob in blobs() {
        let reached = check(blob.as_bytes());
        assert!(reached.parsed && reached.compared);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A short run of what `fuzz/` does for as long as one likes.
    #[test]
    fn changed_blobs_are_refused_or_run(
        network in networks(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        records_only in any::<bool>(),
    ) {
        let blob = write(&network).expect("random networks are within bounds");
        let mut bytes = blob.as_bytes().to_vec();
        let end = if records_only { bytes.len().min(32 + 100) } else { bytes.len() };
        for (at, value) in changes {
            let at = at.index(end);
            bytes[at] = value;
        }
        check(&bytes);
    }
}
