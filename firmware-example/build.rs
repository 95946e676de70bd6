//! Chooses the machine: its memory map, how much memory the firmware takes, and what its timer counts.

use std::path::PathBuf;
use std::{env, fs};

/// A machine that the firmware is built for.
struct Machine {
    /// Its memory map is `memory/NAME.x`.
    name: &'static str,
    target: &'static str,
    /// What the architecture's timer counts: see `src/firmware/counter.rs`.
    timer: Timer,
    /// Memory for the stream mode: scratch and one image.
    stream_bytes: usize,
    /// Most layers of a network in the stream mode; where they are read to, on the stack, takes some
    /// 100 bytes each, more than once.
    stream_layers: usize,
}

enum Timer {
    /// Ticks of a clock in QEMU, where every instruction takes [`NS_PER_INSTRUCTION`].
    EmulatedMhz(u32),
    /// Cycles of the core, on silicon.
    Cycles,
}

/// `-icount shift=6` in `emulate`.
const NS_PER_INSTRUCTION: u32 = 64;

/// The first machine of a target is its default; `EA4CNN_MACHINE` names another one.
const MACHINES: &[Machine] = &[
    Machine {
        name: "microbit",
        target: "thumbv6m-none-eabi",
        timer: Timer::EmulatedMhz(16),
        stream_bytes: 10 << 10,
        stream_layers: 16,
    },
    Machine {
        name: "mps2-an385",
        target: "thumbv7m-none-eabi",
        timer: Timer::EmulatedMhz(25),
        stream_bytes: 512 << 10,
        stream_layers: 32,
    },
    Machine {
        name: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        timer: Timer::EmulatedMhz(25),
        stream_bytes: 512 << 10,
        stream_layers: 32,
    },
    Machine {
        name: "mps2-an500",
        target: "thumbv7em-none-eabi",
        timer: Timer::EmulatedMhz(25),
        stream_bytes: 512 << 10,
        stream_layers: 32,
    },
    Machine {
        name: "mps2-an505",
        target: "thumbv8m.main-none-eabihf",
        timer: Timer::EmulatedMhz(20),
        stream_bytes: 512 << 10,
        stream_layers: 32,
    },
    Machine {
        name: "mps3-an547",
        target: "thumbv8m.main-none-eabihf",
        timer: Timer::EmulatedMhz(32),
        stream_bytes: 256 << 10,
        stream_layers: 32,
    },
    Machine {
        name: "virt",
        target: "riscv32imc-unknown-none-elf",
        // Its counter of retired instructions counts nanoseconds.
        timer: Timer::EmulatedMhz(1000),
        stream_bytes: 512 << 10,
        stream_layers: 32,
    },
    Machine {
        name: "nrf52840-dk",
        target: "thumbv7em-none-eabihf",
        timer: Timer::Cycles,
        stream_bytes: 128 << 10,
        stream_layers: 32,
    },
    Machine {
        name: "stm32f4-discovery",
        target: "thumbv7em-none-eabihf",
        timer: Timer::Cycles,
        stream_bytes: 64 << 10,
        stream_layers: 32,
    },
];

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory");
    println!("cargo:rerun-if-env-changed=EA4CNN_MACHINE");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let machine = machine();
    fs::copy(format!("memory/{}.x", machine.name), out.join("memory.x"))?;
    fs::write(out.join("machine.rs"), constants(machine))?;
    println!("cargo:rustc-link-search={}", out.display());
    // Here rather than in .cargo/config.toml, where RUSTFLAGS in the environment would replace it.
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // Nothing reads it on the device.
    println!("cargo:rustc-link-arg-bins=--undefined=EA4CNN_ARITHMETIC_VERSION");
    Ok(())
}

fn machine() -> &'static Machine {
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let name = env::var("EA4CNN_MACHINE").ok();
    MACHINES
        .iter()
        .find(|machine| {
            machine.target == target && name.as_deref().is_none_or(|name| name == machine.name)
        })
        .unwrap_or_else(|| {
            panic!(
                "no machine {} with target {target}: see MACHINES in build.rs",
                name.unwrap_or_default()
            )
        })
}

/// What `src/firmware/machine.rs` includes.
fn constants(machine: &Machine) -> String {
    let (unit, ticks) = match machine.timer {
        Timer::EmulatedMhz(mhz) => ("instructions", NS_PER_INSTRUCTION * mhz),
        Timer::Cycles => ("cycles", 1000),
    };
    format!(
        "/// What [`Counter`](super::counter::Counter) counts.
pub(crate) const UNIT: &str = {unit:?};
/// Ticks of the timer while it counts 1000.
pub(crate) const TICKS_PER_THOUSAND: u32 = {ticks};
/// Memory for the stream mode, in bytes.
pub(crate) const STREAM_BYTES: usize = {};
/// Most layers of a network in the stream mode.
pub(crate) const STREAM_LAYERS: usize = {};
",
        machine.stream_bytes, machine.stream_layers
    )
}
