//! What the equivalence tests share: an independent reference, random networks, and the emulated
//! device.

pub mod case_file;
pub mod device;
pub mod kernel_shapes;
pub mod models;
pub mod oracle;
pub mod random_network;
pub mod reference;
