//! Fits the exporter's cycle model: `tests/cycles --fit`.
//!
//! Single layers of many geometries are counted on each core; the cost of each unit of work follows
//! by non-negative least squares of the relative errors. The tabulated networks are not among them:
//! `tests/tests/estimate.rs` compares their counts with the estimates.

use std::fmt::Write as _;
use std::fs;

use exporter::board::{UNITS, Work};
use exporter::quantize::FixedNetwork;
use exporter::write::write;
use runtime_nostd::geometry::{Op, Shape, Window};
use tests::case_file::{Case, files};
use tests::random_network;
use tests::workload::network;

use crate::core::{CORES, Error, Firmware, Kernels, Plugin, tests_folder};

/// Rounds of coordinate descent; the costs stand still long before.
const ROUNDS: usize = 200_000;

const HEADER: &str = "\
# Cycles of each unit of work (exporter/src/board/work.rs) on a core with memory that never lets it
# wait. Written by `tests/cycles --fit`.
";

/// Cycles that were counted, and the work that took them.
struct Equation {
    work: Work,
    cycles: f64,
}

/// Measures, fits, and writes the exporter's file of costs.
pub(crate) fn fit() -> Result<(), Error> {
    let layers = networks();
    let plugin = Plugin::build()?;
    let mut text = String::from(HEADER);
    for core in CORES.iter().filter(|core| core.model != "none") {
        let firmware = Firmware::build(core, Kernels::Fast)?;
        let mut equations = Vec::new();
        let mut counted = layers.iter();
        for file in files(layers.iter().map(case)) {
            for (counts, layer) in firmware.count(&file, &plugin)?.iter().zip(&mut counted) {
                let blob = write(layer).expect("within bounds");
                let model = blob.model().expect("a blob that parses");
                let first = &model.layers()[0];
                equations.extend([
                    (Work::of_layer(first), counts.layer_cycles),
                    (Work::of_inference(&model), counts.cycles),
                ]);
            }
        }
        let equations: Vec<Equation> = equations
            .into_iter()
            .map(|(work, cycles)| Equation {
                work,
                cycles: cycles as f64,
            })
            .collect();
        let costs = least_squares(&equations);
        eprintln!("{}: {}", core.name, errors(&equations, &costs));
        _ = writeln!(text, "\n[{}]", core.name);
        for (unit, cost) in UNITS.iter().zip(costs) {
            _ = writeln!(text, "{unit} = {cost:.2}");
        }
    }
    let path = tests_folder().join("../exporter/data/cycles.toml");
    fs::write(&path, text).map_err(Error::io(&path))
}

fn case(network: &FixedNetwork) -> Case {
    let name = format!("{:?}", network.layers);
    let pixels = random_network::pixels(network.input.shape, 7);
    Case::new(name, network, pixels)
}

/// Networks of one layer, some of two, with weights of 16 and of 8 bits.
fn networks() -> Vec<FixedNetwork> {
    let wide: Vec<FixedNetwork> = layers()
        .iter()
        .map(|(input, ops)| network(*input, ops, 1))
        .collect();
    let has_weights = |network: &&FixedNetwork| network.layers[0].parameters.is_some();
    let narrow = wide.iter().filter(has_weights);
    let narrow = narrow.map(|network| random_network::narrowed(network.clone(), u32::MAX));
    let narrow: Vec<FixedNetwork> = narrow.collect();
    wide.into_iter().chain(narrow).collect()
}

/// Single layers, some two, each behind an image; a dense layer of one output follows.
fn layers() -> Vec<(Shape, Vec<Op>)> {
    let conv = |kernel, stride, padding, out_channels| Op::Conv {
        window: Window::square(kernel, stride, padding),
        out_channels,
    };
    let mut layers = Vec::new();
    for channels in [1, 2, 3, 5, 8, 16] {
        for (size, kernel, stride, padding, filters) in [
            (24, 3, 1, 0, 4),
            (11, 3, 1, 1, 6),
            (14, 5, 1, 2, 7),
            (12, 5, 1, 0, 1),
            (13, 1, 1, 0, 9),
            (15, 3, 2, 1, 18),
            (9, 7, 1, 3, 8),
        ] {
            let input = Shape::new(size, size + 1, channels);
            layers.push((input, vec![conv(kernel, stride, padding, filters)]));
        }
        for (size, outputs) in [(3, 3), (6, 10), (10, 16), (14, 33)] {
            let op = Op::Dense { outputs };
            layers.push((Shape::new(size, size, channels), vec![op]));
        }
        for (size, kernel, stride) in [(8, 2, 2), (13, 3, 2), (16, 3, 3), (12, 5, 1)] {
            let window = Window::square(kernel, stride, 0);
            let input = Shape::new(size, size, channels);
            layers.push((input, vec![Op::MaxPool { window }]));
            layers.push((input, vec![Op::AvgPool { window }]));
            let window = Window::square(kernel, stride, kernel / 2);
            layers.push((input, vec![Op::Depthwise { window }]));
        }
        let residual = vec![conv(1, 1, 0, 4), conv(3, 1, 1, 4), Op::Add { from: 0 }];
        layers.push((Shape::new(10, 12, channels), residual));
    }
    layers
}

/// The costs, none below 0, whose sums of squared relative errors is least. Coordinate descent.
fn least_squares(equations: &[Equation]) -> [f64; UNITS.len()] {
    let mut costs = [0.0; UNITS.len()];
    let rows: Vec<[f64; UNITS.len()]> = equations
        .iter()
        .map(|equation| equation.work.0.map(|count| count / equation.cycles))
        .collect();
    let product = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f64>();
    let gram: [[f64; UNITS.len()]; UNITS.len()] =
        std::array::from_fn(|a| std::array::from_fn(|b| product(a, b)));
    let target: [f64; UNITS.len()] =
        std::array::from_fn(|a| rows.iter().map(|row| row[a]).sum::<f64>());
    for _ in 0..ROUNDS {
        for unit in 0..UNITS.len() {
            let explained: f64 = gram[unit].iter().zip(costs).map(|(g, cost)| g * cost).sum();
            let step = (target[unit] - explained) / gram[unit][unit].max(f64::MIN_POSITIVE);
            costs[unit] = (costs[unit] + step).max(0.0);
        }
    }
    costs
}

/// How far the costs miss the counts that they were fitted to.
fn errors(equations: &[Equation], costs: &[f64; UNITS.len()]) -> String {
    let errors: Vec<f64> = equations
        .iter()
        .map(|equation| {
            let counts = equation.work.0.iter().zip(costs);
            let cycles: f64 = counts.map(|(count, cost)| count * cost).sum();
            (cycles / equation.cycles - 1.0).abs()
        })
        .collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let most = errors.iter().copied().fold(0.0, f64::max);
    format!(
        "{} counts, mean error {:.1} %, largest {:.1} %",
        errors.len(),
        100.0 * mean,
        100.0 * most
    )
}
