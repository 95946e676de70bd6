//! Runs of the real program on a small data set, and what they leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use evolve::history::{Event, History};
use evolve::population::Record;
use tempfile::TempDir;

/// Images of 8x8 pixels in three classes, which differ in the row that is bright.
pub(crate) struct Bench {
    folder: TempDir,
}

/// Everything that a run's seed determines.
#[derive(PartialEq)]
pub(crate) struct Outcome {
    /// Every file but the journal and the timing.
    files: BTreeMap<String, Vec<u8>>,
    records: Vec<Record>,
}

impl Outcome {
    /// Compares byte for byte, and names what differs.
    #[track_caller]
    pub(crate) fn assert_is(&self, expected: &Self, when: &str) {
        let names: Vec<&String> = self.files.keys().collect();
        let expected_names: Vec<&String> = expected.files.keys().collect();
        assert_eq!(names, expected_names, "{when}");
        for (name, bytes) in &self.files {
            assert!(*bytes == expected.files[name], "{when}: {name} differs");
        }
        assert!(self.records == expected.records, "{when}: records differ");
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        for (prefix, count) in [("train", 120_u32), ("t10k", 30)] {
            let mut images = vec![0, 0, 8, 3];
            images.extend([count, 8, 8].map(u32::to_be_bytes).concat());
            let mut labels = vec![0, 0, 8, 1];
            labels.extend(count.to_be_bytes());
            for index in 0..count {
                let label = (index % 3) as u8;
                labels.push(label);
                images.extend((0..64_u32).map(|pixel| {
                    let noise = (index * 31 + pixel * 17) % 97;
                    let row = (pixel / 8) as u8;
                    noise as u8 + if row / 2 == label { 60 } else { 0 }
                }));
            }
            fs::write(data.join(format!("{prefix}-images-idx3-ubyte")), images).unwrap();
            fs::write(data.join(format!("{prefix}-labels-idx1-ubyte")), labels).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that starts a run of five generations, and the polish of its front, in `folder`.
    pub(crate) fn start(&self, folder: &Path) -> Command {
        let mut command = evolve();
        command.args([
            "run",
            "--seed=3",
            "--population=5",
            "--generations=5",
            "--min-accuracy=0.4",
            "--initial-layers=1..2",
            "--flatten-neurons=4",
            "--max-filters=3",
            "--batch-size=8",
            "--polish=2",
            "--polish-shift=1",
            "--polish-flip=horizontal",
            "--threads=2",
        ]);
        command.arg("--data").arg(self.path("data"));
        command.arg("--output").arg(folder);
        command
    }

    /// The command that resumes the run in `folder`.
    pub(crate) fn resume(&self, folder: &Path) -> Command {
        let mut command = evolve();
        command.arg("resume").arg(folder).arg("--threads=2");
        command
    }

    /// A finished run.
    pub(crate) fn finished(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        succeed(&mut self.start(&folder));
        folder
    }
}

pub(crate) fn evolve() -> Command {
    Command::new(env!("CARGO_BIN_EXE_evolve"))
}

pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// What a command that fails says on standard error.
pub(crate) fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

pub(crate) fn outcome(folder: &Path) -> Outcome {
    let mut files = BTreeMap::new();
    collect(folder, "", &mut files);
    for name in ["journal", "timing.json"] {
        assert!(files.remove(name).is_some(), "{name}");
    }
    Outcome {
        files,
        records: records(folder),
    }
}

pub(crate) fn records(folder: &Path) -> Vec<Record> {
    let history = History::read(folder).unwrap();
    let records = history.events().filter_map(|event| match event.unwrap() {
        Event::Generation { record, .. } => Some(record),
        _ => None,
    });
    records.collect()
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

/// Random numbers for the moments and places of accidents (`SplitMix64`).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
