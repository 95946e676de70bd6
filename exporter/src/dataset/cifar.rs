//! CIFAR-10's binary version: batches of records without any header, and a list of class names.
//!
//! A record is one label byte, then 32x32 pixels of red, of green and of blue, row by row. The
//! number of classes is not part of the format: another set of 32x32 color images in it is read
//! just as well.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use runtime_nostd::geometry::Shape;

use super::folder::{self, Folder, Role};
use super::{Dataset, DatasetError, Images, check_classes, check_labels, digits};

const SHAPE: Shape = Shape::new(32, 32, 3);
/// Bytes of one color of one image.
const PLANE_BYTES: usize = 32 * 32;
const RECORD_BYTES: usize = 1 + 3 * PLANE_BYTES;

const NAMES_FILE: &str = "batches.meta.txt";
/// Far more than 256 names need.
const MAX_NAMES_BYTES: u64 = 1 << 16;

/// The batches of a folder: what a data set of this format consists of.
#[derive(Debug)]
pub(super) struct Files {
    train: Vec<PathBuf>,
    test: Vec<PathBuf>,
    names: Option<PathBuf>,
}

impl Files {
    /// Looks for batches: `.bin` files, of which at least one holds whole records or has one of the
    /// names that CIFAR-10 uses. `None` if there is none.
    pub(super) fn find(folder: &Folder) -> Result<Option<Self>, DatasetError> {
        let batches: Vec<_> = folder
            .files
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
            .cloned()
            .collect();
        let mut recognized = false;
        for path in &batches {
            let name = folder::name(path);
            recognized |= name.starts_with("data_batch") || name.starts_with("test_batch");
            recognized |= count_records(length(path)?).is_some();
        }
        if !recognized {
            return Ok(None);
        }
        let (train, test) = batches
            .into_iter()
            .partition(|path| Role::of(path) == Role::Train);
        let names = folder
            .files
            .iter()
            .find(|path| folder::name(path) == NAMES_FILE)
            .cloned();
        Ok(Some(Self { train, test, names }))
    }

    /// Reads the batches and the names.
    pub(super) fn load(self, folder: &Folder) -> Result<Dataset, DatasetError> {
        let missing = |what, expected| DatasetError::MissingFile {
            path: folder.path.clone(),
            what,
            expected,
        };
        if self.train.is_empty() {
            return Err(missing(
                "training images",
                "data_batch_1.bin to data_batch_5.bin",
            ));
        }
        if self.test.is_empty() {
            return Err(missing("test images", "test_batch.bin"));
        }
        let names = self.names.as_deref().map(read_names).transpose()?;

        let train = read_batches(&self.train, names.as_deref())?;
        let classes = names.unwrap_or_else(|| digits(train.labels()));
        check_classes(train.labels(), classes.len(), &folder.path)?;
        let test = read_batches(&self.test, Some(&classes))?;
        Ok(Dataset {
            name: folder.name(),
            train,
            test,
            classes,
        })
    }
}

fn length(path: &Path) -> Result<u64, DatasetError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(reason) => Err(DatasetError::Read {
            path: path.to_owned(),
            reason,
        }),
    }
}

/// The records in a file of `bytes` bytes; `None` if there is none or a part of one.
fn count_records(bytes: u64) -> Option<u64> {
    let record_bytes = RECORD_BYTES as u64;
    (bytes > 0 && bytes.is_multiple_of(record_bytes)).then_some(bytes / record_bytes)
}

/// Reads batches one after the other; `names` says how many classes there are, where it is known.
fn read_batches(paths: &[PathBuf], names: Option<&[String]>) -> Result<Images, DatasetError> {
    let mut counts = Vec::new();
    for path in paths {
        let bytes = length(path)?;
        counts.push(count_records(bytes).ok_or_else(|| DatasetError::Records {
            path: path.clone(),
            bytes,
            record_bytes: RECORD_BYTES,
        })?);
    }
    // The memory that the files prove to need, at once, and before any of them is read.
    let total = usize::try_from(counts.iter().sum::<u64>()).unwrap_or(usize::MAX);
    let mut labels = Vec::new();
    let mut pixels = Vec::new();
    let reserved = labels
        .try_reserve_exact(total)
        .and_then(|()| pixels.try_reserve_exact(total.saturating_mul(SHAPE.elements())));
    if let Err(error) = reserved {
        return Err(DatasetError::Read {
            path: paths[0].clone(),
            reason: error.into(),
        });
    }
    for (path, &count) in paths.iter().zip(&counts) {
        let first = labels.len();
        read_records(path, count, &mut labels, &mut pixels).map_err(|reason| {
            DatasetError::Read {
                path: path.clone(),
                reason,
            }
        })?;
        if let Some(names) = names {
            check_labels(&labels[first..], names.len(), path)?;
        }
    }
    Ok(Images::new(SHAPE, pixels, labels))
}

/// Appends the `count` records of a batch: planes in the file, HWC in `pixels`.
fn read_records(
    path: &Path,
    count: u64,
    labels: &mut Vec<u8>,
    pixels: &mut Vec<u8>,
) -> io::Result<()> {
    // Not through `Source`: a first record of class 31 could begin like a gzip file.
    let mut file = BufReader::new(File::open(path)?);
    let mut record = [0; RECORD_BYTES];
    for _ in 0..count {
        file.read_exact(&mut record)?;
        let [label, planes @ ..] = &record;
        labels.push(*label);
        let (red, rest) = planes.split_at(PLANE_BYTES);
        let (green, blue) = rest.split_at(PLANE_BYTES);
        for ((&red, &green), &blue) in red.iter().zip(green).zip(blue) {
            pixels.extend_from_slice(&[red, green, blue]);
        }
    }
    Ok(())
}

/// Reads class names, one a line; empty lines at the end do not count.
fn read_names(path: &Path) -> Result<Vec<String>, DatasetError> {
    let read = |reason| DatasetError::Read {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_NAMES_BYTES + 1).read_to_end(&mut bytes))
        .map_err(read)?;
    if bytes.len() as u64 > MAX_NAMES_BYTES {
        return Err(DatasetError::Trailing {
            path: path.to_owned(),
            field: "class names",
            expected: MAX_NAMES_BYTES,
        });
    }
    bytes
        .trim_ascii_end()
        .split(|&byte| byte == b'\n')
        .enumerate()
        .map(|(index, line)| match str::from_utf8(line.trim_ascii()) {
            Ok(name) if !name.is_empty() => Ok(name.to_owned()),
            _ => Err(DatasetError::ClassName {
                path: path.to_owned(),
                line: index + 1,
            }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::fixture::{self, Packing};
    use super::*;

    /// A record whose colors are `colors` everywhere.
    fn record(label: u8, colors: [u8; 3]) -> Vec<u8> {
        let planes = colors.into_iter().flat_map(|color| [color; PLANE_BYTES]);
        std::iter::once(label).chain(planes).collect()
    }

    fn good() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("batches.meta.txt", b"cat\r\ndog\n\n".to_vec()),
            ("data_batch_1.bin", record(1, [1, 2, 3])),
            ("data_batch_2.bin", record(0, [4, 5, 6])),
            ("test_batch.bin", record(1, [7, 8, 9])),
        ]
    }

    /// The message about [`good`] with the file `name` replaced, or taken away.
    fn refusal(name: &str, bytes: Option<Vec<u8>>) -> String {
        let mut files = good();
        files.retain(|(file, _)| *file != name);
        files.extend(bytes.map(|bytes| (name, bytes)));
        fixture::refusal(&fixture::folder(&files, Packing::Plain))
    }

    #[test]
    fn batches_are_read_in_order_and_named() {
        let folder = fixture::folder(&good(), Packing::Plain);
        let dataset = Dataset::load(folder.path()).expect("is good");
        assert_eq!(dataset.name, fixture::name(&folder));
        assert_eq!(dataset.classes, ["cat", "dog"]);
        assert_eq!(dataset.train.labels(), [1, 0]);
        assert_eq!(dataset.train.pixels(1)[..6], [4, 5, 6, 4, 5, 6]);
        assert_eq!(dataset.test.labels(), [1]);
        assert_eq!(dataset.test.shape(), Shape::new(32, 32, 3));
    }

    #[test]
    fn without_names_labels_name_the_classes() {
        let folder = fixture::folder(&good()[1..], Packing::Plain);
        assert_eq!(
            Dataset::load(folder.path()).expect("is good").classes,
            ["0", "1"]
        );
    }

    #[test]
    fn a_first_record_that_looks_like_gzip_is_a_record() {
        let mut files = good();
        let names = (0..32).map(|class| format!("class {class}\n"));
        files[0].1 = names.collect::<String>().into_bytes();
        files[1].1 = record(0x1f, [0x8b, 8, 0]);
        files[2].1 = (0..31).flat_map(|label| record(label, [0; 3])).collect();
        let folder = fixture::folder(&files, Packing::Plain);
        assert_eq!(
            Dataset::load(folder.path())
                .expect("is good")
                .train
                .label(0),
            31
        );
    }

    #[test]
    fn bad_batches_are_refused() {
        let mut long = record(0, [0; 3]);
        long.push(0);
        for (bytes, length) in [(Vec::new(), 0), (vec![0; 3072], 3072), (long, 3074)] {
            assert_eq!(
                refusal("data_batch_2.bin", Some(bytes)),
                format!(
                    "data_batch_2.bin: {length} bytes are not one or more records of 3073 bytes (one \
                     label, 32x32 pixels in red, green and blue, as in CIFAR-10's binary version); \
                     fetch the file again"
                )
            );
        }
        let out_of_range = "image 0 has label 2, but with 2 classes a label must be below 2; correct it, \
             or add the class to the training images and to the names, if there are names";
        for file in ["data_batch_2.bin", "test_batch.bin"] {
            assert_eq!(
                refusal(file, Some(record(2, [0; 3]))),
                format!("{file}: {out_of_range}")
            );
        }
        assert_eq!(
            refusal("data_batch_2.bin", Some(record(1, [0; 3]))),
            "the folder: no training image has label 0, though there are 2 classes; number the classes \
             from 0 without a gap"
        );
    }

    #[test]
    fn missing_batches_are_named() {
        assert_eq!(
            refusal("test_batch.bin", None),
            "the folder: no test images found; add test_batch.bin"
        );
        let only_test = [good().remove(3)];
        assert_eq!(
            fixture::refusal(&fixture::folder(&only_test, Packing::Plain)),
            "the folder: no training images found; add data_batch_1.bin to data_batch_5.bin"
        );
    }

    #[test]
    fn bad_names_are_refused() {
        for (text, line) in [
            (b"".as_slice(), 1),
            (b"cat\n\ndog\n", 2),
            (b"cat\ndo\xff", 2),
        ] {
            assert_eq!(
                refusal(NAMES_FILE, Some(text.to_vec())),
                format!(
                    "batches.meta.txt: line {line} is empty or not UTF-8; every line names one class, \
                     in label order"
                )
            );
        }
        assert_eq!(
            refusal(NAMES_FILE, Some(vec![b'a'; 70_000])),
            "batches.meta.txt: more data than the 65536 bytes of class names expected; the file is \
             damaged: fetch it again"
        );
        assert_eq!(
            refusal(NAMES_FILE, Some(b"cat\ndog\nbird\n".to_vec())),
            "the folder: no training image has label 2, though there are 3 classes; number the classes \
             from 0 without a gap"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn planes_become_hwc(planes in vec(any::<u8>(), RECORD_BYTES - 1)) {
            let mut files = good();
            files[1].1[1..].copy_from_slice(&planes);
            let dataset = Dataset::load(fixture::folder(&files, Packing::Plain).path())?;
            let pixels = dataset.train.pixels(0);
            for (index, &value) in planes.iter().enumerate() {
                let (channel, row, column) = (index / 1024, index / 32 % 32, index % 32);
                prop_assert_eq!(pixels[(row * 32 + column) * 3 + channel], value);
            }
        }

        #[test]
        fn damage_is_refused_or_harmless(file in 0_usize..4, damage in fixture::damage()) {
            let mut files = good();
            damage.apply(&mut files[file].1);
            let folder = fixture::folder(&files, Packing::Plain);
            if let Ok(dataset) = Dataset::load(folder.path()) {
                fixture::assert_sound(&dataset);
            }
        }
    }
}
