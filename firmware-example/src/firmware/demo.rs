//! Classifies ten handwritten digits that lie in flash beside the network.

use core::fmt;

use micromath::F32Ext;
use runtime_nostd::{Logits, SelfTestError};

use super::Failure;
use super::counter::{Counter, LayerCounter};
use super::machine::UNIT;
use super::network;

/// The first image of each digit, 0 to 9, among MNIST's test images: 28x28 pixels each.
static DIGITS: &[u8] = include_bytes!("demo/digits.raw");

/// Checks the network on its golden vectors, then prints what it says to each digit, and what each of
/// its layers takes.
pub(crate) fn run(
    scratch: &mut network::Scratch,
    out: &mut impl fmt::Write,
) -> Result<(), Failure<'static>> {
    let model = network::Model::parse(network::BLOB).map_err(Failure::Network)?;
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
    write!(out, "\ndigit  class  {UNIT:>12}         ")?;
    for name in network::CLASS_NAMES {
        write!(out, " {name:>7}")?;
    }
    writeln!(out)?;

    let mut counter = Counter::start();
    for (digit, pixels) in DIGITS.chunks(model.input().elements()).enumerate() {
        let (logits, count) = counter.count(|| model.infer(scratch, pixels));
        let logits = logits?;
        let class = network::CLASS_NAMES[logits.class()];
        write!(out, "{digit:5}  {class:>5}")?;
        match count {
            Some(count) => write!(out, "  {count:12}")?,
            None => write!(out, "  {:>12}", "-")?,
        }
        print_scores(logits, out)?;
    }
    print_layers(&model, scratch, out)
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

fn print_scores(logits: Logits<'_>, out: &mut impl fmt::Write) -> fmt::Result {
    let mut values = [0.0; network::CLASSES];
    for (value, logit) in values.iter_mut().zip(logits.fixed()) {
        *value = logit.to_num();
    }
    write!(out, "  logits ")?;
    for value in values {
        write!(out, " {value:7.2}")?;
    }
    write!(out, "\n{:28} softmax", "")?;
    for probability in softmax(values) {
        write!(out, " {probability:7.4}")?;
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
