//! Files in, files out, with their names in the errors.

use std::path::Path;

use exporter::file::write_atomically;
use exporter::write::Blob;
use runtime_nostd::{Model, ParseError};

pub(crate) fn read_blob(path: &Path) -> Result<Blob, String> {
    Blob::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn parse<'a>(blob: &'a Blob, path: &Path) -> Result<Model<'a>, String> {
    blob.model().map_err(|error| {
        let hint = match error {
            ParseError::NotABlob => "; `exporter export` makes one of a network",
            _ => "",
        };
        format!("{}: {error}{hint}", path.display())
    })
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), String> {
    write_atomically(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}
