//! Devices, emulated: the firmware built for one machine, which runs any blob over any images.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use thiserror::Error;

/// A machine that the firmware is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What command lines call it.
    pub option: &'static str,
    /// Its core.
    pub core: &'static str,
    /// QEMU's name for it, or the board's.
    pub name: &'static str,
    target: &'static str,
    /// Where it is not the target's machine in the firmware's `.cargo/config.toml`: a file in its
    /// folder that names it.
    config: Option<&'static str>,
}

/// Cortex-M4 with FPU.
pub const CORTEX_M4: Machine = MACHINES[2];

/// All emulated machines that the firmware knows.
pub const MACHINES: [Machine; 7] = [
    machine("qemu-m0", "Cortex-M0", "microbit", "thumbv6m-none-eabi"),
    machine("qemu-m3", "Cortex-M3", "mps2-an385", "thumbv7m-none-eabi"),
    machine(
        "qemu-m4",
        "Cortex-M4",
        "mps2-an386",
        "thumbv7em-none-eabihf",
    ),
    machine("qemu-m7", "Cortex-M7", "mps2-an500", "thumbv7em-none-eabi"),
    machine(
        "qemu-m33",
        "Cortex-M33",
        "mps2-an505",
        "thumbv8m.main-none-eabihf",
    ),
    Machine {
        config: Some("boards/mps3-an547.toml"),
        ..machine(
            "qemu-m55",
            "Cortex-M55",
            "mps3-an547",
            "thumbv8m.main-none-eabihf",
        )
    },
    machine(
        "qemu-rv32",
        "RV32IMC",
        "virt",
        "riscv32imc-unknown-none-elf",
    ),
];

/// Boards that the firmware builds for. None has run it.
pub const BOARDS: [Machine; 2] = [
    Machine {
        config: Some("boards/nrf52840-dk.toml"),
        ..machine(
            "nrf52840-dk",
            "Cortex-M4",
            "nrf52840-dk",
            "thumbv7em-none-eabihf",
        )
    },
    Machine {
        config: Some("boards/stm32f4-discovery.toml"),
        ..machine(
            "stm32f4-discovery",
            "Cortex-M4",
            "stm32f4-discovery",
            "thumbv7em-none-eabihf",
        )
    },
];

const fn machine(
    option: &'static str,
    core: &'static str,
    name: &'static str,
    target: &'static str,
) -> Machine {
    Machine {
        option,
        core,
        name,
        target,
        config: None,
    }
}

/// The firmware, built for one machine.
#[derive(Debug)]
pub struct Device {
    machine: Machine,
    /// The folder of the package `firmware-example`.
    firmware: PathBuf,
    /// For the files that host and device exchange.
    folder: TempDir,
}

/// Why the device gives no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The folder does not hold the firmware.
    #[error(
        "{}: no firmware here; run this in the repository's folder, or name its folder \
         firmware-example with --firmware DIR",
        path.display()
    )]
    NoFirmware {
        /// The folder.
        path: PathBuf,
    },
    /// A file or a program cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or the program.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A program says that something is wrong.
    #[error("{command} failed:\n{message}")]
    Failed {
        /// What was run.
        command: String,
        /// What it printed, to its standard error if there is something.
        message: String,
    },
}

impl Device {
    /// Makes sure that the machine's target can be built and emulated, and builds the firmware in
    /// the repository's folder `firmware`, `firmware-example`.
    ///
    /// # Errors
    /// There is no firmware, toolchain or emulator are missing (with the command that installs
    /// them), or the firmware does not compile.
    pub fn build(machine: Machine, firmware: &Path) -> Result<Self, DeviceError> {
        let no_firmware = || DeviceError::NoFirmware {
            path: firmware.to_owned(),
        };
        let firmware = firmware.canonicalize().map_err(|_| no_firmware())?;
        let toolchain = firmware.join("../tests/toolchain");
        if !firmware.join("emulate").is_file() || !toolchain.is_file() {
            return Err(no_firmware());
        }
        run(Command::new(toolchain).arg(machine.target))?;
        let folder = tempfile::tempdir().map_err(|source| DeviceError::Io {
            path: std::env::temp_dir(),
            source,
        })?;
        let device = Self {
            machine,
            firmware,
            folder,
        };
        run(&mut device.cargo("build"))?;
        Ok(device)
    }

    /// What the firmware prints about the digits in its flash.
    ///
    /// # Errors
    /// [`DeviceError::Failed`] if the firmware panics.
    pub fn demo(&self) -> Result<String, DeviceError> {
        run(&mut self.cargo("run"))
    }

    /// The raw logits of all `images`, `[images, classes]`, as the device computes them.
    ///
    /// # Errors
    /// [`DeviceError::Failed`] with the firmware's message, for example if it refuses the blob.
    pub fn logits(&self, blob: &[u8], images: &[u8]) -> Result<Vec<i32>, DeviceError> {
        let bytes = self.stream("logits", blob, images)?;
        let (logits, _) = bytes.as_chunks();
        Ok(logits.iter().copied().map(i32::from_le_bytes).collect())
    }

    /// The dump of one `image`: every row of every layer (FORMAT.md).
    ///
    /// # Errors
    /// As [`Device::logits`].
    pub fn dump(&self, blob: &[u8], image: &[u8]) -> Result<String, DeviceError> {
        let bytes = self.stream("dump", blob, image)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What the firmware writes in the mode `task`.
    fn stream(&self, task: &str, blob: &[u8], images: &[u8]) -> Result<Vec<u8>, DeviceError> {
        let [blob_path, images_path, output_path] =
            ["network.q88", "images.raw", "output"].map(|name| self.folder.path().join(name));
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| DeviceError::Io { path, source }
        };
        fs::write(&blob_path, blob).map_err(io(&blob_path))?;
        fs::write(&images_path, images).map_err(io(&images_path))?;
        let mut cargo = self.cargo("run");
        cargo.args(["--", task]);
        run(cargo.args([&blob_path, &images_path, &output_path]))?;
        fs::read(&output_path).map_err(io(&output_path))
    }

    /// The file of the firmware.
    ///
    /// # Errors
    /// It is not where cargo says.
    pub fn elf(&self) -> Result<Vec<u8>, DeviceError> {
        let mut cargo = self.cargo("build");
        let built = run(cargo.arg("--message-format=json-render-diagnostics"))?;
        let path = executable(&built).unwrap_or_default();
        fs::read(&path).map_err(|source| DeviceError::Io { path, source })
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .current_dir(&self.firmware)
            .args([command, "--quiet", "--release", "--target"])
            .arg(self.machine.target);
        if let Some(config) = self.machine.config {
            // Another machine's firmware for this target has the same file name.
            let folder = self
                .firmware
                .join("../target/machines")
                .join(self.machine.name);
            cargo.args(["--config", config, "--target-dir"]).arg(folder);
        }
        cargo
    }
}

/// Runs a program to its end; what it prints to its standard output, if it succeeds.
///
/// # Errors
/// It cannot be started, or fails ([`DeviceError::Failed`]).
pub fn run(command: &mut Command) -> Result<String, DeviceError> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().map_err(|source| DeviceError::Io {
        path: command.get_program().into(),
        source,
    })?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let printed = if stderr.is_empty() { stdout } else { stderr };
    Err(DeviceError::Failed {
        command: format!("{command:?}"),
        message: String::from_utf8_lossy(&printed).into_owned(),
    })
}

/// The program that `cargo build --message-format=json-render-diagnostics` says it has `built`.
pub fn executable(built: &str) -> Option<PathBuf> {
    let (_, rest) = built.rsplit_once("\"executable\":\"")?;
    rest.split('"').next().map(PathBuf::from)
}
