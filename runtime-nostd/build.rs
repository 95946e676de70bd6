//! Finds out which kernels in assembly the target core can run. The compiler knows, but tells it
//! (`target_feature = "dsp"`) to nightly builds only.

use std::env::var;

fn main() {
    println!("cargo:rustc-check-cfg=cfg(armv7m, armv8m, dsp)");
    println!("cargo:rerun-if-changed=build.rs");
    if var("CARGO_FEATURE_ASSEMBLY").is_err() {
        return;
    }
    let target = var("TARGET").unwrap_or_default();
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is = |architecture: &str| target.starts_with(architecture);
    // On Armv8-M the extension is an option of the core.
    let asked_for = [
        "+dsp",
        "target-cpu=cortex-m33",
        "target-cpu=cortex-m55",
        "target-cpu=cortex-m85",
    ]
    .iter()
    .any(|flag| flags.contains(flag));
    if is("thumbv7m") || is("thumbv7em") || is("thumbv8m.main") {
        println!("cargo:rustc-cfg=armv7m");
    }
    if is("thumbv8m.main") {
        println!("cargo:rustc-cfg=armv8m");
    }
    if is("thumbv7em") || (is("thumbv8m.main") && asked_for) {
        println!("cargo:rustc-cfg=dsp");
    }
}
