//! From a trained f32 network to the blob that `runtime-nostd` executes.
//!
//! A [`network::Network`] is folded ([`fold`]), quantized ([`quantize`]) and written ([`mod@write`]); the
//! writer has the runtime itself parse what it wrote. [`export`] does all three, and can scale channels
//! ([`scale`]) where that makes the error at the logits less ([`rescale`]).

pub mod agreement;
pub mod board;
pub mod confusion;
pub mod cuts;
pub mod dataset;
pub mod device;
pub mod diff_layers;
pub mod energy;
pub mod export;
pub mod file;
pub mod fold;
pub mod forward;
pub mod inspect;
pub mod map_svg;
pub mod module;
pub mod network;
pub mod network_svg;
mod noise;
pub mod onnx;
pub mod quantize;
pub mod ranges;
pub mod rescale;
pub mod scale;
pub mod sections;
pub mod verify;
pub mod write;
