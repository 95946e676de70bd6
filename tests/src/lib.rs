//! What the equivalence tests share: an independent reference, and random networks.

pub mod models;
pub mod oracle;
pub mod random_network;
pub mod reference;
