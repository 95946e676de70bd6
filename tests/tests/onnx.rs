//! Models that PyTorch and Keras trained and exported, against the logits of ONNX Runtime.

use std::fs;
use std::path::Path;

use exporter::export::export;
use exporter::forward::Forward;
use exporter::network::Network;
use exporter::onnx::{self, Imported, Normalization, PixelRange, import};
use exporter::verify::argmax;
use proptest::prelude::*;
use runtime_nostd::blob::crc32;
use runtime_nostd::geometry::Op;
use runtime_nostd::q8_8::Product;

/// ONNX Runtime and our loops sum in different orders.
const TOLERANCE: f32 = 1e-4;

/// A model of `tests/onnx`, and what it was trained on.
struct Model {
    name: &'static str,
    mean: &'static [f64],
    std: &'static [f64],
    range: PixelRange,
}

const MODELS: [Model; 8] = [
    Model {
        name: "lenet-mnist",
        mean: &[0.1307],
        std: &[0.3081],
        range: PixelRange::Unit,
    },
    Model {
        name: "resnet-cifar10",
        mean: &CIFAR_MEAN,
        std: &[0.25],
        range: PixelRange::Unit,
    },
    Model {
        name: "resnet-cifar10-norm",
        mean: &CIFAR_MEAN,
        std: &[0.25],
        range: PixelRange::Unit,
    },
    Model {
        name: "mobilenet-mnist",
        mean: &[],
        std: &[],
        range: PixelRange::Unit,
    },
    Model {
        name: "average-mnist",
        mean: &[],
        std: &[],
        range: PixelRange::Unit,
    },
    Model {
        name: "keras-mnist",
        mean: &[],
        std: &[],
        range: PixelRange::Unit,
    },
    Model {
        name: "keras-cifar10",
        mean: &[],
        std: &[],
        range: PixelRange::Byte,
    },
    Model {
        name: "keras-cifar10-nchw",
        mean: &[],
        std: &[],
        range: PixelRange::Byte,
    },
];

const CIFAR_MEAN: [f64; 3] = [125.0 / 255.0, 123.0 / 255.0, 114.0 / 255.0];

impl Model {
    fn bytes(&self) -> Vec<u8> {
        self.file("onnx")
    }

    fn file(&self, extension: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx");
        fs::read(folder.join(self.name).with_extension(extension)).expect(self.name)
    }

    fn normalization(&self) -> Normalization {
        Normalization {
            mean: self.mean.to_vec(),
            std: self.std.to_vec(),
            range: self.range,
            ..Normalization::default()
        }
    }

    fn imported(&self) -> Imported {
        import(&self.bytes(), &self.normalization()).expect(self.name)
    }

    /// Images, each with ONNX Runtime's logits.
    fn reference(&self) -> Vec<(Vec<u8>, Vec<f32>)> {
        let bytes = self.file("reference");
        let (header, rest) = bytes.split_at(12);
        let number = |at: usize| u32::from_le_bytes(*header[4 * at..].first_chunk().unwrap());
        let [images, pixels, classes] = [0, 1, 2].map(|at| number(at) as usize);
        let (pixel_bytes, logits) = rest.split_at(images * pixels);
        let logits = logits
            .as_chunks()
            .0
            .iter()
            .map(|&raw| f32::from_le_bytes(raw));
        let logits: Vec<f32> = logits.collect();
        let logits = logits.chunks_exact(classes).map(<[f32]>::to_vec);
        let pixels = pixel_bytes.chunks_exact(pixels).map(<[u8]>::to_vec);
        pixels.zip(logits).collect()
    }
}

/// Logits up to a constant: what comes out of a softmax's logarithm is that, too.
fn centered(logits: &[f32]) -> Vec<f32> {
    let mean = logits.iter().sum::<f32>() / logits.len() as f32;
    logits.iter().map(|logit| logit - mean).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn imported_models_give_onnx_runtimes_logits() {
    for model in MODELS {
        let imported = model.imported();
        assert_eq!(imported.padding_error, 0.0, "{}", model.name);
        let forward = Forward::new(&imported.network).unwrap();
        let reference = model.reference();
        assert!(reference.len() >= 8);
        for (pixels, logits) in &reference {
            let found = centered(&forward.logits(pixels));
            let difference = largest_difference(&found, &centered(logits));
            assert!(difference < TOLERANCE, "{}: {difference}", model.name);
        }
    }
}

#[test]
fn imported_models_can_be_deployed() {
    for model in MODELS {
        let network = model.imported().network;
        let blob = export(&network, Product::Exact).expect(model.name).blob;
        let blob = blob.model().unwrap();
        let mut scratch = vec![0; blob.arena_bytes() / 4];
        let reference = model.reference();
        let mut agrees = |(pixels, logits): &&(Vec<u8>, Vec<f32>)| {
            blob.infer(&mut scratch, pixels).unwrap().class() == argmax(logits)
        };
        let agreeing = reference.iter().filter(&mut agrees).count();
        assert!(
            agreeing + 1 >= reference.len(),
            "{}: {agreeing}",
            model.name
        );
    }
}

fn names(network: &Network) -> Vec<&'static str> {
    network.layers.iter().map(|layer| layer.op.name()).collect()
}

#[test]
fn nodes_become_as_few_layers_as_there_can_be() {
    let [
        lenet,
        resnet,
        resnet_norm,
        mobilenet,
        average,
        flat,
        separable,
        channels_first,
    ] = MODELS.map(|model| model.imported().network);
    assert_eq!(
        names(&lenet),
        ["conv", "max pool", "conv", "max pool", "dense", "dense"]
    );
    assert_eq!(names(&resnet).len(), 16);
    // Where the exporter left batch normalization, the network keeps it, to be trained further.
    let norms = |network: &Network| {
        let parameters = network.layers.iter().filter_map(|l| l.parameters.as_ref());
        parameters.filter(|p| p.norm.is_some()).count()
    };
    assert_eq!((norms(&resnet), norms(&resnet_norm)), (0, 9));
    let depthwise = |layer: &&exporter::network::Layer| matches!(layer.op, Op::Depthwise { .. });
    // Three of the model's own, and two for each of seven ReLU6.
    assert_eq!(mobilenet.layers.iter().filter(depthwise).count(), 3 + 2 * 7);
    assert_eq!(
        names(&average),
        [
            "conv", "avg pool", "conv", "avg pool", "conv", "avg pool", "dense"
        ]
    );
    assert_eq!(names(&flat), ["conv", "max pool", "conv", "dense", "dense"]);
    // A first convolution, three pairs, pooling, dense; and two for each of seven ReLU6. What is left
    // of the depthwise ones' normalization, factors and summands, is part of them.
    assert_eq!(separable.layers.len(), 1 + 3 * 2 + 2 + 2 * 7);
    // Both have the same weights, and their own image normalized in the same units.
    assert_eq!(channels_first.layers, separable.layers);
    assert_eq!(separable.input.zero, [128; 3]);
}

#[test]
fn exported_models_come_back_bit_for_bit() {
    for model in MODELS {
        let network = model.imported().network;
        let exported = onnx::export(&network).unwrap();
        let again = import(&exported, &Normalization::default()).unwrap();
        assert_eq!(again.network.layers, network.layers, "{}", model.name);
        assert_eq!(again.network.input, network.input);
    }
}

/// The export that `tests/onnx-peers` has seen give the blob's bits in ONNX Runtime.
#[test]
fn the_integer_export_is_the_one_that_was_compared() {
    let crc = MODELS.map(|model| {
        let network = model.imported().network;
        crc32(&onnx::export_integer(&network).unwrap())
    });
    assert_eq!(
        crc,
        [
            2_747_177_399,
            406_440_166,
            3_240_068_704,
            1_833_974_102,
            3_573_354_891,
            4_144_280_924,
            2_075_385_038,
            2_075_385_038
        ]
    );
}

#[test]
fn a_mean_between_two_pixel_values_is_reported() {
    let model = &MODELS[1];
    let normalization = Normalization {
        mean: vec![0.4914, 0.4822, 0.4465],
        ..model.normalization()
    };
    let imported = import(&model.bytes(), &normalization).unwrap();
    assert_eq!(imported.network.input.zero, [125, 123, 114]);
    assert!(imported.padding_error > 1e-3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens to a file, it is an error or a network that runs.
    #[test]
    fn damaged_models_are_refused_or_run(
        model in 0..MODELS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
        truncate in prop::bool::weighted(0.3),
    ) {
        let model = &MODELS[model];
        let mut bytes = model.bytes();
        for (at, value) in damage {
            *at.get_mut(&mut bytes) = value;
        }
        if truncate {
            bytes.truncate(length.index(bytes.len()));
        }
        if let Ok(imported) = import(&bytes, &model.normalization()) {
            Forward::new(&imported.network).expect("checked");
        }
    }
}
