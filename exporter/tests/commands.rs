//! The exporter's command line, as a user meets it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const NETWORK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/networks/seed-24.network"
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
    let said = printed(&[
        "export",
        NETWORK,
        "-o",
        text(&blob),
        "--rust",
        text(&module),
    ]);
    let bytes = fs::read(&blob).expect("the blob").len();
    assert!(said.contains(&format!("{bytes} bytes of flash")), "{said}");

    let source = fs::read_to_string(&module).expect("the module");
    assert!(
        source.contains("pub const ARENA_BYTES: usize = "),
        "{source}"
    );
    assert!(
        source.contains(r#"include_blob!("../network.q88")"#),
        "{source}"
    );

    let table = printed(&["inspect", text(&blob)]);
    assert!(table.contains("conv 5x5 pad 2 ReLU"), "{table}");
    assert!(table.contains(&format!("flash {bytes} bytes")), "{table}");

    let comparison = printed(&["verify", text(&blob), NETWORK]);
    assert!(comparison.contains("1000 test images"), "{comparison}");
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

    let mut bytes = fs::read(&blob).expect("the blob");
    bytes[100] ^= 1;
    fs::write(&blob, &bytes).expect("a writable folder");
    assert!(refused(&["inspect", text(&blob)]).contains("blob corrupted"));
    fs::write(&blob, &bytes[..100]).expect("a writable folder");
    let message = refused(&["verify", text(&blob), NETWORK]);
    assert!(message.contains("network.q88: blob states"), "{message}");
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
