//! The arithmetic once more, written to be obviously right: whole feature maps, `i64` sums, one loop
//! per dimension, floor division. It shares no code with the runtime but the geometry's types.

use exporter::quantize::{FixedLayer, FixedNetwork, FixedParameters};
use runtime_nostd::geometry::{Activation, Op, Window};
use runtime_nostd::q8_8::Product;

/// A whole feature map, HWC.
#[derive(Clone, Debug)]
struct Map {
    height: i64,
    width: i64,
    channels: i64,
    values: Vec<i64>,
}

impl Map {
    fn new(height: i64, width: i64, channels: i64) -> Self {
        Self {
            height,
            width,
            channels,
            values: vec![0; (height * width * channels) as usize],
        }
    }

    fn contains(&self, y: i64, x: i64) -> bool {
        (0..self.height).contains(&y) && (0..self.width).contains(&x)
    }

    fn index(&self, y: i64, x: i64, c: i64) -> usize {
        ((y * self.width + x) * self.channels + c) as usize
    }

    /// The value at a place, 0 outside the map.
    fn at(&self, y: i64, x: i64, c: i64) -> i64 {
        if self.contains(y, x) {
            self.values[self.index(y, x, c)]
        } else {
            0
        }
    }
}

/// The logits of one image, raw.
pub fn logits(network: &FixedNetwork, pixels: &[u8]) -> Vec<i64> {
    let shape = network.input.shape;
    let mut map = Map::new(
        shape.height.into(),
        shape.width.into(),
        shape.channels.into(),
    );
    for (index, value) in map.values.iter_mut().enumerate() {
        let channel = index % usize::from(shape.channels);
        *value = i64::from(pixels[index]) - i64::from(network.input.zero[channel]);
    }
    let mut maps = vec![map];
    for layer in &network.layers {
        let map = match layer.op {
            Op::Branch { from } => &maps[usize::from(from) + 1],
            _ => maps.last().expect("the image is there"),
        };
        let is_last = maps.len() == network.layers.len();
        let output = match layer.op {
            _ if is_last => sums(layer, map, network.product),
            Op::Add { from } => add(layer, map, &maps[usize::from(from) + 1]),
            _ => run(layer, map, network.product),
        };
        maps.push(output);
    }
    maps.pop().expect("a network has layers").values
}

/// The least value that a layer stores.
fn least(layer: &FixedLayer) -> i64 {
    match layer.activation {
        Activation::Relu => 0,
        Activation::Linear => -32768,
    }
}

fn add(layer: &FixedLayer, a: &Map, b: &Map) -> Map {
    let mut map = a.clone();
    for (sum, &b) in map.values.iter_mut().zip(&b.values) {
        *sum = (*sum + b).clamp(least(layer), 32767);
    }
    map
}

/// A hidden layer that reads one map: its sums requantized, or its pooling.
fn run(layer: &FixedLayer, input: &Map, product: Product) -> Map {
    match layer.op {
        Op::Conv { .. } | Op::Dense { .. } | Op::Depthwise { .. } => {
            let frac_bits = layer.parameters.as_ref().map_or(0, |p| p.frac_bits);
            let mut map = sums(layer, input, product);
            for value in &mut map.values {
                let rounded = match product {
                    Product::Exact => divide_half_up(*value, 1 << frac_bits),
                    Product::Rounded => *value,
                };
                *value = rounded.clamp(least(layer), 32767);
            }
            map
        }
        Op::MaxPool { window } => pool(window, input, |elements| {
            *elements.iter().max().expect("a window has elements")
        }),
        Op::AvgPool { window } => pool(window, input, |elements| {
            divide_half_up(elements.iter().sum(), elements.len() as i64)
        }),
        Op::Branch { .. } => input.clone(),
        Op::Add { .. } => panic!("an addition reads two maps"),
    }
}

/// The accumulators of a layer with weights.
fn sums(layer: &FixedLayer, input: &Map, product: Product) -> Map {
    let parameters = layer.parameters.as_ref().expect("a layer with weights");
    let multiply = |x: i64, w: i64| match product {
        Product::Exact => x * w,
        Product::Rounded => divide_half_up(x * w, 256).clamp(-32768, 32767),
    };
    match layer.op {
        Op::Conv { window, .. } => convolution(window, parameters, input, multiply),
        Op::Depthwise { window } => depthwise(window, parameters, input, multiply),
        Op::Dense { outputs } => {
            let mut map = Map::new(1, 1, outputs.into());
            for (filter, sum) in map.values.iter_mut().enumerate() {
                *sum = parameters.bias[filter].into();
                for (element, &x) in input.values.iter().enumerate() {
                    let weight = parameters.weights[filter * input.values.len() + element];
                    *sum += multiply(x, weight.into());
                }
            }
            map
        }
        Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add { .. } | Op::Branch { .. } => {
            panic!("no sums")
        }
    }
}

fn convolution(
    window: Window,
    parameters: &FixedParameters,
    input: &Map,
    multiply: impl Fn(i64, i64) -> i64,
) -> Map {
    let (height, width) = output_size(window, input);
    let (kernel_h, kernel_w) = (i64::from(window.kernel_h), i64::from(window.kernel_w));
    let mut map = Map::new(height, width, parameters.bias.len() as i64);
    for y in 0..height {
        for x in 0..width {
            for filter in 0..map.channels {
                let mut sum = i64::from(parameters.bias[filter as usize]);
                for ky in 0..kernel_h {
                    for kx in 0..kernel_w {
                        for c in 0..input.channels {
                            let row = y * i64::from(window.stride_h) - i64::from(window.pad_top);
                            let column =
                                x * i64::from(window.stride_w) - i64::from(window.pad_left);
                            let place =
                                ((filter * kernel_h + ky) * kernel_w + kx) * input.channels + c;
                            let weight = parameters.weights[place as usize];
                            sum += multiply(input.at(row + ky, column + kx, c), weight.into());
                        }
                    }
                }
                let index = map.index(y, x, filter);
                map.values[index] = sum;
            }
        }
    }
    map
}

fn depthwise(
    window: Window,
    parameters: &FixedParameters,
    input: &Map,
    multiply: impl Fn(i64, i64) -> i64,
) -> Map {
    let (height, width) = output_size(window, input);
    let (kernel_h, kernel_w) = (i64::from(window.kernel_h), i64::from(window.kernel_w));
    let mut map = Map::new(height, width, input.channels);
    for y in 0..height {
        for x in 0..width {
            for c in 0..input.channels {
                let mut sum = i64::from(parameters.bias[c as usize]);
                for ky in 0..kernel_h {
                    for kx in 0..kernel_w {
                        let row = y * i64::from(window.stride_h) - i64::from(window.pad_top);
                        let column = x * i64::from(window.stride_w) - i64::from(window.pad_left);
                        let place = (c * kernel_h + ky) * kernel_w + kx;
                        let weight = parameters.weights[place as usize];
                        sum += multiply(input.at(row + ky, column + kx, c), weight.into());
                    }
                }
                let index = map.index(y, x, c);
                map.values[index] = sum;
            }
        }
    }
    map
}

fn pool(window: Window, input: &Map, reduce: impl Fn(&[i64]) -> i64) -> Map {
    let (height, width) = output_size(window, input);
    let mut map = Map::new(height, width, input.channels);
    for y in 0..height {
        for x in 0..width {
            for c in 0..input.channels {
                let mut elements = Vec::new();
                for ky in 0..i64::from(window.kernel_h) {
                    for kx in 0..i64::from(window.kernel_w) {
                        let row = y * i64::from(window.stride_h) - i64::from(window.pad_top) + ky;
                        let column =
                            x * i64::from(window.stride_w) - i64::from(window.pad_left) + kx;
                        if input.contains(row, column) {
                            elements.push(input.at(row, column, c));
                        }
                    }
                }
                let index = map.index(y, x, c);
                map.values[index] = reduce(&elements);
            }
        }
    }
    map
}

fn output_size(window: Window, input: &Map) -> (i64, i64) {
    let size = |size: i64, before: u8, after: u8, kernel: u8, stride: u8| {
        (size + i64::from(before) + i64::from(after) - i64::from(kernel)) / i64::from(stride) + 1
    };
    (
        size(
            input.height,
            window.pad_top,
            window.pad_bottom,
            window.kernel_h,
            window.stride_h,
        ),
        size(
            input.width,
            window.pad_left,
            window.pad_right,
            window.kernel_w,
            window.stride_w,
        ),
    )
}

/// `sum / count`, rounded half up.
fn divide_half_up(sum: i64, count: i64) -> i64 {
    (2 * sum + count).div_euclid(2 * count)
}
