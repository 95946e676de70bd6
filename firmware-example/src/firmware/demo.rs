//! Classifies ten handwritten digits that lie in flash beside the network.

use core::fmt;

use micromath::F32Ext;
use runtime_nostd::Logits;

use super::Failure;
use super::machine::InstructionCounter;
use super::network;

/// The first image of each digit, 0 to 9, among MNIST's test images: 28x28 pixels each.
static DIGITS: &[u8] = include_bytes!("demo/digits.raw");

/// Prints what the network says to each digit.
pub(crate) fn run(
    scratch: &mut network::Scratch,
    out: &mut impl fmt::Write,
) -> Result<(), Failure<'static>> {
    let model = network::Model::parse(network::BLOB).map_err(|error| Failure::Blob {
        name: "network in flash",
        error,
    })?;
    writeln!(
        out,
        "{} image, {} layers, {} MACs, {} bytes of flash, {} bytes of scratch memory",
        model.input(),
        model.layers().len(),
        model.macs(),
        network::BLOB.len(),
        model.arena_bytes(),
    )?;
    write!(out, "\ndigit  class  instructions         ")?;
    for name in network::CLASS_NAMES {
        write!(out, " {name:>7}")?;
    }
    writeln!(out)?;

    let counter = InstructionCounter::start();
    for (digit, pixels) in DIGITS.chunks(model.input().elements()).enumerate() {
        let (logits, instructions) = counter.count(|| model.infer(scratch, pixels));
        let logits = logits?;
        let class = network::CLASS_NAMES[logits.class()];
        write!(out, "{digit:5}  {class:>5}")?;
        match instructions {
            Some(instructions) => write!(out, "  {instructions:12}")?,
            // QEMU runs without -icount shift=10.
            None => write!(out, "  {:>12}", "-")?,
        }
        print_scores(logits, out)?;
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
