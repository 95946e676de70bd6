//! Firmware that runs an exported network on a Cortex-M, here on one that QEMU emulates.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

/// Lets editors and commands for the whole workspace compile this package for the host.
#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "error: this is a firmware: run cargo in the folder firmware-example, which targets Cortex-M"
    );
    std::process::ExitCode::FAILURE
}
