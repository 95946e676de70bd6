//! Networks that are hard to quantize: what rescaling saves, and what is refused or reported.

use exporter::dataset::Images;
use exporter::export::{ExportError, Exported, export, export_rescaled};
use exporter::forward::Forward;
use exporter::network::{BatchNorm, Input, Layer, Network, Parameters};
use exporter::quantize::{Format, WeightBits};
use exporter::rescale::Rescaling;
use exporter::scale::Scales;
use exporter::verify::verify;
use exporter::write::WriteError;
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;

/// Builds a network layer by layer.
struct Builder {
    network: Network,
    numbers: ChaCha8Rng,
    shape: Shape,
}

impl Builder {
    fn new(shape: Shape) -> Self {
        Self {
            network: Network {
                input: Input {
                    shape,
                    zero: vec![128; shape.channels.into()],
                },
                layers: Vec::new(),
                classes: Vec::new(),
                provenance: String::new(),
            },
            numbers: ChaCha8Rng::seed_from_u64(1),
            shape,
        }
    }

    /// A layer with weights of ± `size(filter, channel)`, and no bias.
    fn weighted(
        mut self,
        op: Op,
        activation: Activation,
        size: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let (filters, fan_in) = (op.filters(self.shape), op.fan_in(self.shape));
        let channels = usize::from(self.shape.channels);
        let weights = (0..filters * fan_in).map(|position| {
            let (filter, channel) = (position / fan_in, position % fan_in % channels);
            size(filter, channel) * self.numbers.random_range(-1.0..1.0)
        });
        let parameters = Parameters {
            weights: weights.collect(),
            bias: vec![0.0; filters],
            norm: None,
        };
        self = self.then(op, activation);
        self.last().parameters = Some(parameters);
        self
    }

    /// A layer without weights.
    fn then(mut self, op: Op, activation: Activation) -> Self {
        self.network.layers.push(Layer {
            op,
            activation,
            parameters: None,
        });
        let shapes = self.network.shapes().expect("the operation fits");
        self.shape = shapes[shapes.len() - 1];
        self
    }

    fn last(&mut self) -> &mut Layer {
        self.network.layers.last_mut().expect("a layer")
    }

    fn with_bias(mut self, bias: impl Fn(usize) -> f32) -> Self {
        let parameters = self.last().parameters.as_mut().expect("weights");
        for (filter, value) in parameters.bias.iter_mut().enumerate() {
            *value = bias(filter);
        }
        self
    }

    /// Closed by four logits with weights of ± `size(channel)`.
    fn closed(self, size: impl Fn(usize) -> f32) -> Network {
        let op = Op::Dense { outputs: 4 };
        let mut closed = self.weighted(op, Activation::Linear, |_, channel| size(channel));
        closed.network.classes = (0..4).map(|class| class.to_string()).collect();
        closed.network
    }
}

const fn conv(kernel_size: u8, out_channels: u16) -> Op {
    let window = Window::square(kernel_size, 1, kernel_size / 2);
    Op::Conv {
        window,
        out_channels,
    }
}

const DEPTHWISE: Op = Op::Depthwise {
    window: Window::square(3, 1, 1),
};
const IMAGE: Shape = Shape::new(8, 8, 1);

/// 64 images to choose scales by, and 64 others to see what they are worth.
fn images(shape: Shape, contrast: f32) -> [Images; 2] {
    let mut numbers = ChaCha8Rng::seed_from_u64(2);
    [(); 2].map(|()| {
        let pixel = |_| (128.0 + 127.0 * contrast * numbers.random_range(-1.0..1.0)) as u8;
        let pixels = (0..64 * shape.elements()).map(pixel).collect();
        Images::new(shape, pixels, vec![0; 64])
    })
}

/// The largest error of a logit over `images`.
fn error(network: &Network, exported: &Exported, images: &Images) -> f64 {
    let model = exported.blob.model().expect("a blob");
    let found = verify(&model, network, images, usize::MAX).expect("they fit together");
    found.largest_difference
}

/// Exports a network both ways, and wants rescaling to make the largest error on other images
/// `factor` times smaller.
fn improves(network: &Network, contrast: f32, factor: f64) -> (Exported, Exported, Rescaling) {
    let [calibration, others] = images(network.input.shape, contrast);
    let plain = export(network, Product::Exact).expect("exportable as it is");
    let (rescaled, rescaling) =
        export_rescaled(network, Product::Exact, &calibration).expect("exportable rescaled");
    let (before, after) = (
        error(network, &plain, &others),
        error(network, &rescaled, &others),
    );
    assert!(
        after * factor < before,
        "{before} as trained, {after} rescaled\n{rescaling}"
    );
    (plain, rescaled, rescaling)
}

fn saturated(exported: &Exported) -> usize {
    let layers = exported.quantization.iter();
    layers.map(|layer| layer.saturated_weights).sum()
}

#[test]
fn depthwise_channels_a_thousand_times_apart() {
    // From 60 down to 0.06, undone by what reads them, so that all channels matter alike.
    let size = |channel: usize| 60.0 * 1000_f32.powf(-(channel as f32) / 7.0);
    let network = Builder::new(IMAGE)
        .weighted(conv(3, 8), Activation::Relu, |_, _| 0.5)
        .weighted(DEPTHWISE, Activation::Linear, |channel, _| size(channel))
        .weighted(conv(1, 8), Activation::Relu, |_, channel| {
            1.0 / size(channel)
        })
        .closed(|_| 0.3);
    let (_, rescaled, rescaling) = improves(&network, 1.0, 4.0);
    assert_eq!(saturated(&rescaled), 0);
    let depthwise = &rescaling.layers[1].exponents;
    assert!(depthwise[0] < depthwise[7], "{depthwise:?}");
}

#[test]
fn weights_beyond_the_range_and_below_its_resolution() {
    let network = Builder::new(IMAGE)
        .weighted(conv(3, 8), Activation::Relu, |_, _| 0.002)
        .weighted(DEPTHWISE, Activation::Relu, |_, _| 600.0)
        .closed(|_| 0.3);
    let (plain, rescaled, _) = improves(&network, 1.0, 20.0);
    assert!(saturated(&plain) > 0);
    assert_eq!(saturated(&rescaled), 0);
}

#[test]
fn batch_norm_of_tiny_variance() {
    let mut builder = Builder::new(IMAGE).weighted(conv(3, 8), Activation::Relu, |_, _| 1.0);
    let parameters = builder.last().parameters.as_mut().expect("weights");
    // Images of little contrast: 1 / sqrt(variance + epsilon) is 316.
    parameters.norm = Some(BatchNorm {
        variance: vec![1e-9; 8],
        ..BatchNorm::identity(8)
    });
    let network = builder.closed(|_| 0.1);
    let (plain, rescaled, _) = improves(&network, 0.05, 20.0);
    assert!(saturated(&plain) > 0);
    assert_eq!(saturated(&rescaled), 0);
}

#[test]
fn average_pooling_of_small_values() {
    let window = Window::square(8, 8, 0);
    let network = Builder::new(IMAGE)
        .weighted(conv(3, 8), Activation::Relu, |_, _| 0.01)
        .then(Op::AvgPool { window }, Activation::Linear)
        .closed(|_| 50.0);
    let (_, _, rescaling) = improves(&network, 1.0, 10.0);
    let convolution = &rescaling.layers[0].exponents;
    assert!(convolution.iter().all(|&exponent| exponent > 0));
}

#[test]
fn dead_channels_disturb_nothing() {
    // Two of three filters never fire: one has huge weights, the other none.
    let network = Builder::new(IMAGE)
        .weighted(conv(3, 3), Activation::Relu, |filter, _| {
            [300.0, 0.0, 0.02][filter]
        })
        .with_bias(|filter| [-3000.0, -1.0, 0.0][filter])
        .closed(|_| 1.0);
    let (plain, rescaled, _) = improves(&network, 1.0, 4.0);
    assert!(saturated(&plain) > 0);
    assert_eq!(saturated(&rescaled), 0);
}

#[test]
fn what_is_good_already_is_left_alone() {
    // Whole weights, and an image of one pixel: nothing is rounded.
    let mut network = Builder::new(Shape::new(1, 1, 1))
        .weighted(conv(1, 2), Activation::Relu, |_, _| 1.0)
        .closed(|_| 1.0);
    for layer in &mut network.layers {
        let parameters = layer.parameters.as_mut().expect("weights");
        parameters.weights.fill(1.0);
    }
    let [calibration, _] = images(network.input.shape, 1.0);
    let (rescaled, rescaling) =
        export_rescaled(&network, Product::Exact, &calibration).expect("exportable");
    assert_eq!(
        (rescaling.error_before, rescaling.error_after),
        (Some(0.0), 0.0)
    );
    assert!(rescaling.to_string().contains("layer 0: left as it is"));
    let plain = export(&network, Product::Exact).expect("exportable");
    assert_eq!(rescaled.blob, plain.blob);
}

#[test]
fn a_network_that_saturates_everywhere_is_reported() {
    let network = Builder::new(IMAGE)
        .weighted(conv(3, 4), Activation::Relu, |_, _| 1.0)
        .with_bias(|_| 1000.0)
        .weighted(conv(1, 4), Activation::Linear, |_, _| 0.1)
        .with_bias(|_| -900.0)
        .closed(|_| 0.1);
    let [calibration, others] = images(network.input.shape, 1.0);
    let plain = export(&network, Product::Exact).expect("exportable");
    let found = verify(
        &plain.blob.model().expect("a blob"),
        &network,
        &others,
        usize::MAX,
    );
    for stores in found.expect("they fit").stores {
        assert_eq!(stores.saturated(), stores.total());
    }
    let (rescaled, rescaling) =
        export_rescaled(&network, Product::Exact, &calibration).expect("exportable");
    let found = verify(
        &rescaled.blob.model().expect("a blob"),
        &network,
        &others,
        usize::MAX,
    );
    for stores in found.expect("they fit").stores {
        assert_eq!(stores.saturated(), 0, "{rescaling}");
    }
}

#[test]
fn a_sum_that_could_overflow_is_halved_until_it_cannot() {
    let weights = |_, _| 20.0;
    let network = Builder::new(IMAGE)
        .weighted(conv(3, 4), Activation::Relu, |_, _| 100.0)
        .weighted(conv(3, 4), Activation::Relu, weights)
        .closed(|_| 0.001);
    let exported = export(&network, Product::Exact).expect("exportable");
    assert!(exported.blob.model().is_ok());
    assert_eq!(saturated(&exported), 0);
}

#[test]
fn logits_that_could_overflow_are_refused_with_layer_and_filter() {
    let mut network = Builder::new(IMAGE)
        .weighted(conv(3, 4), Activation::Relu, |_, _| 100.0)
        .closed(|_| 0.1);
    let parameters = network.layers[1].parameters.as_mut().expect("weights");
    parameters.weights[2 * 256..3 * 256].fill(100.0);
    let error = export(&network, Product::Exact).expect_err("sums beyond 32 bits");
    assert!(
        matches!(
            error,
            ExportError::Write(WriteError::Overflow {
                layer: 1,
                filter: 2
            })
        ),
        "{error}"
    );
    let [calibration, _] = images(network.input.shape, 1.0);
    assert!(export_rescaled(&network, Product::Exact, &calibration).is_err());
    assert!(export(&network, PER_LAYER).is_ok(), "fewer fractional bits");
}

const PER_LAYER: Format = Format {
    product: Product::Exact,
    weight_bits: WeightBits::PerLayer,
};

#[test]
fn fractional_bits_per_layer_lower_the_error_further() {
    let network = of_all_operations();
    let [calibration, others] = images(network.input.shape, 1.0);
    let error = |format| {
        let (exported, _) = export_rescaled(&network, format, &calibration).expect("exportable");
        error(&network, &exported, &others)
    };
    let (fixed, free) = (error(Product::Exact.into()), error(PER_LAYER));
    assert!(free * 2.0 < fixed, "{fixed} in Q8.8, {free} per layer");
}

#[test]
fn fractional_bits_leave_room_for_the_sums() {
    // Weights below 1, of which 15 fractional bits would fit; 16 * 9 of them with inputs of up to 128
    // would not.
    let network = Builder::new(IMAGE)
        .weighted(conv(3, 16), Activation::Relu, |_, _| 100.0)
        .weighted(conv(3, 4), Activation::Relu, |_, _| 0.9)
        .closed(|_| 0.001);
    let exported = export(&network, PER_LAYER).expect("exportable");
    let model = exported.blob.model().expect("a blob");
    let frac_bits = model.layers().iter().map(|layer| {
        let parameters = layer.parameters().expect("weights");
        parameters.frac_bits()
    });
    let frac_bits: Vec<u8> = frac_bits.collect();
    assert_eq!(frac_bits[0], 8);
    assert!((9..15).contains(&frac_bits[1]), "{frac_bits:?}");
    assert_eq!(frac_bits[2], 15);
    assert_eq!(saturated(&exported), 0);
}

#[test]
fn images_of_another_shape_are_refused() {
    let network = Builder::new(IMAGE).closed(|_| 0.1);
    let [other, _] = images(Shape::new(4, 4, 1), 1.0);
    let error = export_rescaled(&network, Product::Exact, &other).expect_err("other images");
    assert!(error.to_string().contains("64 images of 4x4x1"), "{error}");
}

/// Every operation, with a residual block and a projection.
fn of_all_operations() -> Network {
    let pool = |size| Window::square(size, size, 0);
    Builder::new(Shape::new(12, 12, 2))
        .weighted(conv(3, 5), Activation::Relu, |_, _| 0.7)
        .weighted(DEPTHWISE, Activation::Relu, |_, _| 0.9)
        .weighted(conv(3, 5), Activation::Linear, |_, _| 0.4)
        .then(Op::Add { from: 0 }, Activation::Relu)
        .then(Op::MaxPool { window: pool(2) }, Activation::Linear)
        .weighted(conv(1, 3), Activation::Linear, |_, _| 0.8)
        .then(Op::Branch { from: 4 }, Activation::Linear)
        .weighted(conv(3, 3), Activation::Relu, |_, _| 0.5)
        .then(Op::Add { from: 5 }, Activation::Relu)
        .then(Op::AvgPool { window: pool(2) }, Activation::Linear)
        .weighted(Op::Dense { outputs: 6 }, Activation::Relu, |_, _| 0.3)
        .with_bias(|filter| filter as f32 / 8.0)
        .closed(|_| 0.3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Powers of two change no bit of the logits in f32.
    #[test]
    fn scales_do_not_change_the_function(seed: u64) {
        let network = of_all_operations();
        let mut numbers = ChaCha8Rng::seed_from_u64(seed);
        let mut scales = Scales::identity(&network).unwrap();
        for set in scales.sets() {
            let exponents = [(); 6].map(|()| numbers.random_range(-10..=10));
            scales.assign(set, exponents);
        }
        let scaled = scales.apply(&network);
        prop_assert_ne!(&scaled, &network);
        let [images, _] = images(network.input.shape, 1.0);
        for pixels in images.iter().take(4) {
            let logits = |network| Forward::new(network).unwrap().logits(pixels);
            prop_assert_eq!(logits(&network), logits(&scaled));
        }
    }
}

#[test]
fn residual_networks_are_rescaled_too() {
    let mut network = of_all_operations();
    // What computes the residual block is small; what reads it makes up for that.
    for layer in [0, 2] {
        let parameters = network.layers[layer].parameters.as_mut().expect("weights");
        parameters
            .weights
            .iter_mut()
            .for_each(|weight| *weight /= 64.0);
    }
    improves(&network, 1.0, 1.3);
}
