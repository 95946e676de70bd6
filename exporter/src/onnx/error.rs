//! Why a model cannot be imported.

use runtime_nostd::geometry::GeometryError;
use thiserror::Error;

use super::proto::MAX_FILE_BYTES;
use crate::network::NetworkError;

/// What the importer reads, for the error that names something else.
pub const SUPPORTED: &str = "Conv (group 1 or depthwise), BatchNormalization, Relu, Clip, Min, \
    Max, MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool, ReduceMax, ReduceMean, Pad before \
    a convolution, Add, Sub, Mul, Div, Gemm, MatMul, Flatten, Reshape, Squeeze, Unsqueeze, \
    Transpose, Cast, Dropout, Identity, Softmax, LogSoftmax, Constant, and Shape, Gather, Slice and \
    Concat where they compute a constant";

/// Why a model cannot be imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file is too long to be decoded in bounded memory.
    #[error("{bytes} bytes: no more than {MAX_FILE_BYTES} are read")]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// The bytes are not a model.
    #[error("not an ONNX model, or truncated: {0}")]
    NotAModel(#[from] prost::DecodeError),
    /// A model without a graph.
    #[error("the file has no graph: not an ONNX model")]
    NoGraph,
    /// A version of the operators that is not known.
    #[error("operator set {found}: 9 to {newest} are read; export the model with one of those")]
    OperatorSet {
        /// Its version; 0 where the model names none.
        found: i64,
        /// The newest known.
        newest: i64,
    },
    /// The graph's inputs and outputs are not one image and one row of logits.
    #[error("{0}")]
    Interface(String),
    /// An initializer cannot be used.
    #[error("initializer {name:?}: {reason}")]
    Initializer {
        /// Its name.
        name: String,
        /// The reason.
        reason: TensorError,
    },
    /// A node cannot be expressed.
    #[error("node {node:?} ({operator}): {reason}")]
    Node {
        /// The node's name, or that of its output where it has none.
        node: String,
        /// Its operator.
        operator: String,
        /// The reason.
        reason: Refusal,
    },
    /// Mean and standard deviation do not fit the image.
    #[error(transparent)]
    Normalization(#[from] NormalizationError),
    /// A weight or bias is infinite or not a number.
    #[error("layer {layer}: a weight or bias is infinite or not a number")]
    NotFinite {
        /// Index of the layer.
        layer: usize,
    },
    /// The network that results is impossible.
    #[error("as a network: {0}")]
    Network(#[from] NetworkError),
    /// The operating system refuses.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Why a tensor cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// An element type that is not read.
    #[error("elements of type {0}: float32, double, int32 and int64 are read, each in its place")]
    Type(String),
    /// Data in another file.
    #[error("its data is in another file; save the model with its weights inside")]
    External,
    /// A dimension below 0, or a product beyond the memory.
    #[error("impossible dimensions {0:?}")]
    Dimensions(Vec<i64>),
    /// The data ends within an element.
    #[error("{bytes} bytes of data, not a whole number of elements")]
    Ragged {
        /// Bytes in the file.
        bytes: usize,
    },
    /// The data is not as long as the dimensions say.
    #[error("{found} elements, where its dimensions say {expected}")]
    Length {
        /// Elements in the file.
        found: usize,
        /// Elements by the dimensions.
        expected: usize,
    },
}

/// Why mean and standard deviation cannot be folded into the first layer.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum NormalizationError {
    /// Not one value, nor one per channel.
    #[error("{found} values of {what} for {channels} channels: give one, or one per channel")]
    Count {
        /// Mean or standard deviation.
        what: &'static str,
        /// Values given.
        found: usize,
        /// Channels of the image.
        channels: usize,
    },
    /// The model's 0 is no pixel value.
    #[error(
        "channel {channel}: the model's 0 is a pixel of {zero:.3}, which is not within 0 and 255; \
         check --mean, --std and --pixel-range"
    )]
    Zero {
        /// The channel.
        channel: usize,
        /// The pixel value that the model sees as 0.
        zero: f64,
    },
}

/// Why a node cannot be expressed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// An operator that is not read.
    #[error("this operator is not supported; supported are {SUPPORTED}")]
    Operator,
    /// An attribute's value is not supported.
    #[error("{name} of {found}: {supported}")]
    Attribute {
        /// The attribute or input.
        name: &'static str,
        /// Its value.
        found: String,
        /// What is supported.
        supported: &'static str,
    },
    /// An input is missing.
    #[error("input {0} is missing")]
    MissingInput(usize),
    /// An input is not written by an earlier node.
    #[error("reads {0:?}, which no earlier node writes: a cycle, or nodes out of order")]
    Unwritten(String),
    /// A second node writes a value.
    #[error("writes {0:?}, which has been written before")]
    WrittenTwice(String),
    /// An input must be known when the model is imported.
    #[error("input {0} must be a constant")]
    NotConstant(usize),
    /// An input must be computed from the image.
    #[error("input {0} must be a feature map, not a constant")]
    NotAMap(usize),
    /// A tensor has unfit dimensions.
    #[error("{what} has dimensions {found:?}, expected {expected}")]
    Dimensions {
        /// The input.
        what: &'static str,
        /// Its dimensions.
        found: Vec<usize>,
        /// What would fit.
        expected: String,
    },
    /// A map must be in channels-first order.
    #[error("reads a map that is not in the order batch, channels, rows, columns")]
    NotNchw,
    /// A padded map must be read by a convolution.
    #[error("reads what a Pad wrote, which only a convolution can")]
    Padded,
    /// What the node reads or does has no counterpart.
    #[error("{0}")]
    Form(&'static str),
    /// A constant tensor cannot be read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The image's normalization is impossible.
    #[error(transparent)]
    Normalization(#[from] NormalizationError),
    /// The layer does not fit the map.
    #[error("{0}")]
    Geometry(GeometryError),
    /// The clipped value is not exact in fixed point.
    #[error(
        "clips to {min} .. {max}: exact are a minimum of 0 with a maximum of 128 or more (beyond \
         Q8.8), or a multiple of 1/256 below it"
    )]
    Clip {
        /// The minimum.
        min: f32,
        /// The maximum.
        max: f32,
    },
    /// Nodes after the logits.
    #[error(
        "reads a softmax, which can only be the last node: it is dropped, for it keeps the class"
    )]
    NotLast,
}

impl From<GeometryError> for Refusal {
    fn from(error: GeometryError) -> Self {
        Self::Geometry(error)
    }
}
