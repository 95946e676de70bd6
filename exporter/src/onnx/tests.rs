//! Forms of the same network: as our own export writes them, and as TensorFlow's converter does.

use prost::Message as _;
use runtime_nostd::geometry::Shape;

use super::graph::{Graph, IMAGE, Name, cast_to, float, int, ints};
use super::import::import;
use super::normalize::Normalization;
use super::proto::AttributeProto;
use super::proto::tensor_proto::DataType;
use crate::network::{Input, Network};

const CHANNELS: usize = 3;
const CLASSES: usize = 4;

/// A model that classifies images of 6x5 pixels by what `body` computes of the normalized map, channels
/// first, as rows of `features`.
fn model(features: usize, body: impl FnOnce(&mut Graph, Name) -> Name) -> Vec<u8> {
    let network = Network {
        input: Input {
            shape: Shape::new(6, 5, CHANNELS as u16),
            zero: vec![0; CHANNELS],
        },
        layers: Vec::new(),
        classes: ["a", "b", "c", "d"].map(String::from).to_vec(),
        provenance: String::new(),
    };
    let mut graph = Graph::default();
    let pixels = graph.node("Cast", &[IMAGE], cast_to(DataType::Float));
    let map = graph.node("Transpose", &[&pixels], vec![ints("perm", &[0, 3, 1, 2])]);
    let map = body(&mut graph, map);
    let row = graph.node("Flatten", &[&map], Vec::new());
    let weights = graph.floats(&[features, CLASSES], &values(features * CLASSES));
    graph.node("MatMul", &[&row, &weights], Vec::new());
    graph.finish(&network, DataType::Float).encode_to_vec()
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7 % 11) as f32 - 4.5).collect()
}

/// 2 filters of 3x3, as `Conv` with `attributes`: 4x3 outputs without padding.
fn conv(graph: &mut Graph, map: &str, attributes: Vec<AttributeProto>) -> Name {
    let weights = graph.floats(&[2, CHANNELS, 3, 3], &values(2 * CHANNELS * 9));
    let bias = graph.floats(&[2], &[8.25, -1.5]);
    graph.node("Conv", &[map, &weights, &bias], attributes)
}

fn network(model: &[u8]) -> Network {
    import(model, &Normalization::default()).unwrap().network
}

fn refusal(model: &[u8]) -> String {
    let refused = import(model, &Normalization::default()).unwrap_err();
    refused.to_string()
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        s: Some(value.into()),
        ..AttributeProto::default()
    }
}

#[test]
fn zeros_around_a_map_are_the_padding_of_the_convolution() {
    let padded = model(2 * 7 * 4, |graph, map| {
        conv(graph, &map, vec![ints("pads", &[2, 0, 1, 1])])
    });
    let as_attributes = model(2 * 7 * 4, |graph, map| {
        let pads = vec![ints("pads", &[0, 0, 2, 0, 0, 0, 1, 1])];
        let around = graph.node("Pad", &[&map], pads);
        conv(graph, &around, Vec::new())
    });
    // Before the transposition, and the convolution pads, too.
    let of_rows_and_columns = model(2 * 7 * 4, |graph, map| {
        let last = graph.node("Transpose", &[&map], vec![ints("perm", &[0, 2, 3, 1])]);
        let (pads, axes) = (graph.list(&[1, 0, 0, 1]), graph.list(&[1, -2]));
        let around = graph.node("Pad", &[&last, &pads, "", &axes], Vec::new());
        let first = graph.node("Transpose", &[&around], vec![ints("perm", &[0, 3, 1, 2])]);
        conv(graph, &first, vec![ints("pads", &[1, 0, 1, 0])])
    });
    assert_eq!(network(&as_attributes), network(&padded));
    assert_eq!(network(&of_rows_and_columns), network(&padded));
}

#[test]
fn same_padding_of_a_padded_map_counts_the_zeros() {
    let strides = || vec![ints("strides", &[2, 2])];
    let same = model(2 * 4 * 3, |graph, map| {
        let pads = vec![ints("pads", &[0, 0, 0, 0, 0, 0, 1, 1])];
        let around = graph.node("Pad", &[&map], pads);
        let same = [strides(), vec![text("auto_pad", "SAME_UPPER")]].concat();
        conv(graph, &around, same)
    });
    // 7 rows and 6 columns: 4 and 3 windows, which reach 9 rows and 7 columns.
    let explicit = model(2 * 4 * 3, |graph, map| {
        let pads = [strides(), vec![ints("pads", &[1, 0, 2, 2])]].concat();
        conv(graph, &map, pads)
    });
    assert_eq!(network(&same), network(&explicit));
}

#[test]
fn zeros_that_are_no_padding_of_a_convolution_are_refused() {
    let pad = |pads: &[i64], more: Vec<AttributeProto>| {
        let attributes = [vec![ints("pads", pads)], more].concat();
        model(2 * 7 * 4, |graph, map| {
            let around = graph.node("Pad", &[&map], attributes);
            conv(graph, &around, Vec::new())
        })
    };
    let rows = [0, 0, 2, 0, 0, 0, 1, 1];
    let cases = [
        (
            pad(&rows, vec![float("value", 1.0)]),
            "pads with a number other than 0",
        ),
        (
            pad(&rows, vec![text("mode", "reflect")]),
            "mode of reflect: ",
        ),
        (
            pad(&[0, 1, 0, 0, 0, 0, 0, 0], vec![]),
            "pads of [0, 1, 0, 0, 0, 0, 0, 0]: ",
        ),
        (
            pad(&[0, 0, -1, 0, 0, 0, 0, 0], vec![]),
            "pads of [0, 0, -1, 0, 0, 0, 0, 0]: ",
        ),
        (pad(&[1, 1], vec![]), "pads of [1, 1]: "),
    ];
    for (model, reason) in cases {
        let refusal = refusal(&model);
        let expected = format!("node \"Pad_2\" (Pad): {reason}");
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
    let pooled = model(CHANNELS * 4 * 3, |graph, map| {
        let pads = vec![ints("pads", &[0, 0, 0, 0, 0, 0, 1, 1])];
        let around = graph.node("Pad", &[&map], pads);
        let window = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
        graph.node("MaxPool", &[&around], window)
    });
    let message =
        "node \"MaxPool_3\" (MaxPool): reads what a Pad wrote, which only a convolution can";
    assert_eq!(refusal(&pooled), message);
}

#[test]
fn a_map_is_not_cast_to_integers() {
    let refused = refusal(&model(2 * 4 * 3, |graph, map| {
        let map = conv(graph, &map, Vec::new());
        let cut = graph.node("Cast", &[&map], cast_to(DataType::Int64));
        graph.node("Cast", &[&cut], cast_to(DataType::Float))
    }));
    assert!(
        refused.contains("int64: a map can be cast to floating-point numbers only"),
        "{refused}"
    );
}

#[test]
fn a_softmax_is_refused_as_any_input_of_another_node() {
    for softmax_first in [false, true] {
        let refused = refusal(&model(CLASSES, |graph, map| {
            let row = graph.node("Flatten", &[&map], Vec::new());
            let features = 6 * 5 * CHANNELS;
            let weights = graph.floats(&[features, CLASSES], &values(features * CLASSES));
            let logits = graph.node("MatMul", &[&row, &weights], Vec::new());
            let softmax = graph.node("Softmax", &[&logits], vec![int("axis", 1)]);
            let prior = graph.floats(&[CLASSES], &values(CLASSES));
            let inputs = if softmax_first {
                [&softmax, &prior]
            } else {
                [&prior, &softmax]
            };
            graph.node("Add", &inputs.map(String::as_str), Vec::new())
        }));
        assert!(refused.contains("(Add): reads a softmax"), "{refused}");
    }
}

#[test]
fn a_map_is_not_added_to_itself() {
    let refused = refusal(&model(2 * 4 * 3, |graph, map| {
        let map = conv(graph, &map, Vec::new());
        graph.node("Add", &[&map, &map], Vec::new())
    }));
    assert!(refused.contains("adds a map to itself"), "{refused}");
}

#[test]
fn what_folds_to_no_number_is_refused() {
    let refused = refusal(&model(2 * 4 * 3, |graph, map| {
        let map = conv(graph, &map, Vec::new());
        let [one, variance] = [1.0, -1.0].map(|value| graph.floats(&[2], &[value; 2]));
        graph.node(
            "BatchNormalization",
            &[&map, &one, &one, &one, &variance],
            Vec::new(),
        )
    }));
    assert!(refused.contains("not a number"), "{refused}");
}

#[test]
fn relu_with_a_maximum_has_three_forms() {
    let clip = model(2 * 4 * 3, |graph, map| {
        let map = conv(graph, &map, Vec::new());
        graph.node("Clip", &[&map], vec![float("min", 0.0), float("max", 6.0)])
    });
    let max_then_min = model(2 * 4 * 3, |graph, map| {
        let map = conv(graph, &map, Vec::new());
        let (zero, six) = (graph.floats(&[], &[0.0]), graph.floats(&[1], &[6.0]));
        let positive = graph.node("Max", &[&map, &zero], Vec::new());
        graph.node("Min", &[&six, &positive], Vec::new())
    });
    assert_eq!(network(&max_then_min), network(&clip));
    for (operator, number, reason) in [
        ("Max", 0.5, "with a number other than 0"),
        ("Min", 0.3, "clips to -inf .. 0.3: "),
    ] {
        let refused = model(2 * 4 * 3, |graph, map| {
            let map = conv(graph, &map, Vec::new());
            let number = graph.floats(&[], &[number]);
            graph.node(operator, &[&map, &number], Vec::new())
        });
        let refusal = refusal(&refused);
        let expected = format!("node \"{operator}_3\" ({operator}): {reason}");
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
}

#[test]
fn factors_behind_a_convolution_become_part_of_it() {
    let scaled = model(2 * 4 * 3, |graph, map| {
        let map = conv(graph, &map, Vec::new());
        let (scale, shift) = (
            graph.floats(&[1, 2, 1, 1], &[2.0, -0.5]),
            graph.floats(&[2, 1, 1], &[1.0, 3.0]),
        );
        let map = graph.node("Mul", &[&map, &scale], Vec::new());
        graph.node("Add", &[&map, &shift], Vec::new())
    });
    let plain = model(2 * 4 * 3, |graph, map| conv(graph, &map, Vec::new()));
    let (scaled, plain) = (network(&scaled), network(&plain));
    assert_eq!(scaled.layers.len(), plain.layers.len());
    let [scaled, plain] = [&scaled, &plain].map(|network| network.layers[0].parameters.as_ref());
    let (scaled, plain) = (scaled.unwrap(), plain.unwrap());
    assert_eq!(
        scaled.bias,
        [2.0 * plain.bias[0] + 1.0, -0.5 * plain.bias[1] + 3.0]
    );
    let factors = [2.0, -0.5]
        .into_iter()
        .flat_map(|factor| [factor; CHANNELS * 9]);
    let expected = plain
        .weights
        .iter()
        .zip(factors)
        .map(|(weight, factor)| weight * factor);
    assert!(scaled.weights.iter().copied().eq(expected));
}

#[test]
fn rows_of_features_may_have_their_number_of_images_sliced_from_a_shape() {
    let flat = model(2 * 4 * 3, |graph, map| conv(graph, &map, Vec::new()));
    let sliced = |attributes: bool, bounds: [i64; 2]| {
        model(2 * 4 * 3, |graph, map| {
            let map = conv(graph, &map, Vec::new());
            let shape = graph.node("Shape", &[&map], Vec::new());
            let [start, end] = bounds;
            let batch = if attributes {
                let bounds = vec![ints("starts", &[start]), ints("ends", &[end])];
                graph.node("Slice", &[&shape], bounds)
            } else {
                let [start, end] = [start, end].map(|at| graph.list(&[at]));
                graph.node("Slice", &[&shape, &start, &end], Vec::new())
            };
            let features = graph.list(&[24]);
            let dims = graph.node("Concat", &[&batch, &features], vec![int("axis", 0)]);
            graph.node("Reshape", &[&map, &dims], Vec::new())
        })
    };
    for attributes in [false, true] {
        assert_eq!(network(&sliced(attributes, [0, 1])), network(&flat));
        assert_eq!(network(&sliced(attributes, [-4, -3])), network(&flat));
    }
    let refusal = refusal(&sliced(false, [1, 2]));
    assert!(
        refusal.starts_with("node \"Reshape_6\" (Reshape): "),
        "{refusal}"
    );
}

#[test]
fn a_maximum_over_rows_and_columns_is_global_pooling() {
    let global = model(2, |graph, map| {
        let map = conv(graph, &map, Vec::new());
        graph.node("GlobalMaxPool", &[&map], Vec::new())
    });
    let reduced = model(2, |graph, map| {
        let map = conv(graph, &map, Vec::new());
        let last = graph.node("Transpose", &[&map], vec![ints("perm", &[0, 2, 3, 1])]);
        let axes = graph.list(&[1, 2]);
        graph.node("ReduceMax", &[&last, &axes], vec![int("keepdims", 0)])
    });
    assert_eq!(network(&reduced), network(&global));
}
