//! ONNX's messages, and reading them from a file's bytes.

use prost::Message as _;

use super::error::ImportError;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::doc_markdown,
    reason = "written by exporter/onnx-proto"
)]
#[rustfmt::skip]
mod generated;

pub(crate) use generated::*;

/// The longest file that is read. A message takes up to some hundred times its bytes in memory
/// once it is decoded, and a network of 8 million weights fits no microcontroller.
pub const MAX_FILE_BYTES: usize = 32 << 20;

/// Decodes a model.
///
/// # Errors
/// More than [`MAX_FILE_BYTES`], or not a model.
pub(crate) fn decode(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge {
            bytes: bytes.len() as u64,
        });
    }
    Ok(ModelProto::decode(bytes)?)
}
