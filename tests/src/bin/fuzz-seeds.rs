//! Writes the blobs that fuzzing starts from: `cargo run -p tests --bin fuzz-seeds fuzz/corpus/blob`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use exporter::write::write;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tests::models::small_blobs;
use tests::random_network::networks;

const RANDOM_NETWORKS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1);
    let folder = PathBuf::from(folder.ok_or("name the folder to write to")?);
    fs::create_dir_all(&folder)?;
    for (index, blob) in small_blobs().iter().enumerate() {
        fs::write(folder.join(format!("small-{index}.q88")), blob.as_bytes())?;
    }
    let mut runner = TestRunner::deterministic();
    for index in 0..RANDOM_NETWORKS {
        let tree = networks().new_tree(&mut runner);
        let network = tree.map_err(|reason| reason.to_string())?.current();
        let file = folder.join(format!("random-{index}.q88"));
        fs::write(file, write(&network)?.as_bytes())?;
    }
    Ok(())
}
