//! Finds out whether the target core has the DSP extension (`cfg(dsp)`). The compiler knows, but
//! tells it (`cfg(target_feature = "dsp")`) to nightly builds only.

use std::env::var;

fn main() {
    println!("cargo:rustc-check-cfg=cfg(dsp)");
    println!("cargo:rerun-if-changed=build.rs");
    let target = var("TARGET").unwrap_or_default();
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // On Armv8-M the extension is an option of the core.
    let optional = target.starts_with("thumbv8m.main")
        && (flags.contains("+dsp") || flags.contains("target-cpu=cortex-m33"));
    if target.starts_with("thumbv7em") || optional {
        println!("cargo:rustc-cfg=dsp");
    }
}
