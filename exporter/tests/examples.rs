//! The committed examples are what this exporter writes.

use std::path::Path;
use std::process::Command;

#[test]
fn the_examples_are_up_to_date() {
    for name in ["mnist", "cifar10"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../firmware-example/networks")
            .join(name);
        let written = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_exporter"))
            .args(["export", "--metadata"])
            .arg(folder.join("network.network"))
            .arg("--output")
            .arg(written.path().join("network.q88"))
            .arg("--rust")
            .arg(written.path().join("network.rs"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        for file in ["network.q88", "network.rs"] {
            let [committed, now] =
                [&folder, written.path()].map(|folder| std::fs::read(folder.join(file)).unwrap());
            assert!(
                committed == now,
                "{name}/{file}: export it again, as firmware-example/networks/README.md says"
            );
        }
    }
}
