//! `exporter verify`: a blob against the f32 network it was exported from, and a device against this
//! machine.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use exporter::agreement::Agreement;
use exporter::confusion::Confusion;
use exporter::dataset::Images;
use exporter::device::{Device, MACHINES, Machine};
use exporter::file::read_network;
use exporter::ranges::Ranges;
use exporter::verify::{Verification, verify};
use runtime_nostd::Model;
use runtime_nostd::blob::Prefix;
use serde::Serialize;

use super::data::DataOptions;
use super::files::{parse, read_blob};

/// What to compare, and over which images.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A blob (.q88).
    blob: PathBuf,
    /// The trained network (.network).
    network: PathBuf,
    /// An emulated device that must compute the same bits, image for image; its firmware is built
    /// first.
    #[arg(long, value_name = "MACHINE", value_parser = machine())]
    device: Option<Machine>,
    /// The folder of the firmware for --device.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "firmware-example",
        requires = "device"
    )]
    firmware: PathBuf,
    /// Only the first N images.
    #[arg(long = "images", value_name = "N")]
    count: Option<NonZeroUsize>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The images that are classified.
    #[command(flatten)]
    data: DataOptions,
}

fn machine() -> impl TypedValueParser<Value = Machine> {
    let options = PossibleValuesParser::new(MACHINES.map(|machine| machine.option));
    options.try_map(|option| {
        let machine = MACHINES
            .into_iter()
            .find(|machine| machine.option == option);
        machine.ok_or("no such machine")
    })
}

/// Everything found, for programs.
#[derive(Debug, Serialize)]
struct Report {
    /// CRC-32 in the blob's prefix, hexadecimal.
    blob: String,
    /// Where the network comes from.
    provenance: String,
    /// Name of the data set.
    data: String,
    /// Whether the images are a test split; otherwise the network may have been trained on them.
    test_split: bool,
    /// Names of the classes, in the order of labels and logits.
    classes: Vec<String>,
    /// f32 against fixed point.
    #[serde(flatten)]
    verification: Verification,
    /// The device against this machine.
    device: Option<DeviceReport>,
}

#[derive(Debug, Serialize)]
struct DeviceReport {
    machine: &'static str,
    core: &'static str,
    #[serde(flatten)]
    agreement: Agreement,
}

impl Verify {
    /// Compares, reports, and fails if the device computes anything else than this machine.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let blob = read_blob(&self.blob)?;
        let model = parse(&blob, &self.blob)?;
        let network = read_network(&self.network)?;
        let data = self.data.load()?;
        let images = data.test_or_all();
        let most = self.count.map_or(usize::MAX, NonZeroUsize::get);
        let verification = verify(&model, &network, images, most)?;
        let device = self.device.map(|machine| {
            let device = Device::build(machine, &self.firmware)?;
            agreement(&device, machine, blob.as_bytes(), images, &verification)
        });
        let report = Report {
            blob: Prefix::read(blob.as_bytes()).map_or(String::new(), |p| format!("{:08x}", p.crc)),
            provenance: network.provenance,
            data: data.name.clone(),
            test_split: !data.test.is_empty(),
            classes: network.classes,
            device: device.transpose()?,
            verification,
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            report.print(&model);
        }
        match report.device {
            Some(DeviceReport {
                agreement:
                    Agreement {
                        first_mismatch: Some(mismatch),
                        ..
                    },
                ..
            }) => Err(format!("{mismatch}; `exporter diff-layers` finds the layer").into()),
            _ => Ok(()),
        }
    }
}

/// Runs the blob over the images of `found` on the device.
fn agreement(
    device: &Device,
    machine: Machine,
    blob: &[u8],
    images: &Images,
    found: &Verification,
) -> Result<DeviceReport, Box<dyn Error>> {
    let pixels: Vec<u8> = images
        .iter()
        .take(found.images)
        .flatten()
        .copied()
        .collect();
    let logits = device.logits(blob, &pixels)?;
    let labels = &images.labels()[..found.images];
    Ok(DeviceReport {
        machine: machine.option,
        core: machine.core,
        agreement: Agreement::of(&found.logits, &logits, labels)?,
    })
}

impl Report {
    fn print(&self, model: &Model<'_>) {
        let found = &self.verification;
        let percent = |count: usize| 100.0 * count as f64 / found.images as f64;
        let which = if self.test_split {
            "test images"
        } else {
            "images, those of its training among them"
        };
        println!("{}: {} {which}", self.data, found.images);
        println!("f32         {:6.2} % correct", percent(found.correct_f32));
        println!("fixed point {:6.2} % correct", percent(found.correct_fixed));
        println!("agreement   {:6.2} %", percent(found.agreeing));
        println!(
            "largest difference of a logit: {:.4}",
            found.largest_difference
        );
        let ranges = Ranges {
            model,
            stores: &found.stores,
        };
        print!("{ranges}");
        if let Some(DeviceReport {
            machine,
            core,
            agreement,
        }) = &self.device
        {
            println!(
                "{machine} ({core}): {:.2} % correct, {} of {} logits differ from this machine's",
                percent(agreement.correct),
                agreement.differing,
                agreement.logits
            );
        }
        println!("\nfixed point, labels down, answers across:");
        print!(
            "{}",
            Confusion {
                counts: &found.confusion,
                names: &self.classes
            }
        );
    }
}
