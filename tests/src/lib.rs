//! What the equivalence tests share: an independent reference, random networks, and the emulated
//! device.

pub mod device;
pub mod models;
pub mod oracle;
pub mod random_network;
pub mod reference;
