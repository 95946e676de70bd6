//! What inference costs on emulated cores: see `tests/cycles`.

mod core;
mod fit;
mod report;

use std::process::ExitCode;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tests::case_file::{Case, files};
use tests::{kernel_shapes, random_network, workload};

use crate::core::{CORES, Error, Firmware, Kernels, Plugin};
use crate::report::{Report, Row};

/// Random networks that are compared with the reference on each core.
const RANDOM_NETWORKS: usize = 3000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let run = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(Report::check),
        ["--update"] => run(Report::update),
        ["--fit"] => fit::fit(),
        _ => {
            eprintln!("usage: tests/cycles [--update | --fit]");
            return ExitCode::from(2);
        }
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tests/cycles: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and compares on every core, prints the table, and ends with `judge`.
fn run(judge: impl FnOnce(&Report) -> Result<(), Error>) -> Result<(), Error> {
    let workloads = workload::workloads();
    let workload_cases = files(workloads.iter().map(workload::Workload::case));
    let random_cases = files(random_cases());
    let plugin = Plugin::build()?;
    let mut report = Report::default();
    for core in &CORES {
        for &kernels in core.kernels() {
            let firmware = Firmware::build(core, kernels)?;
            compare(&firmware, &random_cases, &plugin)?;
            eprintln!(
                "{}, {kernels:?}: {RANDOM_NETWORKS} random networks as the reference",
                core.name
            );
        }
        let firmware = Firmware::build(core, Kernels::Fast)?;
        for file in &workload_cases {
            for (counts, workload) in firmware.count(file, &plugin)?.into_iter().zip(&workloads) {
                report.rows.push(Row {
                    core: core.name,
                    workload: workload.name,
                    counts,
                });
            }
        }
    }
    print!("{}", report.markdown(&workloads));
    judge(&report)
}

/// Runs all cases: they must give the reference's logits.
fn compare(firmware: &Firmware, files: &[Vec<u8>], plugin: &Plugin) -> Result<(), Error> {
    for file in files {
        firmware.count(file, plugin)?;
    }
    Ok(())
}

/// The same networks every time.
fn random_cases() -> impl Iterator<Item = Case> {
    let mut runner = TestRunner::deterministic();
    let networks = kernel_shapes::networks();
    (0..RANDOM_NETWORKS).map(move |index| {
        let network = networks
            .new_tree(&mut runner)
            .expect("the strategy rejects nothing")
            .current();
        let pixels = random_network::pixels(network.input.shape, index as u64);
        let name = match network.layers.first() {
            Some(layer) => format!(
                "{} {:?} {:?}",
                network.input.shape, layer.op, layer.activation
            ),
            None => String::from("no layer"),
        };
        Case::new(name, &network, pixels)
    })
}
