//! Golden vectors, metadata, dumps: what helps on a device.

use exporter::diff_layers::{Difference, DumpError, Rows};
use exporter::network::{Input, Network};
use exporter::sections::{append_golden, append_metadata};
use exporter::write::{Blob, write};
use proptest::prelude::*;
use runtime_nostd::blob::Prefix;
use runtime_nostd::geometry::Shape;
use runtime_nostd::{Dump, ParseError, SelfTestError};
use tests::models::small_blobs;
use tests::oracle::with_fitting_prefix;
use tests::random_network::{networks, pixels};

fn scratch(blob: &Blob) -> Vec<i32> {
    vec![0; blob.model().expect("a blob").arena_bytes() / 4]
}

#[test]
fn golden_vectors_tell_a_changed_logit() {
    for blob in small_blobs() {
        let images = [1, 2, 3].map(|seed| pixels(Shape::new(8, 8, 1), seed));
        let images = images.each_ref().map(Vec::as_slice);
        let golden = append_golden(&blob, &images).expect("images fit");
        let mut memory = scratch(&golden);
        let model = golden.model().expect("a blob");
        assert_eq!(model.self_test(&mut memory), Ok(3));

        // The second image's first logit; then the checksum, since the blob itself is whole.
        let at = blob.as_bytes().len() + 8 + 4 + model.classes() * 4;
        let mut bytes = golden.as_bytes().to_vec();
        bytes[at] ^= 1;
        let changed = with_fitting_prefix(&bytes);
        assert_eq!(
            changed.model().expect("a blob").self_test(&mut memory),
            Err(SelfTestError::Differs { image: 1 })
        );
    }
}

#[test]
fn a_blob_without_golden_vectors_says_so() {
    for blob in small_blobs() {
        let found = blob.model().expect("a blob").self_test(&mut scratch(&blob));
        assert_eq!(found, Err(SelfTestError::NoVectors));
    }
}

#[test]
fn metadata_is_read_back() {
    let network = Network {
        input: Input {
            shape: Shape::new(8, 8, 1),
            zero: vec![0],
        },
        layers: Vec::new(),
        classes: ["cat", "dog", "a\nbird"].map(String::from).to_vec(),
        provenance: "run 7".into(),
    };
    let [blob, ..] = small_blobs();
    let blob = append_metadata(&blob, &network).expect("short");
    let model = blob.model().expect("a blob");
    let metadata = model.metadata().expect("just appended");
    let provenance = metadata.provenance();
    assert!(provenance.starts_with("run 7; exporter "), "{provenance}");
    assert!(metadata.classes().eq(["cat", "dog", "a bird"]));
}

#[test]
fn half_a_section_is_refused() {
    let [blob, ..] = small_blobs();
    let mut bytes = blob.as_bytes().to_vec();
    bytes.extend(*b"META\x05\0\0\0abcd");
    let blob = with_fitting_prefix(&bytes);
    assert_eq!(blob.model().err(), Some(ParseError::Sections));
}

/// The dump of one image.
fn dump_of(blob: &Blob, image: &[u8]) -> String {
    let mut text = String::from("booting\n");
    let crc = crc_of(blob);
    let mut memory = scratch(blob);
    let mut dump = Dump::new(&mut text, crc);
    let model = blob.model().expect("a blob");
    let logits = model.infer_with(&mut memory, image, &mut dump);
    dump.finish(logits.expect("lengths fit")).expect("memory");
    text
}

fn crc_of(blob: &Blob) -> u32 {
    Prefix::read(blob.as_bytes()).expect("a blob").crc
}

#[test]
fn the_first_different_activation_is_named() {
    let [_, _, residual, ..] = small_blobs();
    let image = pixels(Shape::new(8, 8, 1), 1);
    let model = residual.model().expect("a blob");
    let host = Rows::of_host(&model, &image).expect("the image fits");
    let text = dump_of(&residual, &image);

    // Row 2 of layer 0 has 8 columns of 3 channels; column 5, channel 1 is number 16.
    let row = text.lines().find(|line| line.starts_with("row 0 2 "));
    let row = row.expect("it is there");
    let (before, value) = row.split_at("row 0 2 ".len() + 16 * 4);
    let found = i16::from_str_radix(&value[..4], 16).expect("positive behind ReLU");
    let changed = format!("{before}{:04x}{}", found + 1, &value[4..]);
    let device = Rows::of_dump(&text.replace(row, &changed), crc_of(&residual)).expect("a dump");
    assert_eq!(
        device.first_difference(&host, &model),
        Some(Difference::Activation {
            layer: 0,
            y: 2,
            x: 5,
            channel: 1,
            device: found + 1,
            host: found,
        })
    );

    let without = text.replace(row, "");
    let device = Rows::of_dump(&without, crc_of(&residual)).expect("a dump");
    let missing = Difference::Row { layer: 0, y: 2 };
    assert_eq!(device.first_difference(&host, &model), Some(missing));
}

#[test]
fn what_is_no_dump_is_refused() {
    let [blob, ..] = small_blobs();
    let text = dump_of(&blob, &pixels(Shape::new(8, 8, 1), 1));
    let crc = crc_of(&blob);
    let error = |text: &str, crc| Rows::of_dump(text, crc).expect_err("it is no dump");
    assert!(matches!(error("booting\n", crc), DumpError::NotADump));
    assert!(matches!(error(&text, crc ^ 1), DumpError::OtherBlob { .. }));
    let half = &text[..text.len() / 2];
    let half = &half[..=half.rfind('\n').expect("several lines")];
    assert!(matches!(error(half, crc), DumpError::Truncated));
    let garbled = text.replace("row 1 ", "row x ");
    assert!(matches!(error(&garbled, crc), DumpError::Line { .. }));
}

proptest! {
    #[test]
    fn a_dump_of_this_machine_agrees(network in networks(), seed in any::<u64>()) {
        let blob = write(&network).expect("random networks are within bounds");
        let image = pixels(network.input.shape, seed);
        let model = blob.model().expect("the writer has parsed it");
        let device = Rows::of_dump(&dump_of(&blob, &image), crc_of(&blob)).expect("a dump");
        let host = Rows::of_host(&model, &image).expect("the image fits");
        prop_assert_eq!(device.first_difference(&host, &model), None);
        prop_assert_eq!(device, host);
    }
}
