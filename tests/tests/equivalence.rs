//! Everywhere the same: evolved networks on real images give the same logits, byte for byte, and the
//! same rows of every layer, on this machine and on every one that QEMU emulates for us.
//!
//! Over 1,000 images: the official test images of MNIST and CIFAR-10 where `EA4CNN_DATA` names a folder
//! that holds them, else bundled digits only. Over all 10,000 with `-- --ignored`.

use std::path::{Path, PathBuf};
use std::thread;

use exporter::dataset::{Dataset, Images};
use exporter::device::{Device, MACHINES};
use exporter::diff_layers::Rows;
use exporter::export::export;
use exporter::file::read_network;
use exporter::quantize::{Format, WeightBits};
use exporter::write::Blob;
use runtime_nostd::blob::Prefix;
use runtime_nostd::q8_8::Product;
use runtime_nostd::{Batch, InstructionSet};
use tests::firmware_folder;

const EXACT: Format = format(Product::Exact, WeightBits::Q8_8);
const ROUNDED: Format = format(Product::Rounded, WeightBits::Q8_8);
const NARROW: Format = format(Product::Exact, WeightBits::Narrow);

const fn format(product: Product, weight_bits: WeightBits) -> Format {
    Format {
        product,
        weight_bits,
    }
}

#[test]
fn every_machine_gives_the_same_logits_for_digits() {
    compare(&digits(1000));
}

#[test]
fn every_machine_gives_the_same_logits_for_photographs() {
    if let Some(photographs) = photographs(1000) {
        compare(&photographs);
    }
}

#[test]
#[ignore = "takes an hour"]
fn every_machine_gives_the_same_logits_for_all_digits() {
    compare(&digits(usize::MAX));
}

#[test]
#[ignore = "takes an hour"]
fn every_machine_gives_the_same_logits_for_all_photographs() {
    compare(&photographs(usize::MAX).expect("EA4CNN_DATA is set"));
}

/// Test images, end to end.
struct Pixels {
    bytes: Vec<u8>,
    image_bytes: usize,
}

/// Images, and networks for them.
struct Suite {
    pixels: Pixels,
    cases: Vec<Case>,
}

/// A network, and what it must give.
struct Case {
    name: String,
    blob: Blob,
    /// The logits of all images, by the scalar kernels of this machine.
    logits: Vec<i32>,
    /// Every row of the first image.
    rows: Rows,
    /// A machine with too little memory for it.
    too_large_for: Option<&'static str>,
}

/// What a target gave, per network: logits that differ, and the first difference between its rows
/// and ours; `None` if it has too little memory.
type Column = Vec<Option<(usize, Option<String>)>>;

/// The committed networks for digits, and at most `most` images.
fn digits(most: usize) -> Suite {
    let images = test_images("mnist").unwrap_or_else(|| {
        println!("EA4CNN_DATA is not set: bundled digits");
        Dataset::bundled().test
    });
    let (paths, example) = (networks(), example("mnist"));
    let pixels = Pixels::new(&images, most);
    let cases: Vec<Case> = paths
        .iter()
        .flat_map(|path| [EXACT, ROUNDED].map(|format| (path, format)))
        .chain([EXACT, ROUNDED, NARROW].map(|format| (&example, format)))
        .map(|(path, format)| Case::new(path, format, &pixels))
        .collect();
    assert!(cases.len() >= 10, "the committed networks are there");
    Suite { pixels, cases }
}

/// The committed network for photographs, and at most `most` images, if there are any.
fn photographs(most: usize) -> Option<Suite> {
    let Some(images) = test_images("cifar-10-batches-bin") else {
        println!("EA4CNN_DATA is not set: no photographs");
        return None;
    };
    let path = example("cifar10");
    let pixels = Pixels::new(&images, most);
    let narrow = Case {
        // With an image, and memory to expand weights.
        too_large_for: Some("microbit"),
        ..Case::new(&path, NARROW, &pixels)
    };
    let cases = vec![Case::new(&path, EXACT, &pixels), narrow];
    Some(Suite { pixels, cases })
}

/// Prints the matrix, and checks it.
fn compare(suite: &Suite) {
    let Suite { pixels, cases } = suite;
    let mut matrix: Vec<(String, Column)> = InstructionSet::available()
        .map(|instructions| {
            let column = cases.iter().map(|case| case.on_host(instructions, pixels));
            let column = column.map(|differing| Some((differing, None)));
            (format!("x86-64 {}", instructions.name()), column.collect())
        })
        .collect();
    let devices: Vec<(&str, String, Device)> = MACHINES
        .iter()
        .map(|&machine| {
            let device = Device::build(machine, firmware_folder()).expect("the firmware builds");
            let target = format!("{} ({})", machine.core, machine.name);
            (machine.name, target, device)
        })
        .collect();
    thread::scope(|scope| {
        let columns = devices.into_iter().map(|(machine, target, device)| {
            let run = move || {
                let column = cases.iter().map(|case| {
                    let fits = case.too_large_for != Some(machine);
                    fits.then(|| case.on(&device, pixels))
                });
                column.collect()
            };
            (target, scope.spawn(run))
        });
        // All start before any is waited for.
        let columns: Vec<_> = columns.collect();
        for (target, column) in columns {
            matrix.push((target, column.join().expect("the device runs")));
        }
    });
    print(&matrix, suite);
    for (target, column) in &matrix {
        for (outcome, case) in column.iter().zip(cases) {
            if let Some((differing, rows)) = outcome {
                assert_eq!(*differing, 0, "{target}, {}", case.name);
                assert_eq!(*rows, None, "{target}, {}", case.name);
            }
        }
    }
}

fn print(matrix: &[(String, Column)], suite: &Suite) {
    println!(
        "{} images: differing logits of {} each",
        suite.pixels.images().len(),
        suite.cases[0].logits.len()
    );
    print!("{:<24}", "");
    for case in &suite.cases {
        print!(" {:>9}", case.name);
    }
    println!();
    for (target, column) in matrix {
        print!("{target:<24}");
        for outcome in column {
            match outcome {
                Some((differing, _)) => print!(" {differing:>9}"),
                None => print!(" {:>9}", "-"),
            }
        }
        println!();
    }
}

impl Pixels {
    /// Those of at most `most` of `images`.
    fn new(images: &Images, most: usize) -> Self {
        Self {
            bytes: (0..images.len().min(most))
                .flat_map(|index| images.pixels(index))
                .copied()
                .collect(),
            image_bytes: images.shape().elements(),
        }
    }

    fn images(&self) -> std::slice::Chunks<'_, u8> {
        self.bytes.chunks(self.image_bytes)
    }

    fn first_image(&self) -> &[u8] {
        &self.bytes[..self.image_bytes]
    }
}

impl Case {
    fn new(path: &Path, format: Format, pixels: &Pixels) -> Self {
        let network = read_network(path).expect("a committed network");
        let blob = export(&network, format).expect("it can be exported").blob;
        let (logits, rows) = expected(&blob, pixels);
        let suffix = match format {
            EXACT => "",
            ROUNDED => "/r",
            _ => "/8",
        };
        Self {
            name: format!("{}{suffix}", short_name(path)),
            blob,
            logits,
            rows,
            too_large_for: None,
        }
    }

    fn differing(&self, logits: &[i32]) -> usize {
        assert_eq!(logits.len(), self.logits.len());
        let pairs = self.logits.iter().zip(logits);
        pairs.filter(|(a, b)| a != b).count()
    }

    /// Logits that differ with vector instructions of this machine; they do not tell of rows.
    fn on_host(&self, instructions: InstructionSet, pixels: &Pixels) -> usize {
        let model = self.blob.model().expect("a blob that parses");
        let mut batch = Batch::with(&model, instructions);
        let mut logits = Vec::new();
        let inferred = batch.infer(pixels.images(), |_, image| {
            logits.extend(image.raw());
        });
        inferred.expect("lengths fit");
        self.differing(&logits)
    }

    fn on(&self, device: &Device, pixels: &Pixels) -> (usize, Option<String>) {
        let blob = self.blob.as_bytes();
        let logits = device.logits(blob, &pixels.bytes);
        let logits = logits.expect("the device runs it");
        let dump = device.dump(blob, pixels.first_image());
        let crc = Prefix::read(blob).expect("a blob").crc;
        let rows = Rows::of_dump(&dump.expect("the device runs it"), crc).expect("a whole dump");
        let model = self.blob.model().expect("a blob that parses");
        let difference = rows.first_difference(&self.rows, &model);
        let difference = difference.map(|difference| difference.to_string());
        (self.differing(&logits), difference)
    }
}

/// The logits of all images, and every row of the first one.
fn expected(blob: &Blob, pixels: &Pixels) -> (Vec<i32>, Rows) {
    let model = blob.model().expect("a blob that parses");
    let mut scratch = vec![0; model.arena_bytes() / 4];
    let mut logits = Vec::new();
    for image in pixels.images() {
        let inferred = model.infer(&mut scratch, image);
        logits.extend(inferred.expect("lengths fit").raw());
    }
    let rows = Rows::of_host(&model, pixels.first_image()).expect("the image fits");
    (logits, rows)
}

/// `21` of `networks/seed-21.network`, `mnist` of `networks/mnist/network.network`.
fn short_name(path: &Path) -> String {
    let stem = path.file_stem().filter(|stem| *stem != "network");
    let name = stem.or(path.parent().and_then(Path::file_name));
    let name = name.unwrap_or_default().to_string_lossy();
    name.trim_start_matches("seed-").to_owned()
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

/// The committed network that is the firmware's example for a data set.
fn example(name: &str) -> PathBuf {
    firmware_folder().join(format!("networks/{name}/network.network"))
}

/// The test images of a data set in `EA4CNN_DATA`, if that is set.
fn test_images(name: &str) -> Option<Images> {
    let folder = Path::new(&std::env::var_os("EA4CNN_DATA")?).join(name);
    let dataset = Dataset::load(&folder).expect("EA4CNN_DATA holds the data set");
    Some(dataset.test)
}
