//! The exporter's command line.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use exporter::dataset::Dataset;
use exporter::export::{Exported, export};
use exporter::file::{read_network, write_atomically};
use exporter::inspect::Inspection;
use exporter::module::rust_module;
use exporter::verify::{Verification, verify};
use exporter::write::Blob;
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
    Export {
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
    },
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
        /// A folder of IDX or CIFAR-10 files, whose test images are classified [default: the
        /// bundled MNIST subset].
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProductOption {
    /// Exact products, one rounding at the store.
    Exact,
    /// Every product rounded to Q8.8, as in the paper.
    Rounded,
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
        Command::Export {
            network,
            output,
            rust,
            product,
        } => run_export(&network, &output, rust.as_deref(), product),
        Command::Inspect { blob } => run_inspect(&blob),
        Command::Verify {
            blob,
            network,
            data,
        } => run_verify(&blob, &network, data.as_deref()),
    }
}

fn run_export(
    path: &Path,
    output: &Path,
    rust: Option<&Path>,
    product: ProductOption,
) -> Result<(), Box<dyn Error>> {
    let network = read_network(path)?;
    let product = match product {
        ProductOption::Exact => Product::Exact,
        ProductOption::Rounded => Product::Rounded,
    };
    let Exported { blob, quantization } =
        export(&network, product).map_err(|error| format!("{}: {error}", path.display()))?;
    let model = blob.model()?;
    write_file(output, blob.as_bytes())?;
    for layer in &quantization {
        if layer.saturated_weights + layer.saturated_biases > 0 {
            eprintln!(
                "warning: layer {}: {} of {} weights (range {:+.3} .. {:+.3}) and {} biases saturated",
                layer.layer,
                layer.saturated_weights,
                layer.weights,
                layer.range.0,
                layer.range.1,
                layer.saturated_biases
            );
        }
    }
    println!(
        "{}: {} bytes of flash, {} bytes of arena, {} MACs",
        output.display(),
        blob.as_bytes().len(),
        model.arena_bytes(),
        model.macs()
    );
    if let Some(rust) = rust {
        let blob_path = relative(output, rust)?;
        let source = rust_module(&network, &model, blob.as_bytes(), &blob_path);
        write_file(rust, source.as_bytes())?;
        println!("{}: include it with `mod`", rust.display());
    }
    Ok(())
}

fn run_inspect(path: &Path) -> Result<(), Box<dyn Error>> {
    let blob = read_blob(path)?;
    let model = parse(&blob, path)?;
    print!("{}", Inspection::new(&model, blob.as_bytes().len()));
    Ok(())
}

fn run_verify(path: &Path, network: &Path, data: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let blob = read_blob(path)?;
    let model = parse(&blob, path)?;
    let network = read_network(network)?;
    let data = match data {
        Some(folder) => Dataset::load(folder)?,
        None => Dataset::bundled(),
    };
    let found = verify(&model, &network, &data.test)?;
    let Verification {
        images,
        correct_f32,
        correct_fixed,
        agreeing,
        largest_difference,
        stores,
    } = found;
    let percent = |count: usize| 100.0 * count as f64 / images as f64;
    println!("{}: {images} test images", data.name);
    println!("f32         {:6.2} % correct", percent(correct_f32));
    println!("fixed point {:6.2} % correct", percent(correct_fixed));
    println!("agreement   {:6.2} %", percent(agreeing));
    println!("largest difference of a logit: {largest_difference:.4}");
    for (layer, stores) in stores.iter().enumerate().filter(|(_, s)| s.saturated > 0) {
        println!(
            "layer {layer}: {} of {} activations saturated",
            stores.saturated, stores.activations
        );
    }
    if stores.iter().all(|stores| stores.saturated == 0) {
        println!("no activation saturated");
    }
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
