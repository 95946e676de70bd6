//! FORMAT.md, pinned: golden bytes, and what is refused.

use exporter::network::Input;
use exporter::quantize::{FixedLayer, FixedNetwork, FixedParameters};
use exporter::write::{Blob, WriteError, footprint, write};
use proptest::prelude::*;
use runtime_nostd::blob::{CRC_START, crc32};
use runtime_nostd::geometry::{Activation, GeometryError, Op, Shape, Window};
use runtime_nostd::q8_8::Product;
use runtime_nostd::{Model, ParseError};
use tests::random_network;

/// 5 filters of 1x3 over one channel (a group of four and one of one, odd rows), pooling, dense.
fn network() -> FixedNetwork {
    FixedNetwork {
        input: Input {
            shape: Shape::new(2, 300, 1),
            zero: vec![33],
        },
        product: Product::Exact,
        layers: vec![
            FixedLayer {
                op: Op::Conv {
                    window: Window {
                        kernel_h: 1,
                        kernel_w: 3,
                        stride_h: 1,
                        stride_w: 150,
                        pad_top: 0,
                        pad_bottom: 0,
                        pad_left: 1,
                        pad_right: 2,
                    },
                    out_channels: 5,
                },
                activation: Activation::Relu,
                parameters: Some(FixedParameters {
                    frac_bits: 8,
                    weights: (1..=15).collect(),
                    bias: vec![0, 1, -1, 2, -2],
                    exponents: None,
                }),
            },
            FixedLayer {
                op: Op::MaxPool {
                    window: Window::square(2, 2, 0),
                },
                activation: Activation::Linear,
                parameters: None,
            },
            FixedLayer {
                op: Op::Dense { outputs: 2 },
                activation: Activation::Linear,
                parameters: Some(FixedParameters {
                    frac_bits: 7,
                    weights: (-5..5).collect(),
                    bias: vec![256, -256],
                    exponents: None,
                }),
            },
        ],
    }
}

#[rustfmt::skip]
const GOLDEN: [u8; 168] = [
    // Prefix.
    0x45, 0x41, 0x34, 0x43, 0x4e, 0x4e, 0x0d, 0x0a, // magic
    1, 0, 1, 0,                                     // format and arithmetic version
    168, 0, 0, 0,                                   // length
    0x99, 0x04, 0x75, 0xe0,                         // CRC-32
    41, 0, 0, 0,                                    // length of the records
    76, 0, 0, 0,                                    // offset of the parameters
    92, 0, 0, 0,                                    // length of the parameters
    // Header: exact products, 2x300x1, zero [33], arena of 664 bytes, 3 layers, cut behind layer 1.
    0, 2, 0xac, 0x02, 1, 1, 33, 0x98, 0x05, 3, 1, 1,
    // Conv: kernel 1x3, stride 1x150, padding 0 0 1 2, 5 filters; ReLU; 8 fractional bits.
    0, 1, 3, 1, 150, 0, 0, 1, 2, 5, 1, 1, 8,
    // Max pool: kernel 2x2, stride 2x2, no padding; linear; no weights.
    2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0,
    // Dense: 2 outputs; linear; 7 fractional bits.
    1, 2, 0, 1, 7,
    // Up to a multiple of 4.
    0, 0, 0,
    // Conv: biases 0, 1, -1, 2, -2, each with the rounding constant 128.
    0x80, 0, 0, 0, 0x81, 0, 0, 0, 0x7f, 0, 0, 0, 0x82, 0, 0, 0, 0x7e, 0, 0, 0,
    // Conv: a group of four filters, two pairs, the second filled up.
    1, 0, 2, 0, 4, 0, 5, 0, 7, 0, 8, 0, 10, 0, 11, 0,
    3, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0, 12, 0, 0, 0,
    // Conv: a group of one filter.
    13, 0, 14, 0, 15, 0, 0, 0,
    // Dense, the last layer: biases 256 and -256 as they are.
    0x00, 0x01, 0, 0, 0x00, 0xff, 0xff, 0xff,
    // Dense: a group of two neurons over one row of five elements.
    0xfb, 0xff, 0xfc, 0xff, 0, 0, 1, 0,
    0xfd, 0xff, 0xfe, 0xff, 2, 0, 3, 0,
    0xff, 0xff, 0, 0, 4, 0, 0, 0,
];

#[test]
fn golden_bytes() {
    assert_eq!(blob().as_bytes(), GOLDEN);
}

fn blob() -> Blob {
    write(&network()).expect("a sound network")
}

#[test]
fn both_versions_are_named() {
    let refused = |at: usize, version: u8| {
        let mut bytes = blob().as_bytes().to_vec();
        bytes[at] = version;
        Model::<32>::parse(Blob::from_bytes(&bytes).as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(8, 9),
        "blob has format version 9, this runtime reads 1: export again"
    );
    assert_eq!(
        refused(10, 9),
        "blob has arithmetic version 9, this runtime computes 1: export again"
    );
}

#[test]
fn a_misaligned_blob_is_refused() {
    let blob = blob();
    let mut bytes = vec![0];
    bytes.extend(blob.as_bytes());
    let aligned = Blob::from_bytes(&bytes);
    let error = Model::<32>::parse(&aligned.as_bytes()[1..]).unwrap_err();
    assert_eq!(error, ParseError::Misaligned);
}

#[test]
fn bytes_between_records_and_parameters_must_be_zero() {
    assert_eq!(refusal_of(&GOLDEN, 73, 0, 1), ParseError::Sections);
}

#[test]
fn a_smaller_capacity_is_refused() {
    let blob = blob();
    let error = Model::<2>::parse(blob.as_bytes()).unwrap_err();
    assert_eq!(
        error,
        ParseError::TooManyLayers {
            layers: 3,
            capacity: 2
        }
    );
}

/// The same network with weights of 8 bits, those of the convolution with exponents 0 to 4.
fn narrow_network() -> FixedNetwork {
    let mut network = network();
    let [conv, _, dense] = &mut network.layers[..] else {
        panic!("three layers");
    };
    if let Some(conv) = &mut conv.parameters {
        for (filter, weights) in conv.weights.chunks_mut(3).enumerate() {
            weights.iter_mut().for_each(|weight| *weight <<= filter);
        }
        conv.exponents = Some(vec![0, 1, 2, 3, 4]);
    }
    if let Some(dense) = &mut dense.parameters {
        dense.weights[4] = -128 << 8;
        dense.weights[..4]
            .iter_mut()
            .for_each(|weight| *weight <<= 8);
        dense.exponents = Some(vec![8, 0]);
    }
    network
}

#[rustfmt::skip]
const NARROW_GOLDEN: [u8; 148] = [
    // Prefix, as above.
    0x45, 0x41, 0x34, 0x43, 0x4e, 0x4e, 0x0d, 0x0a,
    1, 0, 1, 0,
    148, 0, 0, 0,
    0xeb, 0x4d, 0x31, 0x5f,
    41, 0, 0, 0,
    76, 0, 0, 0,
    72, 0, 0, 0,
    // Header: an arena of 696 bytes.
    0, 2, 0xac, 0x02, 1, 1, 33, 0xb8, 0x05, 3, 1, 1,
    // Conv: 8-bit weights with 8 fractional bits.
    0, 1, 3, 1, 150, 0, 0, 1, 2, 5, 1, 2, 8,
    2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0,
    // Dense: 8-bit weights with 7 fractional bits.
    1, 2, 0, 2, 7,
    0, 0, 0,
    // Conv: biases, then exponents.
    0x80, 0, 0, 0, 0x81, 0, 0, 0, 0x7f, 0, 0, 0, 0x82, 0, 0, 0, 0x7e, 0, 0, 0,
    0, 1, 2, 3, 4,
    // Conv: a group of four filters, two by two, two pairs, the second filled up.
    1, 4, 2, 5, 7, 10, 8, 11,
    3, 6, 0, 0, 9, 12, 0, 0,
    // Conv: a group of one filter, then up to a multiple of 4.
    13, 14, 15, 0, 0, 0, 0,
    // Dense: biases, exponents.
    0x00, 0x01, 0, 0, 0x00, 0xff, 0xff, 0xff,
    8, 0,
    // Dense: a group of two neurons, up to a multiple of 4.
    0xfb, 0, 0xfc, 1,
    0xfd, 2, 0xfe, 3,
    0x80, 4, 0, 0, 0, 0,
];

#[test]
fn narrow_golden_bytes() {
    let blob = write(&narrow_network()).expect("a sound network");
    assert_eq!(blob.as_bytes(), NARROW_GOLDEN);
}

#[test]
fn narrow_weights_out_of_range_are_refused() {
    let refusal = |at, from, to| refusal_of(&NARROW_GOLDEN, at, from, to);
    let exponent = ParseError::Exponent {
        layer: 0,
        filter: 4,
        exponent: 9,
    };
    assert_eq!(refusal(100, 4, 9), exponent);
    let filling = |layer| ParseError::Filling { layer };
    assert_eq!(refusal(111, 0, 1), filling(0), "in a row");
    assert_eq!(refusal(123, 0, 1), filling(0), "behind the weights");
    assert_eq!(refusal(147, 0, 1), filling(2), "behind the weights");
    let overflow = ParseError::Overflow {
        layer: 2,
        filter: 0,
    };
    assert_eq!(refusal(127, 0, 0x7f), overflow);
}

#[test]
fn what_does_not_fit_8_bits_is_not_written() {
    for (exponent, weight) in [(0, 128), (1, 3), (8, 128), (9, 512)] {
        let mut network = narrow_network();
        if let Some(parameters) = &mut network.layers[0].parameters {
            parameters.weights = vec![0; 15];
            parameters.weights[14] = weight;
            parameters.exponents = Some(vec![0, 0, 0, 0, exponent]);
        }
        let error = write(&network).expect_err("refused");
        assert!(matches!(error, WriteError::Narrow { layer: 0 }), "{error}");
    }
}

/// Why the blob is refused with one byte changed and the checksum made to fit.
fn refusal(at: usize, from: u8, to: u8) -> ParseError {
    refusal_of(&GOLDEN, at, from, to)
}

fn refusal_of(golden: &[u8], at: usize, from: u8, to: u8) -> ParseError {
    let mut bytes = golden.to_vec();
    assert_eq!(bytes[at], from, "the byte meant");
    bytes[at] = to;
    let crc = crc32(&bytes[CRC_START..]);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
    Model::<32>::parse(Blob::from_bytes(&bytes).as_bytes()).unwrap_err()
}

#[test]
fn what_inference_could_stumble_over_is_refused() {
    let geometry = |layer, error| ParseError::Geometry { layer, error };
    let cases = [
        (
            "records too short, and something behind them",
            refusal(20, 41, 40),
            ParseError::Sections,
        ),
        (
            "parameters beyond the end",
            refusal(24, 76, 80),
            ParseError::Sections,
        ),
        (
            "parameters inside the records",
            refusal(24, 76, 72),
            ParseError::Sections,
        ),
        (
            "something behind the parameters that is no section",
            refusal(28, 92, 88),
            ParseError::Sections,
        ),
        (
            "parameters of a third neuron missing",
            refusal(69, 2, 3),
            ParseError::ParametersLength { layer: 2 },
        ),
        ("unknown product", refusal(32, 0, 2), ParseError::Records),
        (
            "image without rows",
            refusal(33, 2, 0),
            geometry(0, GeometryError::EmptyMap),
        ),
        (
            "two channels, one zero",
            refusal(36, 1, 2),
            ParseError::ZeroLength,
        ),
        (
            "arena too small",
            refusal(40, 5, 4),
            ParseError::Arena {
                stated: 536,
                needed: 664,
            },
        ),
        ("a layer too many", refusal(41, 3, 4), ParseError::Records),
        ("a layer too few", refusal(41, 3, 2), ParseError::Records),
        (
            "a cut behind the last layer",
            refusal(43, 1, 2),
            geometry(2, GeometryError::Cut),
        ),
        ("a cut behind the end", refusal(43, 1, 3), ParseError::Cuts),
        (
            "unknown operation",
            refusal(44, 0, 200),
            ParseError::Records,
        ),
        (
            "kernel of 0 rows",
            refusal(45, 1, 0),
            geometry(0, GeometryError::ZeroKernelOrStride),
        ),
        (
            "stride of 0",
            refusal(47, 1, 0),
            geometry(0, GeometryError::ZeroKernelOrStride),
        ),
        (
            "padding as wide as the kernel",
            refusal(52, 2, 3),
            geometry(0, GeometryError::PaddingNotBelowKernel),
        ),
        (
            "pooling with ReLU",
            refusal(66, 0, 1),
            ParseError::Activation { layer: 1 },
        ),
        ("ReLU at the end", refusal(70, 0, 1), ParseError::LastLayer),
        (
            "16 fractional bits",
            refusal(72, 7, 16),
            ParseError::FracBits {
                layer: 2,
                frac_bits: 16,
            },
        ),
        (
            "weights of pooling",
            refusal(67, 0, 1),
            ParseError::WeightsFormat { layer: 1 },
        ),
        (
            "a filling weight",
            refusal(114, 0, 1),
            ParseError::Filling { layer: 0 },
        ),
        (
            "a bias near -2^31",
            refusal(83, 0, 0x80),
            ParseError::Overflow {
                layer: 0,
                filter: 1,
            },
        ),
    ];
    for (what, found, expected) in cases {
        assert_eq!(found, expected, "{what}");
    }
}

proptest! {
    #[test]
    fn the_footprint_follows_from_the_geometry(network in random_network::networks()) {
        let network = random_network::sixteen_bits(network);
        let ops: Vec<Op> = network.layers.iter().map(|layer| layer.op).collect();
        let footprint = footprint(network.input.shape, &ops).expect("its layers fit");
        let blob = write(&network).expect("random networks are within bounds");
        let model = blob.model().expect("the writer has parsed it");
        prop_assert_eq!(footprint.flash_bytes, blob.as_bytes().len());
        prop_assert_eq!(footprint.arena_bytes, model.arena_bytes());
    }
}
