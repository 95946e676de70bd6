//! The exporter's cycle model against the cycles that `tests/cycles` counts of the tabulated
//! networks, none of which it was fitted to.

use exporter::board::{Core, CycleCosts};
use exporter::write::write;
use tests::workload::{Workload, workloads};

const COUNTED: &str = include_str!("../cycles.tsv");

/// The largest error that an estimate may have.
const TOLERANCE: f64 = 0.2;

#[test]
fn estimates_are_near_the_counted_cycles() {
    println!(
        "{:<10} {:<4} {:>10} {:>10} {:>7}",
        "core", "", "counted", "estimated", "error"
    );
    let mut largest: f64 = 0.0;
    for core in [Core::CortexM4, Core::CortexM3, Core::CortexM0] {
        for workload in workloads() {
            let counted = counted(core.name(), workload.name).expect("it is tabulated");
            let estimated = estimated(core.cycle_costs(), &workload);
            let error = estimated / counted - 1.0;
            println!(
                "{:<10} {:<4} {counted:>10} {estimated:>10.0} {:>+6.1} %",
                core.name(),
                workload.name,
                100.0 * error
            );
            largest = largest.max(error.abs());
        }
    }
    assert!(largest <= TOLERANCE, "{largest}: run tests/cycles --fit");
}

fn estimated(costs: &CycleCosts, workload: &Workload) -> f64 {
    let blob = write(&workload.network).expect("within bounds");
    let model = blob.model().expect("a blob that parses");
    let cycles = costs.inference_cycles(&model);
    cycles.expect("exact products")
}

/// The cycles of a whole inference in the committed table.
fn counted(core: &str, workload: &str) -> Option<f64> {
    COUNTED.lines().find_map(|line| {
        let mut columns = line.split('\t');
        let found = columns.next() == Some(core) && columns.next() == Some(workload);
        found.then(|| columns.nth(1)?.parse().ok())?
    })
}
