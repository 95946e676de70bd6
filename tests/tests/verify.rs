//! `exporter verify --device` on emulated machines, and what it makes of a device that computes
//! something else.
//!
//! Run with `tests/run`, as `device`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use exporter::device::{executable, run};
use tests::firmware_folder;

const IMAGES: &str = "3";

/// Beside the firmware's folder.
const NETWORK: &str = "../tests/networks/seed-24.network";

/// Passes everything on to cargo, and then makes the first logit that the firmware wrote one that no
/// network has.
const DISHONEST_CARGO: &str = r#"#!/bin/sh
"$HONEST_CARGO" "$@" || exit
case "$*" in
*" logits "*)
    for output in "$@"; do :; done
    printf '\377\377\377\177' | dd of="$output" conv=notrunc status=none
    ;;
esac
"#;

/// The command, built from the sources as they are.
fn exporter() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--package", "exporter"]);
    let built = run(cargo.arg("--message-format=json-render-diagnostics")).expect("it builds");
    executable(&built).expect("cargo says where it is")
}

fn verify(exporter: &Path, blob: &Path, machine: &str, cargo: &Path) -> Output {
    Command::new(exporter)
        .arg("verify")
        .arg(blob)
        .arg(firmware_folder().join(NETWORK))
        .args(["--images", IMAGES, "--device", machine, "--firmware"])
        .arg(firmware_folder())
        .env("CARGO", cargo)
        .env("HONEST_CARGO", env!("CARGO"))
        .output()
        .expect("the exporter starts")
}

#[test]
fn a_device_that_differs_fails_and_no_other() {
    let exporter = exporter();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let blob = folder.path().join("network.q88");
    let mut export = Command::new(&exporter);
    export.arg("export").arg(firmware_folder().join(NETWORK));
    run(export.arg("--output").arg(&blob)).expect("it exports");
    let dishonest = folder.path().join("cargo");
    fs::write(&dishonest, DISHONEST_CARGO).expect("a script");
    fs::set_permissions(&dishonest, fs::Permissions::from_mode(0o755)).expect("executable");

    for (machine, core) in [("qemu-m4", "Cortex-M4"), ("qemu-rv32", "RV32IMC")] {
        let honest = verify(&exporter, &blob, machine, Path::new(env!("CARGO")));
        let printed = String::from_utf8_lossy(&honest.stdout);
        let stderr = String::from_utf8_lossy(&honest.stderr);
        assert!(honest.status.success(), "{stderr}");
        let line = format!("{machine} ({core}): ");
        let found = printed.lines().find(|found| found.starts_with(&line));
        let found = found.expect("a line about the device");
        assert!(
            found.ends_with(", 0 of 30 logits differ from this machine's"),
            "{found}"
        );

        let changed = verify(&exporter, &blob, machine, &dishonest);
        assert_eq!(changed.status.code(), Some(1));
        let printed = String::from_utf8_lossy(&changed.stdout);
        assert!(printed.contains(", 1 of 30 logits differ"), "{printed}");
        let stderr = String::from_utf8_lossy(&changed.stderr);
        assert!(
            stderr.starts_with("error: image 0, logit 0: this machine "),
            "{stderr}"
        );
        assert!(stderr.contains(", the device 2147483647; "), "{stderr}");
    }
}
