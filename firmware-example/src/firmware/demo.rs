//! Classifies images that lie in flash beside the network: one of each class, ten handwritten digits
//! to begin with.

use core::fmt;

use micromath::F32Ext;
use runtime_nostd::{Logits, SelfTestError};

use super::Failure;
use super::counter::{Counter, LayerCounter};
use super::machine::UNIT;
use super::network;

/// One image of each class, in their order: the first of each digit among MNIST's test images, or
/// what `evolve data DIR --samples` has written in their place.
static DIGITS: &[u8] = include_bytes!("demo/digits.raw");

const _: () = assert!(
    DIGITS.len() == network::CLASSES * network::IMAGE_BYTES,
    "demo/digits.raw is not for this network: evolve data DIR --samples writes the images of its classes"
);

/// Checks the network on its golden vectors, then prints what it says to each image, and what each of
/// its layers takes.
pub(crate) fn run(
    scratch: &mut network::Scratch,
    out: &mut impl fmt::Write,
) -> Result<(), Failure<'static>> {
    let model = &network::MODEL;
    writeln!(
        out,
        "{} image, {} layers, {} MACs, {} bytes of flash, {} bytes of scratch memory",
        model.input(),
        model.layers().len(),
        model.macs(),
        network::BLOB.len(),
        model.arena_bytes(),
    )?;
    match model.self_test(scratch) {
        Ok(images) => writeln!(out, "self-test: {images} images give the logits they must")?,
        Err(SelfTestError::NoVectors) => writeln!(
            out,
            "self-test: the blob holds no golden vectors (exporter export --golden)"
        )?,
        Err(error) => return Err(Failure::SelfTest(error)),
    }
    let width = column_width();
    write!(
        out,
        "\n{:>width$}  {:>width$}  {UNIT:>12}         ",
        "image", "class"
    )?;
    for name in network::CLASS_NAMES {
        write!(out, " {name:>width$}")?;
    }
    writeln!(out)?;

    let mut counter = Counter::start();
    let images = DIGITS.chunks(model.input().elements());
    for (name, pixels) in network::CLASS_NAMES.into_iter().zip(images) {
        let (logits, count) = counter.count(|| model.infer(scratch, pixels));
        let logits = logits?;
        let class = network::CLASS_NAMES[logits.class()];
        write!(out, "{name:>width$}  {class:>width$}")?;
        match count {
            Some(count) => write!(out, "  {count:12}")?,
            None => write!(out, "  {:>12}", "-")?,
        }
        print_scores(logits, out)?;
    }
    print_layers(model, scratch, out)
}

fn print_layers(
    model: &network::Model<'_>,
    scratch: &mut network::Scratch,
    out: &mut impl fmt::Write,
) -> Result<(), Failure<'static>> {
    let mut counter = LayerCounter::start();
    let pixels = DIGITS.get(..model.input().elements()).unwrap_or_default();
    model.infer_with(scratch, pixels, &mut counter)?;
    writeln!(out, "\nlayer                  MACs  {UNIT:>12}  output")?;
    let layers = model.layers().iter().zip(counter.counts());
    for (index, (layer, count)) in layers.enumerate() {
        write!(
            out,
            "{index:5}  {:<10}{:>10}",
            layer.op().name(),
            layer.macs()
        )?;
        match count {
            Some(count) => write!(out, "  {count:12}")?,
            None => write!(out, "  {:>12}", "-")?,
        }
        writeln!(out, "  {}", layer.output())?;
    }
    Ok(())
}

/// Characters of a logit, or of the longest class name.
fn column_width() -> usize {
    let names = network::CLASS_NAMES.iter();
    names.map(|name| name.chars().count()).fold(7, usize::max)
}

fn print_scores(logits: Logits<'_>, out: &mut impl fmt::Write) -> fmt::Result {
    let width = column_width();
    // What stands before the scores on the line above.
    let left = 2 * width + 18;
    let mut values = [0.0; network::CLASSES];
    for (value, logit) in values.iter_mut().zip(logits.fixed()) {
        *value = logit.to_num();
    }
    write!(out, "  logits ")?;
    for value in values {
        write!(out, " {value:width$.2}")?;
    }
    write!(out, "\n{:left$} softmax", "")?;
    for probability in softmax(values) {
        write!(out, " {probability:width$.4}")?;
    }
    writeln!(out)
}

/// Logits to probabilities. For people only: the class is decided on the integers.
fn softmax<const CLASSES: usize>(logits: [f32; CLASSES]) -> [f32; CLASSES] {
    // No exponential exceeds 1, so that none overflows.
    let largest = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let exponentials = logits.map(|logit| (logit - largest).exp());
    let sum: f32 = exponentials.iter().sum();
    exponentials.map(|exponential| exponential / sum)
}
