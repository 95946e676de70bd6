//! From a trained f32 network to the blob that `runtime-nostd` executes.
//!
//! [`network::Network`] is folded ([`fold`]), quantized ([`quantize`]) and written ([`write`]);
//! the writer has the runtime itself parse what it wrote.

pub mod dataset;
pub mod fold;
pub mod forward;
pub mod network;
pub mod quantize;
pub mod write;
