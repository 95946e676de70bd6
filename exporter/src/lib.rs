//! From a trained f32 network to the blob that `runtime-nostd` executes.

pub mod dataset;
pub mod forward;
pub mod network;
