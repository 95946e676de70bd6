//! Integer-only inference of small convolutional networks in Q8.8, from a blob in flash.
//!
//! No float, no allocation, and no panic: [`Model::parse`] accepts any bytes and either refuses them
//! with a reason or returns a model whose inference cannot fail. Weights are read in place; RAM holds
//! line buffers and accumulators only ([`Model::arena_bytes`]).
//!
//! ```no_run
//! use runtime_nostd::{Model, Scratch};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! # const ARENA_BYTES: usize = 2048;
//! # static BLOB: &[u8] = &[];
//! # let image = [0; 784];
//! let model: Model = Model::parse(BLOB)?;
//! let mut scratch = Scratch::<ARENA_BYTES>::new();
//! let class = model.infer(&mut scratch, &image)?.class();
//! # Ok(())
//! # }
//! ```
//!
//! The feature `std` is for hosts: `Batch` takes the same blob, plan and schedule, and computes many
//! images at a time, in the same bits, with the vectors of the machine.
//!
//! FORMAT.md specifies the blob and the arithmetic.
#![no_std]

#[cfg(any(test, feature = "std"))]
extern crate std;

#[cfg(target_endian = "big")]
compile_error!("parameters are read in place and are little-endian");

mod arena;
#[cfg(feature = "std")]
mod batch;
pub mod blob;
mod bound;
pub mod chain;
mod dump;
pub mod embed;
mod error;
mod executor;
mod feature;
pub mod geometry;
mod kernels;
mod layer;
mod logits;
mod model;
mod observe;
mod ops;
mod plan;
pub mod q8_8;
mod regions;
mod schedule;
mod scratch;
pub mod sections;
mod session;
pub mod weights8;

#[cfg(feature = "std")]
pub use batch::{Batch, InstructionSet};
pub use chain::{Chain, arena_bytes};
pub use dump::{DUMP_VERSION, Dump};
pub use error::{InferError, ParseError, SelfTestError};
pub use feature::Feature;
pub use kernels::UNROLLED_SHAPES;
pub use layer::{Layer, Parameters};
pub use logits::Logits;
pub use model::{DEFAULT_LAYERS, Model};
pub use observe::{Observer, Row};
pub use regions::{Content, Region};
pub use scratch::Scratch;
pub use session::Session;
