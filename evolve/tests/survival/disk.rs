//! Disks that are full, and folders that cannot be written.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fixture::{Bench, outcome, records, refusal, succeed};

/// `command` with files limited to `kib` KiB: writing beyond it fails as on a full disk.
#[cfg(unix)]
fn with_file_limit(command: &Command, kib: u64) -> Command {
    let mut limited = Command::new("bash");
    let script = format!("ulimit -f {kib}; trap '' XFSZ; exec \"$@\"");
    limited.args(["-c", &script, "bash"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_costs_nothing_recorded() {
    let bench = Bench::new();
    let whole = bench.finished("whole");
    let journal_bytes = fs::metadata(whole.join("journal")).unwrap().len();
    let folder = bench.path("full");
    let said = refusal(&mut with_file_limit(
        &bench.start(&folder),
        (journal_bytes - 1) / 1024,
    ));
    let journal = folder.join("journal");
    assert!(said.contains(&format!("{}: ", journal.display())), "{said}");
    let recorded = records(&folder);
    assert!(!recorded.is_empty());
    assert_eq!(recorded, records(&whole)[..recorded.len()]);
    succeed(&mut bench.resume(&folder));
    outcome(&folder).assert_is(&outcome(&whole), "resumed");
}

#[test]
fn a_result_that_cannot_be_written_is_named_and_costs_nothing_recorded() {
    let bench = Bench::new();
    let whole = bench.finished("whole");
    let folder = bench.path("run");
    // A folder where a file is written: what permissions do, also for the superuser.
    let obstacle = folder.join("front.jsonl.partial");
    fs::create_dir_all(&obstacle).unwrap();
    let said = refusal(&mut bench.start(&folder));
    let front = folder.join("front.jsonl");
    assert!(said.contains(&format!("{}: ", front.display())), "{said}");
    assert_eq!(records(&folder), records(&whole)[..1]);
    fs::remove_dir(obstacle).unwrap();
    succeed(&mut bench.resume(&folder));
    outcome(&folder).assert_is(&outcome(&whole), "resumed");
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_named() {
    use std::os::unix::fs::PermissionsExt as _;

    let bench = Bench::new();
    let parent = bench.path("read-only");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::create_dir(parent.join("probe")).is_ok() {
        eprintln!("skipped: permissions do not bind the superuser");
        return;
    }
    let folder = parent.join("run");
    let said = refusal(&mut bench.start(&folder));
    assert!(names(&said, &folder), "{said}");
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "").unwrap();
    let folder = bench.path("file").join("run");
    let said = refusal(&mut bench.start(&folder));
    assert!(names(&said, &folder), "{said}");
}

fn names(said: &str, path: &Path) -> bool {
    said.contains(&format!("error: {}: ", path.display()))
}
