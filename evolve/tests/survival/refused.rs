//! Runs that cannot start.

use std::path::Path;

use crate::fixture::{Bench, evolve, refusal};

/// Refused for `reason`, without a folder of the run or of the runs.
fn assert_leaves_nothing(arguments: &[&str], reason: &str) {
    let bench = Bench::new();
    let mut run = evolve();
    run.arg("run").args(arguments);
    run.arg("--output").arg(bench.path("runs").join("001"));
    let said = refusal(&mut run);
    assert!(said.contains(reason), "{said}");
    assert!(!bench.path("runs").exists());
}

#[test]
fn a_seed_network_that_is_refused_leaves_nothing_behind() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/onnx");
    let separable = models.join("mobilenet-mnist.onnx");
    let separable = separable.to_str().unwrap();
    assert_leaves_nothing(
        &["--seed-network", separable],
        "the network cannot seed the evolution: ",
    );
    let flat = models.join("keras-mnist.onnx");
    let flat = flat.to_str().unwrap();
    assert_leaves_nothing(
        &["--seed-network", flat, "--max-macs", "10"],
        "the network cannot seed the evolution: ",
    );
}

#[test]
fn limits_that_no_network_keeps_leave_nothing_behind() {
    assert_leaves_nothing(&["--max-macs", "1"], "no initial population: ");
}
