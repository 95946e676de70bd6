//! What must not matter, threads and pauses, and budgets that change.

use crate::fixture::{Bench, outcome, records, refusal, succeed};

#[test]
fn threads_do_not_matter() {
    let bench = Bench::new();
    let [one, two, three] = ["1", "2", "3"].map(|threads| {
        let folder = bench.path(threads);
        let mut start = bench.start(&folder);
        // The last one counts.
        succeed(start.args(["--threads", threads]));
        outcome(&folder)
    });
    two.assert_is(&one, "2 threads");
    three.assert_is(&one, "3 threads");
}

#[test]
fn an_extended_run_is_a_run_started_with_the_larger_budget() {
    let bench = Bench::new();
    let extended = bench.path("extended");
    succeed(bench.start(&extended).arg("--generations=2"));
    succeed(bench.resume(&extended).arg("--generations=5"));
    let whole = outcome(&bench.finished("whole"));
    outcome(&extended).assert_is(&whole, "extended");

    // It remembers its budget, and does not forget what it has done.
    let resumed = succeed(&mut bench.resume(&extended));
    assert!(
        String::from_utf8(resumed.stdout)
            .unwrap()
            .contains("5 generations")
    );
    let said = refusal(bench.resume(&extended).arg("--generations=4"));
    assert!(said.contains("5 generations are done"), "{said}");
}

#[test]
fn another_polish_of_a_finished_run_is_that_of_a_run_started_with_it() {
    let bench = Bench::new();
    let plain = bench.path("plain");
    succeed(bench.start(&plain).args(["--polish=0", "--polish-shift=0"]));
    let repolish = ["--polish=2", "--polish-shift=1"];
    succeed(bench.resume(&plain).args(repolish));
    let whole = outcome(&bench.finished("whole"));
    outcome(&plain).assert_is(&whole, "polished later");

    succeed(bench.resume(&plain).arg("--polish=1"));
    let once = bench.path("once");
    succeed(bench.start(&once).arg("--polish=1"));
    outcome(&plain).assert_is(&outcome(&once), "polished anew");
}

#[test]
fn a_run_whose_time_is_up_has_results_and_goes_on() {
    let bench = Bench::new();
    let folder = bench.path("paused");
    let mut start = bench.start(&folder);
    let output = succeed(start.arg("--budget-minutes=0"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("after 0 of 5 generations"), "{said}");
    assert_eq!(records(&folder).len(), 1);
    assert!(folder.join("winner.q88").exists());
    succeed(&mut bench.resume(&folder));
    outcome(&folder).assert_is(&outcome(&bench.finished("whole")), "resumed");
}

#[test]
fn the_written_configuration_starts_the_same_run() {
    let bench = Bench::new();
    let first = bench.finished("first");
    let second = bench.path("second");
    let mut start = std::process::Command::new(env!("CARGO_BIN_EXE_evolve"));
    start
        .arg("run")
        .arg("--config")
        .arg(first.join("config.toml"));
    succeed(start.arg("--output").arg(&second));
    outcome(&second).assert_is(&outcome(&first), "from its configuration");
}
