//! Chooses the linker script of the emulated machine.

use std::env::var;

fn main() {
    let target = var("TARGET").unwrap_or_default();
    let machine = if target.starts_with("riscv32") {
        "virt.ld"
    } else {
        "mps2.ld"
    };
    let folder = var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rustc-link-arg-bins=-T{folder}/{machine}");
    println!("cargo:rerun-if-changed={machine}");
}
