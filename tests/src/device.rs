//! The device, emulated: the firmware built for one target, which runs any blob over any images.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use thiserror::Error;

/// Cortex-M4 with FPU.
pub const CORTEX_M4: &str = "thumbv7em-none-eabihf";

/// The firmware, built for one target. Its `.cargo/config.toml` says which emulator runs it.
#[derive(Debug)]
pub struct Device {
    target: &'static str,
    /// For the files that host and device exchange.
    folder: TempDir,
}

/// Why the device gives no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
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
        /// What it printed to its standard error.
        message: String,
    },
}

impl Device {
    /// Makes sure that `target` can be built and emulated, and builds the firmware.
    ///
    /// # Errors
    /// Toolchain or emulator are missing (with the command that installs them), or the firmware does
    /// not compile.
    pub fn build(target: &'static str) -> Result<Self, DeviceError> {
        run(Command::new(repository().join("tests/toolchain")).arg(target))?;
        let folder = tempfile::tempdir().map_err(|source| DeviceError::Io {
            path: std::env::temp_dir(),
            source,
        })?;
        let device = Self { target, folder };
        run(&mut device.cargo("build"))?;
        Ok(device)
    }

    /// What the firmware prints about the digits in its flash.
    ///
    /// # Errors
    /// [`DeviceError::Failed`] if the firmware panics.
    pub fn demo(&self) -> Result<String, DeviceError> {
        let output = run(&mut self.cargo("run"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The raw logits of all `images`, `[images, classes]`, as the device computes them.
    ///
    /// # Errors
    /// [`DeviceError::Failed`] with the firmware's message, for example if it refuses the blob.
    pub fn logits(&self, blob: &[u8], images: &[u8]) -> Result<Vec<i32>, DeviceError> {
        let [blob_path, images_path, logits_path] =
            ["network.q88", "images.raw", "logits.raw"].map(|name| self.folder.path().join(name));
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| DeviceError::Io { path, source }
        };
        fs::write(&blob_path, blob).map_err(io(&blob_path))?;
        fs::write(&images_path, images).map_err(io(&images_path))?;
        let stream = format!(
            "stream {} {} {}",
            blob_path.display(),
            images_path.display(),
            logits_path.display()
        );
        run(self.cargo("run").args(["--", "-append", &stream]))?;
        let bytes = fs::read(&logits_path).map_err(io(&logits_path))?;
        let (logits, _) = bytes.as_chunks();
        Ok(logits.iter().copied().map(i32::from_le_bytes).collect())
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .current_dir(repository().join("firmware-example"))
            .args([command, "--quiet", "--release", "--target", self.target]);
        cargo
    }
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn run(command: &mut Command) -> Result<Output, DeviceError> {
    let output = command.output().map_err(|source| DeviceError::Io {
        path: command.get_program().into(),
        source,
    })?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(DeviceError::Failed {
            command: format!("{command:?}"),
            message: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
