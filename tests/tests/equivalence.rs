//! Evolved networks on real digits: host and emulated device give the same logits, byte for byte.
//!
//! Over 1,000 bundled images, and over MNIST's 10,000 official test images where `EA4CNN_DATA` names a
//! folder that holds `mnist`.

use std::path::{Path, PathBuf};

use exporter::dataset::{Dataset, Images};
use exporter::export::export;
use exporter::file::read_network;
use exporter::write::Blob;
use runtime_nostd::q8_8::Product;
use tests::device::{CORTEX_M4, Device};

#[test]
fn evolved_networks_give_the_same_logits() {
    let device = Device::build(CORTEX_M4).expect("the firmware builds");
    let images = test_images();
    let pixels: Vec<u8> = (0..images.len())
        .flat_map(|index| images.pixels(index))
        .copied()
        .collect();
    let networks = networks();
    assert!(networks.len() >= 5, "the committed networks are there");
    println!(
        "{CORTEX_M4} in QEMU against the host, {} images",
        images.len()
    );
    println!(
        "{:<20} {:>8} {:>10} {:>17} {:>10}",
        "network", "product", "logits", "differing", "accuracy"
    );
    for path in &networks {
        for product in [Product::Exact, Product::Rounded] {
            let network = read_network(path).expect("a committed network");
            let blob = export(&network, product).expect("it fits Q8.8").blob;
            let (host, correct) = host_logits(&blob, &images);
            let device = device
                .logits(blob.as_bytes(), &pixels)
                .expect("the device runs it");
            assert_eq!(device.len(), host.len());
            let differing = host.iter().zip(&device).filter(|(a, b)| a != b).count();
            println!(
                "{:<20} {:>8} {:>10} {:>17} {:>8.2} %",
                path.file_stem().unwrap_or_default().to_string_lossy(),
                format!("{product:?}"),
                host.len(),
                differing,
                100.0 * correct as f64 / images.len() as f64
            );
            assert_eq!(differing, 0, "{} {product:?}", path.display());
        }
    }
    println!(
        "{} networks, 2 products each: no logit differs",
        networks.len()
    );
}

/// The committed evolved networks.
fn networks() -> Vec<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/networks"));
    let entries = folder.read_dir().expect("the folder of networks");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "network")
        })
        .collect();
    paths.sort();
    paths
}

fn test_images() -> Images {
    match std::env::var_os("EA4CNN_DATA") {
        Some(data) => {
            let folder = Path::new(&data).join("mnist");
            Dataset::load(&folder)
                .expect("EA4CNN_DATA holds MNIST")
                .test
        }
        None => {
            println!("EA4CNN_DATA is not set: the bundled images only");
            Dataset::bundled().test
        }
    }
}

/// The host's logits, and how many images they classify correctly.
fn host_logits(blob: &Blob, images: &Images) -> (Vec<i32>, usize) {
    let model = blob.model().expect("a blob that parses");
    let mut scratch = vec![0; model.arena_bytes() / 4];
    let mut all = Vec::new();
    let mut correct = 0;
    for index in 0..images.len() {
        let logits = model
            .infer(&mut scratch, images.pixels(index))
            .expect("lengths fit");
        correct += usize::from(logits.class() == images.label(index));
        all.extend(logits.raw());
    }
    (all, correct)
}
