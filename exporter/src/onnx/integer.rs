//! A quantized network as a model in 32-bit integers, which gives the device's logits bit for bit in
//! any runtime that follows the specification of its operators.
//!
//! Convolutions with integers exist for 8 bits only. But a convolution is a product of matrices: the
//! elements under each tap of the kernel are a strided slice of the padded map, the slices side by
//! side are a matrix with a row for each window, and `MatMul` of `int32` is exact, since the sums
//! of a network that can be exported fit 32 bits in any order. Maps are channels last throughout.

use prost::Message as _;
use runtime_nostd::geometry::{Activation, Op, Shape, Window};
use runtime_nostd::q8_8::Product;

use super::graph::{Graph, IMAGE, Name, cast_to, first_of_dense_tail, int};
use super::proto::tensor_proto::DataType;
use crate::export::{ExportError, Proven, prove};
use crate::network::Network;
use crate::quantize::{FixedLayer, FixedParameters};
use crate::scale::Scales;

/// The least and the greatest activation.
const ACTIVATIONS: (i32, i32) = (i16::MIN as i32, i16::MAX as i32);

/// The bytes of a model that computes what the blob of `network` computes, with exact products: the
/// input is the device's images, bytes in `[batch, rows, columns, channels]`, and the output its
/// raw logits, `int32`.
///
/// # Errors
/// As [`export`](crate::export::export): only a network whose sums fit 32 bits has these logits.
pub fn export_integer(network: &Network) -> Result<Vec<u8>, ExportError> {
    let shapes = network.check()?;
    let Proven { fixed, .. } = prove(network, Product::Exact.into(), &Scales::identity(network)?)?;
    let mut writer = Writer {
        graph: Graph::default(),
        outputs: Vec::new(),
    };
    let mut last = writer.image(&fixed.input.zero);
    let logits = fixed.layers.len().saturating_sub(1);
    let tail = first_of_dense_tail(fixed.layers.iter().map(|layer| layer.op));
    for (index, (layer, &shape)) in fixed.layers.iter().zip(&shapes).enumerate() {
        if index <= tail && matches!(layer.op, Op::Dense { .. }) {
            last = writer.graph.node("Flatten", &[&last], vec![int("axis", 1)]);
        }
        let sums = writer.sums(layer, shape, &last);
        last = match &layer.parameters {
            Some(parameters) if index < logits => {
                writer.stored(&sums, parameters.frac_bits, layer.activation)
            }
            _ => sums,
        };
        if let Op::Dense { outputs } = layer.op
            && index < tail
        {
            last = writer.graph.reshaped(&last, &[0, 1, 1, outputs.into()]);
        }
        writer.outputs.push(last.clone());
    }
    let model = writer.graph.finish(network, DataType::Int32);
    Ok(model.encode_to_vec())
}

struct Writer {
    graph: Graph,
    /// Each layer's output so far.
    outputs: Vec<Name>,
}

impl Writer {
    /// `p - zero`.
    fn image(&mut self, zero: &[u8]) -> Name {
        let zero: Vec<i32> = zero.iter().map(|&pixel| pixel.into()).collect();
        let pixels = self.graph.node("Cast", &[IMAGE], cast_to(DataType::Int32));
        let zero = self.graph.ints(&[zero.len()], &zero);
        self.graph.node("Sub", &[&pixels, &zero], Vec::new())
    }

    /// The output of a layer that reads a map of shape `input`; of one with weights, its sums.
    fn sums(&mut self, layer: &FixedLayer, input: Shape, last: &str) -> Name {
        match (layer.op, &layer.parameters) {
            (Op::Conv { window, .. }, Some(parameters)) => {
                let taps = self.taps(window, input, last, 0);
                let names: Vec<&str> = taps.iter().map(String::as_str).collect();
                let rows = self.graph.node("Concat", &names, vec![int("axis", 3)]);
                self.product(&rows, parameters)
            }
            (Op::Depthwise { window }, Some(parameters)) => {
                self.depthwise(window, input, parameters, last)
            }
            (Op::Dense { .. }, Some(parameters)) => self.product(last, parameters),
            (Op::MaxPool { window }, _) => {
                let taps = self.taps(window, input, last, ACTIVATIONS.0);
                let names: Vec<&str> = taps.iter().map(String::as_str).collect();
                self.graph.node("Max", &names, Vec::new())
            }
            (Op::AvgPool { window }, _) => self.mean(window, input, last),
            (Op::Add { from }, _) => {
                let other = self.outputs[usize::from(from)].clone();
                let sum = self.graph.node("Add", &[last, &other], Vec::new());
                let low = lowest(layer.activation);
                self.clamped(&sum, low, ACTIVATIONS.1)
            }
            (Op::Branch { from }, _) => self.outputs[usize::from(from)].clone(),
            (Op::Conv { .. } | Op::Depthwise { .. } | Op::Dense { .. }, None) => {
                unreachable!("Network::check refuses this")
            }
        }
    }

    /// The elements of the map under each tap of the window, one slice per tap, row by row. What
    /// lies outside the map is `outside`.
    fn taps(&mut self, window: Window, input: Shape, last: &str, outside: i32) -> Vec<Name> {
        let (height, width) = window.output(input).unwrap_or((0, 0));
        let before = [window.pad_top, window.pad_left].map(i64::from);
        let after = [window.pad_bottom, window.pad_right].map(i64::from);
        let mut padded = last.to_owned();
        if before.iter().chain(&after).any(|&pad| pad > 0) {
            let pads = [
                0, before[0], before[1], 0, //
                0, after[0], after[1], 0,
            ];
            let pads = self.graph.list(&pads);
            let outside = self.graph.ints(&[], &[outside]);
            padded = self.graph.node("Pad", &[last, &pads, &outside], Vec::new());
        }
        let strides = [window.stride_h, window.stride_w].map(i64::from);
        let reach = [
            (i64::from(height) - 1) * strides[0] + 1,
            (i64::from(width) - 1) * strides[1] + 1,
        ];
        let axes = self.graph.list(&[1, 2]);
        let steps = self.graph.list(&strides);
        let kernel_w = i64::from(window.kernel_w);
        let taps = (0..i64::from(window.kernel_h) * kernel_w).map(|tap| {
            let (row, column) = (tap / kernel_w, tap % kernel_w);
            let starts = self.graph.list(&[row, column]);
            let ends = self.graph.list(&[row + reach[0], column + reach[1]]);
            let inputs = [padded.as_str(), &starts, &ends, &axes, &steps];
            self.graph.node("Slice", &inputs, Vec::new())
        });
        taps.collect()
    }

    /// `rows · weights + bias`, the rows of `rows` innermost.
    fn product(&mut self, rows: &str, layer: &FixedParameters) -> Name {
        let filters = layer.bias.len();
        let fan_in = layer.weights.len() / filters.max(1);
        let weight = |term: usize, filter: usize| i32::from(layer.weights[filter * fan_in + term]);
        let columns = (0..fan_in).flat_map(|term| (0..filters).map(move |f| weight(term, f)));
        let columns: Vec<i32> = columns.collect();
        let weights = self.graph.ints(&[fan_in, filters], &columns);
        let bias = self.graph.ints(&[filters], &layer.bias);
        let products = self.graph.node("MatMul", &[rows, &weights], Vec::new());
        self.graph.node("Add", &[&products, &bias], Vec::new())
    }

    fn depthwise(
        &mut self,
        window: Window,
        input: Shape,
        layer: &FixedParameters,
        last: &str,
    ) -> Name {
        let channels = layer.bias.len();
        let area = window.area();
        let mut sum = self.graph.ints(&[channels], &layer.bias);
        for (tap, elements) in self.taps(window, input, last, 0).iter().enumerate() {
            let weights = (0..channels).map(|channel| layer.weights[channel * area + tap].into());
            let weights: Vec<i32> = weights.collect();
            let weights = self.graph.ints(&[channels], &weights);
            let products = self.graph.node("Mul", &[elements, &weights], Vec::new());
            sum = self.graph.node("Add", &[&sum, &products], Vec::new());
        }
        sum
    }

    /// `floor((2·Σ + n) / (2·n))`, n elements inside the map.
    fn mean(&mut self, window: Window, input: Shape, last: &str) -> Name {
        let sum = if Window::covering(input) == Ok(window) {
            // One window, which may be large.
            let axes = self.graph.list(&[1, 2]);
            self.graph.node("ReduceSum", &[last, &axes], Vec::new())
        } else {
            let taps = self.taps(window, input, last, 0).into_iter();
            let add = |a: Name, b: Name| self.graph.node("Add", &[&a, &b], Vec::new());
            taps.reduce(add).unwrap_or_default()
        };
        let (height, width) = window.output(input).unwrap_or((0, 0));
        let [height, width] = [height, width].map(usize::from);
        let positions = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let counts = positions.map(|(y, x)| crate::forward::taps(window, input, y, x).count());
        let counts: Vec<i64> = counts.map(|count| count as i64).collect();
        // In 64 bits: twice the sum over a large window may be beyond 32.
        let mut per_position = |values: Vec<i64>| {
            let list = self.graph.list(&values);
            self.graph
                .reshaped(&list, &[height as i64, width as i64, 1])
        };
        // Division truncates: what is divided is made positive, by a multiple of the divisor.
        let lowest = i64::from(ACTIVATIONS.0);
        let shifts = counts.iter().map(|n| n - 2 * n * lowest).collect();
        let shifts = per_position(shifts);
        let divisors = per_position(counts.iter().map(|n| 2 * n).collect());
        let lowest = self.graph.list(&[lowest]);
        let graph = &mut self.graph;
        let wide = graph.node("Cast", &[&sum], cast_to(DataType::Int64));
        let twice = graph.node("Add", &[&wide, &wide], Vec::new());
        let shifted = graph.node("Add", &[&twice, &shifts], Vec::new());
        let quotient = graph.node("Div", &[&shifted, &divisors], Vec::new());
        let mean = graph.node("Add", &[&quotient, &lowest], Vec::new());
        graph.node("Cast", &[&mean], cast_to(DataType::Int32))
    }

    /// `clamp((acc + (1 << (f - 1))) >> f, low, 32767)`, rounding half up.
    fn stored(&mut self, sums: &str, frac_bits: u8, activation: Activation) -> Name {
        let scale = 1i32 << frac_bits;
        let half = self.graph.ints(&[], &[scale / 2]);
        let rounded = self.graph.node("Add", &[sums, &half], Vec::new());
        // Clamped before the shift, which is the same: so nothing below overflows.
        let low = lowest(activation);
        let clamped = self.clamped(&rounded, low * scale, ACTIVATIONS.1 * scale + (scale - 1));
        // Division truncates: what is divided is made positive.
        let offset = self.graph.ints(&[], &[low * scale]);
        let positive = self.graph.node("Sub", &[&clamped, &offset], Vec::new());
        let scale = self.graph.ints(&[], &[scale]);
        let quotient = self.graph.node("Div", &[&positive, &scale], Vec::new());
        let low = self.graph.ints(&[], &[low]);
        self.graph.node("Add", &[&quotient, &low], Vec::new())
    }

    fn clamped(&mut self, value: &str, low: i32, high: i32) -> Name {
        let low = self.graph.ints(&[], &[low]);
        let high = self.graph.ints(&[], &[high]);
        self.graph.node("Clip", &[value, &low, &high], Vec::new())
    }
}

fn lowest(activation: Activation) -> i32 {
    match activation {
        Activation::Linear => ACTIVATIONS.0,
        Activation::Relu => 0,
    }
}
