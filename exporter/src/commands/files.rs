//! Files in, files out, with their names in the errors.

use std::path::{Path, PathBuf};

use exporter::file::{check_folder, write_atomically};
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

/// Refuses outputs that cannot be written, or that would replace the input or one another, before any
/// work.
pub(crate) fn check_outputs<'p>(
    input: &'p Path,
    outputs: impl IntoIterator<Item = &'p PathBuf>,
) -> Result<(), String> {
    let mut others = vec![input];
    for output in outputs {
        check_folder(output).map_err(|error| error.to_string())?;
        if let Some(other) = others.iter().find(|other| is_same(output, other)) {
            let (output, other) = (output.display(), other.display());
            return Err(format!(
                "{output}: this would replace {other}: give another file to write"
            ));
        }
        others.push(output);
    }
    Ok(())
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        // What is not there yet can only be the same by its name.
        _ => std::path::absolute(a).ok() == std::path::absolute(b).ok(),
    }
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), String> {
    write_atomically(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}
