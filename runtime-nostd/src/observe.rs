//! Watching inference: every row that a layer finishes, and when layers work.

use fixed::types::I8F8;

use crate::geometry::{Op, Shape};

/// Is told what happens during inference. Methods left out cost nothing: inference is compiled once
/// for each observer, and for `()` they are empty.
pub trait Observer {
    /// Layer `layer` starts to work on a row. Layers count from 0.
    fn enter(&mut self, layer: usize) {
        let _ = layer;
    }

    /// Layer `layer` pauses: what it can do with the rows that are there is done.
    fn leave(&mut self, layer: usize) {
        let _ = layer;
    }

    /// A row of a layer's output is finished. Rows of one layer come in order, those of different
    /// layers mixed. The last layer has none: its output is the logits.
    fn row(&mut self, row: Row<'_>) {
        let _ = row;
    }
}

impl Observer for () {}

/// A finished row of a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'r> {
    /// The layer, from 0.
    pub layer: usize,
    /// What it computes.
    pub op: Op,
    /// Shape of its output.
    pub shape: Shape,
    /// Which row of the output.
    pub y: usize,
    /// The row, `[width, channels]`, raw Q8.8.
    pub activations: &'r [i16],
}

impl<'r> Row<'r> {
    /// The activations as Q8.8 numbers, in place.
    pub fn fixed(&self) -> &'r [I8F8] {
        bytemuck::cast_slice(self.activations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_is_the_raw_value_over_256() {
        let activations = [-32768, -1, 0, 384];
        let row = Row {
            layer: 0,
            op: Op::Add { from: 0 },
            shape: Shape::new(1, 4, 1),
            y: 0,
            activations: &activations,
        };
        let expected = [-128.0, -1.0 / 256.0, 0.0, 1.5].map(I8F8::from_num::<f64>);
        assert_eq!(row.fixed(), expected);
    }
}
