//! The exporter's command line.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use exporter::dataset::{Dataset, DatasetError, ImageOptions, LoadObserver, Notice};
use exporter::diff_layers::Rows;
use exporter::export::{Exported, export, export_rescaled};
use exporter::file::{read_network, write_atomically, write_network};
use exporter::inspect::Inspection;
use exporter::module::rust_module;
use exporter::network::Network;
use exporter::onnx::{self, Normalization, PixelRange, import_file};
use exporter::ranges::Ranges;
use exporter::sections::{append_golden, append_metadata};
use exporter::verify::{Verification, verify};
use exporter::write::Blob;
use runtime_nostd::blob::Prefix;
use runtime_nostd::q8_8::Product;

/// From a trained network to the blob that runs on a microcontroller.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fold, quantize and prove a network, and write its blob.
    Export(Export),
    /// Compare what a device computed for one image, row by row, with this machine.
    DiffLayers {
        /// The blob (.q88) that the device ran.
        blob: PathBuf,
        /// What the device wrote (`runtime_nostd::Dump`).
        dump: PathBuf,
        /// The image's pixels as raw bytes, rows, columns, channels.
        image: PathBuf,
    },
    /// Write a network as an ONNX model.
    ExportOnnx {
        /// A trained network (.network).
        network: PathBuf,
        /// The model to write (.onnx). Its input is images of bytes, [batch, rows, columns,
        /// channels].
        #[arg(short, long, value_name = "MODEL")]
        output: PathBuf,
        /// Quantize, and compute the blob's logits bit for bit with 32-bit integers; exact products
        /// only.
        #[arg(long)]
        integer: bool,
    },
    /// Make a network of an ONNX model.
    Import(Import),
    /// Print what a blob contains.
    Inspect {
        /// A blob (.q88).
        blob: PathBuf,
    },
    /// Compare a blob with the f32 network it was exported from.
    Verify {
        /// A blob (.q88).
        blob: PathBuf,
        /// The trained network (.network).
        network: PathBuf,
        /// The images that are classified.
        #[command(flatten)]
        data: DataOptions,
    },
}

#[derive(Debug, Args)]
struct Export {
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
    /// Store this many test images with their logits in the blob, for a self-test of the device.
    #[arg(long, value_name = "N", default_value_t = 0)]
    golden: usize,
    /// Scale channels by powers of two where that lowers the error of the logits, measured on training
    /// images.
    #[arg(long)]
    rescale: bool,
    /// Where the images for --golden and --rescale are.
    #[command(flatten)]
    data: DataOptions,
}

/// A data set, of which the test images are used, or all where it has none.
#[derive(Debug, Args)]
struct DataOptions {
    /// A folder with the test images: IDX or CIFAR-10 files, or a sub-folder of image files for each
    /// class [default: the bundled MNIST subset].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How image files are read.
    #[command(flatten)]
    images: ImageOptions,
}

impl DataOptions {
    fn load(&self) -> Result<Dataset, DatasetError> {
        Dataset::load_or_bundled(self.data.as_deref(), &self.images, &Warnings)
    }
}

/// Prints notices only: the images have most often been decoded before, by the evolver.
struct Warnings;

impl LoadObserver for Warnings {
    fn decoding_starts(&self, _: usize) {}
    fn decoding_steps(&self) {}
    fn decoding_done(&self) {}
    fn tell(&self, notice: &Notice) {
        eprintln!("warning: {notice}");
    }
}

#[derive(Debug, Args)]
struct Import {
    /// An ONNX model (.onnx) that classifies images.
    model: PathBuf,
    /// The network to write (.network).
    #[arg(short, long, value_name = "NETWORK")]
    output: PathBuf,
    /// The mean that was subtracted from pixels in training, one for all channels or one for each,
    /// in the units of --pixel-range [default: 0]. A model whose input is bytes normalizes them
    /// itself.
    #[arg(
        long,
        value_name = "MEAN,..",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    mean: Vec<f64>,
    /// The standard deviation that pixels were divided by, likewise [default: 1].
    #[arg(long, value_name = "STD,..", value_delimiter = ',')]
    std: Vec<f64>,
    /// What the pixels 0 to 255 had become before.
    #[arg(long, value_enum, default_value_t = PixelRangeOption::Unit)]
    pixel_range: PixelRangeOption,
    /// The pixel value that the network is to read as 0, one for all channels or one for each: that
    /// of the data set that it is to seed an evolution on [default: the mean].
    #[arg(long, value_name = "PIXEL,..", value_delimiter = ',')]
    zero: Vec<u8>,
    /// Names of the classes, in the order of the logits [default: those in the model, or numbers].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    classes: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PixelRangeOption {
    /// 0 to 1, as torchvision's `ToTensor` gives them.
    Unit,
    /// 0 to 255.
    Byte,
}

impl From<PixelRangeOption> for PixelRange {
    fn from(range: PixelRangeOption) -> Self {
        match range {
            PixelRangeOption::Unit => Self::Unit,
            PixelRangeOption::Byte => Self::Byte,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProductOption {
    /// Exact products, one rounding at the store.
    Exact,
    /// Every product rounded to Q8.8, as in the paper.
    Rounded,
}

impl From<ProductOption> for Product {
    fn from(product: ProductOption) -> Self {
        match product {
            ProductOption::Exact => Self::Exact,
            ProductOption::Rounded => Self::Rounded,
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Export(arguments) => run_export(&arguments),
        Command::DiffLayers { blob, dump, image } => run_diff_layers(&blob, &dump, &image),
        Command::ExportOnnx {
            network,
            output,
            integer,
        } => {
            let numbers = if integer {
                Numbers::Integer
            } else {
                Numbers::Float
            };
            run_export_onnx(&network, &output, numbers)
        }
        Command::Import(arguments) => run_import(arguments),
        Command::Inspect { blob } => run_inspect(&blob),
        Command::Verify {
            blob,
            network,
            data,
        } => run_verify(&blob, &network, &data),
    }
}

fn run_export(arguments: &Export) -> Result<(), Box<dyn Error>> {
    let path = &arguments.network;
    let network = read_network(path)?;
    let product = arguments.product.into();
    let in_file = |error| format!("{}: {error}", path.display());
    let exported = if arguments.rescale {
        let data = arguments.data.load()?;
        let (exported, rescaling) =
            export_rescaled(&network, product, &data.train).map_err(in_file)?;
        print!("{rescaling}");
        exported
    } else {
        export(&network, product).map_err(in_file)?
    };
    warn_of_saturation(&exported);
    let mut blob = exported.blob;
    if arguments.metadata {
        blob = append_metadata(&blob, &network)?;
    }
    if arguments.golden > 0 {
        blob = add_golden(&blob, arguments.golden, &arguments.data)?;
    }
    write_export(
        &network,
        &blob,
        &arguments.output,
        arguments.rust.as_deref(),
    )
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

/// Appends the first `count` test images as golden vectors.
fn add_golden(blob: &Blob, count: usize, data: &DataOptions) -> Result<Blob, Box<dyn Error>> {
    let data = data.load()?;
    let images = data.test_or_all();
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

fn run_diff_layers(path: &Path, dump: &Path, image: &Path) -> Result<(), Box<dyn Error>> {
    let in_file = |path: &Path, error: &dyn Error| format!("{}: {error}", path.display());
    let blob = read_blob(path)?;
    let model = parse(&blob, path)?;
    let pixels = std::fs::read(image).map_err(|error| in_file(image, &error))?;
    let text = std::fs::read_to_string(dump).map_err(|error| in_file(dump, &error))?;
    let crc = Prefix::read(blob.as_bytes()).map_or(0, |prefix| prefix.crc);
    let device = Rows::of_dump(&text, crc).map_err(|error| in_file(dump, &error))?;
    let host = Rows::of_host(&model, &pixels).map_err(|error| in_file(image, &error))?;
    match device.first_difference(&host, &model) {
        None => {
            println!("{} rows and the logits agree", host.len());
            Ok(())
        }
        Some(difference) => Err(difference.to_string().into()),
    }
}

/// What a model computes with.
#[derive(Clone, Copy, Debug)]
enum Numbers {
    Float,
    Integer,
}

fn run_export_onnx(path: &Path, output: &Path, numbers: Numbers) -> Result<(), Box<dyn Error>> {
    let network = read_network(path)?;
    let in_file = |error: &dyn Error| format!("{}: {error}", path.display());
    let model = match numbers {
        Numbers::Float => onnx::export(&network).map_err(|error| in_file(&error))?,
        Numbers::Integer => onnx::export_integer(&network).map_err(|error| in_file(&error))?,
    };
    write_file(output, &model)?;
    println!("{}: {} bytes", output.display(), model.len());
    Ok(())
}

fn run_import(arguments: Import) -> Result<(), Box<dyn Error>> {
    let normalization = Normalization {
        range: arguments.pixel_range.into(),
        mean: arguments.mean,
        std: arguments.std,
        zero: arguments.zero,
    };
    let in_file = |error| format!("{}: {error}", arguments.model.display());
    let imported = import_file(&arguments.model, &normalization).map_err(in_file)?;
    let mut network = imported.network;
    if !arguments.classes.is_empty() {
        network.classes = arguments.classes;
        network.check()?;
    }
    if imported.padding_error > 0.0 {
        eprintln!(
            "warning: the first layer pads, and the network's 0 is not exactly the model's: where it \
             reads padding, its sums differ from the model's by up to {:.1e}",
            imported.padding_error
        );
    }
    write_network(&network, &arguments.output)?;
    println!(
        "{}: {} layers, reads {} with a 0 of {:?}, {} classes",
        arguments.output.display(),
        network.layers.len(),
        network.input.shape,
        network.input.zero,
        network.classes.len()
    );
    Ok(())
}

fn run_inspect(path: &Path) -> Result<(), Box<dyn Error>> {
    let blob = read_blob(path)?;
    let model = parse(&blob, path)?;
    print!("{}", Inspection::new(&model, blob.as_bytes().len()));
    Ok(())
}

fn run_verify(path: &Path, network: &Path, data: &DataOptions) -> Result<(), Box<dyn Error>> {
    let blob = read_blob(path)?;
    let model = parse(&blob, path)?;
    let network = read_network(network)?;
    let data = data.load()?;
    let found = verify(&model, &network, data.test_or_all())?;
    let Verification {
        images,
        correct_f32,
        correct_fixed,
        agreeing,
        largest_difference,
        stores,
    } = found;
    let percent = |count: usize| 100.0 * count as f64 / images as f64;
    let which = if data.test.is_empty() {
        "images, those of its training among them"
    } else {
        "test images"
    };
    println!("{}: {images} {which}", data.name);
    println!("f32         {:6.2} % correct", percent(correct_f32));
    println!("fixed point {:6.2} % correct", percent(correct_fixed));
    println!("agreement   {:6.2} %", percent(agreeing));
    println!("largest difference of a logit: {largest_difference:.4}");
    let stores = &stores;
    print!(
        "{}",
        Ranges {
            model: &model,
            stores
        }
    );
    Ok(())
}

fn read_blob(path: &Path) -> Result<Blob, String> {
    Blob::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse<'a>(blob: &'a Blob, path: &Path) -> Result<runtime_nostd::Model<'a>, String> {
    blob.model()
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), String> {
    write_atomically(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
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
