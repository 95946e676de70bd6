//! `exporter export`: a network's blob, and the Rust module that includes it.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use exporter::export::{Exported, export, export_rescaled};
use exporter::file::read_network;
use exporter::module::rust_module;
use exporter::network::Network;
use exporter::quantize::{Format, WeightBits};
use exporter::sections::{append_golden, append_metadata};
use exporter::verify::verify;
use exporter::write::Blob;
use runtime_nostd::q8_8::Product;

use super::board::BoardOptions;
use super::data::DataOptions;
use super::files::{check_outputs, write_file};

/// What to export, and where to.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A trained network (.network).
    network: PathBuf,
    /// The blob to write (.q88).
    #[arg(short, long, value_name = "BLOB")]
    output: PathBuf,
    /// A Rust module to write: constants, types and the blob, for a firmware to include.
    #[arg(long, value_name = "FILE")]
    rust: Option<PathBuf>,
    /// How products are rounded.
    #[arg(long, value_enum, default_value_t = ProductOption::Exact)]
    product: ProductOption,
    /// Store class names and provenance in the blob.
    #[arg(long)]
    metadata: bool,
    /// Measure the accuracy on the test images, in f32 and in fixed point: print it, and state it in the
    /// provenance.
    #[arg(long)]
    accuracy: bool,
    /// Store this many test images with their logits in the blob, for a self-test of the device.
    #[arg(long, value_name = "N", default_value_t = 0)]
    golden: usize,
    /// Bits of the weights.
    #[arg(long, value_enum, value_name = "BITS", default_value_t = WeightsOption::Sixteen)]
    weights: WeightsOption,
    /// Fractional bits of the weights: 8 unless --weights 8, which means auto.
    #[arg(long, value_enum)]
    weight_bits: Option<WeightBitsOption>,
    /// Scale channels by powers of two where that lowers the error of the logits, measured on training
    /// images.
    #[arg(long)]
    rescale: bool,
    /// Where the images for --accuracy, --golden and --rescale are.
    #[command(flatten)]
    data: DataOptions,
    /// Where it is meant to run; nothing is written if it does not fit.
    #[command(flatten)]
    board: BoardOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProductOption {
    /// Exact products, one rounding at the store.
    Exact,
    /// Every product rounded to Q8.8, as in the paper.
    Rounded,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WeightBitsOption {
    /// 8 in every layer: Q8.8, as in the paper.
    #[value(name = "8")]
    Eight,
    /// In each layer as many as fit. Not with rounded products.
    Auto,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WeightsOption {
    /// As computed with.
    #[value(name = "16")]
    Sixteen,
    /// 8 bits times a power of two for each filter, expanded into 16 on the device: half the flash.
    /// With --weight-bits auto, not with rounded products.
    #[value(name = "8")]
    Eight,
}

impl From<ProductOption> for Product {
    fn from(product: ProductOption) -> Self {
        match product {
            ProductOption::Exact => Self::Exact,
            ProductOption::Rounded => Self::Rounded,
        }
    }
}

impl Export {
    /// Folds, quantizes, proves and writes.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let path = &self.network;
        check_outputs(path, [&self.output].into_iter().chain(&self.rust))?;
        let mut network = read_network(path)?;
        let format = self.format()?;
        let in_file = |error| format!("{}: {error}", path.display());
        let exported = if self.rescale {
            let data = self.data.load()?;
            let (exported, rescaling) =
                export_rescaled(&network, format, &data.train).map_err(in_file)?;
            print!("{rescaling}");
            exported
        } else {
            export(&network, format).map_err(in_file)?
        };
        warn_of_saturation(&exported);
        let mut blob = exported.blob;
        if self.accuracy {
            let accuracy = accuracy(&network, &blob, &self.data)?;
            println!("accuracy: {accuracy}");
            network.provenance += &format!("; {accuracy}");
        }
        if self.metadata {
            blob = append_metadata(&blob, &network)?;
        }
        if self.golden > 0 {
            blob = add_golden(&blob, self.golden, &self.data)?;
        }
        self.board.check(&blob.model()?, blob.as_bytes().len())?;
        write_export(&network, &blob, &self.output, self.rust.as_deref())
    }
}

impl Export {
    /// The numbers that the options ask for, if they go together.
    fn format(&self) -> Result<Format, &'static str> {
        use {WeightBitsOption as Bits, WeightsOption as Weights};
        let weight_bits = match (self.weights, self.weight_bits) {
            (Weights::Sixteen, None | Some(Bits::Eight)) => WeightBits::Q8_8,
            (Weights::Sixteen, Some(Bits::Auto)) => WeightBits::PerLayer,
            (Weights::Eight, None | Some(Bits::Auto)) => WeightBits::Narrow,
            (Weights::Eight, Some(Bits::Eight)) => {
                return Err("--weights 8 needs --weight-bits auto: drop --weight-bits 8");
            }
        };
        let product = self.product.into();
        match (product, weight_bits) {
            (Product::Rounded, WeightBits::PerLayer) => {
                Err("rounded products need weights of 8 fractional bits: drop --weight-bits")
            }
            (Product::Rounded, WeightBits::Narrow) => Err(
                "rounded products need weights of 16 bits with 8 fractional bits: drop --weights 8",
            ),
            _ => Ok(Format {
                product,
                weight_bits,
            }),
        }
    }
}

fn warn_of_saturation(exported: &Exported) {
    for layer in &exported.quantization {
        if layer.saturated_weights + layer.saturated_biases > 0 {
            eprintln!(
                "warning: layer {}: {} of {} weights (range {:+.3} .. {:+.3}) and {} biases saturated; try --rescale",
                layer.layer,
                layer.saturated_weights,
                layer.weights,
                layer.range.0,
                layer.range.1,
                layer.saturated_biases
            );
        }
    }
}

/// What a network's provenance says about its accuracy.
fn accuracy(network: &Network, blob: &Blob, data: &DataOptions) -> Result<String, Box<dyn Error>> {
    let data = data.load()?;
    let found = verify(&blob.model()?, network, data.test_or_all(), usize::MAX)?;
    let percent = |count: usize| 100.0 * count as f64 / found.images as f64;
    let which = if data.test.is_empty() { "" } else { "test " };
    Ok(format!(
        "{:.2} % in f32 and {:.2} % in fixed point on {} {which}images of {}",
        percent(found.correct_f32),
        percent(found.correct_fixed),
        found.images,
        data.name
    ))
}

/// Appends the first `count` test images as golden vectors.
fn add_golden(blob: &Blob, count: usize, data: &DataOptions) -> Result<Blob, Box<dyn Error>> {
    let data = data.load()?;
    let images = data.test_or_all();
    let (found, needed) = (images.shape(), blob.model()?.input());
    if found != needed {
        let name = &data.name;
        return Err(
            format!("{name}: its images are {found}, the network reads {needed}: give --golden the data set it was made for").into(),
        );
    }
    if count > images.len() {
        let found = images.len();
        return Err(format!("{}: only {found} test images for --golden", data.name).into());
    }
    let images: Vec<&[u8]> = images.iter().take(count).collect();
    Ok(append_golden(blob, &images)?)
}

fn write_export(
    network: &Network,
    blob: &Blob,
    output: &Path,
    rust: Option<&Path>,
) -> Result<(), Box<dyn Error>> {
    let model = blob.model()?;
    write_file(output, blob.as_bytes())?;
    println!(
        "{}: {} bytes of flash, {} bytes of arena, {} MACs",
        output.display(),
        blob.as_bytes().len(),
        model.arena_bytes(),
        model.macs()
    );
    if let Some(rust) = rust {
        let blob_path = relative(output, rust)?;
        let source = rust_module(network, &model, blob.as_bytes(), &blob_path);
        write_file(rust, source.as_bytes())?;
        println!("{}: include it with `mod`", rust.display());
    }
    Ok(())
}

/// The path of `file` as seen from the folder that holds `from`.
fn relative(file: &Path, from: &Path) -> Result<String, Box<dyn Error>> {
    let folder = match from.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = folder
        .canonicalize()
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let file = file.canonicalize()?;
    let common = folder
        .components()
        .zip(file.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder.components().skip(common).map(|_| "..".as_ref());
    let down = file.components().skip(common);
    let path: PathBuf = up
        .chain(down.map(std::path::Component::as_os_str))
        .collect();
    // Forward slashes work in `include_bytes!` everywhere.
    path.to_str()
        .map(|path| path.replace('\\', "/"))
        .ok_or_else(|| format!("{}: not a Unicode path", path.display()).into())
}
