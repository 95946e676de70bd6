//! What the runtime costs on a device. That its program links at all shows that `parse`, `infer` and
//! `classify` contain no reachable panic.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use elf::ElfBytes;
use elf::abi::SHF_ALLOC;
use elf::endian::AnyEndian;
use exporter::board::Core;
use exporter::device::run;
use tests::models::small_blobs;

const CORTEX_M0: &str = "thumbv6m-none-eabi";
const CORTEX_M4: &str = "thumbv7em-none-eabihf";

/// With the features of `tests/footprint`: bytes of flash that the runtime may take, optimized for
/// size. A change that takes more must say so here.
const FLASH: [(&str, &str, usize); 12] = [
    (CORTEX_M4, "embedded", 4_900),
    (CORTEX_M4, "embedded,assembly", 7_000),
    (CORTEX_M4, "embedded,all-operations", 7_100),
    (CORTEX_M4, "embedded,all-operations,assembly", 9_200),
    (CORTEX_M4, "", 13_300),
    (CORTEX_M4, "all-operations", 15_700),
    (CORTEX_M4, "all-operations,fast,weights-8", 34_800),
    (CORTEX_M0, "embedded", 5_120),
    (CORTEX_M0, "embedded,all-operations", 7_750),
    (CORTEX_M0, "", 14_600),
    (CORTEX_M0, "all-operations", 16_900),
    (CORTEX_M0, "all-operations,fast,weights-8", 21_500),
];

/// With the features of `tests/footprint`: bytes of stack that `classify` may take.
const STACK: [(&str, &str, usize); 6] = [
    (CORTEX_M4, "all-operations", 480),
    (CORTEX_M4, "all-operations,assembly", 536),
    (CORTEX_M4, "all-operations,fast", 600),
    (CORTEX_M4, "all-operations,fast,weights-8", 992),
    (CORTEX_M0, "all-operations", 512),
    (CORTEX_M0, "all-operations,fast,weights-8", 912),
];

#[test]
fn no_panic_can_be_reached_and_the_code_is_small() -> Result<(), Box<dyn Error>> {
    toolchain()?;
    let mut too_large = Vec::new();
    for (target, features, limit) in FLASH {
        let program = build("code", target, features, &[])?;
        let bytes = loaded_bytes(&std::fs::read(program)?)?;
        println!("{target} [{features}]: {bytes} bytes of flash");
        if bytes > limit {
            too_large.push((target, features, bytes, limit));
        }
    }
    assert_eq!(too_large, []);
    Ok(())
}

/// The firmware's profile, which optimizes for speed, must leave no panic either.
#[test]
fn no_panic_can_be_reached_at_full_speed() -> Result<(), Box<dyn Error>> {
    toolchain()?;
    let speed = [("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")];
    for target in [CORTEX_M4, CORTEX_M0] {
        for kernels in ["", ",assembly", ",fast"] {
            let features = format!("all-operations,rounded,weights-8{kernels}");
            build("code", target, &features, &speed)?;
        }
    }
    Ok(())
}

#[test]
fn inference_needs_little_stack() -> Result<(), Box<dyn Error>> {
    toolchain()?;
    let blobs = tempfile::tempdir()?;
    for (index, blob) in small_blobs().iter().enumerate() {
        std::fs::write(
            blobs.path().join(format!("small-{index}.q88")),
            blob.as_bytes(),
        )?;
    }
    let folder = blobs
        .path()
        .to_str()
        .ok_or("a temporary folder in Unicode")?;
    let mut too_deep = Vec::new();
    for (target, features, limit) in STACK {
        let program = build("stack", target, features, &[("BLOBS", folder)])?;
        // Code for Cortex-M0 runs on Cortex-M4 as well, with the same stack.
        let output = run(Command::new("qemu-system-arm")
            .args([
                "-machine",
                "mps2-an386",
                "-display",
                "none",
                "-monitor",
                "none",
                "-serial",
                "none",
                "-semihosting-config",
                "enable=on,target=native",
                "-kernel",
            ])
            .arg(program))?;
        let bytes: usize = output.trim().parse()?;
        println!("{target} [{features}]: {bytes} bytes of stack");
        if bytes > limit {
            too_deep.push((target, features, bytes, limit));
        }
    }
    assert_eq!(too_deep, []);
    Ok(())
}

#[test]
fn the_exporter_counts_on_these_limits() {
    let core = |target| match target {
        CORTEX_M0 => Core::CortexM0,
        _ => Core::CortexM4,
    };
    for (target, features, limit) in FLASH {
        assert!(limit <= core(target).code_bytes(), "{target} [{features}]");
    }
    for (target, features, limit) in STACK {
        assert!(limit <= core(target).stack_bytes(), "{target} [{features}]");
    }
}

fn toolchain() -> Result<(), Box<dyn Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("toolchain");
    run(Command::new(script).args([CORTEX_M0, CORTEX_M4]))?;
    Ok(())
}

/// Builds a program of the package `footprint`, and returns its path.
fn build(
    program: &str,
    target: &str,
    features: &str,
    environment: &[(&str, &str)],
) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("footprint");
    let output = folder.join("target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .current_dir(&folder)
        .args(["build", "--quiet", "--release", "--bin", program])
        .args(["--target", target, "--features", features, "--target-dir"])
        .arg(&output)
        .envs(environment.iter().copied());
    run(&mut cargo)?;
    Ok(output.join(target).join("release").join(program))
}

/// Bytes of all sections of an ELF file that are loaded: code, constants and initial data.
fn loaded_bytes(elf: &[u8]) -> Result<usize, Box<dyn Error>> {
    let elf = ElfBytes::<AnyEndian>::minimal_parse(elf)?;
    let sections = elf.section_headers().ok_or("no section headers")?;
    let loaded = sections
        .iter()
        .filter(|section| section.sh_flags & u64::from(SHF_ALLOC) != 0);
    Ok(usize::try_from(
        loaded.map(|section| section.sh_size).sum::<u64>(),
    )?)
}
