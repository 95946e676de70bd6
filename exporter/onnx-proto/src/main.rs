//! `cargo run` here, after onnx.proto has been replaced by that of a newer ONNX release.

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile(["onnx.proto"], [here])?;
    let folder = here.join("../src/onnx/proto");
    prost_build::Config::new()
        .disable_comments(["."])
        .out_dir(&folder)
        .compile_fds(files)?;
    fs::rename(folder.join("onnx.rs"), folder.join("generated.rs"))?;
    Ok(())
}
