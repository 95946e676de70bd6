//! What the equivalence tests share: an independent reference, and random networks.

use std::path::Path;

pub mod case_file;
pub mod kernel_shapes;
pub mod models;
pub mod oracle;
pub mod random_network;
pub mod reference;
pub mod workload;

/// The folder of the firmware that emulated devices run.
pub fn firmware_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware-example"))
}
