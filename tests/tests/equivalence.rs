//! Everywhere the same: evolved networks on real digits give the same logits, byte for byte, and the
//! same rows of every layer, on this machine and on every one that QEMU emulates for us.
//!
//! Over 1,000 images: MNIST's official test images where `EA4CNN_DATA` names a folder that holds
//! `mnist`, else bundled ones. Over all 10,000 with `-- --ignored`.

use std::path::{Path, PathBuf};
use std::thread;

use exporter::dataset::{Dataset, Images};
use exporter::device::{Device, MACHINES};
use exporter::diff_layers::Rows;
use exporter::export::export;
use exporter::file::read_network;
use exporter::write::Blob;
use runtime_nostd::blob::Prefix;
use runtime_nostd::q8_8::Product;
use runtime_nostd::{Batch, InstructionSet};
use tests::firmware_folder;

/// Bytes of an image.
const IMAGE_BYTES: usize = 28 * 28;

#[test]
fn every_machine_gives_the_same_logits() {
    compare(1000);
}

#[test]
#[ignore = "takes an hour"]
fn every_machine_gives_the_same_logits_for_all_test_images() {
    compare(usize::MAX);
}

/// A network, and what it must give.
struct Case {
    name: String,
    blob: Blob,
    /// The logits of all images, by the scalar kernels of this machine.
    logits: Vec<i32>,
    /// Every row of the first image.
    rows: Rows,
}

/// What a target gave, per network: logits that differ, and the first difference between its rows
/// and ours.
type Column = Vec<(usize, Option<String>)>;

/// Prints the matrix, over at most `most` images, and checks it.
fn compare(most: usize) {
    let pixels = test_pixels(most);
    let cases: Vec<Case> = networks()
        .iter()
        .flat_map(|path| [Product::Exact, Product::Rounded].map(|product| (path, product)))
        .map(|(path, product)| Case::new(path, product, &pixels))
        .collect();
    assert!(cases.len() >= 10, "the committed networks are there");

    let mut matrix: Vec<(String, Column)> = InstructionSet::available()
        .map(|instructions| {
            let column = cases.iter().map(|case| case.on_host(instructions, &pixels));
            (format!("x86-64 {}", instructions.name()), column.collect())
        })
        .collect();
    let devices = MACHINES.map(|machine| {
        let device = Device::build(machine, firmware_folder()).expect("the firmware builds");
        (format!("{} ({})", machine.core, machine.name), device)
    });
    thread::scope(|scope| {
        let columns = devices.map(|(name, device)| {
            let (cases, pixels) = (&cases, &pixels);
            let run = move || cases.iter().map(|case| case.on(&device, pixels)).collect();
            (name, scope.spawn(run))
        });
        for (name, column) in columns {
            matrix.push((name, column.join().expect("the device runs")));
        }
    });
    print(&matrix, &cases, pixels.len() / IMAGE_BYTES);
    for (target, column) in &matrix {
        for ((differing, rows), case) in column.iter().zip(&cases) {
            assert_eq!(*differing, 0, "{target}, {}", case.name);
            assert_eq!(*rows, None, "{target}, {}", case.name);
        }
    }
}

fn print(matrix: &[(String, Column)], cases: &[Case], images: usize) {
    println!(
        "{images} images: differing logits of {} each",
        cases[0].logits.len()
    );
    print!("{:<24}", "");
    for case in cases {
        print!(" {:>9}", case.name);
    }
    println!();
    for (target, column) in matrix {
        print!("{target:<24}");
        for (differing, _) in column {
            print!(" {differing:>9}");
        }
        println!();
    }
}

impl Case {
    fn new(path: &Path, product: Product, pixels: &[u8]) -> Self {
        let network = read_network(path).expect("a committed network");
        let blob = export(&network, product).expect("it fits Q8.8").blob;
        let (logits, rows) = expected(&blob, pixels);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let suffix = match product {
            Product::Exact => "",
            Product::Rounded => "/r",
        };
        Self {
            name: format!("{}{suffix}", stem.trim_start_matches("seed-")),
            blob,
            logits,
            rows,
        }
    }

    fn differing(&self, logits: &[i32]) -> usize {
        assert_eq!(logits.len(), self.logits.len());
        let pairs = self.logits.iter().zip(logits);
        pairs.filter(|(a, b)| a != b).count()
    }

    /// Vector instructions of this machine; they do not tell of rows.
    fn on_host(&self, instructions: InstructionSet, pixels: &[u8]) -> (usize, Option<String>) {
        let model = self.blob.model().expect("a blob that parses");
        let mut batch = Batch::with(&model, instructions);
        let mut logits = Vec::new();
        let inferred = batch.infer(pixels.chunks(IMAGE_BYTES), |_, image| {
            logits.extend(image.raw());
        });
        inferred.expect("lengths fit");
        (self.differing(&logits), None)
    }

    fn on(&self, device: &Device, pixels: &[u8]) -> (usize, Option<String>) {
        let blob = self.blob.as_bytes();
        let logits = device.logits(blob, pixels).expect("the device runs it");
        let dump = device.dump(blob, &pixels[..IMAGE_BYTES]);
        let crc = Prefix::read(blob).expect("a blob").crc;
        let rows = Rows::of_dump(&dump.expect("the device runs it"), crc).expect("a whole dump");
        let model = self.blob.model().expect("a blob that parses");
        let difference = rows.first_difference(&self.rows, &model);
        let difference = difference.map(|difference| difference.to_string());
        (self.differing(&logits), difference)
    }
}

/// The logits of all images, and every row of the first one.
fn expected(blob: &Blob, pixels: &[u8]) -> (Vec<i32>, Rows) {
    let model = blob.model().expect("a blob that parses");
    let mut scratch = vec![0; model.arena_bytes() / 4];
    let mut logits = Vec::new();
    for image in pixels.chunks(IMAGE_BYTES) {
        let inferred = model.infer(&mut scratch, image);
        logits.extend(inferred.expect("lengths fit").raw());
    }
    let rows = Rows::of_host(&model, &pixels[..IMAGE_BYTES]).expect("the image fits");
    (logits, rows)
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

/// The pixels of the first test images, at most `most`.
fn test_pixels(most: usize) -> Vec<u8> {
    let images: Images = match std::env::var_os("EA4CNN_DATA") {
        Some(data) => {
            let folder = Path::new(&data).join("mnist");
            Dataset::load(&folder)
                .expect("EA4CNN_DATA holds MNIST")
                .test
        }
        None => {
            println!("EA4CNN_DATA is not set: bundled images");
            Dataset::bundled().test
        }
    };
    (0..images.len().min(most))
        .flat_map(|index| images.pixels(index))
        .copied()
        .collect()
}
