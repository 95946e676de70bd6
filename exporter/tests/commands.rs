//! The exporter's command line, as a user meets it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use exporter::dataset::Dataset;
use exporter::network_svg::thousands;
use exporter::write::Blob;
use image::GrayImage;

const NETWORK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/networks/seed-24.network"
);

const MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/onnx/keras-mnist.onnx"
);

fn exporter(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_exporter"))
        .args(arguments)
        .output()
        .expect("the exporter starts")
}

/// What a successful command prints.
fn printed(arguments: &[&str]) -> String {
    let output = exporter(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The message of a command that fails as it should: one line, exit status 1.
fn refused(arguments: &[&str]) -> String {
    let output = exporter(arguments);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a Unicode path")
}

/// The arguments that export the network and a module.
fn with_module<'a>(blob: &'a Path, module: &'a Path) -> [&'a str; 6] {
    ["export", NETWORK, "-o", text(blob), "--rust", text(module)]
}

/// A blob exported into a new folder.
fn exported() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let blob = folder.path().join("network.q88");
    printed(&["export", NETWORK, "--output", text(&blob)]);
    (folder, blob)
}

#[test]
fn export_inspect_verify() {
    let (folder, blob) = exported();
    let module = folder.path().join("src").join("network.rs");
    fs::create_dir(folder.path().join("src")).expect("a folder");
    let said = printed(&with_module(&blob, &module));
    let bytes = fs::read(&blob).expect("the blob").len();
    assert!(said.contains(&format!("{bytes} bytes of flash")), "{said}");

    let source = fs::read_to_string(&module).expect("the module");
    assert!(
        source.contains("pub const ARENA_BYTES: usize = "),
        "{source}"
    );
    assert!(
        source.contains(r#"include_bytes!("../network.q88")"#),
        "{source}"
    );

    let table = printed(&["inspect", text(&blob)]);
    assert!(table.contains("conv 5x5 pad 2 ReLU"), "{table}");
    assert!(table.contains(&format!("flash {bytes} bytes")), "{table}");

    let comparison = printed(&["verify", text(&blob), NETWORK]);
    assert!(comparison.contains("1000 test images"), "{comparison}");
    assert!(
        comparison.contains("no activation saturated"),
        "{comparison}"
    );
    assert!(
        comparison.contains("conv          activations"),
        "{comparison}"
    );
    assert!(comparison.contains("\nlabel "), "{comparison}");
}

#[test]
fn rescaling_says_what_it_did() {
    let (folder, plain) = exported();
    let blob = folder.path().join("rescaled.q88");
    let said = printed(&["export", NETWORK, "--rescale", "-o", text(&blob)]);
    assert!(said.contains("256 images"), "{said}");
    assert!(said.contains("layer 1: 6 of 6 filters scaled by"), "{said}");
    let bytes = |path: &Path| fs::read(path).expect("a blob");
    assert_ne!(bytes(&blob), bytes(&plain));
    assert_eq!(bytes(&blob).len(), bytes(&plain).len());

    let rounded = ["export", NETWORK, "--product=rounded", "--weight-bits=auto"];
    let message = refused(&[&rounded[..], &["-o", text(&blob)]].concat());
    assert!(message.contains("rounded products"), "{message}");
}

#[test]
fn verify_tells_programs_what_it_finds() {
    let (_folder, blob) = exported();
    let found = printed(&["verify", text(&blob), NETWORK, "--images", "50", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["images"], 50);
    assert_eq!(found["device"], serde_json::Value::Null);
    let confusion = found["confusion"].as_array().expect("a matrix");
    let diagonal = (0..10).map(|class| confusion[class][class].as_u64().expect("a count"));
    assert_eq!(Some(diagonal.sum()), found["correct_fixed"].as_u64());
}

#[test]
fn a_device_needs_its_firmware() {
    let (folder, blob) = exported();
    let verify = ["verify", text(&blob), NETWORK, "--device", "qemu-m4"];
    let message = refused(&[&verify[..], &["--firmware", text(folder.path())]].concat());
    assert!(message.contains("no firmware here"), "{message}");
    assert!(message.contains("--firmware DIR"), "{message}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let (folder, blob) = exported();
    let missing = folder.path().join("missing.network");
    assert!(refused(&["export", text(&missing), "-o", "x.q88"]).contains("missing.network: "));

    // The two kinds of files, the wrong way round.
    let message = refused(&["export", text(&blob), "-o", "x.q88"]);
    assert!(message.contains("not a network file"), "{message}");
    let message = refused(&["inspect", NETWORK]);
    assert!(message.contains("not an EA4CNN blob"), "{message}");
    assert!(message.contains("`exporter export` makes one"), "{message}");
    let message = refused(&["export", MODEL, "-o", "x.q88"]);
    assert!(message.contains("`exporter import` makes one"), "{message}");
    let missing = folder.path().join("none");
    let output = missing.join("x.q88");
    let message = refused(&["export", NETWORK, "-o", text(&output)]);
    let expected = format!("there is no folder {}; create it", missing.display());
    assert!(message.contains(&expected), "{message}");

    let mut bytes = fs::read(&blob).expect("the blob");
    bytes[100] ^= 1;
    fs::write(&blob, &bytes).expect("a writable folder");
    assert!(refused(&["inspect", text(&blob)]).contains("blob corrupted"));
    fs::write(&blob, &bytes[..100]).expect("a writable folder");
    let message = refused(&["verify", text(&blob), NETWORK]);
    assert!(message.contains("network.q88: blob states"), "{message}");
}

#[test]
fn models_that_cannot_be_imported_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let network = folder.path().join("x.network");
    let empty = folder.path().join("empty.onnx");
    fs::write(&empty, "").expect("a file");
    let message = refused(&["import", text(&empty), "-o", text(&network)]);
    assert!(
        message.contains("empty.onnx: the file has no graph"),
        "{message}"
    );

    let named = ["import", MODEL, "-o", text(&network), "--classes", "a,b"];
    let message = refused(&named);
    assert!(
        message.contains("keras-mnist.onnx: the model has 10 logits, and --classes 2 names"),
        "{message}"
    );
    assert!(!network.exists());
}

#[test]
fn other_data_is_refused() {
    let (folder, blob) = exported();
    let message = refused(&[
        "verify",
        text(&blob),
        NETWORK,
        "--data",
        text(folder.path()),
    ]);
    assert!(message.contains(text(folder.path())), "{message}");
}

/// The first 30 of the bundled test images as PNG files, in folders with the digits' names.
fn digits(folder: &Path) -> PathBuf {
    const NAMES: [&str; 10] = [
        "0-zero", "1-one", "2-two", "3-three", "4-four", "5-five", "6-six", "7-seven", "8-eight",
        "9-nine",
    ];
    let root = folder.join("digits");
    let digits = Dataset::bundled().test;
    for index in 0..30 {
        let class = root.join(NAMES[digits.label(index)]);
        fs::create_dir_all(&class).expect("a folder");
        let image = GrayImage::from_raw(28, 28, digits.pixels(index).to_vec());
        let path = class.join(format!("{index}.png"));
        image
            .expect("28x28 pixels")
            .save(path)
            .expect("a writable folder");
    }
    root
}

#[test]
fn image_files_are_verified() {
    let (folder, blob) = exported();
    let data = digits(folder.path());
    let verify = ["verify", text(&blob), NETWORK, "--data", text(&data)];
    let output = exporter(&verify);
    let comparison = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = "digits: 30 images, those of its training among them";
    assert!(comparison.contains(count), "{comparison}");
    assert!(
        said.contains("warning: few images of class 0-zero, 5 in number"),
        "{said}"
    );

    let smaller = [&verify[..], &["--size", "14x14"]].concat();
    let message = exporter(&smaller);
    let message = String::from_utf8_lossy(&message.stderr);
    assert!(
        message.contains("error: the images are 14x14x1, the network reads 28x28x1"),
        "{message}"
    );

    fs::write(data.join("0-zero/notes.png"), "a note").expect("a writable folder");
    let strict = [&verify[..], &["--strict"]].concat();
    let refusal = String::from_utf8(exporter(&strict).stderr).expect("UTF-8");
    assert!(
        refusal.ends_with("0-zero/notes.png: no PNG, JPEG or BMP file\n"),
        "{refusal}"
    );
    assert_eq!(exporter(&strict).status.code(), Some(1));
    assert!(exporter(&verify).status.success());
}

#[test]
fn class_names_are_in_the_metadata() {
    let (_folder, blob) = exported();
    assert!(!printed(&["inspect", text(&blob)]).contains("class 0"));
    let export = ["export", NETWORK, "-o", text(&blob)];
    printed(&[&export[..], &["--metadata", "--accuracy"]].concat());
    let table = printed(&["inspect", text(&blob)]);
    assert!(table.contains("\nfrom: evolve "), "{table}");
    let measured = " in fixed point on 1000 test images of mnist-subset; exporter ";
    assert!(table.contains(measured), "{table}");
    assert!(table.ends_with("\nclass 8: 8\nclass 9: 9\n"), "{table}");
}

#[test]
fn an_existing_file_survives_a_failed_export() {
    let (folder, blob) = exported();
    let before = fs::read(&blob).expect("the blob");
    let broken = folder.path().join("broken.network");
    let mut bytes = fs::read(NETWORK).expect("a network");
    bytes.truncate(1000);
    fs::write(&broken, bytes).expect("a writable folder");
    assert!(refused(&["export", text(&broken), "-o", text(&blob)]).contains("broken.network"));
    assert_eq!(fs::read(&blob).expect("the blob"), before);
}

#[test]
fn an_output_replaces_no_input_and_no_other_output() {
    let folder = tempfile::tempdir().unwrap();
    let network = folder.path().join("own.network");
    fs::copy(NETWORK, &network).unwrap();
    let before = fs::read(&network).unwrap();
    let refusal = refused(&["export", text(&network), "-o", text(&network)]);
    assert!(refusal.contains("this would replace"), "{refusal}");
    assert_eq!(fs::read(&network).unwrap(), before);

    let blob = folder.path().join("own.q88");
    let refusal = refused(&with_module(&blob, &blob));
    assert!(refusal.contains("this would replace"), "{refusal}");
    let module = folder.path().join("nowhere/own.rs");
    let refusal = refused(&with_module(&blob, &module));
    assert!(refusal.contains("create it first"), "{refusal}");
    assert!(!blob.exists());
}

#[cfg(unix)]
#[test]
fn a_link_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (
        folder.path().join("blob.q88"),
        folder.path().join("link.q88"),
    );
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    printed(&["export", NETWORK, "-o", text(&link)]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(fs::read(&target).unwrap(), b"old");
}

#[test]
fn a_network_is_drawn() {
    let (folder, blob) = exported();
    let svg = folder.path().join("network.svg");
    printed(&["inspect", text(&blob), "--svg", text(&svg)]);
    let drawn = fs::read_to_string(&svg).expect("the picture");
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
    let blob = Blob::read(&blob).expect("the blob");
    let model = blob.model().expect("an exported blob");
    let maps = drawn.matches("<g transform").count();
    assert_eq!(maps, model.layers().len() + 1);
    for region in model.regions().skip(1) {
        let label = format!(" {}</text>", thousands(region.bytes as u64));
        assert!(drawn.contains(&label), "{label}");
    }
}

#[test]
fn what_does_not_fit_a_board_is_not_exported() {
    let (folder, blob) = exported();
    let boards = folder.path().join("boards.toml");
    let tiny = "[[board]]\nname = \"tiny\"\ncore = \"Cortex-M0\"\nclock_mhz = 1\n\
                flash_bytes = 100000\nram_bytes = 1500\n";
    fs::write(&boards, tiny).expect("a writable folder");
    let options = ["--board", "tiny", "--boards", text(&boards)];
    let message = refused(&[&["inspect", text(&blob)][..], &options].concat());
    assert!(message.contains("does not fit tiny: RAM"), "{message}");
    let other = folder.path().join("other.q88");
    refused(&[&["export", NETWORK, "-o", text(&other)][..], &options].concat());
    assert!(!other.exists());
    let said = printed(&["inspect", text(&blob), "--board", "nrf52840"]);
    assert!(said.contains("ms per inference, estimated"), "{said}");
}
