//! Journals that were truncated or changed.

use std::fs;

use crate::fixture::{Bench, Numbers, outcome, refusal, succeed};

#[test]
fn a_damaged_journal_is_recovered_to_the_same_end_or_refused() {
    let bench = Bench::new();
    let folder = bench.finished("run");
    let undamaged = outcome(&folder);
    let path = folder.join("journal");
    let journal = fs::read(&path).unwrap();
    let mut numbers = Numbers(2);
    let (mut recovered, mut refused) = (0, 0);
    for case in 0..30 {
        let mut bytes = journal.clone();
        // A third of the damage is in the first 200 bytes, which the first record is in.
        let end = if case % 3 == 0 { 200 } else { bytes.len() };
        let at = numbers.below(end as u64) as usize;
        if case % 2 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << numbers.below(8);
        }
        fs::write(&path, &bytes).unwrap();
        let output = bench.resume(&folder).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        if output.status.success() {
            recovered += 1;
            assert!(case % 2 == 0 || said.contains("not whole"), "{said}");
            outcome(&folder).assert_is(&undamaged, &format!("damage at byte {at}"));
        } else {
            refused += 1;
            assert!(said.contains(&*path.to_string_lossy()), "{said}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "refused, but changed");
        }
    }
    assert!(recovered >= 10 && refused >= 5, "{recovered}, {refused}");
}

#[test]
fn other_images_are_refused() {
    let bench = Bench::new();
    let folder = bench.finished("run");
    let images = bench.path("data").join("train-images-idx3-ubyte");
    let mut bytes = fs::read(&images).unwrap();
    for byte in &mut bytes[16..] {
        *byte ^= 1;
    }
    fs::write(&images, bytes).unwrap();
    let said = refusal(&mut bench.resume(&folder));
    assert!(
        said.contains("have changed since the run started"),
        "{said}"
    );
}

#[test]
fn damaged_results_are_written_again() {
    let bench = Bench::new();
    let folder = bench.finished("run");
    let undamaged = outcome(&folder);
    fs::write(folder.join("best/002.network"), "torn").unwrap();
    fs::write(folder.join("winner.q88"), "").unwrap();
    fs::write(folder.join("config.toml"), "seed = 4").unwrap();
    fs::write(folder.join("front/000099.network"), "").unwrap();
    fs::remove_file(folder.join("generations.jsonl")).unwrap();
    succeed(&mut bench.resume(&folder));
    outcome(&folder).assert_is(&undamaged, "resumed");
}

#[test]
fn files_of_others_are_neither_removed_nor_replaced() {
    let bench = Bench::new();
    let folder = bench.finished("run");
    let notes = folder.join("front/notes.txt");
    fs::write(&notes, "mine").unwrap();
    fs::create_dir(folder.join("polished/own")).unwrap();
    succeed(&mut bench.resume(&folder));
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");
    assert!(folder.join("polished/own").is_dir());

    let other = bench.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("config.toml"), "mine").unwrap();
    let said = refusal(&mut bench.start(&other));
    assert!(said.contains("config.toml: already there"), "{said}");
    assert_eq!(
        fs::read_to_string(other.join("config.toml")).unwrap(),
        "mine"
    );
}

#[test]
fn a_folder_without_a_run_says_so() {
    let bench = Bench::new();
    let said = refusal(&mut bench.resume(&bench.path("data")));
    assert!(said.contains("there is no run in this folder"), "{said}");
}
