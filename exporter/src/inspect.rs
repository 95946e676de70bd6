//! A blob as a table: layers, shapes, parameters, MACs, flash, arena and ranges; and what
//! the network is, if the blob says so.

use std::fmt::{self, Display, Formatter};

use runtime_nostd::blob::Storage;
use runtime_nostd::geometry::{Activation, Keep, Op, Window};
use runtime_nostd::{Layer, Model};

/// Prints a model as a table.
#[derive(Debug)]
pub struct Inspection<'m, 'a> {
    model: &'m Model<'a>,
    blob_bytes: usize,
}

impl<'m, 'a> Inspection<'m, 'a> {
    /// A table of `model`, which is in a blob of `blob_bytes`.
    pub fn new(model: &'m Model<'a>, blob_bytes: usize) -> Self {
        Self { model, blob_bytes }
    }
}

impl Display for Inspection<'_, '_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let model = self.model;
        writeln!(
            f,
            "input {}, zero {:?}, {:?} products",
            model.input(),
            model.zero(),
            model.product()
        )?;
        writeln!(
            f,
            "{:>2}  {:<30} {:>11} {:>9} {:>11} {:>8} {:>7}  {:>18}",
            "#", "layer", "output", "params", "MACs", "flash B", "arena B", "weights"
        )?;
        for (index, layer) in model.layers().iter().enumerate() {
            self.line(f, index, layer)?;
        }
        writeln!(
            f,
            "{} parameters, {} MACs, flash {} bytes, arena {} bytes, logits with {} fractional bits",
            model.parameter_count(),
            model.macs(),
            self.blob_bytes,
            model.arena_bytes(),
            model.logit_frac_bits()
        )?;
        if let Some(metadata) = model.metadata() {
            writeln!(f, "from: {}", metadata.provenance())?;
            for (index, name) in metadata.classes().enumerate() {
                writeln!(f, "class {index}: {name}")?;
            }
        }
        Ok(())
    }
}

impl Inspection<'_, '_> {
    fn line(&self, f: &mut Formatter<'_>, index: usize, layer: &Layer<'_>) -> fmt::Result {
        let range = layer.parameters().map_or(String::new(), |parameters| {
            let scale = f64::from(1u32 << parameters.frac_bits());
            let weights = || parameters.weights().map(|raw| f64::from(raw) / scale);
            let low = weights().fold(f64::INFINITY, f64::min);
            let high = weights().fold(f64::NEG_INFINITY, f64::max);
            format!("{low:+.3} .. {high:+.3}")
        });
        writeln!(
            f,
            "{index:>2}  {:<30} {:>11} {:>9} {:>11} {:>8} {:>7}  {range:>18}",
            describe(layer),
            layer.output().to_string(),
            layer.op().parameters(layer.input()),
            layer.macs(),
            layer
                .parameters()
                .map_or(0, runtime_nostd::Parameters::bytes),
            layer.arena_bytes(),
        )
    }
}

/// What a layer is, on one line: `conv 3x3 stride 2x2 pad 1 ReLU`.
pub fn describe(layer: &Layer<'_>) -> String {
    let relu = match layer.activation() {
        Activation::Relu => " ReLU",
        Activation::Linear => "",
    };
    let name = layer.op().name();
    let what = match layer.op() {
        Op::Conv { window, .. }
        | Op::Depthwise { window }
        | Op::MaxPool { window }
        | Op::AvgPool { window } => format!("{name} {}", describe_window(window)),
        Op::Dense { .. } => name.to_owned(),
        Op::Add { from } | Op::Branch { from } => format!("{name} from {from}"),
    };
    let cut = match layer.keep() {
        Keep::Rows => "",
        Keep::Map => ", whole",
    };
    let narrow = match layer.storage() {
        Storage::I16 => "",
        Storage::I8 => ", 8 bits",
    };
    format!("{what}{relu}{cut}{narrow}")
}

fn describe_window(window: Window) -> String {
    let mut text = format!("{}x{}", window.kernel_h, window.kernel_w);
    if (window.stride_h, window.stride_w) != (1, 1) {
        text += &format!(" stride {}x{}", window.stride_h, window.stride_w);
    }
    let padding = [
        window.pad_top,
        window.pad_right,
        window.pad_bottom,
        window.pad_left,
    ];
    if padding.iter().all(|&pad| pad == padding[0]) {
        if padding[0] != 0 {
            text += &format!(" pad {}", padding[0]);
        }
    } else {
        text += &format!(" pad {padding:?}");
    }
    text
}
