//! Folders of files for the loaders' tests.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::folder;
use super::{Dataset, Images};

/// How a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
}

impl Packing {
    pub(super) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Packing::Plain => bytes.to_vec(),
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes).expect("writes to memory");
                encoder.finish().expect("writes to memory")
            }
        }
    }
}

/// A new folder with `files`; packed ones get the ending `.gz`.
pub(super) fn folder<N: AsRef<str>>(files: &[(N, Vec<u8>)], packing: Packing) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(&folder, files, packing);
    folder
}

/// Writes `files` into `folder`.
pub(super) fn write<N: AsRef<str>>(folder: &TempDir, files: &[(N, Vec<u8>)], packing: Packing) {
    for (name, bytes) in files {
        let mut name = name.as_ref().to_owned();
        if packing == Packing::Gzip {
            name.push_str(".gz");
        }
        fs::write(folder.path().join(name), packing.pack(bytes)).expect("writes a file");
    }
}

/// The folder's own name.
pub(super) fn name(folder: &TempDir) -> String {
    folder::name(folder.path())
}

/// Why `folder` is refused, without the path that leads to it.
pub(super) fn refusal(folder: &TempDir) -> String {
    let path = folder.path().display().to_string();
    let error = Dataset::load(folder.path()).expect_err("must be refused");
    error
        .to_string()
        .replace(&format!("{path}/"), "")
        .replace(&path, "the folder")
}

/// Checks what [`Dataset`] promises.
pub(super) fn assert_sound(dataset: &Dataset) {
    let count = |images: &Images, class| {
        let of_class = images
            .labels()
            .iter()
            .filter(|&&label| usize::from(label) == class);
        of_class.count()
    };
    let classes = 0..dataset.classes.len();
    assert!(classes.len() >= 2);
    assert!(
        classes
            .clone()
            .all(|class| count(&dataset.train, class) > 0)
    );
    let labeled: usize = classes.map(|class| count(&dataset.test, class)).sum();
    assert_eq!(labeled, dataset.test.len());
    assert_eq!(dataset.train.shape(), dataset.test.shape());
}

/// Something that happens to a file.
#[derive(Clone, Debug)]
pub(super) enum Damage {
    /// All after this byte is lost, where the file is longer.
    Cut(usize),
    /// These bits of this byte (counted modulo the length) turn over.
    Flip(usize, u8),
    /// These bytes are appended.
    Append(Vec<u8>),
}

impl Damage {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Damage::Cut(length) => bytes.truncate(*length),
            Damage::Flip(index, bits) => {
                let index = index % bytes.len();
                bytes[index] ^= bits;
            }
            Damage::Append(more) => bytes.extend_from_slice(more),
        }
    }
}

/// Any damage, within the first bytes of a file or anywhere.
pub(super) fn damage() -> impl Strategy<Value = Damage> {
    let index = prop_oneof![0_usize..40, any::<usize>()];
    prop_oneof![
        index.clone().prop_map(Damage::Cut),
        (index, 1_u8..).prop_map(|(index, bits)| Damage::Flip(index, bits)),
        proptest::collection::vec(any::<u8>(), 1..20).prop_map(Damage::Append),
    ]
}
