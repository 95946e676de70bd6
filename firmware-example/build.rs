//! Chooses the machine's memory map and the linker script that reads it.

use std::path::PathBuf;
use std::{env, fs};

/// The memory map that `link.x` of `cortex-m-rt` includes as `memory.x`.
const MEMORY: &str = "memory/mps2-an386.x";

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={MEMORY}");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy(MEMORY, out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    // Here rather than in .cargo/config.toml, where RUSTFLAGS in the environment would replace it.
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
