//! Good, bad and damaged IDX folders.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::dataset::fixture::{self, Packing};

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

fn idx(dimensions: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dimensions.len() as u8];
    for dimension in dimensions {
        file.extend_from_slice(&dimension.to_be_bytes());
    }
    file.extend_from_slice(elements);
    file
}

/// Three training and two test images of 1x2 pixels.
fn good() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (TRAIN_IMAGES, idx(&[3, 1, 2], &[1, 2, 3, 4, 5, 6])),
        (TRAIN_LABELS, idx(&[3], &[1, 0, 1])),
        (TEST_IMAGES, idx(&[2, 1, 2], &[7, 8, 9, 10])),
        (TEST_LABELS, idx(&[2], &[0, 1])),
    ]
}

/// The message about [`good`] with the file `name` replaced, packed in both ways.
fn refusal(name: &str, bytes: &[u8]) -> String {
    let mut files = good();
    for (file, content) in &mut files {
        if *file == name {
            *content = bytes.to_vec();
        }
    }
    let plain = fixture::refusal(&fixture::folder(&files, Packing::Plain));
    let gzip = fixture::refusal(&fixture::folder(&files, Packing::Gzip));
    assert_eq!(plain, gzip.replace("ubyte.gz", "ubyte"));
    plain
}

#[test]
fn a_good_set_is_read_from_any_usual_names() {
    let hwc = Shape::new(1, 2, 1);
    for packing in [Packing::Plain, Packing::Gzip] {
        for separator in ["-", "."] {
            let rename = |name: &str| name.replace("-idx", &format!("{separator}idx"));
            let files: Vec<_> = good()
                .into_iter()
                .map(|(name, bytes)| (rename(name), bytes))
                .collect();
            let folder = fixture::folder(&files, packing);
            let dataset = Dataset::load(folder.path()).expect("is good");
            assert_eq!(dataset.name, fixture::name(&folder));
            assert_eq!(dataset.classes, ["0", "1"]);
            let train = Images::new(hwc, vec![1, 2, 3, 4, 5, 6], vec![1, 0, 1]);
            assert_eq!(dataset.train, train);
            assert_eq!(
                dataset.test,
                Images::new(hwc, vec![7, 8, 9, 10], vec![0, 1])
            );
        }
    }
}

#[test]
fn content_decides_between_images_and_labels() {
    let mut files = good();
    let names = ["train.1", "train.2", "test.1", "test.2"];
    for (file, name) in files.iter_mut().zip(names) {
        file.0 = name;
    }
    let folder = fixture::folder(&files, Packing::Plain);
    let dataset = Dataset::load(folder.path()).expect("is good");
    assert_eq!((dataset.train.len(), dataset.test.len()), (3, 2));
}

#[test]
fn an_unpacked_copy_beside_the_gzip_file_is_no_second_file() {
    let folder = fixture::folder(&good(), Packing::Gzip);
    fixture::write(&folder, &good(), Packing::Plain);
    let dataset = Dataset::load(folder.path()).expect("is good");
    assert_eq!(dataset.train.len(), 3);
}

#[test]
fn bad_headers_are_refused() {
    let cases = [
        (
            TRAIN_IMAGES,
            vec![0, 0, 8],
            "truncated: 4 bytes of magic number expected, 3 found; fetch the file again",
        ),
        (
            TRAIN_IMAGES,
            vec![0, 0, 8, 3, 0, 0, 0],
            "truncated: 4 bytes of count expected, 3 found; fetch the file again",
        ),
        (
            TRAIN_LABELS,
            b"<html>".to_vec(),
            "the magic number is [3c, 68, 74, 6d], which is not IDX of unsigned bytes: expected \
             [00, 00, 08, 01] for labels, [00, 00, 08, 03] for gray or [00, 00, 08, 04] for color \
             images; replace the file",
        ),
        (
            TEST_LABELS,
            idx(&[0], &[]),
            "the header's count is 0; a data set needs images",
        ),
        (
            TEST_IMAGES,
            idx(&[2, 0, 2], &[]),
            "the header's number of rows is 0; it must be from 1 to 65535",
        ),
        (
            TEST_IMAGES,
            idx(&[2, 1, 65536], &[0; 4]),
            "the header's number of columns is 65536; it must be from 1 to 65535",
        ),
        (
            TEST_IMAGES,
            idx(&[2, 1, 2, 0], &[0; 4]),
            "the header's number of channels is 0; it must be from 1 to 65535",
        ),
        (
            TRAIN_IMAGES,
            idx(&[3, 65535, 65535], &[0; 6]),
            "images of 65535x65535x1 cannot be used: a feature map has more than 2^24 elements; \
             scale them down",
        ),
    ];
    for (file, bytes, expected) in cases {
        assert_eq!(refusal(file, &bytes), format!("{file}: {expected}"));
    }
}

#[test]
fn bad_lengths_are_refused() {
    let cases = [
        (
            TRAIN_IMAGES,
            idx(&[3, 1, 2], &[0; 5]),
            "truncated: 6 bytes of pixels expected, 5 found; fetch the file again",
        ),
        (
            TRAIN_IMAGES,
            idx(&[3, 1, 2], &[0; 7]),
            "more data than the 6 bytes of pixels expected; the file is damaged: fetch it again",
        ),
        (
            TRAIN_LABELS,
            idx(&[3], &[0, 1]),
            "truncated: 3 bytes of labels expected, 2 found; fetch the file again",
        ),
        (
            TRAIN_LABELS,
            idx(&[3], &[0, 1, 1, 1]),
            "more data than the 3 bytes of labels expected; the file is damaged: fetch it again",
        ),
    ];
    for (file, bytes, expected) in cases {
        assert_eq!(refusal(file, &bytes), format!("{file}: {expected}"));
    }
}

#[test]
fn a_forged_count_in_both_headers_reserves_no_memory() {
    let mut files = good();
    files[0].1 = idx(&[u32::MAX, 1024, 1024], &[0; 6]);
    files[1].1 = idx(&[u32::MAX], &[0; 3]);
    let plain = fixture::refusal(&fixture::folder(&files, Packing::Plain));
    assert_eq!(
        plain,
        "train-labels-idx1-ubyte: truncated: 4294967295 bytes of labels expected, 3 found; fetch \
         the file again"
    );
    let gzip = fixture::refusal(&fixture::folder(&files, Packing::Gzip));
    assert_eq!(
        gzip,
        "train-labels-idx1-ubyte.gz: the header promises 4294967295 bytes of labels, and more \
         than 1073741824 are not unpacked from a gzip file; if the file is genuine, unpack it \
         with gunzip"
    );
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    assert_eq!(
        refusal(TRAIN_LABELS, &idx(&[2], &[0, 1])),
        "train-images-idx3-ubyte holds 3 images but train-labels-idx1-ubyte holds 2 labels; use \
         two files of the same set"
    );
    assert_eq!(
        refusal(TEST_IMAGES, &idx(&[2, 2, 1], &[0; 4])),
        "the folder: the test images are 2x1x1 but the training images 1x2x1 (rows x columns x \
         channels); use files of the same set"
    );
    let mut files = good();
    files.push(("my-train-images", files[0].1.clone()));
    assert_eq!(
        fixture::refusal(&fixture::folder(&files, Packing::Plain)),
        "my-train-images and train-images-idx3-ubyte: both hold training images; keep one and \
         move the other away"
    );
}

#[test]
fn bad_labels_are_refused() {
    assert_eq!(
        refusal(TRAIN_LABELS, &idx(&[3], &[2, 0, 2])),
        "train-labels-idx1-ubyte: no training image has label 1, though there are 3 classes; \
         number the classes from 0 without a gap"
    );
    assert_eq!(
        refusal(TRAIN_LABELS, &idx(&[3], &[0, 0, 0])),
        "train-labels-idx1-ubyte: all training images have label 0; a classifier needs two or \
         more classes"
    );
    assert_eq!(
        refusal(TEST_LABELS, &idx(&[2], &[1, 2])),
        "t10k-labels-idx1-ubyte: image 1 has label 2, but with 2 classes a label must be below 2; \
         correct it, or add the class to the training images and to the names, if there are names"
    );
}

#[test]
fn a_missing_file_is_named() {
    let messages = [
        "no training images found; add train-images-idx3-ubyte[.gz]",
        "no training labels found; add train-labels-idx1-ubyte[.gz]",
        "no test images found; add t10k-images-idx3-ubyte[.gz]",
        "no test labels found; add t10k-labels-idx1-ubyte[.gz]",
    ];
    for (index, expected) in messages.into_iter().enumerate() {
        let mut files = good();
        files.remove(index);
        let folder = fixture::folder(&files, Packing::Plain);
        assert_eq!(fixture::refusal(&folder), format!("the folder: {expected}"));
    }
}

prop_compose! {
    /// A count, height, width, and channels of 1 to 3 where the files have four dimensions.
    fn dimensions()(
        count in 2_u32..6, height in 1_u32..5, width in 1_u32..5,
        channels in prop::option::of(1_u32..4),
    ) -> Vec<u32> {
        [count, height, width].into_iter().chain(channels).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(
        (dimensions, pixels) in dimensions().prop_flat_map(|dimensions| {
            let elements = dimensions.iter().product::<u32>() as usize;
            (Just(dimensions), vec(any::<u8>(), elements))
        }),
        packing in prop_oneof![Just(Packing::Plain), Just(Packing::Gzip)],
    ) {
        let labels: Vec<u8> = (0..dimensions[0] as u8).rev().collect();
        let images = idx(&dimensions, &pixels);
        let label_file = idx(&dimensions[..1], &labels);
        let folder = fixture::folder(&[
            (TRAIN_IMAGES, images.clone()),
            (TRAIN_LABELS, label_file.clone()),
            (TEST_IMAGES, images),
            (TEST_LABELS, label_file),
        ], packing);
        let channels = dimensions.get(3).copied().unwrap_or(1);
        let shape = Shape::new(dimensions[1] as u16, dimensions[2] as u16, channels as u16);
        let expected = Images::new(shape, pixels, labels);
        let dataset = Dataset::load(folder.path())?;
        prop_assert_eq!(&dataset.train, &expected);
        prop_assert_eq!(&dataset.test, &expected);
    }

    #[test]
    fn damage_is_refused_or_harmless(
        file in 0_usize..4,
        damage in fixture::damage(),
        packing in prop_oneof![Just(Packing::Plain), Just(Packing::Gzip)],
    ) {
        let mut files = good();
        for (_, bytes) in &mut files {
            *bytes = packing.pack(bytes);
        }
        damage.apply(&mut files[file].1);
        let folder = fixture::folder(&files, Packing::Plain);
        if let Ok(dataset) = Dataset::load(folder.path()) {
            fixture::assert_sound(&dataset);
        }
    }
}
