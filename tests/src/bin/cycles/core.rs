//! The emulated cores, the firmware built for them, and the counting plugin.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use exporter::device::{DeviceError, executable, run};
use tempfile::TempDir;
use thiserror::Error;

/// A core to measure on.
pub(crate) struct Core {
    pub(crate) name: &'static str,
    target: &'static str,
    /// What the compiler schedules instructions for.
    cpu: &'static str,
    emulator: &'static str,
    machine: &'static [&'static str],
    /// The plugin's model of its cycles.
    pub(crate) model: &'static str,
    faults_unaligned: bool,
}

/// Cortex-M0's code runs on an emulated Cortex-M3, which has the memory. A Cortex-M0 faults at unaligned
/// accesses: the plugin counts them, and there may be none.
pub(crate) const CORES: [Core; 4] = [
    Core {
        name: "Cortex-M4",
        target: "thumbv7em-none-eabi",
        cpu: "cortex-m4",
        emulator: "qemu-system-arm",
        machine: &["-machine", "mps2-an386"],
        model: "m4",
        faults_unaligned: false,
    },
    Core {
        name: "Cortex-M3",
        target: "thumbv7m-none-eabi",
        cpu: "cortex-m3",
        emulator: "qemu-system-arm",
        machine: &["-machine", "mps2-an385"],
        model: "m3",
        faults_unaligned: false,
    },
    Core {
        name: "Cortex-M0",
        target: "thumbv6m-none-eabi",
        cpu: "cortex-m0",
        emulator: "qemu-system-arm",
        machine: &["-machine", "mps2-an385"],
        model: "m0",
        faults_unaligned: true,
    },
    Core {
        name: "RV32IMC",
        target: "riscv32imc-unknown-none-elf",
        cpu: "generic-rv32",
        emulator: "qemu-system-riscv32",
        machine: &["-machine", "virt", "-bios", "none"],
        model: "none",
        faults_unaligned: false,
    },
];

impl Core {
    /// The kernels that the runtime's features choose from, those of all features last.
    pub(crate) fn kernels(&self) -> &'static [Kernels] {
        if self.target.starts_with("thumbv7") {
            &[Kernels::Portable, Kernels::Assembly, Kernels::Fast]
        } else {
            &[Kernels::Fast]
        }
    }
}

/// What one inference costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Instructions and estimated cycles of the whole inference.
    pub(crate) instructions: u64,
    pub(crate) cycles: u64,
    /// The first layer's part.
    pub(crate) layer_instructions: u64,
    pub(crate) layer_cycles: u64,
    /// Unaligned accesses of the whole inference.
    pub(crate) unaligned: u64,
}

/// Why nothing can be measured, or something is wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// A file cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A program cannot be run, or says that something is wrong.
    #[error(transparent)]
    Program(#[from] DeviceError),
    /// An access would fault on the core.
    #[error("{core}: {accesses} unaligned accesses in network {network} of a file of cases")]
    Unaligned {
        /// The core.
        core: &'static str,
        /// Number of the network.
        network: usize,
        /// How many.
        accesses: u64,
    },
    /// A program printed something that is not understood.
    #[error("cannot understand {what}: {text}")]
    Output {
        /// Whose output.
        what: &'static str,
        /// What it printed.
        text: String,
    },
    /// The costs are not those of the committed table.
    #[error("{0}\nIf that is meant, run tests/cycles --update and commit tests/cycles.tsv.")]
    Costs(String),
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// The counting plugin, compiled.
pub(crate) struct Plugin {
    folder: TempDir,
}

impl Plugin {
    /// Compiles the plugin with the system's C compiler.
    pub(crate) fn build() -> Result<Self, Error> {
        let plugin = Self { folder: folder()? };
        let sources = tests_folder().join("cycles-plugin");
        run(Command::new("cc")
            .args([
                "-std=c11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o",
            ])
            .arg(plugin.path())
            .args(["cycles.c", "thumb.c"].map(|name| sources.join(name))))?;
        Ok(plugin)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cycles.so")
    }
}

/// Which kernels the firmware has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernels {
    /// Those in Rust.
    Portable,
    /// Those in assembly that know no shape.
    Assembly,
    /// All that the core has.
    Fast,
}

impl Kernels {
    /// The features of the firmware.
    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Portable => &["--no-default-features"],
            Self::Assembly => &["--no-default-features", "--features", "assembly"],
            Self::Fast => &[],
        }
    }
}

/// The firmware, built for a core.
pub(crate) struct Firmware {
    core: &'static Core,
    program: PathBuf,
    /// Where it runs, and finds its case file.
    folder: TempDir,
}

impl Firmware {
    /// Makes sure that the core's target can be built and emulated, and builds for it.
    pub(crate) fn build(core: &'static Core, kernels: Kernels) -> Result<Self, Error> {
        let toolchain = run(Command::new(tests_folder().join("toolchain")).arg(core.target))?;
        let cpu = format!(
            "target.{}.rustflags=['-Ctarget-cpu={}']",
            core.target, core.cpu
        );
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let built = run(Command::new(cargo)
            .current_dir(tests_folder().join("cycles-firmware"))
            .args(toolchain.split_whitespace())
            .args(["--config", &cpu])
            .args(["build", "--quiet", "--release", "--target", core.target])
            .args(kernels.features())
            .arg("--message-format=json-render-diagnostics"))?;
        let program = executable(&built).ok_or(Error::Output {
            what: "cargo",
            text: built,
        })?;
        Ok(Self {
            core,
            program,
            folder: folder()?,
        })
    }

    /// Runs the cases of a file, and counts: fails unless all give the expected logits, without an
    /// access at which the core faults.
    pub(crate) fn count(&self, cases: &[u8], plugin: &Plugin) -> Result<Vec<Counts>, Error> {
        let counts = self.folder.path().join("counts");
        let option = format!(
            "{},core={},out={}",
            plugin.path().display(),
            self.core.model,
            counts.display()
        );
        self.emulate(cases, &["-plugin", &option])?;
        let text = fs::read_to_string(&counts).map_err(Error::io(&counts))?;
        let parsed: Option<Vec<Counts>> = text.lines().map(parse_counts).collect();
        let counts = parsed.ok_or(Error::Output {
            what: "the plugin",
            text,
        })?;
        let unaligned = counts.iter().position(|counts| counts.unaligned > 0);
        match unaligned {
            Some(network) if self.core.faults_unaligned => Err(Error::Unaligned {
                core: self.core.name,
                network,
                accesses: counts[network].unaligned,
            }),
            _ => Ok(counts),
        }
    }

    fn emulate(&self, cases: &[u8], options: &[&str]) -> Result<(), Error> {
        let file = self.folder.path().join("cases.bin");
        fs::write(&file, cases).map_err(Error::io(&file))?;
        run(Command::new(self.core.emulator)
            .current_dir(self.folder.path())
            .args(self.core.machine)
            .args(["-display", "none", "-monitor", "none", "-serial", "none"])
            .args(["-semihosting-config", "enable=on,target=native"])
            .args(options)
            .args([OsStr::new("-kernel"), self.program.as_os_str()]))?;
        Ok(())
    }
}

/// A line of the plugin.
fn parse_counts(line: &str) -> Option<Counts> {
    let mut numbers = line.split(' ').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Counts {
        instructions: next()?,
        cycles: next()?,
        layer_instructions: next()?,
        layer_cycles: next()?,
        unaligned: next()?,
    })
}

pub(crate) fn tests_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> Result<TempDir, Error> {
    tempfile::tempdir().map_err(Error::io(&std::env::temp_dir()))
}
