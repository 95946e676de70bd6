//! Networks from and to [ONNX](https://onnx.ai).
//!
//! [`import`] reads what PyTorch, and converters from other frameworks, write, as far as a [`Network`]
//! expresses it, and refuses the rest by the node's name. A [`Network`] is a chain with
//! channels-last maps, and reads 8-bit pixels: so the importer puts the graph in line, reorders
//! weights, and folds the normalization that the model was trained with into the first layer.
//!
//! [`Network`]: crate::network::Network

mod arithmetic;
mod chain;
mod constants;
mod conv;
mod dense;
mod error;
mod import;
mod interface;
mod layout;
mod node;
mod normalize;
mod pool;
mod proto;
mod tensor;
mod value;
mod window;

pub use error::{ImportError, NormalizationError, Refusal, SUPPORTED, TensorError};
pub use import::{Imported, import, import_file};
pub use normalize::{Normalization, PixelRange};
pub use proto::MAX_FILE_BYTES;

/// The metadata property with the names of the classes, one per line.
const CLASSES_KEY: &str = "ea4cnn.classes";
