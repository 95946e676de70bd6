//! Runs killed at random moments, and stopped by signals.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{Bench, Numbers, outcome, refusal, succeed};

/// Kills of the whole test.
const KILLS: usize = 50;

fn spawn(command: &mut Command) -> Child {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::piped());
    quiet.spawn().unwrap()
}

/// Waits until `process` has written `file`.
fn await_file(process: &mut Child, file: &Path) {
    while !file.exists() {
        let status = process.try_wait().unwrap();
        assert!(
            status.is_none(),
            "ended without {}: {status:?}",
            file.display()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The command that continues what is in `folder`: from the start if nothing was recorded yet.
fn next(bench: &Bench, folder: &Path) -> Command {
    if folder.join("journal").exists() {
        bench.resume(folder)
    } else {
        bench.start(folder)
    }
}

#[test]
fn a_run_killed_at_any_moment_ends_like_one_that_was_not() {
    let bench = Bench::new();
    let begun = Instant::now();
    let undisturbed = outcome(&bench.finished("undisturbed"));
    // As long as a run takes on this machine now: kills fall on all of its parts.
    let duration = begun.elapsed().as_micros() as u64;
    let mut numbers = Numbers(1);
    let mut kills = 0;
    for run in 0.. {
        let folder = bench.path(&format!("run{run}"));
        let mut is_done = false;
        while !is_done && kills < KILLS {
            let mut process = spawn(&mut next(&bench, &folder));
            std::thread::sleep(Duration::from_micros(numbers.below(duration)));
            process.kill().unwrap();
            // A run that was done before it could be killed is not a kill.
            is_done = process.wait().unwrap().success();
            kills += usize::from(!is_done);
        }
        if !is_done {
            succeed(&mut next(&bench, &folder));
        }
        outcome(&folder).assert_is(&undisturbed, &format!("after {kills} kills"));
        if kills >= KILLS {
            eprintln!("{kills} kills in {} runs", run + 1);
            return;
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_cleanly_and_says_how_to_go_on() {
    let bench = Bench::new();
    for signal in ["INT", "TERM"] {
        let folder = bench.path(signal);
        let mut start = bench.start(&folder);
        // More than it will get to.
        let mut process = spawn(start.arg("--generations=1000000"));
        await_file(&mut process, &folder.join("generations.jsonl"));
        let kill = ["-s", signal, &process.id().to_string()].map(str::to_owned);
        succeed(Command::new("kill").args(kill));
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        let said = String::from_utf8(output.stderr).unwrap();
        let advice = format!("to go on: evolve resume {}", folder.display());
        assert!(said.contains(&advice), "{said}");

        // Nothing was torn: the journal has no end to cut off.
        let mut resume = bench.resume(&folder);
        let resumed = succeed(resume.args(["--budget-minutes=0", "--generations=1000001"]));
        let said = String::from_utf8(resumed.stderr).unwrap();
        assert!(!said.contains("not whole"), "{said}");
    }
}

#[test]
fn a_second_process_is_refused() {
    let bench = Bench::new();
    let folder = bench.path("run");
    let mut start = bench.start(&folder);
    let mut first = spawn(start.arg("--generations=1000000"));
    await_file(&mut first, &folder.join("journal"));
    let resumed = refusal(&mut bench.resume(&folder));
    let started = refusal(&mut bench.start(&folder));
    first.kill().unwrap();
    first.wait().unwrap();
    let path = folder.join("journal");
    let expected = format!("{}: another process is working on this run", path.display());
    assert!(resumed.contains(&expected), "{resumed}");
    assert!(
        started.contains("there is a run in this folder"),
        "{started}"
    );
}
