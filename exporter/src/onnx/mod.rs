//! Networks from and to [ONNX](https://onnx.ai).
//!
//! [`import`] reads what PyTorch, and converters from other frameworks, write, as far as a [`Network`]
//! expresses it, and refuses the rest by the node's name. A [`Network`] is a chain with
//! channels-last maps, and reads 8-bit pixels: so the importer puts the graph in line, reorders
//! weights, and folds the normalization that the model was trained with into the first layer.
//!
//! [`export()`] writes a network in f32, [`export_integer`] the quantized network in 32-bit integers, which
//! gives the device's bits in any runtime. Both read the device's images.
//!
//! [`Network`]: crate::network::Network

mod arithmetic;
mod chain;
mod constants;
mod conv;
mod dense;
mod error;
mod export;
mod graph;
mod import;
mod integer;
mod interface;
mod layout;
mod node;
mod normalize;
mod pool;
mod proto;
mod tensor;
#[cfg(test)]
mod tests;
mod value;
mod window;

pub use error::{ImportError, NormalizationError, Refusal, SUPPORTED, TensorError};
pub use export::export;
pub use import::{Imported, import, import_file};
pub use integer::export_integer;
pub use normalize::{Normalization, PixelRange};
pub use proto::MAX_FILE_BYTES;

/// The metadata property with the names of the classes, one per line.
const CLASSES_KEY: &str = "ea4cnn.classes";
